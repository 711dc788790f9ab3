"""Operations that move numbers, and constants in the shape of others."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from pocket_diffusion.graph.ir import MAX_RANK, Value
from pocket_diffusion.graph.layout import (
    Array,
    Factor,
    Stored,
    aligned,
    around,
    arrange,
    axis_of,
    fresh,
    single_factor,
    view,
    whole,
)  # fmt: skip
from pocket_diffusion.graph.lower import ADVICE, Lowering, Unsupported, axis_index, name_of, operation


@operation("view", "_unsafe_view", "reshape")
def _view(_: Lowering, a: SimpleNamespace) -> Array:
    shape = list(a.size if hasattr(a, "size") else a.shape)
    array = a.self
    if -1 in shape:
        known = int(np.prod([each for each in shape if each != -1]))
        shape[shape.index(-1)] = int(np.prod(array.shape)) // known
    return view(array, shape)


@operation("flatten")
def flattened(_: Lowering, a: SimpleNamespace) -> Array:
    first, last = axis_index(a.self, a.start_dim), axis_index(a.self, a.end_dim)
    axes = a.self.axes
    return a.self.with_axes((*axes[:first], tuple(f for axis in axes[first : last + 1] for f in axis), *axes[last + 1 :]))


@operation("unflatten")
def _unflatten(_: Lowering, a: SimpleNamespace) -> Array:
    dim, sizes, shape = axis_index(a.self, a.dim), list(a.sizes), a.self.shape
    if -1 in sizes:
        sizes[sizes.index(-1)] = shape[dim] // -int(np.prod(sizes))
    return view(a.self, [*shape[:dim], *sizes, *shape[dim + 1 :]])


@operation("permute")
def _permute(_: Lowering, a: SimpleNamespace) -> Array:
    return a.self.with_axes(a.self.axes[dim] for dim in a.dims)


@operation("transpose", "t", "numpy_T", "mT")
def _transpose(_: Lowering, a: SimpleNamespace) -> Array:
    axes = list(a.self.axes)
    first, second = (axis_index(a.self, getattr(a, name, default)) for name, default in (("dim0", -2), ("dim1", -1)))
    axes[first], axes[second] = axes[second], axes[first]
    return a.self.with_axes(axes)


@operation("movedim")
def _movedim(_: Lowering, a: SimpleNamespace) -> Array:
    order = torch.empty(a.self.shape).permute(range(len(a.self.axes)))
    sources, targets = ([each] if isinstance(each, int) else list(each) for each in (a.source, a.destination))
    rest = [i for i in range(order.ndim) if i not in {axis_index(a.self, s) for s in sources}]
    result: list[int | None] = [None] * order.ndim
    for source, target in zip(sources, targets):
        result[axis_index(a.self, target)] = axis_index(a.self, source)
    return a.self.with_axes(a.self.axes[each if each is not None else rest.pop(0)] for each in result)


@operation("unsqueeze")
def _unsqueeze(_: Lowering, a: SimpleNamespace) -> Array:
    dim = a.dim + len(a.self.axes) + 1 if a.dim < 0 else a.dim
    return a.self.with_axes((*a.self.axes[:dim], (), *a.self.axes[dim:]))


@operation("squeeze")
def _squeeze(_: Lowering, a: SimpleNamespace) -> Array:
    dims = getattr(a, "dim", None)
    dims = range(len(a.self.axes)) if dims is None else [dims] if isinstance(dims, int) else dims
    gone = {axis_index(a.self, dim) for dim in dims}
    return a.self.with_axes(axis for n, axis in enumerate(a.self.axes) if n not in gone or axis)


@operation("expand", "expand_as", "broadcast_to")
def expand(_: Lowering, a: SimpleNamespace) -> Array:
    size = a.other.shape if hasattr(a, "other") else a.size
    axes = ((),) * (len(size) - len(a.self.axes)) + a.self.axes
    if all(length in (-1, old) for length, old in zip(size, a.self.shape)) and len(size) == len(a.self.axes):
        return a.self
    return a.self.materialised().with_axes(axis or (() if length in (1, -1) else (Factor(length),)) for axis, length in zip(axes, size))


@operation("repeat", "tile")
def _repeat(_: Lowering, a: SimpleNamespace) -> Array:
    times = a.repeats if hasattr(a, "repeats") else a.dims
    axes = ((),) * (len(times) - len(a.self.axes)) + a.self.axes
    return a.self.materialised().with_axes((*axis_of(count), *axis) for axis, count in zip(axes, times))


@operation("repeat_interleave")
def _repeat_interleave(_: Lowering, a: SimpleNamespace) -> Array:
    if not isinstance(a.repeats, int) or a.dim is None:
        raise Unsupported("only with one number of repeats, along one axis.")
    dim = axis_index(a.self, a.dim)
    return a.self.materialised().with_axes((*axis, *axis_of(a.repeats)) if n == dim else axis for n, axis in enumerate(a.self.axes))


def sliced(low: Lowering, array: Array, dim: int, start: int, length: int) -> Any:
    """A part of an axis; nothing, which is a constant, if it is 0 long."""
    size = array.shape[dim]
    if (start, length) == (0, size):
        return array
    if length == 0:
        return torch.zeros([0 if n == dim else each for n, each in enumerate(array.shape)])
    array = array.materialised()
    (factor,) = array.axes[dim] if len(array.axes[dim]) == 1 else (None,)
    if factor is None:
        array = _outer_factor(array, dim, start, length) or single_factor(array, dim)
        factor = array.axes[dim][0]
        inner = size // factor.size
        start, length = start // inner, length // inner
        if length == factor.size:
            return array
    new = axis_of(length)
    replaced = lambda factors: tuple(part for each in factors for part in (new if each is factor else (each,)))  # noqa: E731
    axes = tuple(replaced(axis) for axis in array.axes)
    if factor not in array.order:
        return array.with_axes(axes)
    value, axis = around(array, factor)
    value = Value("slice", (value,), integers=(axis, start, length), source=low.source)
    return Stored(axes, value, replaced(array.order))


def _outer_factor(array: Stored, dim: int, start: int, length: int) -> Stored | None:
    """The array, if the slice is one of the axis's first factor."""
    inner = array.shape[dim] // array.axes[dim][0].size
    return array if start % inner == 0 and length % inner == 0 else None


