"""Makes tests/golden/no-classes.gguf: a network of two convolutions that was never told a class, with random weights.

Made by:

    PYTHONPATH=python .venv/bin/python tests/parity/make_no_classes_model.py
"""

from pathlib import Path

import pocket_diffusion
import torch
from torch import nn

OUTPUT = Path(__file__).resolve().parents[1] / "golden/no-classes.gguf"


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enter, self.time, self.leave = nn.Conv2d(1, 8, 3, padding=1), nn.Linear(1, 8), nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, x: torch.Tensor, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        return self.leave(torch.nn.functional.silu(self.enter(x) + self.time((t / 1000)[:, None])[:, :, None, None]))


torch.manual_seed(1)
process = pocket_diffusion.Process.table("cosine", timesteps=1000, objective="noise")
pocket_diffusion.export(Plain(), OUTPUT, shape=(1, 16, 16), classes=[], process=process, type="f32")
