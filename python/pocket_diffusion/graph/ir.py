"""A network as a list of operations (docs/graph.md), in Python: values that know what they are made from.

A graph is its last value: what it does not depend on is not part of it. Numbers are given when it is written.
"""

import heapq
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch

FUNCTIONS = {
    "identity": 0, "relu": 1, "leaky_relu": 2, "silu": 3, "gelu": 4, "gelu_tanh": 5, "quick_gelu": 6, "sigmoid": 7, "tanh": 8, "mish": 9,
    "softplus": 10, "elu": 11, "exp": 12, "log": 13, "sqrt": 14, "sin": 15, "cos": 16, "abs": 17, "square": 18, "reciprocal": 19,
    "floor": 20, "erf": 21, "power": 22, "hardswish": 23,
}  # fmt: skip
FUNCTION_NAMES = {number: name for name, number in FUNCTIONS.items()}
WITH_PARAMETER = {FUNCTIONS[name] for name in ("leaky_relu", "elu", "power")}
PADDINGS = ("zeros", "reflect", "replicate", "circular")
REDUCTIONS = ("sum", "mean", "max", "variance", "norm")
MAX_OPERATIONS, MAX_RANK, MAX_NAME_BYTES = 4096, 6, 63
MAX_NUMBERS, MAX_AXIS, MAX_CONCATENATED = 1 << 24, 1 << 20, 64
MAX_WORK = 1 << 37


class GraphError(Exception):
    """A network that this vocabulary cannot express, or one that is not what it is said to be. Says what to do."""


@dataclass(eq=False)
class Weight:
    """A tensor of the file: rows [out, in] or a vector; float32."""

    name: str
    rows: torch.Tensor = field(repr=False)


_serial = itertools.count()


@dataclass(eq=False)
class Value:
    """An operation and what it makes: for each image an array of `shape`, channels last."""

    name: str
    inputs: tuple["Value | None", ...] = ()
    tensors: tuple[Weight | None, ...] = ()
    integers: tuple[int, ...] = ()
    reals: tuple[float, ...] = ()
    source: str = ""  # where in the network it comes from, for people
    shape: tuple[int, ...] = ()
    serial: int = -1  # operations are written in this order as far as their inputs allow

    def __post_init__(self) -> None:
        if self.serial < 0:
            self.serial = next(_serial)
        inputs = [each.shape if each is not None else None for each in self.inputs]
        if not self.shape:
            self.shape = infer_shape(self, inputs)

    def but(self, **changes) -> "Value":
        """The same operation with other operands."""
        return replace(self, shape=(), **changes) if self.name != "x" else replace(self, **changes)

    @property
    def channels(self) -> int:
        return self.shape[-1]

    @property
    def function(self) -> int:
        position = FUNCTION_AT.get(self.name)
        return 0 if position is None else self.integers[position]

    @property
    def residual(self) -> "Value | None":
        position = RESIDUAL_AT.get(self.name)
        return None if position is None or position >= len(self.inputs) else self.inputs[position]

    def input(self, k: int) -> "Value | None":
        return self.inputs[k] if k < len(self.inputs) else None

    def tensor(self, k: int) -> Weight | None:
        return self.tensors[k] if k < len(self.tensors) else None


# Where an operation that may end in a function has its number, and which input is the residual.
FUNCTION_AT = {"linear": 1, "conv": 12, "conv_transpose": 9, "group_norm": 1, "layer_norm": 0, "rms_norm": 1, "affine": 0, "function": 0}
RESIDUAL_AT = {"linear": 1, "conv": 1, "conv_transpose": 1, "group_norm": 3, "layer_norm": 3, "rms_norm": 3, "affine": 1}
NORMS = ("group_norm", "layer_norm", "rms_norm")


# ---- shapes -------------------------------------------------------------------


def broadcast(*shapes: Sequence[int]) -> tuple[int, ...]:
    try:
        return tuple(torch.broadcast_shapes(*map(tuple, shapes)))
    except RuntimeError as error:
        raise GraphError(f"shapes {', '.join(map(str, shapes))} do not go together") from error