@operation("slice")
def slice_of(low: Lowering, a: SimpleNamespace) -> Array:
    dim, size = axis_index(a.self, a.dim), a.self.shape[axis_index(a.self, a.dim)]
    start, end, _ = slice(a.start, a.end, 1).indices(size)
    step = a.step
    if step == 1:
        return sliced(low, a.self, dim, start, max(end - start, 0))
    count = len(range(start, end, step))
    if start >= step or size % step or count != size // step:
        return slice_of(low, SimpleNamespace(self=_of_length(low, a.self, dim, start, count * step), dim=dim, start=0, end=count * step, step=step))
    split = view(a.self, [*a.self.shape[:dim], count, step, *a.self.shape[dim + 1 :]])
    part = sliced(low, split, dim + 1, start, 1)
    return part.with_axes(axis for n, axis in enumerate(part.axes) if n != dim + 1)


def _of_length(low: Lowering, array: Array, dim: int, start: int, length: int) -> Array:
    """From `start` on, with zeros behind the end."""
    size = array.shape[dim]
    array = sliced(low, array, dim, start, min(length, size - start))
    if start + length <= size:
        return array
    zeros = torch.zeros([start + length - size if n == dim else each for n, each in enumerate(array.shape)])
    return concatenated(low, [array, low.array(zeros)], dim)


@operation("narrow")
def _narrow(low: Lowering, a: SimpleNamespace) -> Array:
    return sliced(low, a.self, axis_index(a.self, a.dim), a.start, a.length)


@operation("select")
def _select(low: Lowering, a: SimpleNamespace) -> Array:
    dim = axis_index(a.self, a.dim)
    part = sliced(low, a.self, dim, a.index % a.self.shape[dim], 1)
    return part.with_axes(axis for n, axis in enumerate(part.axes) if n != dim)


