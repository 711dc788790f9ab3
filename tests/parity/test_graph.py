"""Format 2 in the engine against PyTorch: each operation with random shapes, and whole networks."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from graph_files import Graph
from node_engine import Engine, EngineError
from torch.nn import functional as F

TOLERANCE = 1e-4
TIME = 7
FUNCTIONS: list[tuple[int, Callable[[torch.Tensor], torch.Tensor], list[float]]] = [
    (0, lambda x: x, []), (1, F.relu, []), (2, lambda x: F.leaky_relu(x, 0.2), [0.2]), (3, F.silu, []), (4, F.gelu, []),
    (5, lambda x: F.gelu(x, approximate="tanh"), []), (6, lambda x: x * torch.sigmoid(1.702 * x), []), (7, torch.sigmoid, []),
    (8, torch.tanh, []), (9, F.mish, []), (10, F.softplus, []), (11, lambda x: F.elu(x, 0.7), [0.7]), (12, torch.exp, []),
    (15, torch.sin, []), (16, torch.cos, []), (17, torch.abs, []), (18, torch.square, []), (20, torch.floor, []), (21, torch.erf, []),
    (22, lambda x: x**3, [3.0]), (23, F.hardswish, []),
]  # fmt: skip
POSITIVE = [(13, torch.log, []), (14, torch.sqrt, []), (19, torch.reciprocal, []), (22, lambda x: x**-0.5, [-0.5])]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as running:
        yield running


class Case:
    """A graph that takes x, a vector of numbers, apart into the operands of one operation, and lays the value out as a vector."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.graph = Graph()
        self.parts: list[torch.Tensor] = []
        self.slices: list[tuple[int, ...]] = []

    def integer(self, low: int, high: int) -> int:
        return self.rng.randint(low, high)

    def tensor(self, *shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=self.generator)

    def operands(self, *shapes: tuple[int, ...], positive: bool = False) -> list[int]:
        """Values of these shapes, which come from x one after the other."""
        self.parts = [self.tensor(*shape) for shape in shapes]
        if positive:
            self.parts = [part.abs() + 0.1 for part in self.parts]
        total = sum(part.numel() for part in self.parts)
        self.x = torch.cat([part.reshape(-1) for part in self.parts])
        self.count = total
        numbers, first = [], 0
        x = self.graph.add("x")
        vector = self.graph.add("reshape", x, integers=[total])
        for shape in shapes:
            length = math.prod(shape)
            part = self.graph.add("slice", vector, integers=[0, first, length])
            numbers.append(self.graph.add("reshape", part, integers=shape))
            first += length
        return numbers

    def write(self, path: Path, value: int, expected: torch.Tensor) -> torch.Tensor:
        """A model whose prediction begins with the value, as many numbers as expected; returns its x."""
        length = expected.numel()
        last = self.graph.add("reshape", value, integers=[length])
        missing = self.count - length
        nothing = self.graph.add("constant", tensors=[torch.zeros(1)], integers=[1])  # a file has a tensor
        last = self.graph.add("add", last, nothing)
        if missing > 0:
            zeros = self.graph.add("constant", tensors=[torch.zeros(missing)], integers=[missing])
            last = self.graph.add("concat", last, zeros, integers=[0])
        size = max(length, self.count)
        if size > self.count:  # x has as many numbers as the prediction; the operands are its first ones
            self.graph.operations[1] = ("reshape", [0], [], [size], [])
        self.graph.add("reshape", last, integers=[1, 1, size])
        self.graph.write(path, (size, 1, 1))
        return torch.cat([self.x, torch.zeros(size - self.count)])

    def check(self, engine: Engine, folder: Path, value: int, expected: torch.Tensor) -> None:
        path = folder / "case.gguf"
        x = self.write(path, value, expected)
        engine.load(path).result()
        made = engine.predict(x.reshape(-1, 1, 1), TIME, None).result().reshape(-1)[: expected.numel()]
        error = (made - expected.reshape(-1)).abs().max().item() / max(expected.abs().max().item(), 1e-2)
        assert error < TOLERANCE, error


