"""Makes the seeds of the fuzz targets that read files: tests/fuzz/corpus/gguf, model and graph.

The seeds of `model` and `graph` are whole files of tiny networks, of format 1 and 2, without their data section and two
bytes more (fuzz_model.c and fuzz_graph.c say what they mean). The other targets need no seeds: their mutators make valid inputs from nothing.

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
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tests" / "parity")]

from graph_files import Graph  # noqa: E402
from pocket_diffusion import reference  # noqa: E402
from pocket_diffusion.export_command import main as export_main  # noqa: E402

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


def graphs() -> dict[str, tuple[Graph, tuple[int, int, int], dict]]:
    """Between them they have every operation."""

    def weights(*shape: int) -> np.ndarray:
        return np.ones(shape, np.float32)

    maps = Graph()
    x = maps.add("x")
    h = maps.add("conv", x, tensors=[weights(4, 27), weights(4)], integers=[4, 3, 3, 1, 1, 1, 1, 1, 1, 0, 1, 1, 3])
    for name, integers in (
        ("average_pool", [2, 2, 2, 2, 0, 0, 1]), ("nearest", [2, 2]), ("max_pool", [3, 3, 1, 1, 1, 1]), ("bilinear", [3, 5, 1]),
        ("pad", [0, 1, 1, 0, 1]), ("flip", [0]), ("pixel_shuffle", [2]), ("pixel_unshuffle", [4]), ("slice", [0, 0, 2]),
    ):  # fmt: skip
        h = maps.add(name, h, integers=integers)
    h = maps.add("slice", h, integers=[2, 0, 8])
    h = maps.add("conv", h, tensors=[weights(8, 6)], integers=[8, 2, 3, 1, 2, 1, 0, 0, 2, 2, 8, 2, 1])
    h = maps.add("conv_transpose", h, tensors=[weights(2 * 2 * 6, 8), weights(6)], integers=[6, 2, 2, 2, 2, 0, 0, 0, 0, 2], reals=[0.1])
    h = maps.add("reshape", maps.add("reduce", h, integers=[1, 0, 1]), integers=[6])
    h = maps.add("linear", h, tensors=[weights(3, 6), None], integers=[3, 9])
    maps.add("mul", maps.add("scale", x, reals=[0.5, 0.1]), maps.add("expand", h, integers=[4, 4, 3]))

    tokens = Graph()
    x, label, row, time = tokens.add("x"), tokens.add("class", tensors=[weights(4, 8)]), tokens.add("time_row", tensors=[weights(8, 8)]), tokens.add("time")
    angles = tokens.add("div", time, tokens.add("constant", tensors=[weights(8)], integers=[8]))
    condition = tokens.add("max", tokens.add("add", label, row), tokens.add("function", angles, integers=[15]))
    n = tokens.add("linear", tokens.add("reshape", x, integers=[16, 3]), tensors=[weights(8, 3)], integers=[8, 0])
    a = tokens.add("layer_norm", n, condition, condition, integers=[3], reals=[1e-5])
    b = tokens.add("rms_norm", a, -1, -1, n, tensors=[weights(8)], integers=[1, 5], reals=[1e-6])
    c = tokens.add("attention", a, b, b, integers=[2], reals=[0.5])
    d = tokens.add("linear_attention", c, b, a, integers=[2, 1], reals=[0.5])
    e = tokens.add("gated_add", d, c, condition)
    scores = tokens.add("softmax", tokens.add("matmul", e, b, integers=[0, 1], reals=[0.3]))
    f = tokens.add("matmul", scores, tokens.add("affine", b, tensors=[weights(8), weights(8)], integers=[0]), integers=[0, 0], reals=[1])
    g = tokens.add("linear_attention_block", f, tensors=[weights(8), weights(24, 8), weights(8, 8), weights(8), weights(8)], integers=[1, 8])
    joined = tokens.add("concat", tokens.add("min", g, f), tokens.add("sub", e, n), integers=[1])
    joined = tokens.add("group_norm", tokens.add("permute", joined, integers=[0, 1]), tensors=[weights(16)], integers=[4, 3], reals=[1e-5])
    tokens.add("reshape", tokens.add("linear", joined, tensors=[weights(3, 16), weights(3)], integers=[3, 0]), integers=[4, 4, 3])
    return {"maps": (maps, (3, 4, 4), {}), "tokens": (tokens, (3, 4, 4), dict(classes=["a", "b", "c"], guidance_scale=2.0))}


def write_graph(name: str, folder: Path) -> None:
    graph, shape, other = graphs()[name]
    path = folder / f"{name}.gguf"
    graph.write(path, shape, timesteps=8, **other)
    (CORPUS / "graph" / name).write_bytes(path.read_bytes()[: gguf.GGUFReader(path).data_offset] + bytes(2))


def main() -> None:
    for target in ("gguf", "model", "graph"):
        (CORPUS / target).mkdir(parents=True, exist_ok=True)
    (CORPUS / "gguf" / "small").write_bytes((ROOT / "tests" / "golden" / "small.gguf").read_bytes())
    with tempfile.TemporaryDirectory() as folder:
        for name in NETWORKS:
            write_model(name, Path(folder))
        for name in graphs():
            write_graph(name, Path(folder))
    write_kinds(CORPUS / "gguf" / "kinds")


if __name__ == "__main__":
    main()
