"""Reads model files of format 2 back, independently of the engine."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch

from pocket_diffusion.graph.ir import GraphError, Value, Weight, in_order
from pocket_diffusion.graph.write import FORMAT_VERSION, VOCABULARY_VERSION
from pocket_diffusion.model_file import FileMetadata, ModelFile, format_version, open_model, read_model, said_by


@dataclass(frozen=True)
class GraphFile(FileMetadata):
    """A model file of format 2 as read back."""

    output: Value = field(repr=False)  # the prediction, with the tensors of the file as readers see them

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        """In rows, by name."""
        return {each.name: each.rows for value in in_order(self.output) for each in value.tensors if each is not None}

    @property
    def times(self) -> np.ndarray:
        """What the network is fed at each index, float32 [T]."""
        return np.asarray(self.metadata.get("diffusion.times", np.arange(len(self.alphas_cumprod))), dtype=np.float32)

    @property
    def has_null(self) -> bool:
        """Is there a row that stands for no class?"""
        tables = (value.tensors[0].rows for value in in_order(self.output) if value.name == "class" and value.tensors[0] is not None)
        return any(len(rows) > len(self.class_names) for rows in tables)


def read_graph(path: Path) -> GraphFile:
    """Raises GraphError for what is no graph, CheckpointError for what is no model file."""
    reader = open_model(path)
    metadata, types, general = said_by(reader)
    if metadata.get("format_version") != FORMAT_VERSION:
        raise GraphError(f"{path}: no model file of format {FORMAT_VERSION}")
    if metadata.get("graph.version") != VOCABULARY_VERSION:
        raise GraphError(f"{path}: vocabulary {metadata.get('graph.version')} of operations, here {VOCABULARY_VERSION}")
    try:
        values = _values(reader, metadata)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise GraphError(f"{path}: the arrays of the graph do not fit together: {error!r}") from error
    return GraphFile(metadata, types, general, values[-1])


def _values(reader: gguf.GGUFReader, metadata: Mapping[str, Any]) -> list[Value]:
    weights = {}
    for tensor in reader.tensors:
        rows = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        weights[tensor.name] = Weight(tensor.name, torch.from_numpy(np.array(rows)))
    left = {key: list(metadata.get(f"graph.{key}", [])) for key in ("inputs", "tensors", "integers", "reals")}
    counts = list(metadata["graph.counts"])
    values: list[Value] = []
    height, width = (metadata[f"image.{side}"] // metadata["image.pixel_unshuffle"] for side in ("height", "width"))
    channels = metadata["image.channels"] * metadata["image.pixel_unshuffle"] ** 2
    for number, name in enumerate(metadata["graph.operations"]):
        taken = []
        for key, count in zip(left, counts[4 * number : 4 * number + 4]):
            taken.append(left[key][:count])
            del left[key][:count]
        inputs, tensors, integers, reals = taken
        values.append(Value(
            name,
            tuple(None if each < 0 else values[each] for each in inputs),
            tuple(_in_rows(name, k, integers, weights[each]) if each else None for k, each in enumerate(tensors)),
            tuple(integers),
            tuple(reals),
            shape=(height, width, channels) if name == "x" else (),
        ))  # fmt: skip
    if any(left.values()) or len(in_order(values[-1])) != len(values):
        raise ValueError("numbers or operations are left over")
    return values


def read_either(path: Path) -> ModelFile | GraphFile:
    """A model file of whichever format."""
    return read_graph(path) if format_version(path) == FORMAT_VERSION else read_model(path)


def _in_rows(operation: str, k: int, integers: list[int], weight: Weight) -> Weight:
    """A matrix may be stored as a vector."""
    if operation in ("linear", "conv") and k == 0 and weight.rows.ndim == 1:
        weight.rows = weight.rows.reshape(integers[0], -1)
    elif operation == "conv_transpose" and k == 0 and weight.rows.ndim == 1:
        weight.rows = weight.rows.reshape(integers[0] * integers[1] * integers[2], -1)
    return weight
