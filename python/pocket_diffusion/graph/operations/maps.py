"""Operations on maps: upsampling, pooling, padding, pixel shuffle."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from pocket_diffusion.graph.ir import Value
from pocket_diffusion.graph.layout import (
    Array,
    as_map,
    of_map,
    view,
)  # fmt: skip
from pocket_diffusion.graph.lower import Lowering, Unsupported, name_of, operation
from pocket_diffusion.graph.operations.reductions import reduced
from pocket_diffusion.graph.operations.shapes import concatenated, slice_of, sliced


def pair(value: Any, default: int = 0) -> tuple[int, int]:
    """Of a 2-d operation, or of a 1-d one as one over a height of 1."""
    if isinstance(value, int):
        return value, value
    value = list(value)
    if not value:
        return default, default
    return (value[0], value[0]) if len(value) == 1 else (value[0], value[1])


def _on_map(low: Lowering, array: Array, name: str, *integers: int) -> Array:
    value = Value(name, (as_map(one_picture(array)),), integers=tuple(integers), source=low.source)
    return many_pictures(of_map(value, len(array.axes) == 3), array)


def one_picture(array: Array) -> Array:
    """Several pictures are channels of one, where each channel is for itself."""
    return array.with_axes(((), array.axes[0] + array.axes[1], *array.axes[2:])) if array.axes[0] else array


def many_pictures(result: Array, before: Array) -> Array:
    count = before.shape[0]
    return result if count == 1 else view(result, [count, result.shape[1] // count, *result.shape[2:]])


def _new_size(a: SimpleNamespace, array: Array) -> list[int]:
    size = getattr(a, "output_size", None)
    if size is not None:
        return [int(each) for each in size]
    return [int(np.floor(length * factor)) for length, factor in zip(array.shape[2:], a.scale_factors)]


@operation("upsample_nearest2d", "upsample_nearest1d", "upsample_nearest_exact2d", "_upsample_nearest_exact2d")
def _upsample_nearest(low: Lowering, a: SimpleNamespace) -> Array:
    array = getattr(a, "input", None) or getattr(a, "self", None)
    old, new = list(array.shape[2:]), _new_size(a, array)
    if new == old:
        return array
    if any(n % o for n, o in zip(new, old)):
        return _nearest_down(low, array, old, new)
    factors = [n // o for n, o in zip(new, old)]
    return _on_map(low, array, "nearest", *([1] * (2 - len(factors))), *factors)


def _nearest_down(low: Lowering, array: Array, old: Sequence[int], new: Sequence[int]) -> Array:
    """Smaller by a whole factor: the first number of each."""
    if any(o % n for n, o in zip(new, old)) or "exact" in name_of(low._node):
        raise Unsupported("nearest neighbours by factors that are not whole numbers.")
    for dim, (o, n) in enumerate(zip(old, new), start=2):
        array = slice_of(low, SimpleNamespace(self=array, dim=dim, start=0, end=o, step=o // n))
    return array


@operation("upsample_bilinear2d")
def _upsample_bilinear(low: Lowering, a: SimpleNamespace) -> Array:
    array = getattr(a, "input", None) or getattr(a, "self", None)
    return _on_map(low, array, "bilinear", *_new_size(a, array), int(a.align_corners))


@operation("avg_pool2d", "max_pool2d", "max_pool2d_with_indices", "avg_pool1d", "max_pool1d")
def _pool(low: Lowering, a: SimpleNamespace) -> Any:
    name = name_of(low._node)
    flat = name.endswith("1d")
    one = lambda value, default: (default, pair(value)[0]) if flat else pair(value)  # noqa: E731
    kernel = one(a.kernel_size, 1)
    stride, padding = one(a.stride, 1) if a.stride else kernel, one(a.padding, 0)
    if a.ceil_mode or one(getattr(a, "dilation", 1), 1) != (1, 1) or getattr(a, "divisor_override", None):
        raise Unsupported("pools with ceil_mode, dilation or another divisor.")
    if name.startswith("avg"):
        return _on_map(low, a.self, "average_pool", *kernel, *stride, *padding, int(a.count_include_pad))
    result = _on_map(low, a.self, "max_pool", *kernel, *stride, *padding)
    return (result, None) if name.endswith("indices") else result


@operation("adaptive_avg_pool2d", "_adaptive_avg_pool2d", "adaptive_avg_pool1d")
def _adaptive_pool(low: Lowering, a: SimpleNamespace) -> Array:
    old, new = list(a.self.shape[2:]), list(a.output_size)
    if all(each == 1 for each in new):
        return reduced(a.self, range(2, len(a.self.axes)), "mean", low.source)
    if any(o % n for o, n in zip(old, new)):
        raise Unsupported("adaptive pools that do not divide the map evenly.")
    kernel = [o // n for o, n in zip(old, new)]
    kernel = [1] * (2 - len(kernel)) + kernel
    return _on_map(low, a.self, "average_pool", *kernel, *kernel, 0, 0, 1)


@operation("pad", "constant_pad_nd", "reflection_pad2d", "replication_pad2d")
def _pad(low: Lowering, a: SimpleNamespace) -> Array:
    name = name_of(low._node)
    amounts = list(a.pad if hasattr(a, "pad") else a.padding)
    kind = {"pad": getattr(a, "mode", "constant"), "reflection_pad2d": "reflect", "replication_pad2d": "replicate"}.get(name, "constant")
    array, value = a.self, float(getattr(a, "value", 0) or 0)
    rank = len(array.axes)
    amounts += [0] * (2 * rank - len(amounts))
    by_axis = [(amounts[2 * (rank - 1 - n)], amounts[2 * (rank - 1 - n) + 1]) for n in range(rank)]
    for n, (before, after) in enumerate(by_axis):  # what is taken away
        if min(before, after) < 0:
            first, last = max(-before, 0), max(-after, 0)
            array = sliced(low, array, n, first, array.shape[n] - first - last)
    by_axis = [(max(before, 0), max(after, 0)) for before, after in by_axis]
    if rank == 4 and not any(by_axis[0]) and not any(by_axis[1]) and value == 0:
        (top, bottom), (left, right) = by_axis[2:]
        return _on_map(low, array, "pad", top, left, bottom, right, ("constant", "reflect", "replicate", "circular").index(kind))
    if kind != "constant":
        raise Unsupported(f"padding of kind {kind} of these axes.")
    for n, (before, after) in enumerate(by_axis):
        parts: list[Array] = [array]
        for length, at in ((before, 0), (after, 1)):
            if length:
                shape = [length if m == n else size for m, size in enumerate(array.shape)]
                parts.insert(at * len(parts), low.array(torch.full(shape, value)))
        array = concatenated(low, parts, n)
    return array


@operation("pixel_shuffle")
def _pixel_shuffle(low: Lowering, a: SimpleNamespace) -> Array:
    return _on_map(low, a.self, "pixel_shuffle", a.upscale_factor)


@operation("pixel_unshuffle")
def _pixel_unshuffle(low: Lowering, a: SimpleNamespace) -> Array:
    return _on_map(low, a.self, "pixel_unshuffle", a.downscale_factor)
