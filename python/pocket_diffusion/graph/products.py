"""Arithmetic of arrays: elementwise with broadcasting, and products whose meaning is found out as late as possible.

Attention is written in many ways: matmul or einsum, softmax in between, scale on either side, heads here or there. A
product of two arrays is therefore put off until it is known what happens to it. Factors tell the roles of its axes, and
so whether what comes together in the end is an attention, whatever stood in between.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pocket_diffusion.graph.ir import FUNCTIONS, MAX_RANK, GraphError, Value
from pocket_diffusion.graph.layout import (
    Array,
    Axis,
    Factor,
    Stored,
    _few,
    _substitute,
    aligned,
    arrange,
    fresh,
    reshape,
    size_of,
    value_groups,
    whole,
)  # fmt: skip

# ---- elementwise --------------------------------------------------------------


def function(array: Array, name: str, *reals: float, source: str = "") -> Stored:
    array = array.materialised()
    return array.alike(Value("function", (array.value,), integers=(FUNCTIONS[name],), reals=reals, source=source))


def scaled(array: Array, factor: float, summand: float, source: str = "") -> Array:
    """factor * array + summand."""
    if summand == 0 and isinstance(array, (Product, Softmax)) and array.can_be_scaled:
        return replace(array, factor=array.factor * factor)
    if (factor, summand) == (1, 0):
        return array
    array = array.materialised()
    return array.alike(Value("scale", (array.value,), reals=(factor, summand), source=source))


def binary(name: str, a: Array, b: Array, source: str = "") -> Stored:
    """add, sub, mul, div, min or max, with broadcasting as PyTorch's."""
    a, b = _matched(a.materialised(), b.materialised())
    axes = tuple(first or second for first, second in zip(a.axes, b.axes))
    order, groups = _common_layout(a, b, axes)
    operands = [_spread(each, groups) for each in (a, b)]
    value = Value(name, tuple(operands), source=source)
    if (a.order == order and value.shape != a.value.shape and size_of(order) == size_of(a.order) and value_groups(a)) or value.shape == ():
        value = reshape(value, a.value.shape)
    return Stored(axes, value, order)


def _matched(a: Stored, b: Stored) -> tuple[Stored, Stored]:
    """With as many axes, and the same factors where both have any."""
    rank = max(len(a.axes), len(b.axes))
    a, b = (each.with_axes(((),) * (rank - len(each.axes)) + each.axes) for each in (a, b))
    a, b = (each.materialised() for each in aligned([a, b], [(i, i) for i in range(rank)]))
    b = fresh(b)
    return a, _renamed(b, [(theirs, ours) for ours, theirs in zip(a.axes, b.axes) if ours and theirs])


def _renamed(array: Array, pairs: Sequence[tuple[Axis, Axis]]) -> Array:
    """With other objects as factors."""
    return array.split({old: (new,) for olds, news in pairs for old, new in zip(olds, news)})


def _common_layout(a: Stored, b: Stored, axes: tuple[Axis, ...]) -> tuple[Axis, list[Axis]]:
    """The order of a result's numbers, and the axes of its value, of which an operand has each one as a whole or not at all."""
    in_a, in_b = set(a.order), set(b.order)
    if in_a >= in_b and not (in_a == in_b and a.value.name == "constant"):
        leader = a
    elif in_b >= in_a:
        leader = b
    else:
        order = tuple(each for axis in axes for each in axis if each in in_a | in_b)
        return order, _runs_of_presence(order, in_a, in_b)
    groups = value_groups(leader)
    if groups and all(len({(each in in_a, each in in_b) for each in group}) <= 1 for group in groups):
        return leader.order, groups
    return leader.order, _runs_of_presence(leader.order, in_a, in_b)


def _runs_of_presence(order: Axis, in_a: set[Factor], in_b: set[Factor]) -> list[Axis]:
    groups: list[list[Factor]] = []
    last = None
    for each in order:
        here = (each in in_a, each in in_b)
        if here != last:
            groups.append([])
        groups[-1].append(each)
        last = here
    if len(groups) > MAX_RANK:
        raise GraphError(f"arrays that are repeated along {len(groups)} axes by turns: at most {MAX_RANK} are possible")
    return [tuple(group) for group in groups]


def _spread(array: Stored, groups: Sequence[Axis]) -> Value:
    present = set(array.order)
    mine = [group if group and group[0] in present else () for group in groups]
    shape = [size_of(group) for group in mine]
    value = arrange(Stored((array.order,), array.value, array.order), [group for group in mine if group] or [()])
    if shape == list(map(size_of, groups)):
        return reshape(value, shape)
    while len(shape) > 1 and shape[0] == 1:
        del shape[0]
    return reshape(value, shape)


# ---- products -----------------------------------------------------------------


