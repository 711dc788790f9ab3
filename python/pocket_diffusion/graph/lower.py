"""PyTorch's operations as operations of the vocabulary.

What depends on parameters alone is computed once and for all. What depends on the class alone up to the first layer is
a table with a row for each class, whatever it was before (embeddings, one-hot vectors, masks); so is what a network
looks up by a whole time. Everything else becomes values, channels last.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from pocket_diffusion.graph.ir import FUNCTIONS, MAX_NAME_BYTES, MAX_RANK, REDUCTIONS, GraphError, Value, Weight, ancestors
from pocket_diffusion.graph.layout import (
    Array,
    Factor,
    Stored,
    aligned,
    around,
    arrange,
    as_map,
    axis_of,
    channels_last,
    fresh,
    of_map,
    reshape,
    single_factor,
    size_of,
    stored,
    value_groups,
    view,
    whole,
)  # fmt: skip
from pocket_diffusion.graph.products import Product, binary, contract, function, masked, scaled, softmax
from pocket_diffusion.graph.trace import Traced, source_of

NEVER = -1e30  # of a mask, in place of minus infinity: files hold finite numbers


@dataclass(frozen=True)
class Inputs:
    """What x, t and y stand for."""

    shape: tuple[int, int, int]  # of x, [C, H, W]
    times: np.ndarray  # what the network is fed at each index, float32 [T]
    labels: tuple[int, ...]  # of the rows of class tables: the classes, and what stands for none if there is that


@dataclass(frozen=True)
class Table:
    """What an expression is for each class, or at each time: [rows, ...] of the expression's shape."""

    of: str  # class or time
    rows: torch.Tensor


class Unsupported(Exception):
    """This operation, or this form of it, cannot be expressed: why, and what to do."""