@operation("split", "split_with_sizes", "chunk", "unbind")
def _split(low: Lowering, a: SimpleNamespace) -> list[Array]:
    dim = axis_index(a.self, a.dim)
    size = a.self.shape[dim]
    if hasattr(a, "chunks"):
        sizes: Any = -(-size // a.chunks)
    else:
        sizes = getattr(a, "split_sizes", getattr(a, "split_size", 1))
    if isinstance(sizes, int):
        sizes = [min(sizes, size - start) for start in range(0, size, sizes)]
    array = a.self if isinstance(a.self, Stored) else a.self.materialised()
    parts, start = [], 0
    for length in sizes:
        parts.append(sliced(low, array, dim, start, length))
        start += length
    if name_of(low._node) == "unbind":
        parts = [part.with_axes(axis for n, axis in enumerate(part.axes) if n != dim) for part in parts]
    return parts


@operation("cat", "concat", "concatenate")
def _cat(low: Lowering, a: SimpleNamespace) -> Array:
    arrays = [low.array(each) for each in a.tensors if not (isinstance(each, torch.Tensor) and each.numel() == 0)]
    return concatenated(low, arrays, axis_index(arrays[0], a.dim))


@operation("stack")
def _stack(low: Lowering, a: SimpleNamespace) -> Array:
    arrays = [low.array(each) for each in a.tensors]
    dim = a.dim + len(arrays[0].axes) + 1 if a.dim < 0 else a.dim
    return concatenated(low, [each.with_axes((*each.axes[:dim], (), *each.axes[dim:])) for each in arrays], dim)


def concatenated(low: Lowering, arrays: Sequence[Array], dim: int) -> Array:
    if len(arrays) == 1:
        return arrays[0]
    arrays = [each.materialised() for each in arrays]
    others = [n for n in range(len(arrays[0].axes)) if n != dim]
    arrays = [each.materialised() for each in aligned(arrays, [[n] * len(arrays) for n in others])]
    first = max(arrays, key=lambda each: (each.value.name != "constant", len(each.order) == len(each.factors), bool(each.axes[dim])))
    names = [first.axes[n] for n in others]
    own = [each if each is first else fresh(each) for each in arrays]
    renamed = [each.split({old: (new,) for n, axis in zip(others, names) for old, new in zip(each.axes[n], axis)}) for each in own]
    first = renamed[next(i for i, each in enumerate(arrays) if each is first)]
    mine = set(first.axes[dim])
    rest = [*(each for each in first.order if each not in mine), *(each for each in first.factors if each not in mine and each not in set(first.order))]
    at = len(rest)
    if mine:
        position = first.order.index(first.axes[dim][0]) if first.axes[dim][0] in first.order else len(rest)
        at = len([each for each in first.order[:position] if each not in mine])
    new = Factor(sum(each.shape[dim] for each in arrays))
    before, after = rest[:at], rest[at:]
    if len(rest) < MAX_RANK:
        head, tail = [(each,) for each in before], [(each,) for each in after]
    else:
        head, tail = [tuple(before)] if before else [], [tuple(after)] if after else []
    values = [arrange(each, [*head, each.axes[dim], *tail]) for each in renamed]
    value = Value("concat", tuple(values), integers=(len(head),), source=low.source)
    axes = tuple((new,) if n == dim else first.axes[n] for n in range(len(first.axes)))
    return Stored(axes, value, (*before, new, *after))


@operation("flip")
def _flip(low: Lowering, a: SimpleNamespace) -> Array:
    array = whole(a.self)
    for dim in a.dims:
        array = single_factor(array, axis_index(array, dim))
        for factor in array.axes[axis_index(array, dim)]:
            value, axis = around(array, factor)
            array = array.alike(Value("flip", (value,), integers=(axis,), source=low.source))
    return array


@operation("roll")
def _roll(low: Lowering, a: SimpleNamespace) -> Array:
    array = a.self
    if not a.dims:
        raise Unsupported("only along named axes.")
    for by, along in zip(a.shifts, a.dims):
        dim = axis_index(array, along)
        size = array.shape[dim]
        if shift := by % size:
            array = single_factor(array, dim)
            array = concatenated(low, [sliced(low, array, dim, size - shift, shift), sliced(low, array, dim, 0, size - shift)], dim)
    return array


@operation("index_select")
def _index_select(low: Lowering, a: SimpleNamespace) -> Array:
    return _gathered(low, a.self, axis_index(a.self, a.dim), a.index)


@operation("index")
def _index(low: Lowering, a: SimpleNamespace) -> Array:
    given = [(n, each) for n, each in enumerate(a.indices) if each is not None]
    if len(given) != 1 or not isinstance(given[0][1], torch.Tensor) or given[0][1].ndim != 1:
        raise Unsupported("only one axis, by a vector that is a constant. " + ADVICE["index"])
    return _gathered(low, a.self, *given[0])


def _gathered(low: Lowering, array: Array, dim: int, indices: torch.Tensor) -> Array:
    """Rows that are neighbours are taken together."""
    if not isinstance(indices, torch.Tensor):
        raise Unsupported("indices must be constants.")
    if indices.dtype == torch.bool:
        indices = torch.nonzero(indices).reshape(-1)
    numbers = [int(each) % array.shape[dim] for each in indices.tolist()]
    if numbers == list(range(array.shape[dim]))[::-1]:
        return _flip(low, SimpleNamespace(self=array, dims=[dim]))
    runs: list[list[int]] = []
    for each in numbers:
        if runs and each == runs[-1][0] + runs[-1][1]:
            runs[-1][1] += 1
        else:
            runs.append([each, 1])
    if len(runs) > 64:
        raise Unsupported("so many single indices. " + ADVICE["index"])
    return concatenated(low, [sliced(low, array, dim, start, length) for start, length in runs], dim)


@operation("zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full", "empty_like", "new_empty")
def _filled(_: Lowering, a: SimpleNamespace) -> torch.Tensor:
    name = name_of(_._node)
    shape = a.size if hasattr(a, "size") else a.self.shape
    value = float(a.fill_value) if hasattr(a, "fill_value") else float("ones" in name)
    return torch.full(list(shape), value)
