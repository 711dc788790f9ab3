"""Norms, functions of each number, and arithmetic."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from pocket_diffusion.graph.ir import Value, Weight
from pocket_diffusion.graph.layout import (
    Array,
    Stored,
    channels_last,
    reshape,
    whole,
)  # fmt: skip
from pocket_diffusion.graph.lower import NEVER, OPERATIONS, Lowering, Unsupported, axis_index, name_of, operation, single
from pocket_diffusion.graph.operations.reductions import Largest
from pocket_diffusion.graph.operations.shapes import flattened, sliced
from pocket_diffusion.graph.products import Product, binary, function, masked, scaled


def _norm_tensors(low: Lowering, weight: Any, bias: Any) -> tuple[Weight | None, ...]:
    if not isinstance(weight, (torch.Tensor, type(None))) or not isinstance(bias, (torch.Tensor, type(None))):
        raise Unsupported("gains that are computed.")
    tensors = [low.vector(weight, "gain"), low.vector(bias, "bias")]
    while tensors and tensors[-1] is None:
        tensors.pop()
    return tuple(tensors)


def _normed(array: Stored, name: str, tensors: tuple, integers: tuple, eps: float, source: str) -> Stored:
    return array.alike(Value(name, (array.value,), tensors, integers, (eps,), source=source))


@operation("group_norm", "native_group_norm", "instance_norm")
def _group_norm(low: Lowering, a: SimpleNamespace) -> Array:
    array = channels_last(a.input, 1)
    groups = getattr(a, "num_groups", getattr(a, "group", array.shape[1]))
    return _normed(array, "group_norm", _norm_tensors(low, a.weight, a.bias), (groups, 0), a.eps, low.source)


@operation("layer_norm", "native_layer_norm")
def _layer_norm(low: Lowering, a: SimpleNamespace) -> Array:
    axes = len(a.normalized_shape)
    if axes == 1:
        array = channels_last(a.input, len(a.input.axes) - 1)
        return _normed(array, "layer_norm", _norm_tensors(low, a.weight, a.bias), (0,), a.eps, low.source)
    rank = len(a.input.axes)
    if any(a.input.axes[: rank - axes]):
        raise Unsupported("over several axes, it must be over all of them.")
    joined = flattened(low, SimpleNamespace(self=whole(a.input), start_dim=0, end_dim=-1))
    array = joined.alike(reshape(joined.value, (joined.shape[0], 1)))
    result = _normed(array, "group_norm", (), (1, 0), a.eps, low.source).with_axes(a.input.axes)
    for name, tensor in (("mul", a.weight), ("add", a.bias)):
        result = result if tensor is None else binary(name, result, low.array(tensor), low.source)
    return result


@operation("batch_norm", "_native_batch_norm_legit_no_training", "native_batch_norm")
def _batch_norm(low: Lowering, a: SimpleNamespace) -> Any:
    deviation = (a.running_var.double() + a.eps).sqrt()
    gain = (torch.ones_like(deviation) if a.weight is None else a.weight.double()) / deviation
    bias = (0 if a.bias is None else a.bias.double()) - a.running_mean.double() * gain
    array = channels_last(a.input, 1)
    module = low.source
    tensors = (low.weight(gain.float(), f"{module}.gain"), low.weight(bias.float(), f"{module}.bias"))
    result = array.alike(Value("affine", (array.value,), tensors, (0,), source=low.source))
    return result if name_of(low._node) == "batch_norm" else (result, None, None)


@operation("rms_norm", "_fused_rms_norm")
def _rms_norm(low: Lowering, a: SimpleNamespace) -> Array:
    if len(a.normalized_shape) != 1:
        raise Unsupported("over several axes.")
    eps = a.eps if a.eps is not None else torch.finfo(torch.float32).eps
    array = channels_last(a.input, len(a.input.axes) - 1)
    return _normed(array, "rms_norm", _norm_tensors(low, a.weight, None), (1, 0), eps, low.source)


# Elementwise.

for _name, _function in {
    "relu": "relu", "silu": "silu", "sigmoid": "sigmoid", "tanh": "tanh", "mish": "mish", "exp": "exp", "log": "log", "sqrt": "sqrt",
    "sin": "sin", "cos": "cos", "abs": "abs", "square": "square", "reciprocal": "reciprocal", "floor": "floor", "erf": "erf", "hardswish": "hardswish",
}.items():  # fmt: skip
    OPERATIONS[_name] = lambda low, a, name=_function: function(a.self, name, source=low.source)


@operation("gelu")
def _gelu(low: Lowering, a: SimpleNamespace) -> Array:
    return function(a.self, "gelu_tanh" if a.approximate == "tanh" else "gelu", source=low.source)


@operation("leaky_relu")
def _leaky_relu(low: Lowering, a: SimpleNamespace) -> Array:
    return function(a.self, "leaky_relu", float(a.negative_slope), source=low.source)


@operation("elu", "celu", "selu")
def _elu(low: Lowering, a: SimpleNamespace) -> Array:
    name = name_of(low._node)
    if name == "celu" and a.alpha != 1:
        raise Unsupported("only with alpha 1.")
    alpha, scale = (1.6732632423543772, 1.0507009873554805) if name == "selu" else (a.alpha, getattr(a, "scale", 1))
    return scaled(function(a.self, "elu", float(alpha), source=low.source), float(scale), 0.0, low.source)


@operation("softplus")
def _softplus(low: Lowering, a: SimpleNamespace) -> Array:
    inside = function(scaled(a.self, float(a.beta), 0.0, low.source), "softplus", source=low.source)
    return scaled(inside, 1 / float(a.beta), 0.0, low.source)


@operation("rsqrt")
def _rsqrt(low: Lowering, a: SimpleNamespace) -> Array:
    return function(a.self, "power", -0.5, source=low.source)


@operation("expm1", "log1p", "exp2")
def _near_one(low: Lowering, a: SimpleNamespace) -> Array:
    name = name_of(low._node)
    if name == "expm1":
        return scaled(function(a.self, "exp", source=low.source), 1.0, -1.0, low.source)
    if name == "log1p":
        return function(scaled(a.self, 1.0, 1.0, low.source), "log", source=low.source)
    return function(scaled(a.self, float(np.log(2)), 0.0, low.source), "exp", source=low.source)


@operation("log10", "log2")
def _log_of_base(low: Lowering, a: SimpleNamespace) -> Array:
    return scaled(function(a.self, "log", source=low.source), 1 / float(np.log(10 if name_of(low._node) == "log10" else 2)), 0.0, low.source)


@operation("pow")
def _pow(low: Lowering, a: SimpleNamespace) -> Array:
    base, exponent = single(a.self), single(a.exponent)
    if base is not None and base > 0:  # base ** x, as e ** (x ln base)
        return function(scaled(a.exponent, float(np.log(base)), 0.0, low.source), "exp", source=low.source)
    if exponent is None:
        raise Unsupported("powers with an exponent that is computed.")
    named = {2.0: "square", 0.5: "sqrt", -1.0: "reciprocal", 1.0: "identity"}
    if exponent in named:
        return a.self if exponent == 1 else function(a.self, named[exponent], source=low.source)
    return function(a.self, "power", exponent, source=low.source)


@operation("neg")
def negated(low: Lowering, a: SimpleNamespace) -> Array:
    return scaled(a.self, -1.0, 0.0, low.source)


def _difference_to_largest(left: Array, right: Any) -> Array | None:
    """A softmax is the same for numbers less their largest, which some networks take away themselves."""
    return left if isinstance(right, Largest) and right.of is left else None


@operation("add", "sub", "rsub")
def _add(low: Lowering, a: SimpleNamespace) -> Array:
    alpha = float(getattr(a, "alpha", 1))
    left, right, sign = a.self, a.other, 1.0 if name_of(low._node) == "add" else -1.0
    if name_of(low._node) == "rsub":
        left, right = right, left
    if sign < 0 and (same := _difference_to_largest(left, right)) is not None:
        return same
    left, right = (each.materialised() if isinstance(each, Largest) else each for each in (left, right))
    sign *= alpha
    for one, other, of_one, of_other in ((left, right, 1.0, sign), (right, left, sign, 1.0)):
        number = single(other)
        if isinstance(one, Array) and number is not None and not _widens(other, one):
            return scaled(one, of_one, of_other * number, low.source)
        if isinstance(one, Product) and not one.over and of_one == 1 and not _widens(other, one):
            summand = low.array(other).materialised()
            return masked(one, summand if of_other == 1 else scaled(summand, of_other, 0.0, low.source).materialised(), low.source)
    left, right = low.array(left), low.array(right)
    if sign in (1.0, -1.0):
        return binary("add" if sign > 0 else "sub", left, right, low.source)
    return binary("add", left, scaled(right, sign, 0.0, low.source), low.source)


def _widens(other: Any, array: Array) -> bool:
    """Does broadcasting give the array more axes, or longer ones?"""
    shape = tuple(other.shape) if isinstance(other, (torch.Tensor, Array)) else ()
    return torch.broadcast_shapes(shape, array.shape) != array.shape


@operation("mul", "div", "true_divide")
def _mul(low: Lowering, a: SimpleNamespace) -> Array:
    divide = name_of(low._node) != "mul"
    if getattr(a, "rounding_mode", None) not in (None, "floor"):
        raise Unsupported("division that rounds towards zero.")
    left, right = a.self, a.other
    number = single(right)
    if number is not None and isinstance(left, Array) and not _widens(right, left):
        result = scaled(left, 1 / number if divide else number, 0.0, low.source)
    elif not divide and single(left) is not None and not _widens(left, right):
        result = scaled(right, single(left), 0.0, low.source)
    elif divide and single(left) is not None and not _widens(left, right):
        result = scaled(function(right, "reciprocal", source=low.source), single(left), 0.0, low.source)
    elif divide and isinstance(right, torch.Tensor):
        result = binary("mul", left, low.array(1 / right), low.source)
    else:
        result = binary("div" if divide else "mul", low.array(left), low.array(right), low.source)
    return function(result, "floor", source=low.source) if getattr(a, "rounding_mode", None) == "floor" else result


@operation("addcmul")
def _addcmul(low: Lowering, a: SimpleNamespace) -> Array:
    product = scaled(binary("mul", low.array(a.tensor1), low.array(a.tensor2), low.source), float(a.value), 0.0, low.source)
    return binary("add", low.array(a.self), product, low.source)


@operation("lerp")
def _lerp(low: Lowering, a: SimpleNamespace) -> Array:
    start, end = low.array(a.self), low.array(a.end)
    weight = single(a.weight)
    if weight is not None:
        return binary("add", scaled(start, 1 - weight, 0.0, low.source), scaled(end, weight, 0.0, low.source), low.source)
    return binary("add", start, binary("mul", binary("sub", end, start, low.source), low.array(a.weight), low.source), low.source)


@operation("maximum", "minimum", "max", "min")
def _extreme(low: Lowering, a: SimpleNamespace) -> Array:
    if not hasattr(a, "other"):
        raise Unsupported("the largest of all; along an axis (amax) it is possible.")
    name = "max" if name_of(low._node).startswith("max") else "min"
    return binary(name, low.array(a.self), low.array(a.other), low.source)


@operation("clamp", "clamp_min", "clamp_max", "hardtanh")
def _clamp(low: Lowering, a: SimpleNamespace) -> Array:
    result = a.self
    if getattr(a, "min", getattr(a, "min_val", None)) is not None:
        result = binary("max", result, low.array(getattr(a, "min", getattr(a, "min_val", None))), low.source)
    if getattr(a, "max", getattr(a, "max_val", None)) is not None:
        result = binary("min", result, low.array(getattr(a, "max", getattr(a, "max_val", None))), low.source)
    return result


@operation("relu6")
def _relu6(low: Lowering, a: SimpleNamespace) -> Array:
    return _clamp(low, SimpleNamespace(self=a.self, min=0.0, max=6.0))


@operation("prelu", "_prelu_kernel")
def _prelu(low: Lowering, a: SimpleNamespace) -> Array:
    slope = single(a.weight)
    if slope is not None:
        return function(a.self, "leaky_relu", slope, source=low.source)
    weight = a.weight.reshape(-1, *([1] * (len(a.self.axes) - 2)))
    below = binary("mul", binary("min", a.self, low.array(0.0), low.source), low.array(weight), low.source)
    return binary("add", function(a.self, "relu", source=low.source), below, low.source)


@operation("glu")
def _glu(low: Lowering, a: SimpleNamespace) -> Array:
    dim = axis_index(a.self, a.dim)
    half = a.self.shape[dim] // 2
    array = a.self.materialised()
    value, gate = (sliced(low, array, dim, start, half) for start in (0, half))
    return binary("mul", value, function(gate, "sigmoid", source=low.source), low.source)


@operation("where", "masked_fill")
def _where(low: Lowering, a: SimpleNamespace) -> Array:
    if name_of(low._node) == "where":
        condition, kept, other = a.condition, a.self, a.other
    else:
        condition, kept, other = a.mask, a.value, a.self
    if isinstance(condition, torch.Tensor):
        condition = condition.float()
        for product, filler, where in ((other, kept, condition), (kept, other, 1 - condition)):
            number = single(filler)
            if isinstance(product, Product) and not product.over and number is not None and number <= -1e4 and not _widens(where, product):
                return masked(product, low.array(where * max(number, NEVER)).materialised(), low.source)
    mask = low.array(condition)
    inverse = scaled(mask, -1.0, 1.0, low.source) if isinstance(condition, Array) else low.array(1 - condition)
    for each in (kept, other):
        if single(each) is not None and not np.isfinite(single(each)):
            raise Unsupported("filling with infinity outside of attention.")
    parts = []
    for each, where in ((kept, mask), (other, inverse)):
        if single(each) != 0:
            parts.append(where if single(each) == 1 else binary("mul", low.array(each), where, low.source))
    return parts[0] if len(parts) == 1 else binary("add", *parts, low.source)
