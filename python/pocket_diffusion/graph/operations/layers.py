"""Products: linear layers, convolutions, attention."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch

from pocket_diffusion.graph.ir import Value
from pocket_diffusion.graph.layout import (
    Array,
    Factor,
    Stored,
    as_map,
    axis_of,
    channels_last,
    of_map,
    view,
)  # fmt: skip
from pocket_diffusion.graph.lower import ADVICE, NEVER, Lowering, Unsupported, axis_index, name_of, operation
from pocket_diffusion.graph.operations.maps import many_pictures, one_picture, pair
from pocket_diffusion.graph.operations.shapes import expand
from pocket_diffusion.graph.products import binary, contract, masked, scaled, softmax


def linear(low: Lowering, array: Array, axis: int, rows: torch.Tensor, bias: Any, layout: Any, origin: torch.Tensor) -> Stored:
    """`rows` [out, in] times the array's axis, which becomes one of `out`."""
    array = channels_last(array, axis)
    tensors = (low.weight(rows, "weight", origin, layout), low.vector(bias, "bias")) if bias is not None else (low.weight(rows, "weight", origin, layout),)
    value = Value("linear", (array.value,), tensors, (rows.shape[0], 0), source=low.source)
    new = axis_of(rows.shape[0])
    order = (*(each for each in array.order if each not in set(array.axes[axis])), *new)
    return Stored(tuple(new if n == axis else each for n, each in enumerate(array.axes)), value, order)


@operation("linear")
def _linear(low: Lowering, a: SimpleNamespace) -> Array:
    if not isinstance(a.weight, torch.Tensor):
        raise Unsupported("weights that are computed from x, t or y.")
    bias = a.bias if isinstance(a.bias, (torch.Tensor, type(None))) else None
    result = linear(low, low.array(a.input), len(low.array(a.input).axes) - 1, a.weight, bias, "linear", a.weight)
    return result if bias is a.bias else binary("add", result, a.bias, low.source)


@operation("addmm")
def _addmm(low: Lowering, a: SimpleNamespace) -> Array:
    product = _matmul(low, SimpleNamespace(self=a.mat1, other=a.mat2))
    return binary("add", product, low.array(a.self), low.source)


@operation("matmul", "mm", "bmm")
def _matmul(low: Lowering, a: SimpleNamespace) -> Array:
    left, right = a.self, a.other if hasattr(a, "other") else a.mat2
    if isinstance(right, torch.Tensor) and right.ndim == 2:
        return linear(low, left, len(left.axes) - 1, right.T, None, "matmul", right)
    left, right = low.array(left), low.array(right)
    ranks = len(left.axes), len(right.axes)
    if min(ranks) < 2:
        raise Unsupported("products of vectors; give them two axes.")
    letters = "abcdefgh"[: max(ranks) - 2]
    of_left = letters[len(letters) - ranks[0] + 2 :] + "mk"
    of_right = letters[len(letters) - ranks[1] + 2 :] + "kn"
    # An axis of 1 of one side is repeated for the other.
    left, right = _same_batch(left, right, of_left, of_right)
    return contract(left, right, of_left, of_right, letters + "mn", low.source)


def _same_batch(left: Array, right: Array, of_left: str, of_right: str) -> tuple[Array, Array]:
    for letter in set(of_left) & set(of_right) - set("mkn"):
        sizes = left.shape[of_left.index(letter)], right.shape[of_right.index(letter)]
        if sizes[0] != sizes[1]:
            repeat = lambda array, letters, n, letter=letter: array.materialised().with_axes(  # noqa: E731
                (Factor(n),) if i == letters.index(letter) else axis for i, axis in enumerate(array.axes)
            )
            left, right = (repeat(left, of_left, sizes[1]), right) if sizes[0] == 1 else (left, repeat(right, of_right, sizes[0]))
    return left, right


@operation("ger", "outer")
def _outer(low: Lowering, a: SimpleNamespace) -> Array:
    left, right = low.array(a.self), low.array(a.vec2)
    return binary("mul", left.with_axes((left.axes[0], ())), right.with_axes(((), right.axes[0])), low.source)