class Lowering:
    """One network on its way. `result` is the prediction, [H, W, P]."""

    def __init__(self, traced: Traced, inputs: Inputs, zero_null: str = "") -> None:
        """`zero_null`: where the label that stands for no class makes a row of zeros: "" nowhere (the network is asked),
        "embedding" in the tables, "vector" in all that depends on the class alone.
        """
        self.traced, self.inputs, self.zero_null = traced, inputs, zero_null
        self.known: dict[torch.fx.Node, Any] = {}
        self.source = ""
        self._weights: dict[tuple, Weight] = {}
        self._names: set[str] = set()
        self._provenance: dict[int, str] = {}
        self._kept: list[Any] = []  # or a number of a tensor's id could come again
        self._lookups: dict[int, Stored] = {}
        self._depends = self._dependences()
        self._node: torch.fx.Node | None = None
        self.result = self._run()

    # ---- what depends on what --------------------------------------------------

    def _dependences(self) -> dict[torch.fx.Node, frozenset[str]]:
        depends: dict[torch.fx.Node, frozenset[str]] = {}
        given = dict(zip(self.traced.inputs, "xty"))
        for node in self.traced.graph.nodes:
            own = {given[node.name]} if node.op == "placeholder" and node.name in given else set()
            depends[node] = frozenset(own.union(*(depends[each] for each in node.all_input_nodes)))
        return depends

    def _run(self) -> Value:
        for node in self.traced.graph.nodes:
            self._node = node
            module, line = source_of(node)
            self.source = module
            if node.op == "output":
                return self._prediction(next(each for each in self.known if each.name == self.traced.result))
            try:
                self.known[node] = self._value(node)
            except (GraphError, Unsupported) as error:
                if not isinstance(error, Unsupported):
                    error = Unsupported(str(error))
                what = node.target._schema.name if hasattr(node.target, "_schema") else str(node.target)
                where = f"\n  {line}" if line else ""
                raise GraphError(f"{what}{f' in {module}' if module else ''}: {error}{where}") from None
            self._forget(node)
        raise AssertionError("a graph without output")

    def _forget(self, node: torch.fx.Node) -> None:
        for each in node.all_input_nodes:
            if all(user in self.known for user in each.users):
                self.known[each] = None

    def _prediction(self, node: torch.fx.Node) -> Value:
        result = self.known[node]
        channels, height, width = self.inputs.shape
        if not isinstance(result, Array):
            raise GraphError("the prediction does not depend on x")
        shape = result.shape
        if len(shape) != 4 or shape[0] != 1 or shape[2:] != (height, width) or shape[1] < channels:
            raise GraphError(f"the network returns {list(shape)}, not [1, {channels} or more, {height}, {width}]")
        value = as_map(result)
        if not any(each.name == "x" for each in ancestors(value)):
            raise GraphError("the prediction does not depend on x")
        return value

    # ---- values of nodes ---------------------------------------------------------

    def _value(self, node: torch.fx.Node) -> Any:
        if node.op == "placeholder":
            return self._placeholder(node)
        depends = self._depends[node]
        if node.target is operator.getitem:
            return self.known[node.args[0]][node.args[1]]
        args = torch.fx.node.map_arg(node.args, lambda each: self.known[each])
        kwargs = torch.fx.node.map_arg(dict(node.kwargs), lambda each: self.known[each])
        if not depends or not _any(args, kwargs, (Array, Table)):
            return self._folded(node, args, kwargs)
        if not _any(args, kwargs, Array) and self._stays_table(node):
            return self._tabulated(node, args, kwargs)
        args, kwargs = (_mapped(each, self._looked_up) for each in (args, kwargs))
        return self._lowered(node, args, kwargs)

    def _placeholder(self, node: torch.fx.Node) -> Any:
        if node.name in self.traced.tensors:
            tensor = self.traced.tensors[node.name]
            self._provenance[id(tensor)] = self.traced.names[node.name]
            return tensor
        which = dict(zip(self.traced.inputs, "xty"))[node.name]
        if which == "x":
            channels, height, width = self.inputs.shape
            return of_map(Value("x", shape=(height, width, channels)))
        if which == "t":
            return Table("time", torch.from_numpy(self.inputs.times.astype(np.float32))[:, None])
        return Table("class", torch.tensor(self.inputs.labels)[:, None])

    def _folded(self, node: torch.fx.Node, args: Any, kwargs: Any) -> Any:
        result = node.target(*args, **kwargs)
        if isinstance(result, torch.Tensor):
            names = [self._provenance[id(each)] for each in _leaves(args) if isinstance(each, torch.Tensor) and id(each) in self._provenance]
            if names:
                self._kept.append(result)
                self._provenance.setdefault(id(result), names[0])
        return result

    def _stays_table(self, node: torch.fx.Node) -> bool:
        """Tables grow up to the first layer: whole numbers and truth values wherever they are; of the class, what moves, adds
        or multiplies embeddings too. Times are computed as they come unless a whole number is made of them.
        """
        tables = [self.known[each] for each in node.all_input_nodes if isinstance(self.known[each], Table)]
        kinds = {table.of for table in tables}
        if len(kinds) > 1:
            return False
        value = node.meta.get("val")
        whole_numbers = isinstance(value, torch.Tensor) and not value.is_floating_point()
        from_whole_numbers = any(not table.rows.is_floating_point() for table in tables)
        if whole_numbers or from_whole_numbers:
            return True
        name = _name_of(node)
        if kinds == {"class"}:
            return name in _TABLE_OPERATIONS or self.zero_null == "vector"
        return name in _MOVES and not self._is_time(tables[0])

    def _is_time(self, table: Table) -> bool:
        times = torch.from_numpy(self.inputs.times.astype(np.float32))
        return table.of == "time" and table.rows.is_floating_point() and table.rows[0].numel() == 1 and torch.equal(table.rows.reshape(-1), times)

    def _tabulated(self, node: torch.fx.Node, args: Any, kwargs: Any) -> Any:
        table = next(each for each in _leaves((args, kwargs)) if isinstance(each, Table))
        results = []
        for row in range(len(table.rows)):
            pick = lambda each, row=row: each.rows[row] if isinstance(each, Table) else each  # noqa: E731
            try:
                results.append(node.target(*_mapped(args, pick), **_mapped(kwargs, pick)))
            except (RuntimeError, IndexError) as error:
                which = f"label {self.inputs.labels[row]}" if table.of == "class" else f"time {self.inputs.times[row]:g}"
                raise Unsupported(f"{which}: {str(error).splitlines()[0]}") from None
        if isinstance(results[0], torch.Tensor):
            return Table(table.of, torch.stack(results))
        if isinstance(results[0], (tuple, list)):
            return [Table(table.of, torch.stack(each)) if isinstance(each[0], torch.Tensor) else each[0] for each in zip(*results)]
        return results[0]

    def _looked_up(self, each: Any) -> Any:
        """A table as an array that depends on the class or the time."""
        if not isinstance(each, Table):
            return each
        if id(each) not in self._lookups:
            self._kept.append(each)
            self._lookups[id(each)] = self._lookup(each)
        return self._lookups[id(each)]

    def _lookup(self, each: Table) -> Stored:
        axes = tuple(map(axis_of, each.rows.shape[1:]))
        if self._is_time(each):
            return stored(Value("time"), *axes)
        rows = each.rows.reshape(len(each.rows), -1).float().contiguous()
        if each.of == "time":
            return stored(Value("time_row", tensors=(self.weight(rows, "times"),), source=self.source), *axes)
        if self.zero_null:
            rows = torch.cat((rows[:-1], torch.zeros_like(rows[-1:])))
        return stored(Value("class", tensors=(self.weight(rows, "classes"),), source=self.source), *axes)

    def _lowered(self, node: torch.fx.Node, args: Any, kwargs: Any) -> Any:
        name = _name_of(node)
        if name not in OPERATIONS:
            advice = next((text for known, text in _ADVICE.items() if known in name), _GENERAL_ADVICE)
            raise Unsupported(f"there is no such operation in the vocabulary (docs/graph.md). {advice}")
        if name not in _TAKE_LARGEST:
            args, kwargs = (_mapped(each, lambda leaf: leaf.materialised() if isinstance(leaf, Largest) else leaf) for each in (args, kwargs))
        schema = node.target._schema.arguments
        bound = {argument.name: argument.default_value for argument in schema} | {a.name: v for a, v in zip(schema, args)} | kwargs
        return OPERATIONS[name](self, SimpleNamespace(**bound))

    # ---- weights -----------------------------------------------------------------

    def weight(self, rows: torch.Tensor, name: str, origin: torch.Tensor | None = None, layout: Any = None) -> Weight:
        """A tensor of the file. The same parameter in the same layout becomes the same tensor."""
        key = (id(origin), layout) if origin is not None else None
        if key is not None and key in self._weights:
            return self._weights[key]
        if origin is not None:
            self._kept.append(origin)
        name = self._unique(self._provenance.get(id(origin), name) if origin is not None else name)
        weight = Weight(name, rows.detach().float().contiguous())
        if key is not None:
            self._weights[key] = weight
        return weight

    def _unique(self, name: str) -> str:
        name = name.replace("parametrizations.", "")
        encoded = name.encode()
        if len(encoded) > MAX_NAME_BYTES - 4:
            name = "~" + encoded[-(MAX_NAME_BYTES - 5) :].decode(errors="ignore")
        unique, number = name, 1
        while unique in self._names:
            unique, number = f"{name}_{number}", number + 1
        self._names.add(unique)
        return unique

    def vector(self, tensor: torch.Tensor | None, name: str) -> Weight | None:
        return None if tensor is None else self.weight(tensor.reshape(-1), name, tensor, "vector")

    def array(self, each: Any) -> Array:
        """Anything as an array; constants become operations."""
        if isinstance(each, Array):
            return each
        if isinstance(each, Table):
            return self._looked_up(each)
        tensor = each if isinstance(each, torch.Tensor) else torch.tensor(float(each))
        tensor = tensor.detach().float()
        axes = tuple(map(axis_of, tensor.shape))
        # What is repeated along an axis is kept once.
        for axis in range(tensor.ndim):
            if tensor.shape[axis] > 1 and (tensor.stride(axis) == 0 or torch.equal(tensor, tensor.narrow(axis, 0, 1).expand_as(tensor))):
                tensor = tensor.narrow(axis, 0, 1)
        present = tuple(f for axis, length in zip(axes, tensor.shape) for f in axis if length > 1)
        tensor = tensor.clamp(NEVER, -NEVER)
        if not torch.isfinite(tensor).all():
            raise Unsupported("a constant that is not a number")
        shape = tuple(each.size for each in present) or (1,)
        weight = self.weight(tensor.reshape(-1).contiguous(), "constant", each if isinstance(each, torch.Tensor) else None, "constant")
        return Stored(axes, Value("constant", tensors=(weight,), integers=shape, source=self.source), present)


