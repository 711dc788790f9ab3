"""Writes a model with random weights that is large for a telephone: dim 64, pictures of 128 x 128, 8 bits a weight.

Made by:

    .venv/bin/python tests/hosts/make_large_model.py FILE.gguf
"""

import contextlib
import io
import sys
import tempfile
from pathlib import Path

import torch
from pocket_diffusion import export_command, reference

UNET = {"dim": 64, "dim_mults": (1, 2, 4, 8), "channels": 3, "num_classes": 10, "cond_drop_prob": 0.2}
SIDE = 128


def main(path: Path) -> int:
    network = reference.random_unet(UNET, seed=1)
    with tempfile.TemporaryDirectory() as temporary:
        checkpoint = Path(temporary) / "checkpoint.pt"
        torch.save(
            {
                "unet": UNET,
                "ema": network.state_dict(),
                "diffusion": {"image_size": SIDE, "timesteps": 1000, "objective": "pred_v", "beta_schedule": "cosine"},
                "pixel_unshuffle": 1,
                "image": {"height": SIDE, "width": SIDE, "channels": UNET["channels"]},
                "classes": [f"class {number}" for number in range(UNET["num_classes"])],
            },
            checkpoint,
        )
        with contextlib.redirect_stdout(io.StringIO()):
            return export_command.main([str(checkpoint), str(path), "--name", "large", "--type", "q8_0"])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
