"""Arrays of PyTorch as values of the graph: which number lies where is kept as a symbol until an operation needs to know.

PyTorch's axes are products of *factors*; a value of the graph holds the factors in the order of its memory. Permuting,
splitting and joining axes then changes the symbols alone, and what leaves a network as a chain of rearrangements
becomes one permutation, or none. The batch, which is 1 long, has no factors and so vanishes.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pocket_diffusion.graph.ir import MAX_RANK, GraphError, Value


class Factor:
    """A part of an axis, longer than 1. Two are the same one if they are the same object."""

    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        self.size = size


Axis = tuple[Factor, ...]


def size_of(factors: Iterable[Factor]) -> int:
    return math.prod(each.size for each in factors)


def axis_of(size: int) -> Axis:
    return () if size == 1 else (Factor(size),)


def _substitute(factors: Axis, parts: dict[Factor, Axis]) -> Axis:
    return tuple(part for each in factors for part in parts.get(each, (each,)))


@dataclass(frozen=True)
class Array:
    """What an expression of PyTorch is: axes, and where their factors lie. Factors that are in no memory are repetitions."""

    axes: tuple[Axis, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(map(size_of, self.axes))

    @property
    def factors(self) -> Axis:
        return tuple(each for axis in self.axes for each in axis)

    def with_axes(self, axes: Iterable[Axis]) -> "Array":
        return replace(self, axes=tuple(axes))

    def split(self, parts: dict[Factor, Axis]) -> "Array":
        """Factors as products of smaller ones."""
        return replace(self, axes=tuple(_substitute(axis, parts) for axis in self.axes))

    def materialised(self) -> "Stored":
        raise NotImplementedError


@dataclass(frozen=True)
class Stored(Array):
    """An array that is a value of the graph."""

    value: Value
    order: Axis  # of the value's numbers, the last one fastest

    def split(self, parts: dict[Factor, Axis]) -> "Stored":
        return replace(self, axes=tuple(_substitute(axis, parts) for axis in self.axes), order=_substitute(self.order, parts))

    def materialised(self) -> "Stored":
        return self

    def alike(self, value: Value) -> "Stored":
        """Another value of the same layout."""
        return replace(self, value=value)


def fresh(array: Array) -> Array:
    """With factors of its own, so that it can meet an array that it was made from."""
    return array.split({each: (Factor(each.size),) for each in array.factors})


def stored(value: Value, *axes: Axis) -> Stored:
    """A value whose numbers lie as the axes say, one after the other."""
    return Stored(tuple(axes), value, tuple(each for axis in axes for each in axis))


# ---- making values ------------------------------------------------------------


def reshape(value: Value, shape: Sequence[int]) -> Value:
    shape = tuple(shape) or (1,)
    if shape == value.shape:
        return value
    if value.name == "reshape":
        return reshape(value.inputs[0], shape)
    return Value("reshape", (value,), integers=shape, source=value.source)


def permute(value: Value, axes: Sequence[int]) -> Value:
    return value if list(axes) == sorted(axes) else Value("permute", (value,), integers=tuple(axes), source=value.source)


def arrange(array: Array, groups: Sequence[Axis]) -> Value:
    """The value with an axis for each group of factors. Every factor of the array is in one of them."""
    array = array.materialised()
    wanted = [each for group in groups for each in group]
    present = set(array.order)
    target = [each for each in wanted if each in present]
    value = array.value
    if target != list(array.order):
        runs = _runs(target, array.order)
        if len(runs) > MAX_RANK:
            raise GraphError(f"a rearrangement of {len(runs)} axes: at most {MAX_RANK} are possible ({value.source})")
        by_memory = sorted(range(len(runs)), key=lambda i: array.order.index(runs[i][0]))
        value = reshape(value, [size_of(runs[i]) for i in by_memory])
        value = permute(value, [by_memory.index(i) for i in range(len(runs))])
    if len(target) < len(wanted):
        value = _repeat(value, wanted, present)
    return reshape(value, [size_of(group) for group in groups])


def _runs(target: Sequence[Factor], order: Sequence[Factor]) -> list[list[Factor]]:
    """Longest pieces of `target` whose factors are neighbours in `order` too."""
    place = {each: i for i, each in enumerate(order)}
    runs: list[list[Factor]] = []
    for each in target:
        if runs and place[each] == place[runs[-1][-1]] + 1:
            runs[-1].append(each)
        else:
            runs.append([each])
    return runs


def _repeat(value: Value, wanted: Sequence[Factor], present: set[Factor]) -> Value:
    without, whole = [], []
    last = None
    for each in wanted:
        here = each in present
        if here != last:
            without.append(1)
            whole.append(1)
        without[-1] *= each.size if here else 1
        whole[-1] *= each.size
        last = here
    if len(whole) > MAX_RANK:
        raise GraphError(f"a repetition of {len(whole)} axes: at most {MAX_RANK} are possible ({value.source})")
    return Value("expand", (reshape(value, without),), integers=tuple(whole), source=value.source)


def value_groups(array: Stored) -> list[Axis] | None:
    """The factors of each axis of the value itself; None where an axis ends within a factor."""
    groups, position = [], 0
    for length in array.value.shape:
        group, size = [], 1
        while size < length and position < len(array.order):
            group.append(array.order[position])
            size *= array.order[position].size
            position += 1
        if size != length:
            return None
        groups.append(tuple(group))
    return groups


def whole(array: Array) -> Stored:
    """Without repetitions, which become numbers."""
    array = array.materialised()
    if len(array.order) == len(array.factors):
        return array
    missing = [each for each in array.factors if each not in set(array.order)]
    groups = [tuple(missing), *((each,) for each in array.order)]
    value = arrange(array, groups if len(groups) <= MAX_RANK else [tuple(missing), array.order])
    return Stored(array.axes, value, (*missing, *array.order))


def channels_last(array: Array, axis: int) -> Stored:
    """One whose value has that axis as its last one; the others lie as they lay."""
    array = whole(array)
    channels = array.axes[axis]
    rest = tuple(each for each in array.order if each not in set(channels))
    if array.order == (*rest, *channels):
        groups = value_groups(array)
        if groups and groups[-1] == channels:
            return array
    groups = [*_few(rest), channels]
    return Stored(array.axes, arrange(array, groups), (*rest, *channels))


def _few(factors: Axis) -> list[Axis]:
    """Each for itself, or all together where there are too many for a value's axes."""
    return [(each,) for each in factors] if len(factors) < MAX_RANK else [factors]


