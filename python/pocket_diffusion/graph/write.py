"""A graph as a model file of format 2 (docs/graph.md)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from gguf import GGUFValueType, GGUFWriter

from pocket_diffusion.graph.ir import MAX_OPERATIONS, MAX_WORK, GraphError, Value, Weight, in_order, multiplications
from pocket_diffusion.graph.process import Process
from pocket_diffusion.model_file import (
    Encoded,
    General,
    Recommendation,
    StoredTensor,
    add,
    add_diffusion,
    add_picture,
    add_recommendation,
    add_tensor,
    check_size,
    encode_rows,
    file_type_of,
    new_writer,
    possible_type,
    stored_tensor,
    write_atomically,
)  # fmt: skip

FORMAT_VERSION = 2
VOCABULARY_VERSION = 1
_PRODUCTS = ("linear", "conv", "conv_transpose")


def weights_of(output: Value) -> dict[str, Weight]:
    """The tensors of a graph by name, in the order in which they are first used."""
    found: dict[str, Weight] = {}
    for value in in_order(output):
        for each in value.tensors:
            if each is not None and found.setdefault(each.name, each) is not each:
                raise AssertionError(f"two tensors named {each.name}")
    return found


def matrices_of(output: Value) -> dict[str, str]:
    """Names of the tensors that may be rounded, and what they are: weights of products and tables of classes."""
    kinds: dict[str, str] = {}
    others = set()
    for value in in_order(output):
        for k, each in enumerate(value.tensors):
            if each is None:
                continue
            if value.name in _PRODUCTS and k == 0:
                size = "x".join(map(str, value.integers[1:3]))
                kinds[each.name] = {"linear": "linear", "conv": f"convolution {size}", "conv_transpose": f"transposed convolution {size}"}[value.name]
            elif value.name == "class" and each.rows.shape[1] >= 32:
                kinds[each.name] = "class embedding"
            else:
                others.add(each.name)
    return {name: kind for name, kind in kinds.items() if name not in others}


def encode_graph(output: Value, wanted: str) -> dict[str, Encoded]:
    """Every matrix as the same type, where that is possible; what is no weight of a product stays F32."""
    matrices = matrices_of(output)
    return {
        name: encode_rows(name, weight.rows, possible_type(name, weight.rows, wanted) if name in matrices else "f32")
        for name, weight in weights_of(output).items()
    }


def decoded(encoded: Mapping[str, Encoded], output: Value) -> dict[str, torch.Tensor]:
    """The tensors as a reader of the file sees them."""
    return {name: encoded[name].values(name, tuple(weight.rows.shape)).reshape(weight.rows.shape) for name, weight in weights_of(output).items()}


def check_limits(output: Value) -> None:
    values = in_order(output)
    if len(values) > MAX_OPERATIONS:
        raise GraphError(f"{len(values)} operations: the engine takes at most {MAX_OPERATIONS}")
    work = sum(map(multiplications, values))
    if work > MAX_WORK:
        raise GraphError(f"{work:,} multiplications for one prediction: the engine takes at most {MAX_WORK:,}")


def _add_graph(writer: GGUFWriter, output: Value) -> None:
    """The arrays of docs/graph.md."""
    values = in_order(output)
    numbers = {id(value): number for number, value in enumerate(values)}
    kinds = GGUFValueType
    add(writer, "graph.version", VOCABULARY_VERSION, kinds.UINT32)
    add(writer, "graph.operations", [value.name for value in values], kinds.ARRAY, kinds.STRING)
    counts: list[int] = []
    inputs: list[int] = []
    tensors: list[str] = []
    integers: list[int] = []
    reals: list[float] = []
    for value in values:
        counts += [len(value.inputs), len(value.tensors), len(value.integers), len(value.reals)]
        inputs += [-1 if each is None else numbers[id(each)] for each in value.inputs]
        tensors += ["" if each is None else each.name for each in value.tensors]
        integers += value.integers
        reals += value.reals
    add(writer, "graph.counts", counts, kinds.ARRAY, kinds.UINT32)
    for key, array, kind in (
        ("inputs", inputs, kinds.INT32),
        ("tensors", tensors, kinds.STRING),
        ("integers", integers, kinds.INT32),
        ("reals", reals, kinds.FLOAT32),
    ):
        if array:  # GGUF writers refuse empty ones
            add(writer, f"graph.{key}", array, kinds.ARRAY, kind)


def write_graph(
    path: Path,
    output: Value,
    encoded: Mapping[str, Encoded],
    shape: tuple[int, int, int],
    pixel_unshuffle: int,
    class_names: Sequence[str],
    process: Process,
    general: General,
    recommended: Recommendation,
) -> list[StoredTensor]:
    """Writes the file and says what became of each tensor. `shape`: [C, H, W] of x. `path` is replaced as a whole or left as it was."""
    check_limits(output)
    weights = weights_of(output)
    channels, height, width = shape
    r = pixel_unshuffle
    writer = new_writer(general, file_type_of(encoded, {name: weight.rows for name, weight in weights.items()}), FORMAT_VERSION)
    add_picture(writer, (width * r, height * r, channels // r**2), r, class_names)
    add_diffusion(writer, process.alphas_cumprod, process.schedule, process.objective)
    if not process.feeds_index:
        add(writer, "diffusion.times", process.times.tolist(), GGUFValueType.ARRAY, GGUFValueType.FLOAT32)
    add_recommendation(writer, recommended)
    _add_graph(writer, output)
    kinds = matrices_of(output)
    stored = []
    for name, weight in weights.items():
        add_tensor(writer, name, encoded[name])
        stored.append(stored_tensor(name, kinds.get(name, "vectors and constants"), weight.rows, encoded[name]))
    check_size(stored)
    write_atomically(writer, path)
    return stored
