"""Reads the graph of a model file of format 2 back, independently of the engine."""

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch

from pocket_diffusion.graph.ir import GraphError, Value, Weight, in_order
from pocket_diffusion.model_file import ARCHITECTURE


def read_graph(path: Path) -> tuple[Value, dict[str, Any]]:
    """The prediction, with the tensors of the file as readers see them, and the metadata without `pocket-diffusion.`."""
    reader = gguf.GGUFReader(path)
    prefix = f"{ARCHITECTURE}."
    metadata = {key.removeprefix(prefix): field.contents() for key, field in reader.fields.items() if key.startswith(prefix)}
    if metadata.get("format_version") != 2:
        raise GraphError(f"{path}: no model file of format 2")
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
        raise GraphError(f"{path}: the arrays of the graph do not fit together")
    return values[-1], metadata


def _in_rows(operation: str, k: int, integers: list[int], weight: Weight) -> Weight:
    """A matrix may be stored as a vector."""
    if operation in ("linear", "conv") and k == 0 and weight.rows.ndim == 1:
        weight.rows = weight.rows.reshape(integers[0], -1)
    elif operation == "conv_transpose" and k == 0 and weight.rows.ndim == 1:
        weight.rows = weight.rows.reshape(integers[0] * integers[1] * integers[2], -1)
    return weight