def _window(size: int, kernel: int, stride: int, padding: int) -> int:
    return (size + padding - kernel) // stride + 1


def infer_shape(value: Value, inputs: Sequence[tuple[int, ...] | None]) -> tuple[int, ...]:
    """The shape that an operation makes of its inputs' shapes; GraphError where they do not fit."""
    shape = _SHAPES[value.name](value, *inputs) if value.name in _SHAPES else inputs[0]
    if value.residual is not None and value.residual.shape != shape:
        raise GraphError(f"{value.name}: the residual is {value.residual.shape}, not {shape}")
    if not 1 <= len(shape) <= MAX_RANK:
        raise GraphError(f"{value.name}: {len(shape)} axes, at most {MAX_RANK} are possible ({value.source})")
    if math.prod(shape) > MAX_NUMBERS or max(shape) > MAX_AXIS or min(shape) < 1:
        raise GraphError(f"{value.name}: a value of shape {shape} is too large ({value.source})")
    return tuple(shape)


def _conv(v, a, *_):
    out, kh, kw, down, across, top, left, bottom, right, _, _, factor = v.integers[:12]
    return (_window(a[0] * factor, kh, down, top + bottom), _window(a[1] * factor, kw, across, left + right), out)


def _conv_transpose(v, a, *_):
    out, kh, kw, down, across, ph, pw, oh, ow = v.integers[:9]
    return ((a[0] - 1) * down - 2 * ph + kh + oh, (a[1] - 1) * across - 2 * pw + kw + ow, out)


def _matmul(v, a, b):
    m, k = a[-2:] if not v.integers[0] else a[:-3:-1]
    k_too, n = b[-2:] if not v.integers[1] else b[:-3:-1]
    if k != k_too:
        raise GraphError(f"matmul: {a} and {b} do not go together")
    return (*broadcast(a[:-2], b[:-2]), m, n)


def _reduce(v, a):
    return tuple(1 if axis in v.integers[1:] else length for axis, length in enumerate(a))


def _reshape(v, a):
    if math.prod(v.integers) != math.prod(a):
        raise GraphError(f"reshape: {a} to {v.integers}")
    return v.integers


def _concat(v, *inputs):
    axis = v.integers[0]
    rest = {(*each[:axis], *each[axis + 1 :]) for each in inputs}
    if len(rest) != 1:
        raise GraphError(f"concat: {inputs} along {axis}")
    return (*inputs[0][:axis], sum(each[axis] for each in inputs), *inputs[0][axis + 1 :])


def _slice(v, a):
    axis, first, length = v.integers
    if not (first >= 0 and length >= 1 and first + length <= a[axis]):
        raise GraphError(f"slice: {first} + {length} of axis {axis} of {a}")
    return (*a[:axis], length, *a[axis + 1 :])


def _average(v, a):
    kh, kw, down, across, ph, pw = v.integers[:6]
    return (_window(a[0], kh, down, 2 * ph), _window(a[1], kw, across, 2 * pw), a[2])


