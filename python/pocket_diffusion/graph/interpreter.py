"""Runs a graph as docs/graph.md says, with PyTorch: what stands between a network and the engine when they are compared."""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F

from pocket_diffusion.graph.ir import NORMS, PADDINGS, RESIDUAL_AT, WITH_PARAMETER, Value, in_order

_FUNCTIONS: tuple[Callable, ...] = (
    lambda x: x,
    F.relu,
    lambda x, a: torch.where(x < 0, a * x, x),
    F.silu,
    F.gelu,
    lambda x: F.gelu(x, approximate="tanh"),
    lambda x: x * torch.sigmoid(1.702 * x),
    torch.sigmoid,
    torch.tanh,
    F.mish,
    F.softplus,
    lambda x, a: torch.where(x < 0, a * torch.expm1(x), x),
    torch.exp,
    torch.log,
    torch.sqrt,
    torch.sin,
    torch.cos,
    torch.abs,
    torch.square,
    torch.reciprocal,
    torch.floor,
    torch.erf,
    torch.pow,
    F.hardswish,
)


def _planar(a: torch.Tensor) -> torch.Tensor:
    """[H, W, C] as [1, C, H, W]."""
    return a.permute(2, 0, 1)[None]


def _back(a: torch.Tensor) -> torch.Tensor:
    return a[0].permute(1, 2, 0)


def _pad(a: torch.Tensor, top: int, left: int, bottom: int, right: int, kind: int) -> torch.Tensor:
    mode = ("constant", *PADDINGS[1:])[kind]
    return F.pad(a, (left, right, top, bottom), mode=mode) if any((top, left, bottom, right)) else a


def _padded(value: Value, a: torch.Tensor) -> torch.Tensor:
    """What a convolution's kernel moves over, [1, C, H, W]."""
    a = _planar(a)
    if value.integers[11] == 2:
        a = F.interpolate(a, scale_factor=2, mode="nearest")
    return _pad(a, *value.integers[5:10])


def _conv(value: Value, weights, a, *_):
    out, kh, kw, down, across = value.integers[:5]
    weight = weights[0].reshape(out, kh, kw, -1).permute(0, 3, 1, 2)
    return _back(F.conv2d(_padded(value, a), weight, weights[1], (down, across), groups=value.integers[10]))


def patches(value: Value, a: torch.Tensor) -> torch.Tensor:
    """What each row of a convolution's weights is multiplied by, [positions, kh kw C]."""
    _, kh, kw, down, across = value.integers[:5]
    return F.unfold(_padded(value, a), (kh, kw), stride=(down, across)).unflatten(1, (a.shape[2], -1)).permute(0, 3, 2, 1).flatten(2)[0]


def _conv_transpose(value: Value, weights, a, *_):
    out, kh, kw, down, across, ph, pw, oh, ow = value.integers[:9]
    weight = weights[0].reshape(kh, kw, out, -1).permute(3, 2, 0, 1)
    return _back(F.conv_transpose2d(_planar(a), weight, weights[1], (down, across), (ph, pw), (oh, ow)))