def as_map(array: Array) -> Value:
    """[1, C, H, W], or [1, C, N] as a map of height 1, as [H, W, C]."""
    if len(array.axes) not in (3, 4) or array.axes[0]:
        raise GraphError(f"expected one picture [1, C, H, W], not {list(array.shape)}")
    if len(array.axes) == 3:
        return arrange(array, [(), array.axes[2], array.axes[1]])
    return arrange(array, [array.axes[2], array.axes[3], array.axes[1]])


def of_map(value: Value, one_dimensional: bool = False) -> Stored:
    """[H, W, C] as [1, C, H, W], or [1, C, N]."""
    height, width, channels = map(axis_of, value.shape)
    axes = ((), channels, width) if one_dimensional else ((), channels, height, width)
    return Stored(axes, value, (*height, *width, *channels))


# ---- axes ---------------------------------------------------------------------


def view(array: Array, shape: Sequence[int]) -> Array:
    """The same numbers in row-major order, in another shape."""
    array = _divided(array, shape) or _divided(_joined(array), shape)
    factors = list(array.factors)
    axes = []
    for length in shape:
        axis = []
        while size_of(axis) < length:
            axis.append(factors.pop(0))
        axes.append(tuple(axis))
    return array.with_axes(axes)


def _joined(array: Array) -> Stored:
    """In PyTorch's order, as one factor."""
    return stored(arrange(array, array.axes if len(array.axes) <= MAX_RANK else [array.factors]), axis_of(math.prod(array.shape)))