_SHAPES = {
    "time": lambda v: (1,),
    "time_row": lambda v: (v.tensors[0].rows.shape[1],),
    "class": lambda v: (v.tensors[0].rows.shape[1],),
    "constant": lambda v: v.integers,
    "linear": lambda v, a, *_: (*a[:-1], v.integers[0]),
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "matmul": _matmul,
    "attention": lambda v, q, k, value, *_: (*q[:-1], value[-1]),
    "linear_attention": lambda v, q, k, value: (*q[:-1], value[-1]),
    **{name: lambda v, a, b: broadcast(a, b) for name in ("add", "sub", "mul", "div", "min", "max")},
    "reduce": _reduce,
    "reshape": _reshape,
    "permute": lambda v, a: tuple(a[axis] for axis in v.integers),
    "expand": lambda v, a: broadcast(a, v.integers),
    "concat": _concat,
    "slice": _slice,
    "pad": lambda v, a: (a[0] + v.integers[0] + v.integers[2], a[1] + v.integers[1] + v.integers[3], a[2]),
    "nearest": lambda v, a: (a[0] * v.integers[0], a[1] * v.integers[1], a[2]),
    "bilinear": lambda v, a: (v.integers[0], v.integers[1], a[2]),
    "average_pool": _average,
    "max_pool": _average,
    "pixel_shuffle": lambda v, a: (a[0] * v.integers[0], a[1] * v.integers[0], a[2] // v.integers[0] ** 2),
    "pixel_unshuffle": lambda v, a: (a[0] // v.integers[0], a[1] // v.integers[0], a[2] * v.integers[0] ** 2),
}


# ---- work ---------------------------------------------------------------------


def multiplications(value: Value) -> int:
    """Of one evaluation of one image; 0 for what only moves numbers."""
    numbers = math.prod(value.shape)
    if value.name == "linear":
        return numbers * value.inputs[0].channels
    if value.name == "conv":
        return numbers * value.integers[1] * value.integers[2] * value.inputs[0].channels // value.integers[10]
    if value.name == "conv_transpose":
        return math.prod(value.inputs[0].shape) * value.integers[0] * value.integers[1] * value.integers[2]
    if value.name == "matmul":
        return numbers * value.inputs[0].shape[-2 if value.integers[0] else -1]
    if value.name == "attention":
        q, k, v = (each.shape for each in value.inputs[:3])
        return math.prod(q[:-1]) * k[-2] * (q[-1] + v[-1])
    if value.name == "linear_attention":
        q, k, v = (each.shape for each in value.inputs[:3])
        return (math.prod(q[:-1]) + math.prod(k[:-1])) * q[-1] * v[-1] // value.integers[0]
    return 0 if value.name in _MOVES else numbers


_MOVES = {
    "x",
    "time",
    "time_row",
    "class",
    "constant",
    "reshape",
    "permute",
    "expand",
    "concat",
    "slice",
    "flip",
    "pad",
    "nearest",
    "pixel_shuffle",
    "pixel_unshuffle",
}


# ---- graphs -------------------------------------------------------------------


def ancestors(output: Value) -> Iterator[Value]:
    """Every value that `output` needs, itself too, in no order."""
    seen, waiting = set(), [output]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        yield value
        waiting.extend(each for each in value.inputs if each is not None)


def in_order(output: Value) -> list[Value]:
    """The same, each behind its inputs, x first, otherwise by serial."""
    values = list(ancestors(output))
    users: dict[int, list[Value]] = {}
    missing: dict[int, int] = {}
    for value in values:
        inputs = {id(each) for each in value.inputs if each is not None}
        missing[id(value)] = len(inputs)
        for each in inputs:
            users.setdefault(each, []).append(value)
    ready = [(value.name != "x", value.serial, id(value), value) for value in values if not missing[id(value)]]
    heapq.heapify(ready)
    ordered = []
    while ready:
        value = heapq.heappop(ready)[-1]
        ordered.append(value)
        for user in users.get(id(value), ()):
            missing[id(user)] -= 1
            if not missing[id(user)]:
                heapq.heappush(ready, (True, user.serial, id(user), user))
    return ordered


def use_counts(output: Value) -> dict[int, int]:
    counts: dict[int, int] = {id(output): 1}
    for value in ancestors(output):
        for each in value.inputs:
            if each is not None:
                counts[id(each)] = counts.get(id(each), 0) + 1
    return counts


def as_text(output: Value) -> str:
    """A line for each operation: its number, what it is, its operands and its shape."""
    values = in_order(output)
    number = {id(value): i for i, value in enumerate(values)}
    lines = []
    for i, value in enumerate(values):
        operands = ["-" if each is None else f"%{number[id(each)]}" for each in value.inputs]
        operands += ["-" if each is None else each.name for each in value.tensors]
        function = f" {FUNCTION_NAMES[value.function]}" if value.function else ""
        numbers = [*map(str, value.integers), *(f"{real:g}" for real in value.reals)]
        lines.append(
            f"%{i} = {value.name}({', '.join(operands)}) [{' '.join(numbers)}]{function} -> {'x'.join(map(str, value.shape))}  {value.source}".rstrip()
        )
    return "\n".join(lines)