def _norm(value: Value, weights, a, scale=None, shift=None, *_):
    eps, channels = value.reals[0], a.shape[-1]
    if value.name == "group_norm":
        groups = a.reshape(-1, value.integers[0], channels // value.integers[0])
        mean = groups.mean((0, 2), keepdim=True)
        a = ((groups - mean) / ((groups - mean).square().mean((0, 2), keepdim=True) + eps).sqrt()).reshape(a.shape)
    elif value.name == "layer_norm":
        a = (a - a.mean(-1, keepdim=True)) / (a.var(-1, unbiased=False, keepdim=True) + eps).sqrt()
    else:
        norm = torch.linalg.vector_norm(a, dim=-1, keepdim=True)
        a = a / (norm.clamp(min=eps), (norm.square() / channels + eps).sqrt(), eps + norm / math.sqrt(channels))[value.integers[0]]
    for factor, summand in ((weights[0], weights[1]), (scale, shift)):
        a = a if factor is None else a * factor
        a = a if summand is None else a + summand
    return a


def _heads(a: torch.Tensor, heads: int) -> torch.Tensor:
    return a.unflatten(-1, (heads, -1)).transpose(-2, -3)


def _attention(value: Value, _weights, q, k, v, mask=None):
    q, k, v = (_heads(each, value.integers[0]) for each in (q, k, v))
    scores = value.reals[0] * (q @ k.transpose(-1, -2))
    scores = scores if mask is None else scores + mask
    return (scores.softmax(-1) @ v).transpose(-2, -3).flatten(-2)


def _linear_attention(value: Value, _weights, q, k, v):
    q, k, v = (_heads(each, value.integers[0]) for each in (q, k, v))
    if value.integers[1]:
        q, k = q.softmax(-1), k.softmax(-2)
    return ((value.reals[0] * q) @ (k.transpose(-1, -2) @ v)).transpose(-2, -3).flatten(-2)


def _matmul(value: Value, _weights, a, b):
    a = a.transpose(-1, -2) if value.integers[0] else a
    b = b.transpose(-1, -2) if value.integers[1] else b
    return value.reals[0] * (a @ b)


def _reduce(value: Value, _weights, a):
    axes = value.integers[1:]
    return (
        lambda: a.sum(axes, keepdim=True),
        lambda: a.mean(axes, keepdim=True),
        lambda: a.amax(axes, keepdim=True),
        lambda: a.var(axes, unbiased=False, keepdim=True),
        lambda: torch.linalg.vector_norm(a, dim=axes, keepdim=True),
    )[value.integers[0]]()


def _average_pool(value: Value, _weights, a):
    kh, kw, down, across, ph, pw, count = value.integers
    return _back(F.avg_pool2d(_planar(a), (kh, kw), (down, across), (ph, pw), count_include_pad=bool(count)))


def _max_pool(value: Value, _weights, a):
    kh, kw, down, across, ph, pw = value.integers
    return _back(F.max_pool2d(_planar(a), (kh, kw), (down, across), (ph, pw)))


def _nearest(value: Value, _weights, a):
    down, across = value.integers
    return a.repeat_interleave(down, 0).repeat_interleave(across, 1)


def _bilinear(value: Value, _weights, a):
    height, width, corners = value.integers
    return _back(F.interpolate(_planar(a), (height, width), mode="bilinear", align_corners=bool(corners)))


_RUN: dict[str, Callable] = {
    "linear": lambda v, w, a, *_: F.linear(a, w[0].reshape(v.integers[0], -1), w[1]),
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "matmul": _matmul,
    **dict.fromkeys(NORMS, _norm),
    "affine": lambda v, w, a, *_: a * w[0] + w[1],
    "attention": _attention,
    "linear_attention": _linear_attention,
    "softmax": lambda v, w, a: a.softmax(-1),
    "add": lambda v, w, a, b: a + b,
    "sub": lambda v, w, a, b: a - b,
    "mul": lambda v, w, a, b: a * b,
    "div": lambda v, w, a, b: a / b,
    "min": lambda v, w, a, b: torch.minimum(a, b),
    "max": lambda v, w, a, b: torch.maximum(a, b),
    "gated_add": lambda v, w, a, b, gate: a + gate * b,
    "scale": lambda v, w, a: v.reals[0] * a + v.reals[1],
    "function": lambda v, w, a: a,
    "reduce": _reduce,
    "reshape": lambda v, w, a: a.reshape(v.integers),
    "permute": lambda v, w, a: a.permute(v.integers),
    "expand": lambda v, w, a: a.expand(v.integers),
    "concat": lambda v, w, *inputs: torch.cat(inputs, v.integers[0]),
    "slice": lambda v, w, a: a.narrow(*v.integers),
    "flip": lambda v, w, a: a.flip(v.integers),
    "pad": lambda v, w, a: _back(_pad(_planar(a), *v.integers)),
    "nearest": _nearest,
    "bilinear": _bilinear,
    "average_pool": _average_pool,
    "max_pool": _max_pool,
    "pixel_shuffle": lambda v, w, a: _back(F.pixel_shuffle(_planar(a), v.integers[0])),
    "pixel_unshuffle": lambda v, w, a: _back(F.pixel_unshuffle(_planar(a), v.integers[0])),
}


def evaluate(value: Value, inputs: Sequence[torch.Tensor | None], tensors: Mapping[str, torch.Tensor] | None = None) -> torch.Tensor:
    """One operation, in the type of its inputs; with other tensors than its own, by name."""
    kind = next((each.dtype for each in inputs if each is not None), torch.float32)
    weights = [None if each is None else (tensors[each.name] if tensors else each.rows).to(kind) for each in value.tensors] + [None, None]
    position = RESIDUAL_AT.get(value.name, len(inputs))
    result = _RUN[value.name](value, weights, *inputs[:position])
    real = value.reals[-1:] if value.function in WITH_PARAMETER else ()
    result = _FUNCTIONS[value.function](result, *real)
    return result if value.residual is None else result + inputs[position]


class Interpreter:
    """A graph, ready to be run; with `double`, in float64; with other `weights` than its own, by name."""

    def __init__(self, output: Value, double: bool = False, weights: Mapping[str, torch.Tensor] | None = None) -> None:
        self._values = in_order(output)
        self._weights = {each.name: each.rows for value in self._values for each in value.tensors if each is not None}
        self._weights.update(weights or {})
        self._number = {id(value): i for i, value in enumerate(self._values)}
        self._last_reader = {self._number[id(each)]: i for i, value in enumerate(self._values) for each in value.inputs if each is not None}
        self._type = torch.float64 if double else torch.float32

    def _operands(self, value: Value, known: Sequence[torch.Tensor | None]) -> list[torch.Tensor | None]:
        return [None if each is None else known[self._number[id(each)]] for each in value.inputs]

    def _row(self, value: Value, t: int, label: int, weights: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return weights[value.tensors[0].name][{"class": label, "time_row": t}[value.name]].to(self._type)

    @torch.no_grad()
    def values(
        self, x: torch.Tensor, t: int, time: float, label: int, seen: Callable[[Value, Sequence[torch.Tensor | None]], None] | None = None, keep: bool = True
    ) -> list[torch.Tensor]:
        """What every operation makes, the prediction last, channels last. `seen` is shown each operation and its operands;
        without `keep`, what nothing reads any more is dropped.
        """
        known: list[torch.Tensor | None] = []
        given = {"x": lambda v: x.permute(1, 2, 0).to(self._type), "time": lambda v: torch.tensor([time], dtype=self._type)}
        for i, value in enumerate(self._values):
            inputs = self._operands(value, known)
            if seen is not None:
                seen(value, inputs)
            if value.name in given:
                result = given[value.name](value)
            elif value.name in ("class", "time_row"):
                result = self._row(value, t, label, self._weights)
            elif value.name == "constant":
                result = self._weights[value.tensors[0].name].reshape(value.integers).to(self._type)
            else:
                result = evaluate(value, inputs, self._weights)
            if tuple(result.shape) != value.shape:
                raise AssertionError(f"{value.name}: {tuple(result.shape)} instead of {value.shape}")
            known.append(result)
            for each in value.inputs if not keep else ():
                if each is not None and self._last_reader[self._number[id(each)]] == i:
                    known[self._number[id(each)]] = None
        return known

    @torch.no_grad()
    def changed(self, known: Sequence[torch.Tensor], rows: tuple[int, int], name: str, tensor: torch.Tensor) -> torch.Tensor:
        """The prediction, channels last, if one tensor were another: only what depends on it is computed anew. `known`: what
        `values` returned; `rows`: t and label of then.
        """
        weights = {**self._weights, name: tensor}
        now: list[torch.Tensor] = []
        for value, before in zip(self._values, known):
            reads = any(each is not None and each.name == name for each in value.tensors)
            moved = any(each is not None and now[self._number[id(each)]] is not known[self._number[id(each)]] for each in value.inputs)
            if not (reads or moved):
                now.append(before)
            elif value.name in ("class", "time_row"):
                now.append(self._row(value, *rows, weights))
            elif value.name == "constant":
                now.append(tensor.reshape(value.integers).to(self._type))
            else:
                now.append(evaluate(value, self._operands(value, now), weights))
        return now[-1]

    def __call__(self, x: torch.Tensor, t: int, time: float, label: int) -> torch.Tensor:
        """x [C, H, W]; t: index of the step; time: what the network is fed there; label: row of the class tables. Returns [P, H, W]."""
        return self.values(x, t, time, label, keep=False)[-1].permute(2, 0, 1)
