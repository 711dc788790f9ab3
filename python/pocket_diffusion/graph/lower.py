"""PyTorch's operations as operations of the vocabulary.

What depends on parameters alone is computed once and for all. What depends on the class alone up to the first layer is
a table with a row for each class, whatever it was before (embeddings, one-hot vectors, masks); so is what a network
looks up by a whole time. Everything else becomes values, channels last.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from pocket_diffusion.graph.ir import MAX_NAME_BYTES, GraphError, Value, Weight, ancestors
from pocket_diffusion.graph.layout import (
    Array,
    Stored,
    as_map,
    axis_of,
    of_map,
    stored,
)  # fmt: skip
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


class Deferred(Array):
    """What is computed only where something asks for its numbers."""

    def materialised(self) -> Array:
        raise NotImplementedError


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
        name = name_of(node)
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
        name = name_of(node)
        if name not in OPERATIONS:
            advice = next((text for known, text in ADVICE.items() if known in name), _GENERAL_ADVICE)
            raise Unsupported(f"there is no such operation in the vocabulary (docs/graph.md). {advice}")
        if name not in _TAKE_DEFERRED:
            args, kwargs = (_mapped(each, lambda leaf: leaf.materialised() if isinstance(leaf, Deferred) else leaf) for each in (args, kwargs))
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


def name_of(node: torch.fx.Node) -> str:
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
ADVICE = {
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


for _name in (
    "clone",
    "contiguous",
    "_to_copy",
    "to",
    "alias",
    "detach",
    "lift_fresh_copy",
    "dropout",
    "native_dropout",
    "feature_dropout",
    "type_as",
    "float",
):
    OPERATIONS[_name] = _same
OPERATIONS["_assert_tensor_metadata"] = OPERATIONS["_assert_scalar"] = lambda _, a: None


def axis_index(array: Array, dim: int) -> int:
    return dim + len(array.axes) if dim < 0 else dim


# Take what is deferred as it is.
_TAKE_DEFERRED = {"sub", "detach", "clone", "alias"}
# What may be applied to embeddings of classes before a network is said to have begun, and what moves numbers only.
_MOVES = {
    "view", "_unsafe_view", "reshape", "flatten", "permute", "transpose", "t", "unsqueeze", "squeeze", "expand", "repeat", "slice", "select", "clone",
    "contiguous", "_to_copy", "to", "alias", "detach", "dropout", "split", "chunk", "unbind", "split_with_sizes", "expand_as", "type_as",
}  # fmt: skip
_TABLE_OPERATIONS = _MOVES | {
    "embedding", "one_hot", "mul", "add", "sub", "rsub", "div", "neg", "where", "masked_fill", "index", "index_select", "cat", "stack", "sum",
    "zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full", "scatter", "eq", "ne", "logical_not",
}  # fmt: skip