def _name_of(node: torch.fx.Node) -> str:
    return node.target._schema.name.split("::")[-1].removesuffix("_") if hasattr(node.target, "_schema") else str(node.target)


def _leaves(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return [leaf for each in tree.values() for leaf in _leaves(each)]
    if isinstance(tree, (tuple, list)):
        return [leaf for each in tree for leaf in _leaves(each)]
    return [tree]


def _any(args: Any, kwargs: Any, kinds: Any) -> bool:
    return any(isinstance(each, kinds) for each in _leaves((args, kwargs)))


def _mapped(tree: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(tree, dict):
        return {key: _mapped(each, change) for key, each in tree.items()}
    if isinstance(tree, (tuple, list)):
        return type(tree)(_mapped(each, change) for each in tree)
    return change(tree)


def single(tensor: Any) -> float | None:
    """The number that a constant is, if it is the same everywhere."""
    if isinstance(tensor, (int, float, bool)):
        return float(tensor)
    if isinstance(tensor, torch.Tensor) and tensor.numel() and (tensor.numel() == 1 or torch.equal(tensor, tensor.reshape(-1)[0].expand_as(tensor))):
        return float(tensor.reshape(-1)[0])
    return None


_GENERAL_ADVICE = "Write this part of the network with others, or see whether it can be left out in inference."
_ADVICE = {
    "upsample_bicubic2d": "Bilinear and nearest are possible.",
    "conv3d": "Networks of pictures are; those of videos and volumes are not.",
    "fft": "Fourier transforms are not; a product with a constant matrix is one too.",
    "index": "Indices that are constants can be slices or flips.",
}

# ---- operations -----------------------------------------------------------------

OPERATIONS: dict[str, Callable[[Lowering, SimpleNamespace], Any]] = {}


def operation(*names: str) -> Callable:
    def register(handler: Callable) -> Callable:
        OPERATIONS.update(dict.fromkeys(names, handler))
        return handler

    return register


def _same(_: Lowering, a: SimpleNamespace) -> Any:
    return next(iter(vars(a).values()))


for _name in ("clone", "contiguous", "_to_copy", "to", "alias", "detach", "lift_fresh_copy", "dropout", "native_dropout", "feature_dropout", "type_as", "float"):
    OPERATIONS[_name] = _same
OPERATIONS["_assert_tensor_metadata"] = OPERATIONS["_assert_scalar"] = lambda _, a: None


def _axis(array: Array, dim: int) -> int:
    return dim + len(array.axes) if dim < 0 else dim


# Shapes.


@operation("view", "_unsafe_view", "reshape")
def _view(_: Lowering, a: SimpleNamespace) -> Array:
    shape = list(a.size if hasattr(a, "size") else a.shape)
    array = a.self
    if -1 in shape:
        known = int(np.prod([each for each in shape if each != -1]))
        shape[shape.index(-1)] = int(np.prod(array.shape)) // known
    return view(array, shape)


@operation("flatten")
def _flatten(_: Lowering, a: SimpleNamespace) -> Array:
    first, last = _axis(a.self, a.start_dim), _axis(a.self, a.end_dim)
    axes = a.self.axes
    return a.self.with_axes((*axes[:first], tuple(f for axis in axes[first : last + 1] for f in axis), *axes[last + 1 :]))


@operation("unflatten")
def _unflatten(_: Lowering, a: SimpleNamespace) -> Array:
    dim, sizes, shape = _axis(a.self, a.dim), list(a.sizes), a.self.shape
    if -1 in sizes:
        sizes[sizes.index(-1)] = shape[dim] // -int(np.prod(sizes))
    return view(a.self, [*shape[:dim], *sizes, *shape[dim + 1 :]])


@operation("permute")
def _permute(_: Lowering, a: SimpleNamespace) -> Array:
    return a.self.with_axes(a.self.axes[dim] for dim in a.dims)


@operation("transpose", "t", "numpy_T", "mT")
def _transpose(_: Lowering, a: SimpleNamespace) -> Array:
    axes = list(a.self.axes)
    first, second = (_axis(a.self, getattr(a, name, default)) for name, default in (("dim0", -2), ("dim1", -1)))
    axes[first], axes[second] = axes[second], axes[first]
    return a.self.with_axes(axes)


@operation("movedim")
def _movedim(_: Lowering, a: SimpleNamespace) -> Array:
    order = torch.empty(a.self.shape).permute(range(len(a.self.axes)))
    sources, targets = ([each] if isinstance(each, int) else list(each) for each in (a.source, a.destination))
    rest = [i for i in range(order.ndim) if i not in {_axis(a.self, s) for s in sources}]
    result: list[int | None] = [None] * order.ndim
    for source, target in zip(sources, targets):
        result[_axis(a.self, target)] = _axis(a.self, source)
    return a.self.with_axes(a.self.axes[each if each is not None else rest.pop(0)] for each in result)


@operation("unsqueeze")
def _unsqueeze(_: Lowering, a: SimpleNamespace) -> Array:
    dim = a.dim + len(a.self.axes) + 1 if a.dim < 0 else a.dim
    return a.self.with_axes((*a.self.axes[:dim], (), *a.self.axes[dim:]))


@operation("squeeze")
def _squeeze(_: Lowering, a: SimpleNamespace) -> Array:
    dims = getattr(a, "dim", None)
    dims = range(len(a.self.axes)) if dims is None else [dims] if isinstance(dims, int) else dims
    gone = {_axis(a.self, dim) for dim in dims}
    return a.self.with_axes(axis for n, axis in enumerate(a.self.axes) if n not in gone or axis)


@operation("expand", "expand_as", "broadcast_to")
def _expand(_: Lowering, a: SimpleNamespace) -> Array:
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
    dim = _axis(a.self, a.dim)
    return a.self.materialised().with_axes((*axis, *axis_of(a.repeats)) if n == dim else axis for n, axis in enumerate(a.self.axes))


def _sliced(low: Lowering, array: Array, dim: int, start: int, length: int) -> Any:
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
def _slice(low: Lowering, a: SimpleNamespace) -> Array:
    dim, size = _axis(a.self, a.dim), a.self.shape[_axis(a.self, a.dim)]
    start, end, _ = slice(a.start, a.end, 1).indices(size)
    step = a.step
    if step == 1:
        return _sliced(low, a.self, dim, start, max(end - start, 0))
    count = len(range(start, end, step))
    if start >= step or size % step or count != size // step:
        return _slice(low, SimpleNamespace(self=_of_length(low, a.self, dim, start, count * step), dim=dim, start=0, end=count * step, step=step))
    split = view(a.self, [*a.self.shape[:dim], count, step, *a.self.shape[dim + 1 :]])
    part = _sliced(low, split, dim + 1, start, 1)
    return part.with_axes(axis for n, axis in enumerate(part.axes) if n != dim + 1)


def _of_length(low: Lowering, array: Array, dim: int, start: int, length: int) -> Array:
    """From `start` on, with zeros behind the end."""
    size = array.shape[dim]
    array = _sliced(low, array, dim, start, min(length, size - start))
    if start + length <= size:
        return array
    zeros = torch.zeros([start + length - size if n == dim else each for n, each in enumerate(array.shape)])
    return concatenated(low, [array, low.array(zeros)], dim)


@operation("narrow")
def _narrow(low: Lowering, a: SimpleNamespace) -> Array:
    return _sliced(low, a.self, _axis(a.self, a.dim), a.start, a.length)


@operation("select")
def _select(low: Lowering, a: SimpleNamespace) -> Array:
    dim = _axis(a.self, a.dim)
    part = _sliced(low, a.self, dim, a.index % a.self.shape[dim], 1)
    return part.with_axes(axis for n, axis in enumerate(part.axes) if n != dim)


@operation("split", "split_with_sizes", "chunk", "unbind")
def _split(low: Lowering, a: SimpleNamespace) -> list[Array]:
    dim = _axis(a.self, a.dim)
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
        parts.append(_sliced(low, array, dim, start, length))
        start += length
    if _name_of(low._node) == "unbind":
        parts = [part.with_axes(axis for n, axis in enumerate(part.axes) if n != dim) for part in parts]
    return parts


@operation("cat", "concat", "concatenate")
def _cat(low: Lowering, a: SimpleNamespace) -> Array:
    arrays = [low.array(each) for each in a.tensors if not (isinstance(each, torch.Tensor) and each.numel() == 0)]
    return concatenated(low, arrays, _axis(arrays[0], a.dim))


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
        array = single_factor(array, _axis(array, dim))
        for factor in array.axes[_axis(array, dim)]:
            value, axis = around(array, factor)
            array = array.alike(Value("flip", (value,), integers=(axis,), source=low.source))
    return array


@operation("roll")
def _roll(low: Lowering, a: SimpleNamespace) -> Array:
    array = a.self
    if not a.dims:
        raise Unsupported("only along named axes.")
    for by, along in zip(a.shifts, a.dims):
        dim = _axis(array, along)
        size = array.shape[dim]
        if shift := by % size:
            array = single_factor(array, dim)
            array = concatenated(low, [_sliced(low, array, dim, size - shift, shift), _sliced(low, array, dim, 0, size - shift)], dim)
    return array


@operation("index_select")
def _index_select(low: Lowering, a: SimpleNamespace) -> Array:
    return _gathered(low, a.self, _axis(a.self, a.dim), a.index)


@operation("index")
def _index(low: Lowering, a: SimpleNamespace) -> Array:
    given = [(n, each) for n, each in enumerate(a.indices) if each is not None]
    if len(given) != 1 or not isinstance(given[0][1], torch.Tensor) or given[0][1].ndim != 1:
        raise Unsupported("only one axis, by a vector that is a constant. " + _ADVICE["index"])
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
        raise Unsupported("so many single indices. " + _ADVICE["index"])
    return concatenated(low, [_sliced(low, array, dim, start, length) for start, length in runs], dim)


# Products.


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
        return _expand(low, SimpleNamespace(self=v, size=[*q.shape[:-1], v.shape[-1]]))
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
    return softmax(a.self, _axis(a.self, a.dim), low.source)


def _pair(value: Any, default: int = 0) -> tuple[int, int]:
    """Of a 2-d operation, or of a 1-d one as one over a height of 1."""
    if isinstance(value, int):
        return value, value
    value = list(value)
    if not value:
        return default, default
    return (value[0], value[0]) if len(value) == 1 else (value[0], value[1])


@operation("conv2d", "conv1d", "convolution", "conv_transpose2d", "conv_transpose1d")
def _convolution(low: Lowering, a: SimpleNamespace) -> Array:
    if not isinstance(a.weight, torch.Tensor):
        raise Unsupported("kernels that are computed from x, t or y. Those that depend on parameters alone are possible.")
    flat = a.weight.ndim == 3
    if a.weight.ndim not in (3, 4):
        raise Unsupported(_ADVICE["conv3d"])
    one = lambda value, default: (default, _pair(value, default)[1]) if flat else _pair(value, default)  # noqa: E731
    stride, dilation = one(a.stride, 1), one(a.dilation, 1)
    name = _name_of(low._node)
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
    picture = _one_picture(low.array(a.input))
    if transposed:
        output = one(a.output_padding, 0)
        made = _transposed(low, as_map(picture), weight, bias, stride, padding[:2], output, groups, dilation, origin)
        return _many_pictures(of_map(made, flat), a.input)
    weight = _dilated(weight, dilation)
    if tuple(weight.shape[2:]) == (1, 1) and stride == (1, 1) and not any(padding) and groups == 1:
        return linear(low, picture, 1, weight[:, :, 0, 0], bias, "conv", origin)
    return _many_pictures(of_map(conv(low, as_map(picture), weight, bias, stride, padding, groups, origin), flat), a.input)


def _dilated(weight: torch.Tensor, dilation: tuple[int, int]) -> torch.Tensor:
    """With zeros between the taps."""
    if dilation == (1, 1):
        return weight
    height, width = ((size - 1) * by + 1 for size, by in zip(weight.shape[2:], dilation))
    result = weight.new_zeros(*weight.shape[:2], height, width)
    result[:, :, :: dilation[0], :: dilation[1]] = weight
    return result


def conv(low: Lowering, value: Value, weight: torch.Tensor, bias: torch.Tensor | None, stride: Sequence[int], padding: Sequence[int], groups: int, origin: torch.Tensor) -> Value:
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


# Norms.


def _norm_tensors(low: Lowering, weight: Any, bias: Any) -> tuple[Weight | None, ...]:
    if not isinstance(weight, (torch.Tensor, type(None))) or not isinstance(bias, (torch.Tensor, type(None))):
        raise Unsupported("gains that are computed.")
    tensors = [low.vector(weight, "gain"), low.vector(bias, "bias")]
    while tensors and tensors[-1] is None:
        tensors.pop()
    return tuple(tensors)


def _normed(array: Stored, name: str, tensors: tuple, integers: tuple, eps: float, source: str) -> Stored:
    return array.alike(Value(name, (array.value,), tensors, integers, (eps,), source=source))


@operation("group_norm", "native_group_norm", "instance_norm")
def _group_norm(low: Lowering, a: SimpleNamespace) -> Array:
    array = channels_last(a.input, 1)
    groups = getattr(a, "num_groups", getattr(a, "group", array.shape[1]))
    return _normed(array, "group_norm", _norm_tensors(low, a.weight, a.bias), (groups, 0), a.eps, low.source)


@operation("layer_norm", "native_layer_norm")
def _layer_norm(low: Lowering, a: SimpleNamespace) -> Array:
    axes = len(a.normalized_shape)
    if axes == 1:
        array = channels_last(a.input, len(a.input.axes) - 1)
        return _normed(array, "layer_norm", _norm_tensors(low, a.weight, a.bias), (0,), a.eps, low.source)
    rank = len(a.input.axes)
    if any(a.input.axes[: rank - axes]):
        raise Unsupported("over several axes, it must be over all of them.")
    joined = _flatten(low, SimpleNamespace(self=whole(a.input), start_dim=0, end_dim=-1))
    array = joined.alike(reshape(joined.value, (joined.shape[0], 1)))
    result = _normed(array, "group_norm", (), (1, 0), a.eps, low.source).with_axes(a.input.axes)
    for name, tensor in (("mul", a.weight), ("add", a.bias)):
        result = result if tensor is None else binary(name, result, low.array(tensor), low.source)
    return result


@operation("batch_norm", "_native_batch_norm_legit_no_training", "native_batch_norm")
def _batch_norm(low: Lowering, a: SimpleNamespace) -> Any:
    deviation = (a.running_var.double() + a.eps).sqrt()
    gain = (torch.ones_like(deviation) if a.weight is None else a.weight.double()) / deviation
    bias = (0 if a.bias is None else a.bias.double()) - a.running_mean.double() * gain
    array = channels_last(a.input, 1)
    module = low.source
    tensors = (low.weight(gain.float(), f"{module}.gain"), low.weight(bias.float(), f"{module}.bias"))
    result = array.alike(Value("affine", (array.value,), tensors, (0,), source=low.source))
    return result if _name_of(low._node) == "batch_norm" else (result, None, None)


@operation("rms_norm", "_fused_rms_norm")
def _rms_norm(low: Lowering, a: SimpleNamespace) -> Array:
    if len(a.normalized_shape) != 1:
        raise Unsupported("over several axes.")
    eps = a.eps if a.eps is not None else torch.finfo(torch.float32).eps
    array = channels_last(a.input, len(a.input.axes) - 1)
    return _normed(array, "rms_norm", _norm_tensors(low, a.weight, None), (1, 0), eps, low.source)


# Elementwise.

for _name, _function in {
    "relu": "relu", "silu": "silu", "sigmoid": "sigmoid", "tanh": "tanh", "mish": "mish", "exp": "exp", "log": "log", "sqrt": "sqrt",
    "sin": "sin", "cos": "cos", "abs": "abs", "square": "square", "reciprocal": "reciprocal", "floor": "floor", "erf": "erf", "hardswish": "hardswish",
}.items():  # fmt: skip
    OPERATIONS[_name] = lambda low, a, name=_function: function(a.self, name, source=low.source)


@operation("gelu")
def _gelu(low: Lowering, a: SimpleNamespace) -> Array:
    return function(a.self, "gelu_tanh" if a.approximate == "tanh" else "gelu", source=low.source)


@operation("leaky_relu")
def _leaky_relu(low: Lowering, a: SimpleNamespace) -> Array:
    return function(a.self, "leaky_relu", float(a.negative_slope), source=low.source)


@operation("elu", "celu", "selu")
def _elu(low: Lowering, a: SimpleNamespace) -> Array:
    name = _name_of(low._node)
    if name == "celu" and a.alpha != 1:
        raise Unsupported("only with alpha 1.")
    alpha, scale = (1.6732632423543772, 1.0507009873554805) if name == "selu" else (a.alpha, getattr(a, "scale", 1))
    return scaled(function(a.self, "elu", float(alpha), source=low.source), float(scale), 0.0, low.source)


@operation("softplus")
def _softplus(low: Lowering, a: SimpleNamespace) -> Array:
    inside = function(scaled(a.self, float(a.beta), 0.0, low.source), "softplus", source=low.source)
    return scaled(inside, 1 / float(a.beta), 0.0, low.source)


@operation("rsqrt")
def _rsqrt(low: Lowering, a: SimpleNamespace) -> Array:
    return function(a.self, "power", -0.5, source=low.source)


@operation("expm1", "log1p", "exp2")
def _near_one(low: Lowering, a: SimpleNamespace) -> Array:
    name = _name_of(low._node)
    if name == "expm1":
        return scaled(function(a.self, "exp", source=low.source), 1.0, -1.0, low.source)
    if name == "log1p":
        return function(scaled(a.self, 1.0, 1.0, low.source), "log", source=low.source)
    return function(scaled(a.self, float(np.log(2)), 0.0, low.source), "exp", source=low.source)


@operation("log10", "log2")
def _log_of_base(low: Lowering, a: SimpleNamespace) -> Array:
    return scaled(function(a.self, "log", source=low.source), 1 / float(np.log(10 if _name_of(low._node) == "log10" else 2)), 0.0, low.source)


@operation("pow")
def _pow(low: Lowering, a: SimpleNamespace) -> Array:
    base, exponent = single(a.self), single(a.exponent)
    if base is not None and base > 0:  # base ** x, as e ** (x ln base)
        return function(scaled(a.exponent, float(np.log(base)), 0.0, low.source), "exp", source=low.source)
    if exponent is None:
        raise Unsupported("powers with an exponent that is computed.")
    named = {2.0: "square", 0.5: "sqrt", -1.0: "reciprocal", 1.0: "identity"}
    if exponent in named:
        return a.self if exponent == 1 else function(a.self, named[exponent], source=low.source)
    return function(a.self, "power", exponent, source=low.source)


@operation("neg")
def _neg(low: Lowering, a: SimpleNamespace) -> Array:
    return scaled(a.self, -1.0, 0.0, low.source)


def _difference_to_largest(left: Array, right: Any) -> Array | None:
    """A softmax is the same for numbers less their largest, which some networks take away themselves."""
    return left if isinstance(right, Largest) and right.of is left else None


@operation("add", "sub", "rsub")
def _add(low: Lowering, a: SimpleNamespace) -> Array:
    alpha = float(getattr(a, "alpha", 1))
    left, right, sign = a.self, a.other, 1.0 if _name_of(low._node) == "add" else -1.0
    if _name_of(low._node) == "rsub":
        left, right = right, left
    if sign < 0 and (same := _difference_to_largest(left, right)) is not None:
        return same
    left, right = (each.materialised() if isinstance(each, Largest) else each for each in (left, right))
    sign *= alpha
    for one, other, of_one, of_other in ((left, right, 1.0, sign), (right, left, sign, 1.0)):
        number = single(other)
        if isinstance(one, Array) and number is not None and not _widens(other, one):
            return scaled(one, of_one, of_other * number, low.source)
        if isinstance(one, Product) and not one.over and of_one == 1 and not _widens(other, one):
            summand = low.array(other).materialised()
            return masked(one, summand if of_other == 1 else scaled(summand, of_other, 0.0, low.source).materialised(), low.source)
    left, right = low.array(left), low.array(right)
    if sign in (1.0, -1.0):
        return binary("add" if sign > 0 else "sub", left, right, low.source)
    return binary("add", left, scaled(right, sign, 0.0, low.source), low.source)


def _widens(other: Any, array: Array) -> bool:
    """Does broadcasting give the array more axes, or longer ones?"""
    shape = tuple(other.shape) if isinstance(other, (torch.Tensor, Array)) else ()
    return torch.broadcast_shapes(shape, array.shape) != array.shape


@operation("mul", "div", "true_divide")
def _mul(low: Lowering, a: SimpleNamespace) -> Array:
    divide = _name_of(low._node) != "mul"
    if getattr(a, "rounding_mode", None) not in (None, "floor"):
        raise Unsupported("division that rounds towards zero.")
    left, right = a.self, a.other
    number = single(right)
    if number is not None and isinstance(left, Array) and not _widens(right, left):
        result = scaled(left, 1 / number if divide else number, 0.0, low.source)
    elif not divide and single(left) is not None and not _widens(left, right):
        result = scaled(right, single(left), 0.0, low.source)
    elif divide and single(left) is not None and not _widens(left, right):
        result = scaled(function(right, "reciprocal", source=low.source), single(left), 0.0, low.source)
    elif divide and isinstance(right, torch.Tensor):
        result = binary("mul", left, low.array(1 / right), low.source)
    else:
        result = binary("div" if divide else "mul", low.array(left), low.array(right), low.source)
    return function(result, "floor", source=low.source) if getattr(a, "rounding_mode", None) == "floor" else result


@operation("addcmul")
def _addcmul(low: Lowering, a: SimpleNamespace) -> Array:
    product = scaled(binary("mul", low.array(a.tensor1), low.array(a.tensor2), low.source), float(a.value), 0.0, low.source)
    return binary("add", low.array(a.self), product, low.source)


@operation("lerp")
def _lerp(low: Lowering, a: SimpleNamespace) -> Array:
    start, end = low.array(a.self), low.array(a.end)
    weight = single(a.weight)
    if weight is not None:
        return binary("add", scaled(start, 1 - weight, 0.0, low.source), scaled(end, weight, 0.0, low.source), low.source)
    return binary("add", start, binary("mul", binary("sub", end, start, low.source), low.array(a.weight), low.source), low.source)


@operation("maximum", "minimum", "max", "min")
def _extreme(low: Lowering, a: SimpleNamespace) -> Array:
    if not hasattr(a, "other"):
        raise Unsupported("the largest of all; along an axis (amax) it is possible.")
    name = "max" if _name_of(low._node).startswith("max") else "min"
    return binary(name, low.array(a.self), low.array(a.other), low.source)


@operation("clamp", "clamp_min", "clamp_max", "hardtanh")
def _clamp(low: Lowering, a: SimpleNamespace) -> Array:
    result = a.self
    if getattr(a, "min", getattr(a, "min_val", None)) is not None:
        result = binary("max", result, low.array(getattr(a, "min", getattr(a, "min_val", None))), low.source)
    if getattr(a, "max", getattr(a, "max_val", None)) is not None:
        result = binary("min", result, low.array(getattr(a, "max", getattr(a, "max_val", None))), low.source)
    return result


@operation("relu6")
def _relu6(low: Lowering, a: SimpleNamespace) -> Array:
    return _clamp(low, SimpleNamespace(self=a.self, min=0.0, max=6.0))


@operation("prelu", "_prelu_kernel")
def _prelu(low: Lowering, a: SimpleNamespace) -> Array:
    slope = single(a.weight)
    if slope is not None:
        return function(a.self, "leaky_relu", slope, source=low.source)
    weight = a.weight.reshape(-1, *([1] * (len(a.self.axes) - 2)))
    below = binary("mul", binary("min", a.self, low.array(0.0), low.source), low.array(weight), low.source)
    return binary("add", function(a.self, "relu", source=low.source), below, low.source)


@operation("glu")
def _glu(low: Lowering, a: SimpleNamespace) -> Array:
    dim = _axis(a.self, a.dim)
    half = a.self.shape[dim] // 2
    array = a.self.materialised()
    value, gate = (_sliced(low, array, dim, start, half) for start in (0, half))
    return binary("mul", value, function(gate, "sigmoid", source=low.source), low.source)


@operation("where", "masked_fill")
def _where(low: Lowering, a: SimpleNamespace) -> Array:
    if _name_of(low._node) == "where":
        condition, kept, other = a.condition, a.self, a.other
    else:
        condition, kept, other = a.mask, a.value, a.self
    if isinstance(condition, torch.Tensor):
        condition = condition.float()
        for product, filler, where in ((other, kept, condition), (kept, other, 1 - condition)):
            number = single(filler)
            if isinstance(product, Product) and not product.over and number is not None and number <= -1e4 and not _widens(where, product):
                return masked(product, low.array(where * max(number, NEVER)).materialised(), low.source)
    mask = low.array(condition)
    inverse = scaled(mask, -1.0, 1.0, low.source) if isinstance(condition, Array) else low.array(1 - condition)
    for each in (kept, other):
        if single(each) is not None and not np.isfinite(single(each)):
            raise Unsupported("filling with infinity outside of attention.")
    parts = []
    for each, where in ((kept, mask), (other, inverse)):
        if single(each) != 0:
            parts.append(where if single(each) == 1 else binary("mul", low.array(each), where, low.source))
    return parts[0] if len(parts) == 1 else binary("add", *parts, low.source)


# Reductions.


@dataclass(frozen=True)
class Largest(Array):
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
    return [_axis(array, each) for each in ([dim] if isinstance(dim, int) else dim)]


def _kept(array: Array, dims: Sequence[int], keepdim: bool) -> Array:
    return array if keepdim else array.with_axes(axis for n, axis in enumerate(array.axes) if n not in dims)


@operation("mean", "sum", "amax", "amin")
def _reduce(low: Lowering, a: SimpleNamespace) -> Array:
    name, dims, keep = _name_of(low._node), _dims(a.self, getattr(a, "dim", None)), getattr(a, "keepdim", False)
    if name == "amax" and keep and len(dims) == 1:
        axes = tuple(() if n in dims else axis for n, axis in enumerate(a.self.axes))
        return Largest(axes, a.self, dims[0], low.source)
    if name == "amin":
        return _neg(low, SimpleNamespace(self=_kept(reduced(_neg(low, a), dims, "max", low.source), dims, keep)))
    return _kept(reduced(a.self, dims, "max" if name == "amax" else name, low.source), dims, keep)


@operation("var", "std", "var_mean")
def _var(low: Lowering, a: SimpleNamespace) -> Any:
    dims = _dims(a.self, getattr(a, "dim", None))
    count = int(np.prod([a.self.shape[dim] for dim in dims]))
    correction = 1 if getattr(a, "correction", None) is None and getattr(a, "unbiased", True) else getattr(a, "correction", None) or 0
    result = reduced(a.self, dims, "variance", low.source)
    result = scaled(result, count / (count - correction), 0.0, low.source)
    if _name_of(low._node) == "std":
        result = function(result, "sqrt", source=low.source)
    result = _kept(result, dims, a.keepdim)
    if _name_of(low._node) != "var_mean":
        return result
    return result, _kept(reduced(a.self, dims, "mean", low.source), dims, a.keepdim)


@operation("linalg_vector_norm", "norm")
def _vector_norm(low: Lowering, a: SimpleNamespace) -> Array:
    if float(getattr(a, "ord", getattr(a, "p", 2)) or 2) != 2:
        raise Unsupported("norms other than the root of squares.")
    dims = _dims(a.self, a.dim)
    return _kept(reduced(a.self, dims, "norm", low.source), dims, a.keepdim)


# Maps.


def _on_map(low: Lowering, array: Array, name: str, *integers: int) -> Array:
    value = Value(name, (as_map(_one_picture(array)),), integers=tuple(integers), source=low.source)
    return _many_pictures(of_map(value, len(array.axes) == 3), array)


def _one_picture(array: Array) -> Array:
    """Several pictures are channels of one, where each channel is for itself."""
    return array.with_axes(((), array.axes[0] + array.axes[1], *array.axes[2:])) if array.axes[0] else array


def _many_pictures(result: Array, before: Array) -> Array:
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
    if any(o % n for n, o in zip(new, old)) or "exact" in _name_of(low._node):
        raise Unsupported("nearest neighbours by factors that are not whole numbers.")
    for dim, (o, n) in enumerate(zip(old, new), start=2):
        array = _slice(low, SimpleNamespace(self=array, dim=dim, start=0, end=o, step=o // n))
    return array


@operation("upsample_bilinear2d")
def _upsample_bilinear(low: Lowering, a: SimpleNamespace) -> Array:
    array = getattr(a, "input", None) or getattr(a, "self", None)
    return _on_map(low, array, "bilinear", *_new_size(a, array), int(a.align_corners))


@operation("avg_pool2d", "max_pool2d", "max_pool2d_with_indices", "avg_pool1d", "max_pool1d")
def _pool(low: Lowering, a: SimpleNamespace) -> Any:
    name = _name_of(low._node)
    flat = name.endswith("1d")
    one = lambda value, default: (default, _pair(value)[0]) if flat else _pair(value)  # noqa: E731
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
    name = _name_of(low._node)
    amounts = list(a.pad if hasattr(a, "pad") else a.padding)
    kind = {"pad": getattr(a, "mode", "constant"), "reflection_pad2d": "reflect", "replication_pad2d": "replicate"}.get(name, "constant")
    array, value = a.self, float(getattr(a, "value", 0) or 0)
    rank = len(array.axes)
    amounts += [0] * (2 * rank - len(amounts))
    by_axis = [(amounts[2 * (rank - 1 - n)], amounts[2 * (rank - 1 - n) + 1]) for n in range(rank)]
    for n, (before, after) in enumerate(by_axis):  # what is taken away
        if min(before, after) < 0:
            first, last = max(-before, 0), max(-after, 0)
            array = _sliced(low, array, n, first, array.shape[n] - first - last)
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


# Constants of x's shape.


@operation("zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full", "empty_like", "new_empty")
def _filled(_: Lowering, a: SimpleNamespace) -> torch.Tensor:
    name = _name_of(_._node)
    shape = a.size if hasattr(a, "size") else a.self.shape
    value = float(a.fill_value) if hasattr(a, "fill_value") else float("ones" in name)
    return torch.full(list(shape), value)


_TAKE_LARGEST = {"sub", "detach", "clone", "alias"}
# What may be applied to embeddings of classes before a network is said to have begun, and what moves numbers only.
_MOVES = {
    "view", "_unsafe_view", "reshape", "flatten", "permute", "transpose", "t", "unsqueeze", "squeeze", "expand", "repeat", "slice", "select", "clone",
    "contiguous", "_to_copy", "to", "alias", "detach", "dropout", "split", "chunk", "unbind", "split_with_sizes", "expand_as", "type_as",
}  # fmt: skip
_TABLE_OPERATIONS = _MOVES | {
    "embedding", "one_hot", "mul", "add", "sub", "rsub", "div", "neg", "where", "masked_fill", "index", "index_select", "cat", "stack", "sum",
    "zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full", "scatter", "eq", "ne", "logical_not",
}  # fmt: skip
