"""Makes tests/golden/tiny.gguf and tests/golden/tiny.bin: a whole small model and what PyTorch makes of it; and
tests/golden/tiny_colour.gguf and tests/golden/tiny_guided.gguf, others, whose pictures are compared between engines. The last
one takes the guidance scale as an input.

A network with random weights in the reference's shape: two levels, 12 channels wide (not a multiple of 8), pixel
unshuffle 2, stored as F16. The expectations come from the reference with the weights as stored in the file, so that
the rounding to F16 is no part of the comparison.

tiny.bin, little-endian, int32 and float32:
  int32 forward_count, then per evaluation: int32 t, int32 label (2147483647: null class),
        float32 x[C*H*W], float32 prediction[C*H*W]
  int32 trajectory_count, then per run: int32 label, seed, sampler (0 ddim, 1 ddpm), steps, projection,
        float32 guidance_scale, eta, rescale, float32 x after every step [steps][C*H*W],
        uint8 final pixels [height*width*channels]

Usage: python tests/parity/make_tiny_model.py
"""

import struct
import sys
import tempfile
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python"))

from pocket_diffusion import guidance_input, reference  # noqa: E402
from pocket_diffusion.export_command import main as export_main  # noqa: E402
from pocket_diffusion.model_file import read_model  # noqa: E402

GOLDEN = ROOT / "tests" / "golden"
NULL_LABEL = 2147483647
UNET = dict(dim=12, num_classes=3, cond_drop_prob=0.2, dim_mults=(1, 2), channels=4)
RUNS = (
    reference.Generation(label=0, seed=1, steps=6, guidance_scale=3.0),
    reference.Generation(label=1, seed=2, steps=6, eta=1.0, guidance_scale=6.0, projection=True, rescale=0.7),
    reference.Generation(label=2, seed=3, sampler="ddpm", steps=10, guidance_scale=1.0),
    reference.Generation(label=1, seed=4, steps=5, guidance_scale=0.0),
)


COLOUR_UNET = dict(dim=8, num_classes=4, cond_drop_prob=0.2, dim_mults=(1, 2), channels=3, attn_dim_head=8, attn_heads=2)


def make_colour_model() -> None:
    """Another objective, schedule, storage type and attention, three channels, and sides that are no power of two."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "colour.pt"
        torch.save(
            dict(
                unet=COLOUR_UNET,
                ema=reference.random_unet(COLOUR_UNET, seed=21).state_dict(),
                diffusion=dict(image_size=12, timesteps=60, objective="pred_noise", beta_schedule="linear"),
                pixel_unshuffle=1,
                image=dict(height=12, width=12, channels=3),
                classes=["red", "green", "blue", "grey"],
            ),
            checkpoint,
        )
        arguments = [str(checkpoint), str(GOLDEN / "tiny_colour.gguf"), "--type", "q8_0", "--name", "Tiny colour test model"]
        if export_main(arguments) != 0:
            raise SystemExit("export failed")


GUIDED_UNET = dict(dim=8, num_classes=3, cond_drop_prob=0.2, dim_mults=(1,), channels=4)
GUIDED_SCALES = (0.5, 1.0, 3.0, 8.0)


def make_guided_model() -> None:
    """Scales at uneven distances, the first of them not 0; classes and scales whose embeddings differ much."""
    table = guidance_input.table_arguments(GUIDED_UNET, GUIDED_SCALES)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "guided.pt"
        torch.save(
            dict(
                unet=GUIDED_UNET,
                guidance_scales=list(GUIDED_SCALES),
                ema=reference.random_unet(table, seed=22).state_dict(),
                diffusion=dict(image_size=4, timesteps=100, objective="pred_v", beta_schedule="cosine"),
                pixel_unshuffle=2,
                image=dict(height=8, width=8, channels=1),
                classes=["circle", "square", "triangle"],
            ),
            checkpoint,
        )
        arguments = [str(checkpoint), str(GOLDEN / "tiny_guided.gguf"), "--type", "f16", "--name", "Tiny guided test model", "--sampler", "lcm", "--steps", "2"]
        if export_main(arguments) != 0:
            raise SystemExit("export failed")


def main() -> None:
    make_colour_model()
    make_guided_model()
    unet = reference.random_unet(UNET, seed=20)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "tiny.pt"
        torch.save(
            dict(
                unet=UNET,
                ema=unet.state_dict(),
                diffusion=dict(image_size=8, timesteps=100, objective="pred_v", beta_schedule="cosine"),
                pixel_unshuffle=2,
                image=dict(height=16, width=16, channels=1),
                classes=["circle", "square", "triangle"],
            ),
            checkpoint,
        )
        arguments = [str(checkpoint), str(GOLDEN / "tiny.gguf"), "--type", "f16", "--name", "Tiny test model"]
        if export_main(arguments) != 0:
            raise SystemExit("export failed")

    model = read_model(GOLDEN / "tiny.gguf")
    unet = reference.build_unet(model.unet, model.weights)
    shape = model.network_shape
    out = bytearray()
    evaluations = [(t, label) for t in (0, 41, 99) for label in (0, 2, None)]
    out += struct.pack("<i", len(evaluations))
    generator = torch.Generator().manual_seed(7)
    for t, label in evaluations:
        x = torch.randn(shape, generator=generator)
        out += struct.pack("<ii", t, NULL_LABEL if label is None else label)
        out += x.numpy().tobytes() + reference.forward(unet, x, t, label).numpy().tobytes()
    out += struct.pack("<i", len(RUNS))
    for run in RUNS:
        out += struct.pack("<iiiiifff", run.label, run.seed, int(run.sampler == "ddpm"), run.steps, run.projection, run.guidance_scale, run.eta, run.rescale)
        states = reference.trajectory(unet, model.alphas_cumprod, model.metadata["diffusion.objective"], shape, run)
        for state in states:
            out += state.numpy().tobytes()
        out += reference.to_pixels(states[-1], model.metadata["image.pixel_unshuffle"]).tobytes()
    (GOLDEN / "tiny.bin").write_bytes(out)


if __name__ == "__main__":
    main()
