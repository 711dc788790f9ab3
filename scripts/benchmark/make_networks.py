"""Makes the networks of the benchmark (scripts/benchmark/benchmark.mjs), each in the formats that its contestants read.

    python scripts/benchmark/make_networks.py SPECIFICATIONS.json FOLDER

SPECIFICATIONS.json is a list; each entry makes FOLDER/NAME.onnx, for onnxruntime-web, and FOLDER/NAME.safetensors
(float32, names and shapes of PyTorch), for TensorFlow.js. An entry is one of

    {"name", "model": "weights/NAME.gguf"}                  a model file
    {"name", "unet": {...}, "side", "pixel_unshuffle"}      a network with random weights; makes FOLDER/NAME.gguf too

`unet` holds arguments of the reference's Unet, `side` that of its square input. Random weights cost as much time as
trained ones. All contestants get the weights as they are rounded in the model file. An entry whose files were made
from the same entry is left alone.
"""

import argparse
import contextlib
import io
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import export_onnx
import safetensors.torch
import torch
from pocket_diffusion import export_command, reference
from pocket_diffusion.model_file import read_model

SEED = 1


def up_to_date(entry: Mapping[str, Any], folder: Path) -> bool:
    stamp = folder / f"{entry['name']}.json"
    if not stamp.exists() or json.loads(stamp.read_text()) != entry:
        return False
    return "model" not in entry or Path(entry["model"]).stat().st_mtime <= stamp.stat().st_mtime


def write_random_model(entry: Mapping[str, Any], path: Path) -> None:
    unet = {"cond_drop_prob": 0.2, **entry["unet"], "dim_mults": tuple(entry["unet"]["dim_mults"])}
    r = entry["pixel_unshuffle"]
    side = entry["side"] * r
    network = reference.random_unet(unet, seed=SEED)
    with tempfile.TemporaryDirectory() as temporary:
        checkpoint = Path(temporary) / "checkpoint.pt"
        torch.save(
            dict(
                unet=unet,
                ema=network.state_dict(),
                diffusion=dict(image_size=entry["side"], timesteps=1000, objective="pred_v", beta_schedule="cosine"),
                pixel_unshuffle=r,
                image=dict(height=side, width=side, channels=unet["channels"] // r**2),
                classes=[f"class {i}" for i in range(unet["num_classes"])],
            ),
            checkpoint,
        )
        with contextlib.redirect_stdout(io.StringIO()):
            status = export_command.main([str(checkpoint), str(path), "--name", entry["name"]])
    if status != 0:
        raise RuntimeError(f"{entry['name']}: export failed")


def make(entry: Mapping[str, Any], folder: Path) -> None:
    name = entry["name"]
    model = Path(entry["model"]) if "model" in entry else folder / f"{name}.gguf"
    if "model" not in entry:
        write_random_model(entry, model)
    with contextlib.redirect_stdout(io.StringIO()):
        status = export_onnx.main([str(model), str(folder / f"{name}.onnx")])
    if status != 0:
        raise RuntimeError(f"{name}: export_onnx failed")
    safetensors.torch.save_file(read_model(model).weights, folder / f"{name}.safetensors")
    (folder / f"{name}.json").write_text(json.dumps(entry))


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 all there, 1 failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("specifications", type=Path, metavar="SPECIFICATIONS.json")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parsed = parser.parse_args(arguments)
    parsed.folder.mkdir(parents=True, exist_ok=True)
    try:
        for entry in json.loads(parsed.specifications.read_text()):
            if not up_to_date(entry, parsed.folder):
                print(f"making {entry['name']}", file=sys.stderr)
                make(entry, parsed.folder)
    except (RuntimeError, OSError, reference.ReferenceUnavailable) as error:
        print(f"benchmark_networks: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