@operation("channel_shuffle", "native_channel_shuffle")
def _channel_shuffle(_: Lowering, a: SimpleNamespace) -> Array:
    shape = a.self.shape
    split = view(a.self, [shape[0], a.groups, shape[1] // a.groups, *shape[2:]])
    return view(split.with_axes((split.axes[0], split.axes[2], split.axes[1], *split.axes[3:])), shape)


@operation("einsum")
def _einsum(low: Lowering, a: SimpleNamespace) -> Array:
    equation = a.equation.replace(" ", "")
    operands, _, result = equation.partition("->")
    letters = operands.split(",")
    if len(letters) == 1 and sorted(letters[0]) == sorted(result) and "." not in result:
        (array,) = a.tensors
        return array.with_axes(array.axes[letters[0].index(each)] for each in result)
    if len(letters) != 2 or "." in equation or not result:
        raise Unsupported("einsum of two operands, with letters for all axes and a result, is possible.")
    left, right = a.tensors
    for first, second, of_first, of_second in ((left, right, *letters), (right, left, *letters[::-1])):
        shared = set(of_first) & set(of_second)
        if isinstance(second, torch.Tensor) and second.ndim == 2 and len(shared) == 1 and not shared & set(result):
            (k,) = shared
            out = of_second.replace(k, "")
            rows = second if of_second == out + k else second.T
            found = linear(low, first, of_first.index(k), rows, None, ("einsum", of_second.index(k)), second)
            now = of_first.replace(k, out)
            return found.with_axes(found.axes[now.index(each)] for each in result)
    return contract(low.array(left), low.array(right), *letters, result, low.source)


@operation("scaled_dot_product_attention", "_scaled_dot_product_flash_attention_for_cpu")
def _attention(low: Lowering, a: SimpleNamespace) -> Array:
    q, k, v = (low.array(each) for each in (a.query, a.key, a.value))
    if getattr(a, "enable_gqa", False):
        raise Unsupported("heads that share keys.")
    letters = "abcdefgh"[: len(q.axes) - 2]
    (q, k), (_, v) = _same_batch(q, k, letters + "mk", letters + "nk"), _same_batch(q, v, letters + "mk", letters + "ne")
    factor = a.scale if a.scale is not None else q.shape[-1] ** -0.5
    length = q.shape[-2], k.shape[-2]
    if k.shape[-2] == 1:  # a softmax of one number
        return expand(low, SimpleNamespace(self=v, size=[*q.shape[:-1], v.shape[-1]]))
    scores = scaled(contract(q, k, letters + "mk", letters + "nk", letters + "mn", low.source), factor, 0.0, low.source)
    mask = a.attn_mask
    if getattr(a, "is_causal", False):
        mask = torch.ones(length, dtype=torch.bool).tril()
    if mask is not None:
        if isinstance(mask, torch.Tensor) and mask.dtype == torch.bool:
            mask = torch.zeros(mask.shape).masked_fill(~mask, NEVER)
        scores = masked(scores, low.array(mask).materialised(), low.source)
    return contract(softmax(scores, len(letters) + 1, low.source), v, letters + "mn", letters + "ne", letters + "me", low.source)


@operation("softmax", "_softmax")
def _softmax(low: Lowering, a: SimpleNamespace) -> Array:
    return softmax(a.self, axis_index(a.self, a.dim), low.source)


@operation("conv2d", "conv1d", "convolution", "conv_transpose2d", "conv_transpose1d")
def _convolution(low: Lowering, a: SimpleNamespace) -> Array:
    if not isinstance(a.weight, torch.Tensor):
        raise Unsupported("kernels that are computed from x, t or y. Those that depend on parameters alone are possible.")
    flat = a.weight.ndim == 3
    if a.weight.ndim not in (3, 4):
        raise Unsupported(ADVICE["conv3d"])
    one = lambda value, default: (default, pair(value, default)[1]) if flat else pair(value, default)  # noqa: E731
    stride, dilation = one(a.stride, 1), one(a.dilation, 1)
    name = name_of(low._node)
    transposed = a.transposed if name == "convolution" else name.startswith("conv_transpose")
    if isinstance(a.padding, str):
        total = [d * (k - 1) for d, k in zip(dilation, (1, a.weight.shape[-1]) if flat else a.weight.shape[2:])]
        padding = (0, 0, 0, 0) if a.padding == "valid" else (total[0] // 2, total[1] // 2, -(-total[0] // 2), -(-total[1] // 2))
    else:
        down, across = one(a.padding, 0)
        padding = (down, across, down, across)
    bias = a.bias if isinstance(a.bias, torch.Tensor) else None
    weight = a.weight[:, :, None, :] if flat else a.weight
    groups, count = a.groups, a.input.shape[0]
    if count > 1:  # as so many groups
        groups *= count
        weight = weight.repeat(count, 1, 1, 1)
        bias = None if bias is None else bias.repeat(count)
        origin = weight
    else:
        origin = a.weight
    picture = one_picture(low.array(a.input))
    if transposed:
        output = one(a.output_padding, 0)
        made = _transposed(low, as_map(picture), weight, bias, stride, padding[:2], output, groups, dilation, origin)
        return many_pictures(of_map(made, flat), a.input)
    weight = _dilated(weight, dilation)
    if tuple(weight.shape[2:]) == (1, 1) and stride == (1, 1) and not any(padding) and groups == 1:
        return linear(low, picture, 1, weight[:, :, 0, 0], bias, "conv", origin)
    return many_pictures(of_map(conv(low, as_map(picture), weight, bias, stride, padding, groups, origin), flat), a.input)


def _dilated(weight: torch.Tensor, dilation: tuple[int, int]) -> torch.Tensor:
    """With zeros between the taps."""
    if dilation == (1, 1):
        return weight
    height, width = ((size - 1) * by + 1 for size, by in zip(weight.shape[2:], dilation))
    result = weight.new_zeros(*weight.shape[:2], height, width)
    result[:, :, :: dilation[0], :: dilation[1]] = weight
    return result


def conv(
    low: Lowering,
    value: Value,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    groups: int,
    origin: torch.Tensor,
) -> Value:
    rows = weight.permute(0, 2, 3, 1).reshape(weight.shape[0], -1)
    tensors = [low.weight(rows, "weight", origin, "conv")]
    if bias is not None:
        tensors.append(low.vector(bias, "bias"))
    integers = (weight.shape[0], *weight.shape[2:], *stride, *padding, 0, groups, 1, 0)
    return Value("conv", (value,), tuple(tensors), integers, source=low.source)


def _transposed(low, value, weight, bias, stride, padding, output, groups, dilation, origin) -> Value:
    if dilation != (1, 1):
        raise Unsupported("transposed convolutions with dilation.")
    if groups > 1:
        return _transposed_in_groups(low, value, weight, bias, stride, padding, output, groups)
    rows = weight.permute(2, 3, 1, 0).reshape(-1, weight.shape[0])
    tensors = [low.weight(rows, "weight", origin, "transposed")]
    if bias is not None:
        tensors.append(low.vector(bias, "bias"))
    integers = (weight.shape[1], *weight.shape[2:], *stride, *padding, *output, 0)
    return Value("conv_transpose", (value,), tuple(tensors), integers, source=low.source)


def _transposed_in_groups(low, value, weight, bias, stride, padding, output, groups) -> Value:
    """A convolution that makes the s x s numbers of each place as channels, and a rearrangement of these."""
    s = stride[0]
    size = [(length - 1) * s - 2 * p + k + o for length, p, k, o in zip(value.shape, padding, weight.shape[2:], output)]
    if stride[0] != stride[1] or size != [s * value.shape[0], s * value.shape[1]]:
        raise Unsupported("transposed convolutions in groups other than those that multiply the size by the stride.")
    out = weight.shape[1]  # of a group
    # Number i of place q, at s q + i, has taps k = i + p - s m of the inputs at q + m.
    low_m = [-((k - 1 - p) // s) if k - 1 - p >= 0 else 0 for k, p in zip(weight.shape[2:], padding)]
    high_m = [(s - 1 + p) // s for p in padding]
    low_m = [min(m, 0) for m in low_m]
    span = [high - low_ + 1 for low_, high in zip(low_m, high_m)]
    kernel = weight.new_zeros(groups * out, s, s, weight.shape[0] // groups, *span)
    grouped = weight.reshape(groups, -1, out, *weight.shape[2:]).transpose(1, 2).reshape(groups * out, -1, *weight.shape[2:])
    for i in range(s):
        for j in range(s):
            for m in range(span[0]):
                for n in range(span[1]):
                    k, q = i + padding[0] - s * (m + low_m[0]), j + padding[1] - s * (n + low_m[1])
                    if 0 <= k < weight.shape[2] and 0 <= q < weight.shape[3]:
                        kernel[:, i, j, :, m, n] = grouped[:, :, k, q]
    kernel = kernel.reshape(groups * out * s * s, weight.shape[0] // groups, *span)
    repeated = None if bias is None else bias.repeat_interleave(s * s)
    made = conv(low, value, kernel, repeated, (1, 1), (-low_m[0], -low_m[1], high_m[0], high_m[1]), groups, kernel)
    return made if s == 1 else Value("pixel_shuffle", (made,), integers=(s,), source=low.source)