@dataclass(frozen=True)
class Softmax(Array):
    """factor * softmax of an array over some of its factors."""

    of: Stored
    over: Axis
    factor: float
    source: str

    can_be_scaled = True

    def split(self, parts: dict[Factor, Axis]) -> "Softmax":
        axes = tuple(_substitute(axis, parts) for axis in self.axes)
        return replace(self, axes=axes, of=self.of.split(parts), over=_substitute(self.over, parts))

    def materialised(self) -> Stored:
        array = whole(self.of)
        rest = tuple(each for each in array.order if each not in set(self.over))
        value = Value("softmax", (arrange(array, [*_few(rest), self.over]),), source=self.source)
        result = Stored(self.axes, value, (*rest, *self.over))
        return result if self.factor == 1 else scaled(result, self.factor, 0.0, self.source).materialised()


@dataclass(frozen=True)
class Product(Array):
    """factor * the sum over `inner` of left * right, + mask, and a softmax over one side's own factors if there is `over`."""

    left: Array
    right: Array
    batch: Axis  # factors that both have, and the result too
    inner: Axis
    factor: float
    mask: Stored | None
    over: Axis
    source: str

    @property
    def can_be_scaled(self) -> bool:
        return self.mask is None and not self.over

    def split(self, parts: dict[Factor, Axis]) -> "Product":
        return replace(
            self,
            axes=tuple(_substitute(axis, parts) for axis in self.axes),
            left=self.left.split(parts),
            right=self.right.split(parts),
            batch=_substitute(self.batch, parts),
            inner=_substitute(self.inner, parts),
            mask=self.mask and self.mask.split(parts),
            over=_substitute(self.over, parts),
        )

    def own(self, side: Array) -> Axis:
        """The factors that only this side has."""
        return tuple(each for each in side.factors if each not in set(self.batch) | set(self.inner))

    def materialised(self) -> Stored:
        left, right = self.left, self.right
        if self.over and set(self.over) == set(self.own(left)):
            left, right = right, left
        inner = _as_in(whole(left).order, self.inner)
        operands, transposed, order = [], [], list(self.batch)
        for side, inner_first in ((left, False), (right, True)):
            array = whole(side)
            own = _as_in(array.order, self.own(side))
            order.extend(own)
            flipped = bool(own and inner) and (array.order.index(inner[-1]) > array.order.index(own[-1])) == inner_first
            transposed.append(int(flipped))
            pair = [inner, own] if inner_first != flipped else [own, inner]
            operands.append(arrange(array, [*([self.batch] if self.batch else []), *pair]))
        value = Value("matmul", tuple(operands), integers=tuple(transposed), reals=(self.factor,), source=self.source)
        result = Stored(self.axes, value, tuple(order))
        if self.mask is not None:  # by its factors: its axes are those of the product as it was then
            present = set(self.mask.order)
            by_factor = self.mask.with_axes((each,) if each in present else () for each in result.order)
            result = binary("add", result.with_axes((each,) for each in result.order), by_factor, self.source)
        if self.over:
            result = Softmax(result.axes, result, self.over, 1.0, self.source).materialised()
        return result.with_axes(self.axes)


def _as_in(order: Axis, factors: Axis) -> Axis:
    wanted = set(factors)
    return tuple(each for each in order if each in wanted)


def softmax(array: Array, axis: int, source: str) -> Array:
    over = array.axes[axis]
    if not over:
        raise GraphError(f"softmax over an axis that is 1 long ({source})")
    if isinstance(array, Product) and not array.over and set(over) in (set(array.own(array.left)), set(array.own(array.right))):
        return replace(array, over=over)
    array = array.materialised()
    return Softmax(array.axes, array, over, 1.0, source)


def masked(product: Product, mask: Stored, source: str) -> Array:
    """product + mask. The mask has as many axes, of the product's lengths or 1."""
    if product.over:
        return binary("add", product, mask, source)
    product, mask = aligned([product, mask.with_axes(((),) * (len(product.axes) - len(mask.axes)) + mask.axes)], [(i, i) for i in range(len(product.axes))])
    mask = fresh(mask)
    mask = _renamed(mask, [(theirs, ours) for ours, theirs in zip(product.axes, mask.axes) if ours and theirs]).materialised()
    if product.mask is not None:
        both = [each for each in product.factors if each in set(product.mask.order) | set(mask.order)]
        first, second = (part.with_axes((each,) if each in set(part.order) else () for each in both) for part in (product.mask, mask))
        mask = binary("add", first, second, source)
        mask = _renamed(mask, [(axis, (each,)) for axis, each in zip(mask.axes, both)]).materialised()
    return replace(product, mask=mask)


