"""Writes a model's network as ONNX, for comparison with other runtimes (scripts/benchmark/benchmark.mjs).

    python scripts/benchmark/export_onnx.py weights/doodles.gguf dist/doodles.onnx

Takes a model file, whose weights are used as they are stored there, or a checkpoint that says everything about
itself. The graph is the reference's `Unet.forward` for a batch of any size:

    x           float32 [batch, channels, height, width], network space
    t           int64 [batch]
    label       int64 [batch]; num_classes stands for the null class
    prediction  float32 [batch, out_dim, height, width]
"""

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from pocket_diffusion import reference
from pocket_diffusion.checkpoint import CheckpointError, MissingOptions, describe, read_checkpoint
from pocket_diffusion.model_file import read_model


class OneForward(torch.nn.Module):
    """`Unet.forward` without dropout of the class; the null embedding is one more row of the table of classes."""

    def __init__(self, unet: torch.nn.Module) -> None:
        super().__init__()
        table = torch.cat((unet.classes_emb.weight, unet.null_classes_emb[None]))
        unet.classes_emb = torch.nn.Embedding.from_pretrained(table)
        self.unet = unet

    def forward(self, x: torch.Tensor, t: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return self.unet(x, t, label, cond_drop_prob=0.0)


def read_network(path: Path) -> tuple[torch.nn.Module, tuple[int, int, int]]:
    """The network and the shape [C, H, W] that it was trained on."""
    if path.suffix == ".gguf":
        model = read_model(path)
        return reference.build_unet(model.unet, model.weights), model.network_shape
    checkpoint = read_checkpoint(path)
    description = describe(checkpoint)
    return reference.build_unet(description.unet, checkpoint.weights), description.network_shape


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 written, 1 failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="model file (.gguf) or checkpoint")
    parser.add_argument("output", type=Path, help="ONNX file to write")
    parsed = parser.parse_args(arguments)
    try:
        unet, shape = read_network(parsed.model)
        parsed.output.parent.mkdir(parents=True, exist_ok=True)
        names = ["x", "t", "label", "prediction"]
        inputs = (torch.zeros(2, *shape), torch.zeros(2, dtype=torch.int64), torch.zeros(2, dtype=torch.int64))
        with warnings.catch_warnings():
            # Tracing turns the reference's Python numbers (shapes) into constants, which is what is wanted.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                OneForward(unet).eval(),
                inputs,
                parsed.output,
                input_names=names[:3],
                output_names=names[3:],
                dynamic_axes={name: {0: "batch"} for name in names},
                opset_version=17,
                dynamo=False,
            )
    except (CheckpointError, MissingOptions, reference.ReferenceUnavailable, OSError) as error:
        print(f"export_onnx: {error}", file=sys.stderr)
        return 1
    print(f"{parsed.output}: {parsed.output.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
