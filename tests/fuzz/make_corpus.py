"""Makes the seeds of the fuzz targets that read files: tests/fuzz/corpus/gguf and tests/fuzz/corpus/model.

The seeds of `model` are whole files of tiny networks without their data section and two bytes more (fuzz_model.c says
what they mean). The other targets need no seeds: their mutators make valid inputs from nothing.

Usage: python tests/fuzz/make_corpus.py
"""

import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as TYPES

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python"))

from pocket_diffusion import reference  # noqa: E402
from pocket_diffusion.export import main as export_main  # noqa: E402

CORPUS = Path(__file__).parent / "corpus"
# name: arguments of the network, of the diffusion, of the picture, type of the weights
NETWORKS = {
    "plain": (dict(dim=4, dim_mults=(1,), channels=1), "pred_noise", 4, 1, "f16"),
    "levels": (dict(dim=4, dim_mults=(1, 2), channels=4, attn_heads=2, attn_dim_head=5), "pred_v", 8, 2, "f16"),
    "fourier": (dict(dim=5, init_dim=6, dim_mults=(1,), channels=3, learned_sinusoidal_cond=True), "pred_x0", 4, 1, "q8_0"),
    "shrinking": (dict(dim=6, init_dim=9, dim_mults=(2, 1), channels=2, learned_sinusoidal_cond=True, learned_sinusoidal_dim=30), "pred_v", 4, 1, "q5_1"),
    "alpha": (dict(dim=4, dim_mults=(1,), channels=4), "pred_v", 2, 1, "q4_0"),
    "features": (dict(dim=4, out_dim=2, dim_mults=(2,), channels=1, random_fourier_features=True), "pred_noise", 4, 1, "f32"),
}


def write_model(name: str, folder: Path) -> None:
    unet, objective, side, unshuffle, kind = NETWORKS[name]
    unet = dict(num_classes=3, cond_drop_prob=0.25) | unet
    checkpoint, path = folder / f"{name}.pt", folder / f"{name}.gguf"
    torch.save(
        dict(
            unet=unet,
            ema=reference.random_unet(unet, seed=3).state_dict(),
            diffusion=dict(image_size=side, timesteps=8, objective=objective, beta_schedule="cosine"),
            pixel_unshuffle=unshuffle,
            image=dict(height=side * unshuffle, width=side * unshuffle, channels=unet["channels"] // unshuffle**2),
            classes=["a", "b", "c"],
        ),
        checkpoint,
    )
    if export_main([str(checkpoint), str(path), "--type", kind, "--steps", "2", "--name", name]) != 0:
        raise SystemExit("export failed")
    data_start = gguf.GGUFReader(path).data_offset
    (CORPUS / "model" / name).write_bytes(path.read_bytes()[:data_start] + bytes(2))


def write_kinds(path: Path) -> None:
    """A value of every type and a tensor of every type, in a file that is short, since short files are fuzzed fast."""
    writer = gguf.GGUFWriter(path, "x")
    kinds = gguf.GGUFValueType
    writer.add_custom_alignment(8)
    for i, kind in enumerate(kinds):
        if kind not in (kinds.ARRAY, kinds.STRING):
            writer.add_key_value(chr(ord("a") + i), 1, kind)
    writer.add_key_value("s", ["", "u"], kinds.ARRAY, kinds.STRING)
    writer.add_key_value("r", [1.0, 2.0], kinds.ARRAY, kinds.FLOAT64)
    writer.add_tensor("f", np.ones((1, 2), np.float32))
    writer.add_tensor("h", np.ones(3, np.float16))
    for kind in (TYPES.Q4_0, TYPES.Q4_1, TYPES.Q5_0, TYPES.Q5_1, TYPES.Q8_0):
        writer.add_tensor(f"{kind.value}", gguf.quants.quantize(np.ones(32, np.float32), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    for target in ("gguf", "model"):
        (CORPUS / target).mkdir(parents=True, exist_ok=True)
    (CORPUS / "gguf" / "small").write_bytes((ROOT / "tests" / "golden" / "small.gguf").read_bytes())
    with tempfile.TemporaryDirectory() as folder:
        for name in NETWORKS:
            write_model(name, Path(folder))
    write_kinds(CORPUS / "gguf" / "kinds")


if __name__ == "__main__":
    main()