def _divided(array: Array, shape: Sequence[int]) -> Array | None:
    """With factors that the shape's axes are made of; None if there is no such division."""
    parts: dict[Factor, Axis] = {}
    waiting = list(array.factors)[::-1]
    whole_of: dict[Factor, Factor] = {}
    for length in shape:
        need = length
        while need > 1:
            factor = waiting.pop()
            if need % factor.size == 0:
                need //= factor.size
            elif factor.size % need == 0:
                first, second = Factor(need), Factor(factor.size // need)
                origin = whole_of.pop(factor, factor)
                parts[origin] = (*parts.get(origin, (factor,))[:-1], first, second)
                whole_of[second] = origin
                waiting.append(second)
                need = 1
            else:
                return None
    return array.split(parts) if parts else array


def aligned(arrays: Sequence[Array], axes: Sequence[Sequence[int | None]]) -> list[Array]:
    """Arrays whose axes, as told by number for each, are divided into factors of the same sizes. None: the array has no such axis."""
    arrays = list(arrays)
    for numbers in axes:
        sizes = {arrays[i].shape[n] for i, n in enumerate(numbers) if n is not None and arrays[i].axes[n]}
        if len(sizes) > 1:
            raise GraphError(f"axes of {sorted(sizes)} do not go together")
        involved = [(i, n) for i, n in enumerate(numbers) if n is not None and arrays[i].axes[n]]
        cuts = _cuts([[each.size for each in arrays[i].axes[n]] for i, n in involved])
        for i, n in involved:
            if cuts is None:  # no common division: as one factor each, all of which are then cut alike
                arrays[i] = single_factor(arrays[i], n)
            else:
                arrays[i] = _cut(arrays[i], n, cuts)
    return arrays


def _cuts(divisions: list[list[int]]) -> list[int] | None:
    """Sizes of the factors of a division finer than all of these."""
    bounds: set[int] = set()
    for sizes in divisions:
        product = 1
        for size in reversed(sizes):
            product *= size
            bounds.add(product)
    ordered = sorted(bounds)
    result, previous = [], 1
    for bound in ordered:
        if bound % previous:
            return None
        result.append(bound // previous)
        previous = bound
    return result[::-1]


def _cut(array: Array, axis: int, sizes: Sequence[int]) -> Array:
    parts: dict[Factor, Axis] = {}
    left = list(sizes)
    for factor in array.axes[axis]:
        pieces = []
        while size_of(pieces) < factor.size:
            pieces.append(Factor(left.pop(0)))
        if len(pieces) > 1:
            parts[factor] = tuple(pieces)
    return array.split(parts) if parts else array


def single_factor(array: Array, axis: int) -> Stored:
    """With an axis that is one factor."""
    array = whole(array)
    factors = array.axes[axis]
    if len(factors) <= 1:
        return array
    one = Factor(size_of(factors))
    at = array.order.index(factors[0])
    rest = [each for each in array.order if each not in set(factors)]
    before = [each for each in array.order[:at] if each not in set(factors)]
    order = [*before, *factors, *rest[len(before) :]]
    value = array.value if order == list(array.order) else arrange(array, [tuple(before), factors, tuple(rest[len(before) :])])
    axes = tuple((one,) if n == axis else each for n, each in enumerate(array.axes))
    return Stored(axes, value, (*before, one, *rest[len(before) :]))


def around(array: Stored, factor: Factor) -> tuple[Value, int]:
    """The value with an axis that is this factor alone, and which one that is."""
    groups = value_groups(array)
    if groups is None or (factor,) not in groups:
        at = array.order.index(factor)
        groups = [group for group in (array.order[:at], (factor,), array.order[at + 1 :]) if group]
    return reshape(array.value, [size_of(group) for group in groups]), groups.index((factor,))