def case_function(c: Case) -> tuple[int, torch.Tensor]:
    positive = c.rng.random() < 0.2
    kind, function, reals = c.rng.choice(POSITIVE if positive else FUNCTIONS)
    shape = tuple(c.integer(1, 5) for _ in range(c.integer(1, 4)))
    (a,) = c.operands(shape, positive=positive)
    return c.graph.add("function", a, integers=[kind], reals=reals), function(c.parts[0])


def case_binary(c: Case) -> tuple[int, torch.Tensor]:
    name, function = c.rng.choice([("add", torch.add), ("sub", torch.sub), ("mul", torch.mul), ("min", torch.minimum), ("max", torch.maximum)])
    shape = [c.integer(1, 6) for _ in range(c.integer(1, 4))]
    other = [1 if c.rng.random() < 0.4 else n for n in shape][c.integer(0, len(shape) - 1) :]
    a, b = c.operands(tuple(shape), tuple(other))
    order = c.rng.random() < 0.5
    x, y = c.parts
    return c.graph.add(name, *((a, b) if order else (b, a))), function(*((x, y) if order else (y, x)))


def case_div(c: Case) -> tuple[int, torch.Tensor]:
    a, b = c.operands((3, 5), (5,), positive=True)
    return c.graph.add("div", a, b), c.parts[0] / c.parts[1]


def case_gated_add(c: Case) -> tuple[int, torch.Tensor]:
    n, m = c.integer(1, 6), c.integer(1, 9)
    a, b, gate = c.operands((n, m), (n, m), (m,) if c.rng.random() < 0.7 else (n, 1))
    return c.graph.add("gated_add", a, b, gate), c.parts[0] + c.parts[2] * c.parts[1]


def case_scale(c: Case) -> tuple[int, torch.Tensor]:
    (a,) = c.operands((c.integer(1, 5), c.integer(1, 9)))
    return c.graph.add("scale", a, reals=[2.5, -0.5]), c.parts[0] * 2.5 - 0.5


def case_linear(c: Case) -> tuple[int, torch.Tensor]:
    n, channels, out = c.integer(1, 9), c.integer(1, 20), c.integer(1, 20)
    kind, function, reals = c.rng.choice(FUNCTIONS[:6])
    residual = c.rng.random() < 0.5
    values = c.operands((n, channels), *([(n, out)] if residual else []))
    weight, bias = c.tensor(out, channels), c.tensor(out) if c.rng.random() < 0.5 else None
    value = c.graph.add("linear", *values, tensors=[weight, bias], integers=[out, kind], reals=reals)
    return value, function(F.linear(c.parts[0], weight, bias)) + (c.parts[1] if residual else 0)


def pad(x: torch.Tensor, sides: list[int], kind: int) -> torch.Tensor:
    top, left, bottom, right = sides
    mode = ("constant", "reflect", "replicate", "circular")[kind]
    return F.pad(x[None], (left, right, top, bottom), mode=mode)[0]


def to_map(x: torch.Tensor) -> torch.Tensor:
    return x.permute(2, 0, 1)


def from_map(x: torch.Tensor) -> torch.Tensor:
    return x.permute(1, 2, 0)


