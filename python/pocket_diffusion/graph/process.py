"""What a network was trained to undo: noise levels, what the network is fed as time at each, and what it predicts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pocket_diffusion.graph.ir import GraphError

OBJECTIVES = {"noise": "pred_noise", "x0": "pred_x0", "v": "pred_v"}
SCHEDULES = ("linear", "scaled_linear", "cosine", "sigmoid")
MAX_TIMESTEPS, MAX_TIME = 10000, 1e6


def _betas(schedule: str, timesteps: int, start: float, end: float) -> np.ndarray:
    """Of the schedules that people have, as their authors wrote them, in float64."""
    if schedule == "linear":
        return np.linspace(start, end, timesteps)
    if schedule == "scaled_linear":
        return np.linspace(start**0.5, end**0.5, timesteps) ** 2
    u = np.linspace(0, 1, timesteps + 1)
    if schedule == "cosine":
        abar = np.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2
    else:
        low, high = (1 / (1 + math.exp(-each)) for each in (-3.0, 3.0))
        abar = (high - 1 / (1 + np.exp(-(u * 6 - 3)))) / (high - low)
    return np.clip(1 - abar[1:] / abar[:-1], 0, 0.999)


@dataclass(frozen=True)
class Process:
    """Made by `Process.table`. (Flows, sigmas and latents are not there yet.)"""

    alphas_cumprod: np.ndarray = field(repr=False)  # float64 [T], strictly decreasing in (0, 1)
    objective: str  # as in the file: pred_noise, pred_x0 or pred_v
    schedule: str  # its name, or custom
    times: np.ndarray = field(repr=False)  # float32 [T]: what the network is fed

    @property
    def timesteps(self) -> int:
        return len(self.alphas_cumprod)

    @property
    def feeds_index(self) -> bool:
        return np.array_equal(self.times, np.arange(self.timesteps, dtype=np.float32))

    @classmethod
    def table(
        cls,
        schedule: str | None = None,
        *,
        timesteps: int | None = None,
        objective: str = "noise",
        alphas_cumprod: Sequence[float] | None = None,
        times: Sequence[float] | None = None,
        beta_start: float = 1e-4,
        beta_end: float = 0.02,
    ) -> "Process":
        """x_t = √ᾱ_t x_0 + √(1 - ᾱ_t) noise, t = 0 … T-1, with a table of ᾱ.

        schedule: linear or scaled_linear (betas from beta_start to beta_end), cosine, sigmoid; or give alphas_cumprod, T
            numbers that fall within (0, 1).
        objective: noise, x0 or v, whatever the network predicts.
        times: what the network is fed at each t, T numbers; t itself if not given. t + 1, t / T, ln(sigma) / 4 are met.
        """
        if objective not in OBJECTIVES:
            raise GraphError(f"objective {objective!r}: one of {', '.join(OBJECTIVES)}")
        if (schedule is None) == (alphas_cumprod is None):
            raise GraphError("a schedule's name or alphas_cumprod: one of the two")
        if alphas_cumprod is None:
            if schedule not in SCHEDULES:
                raise GraphError(f"schedule {schedule!r}: one of {', '.join(SCHEDULES)}, or alphas_cumprod=")
            if timesteps is None or not 1 <= timesteps <= MAX_TIMESTEPS:
                raise GraphError(f"timesteps {timesteps}: 1 to {MAX_TIMESTEPS}")
            table = np.cumprod(1 - _betas(schedule, timesteps, beta_start, beta_end))
        else:
            table = np.asarray(alphas_cumprod, dtype=np.float64).reshape(-1)
        _check_table(table, timesteps)
        fed = np.arange(len(table), dtype=np.float32) if times is None else np.asarray(times, dtype=np.float32).reshape(-1)
        if len(fed) != len(table):
            raise GraphError(f"{len(fed)} times for {len(table)} timesteps")
        if not (np.abs(fed) <= MAX_TIME).all():
            raise GraphError(f"times: they must be numbers of at most {MAX_TIME:g} in magnitude")
        return cls(table, OBJECTIVES[objective], schedule or "custom", fed)


def _check_table(table: np.ndarray, timesteps: int | None) -> None:
    if not 1 <= len(table) <= MAX_TIMESTEPS or (timesteps is not None and timesteps != len(table)):
        raise GraphError(f"{len(table)} alphas_cumprod for {timesteps or f'1 to {MAX_TIMESTEPS}'} timesteps")
    fine = (table > 0) & (table < 1) & (np.diff(table, prepend=1.0) < 0)
    if not fine.all():
        t = int(np.argmin(fine))
        raise GraphError(f"alphas_cumprod[{t}] is {table[t]}: the numbers must fall, within 0 and 1. A last one of 0 can be a small number, such as 1e-6")
