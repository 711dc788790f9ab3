"""Sums, means and largest values."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from pocket_diffusion.graph.ir import FUNCTIONS, MAX_RANK, REDUCTIONS, GraphError, Value
from pocket_diffusion.graph.layout import (
    Array,
    Stored,
    reshape,
    size_of,
    value_groups,
    whole,
)  # fmt: skip
from pocket_diffusion.graph.lower import Deferred, Lowering, Unsupported, axis_index, name_of, operation
from pocket_diffusion.graph.products import function, scaled


@dataclass(frozen=True)
class Largest(Deferred):
    """The largest of an array along one axis, which a softmax takes away anyhow."""

    of: Array
    over: int
    source: str

    def split(self, parts: dict) -> Array:
        return self.materialised().split(parts)

    def materialised(self) -> Stored:
        return reduced(self.of, [self.over], "max", self.source).with_axes(self.axes)


def reduced(array: Array, dims: Sequence[int], kind: str, source: str) -> Stored:
    """With axes of 1 in place of these."""
    array = whole(array) if kind in ("sum", "norm") else array.materialised()
    gone = {each for dim in dims for each in array.axes[dim]} & set(array.order)
    axes = tuple(() if n in dims else axis for n, axis in enumerate(array.axes))
    if not gone:
        value = array.value
        if kind == "variance":
            value = Value("scale", (value,), reals=(0.0, 0.0), source=source)
        elif kind == "norm":
            value = Value("function", (value,), integers=(FUNCTIONS["abs"],), source=source)
        return Stored(axes, value, array.order)
    groups = value_groups(array)
    if not groups or any(len({each in gone for each in group}) > 1 for group in groups):
        groups = []
        for each in array.order:
            if groups and (groups[-1][-1] in gone) == (each in gone):
                groups[-1] += (each,)
            else:
                groups.append((each,))
    if len(groups) > MAX_RANK:
        raise GraphError(f"a reduction over {len(groups)} axes by turns")
    value = reshape(array.value, [size_of(group) for group in groups])
    numbers = tuple(n for n, group in enumerate(groups) if group and group[0] in gone)
    value = Value("reduce", (value,), integers=(REDUCTIONS.index(kind), *numbers), source=source)
    return Stored(axes, value, tuple(each for each in array.order if each not in gone))


def _dims(array: Array, dim: Any) -> list[int]:
    if dim is None or dim == []:
        return list(range(len(array.axes)))
    return [axis_index(array, each) for each in ([dim] if isinstance(dim, int) else dim)]


def _kept(array: Array, dims: Sequence[int], keepdim: bool) -> Array:
    return array if keepdim else array.with_axes(axis for n, axis in enumerate(array.axes) if n not in dims)


@operation("mean", "sum", "amax", "amin")
def _reduce(low: Lowering, a: SimpleNamespace) -> Array:
    name, dims, keep = name_of(low._node), _dims(a.self, getattr(a, "dim", None)), getattr(a, "keepdim", False)
    if name == "amax" and keep and len(dims) == 1:
        axes = tuple(() if n in dims else axis for n, axis in enumerate(a.self.axes))
        return Largest(axes, a.self, dims[0], low.source)
    if name == "amin":
        largest = reduced(scaled(a.self, -1.0, 0.0, low.source), dims, "max", low.source)
        return scaled(_kept(largest, dims, keep), -1.0, 0.0, low.source)
    return _kept(reduced(a.self, dims, "max" if name == "amax" else name, low.source), dims, keep)


@operation("var", "std", "var_mean")
def _var(low: Lowering, a: SimpleNamespace) -> Any:
    dims = _dims(a.self, getattr(a, "dim", None))
    count = int(np.prod([a.self.shape[dim] for dim in dims]))
    correction = 1 if getattr(a, "correction", None) is None and getattr(a, "unbiased", True) else getattr(a, "correction", None) or 0
    result = reduced(a.self, dims, "variance", low.source)
    result = scaled(result, count / (count - correction), 0.0, low.source)
    if name_of(low._node) == "std":
        result = function(result, "sqrt", source=low.source)
    result = _kept(result, dims, a.keepdim)
    if name_of(low._node) != "var_mean":
        return result
    return result, _kept(reduced(a.self, dims, "mean", low.source), dims, a.keepdim)


@operation("linalg_vector_norm", "norm")
def _vector_norm(low: Lowering, a: SimpleNamespace) -> Array:
    if float(getattr(a, "ord", getattr(a, "p", 2)) or 2) != 2:
        raise Unsupported("norms other than the root of squares.")
    dims = _dims(a.self, a.dim)
    return _kept(reduced(a.self, dims, "norm", low.source), dims, a.keepdim)