def case_conv(c: Case) -> tuple[int, torch.Tensor]:
    height, width = c.integer(4, 6), c.integer(4, 6)
    square = c.rng.random() < 0.6
    kernel = [c.integer(1, 4)] * 2 if square else [c.integer(1, 4), c.integer(1, 4)]
    step = [c.integer(1, 2)] * 2 if square else [c.integer(1, 3), c.integer(1, 2)]
    groups = c.rng.choice([1, 1, 2, 4])
    channels, out = groups * c.integer(1, 2), groups * c.integer(1, 2)
    if groups > 1 and c.rng.random() < 0.5:
        channels = out = groups
    sides = [c.integer(0, 2)] * 4 if c.rng.random() < 0.6 else [c.integer(0, 2) for _ in range(4)]
    kind, factor = c.integer(0, 3), c.rng.choice([1, 1, 2])
    if c.rng.random() < 0.3:  # as upsampling layers are
        kernel, step, sides, kind, factor, groups = [3, 3], [1, 1], [1] * 4, 0, 2, 1
    elif groups == out and c.rng.random() < 0.5:  # wide ones, on small maps
        height, width, sides, factor = 4, 4, [1] * 4, 1
        channels = out = groups = c.rng.choice([16, 21])
    (a,) = c.operands((height, width, channels))
    weight, bias = c.tensor(out, channels // groups, *kernel), c.tensor(out) if c.rng.random() < 0.7 else None
    number, function, reals = c.rng.choice(FUNCTIONS[:4])
    rows = weight.permute(0, 2, 3, 1).reshape(out, -1)
    value = c.graph.add("conv", a, tensors=[rows, bias], integers=[out, *kernel, *step, *sides, kind, groups, factor, number], reals=reals)
    doubled = to_map(c.parts[0]).repeat_interleave(factor, 1).repeat_interleave(factor, 2)
    made = F.conv2d(pad(doubled, sides, kind)[None], weight, bias, stride=step, groups=groups)[0]
    return value, function(from_map(made))


def case_conv_transpose(c: Case) -> tuple[int, torch.Tensor]:
    kernel = [c.integer(1, 5), c.integer(1, 5)]
    step = [c.integer(1, 4), c.integer(1, 4)]
    padding = [c.integer(0, (k - 1) // 2) for k in kernel]
    extra = [c.integer(0, s - 1) for s in step]
    channels, out = c.integer(1, 7), c.integer(1, 4)
    (a,) = c.operands((c.integer(2, 4), c.integer(2, 4), channels))
    weight, bias = c.tensor(channels, out, *kernel), c.tensor(out)
    rows = weight.permute(2, 3, 1, 0).reshape(-1, channels)
    value = c.graph.add("conv_transpose", a, tensors=[rows, bias], integers=[out, *kernel, *step, *padding, *extra, 3])
    made = F.conv_transpose2d(to_map(c.parts[0])[None], weight, bias, stride=step, padding=padding, output_padding=extra)[0]
    return value, F.silu(from_map(made))


def case_matmul(c: Case) -> tuple[int, torch.Tensor]:
    rows, depth, columns, batch = c.integer(1, 7), c.integer(1, 7), c.integer(1, 7), c.integer(1, 3)
    ta, tb = c.integer(0, 1), c.integer(0, 1)
    leading = (batch,) if c.rng.random() < 0.6 else ()
    a, b = c.operands((*leading, *((depth, rows) if ta else (rows, depth))), (columns, depth) if tb else (depth, columns))
    x, y = c.parts
    return c.graph.add("matmul", a, b, integers=[ta, tb], reals=[0.5]), 0.5 * (x.mT if ta else x) @ (y.mT if tb else y)


def norm_operands(c: Case, shape: tuple[int, ...], channels: int) -> tuple[list[int], list[torch.Tensor | None], int, Callable, list[float]]:
    shapes = [shape]
    has = [c.rng.random() < 0.4 for _ in range(3)]
    shapes += [(channels,)] * (has[0] + has[1]) + ([shape] if has[2] else [])
    values = iter(c.operands(*shapes))
    inputs = [next(values)] + [next(values) if there else -1 for there in has]
    tensors = [c.tensor(channels) if c.rng.random() < 0.6 else None for _ in range(2)]
    kind, function, reals = c.rng.choice(FUNCTIONS[:4])
    parts = iter(c.parts[1:])
    c.tail = [next(parts) if there else None for there in has]
    return inputs, tensors, kind, function, reals


def norm_tail(c: Case, y: torch.Tensor, tensors: list[torch.Tensor | None], function: Callable) -> torch.Tensor:
    gain, bias = tensors
    scale, shift, residual = c.tail
    y = y * (1 if gain is None else gain) + (0 if bias is None else bias)
    y = y * (1 if scale is None else scale) + (0 if shift is None else shift)
    return function(y) + (0 if residual is None else residual)


def case_group_norm(c: Case) -> tuple[int, torch.Tensor]:
    groups = c.integer(1, 4)
    channels = groups * c.integer(1, 9)
    inputs, tensors, kind, function, reals = norm_operands(c, (c.integer(1, 4), c.integer(1, 4), channels), channels)
    value = c.graph.add("group_norm", *inputs, tensors=tensors, integers=[groups, kind], reals=[1e-5, *reals])
    normed = from_map(F.group_norm(to_map(c.parts[0])[None], groups, eps=1e-5)[0]) if c.parts[0].numel() > channels else None
    if normed is None:  # F.group_norm refuses a single number in a group
        x = c.parts[0].reshape(groups, -1)
        normed = ((x - x.mean(1, keepdim=True)) / (x.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()).reshape(c.parts[0].shape)
    return value, norm_tail(c, normed, tensors, function)


def case_layer_norm(c: Case) -> tuple[int, torch.Tensor]:
    channels = c.integer(2, 17)
    inputs, tensors, kind, function, reals = norm_operands(c, (c.integer(1, 6), channels), channels)
    value = c.graph.add("layer_norm", *inputs, tensors=tensors, integers=[kind], reals=[1e-5, *reals])
    return value, norm_tail(c, F.layer_norm(c.parts[0], (channels,), eps=1e-5), tensors, function)


def case_rms_norm(c: Case) -> tuple[int, torch.Tensor]:
    channels, form = c.integer(1, 17), c.integer(0, 2)
    inputs, tensors, kind, function, reals = norm_operands(c, (c.integer(1, 6), channels), channels)
    eps = c.rng.choice([1e-12, 1e-4])
    value = c.graph.add("rms_norm", *inputs, tensors=tensors, integers=[form, kind], reals=[eps, *reals])
    x = c.parts[0]
    norm = x.norm(dim=-1, keepdim=True)
    divisor = (norm.clamp(min=eps), (x.square().mean(-1, keepdim=True) + eps).sqrt(), eps + norm / math.sqrt(channels))[form]
    return value, norm_tail(c, x / divisor, tensors, function)


def case_affine(c: Case) -> tuple[int, torch.Tensor]:
    channels = c.integer(1, 9)
    a, b = c.operands((c.integer(1, 5), channels), (1, 1))
    gain, bias = c.tensor(channels), c.tensor(channels)
    scaled = c.graph.add("affine", a, tensors=[gain, bias], integers=[1])
    return c.graph.add("add", scaled, b), F.relu(c.parts[0] * gain + bias) + c.parts[1]


def case_attention(c: Case) -> tuple[int, torch.Tensor]:
    heads, size, value_size = c.integer(1, 3), c.integer(1, 6), c.integer(1, 6)
    queries, keys = c.integer(1, 18), c.integer(1, 12)
    leading = (c.integer(1, 3),) if c.rng.random() < 0.4 else ()
    mask = c.rng.choice([None, (queries, keys), (heads, queries, keys), (1, keys)])
    shapes = [(*leading, queries, heads * size), (*leading, keys, heads * size), (*leading, keys, heads * value_size)]
    values = c.operands(*shapes, *([mask] if mask else []))
    value = c.graph.add("attention", *values, integers=[heads], reals=[0.3])
    q, k, v = (part.reshape(*part.shape[:-1], heads, -1).transpose(-2, -3) for part in c.parts[:3])
    scores = 0.3 * q @ k.mT + (c.parts[3] if mask else 0)
    return value, (scores.softmax(-1) @ v).transpose(-2, -3).flatten(-2)


def case_linear_attention(c: Case) -> tuple[int, torch.Tensor]:
    heads, size, value_size = c.integer(1, 3), c.integer(1, 9), c.integer(1, 9)
    queries, keys, softmax = c.integer(1, 40), c.integer(1, 20), c.integer(0, 1)
    values = c.operands((queries, heads * size), (keys, heads * size), (keys, heads * value_size))
    value = c.graph.add("linear_attention", *values, integers=[heads, softmax], reals=[0.3])
    q, k, v = (part.reshape(part.shape[0], heads, -1).transpose(0, 1) for part in c.parts)
    if softmax:
        q, k = q.softmax(-1), k.softmax(-2)
    return value, (0.3 * q @ (k.mT @ v)).transpose(0, 1).flatten(-2)


def case_linear_attention_block(c: Case) -> tuple[int, torch.Tensor]:
    heads, size, channels, n = c.integer(1, 3), 8, c.integer(2, 12), c.integer(2, 15)
    (a,) = c.operands((n, channels))
    inner = heads * size
    gain, qkv, out, bias, out_gain = c.tensor(channels), c.tensor(3 * inner, channels), c.tensor(channels, inner), c.tensor(channels), c.tensor(channels)
    value = c.graph.add("linear_attention_block", a, tensors=[gain, qkv, out, bias, out_gain], integers=[heads, size])
    x = c.parts[0]
    q, k, v = ((F.normalize(x, dim=-1) * gain) @ qkv.T).reshape(n, 3, heads, size).permute(1, 2, 0, 3)
    attended = (q.softmax(-1) * size**-0.5 @ (k.softmax(-2).mT @ v)).transpose(0, 1).reshape(n, inner)
    return value, x + F.normalize(attended @ out.T + bias, dim=-1) * out_gain


def case_softmax(c: Case) -> tuple[int, torch.Tensor]:
    (a,) = c.operands((c.integer(1, 6), c.integer(1, 21)))
    return c.graph.add("softmax", a), c.parts[0].softmax(-1)


def case_reduce(c: Case) -> tuple[int, torch.Tensor]:
    shape = tuple(c.integer(1, 5) for _ in range(c.integer(1, 4)))
    axes = sorted(c.rng.sample(range(len(shape)), c.integer(1, len(shape))))
    kind = c.integer(0, 4)
    (a,) = c.operands(shape)
    x = c.parts[0]
    functions = [
        lambda: x.sum(axes, keepdim=True), lambda: x.mean(axes, keepdim=True), lambda: x.amax(axes, keepdim=True),
        lambda: x.var(axes, unbiased=False, keepdim=True), lambda: x.square().sum(axes, keepdim=True).sqrt(),
    ]  # fmt: skip
    return c.graph.add("reduce", a, integers=[kind, *axes]), functions[kind]()


def case_permute(c: Case) -> tuple[int, torch.Tensor]:
    shape = tuple(c.integer(1, 4) for _ in range(c.integer(2, 5)))
    order = c.rng.sample(range(len(shape)), len(shape))
    (a,) = c.operands(shape)
    return c.graph.add("permute", a, integers=order), c.parts[0].permute(order)


def case_reshape(c: Case) -> tuple[int, torch.Tensor]:
    n, m, k = c.integer(1, 5), c.integer(1, 5), c.integer(1, 8)
    (a,) = c.operands((n, m, k))
    b = c.graph.add("reshape", c.graph.add("reshape", a, integers=[n * k, m]), integers=[k, m * n])
    return c.graph.add("reshape", b, integers=[m, k, n, 1]), c.parts[0]


def case_expand(c: Case) -> tuple[int, torch.Tensor]:
    n, m = c.integer(1, 5), c.integer(1, 5)
    (a,) = c.operands((n, 1) if c.rng.random() < 0.5 else (m,))
    return c.graph.add("expand", a, integers=[2, n, m]), c.parts[0].expand(2, n, m)


def case_concat(c: Case) -> tuple[int, torch.Tensor]:
    rank = c.integer(1, 4)
    axis, parts = c.integer(0, rank - 1), c.integer(2, 3)
    shape = [c.rng.choice([1, 2, 4]) if rank == 4 else c.rng.choice([1, 3, 4, 8]) for _ in range(rank)]
    shapes = [tuple(c.rng.choice([1, 3, 4, 8]) if i == axis else n for i, n in enumerate(shape)) for _ in range(parts)]
    values = c.operands(*shapes)
    doubled = [c.graph.add("scale", v, reals=[2, 0]) for v in values]  # made for the concatenation
    return c.graph.add("concat", *doubled, integers=[axis]), 2 * torch.cat(c.parts, axis)


def case_slice(c: Case) -> tuple[int, torch.Tensor]:
    shape = tuple(c.rng.choice([1, 2, 5, 8, 12]) for _ in range(c.integer(1, 3)))
    axis = c.integer(0, len(shape) - 1)
    first = c.integer(0, shape[axis] - 1)
    length = c.integer(1, shape[axis] - first)
    (a,) = c.operands(shape)
    part = c.graph.add("slice", a, integers=[axis, first, length])
    return c.graph.add("scale", part, reals=[3, 0]), 3 * c.parts[0].narrow(axis, first, length)


def case_flip(c: Case) -> tuple[int, torch.Tensor]:
    shape = tuple(c.integer(1, 6) for _ in range(3))
    axis = c.integer(0, 2)
    (a,) = c.operands(shape)
    return c.graph.add("flip", a, integers=[axis]), c.parts[0].flip(axis)


def case_pad(c: Case) -> tuple[int, torch.Tensor]:
    (a,) = c.operands((c.integer(3, 5), c.integer(3, 5), c.integer(1, 5)))
    sides, kind = [c.integer(0, 2) for _ in range(4)], c.integer(0, 3)
    return c.graph.add("pad", a, integers=[*sides, kind]), from_map(pad(to_map(c.parts[0]), sides, kind))


def case_nearest(c: Case) -> tuple[int, torch.Tensor]:
    (a,) = c.operands((c.integer(1, 4), c.integer(1, 4), c.integer(1, 5)))
    down, across = c.integer(1, 3), c.integer(1, 3)
    return c.graph.add("nearest", a, integers=[down, across]), c.parts[0].repeat_interleave(down, 0).repeat_interleave(across, 1)


def case_bilinear(c: Case) -> tuple[int, torch.Tensor]:
    (a,) = c.operands((c.integer(1, 5), c.integer(1, 5), c.integer(1, 5)))
    size, corners = [c.integer(1, 9), c.integer(1, 9)], c.rng.random() < 0.5
    made = F.interpolate(to_map(c.parts[0])[None], size=size, mode="bilinear", align_corners=corners)[0]
    return c.graph.add("bilinear", a, integers=[*size, int(corners)]), from_map(made)


def case_pool(c: Case) -> tuple[int, torch.Tensor]:
    kernel, step = [c.integer(1, 3), c.integer(1, 3)], [c.integer(1, 3), c.integer(1, 3)]
    padding = [k // 2 if c.rng.random() < 0.5 else 0 for k in kernel]
    (a,) = c.operands((c.integer(3, 6), c.integer(3, 6), c.integer(1, 5)))
    x = to_map(c.parts[0])[None]
    if c.rng.random() < 0.5:
        return c.graph.add("max_pool", a, integers=[*kernel, *step, *padding]), from_map(F.max_pool2d(x, kernel, step, padding)[0])
    count = c.integer(0, 1)
    made = F.avg_pool2d(x, kernel, step, padding, count_include_pad=bool(count))[0]
    return c.graph.add("average_pool", a, integers=[*kernel, *step, *padding, count]), from_map(made)


def case_pixel_shuffle(c: Case) -> tuple[int, torch.Tensor]:
    r = c.integer(1, 3)
    (a,) = c.operands((c.integer(1, 3), c.integer(1, 3), c.integer(1, 3) * r * r))
    return c.graph.add("pixel_shuffle", a, integers=[r]), from_map(F.pixel_shuffle(to_map(c.parts[0]), r))


def case_pixel_unshuffle(c: Case) -> tuple[int, torch.Tensor]:
    r = c.integer(1, 3)
    (a,) = c.operands((c.integer(1, 3) * r, c.integer(1, 3) * r, c.integer(1, 5)))
    return c.graph.add("pixel_unshuffle", a, integers=[r]), from_map(F.pixel_unshuffle(to_map(c.parts[0]), r))


CASES = {name.removeprefix("case_"): function for name, function in list(globals().items()) if name.startswith("case_")}


@pytest.mark.parametrize("name", CASES)
def test_operation(name: str, engine: Engine, tmp_path: Path) -> None:
    for seed in range(10):
        case = Case(1000 + seed)
        value, expected = CASES[name](case)
        try:
            case.check(engine, tmp_path, value, expected.contiguous())
        except (AssertionError, EngineError) as error:
            raise AssertionError(f"{name}, seed {seed}: {error}; {case.graph.operations}") from error


# ---- a whole network ------------------------------------------------------------------------


class SmallNetwork(torch.nn.Module):
    """A U-Net of one level with a class added to the time, group norms, attention, a skip and nearest upsampling."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 16, 3, padding=1)
        self.time_1, self.time_2 = torch.nn.Linear(8, 24), torch.nn.Linear(24, 24)
        self.label = torch.nn.Embedding(4, 24)  # three classes and none
        self.down = torch.nn.Conv2d(16, 20, 3, stride=2, padding=1)
        self.norm = torch.nn.GroupNorm(4, 20)
        self.conditions = torch.nn.Linear(24, 20)
        self.query, self.output = torch.nn.Linear(20, 60), torch.nn.Linear(20, 20)
        self.norm_2 = torch.nn.GroupNorm(2, 36)
        self.last = torch.nn.Conv2d(36, 3, 3, padding=1)
        self.register_buffer("frequencies", torch.tensor([1.0, 0.3, 0.1, 0.03]))

    def forward(self, x: torch.Tensor, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        angles = t[:, None] * self.frequencies
        embedding = self.time_2(F.silu(self.time_1(torch.cat([angles.sin(), angles.cos()], 1)))) + self.label(y)
        stem = self.stem(x)
        h = F.silu(self.norm(self.down(stem))) + self.conditions(F.silu(embedding))[:, :, None, None]
        tokens = h.flatten(2).mT
        q, k, v = self.query(tokens).chunk(3, -1)
        q, k, v = (part.unflatten(-1, (2, 10)).transpose(1, 2) for part in (q, k, v))
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        h = (tokens + self.output(attended)).mT.unflatten(2, h.shape[2:])
        up = F.interpolate(h, scale_factor=2, mode="nearest")
        return self.last(F.silu(self.norm_2(torch.cat([up, stem], 1))))


def rows(convolution: torch.nn.Conv2d) -> torch.Tensor:
    return convolution.weight.detach().permute(0, 2, 3, 1).flatten(1)


def graph_of(network: SmallNetwork, has_null: bool = True) -> Graph:
    g, side = Graph(), 8
    pair = lambda layer: [layer.weight.detach(), layer.bias.detach()]  # noqa: E731
    conv = lambda layer, value, step, function=0: g.add(  # noqa: E731
        "conv", value, tensors=[rows(layer), layer.bias.detach()],
        integers=[layer.out_channels, 3, 3, step, step, 1, 1, 1, 1, 0, 1, 1, function])  # fmt: skip
    x, time = g.add("x"), g.add("time")
    angles = g.add("mul", time, g.add("constant", tensors=[network.frequencies], integers=[4]))
    features = g.add("concat", g.add("function", angles, integers=[15]), g.add("function", angles, integers=[16]), integers=[0])
    hidden = g.add("linear", features, tensors=pair(network.time_1), integers=[24, 3])
    table = network.label.weight.detach()[: 4 if has_null else 3]
    embedding = g.add("add", g.add("linear", hidden, tensors=pair(network.time_2), integers=[24, 0]), g.add("class", tensors=[table]))
    condition = g.add("linear", g.add("function", embedding, integers=[3]), tensors=pair(network.conditions), integers=[20, 0])
    stem = conv(network.stem, x, 1)
    normed = g.add("group_norm", conv(network.down, stem, 2), tensors=pair(network.norm), integers=[4, 3], reals=[1e-5])
    h = g.add("reshape", g.add("add", normed, condition), integers=[side * side // 4, 20])
    packed = g.add("linear", h, tensors=pair(network.query), integers=[60, 0])
    q, k, v = (g.add("slice", packed, integers=[1, 20 * i, 20]) for i in range(3))
    attended = g.add("attention", q, k, v, integers=[2], reals=[10**-0.5])
    tokens = g.add("linear", attended, h, tensors=pair(network.output), integers=[20, 0])
    up = g.add("nearest", g.add("reshape", tokens, integers=[side // 2, side // 2, 20]), integers=[2, 2])
    joined = g.add("group_norm", g.add("concat", up, stem, integers=[2]), tensors=pair(network.norm_2), integers=[2, 3], reals=[1e-5])
    conv(network.last, joined, 1)
    return g


CLASSES = ["cat", "dog", "owl"]
TIMES = [0.5 + 0.25 * t for t in range(100)]


@pytest.fixture(scope="module")
def network() -> SmallNetwork:
    torch.manual_seed(5)
    return SmallNetwork().eval()


def test_network(engine: Engine, network: SmallNetwork, tmp_path: Path) -> None:
    graph_of(network).write(tmp_path / "small.gguf", (3, 8, 8), classes=CLASSES, times=TIMES, guidance_scale=3.0)
    engine.load(tmp_path / "small.gguf").result()
    for t in (0, 50, 99):
        for label in (0, 2, None):
            x = torch.randn(1, 3, 8, 8)
            with torch.no_grad():
                expected = network(x, torch.tensor([TIMES[t]]), torch.tensor([3 if label is None else label]))[0]
            made = engine.predict(x[0], t, label).result()
            assert (made - expected).abs().max() < TOLERANCE * expected.abs().max()


def test_guided_generation(engine: Engine, network: SmallNetwork, tmp_path: Path) -> None:
    """DDIM, four steps, guided: the states of each step."""
    graph_of(network).write(tmp_path / "small.gguf", (3, 8, 8), classes=CLASSES, times=TIMES, guidance_scale=3.0)
    loaded = engine.load(tmp_path / "small.gguf").result()
    states, timesteps, pixels = engine.generate_with((3, 8, 8), {"label": "dog", "seed": 3}).result()
    abar = torch.tensor(loaded["alphasCumprod"], dtype=torch.float64)
    torch.manual_seed(3)
    x = torch.randn(1, 3, 8, 8)
    assert len(pixels) == 8 * 8 * 3
    for step, t in enumerate(timesteps):
        time = torch.tensor([TIMES[t]])
        with torch.no_grad():
            conditional, null = network(x, time, torch.tensor([1])), network(x, time, torch.tensor([3]))
        noise = null + 3 * (conditional - null)
        x0 = ((x - (1 - abar[t]).sqrt() * noise) / abar[t].sqrt()).clamp(-1, 1)
        following = timesteps[step + 1] if step + 1 < len(timesteps) else None
        x = (x0 if following is None else abar[following].sqrt() * x0 + (1 - abar[following]).sqrt() * noise).float()
        assert (states[step] - x[0]).abs().max() < TOLERANCE * x.abs().max()


def test_without_null_class(engine: Engine, network: SmallNetwork, tmp_path: Path) -> None:
    graph_of(network, has_null=False).write(tmp_path / "small.gguf", (3, 8, 8), classes=CLASSES, times=TIMES)
    engine.load(tmp_path / "small.gguf").result()
    assert len(engine.generate_with((3, 8, 8), {"label": 0, "seed": 3}).result()[0]) == 4
    with pytest.raises(EngineError, match="without a null class"):
        engine.generate_with((3, 8, 8), {"label": 0, "seed": 3, "guidanceScale": 2}).result()
    with pytest.raises(EngineError, match="stands for none"):
        engine.predict(torch.zeros(3, 8, 8), 0, None).result()
