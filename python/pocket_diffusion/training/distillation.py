"""Distillation: what a teacher draws in many guided evaluations, learnt by a network that takes few.

The student is the teacher's network with the guidance scale as another input (Meng et al. 2023, On distillation of guided
diffusion models): in the place of a class's row in the embedding table there are several, for ascending scales, and rows
are interpolated for the scales between. One evaluation of it is a guided one.

Two ways of training it are here. *Jumps*: deterministic trajectories of the teacher are drawn beforehand and kept at a few
timesteps; the student learns to get from one kept point to a later one in one evaluation (progressive distillation, Salimans
and Ho 2022, with all of the teacher's steps at hand). *Matching*: what the student draws is noised anew and moved to where
the teacher's guided prediction differs from that of a second network, which learns what the student draws (Yin et al. 2024,
One-step diffusion with distribution matching distillation).
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pocket_diffusion import guidance_input, reference

Tensor = torch.Tensor


def repeat_rows(weights: Mapping[str, Tensor], scales: Sequence[float]) -> dict[str, Tensor]:
    """Weights of a student as it begins: each class's row of the embedding table as often as there are scales.

    But for scale 0, at which the class has no say: there it is the embedding of no class, for all of them.
    """
    table = weights["classes_emb.weight"].repeat_interleave(len(scales), dim=0)
    if scales[0] == 0:
        table[:: len(scales)] = weights["null_classes_emb"]
    return {**weights, "classes_emb.weight": table}


@torch.no_grad()
def share_lowest(table: Tensor, scales: Sequence[float]) -> None:
    """Makes the rows for scale 0 of all classes one, their mean, in place; of the embedding table or of its gradient.

    What is drawn at scale 0 is then the same for every class to the last bit.
    """
    if scales[0] == 0:
        table[:: len(scales)] = table[:: len(scales)].mean(dim=0)


def build_student(arguments: Mapping[str, Any], weights: Mapping[str, Tensor], scales: Sequence[float]) -> torch.nn.Module:
    """A network to be trained, of these arguments (num_classes: of the teacher)."""
    return guidance_input.build_unet(arguments, weights, scales).requires_grad_(True).to(memory_format=torch.channels_last)


# ---- the process ------------------------------------------------------------


@dataclass(frozen=True)
class Process:
    """The forward process x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps, and what a prediction says. t is int64 [N]; -1 is the picture."""

    abar: Tensor  # float64 [T]
    objective: str

    def level(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """sqrt(abar) and sqrt(1 - abar), float32 [N, 1, 1, 1]."""
        abar = torch.where(t < 0, torch.ones((), dtype=torch.float64), self.abar[t.clamp(min=0)])[:, None, None, None]
        return abar.sqrt().float(), (1 - abar).sqrt().float()

    def diffuse(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        signal, sigma = self.level(t)
        return signal * x0 + sigma * noise

    def picture(self, x: Tensor, prediction: Tensor, t: Tensor) -> Tensor:
        """x_0, not clipped."""
        signal, sigma = self.level(t)
        if self.objective == "pred_x0":
            return prediction
        if self.objective == "pred_v":
            return signal * x - sigma * prediction
        return (x - sigma * prediction) / signal

    def target(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """What the network should have predicted."""
        signal, sigma = self.level(t)
        if self.objective == "pred_x0":
            return x0
        return signal * noise - sigma * x0 if self.objective == "pred_v" else noise

    def jump(self, x: Tensor, x0: Tensor, t: Tensor, to: Tensor) -> Tensor:
        """x at the time `to` by DDIM without noise, eps being what x_0 leaves of x."""
        signal, sigma = self.level(t)
        to_signal, to_sigma = self.level(to)
        return to_signal * x0 + to_sigma * (x - signal * x0) / sigma


def guided_prediction(teacher: torch.nn.Module, x: Tensor, t: Tensor, labels: Tensor, scales: Tensor) -> Tensor:
    """null + s (cond - null), both in one call. Scales are those of each picture, [N]."""
    keep = torch.arange(2 * len(x)) < len(x)
    both = teacher(torch.cat((x, x)), torch.cat((t, t)), torch.cat((labels, labels)), cond_drop_prob=0.0, cond_keep_mask=keep).float()
    conditional, null = both.chunk(2)
    return null + scales[:, None, None, None] * (conditional - null)


@torch.no_grad()
def draw_trajectories(teacher: torch.nn.Module, process: Process, noise: Tensor, labels: Tensor, scales: Tensor, steps: int, kept: int) -> Tensor:
    """x of the teacher's guided DDIM at `kept` + 1 evenly spaced times from T - 1 to the picture, [N, kept + 1, C, H, W]."""
    if steps % kept:
        raise ValueError(f"{steps} steps do not pass through {kept} evenly spaced times")
    times = [*reference.time_grid(len(process.abar), steps), -1]
    x, points = noise, [noise]
    for i, (t, to) in enumerate(itertools.pairwise(times)):
        here, there = torch.full((len(x),), t), torch.full((len(x),), to)
        x0 = process.picture(x, guided_prediction(teacher, x, here, labels, scales), here).clamp(-1, 1)
        x = process.jump(x, x0, here, there)
        if (i + 1) % (steps // kept) == 0:
            points.append(x)
    return torch.stack(points, dim=1)


# ---- losses -----------------------------------------------------------------


def jump_target(process: Process, x: Tensor, reached: Tensor, t: Tensor, to: Tensor) -> Tensor:
    """The x_0 which a DDIM step from x at t has to assume to end at `reached` at the time `to`."""
    signal, sigma = process.level(t)
    to_signal, to_sigma = process.level(to)
    ratio = to_sigma / sigma
    return (reached - ratio * x) / (to_signal - ratio * signal)


def distance(a: Tensor, b: Tensor) -> Tensor:
    """Root mean square over each picture, mean over pictures: fine lines weigh more than in the mean square."""
    return ((a - b).square().mean(dim=(1, 2, 3)) + 1e-6).sqrt().mean()


def matching_direction(drawn: Tensor, real: Tensor, fake: Tensor) -> Tensor:
    """The gradient of distribution matching with respect to what was drawn (Yin et al. 2024, eq. 7 and 8)."""
    weight = (drawn - real).abs().mean(dim=(1, 2, 3), keepdim=True).clamp(min=1e-3)
    return (fake - real) / weight


def matching_loss(drawn: Tensor, direction: Tensor) -> Tensor:
    """A scalar whose gradient with respect to `drawn` is the direction, by picture and value."""
    return 0.5 * (drawn - (drawn - direction).detach()).square().mean()


# ---- trajectories on disk ---------------------------------------------------


@dataclass(frozen=True)
class Trajectories:
    """points: float16 [N, kept + 1, C, H, W]; labels: int64 [N]; scales: float32 [N]."""

    points: Tensor
    labels: Tensor
    scales: Tensor

    @classmethod
    def read(cls, folder: Path) -> "Trajectories | None":
        """All whole files of a folder; None if there are none."""
        parts = [np.load(path) for path in sorted(folder.glob("trajectories-*.npz"))]
        if not parts:
            return None
        return cls(*(torch.from_numpy(np.concatenate([part[name] for part in parts])) for name in ("points", "labels", "scales")))

    def write(self, path: Path) -> None:
        partial = path.with_name(f".{path.name}.partial")
        with open(partial, "wb") as file:
            np.savez(file, points=self.points.half().numpy(), labels=self.labels.numpy(), scales=self.scales.numpy())
        partial.rename(path)


def draw_scales(count: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Scales of pictures: uniform in the square root above the lowest, so that low ones, with most variety, are met more often."""
    return low + (high - low) * torch.rand(count, generator=generator) ** 1.5


def generator_of(*place: int) -> torch.Generator:
    """Random numbers that depend on a place in the run alone."""
    seed = int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0] >> np.uint64(1))
    return torch.Generator().manual_seed(seed)