def contract(a: Array, b: Array, of_a: str, of_b: str, of_result: str, source: str) -> Array:
    """einsum of two arrays; labels of axes are letters."""
    shared = [each for each in of_a if each in of_b]
    for labels, other in ((of_a, of_b), (of_b, of_a)):
        if len(set(labels)) < len(labels) or any(each not in other and each not in of_result for each in labels):
            raise GraphError(f"einsum {of_a},{of_b}->{of_result}: repeated letters and sums within one operand are not possible ({source})")
    a, b = aligned([a, b], [(of_a.index(each), of_b.index(each)) for each in shared])
    b = fresh(b)
    b = _renamed(b, [(b.axes[of_b.index(each)], a.axes[of_a.index(each)]) for each in shared if b.axes[of_b.index(each)] and a.axes[of_a.index(each)]])
    in_both = set(a.factors) & set(b.factors)
    axes = tuple(
        a.axes[of_a.index(each)] if each in of_a and a.axes[of_a.index(each)] else b.axes[of_b.index(each)] if each in of_b else () for each in of_result
    )
    kept = {each for axis in axes for each in axis}
    batch = tuple(each for each in a.factors if each in in_both and each in kept)
    inner = tuple(each for each in a.factors if each in in_both and each not in kept)
    if any(each not in kept and each not in in_both for each in (*a.factors, *b.factors)):
        raise GraphError(f"einsum {of_a},{of_b}->{of_result}: an axis of one operand is 1 long and that of the other is not ({source})")
    for scores, other in ((a, b), (b, a)):
        found = _attention(scores, other, axes, batch, inner, source) or _linear_attention(scores, other, axes, batch, inner, source)
        if found is not None:
            return found
    a, b = (each.materialised() if isinstance(each, Product) else each for each in (a, b))
    return Product(axes, a, b, batch, inner, 1.0, None, (), source)


def _heads_of(q: Stored, batch: Axis, positions: Axis) -> tuple[Axis, Axis]:
    """The factors of the batch that are separate problems, and those that are heads: where q has them behind its positions."""
    if not positions:
        return (), batch
    last = max(q.order.index(each) for each in positions)
    heads = tuple(each for each in batch if q.order.index(each) > last)
    # Heads are the innermost ones in every order of axes: what lies outside one of them is no head.
    return tuple(each for each in batch if each not in set(heads)), heads


def _attention(scores: Array, v: Array, axes: tuple[Axis, ...], batch: Axis, inner: Axis, source: str) -> Stored | None:
    if not isinstance(scores, Product) or not scores.over or set(inner) != set(scores.over) or set(batch) != set(scores.batch):
        return None
    q, k = scores.left, scores.right
    if set(scores.over) != set(scores.own(k)):
        q, k = k, q
    positions = scores.own(q)
    q, k, v = (whole(each) for each in (q, k, v))
    channels = tuple(each for each in v.factors if each not in set(batch) | set(inner))
    if not positions or not channels or not scores.inner:
        return None
    leading, heads = _heads_of(q, scores.batch, positions)
    positions = _as_in(q.order, positions)
    lead = [leading] if leading else []
    values = [
        arrange(q, [*lead, positions, (*heads, *scores.inner)]),
        arrange(k, [*lead, scores.over, (*heads, *scores.inner)]),
        arrange(v, [*lead, scores.over, (*heads, *channels)]),
    ]
    if scores.mask is not None:
        values.append(_mask(scores.mask, [*lead, heads, positions, scores.over]))
    value = Value("attention", tuple(values), integers=(size_of(heads),), reals=(scores.factor,), source=source)
    return Stored(axes, value, (*leading, *positions, *heads, *channels))


def _mask(mask: Stored, groups: Sequence[Axis]) -> Value:
    """As broadcasting to these axes; what a group has only a part of is repeated."""
    present = set(mask.order)
    mine = []
    for group in groups:
        here = [each for each in group if each in present]
        mine.append(group if here else ())
    axes = tuple(mine)
    return arrange(Stored(axes, mask.value, mask.order), axes)


def _linear_attention(context: Array, q: Array, axes: tuple[Axis, ...], batch: Axis, inner: Axis, source: str) -> Stored | None:
    if not isinstance(context, Product) or context.over or context.mask is not None or set(batch) != set(context.batch) or isinstance(q, Product):
        return None
    k, v = context.left, context.right
    if set(inner) != set(context.own(k)):
        k, v = v, k
    if set(inner) != set(context.own(k)) or not inner or isinstance(k, Product) or isinstance(v, Product):
        return None
    summed, channels = context.inner, context.own(v)
    positions = tuple(each for each in q.factors if each not in set(batch) | set(inner))
    if not positions or not channels or not summed:
        return None
    factor, soft = context.factor, False
    if isinstance(q, Softmax) and isinstance(k, Softmax) and set(q.over) == set(inner) and set(k.over) == set(summed):
        factor, soft = factor * q.factor * k.factor, True
        q, k = (replace(each.of, axes=each.axes) for each in (q, k))
    q, k, v = (whole(each) for each in (q, k, v))
    leading, heads = _heads_of(q, batch, positions)
    lead = [leading] if leading else []
    positions = _as_in(q.order, positions)
    summed = _as_in(k.order, summed)
    values = (
        arrange(q, [*lead, positions, (*heads, *inner)]),
        arrange(k, [*lead, summed, (*heads, *inner)]),
        arrange(v, [*lead, summed, (*heads, *channels)]),
    )
    value = Value("linear_attention", values, integers=(size_of(heads), int(soft)), reals=(factor,), source=source)
    return Stored(axes, value, (*leading, *positions, *heads, *channels))
