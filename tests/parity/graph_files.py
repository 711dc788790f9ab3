"""Writes format 2 (docs/graph.md) by hand: a list of operations and tensors, in the words of the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGUFValueType

P = "pocket-diffusion."


class Graph:
    """Operations in order; `add` returns the number of the value."""

    def __init__(self) -> None:
        self.operations: list[tuple[str, list[int], list[str], list[int], list[float]]] = []
        self.tensors: dict[str, np.ndarray] = {}

    def add(self, name: str, *inputs: int, tensors: Any = (), integers: Any = (), reals: Any = ()) -> int:
        names = []
        for tensor in tensors:
            names.append("" if tensor is None else f"t{len(self.tensors)}")
            if tensor is not None:
                self.tensors[names[-1]] = np.ascontiguousarray(tensor, dtype=np.float32)
        self.operations.append((name, list(inputs), names, [int(i) for i in integers], [float(r) for r in reals]))
        return len(self.operations) - 1

    def write(self, path: Path, shape: tuple[int, int, int], **other: Any) -> None:
        """shape: [C, H, W] of x. other: classes, timesteps, times, objective, guidance_scale."""
        writer = gguf.GGUFWriter(path, "pocket-diffusion")
        channels, height, width = shape
        timesteps = other.get("timesteps", 100)
        writer.add_uint32(P + "format_version", 2)
        for name, value in (("width", width), ("height", height), ("channels", channels), ("pixel_unshuffle", 1)):
            writer.add_uint32(P + "image." + name, value)
        writer.add_array(P + "image.value_range", [-1.0, 1.0])
        if other.get("classes"):
            writer.add_array(P + "class_names", other["classes"])
        writer.add_uint32(P + "diffusion.timesteps", timesteps)
        writer.add_string(P + "diffusion.beta_schedule", "linear")
        abar = np.cumprod(1 - np.linspace(1e-4, 0.2, timesteps))
        writer.add_key_value(P + "diffusion.alphas_cumprod", abar.tolist(), GGUFValueType.ARRAY, sub_type=GGUFValueType.FLOAT64)
        writer.add_string(P + "diffusion.objective", other.get("objective", "pred_noise"))
        if "times" in other:
            writer.add_array(P + "diffusion.times", [float(t) for t in other["times"]])
        writer.add_string(P + "sampling.sampler", "ddim")
        writer.add_uint32(P + "sampling.steps", 4)
        writer.add_float32(P + "sampling.guidance_scale", other.get("guidance_scale", 1.0))
        writer.add_float32(P + "sampling.eta", 0.0)
        counts = [len(part) for operation in self.operations for part in operation[1:]]
        writer.add_uint32(P + "graph.version", 1)
        writer.add_array(P + "graph.operations", [operation[0] for operation in self.operations])
        writer.add_key_value(P + "graph.counts", counts, GGUFValueType.ARRAY, sub_type=GGUFValueType.UINT32)
        for at, name in ((1, "inputs"), (2, "tensors"), (3, "integers"), (4, "reals")):
            writer.add_array(P + "graph." + name, [item for operation in self.operations for item in operation[at]])
        for name, tensor in self.tensors.items():
            writer.add_tensor(name, tensor)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
