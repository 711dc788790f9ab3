"""Operations that the engine does at once, recognised in what is left of a network; and what costs nothing left out.

Every rule looks at one value and what it is made from, and returns another that is equal to it, or None. A value that
others need too is not made a part of another one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from pocket_diffusion.graph.interpreter import evaluate
from pocket_diffusion.graph.ir import FUNCTION_AT, FUNCTIONS, NORMS, RESIDUAL_AT, Value, Weight, in_order, use_counts
from pocket_diffusion.graph.layout import permute, reshape

PRODUCTS = ("linear", "conv", "conv_transpose")
MOST_ROUNDS = 12


@dataclass
class Rules:
    """One round over a graph. `names`: of tensors, for those that are made."""

    counts: dict[int, int]
    made: dict[int, Value]
    names: set[str]

    def once(self, value: Value) -> bool:
        """Is this value read once alone?"""
        return self.counts.get(id(value), 0) == 1

    def bare(self, value: Value | None, names: Sequence[str]) -> bool:
        """One of these, read once alone, that neither ends in a function nor adds a residual."""
        return value is not None and value.name in names and self.once(value) and not value.function and value.residual is None

    def weight(self, weight: Weight, rows: torch.Tensor) -> Weight:
        base = weight.name.rsplit("'", 1)[0] if "'" in weight.name else weight.name
        number = 1
        while (name := f"{base}'{number}") in self.names:
            number += 1
        self.names.add(name)
        return Weight(name, rows.contiguous())


def fused(output: Value) -> Value:
    """The same graph with as few operations as the rules can reach."""
    for _ in range(MOST_ROUNDS):
        new = _round(output)
        if new is output:
            return output
        output = new
    return output


def _round(output: Value) -> Value:
    values = in_order(output)
    counts = use_counts(output)
    rules = Rules(dict(counts), {}, {each.name for value in values for each in value.tensors if each is not None})
    alike: dict[tuple, Value] = {}
    changed = False
    for value in values:
        new = value
        inputs = tuple(None if each is None else rules.made[id(each)] for each in value.inputs)
        if any(a is not b for a, b in zip(inputs, value.inputs)):
            new = value.but(inputs=inputs)
        for rule in RULES:
            other = rule(rules, new)
            if other is not None:
                new = other
                break
        new = alike.setdefault(_key(new), new)
        changed = changed or new is not value
        rules.counts[id(new)] = rules.counts.get(id(new), 0) * (new is not value) + counts[id(value)]
        rules.made[id(value)] = new
    return rules.made[id(output)] if changed else output


def _key(value: Value) -> tuple:
    return value.name, tuple(map(id, value.inputs)), tuple(map(id, value.tensors)), value.integers, value.reals


# ---- helpers ----------------------------------------------------------------------


def with_function(value: Value, number: int, reals: Sequence[float] = ()) -> Value:
    integers = list(value.integers)
    integers[FUNCTION_AT[value.name]] = number
    return value.but(integers=tuple(integers), reals=(*value.reals, *reals))


def with_residual(value: Value, residual: Value) -> Value:
    position = RESIDUAL_AT[value.name]
    return value.but(inputs=(*value.inputs, *([None] * (position - len(value.inputs))), residual))


def constant(value: Value | None) -> torch.Tensor | None:
    return value.tensors[0].rows.reshape(value.integers) if value is not None and value.name == "constant" else None


def number(value: Value | None) -> float | None:
    tensor = constant(value)
    return float(tensor.reshape(-1)[0]) if tensor is not None and tensor.numel() == 1 else None


def vector_of(value: Value | None, channels: int) -> torch.Tensor | None:
    """A constant with a number for each channel."""
    tensor = constant(value)
    if tensor is None or tensor.numel() not in (1, channels) or (tensor.numel() > 1 and tensor.shape[-1] != channels):
        return None
    return tensor.reshape(-1).expand(channels)


def is_vector(value: Value, channels: int) -> bool:
    """A number for each channel, the same at all positions."""
    return value.channels == channels and value.shape[-1:] == (channels,) and all(length == 1 for length in value.shape[:-1])


def either(value: Value) -> tuple[tuple[Value, Value], tuple[Value, Value]]:
    a, b = value.inputs
    return (a, b), (b, a)


def is_function(value: Value | None, name: str) -> bool:
    return value is not None and value.name == "function" and value.integers[0] == FUNCTIONS[name]


# ---- rules ---------------------------------------------------------------------------


def fold_constants(rules: Rules, value: Value) -> Value | None:
    if value.name in ("constant", "time", "x", "class", "time_row") or not value.inputs or any(constant(each) is None for each in value.inputs):
        return None
    result = evaluate(value, [constant(each) for each in value.inputs])
    first = next(each for each in value.inputs if each is not None)
    return Value(
        "constant", tensors=(rules.weight(first.tensors[0], result.reshape(-1).float()),), integers=value.shape, source=value.source, serial=value.serial
    )


def moves(_: Rules, value: Value) -> Value | None:
    """Rearrangements of rearrangements, and those that change nothing."""
    if value.name == "reshape":
        found = reshape(value.inputs[0], value.integers)
        return None if found.name == "reshape" and found.inputs[0] is value.inputs[0] else found
    if value.name == "permute":
        inner = value.inputs[0]
        if inner.name == "permute":
            return permute(inner.inputs[0], [inner.integers[axis] for axis in value.integers])
        return inner if list(value.integers) == list(range(len(value.integers))) else None
    if value.name == "expand" and value.shape == value.inputs[0].shape:
        return value.inputs[0]
    if value.name == "slice" and value.shape == value.inputs[0].shape:
        return value.inputs[0]
    return None


def concatenations(rules: Rules, value: Value) -> Value | None:
    if value.name != "concat":
        return None
    parts: list[Value] = []
    for each in value.inputs:
        inner = each.name == "concat" and each.integers == value.integers and rules.once(each)
        parts.extend(each.inputs if inner else (each,))
    return value.but(inputs=tuple(parts)) if len(value.inputs) < len(parts) <= 64 else None


def names_of_functions(_: Rules, value: Value) -> Value | None:
    """x sigmoid(x), and gelu written out."""
    if value.name != "mul":
        return None
    for a, b in either(value):
        if is_function(b, "sigmoid"):
            if b.inputs[0] is a:
                return Value("function", (a,), integers=(FUNCTIONS["silu"],), source=value.source, serial=value.serial)
            inner = b.inputs[0]
            if inner.name == "scale" and inner.inputs[0] is a and abs(inner.reals[0] - 1.702) < 1e-6 and inner.reals[1] == 0:
                return Value("function", (a,), integers=(FUNCTIONS["quick_gelu"],), source=value.source, serial=value.serial)
        if is_function(b, "tanh") and is_function(b.inputs[0], "softplus") and b.inputs[0].inputs[0] is a:
            return Value("function", (a,), integers=(FUNCTIONS["mish"],), source=value.source, serial=value.serial)
    return None


def end_in_function(rules: Rules, value: Value) -> Value | None:
    if value.name != "function" or not rules.bare(value.inputs[0], [name for name in FUNCTION_AT if name != "function"]):
        return None
    return with_function(value.inputs[0], value.integers[0], value.reals).but(serial=value.serial)


def scales(rules: Rules, value: Value) -> Value | None:
    """m a + c as a part of what makes a, or of what takes it."""
    if value.name != "scale":
        return None
    a, (m, c) = value.inputs[0], value.reals
    if (m, c) == (1, 0):
        return a
    if a.name == "scale" and rules.once(a):
        return a.but(reals=(m * a.reals[0], m * a.reals[1] + c), serial=value.serial)
    if rules.bare(a, (*PRODUCTS, "affine")) or (rules.bare(a, NORMS) and a.input(1) is None and a.input(2) is None):
        return _times_and_plus(rules, a, torch.full((a.channels,), m), torch.full((a.channels,), c), value)
    if c == 0 and a.name in ("matmul", "attention", "linear_attention") and rules.once(a):
        if a.name == "attention":
            return None
        return a.but(reals=(a.reals[0] * m,), serial=value.serial)
    return None


def _times_and_plus(rules: Rules, a: Value, gain: torch.Tensor, bias: torch.Tensor, value: Value) -> Value:
    """a * gain + bias, in the tensors of a. The columns of a weight that several operations share are made anew."""
    if a.name in PRODUCTS:
        tensors = [a.tensors[0], a.tensor(1)]
        if not torch.equal(gain, torch.ones_like(gain)):
            rows = a.tensors[0].rows
            wide = gain.repeat(len(rows) // len(gain)) if a.name == "conv_transpose" else gain
            tensors[0] = rules.weight(tensors[0], rows * wide[:, None])
        old = torch.zeros_like(bias) if tensors[1] is None else tensors[1].rows
        new = old * gain + bias
        tensors[1] = None if not new.any() else rules.weight(tensors[1] or Weight(f"{tensors[0].name}:bias", new), new)
        return a.but(tensors=tuple(tensors) if tensors[1] is not None else (tensors[0],), serial=value.serial)
    tensors = [a.tensor(0), a.tensor(1)]
    old_gain = torch.ones_like(gain) if tensors[0] is None else tensors[0].rows
    old_bias = torch.zeros_like(bias) if tensors[1] is None else tensors[1].rows
    name = next((each.name for each in tensors if each is not None), f"{a.source}.gain")
    new = [old_gain * gain, old_bias * gain + bias]
    made = [None if a.name != "affine" and torch.equal(new[0], torch.ones_like(gain)) else rules.weight(tensors[0] or Weight(name, new[0]), new[0]),
            None if a.name != "affine" and not new[1].any() else rules.weight(tensors[1] or Weight(f"{name}:bias", new[1]), new[1])]  # fmt: skip
    while made and made[-1] is None:
        made.pop()
    return a.but(tensors=tuple(made), serial=value.serial)


def vectors(rules: Rules, value: Value) -> Value | None:
    """Products and sums with a vector of channels: gains, biases, and what is computed for each picture."""
    if value.name not in ("mul", "add", "sub"):
        return None
    times = value.name == "mul"
    for a, b in either(value) if value.name != "sub" else (value.inputs,):
        if a.shape != value.shape:
            continue
        known = vector_of(b, a.channels)
        if known is not None and number(b) is not None and rules.once(a) is False:
            return _scale_by(a, number(b), value)
        if known is not None:
            known = -known if value.name == "sub" else known
            ones, zeros = torch.ones(a.channels), torch.zeros(a.channels)
            gain, bias = (known, zeros) if times else (ones, known)
            if rules.bare(a, (*PRODUCTS, "affine")) or (rules.bare(a, NORMS) and a.input(1) is None and a.input(2) is None):
                return _times_and_plus(rules, a, gain, bias, value)
            if number(b) is not None:
                return _scale_by(a, number(b), value)
            if b.shape[-1] == a.channels:
                tensors = (rules.weight(b.tensors[0], gain), rules.weight(b.tensors[0], bias))
                return Value("affine", (a,), tensors, (0,), source=value.source, serial=value.serial)
        if value.name == "sub" or not rules.bare(a, NORMS) or not is_vector(b, a.channels):
            continue
        if times and a.input(1) is None and a.input(2) is None:
            return a.but(inputs=(a.inputs[0], _flat(b)), serial=value.serial)
        if not times and a.input(2) is None:
            return a.but(inputs=(a.inputs[0], a.input(1), _flat(b)), serial=value.serial)
    return None


def _scale_by(a: Value, factor: float, value: Value) -> Value:
    reals = (factor, 0.0) if value.name == "mul" else (1.0, -factor if value.name == "sub" else factor)
    return Value("scale", (a,), reals=reals, source=value.source, serial=value.serial)


def _flat(value: Value) -> Value:
    return reshape(value, (value.channels,))


def residuals(rules: Rules, value: Value) -> Value | None:
    """Sums of what the engine can add at once: convolutions first, then norms."""
    if value.name != "add":
        return None
    pairs = [
        (a, b) for a, b in either(value) if a is not b and a.shape == b.shape == value.shape and a.name in RESIDUAL_AT and rules.once(a) and a.residual is None
    ]
    pairs.sort(key=lambda pair: (pair[0].name in NORMS, pair[0].name == "affine", -pair[0].serial))
    for a, b in pairs:
        if constant(b) is None:
            return with_residual(a, b).but(serial=value.serial)
    return None


def gated(rules: Rules, value: Value) -> Value | None:
    """a + gate * b"""
    if value.name != "add":
        return None
    for a, product in either(value):
        if product.name != "mul" or not rules.once(product) or a.shape != value.shape or product.shape != value.shape:
            continue
        for b, gate in either(product):
            if b.shape == value.shape and gate.shape != value.shape:
                return Value("gated_add", (a, b, gate), source=value.source, serial=value.serial)
    return None


def ahead_of_convolution(_: Rules, value: Value) -> Value | None:
    """Doubling and padding as parts of the convolution behind them."""
    if value.name != "conv":
        return None
    a, integers = value.inputs[0], list(value.integers)
    if a.name == "nearest" and a.integers == (2, 2) and integers[11] == 1:
        integers[11] = 2
        return value.but(inputs=(a.inputs[0], *value.inputs[1:]), integers=tuple(integers))
    if a.name == "pad" and integers[11] == 1:
        kind, own = a.integers[4], any(integers[5:9])
        if own and (kind or integers[9]):
            return None
        integers[5:9] = [mine + before for mine, before in zip(integers[5:9], a.integers[:4])]
        integers[9] = kind
        return value.but(inputs=(a.inputs[0], *value.inputs[1:]), integers=tuple(integers))
    return None


def into_attention(_: Rules, value: Value) -> Value | None:
    """Factors of queries, keys and, where it is linear, values."""
    if value.name not in ("attention", "linear_attention"):
        return None
    linear = value.name == "linear_attention"
    soft = linear and value.integers[1]
    for k in (2,) if soft else (0, 1, 2) if linear else (0, 1):
        each = value.inputs[k]
        moved = each.name == "reshape"
        each = each.inputs[0] if moved else each
        if each.name == "scale" and each.reals[1] == 0:
            inner = reshape(each.inputs[0], value.inputs[k].shape) if moved else each.inputs[0]
            inputs = [*value.inputs[:k], inner, *value.inputs[k + 1 :]]
            return value.but(inputs=tuple(inputs), reals=(value.reals[0] * each.reals[0],))
    return None


def root_of_mean(value: Value | None) -> tuple[Value, float, float, bool] | None:
    """(a, factor, eps, inverse) of factor √(mean of a² + eps), or 1 over the root times the factor, over channels."""
    if is_function(value, "sqrt"):
        inverse, inner = False, value.inputs[0]
    elif is_function(value, "power") and value.reals[0] == -0.5:
        inverse, inner = True, value.inputs[0]
    elif is_function(value, "reciprocal") and is_function(value.inputs[0], "sqrt"):
        inverse, inner = True, value.inputs[0].inputs[0]
    else:
        return None
    eps, factor = 0.0, 1.0
    if inner.name == "scale" and inner.reals[0] > 0:  # such as n / (n - 1) for an unbiased variance
        factor = inner.reals[0] ** (-0.5 if inverse else 0.5)
        inner, eps = inner.inputs[0], inner.reals[1] / inner.reals[0]
    if inner.name == "reshape":
        inner = inner.inputs[0]
    if inner.name == "reduce" and inner.integers[0] in (1, 3) and inner.integers[1:] == (len(inner.inputs[0].shape) - 1,):
        square = inner.inputs[0]
        if inner.integers[0] == 3:
            return square, factor, eps, inverse
        if is_function(square, "square"):
            return square.inputs[0], factor, eps, inverse
        if square.name == "mul" and square.inputs[0] is square.inputs[1]:
            return square.inputs[0], factor, eps, inverse
    return None


def _is_variance(value: Value) -> bool:
    while value.name != "reduce":
        value = value.inputs[0]
    return value.integers[0] == 3


def _factors(value: Value, channels: int) -> tuple[Value, float, Value | None]:
    """(a number for each position, number, None or a vector of channels), whose product this is."""
    factor, gain = 1.0, None
    while True:
        if value.name == "reshape" and value.shape[-1:] == value.inputs[0].shape[-1:]:
            value = value.inputs[0]
        elif value.name == "scale" and value.reals[1] == 0:
            factor, value = factor * value.reals[0], value.inputs[0]
        elif value.name == "mul" and gain is None and channels > 1 and value.channels == channels:
            found = next(((a, b) for a, b in either(value) if a.shape[-1:] == (1,) and is_vector(b, channels)), None)
            if found is None:
                return value, factor, gain
            value, gain = found
        else:
            return value, factor, gain


def norms(rules: Rules, value: Value) -> Value | None:
    """Norms over channels, written out."""
    if value.name not in ("mul", "div"):
        return None
    for a, b in either(value) if value.name == "mul" else (value.inputs,):
        root, times, gain = _factors(b, a.channels) if value.name == "mul" else (b, 1.0, None)
        found = root_of_mean(root)
        if found is not None and found[3] == (value.name == "mul") and a.shape == value.shape:
            source, factor, eps, inverse = found
            name, integers = ("layer_norm", (0,)) if _is_variance(root) else ("rms_norm", (1, 0))
            if _is_without_mean(a, source) if name == "layer_norm" else a is source:
                rows = torch.full((a.channels,), times * (factor if inverse else 1 / factor))
                tensors = () if times * factor == 1 else (rules.weight(Weight(f"{value.source}.gain", rows), rows),)
                norm = Value(name, (source,), tensors, integers, (eps,), source=value.source, serial=value.serial)
                return norm if gain is None else Value("mul", (norm, gain), source=value.source, serial=value.serial)
        kind = _length_of(b, a) if value.name == "div" else None
        if kind is not None:
            return Value("rms_norm", (a,), integers=(kind[0], 0), reals=(kind[1],), source=value.source, serial=value.serial)
    return None


def _is_without_mean(value: Value, source: Value) -> bool:
    mean = value.input(1) if value.name == "sub" and value.inputs[0] is source else None
    mean = mean.inputs[0] if mean is not None and mean.name == "reshape" else mean
    return mean is not None and mean.name == "reduce" and mean.integers == (1, len(source.shape) - 1) and mean.inputs[0] is source


def _length_of(value: Value, a: Value) -> tuple[int, float] | None:
    """(kind, eps) of max(‖a‖, eps) and eps + ‖a‖ / √C."""

    def is_length(each: Value) -> bool:
        each = each.inputs[0] if each.name == "reshape" else each
        return each.name == "reduce" and each.integers == (4, len(a.shape) - 1) and each.inputs[0] is a

    if value.name == "expand":
        value = value.inputs[0]
    if value.name == "max":
        for length, least in either(value):
            if number(least) is not None and is_length(length):
                return 0, number(least)
    if value.name == "scale" and is_length(value.inputs[0]) and abs(value.reals[0] * a.channels**0.5 - 1) < 1e-5:
        return 2, value.reals[1]
    return None


def no_function(_: Rules, value: Value) -> Value | None:
    if value.name == "function" and value.integers[0] == 0:
        return value.inputs[0]
    return None


def batch_norms(rules: Rules, value: Value) -> Value | None:
    """A batch norm right behind a product is a part of it."""
    if value.name != "affine" or value.function or value.residual is not None or not rules.bare(value.inputs[0], (*PRODUCTS, "affine")):
        return None
    return _times_and_plus(rules, value.inputs[0], value.tensors[0].rows, value.tensors[1].rows, value)


RULES: tuple[Callable[[Rules, Value], Value | None], ...] = (
    fold_constants, moves, concatenations, no_function, names_of_functions, norms, scales, vectors, end_in_function, gated, residuals,
    ahead_of_convolution, into_attention, batch_norms,
)  # fmt: skip
