"""What sampling and guidance should make, in PyTorch: guidance and the DDPM and DDIM variants written from the papers,
every other solver by the scheduler of the same name in `diffusers`. Options have their JavaScript names.
"""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import numpy as np
import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    LCMScheduler,
    UniPCMultistepScheduler,
)
from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer, normalized_guidance
from diffusers.schedulers import scheduling_dpmsolver_multistep, scheduling_euler_ancestral_discrete, scheduling_lcm
from pocket_diffusion import reference
from pocket_diffusion.verify import Subject

Options = dict[str, Any]
# What becomes of x after a step that leads to the given time.
Edit = Callable[[torch.Tensor, int], torch.Tensor]


# ---- time grids -------------------------------------------------------------


def _targets(abar: np.ndarray, steps: int, grid: str) -> np.ndarray:
    """Whole numbers before times are made distinct."""
    timesteps = len(abar)
    u = np.linspace(0, 1, steps)
    if grid == "quadratic":
        return np.round((timesteps - 1) * (1 - u) ** 2)
    if grid == "trailing":
        return np.array([round(timesteps * (steps - i) / steps) - 1 for i in range(steps)])
    k = np.sqrt((1 - abar) / abar)
    sigmas = (k[-1] ** (1 / 7) + u * (k[0] ** (1 / 7) - k[-1] ** (1 / 7))) ** 7
    return np.round(np.interp(np.log(sigmas), np.log(k), np.arange(timesteps)))


def time_grid(abar: np.ndarray, steps: int, grid: str) -> list[int]:
    """Strictly decreasing times from T - 1, without the final -1."""
    if grid == "linear":
        return reference.time_grid(len(abar), steps)
    times: list[int] = []
    for i, target in enumerate(_targets(abar, steps, grid).astype(int)):
        ceiling = times[-1] - 1 if times else len(abar) - 1
        time = min(int(target), ceiling) if times else ceiling
        times.append(max(time, steps - 1 - i))
    return times


# ---- guidance ---------------------------------------------------------------


def with_mixed_class(unet: torch.nn.Module, mix: list[dict[str, Any]]) -> torch.nn.Module:
    """The network with one more class, the last, whose embedding is the weighted mean of some others."""
    table = unet.classes_emb.weight
    total = sum(each["weight"] for each in mix)
    row = sum(each["weight"] / total * table[each["label"]] for each in mix)
    mixed = copy.deepcopy(unet)
    mixed.classes_emb = torch.nn.Embedding.from_pretrained(torch.cat([table, row[None]]))
    return mixed


class Guidance:
    """Guided predictions of one run."""

    def __init__(self, subject: Subject, options: Options, evaluations: int) -> None:
        self.unet, self.options, self.evaluations = subject.unet, options, evaluations
        self.index = 0
        momentum = options.get("momentum", 0)
        self.buffer = MomentumBuffer(momentum) if momentum else None
        self.mix = options.get("classMix")
        self.by_prediction = options.get("mixMode") == "prediction"
        self.mixed = with_mixed_class(self.unet, self.mix) if self.mix and not self.by_prediction else None

    def _scale(self, t: int) -> float:
        low, high = self.options.get("guidanceInterval", (0, 10**9))
        if not low <= t <= high:
            return 1.0
        scale = self.options.get("guidanceScale", 1.0)
        p = (self.index + 0.5) / self.evaluations
        factor = {"constant": 1.0, "linear": 2 * p, "cosine": 1 - math.cos(math.pi * p)}
        return 1 + factor[self.options.get("guidanceSchedule", "constant")] * (scale - 1)

    def _conditional(self, x: torch.Tensor, t: int) -> torch.Tensor:
        if not self.mix:
            return reference.forward(self.unet, x, t, self.options["label"])
        if self.mixed is not None:
            return reference.forward(self.mixed, x, t, self.mixed.classes_emb.num_embeddings - 1)
        total = sum(each["weight"] for each in self.mix)
        return sum(each["weight"] / total * reference.forward(self.unet, x, t, each["label"]) for each in self.mix)

    def __call__(self, x: torch.Tensor, t: int) -> torch.Tensor:
        """x: [C, H, W], float32. One call for each network evaluation, in order."""
        options, scale = self.options, self._scale(t)
        self.index += 1
        conditional = self._conditional(x, t)[None]
        if scale == 1.0:
            return conditional[0]
        null = reference.forward(self.unet, x, t, options.get("negativeLabel"))[None]
        keep = options.get("keepParallel", 0.0) if options.get("projection") else 1.0
        guided = normalized_guidance(conditional, null, scale - 1, self.buffer, keep, options.get("normThreshold", 0.0), use_original_formulation=True)
        phi = options.get("rescale", 0.0)
        rescaled = guided * conditional.std() / guided.std()
        return (phi * rescaled + (1 - phi) * guided)[0] if phi else guided[0]


# ---- from predictions to x_0 and eps ------------------------------------------


def raw_x0(objective: str, abar: float, x: torch.Tensor, prediction: torch.Tensor) -> torch.Tensor:
    a, s = math.sqrt(abar), math.sqrt(1 - abar)
    return {"pred_x0": lambda: prediction, "pred_v": lambda: a * x - s * prediction, "pred_noise": lambda: (x - s * prediction) / a}[objective]()


def estimate_x0(options: Options, x0: torch.Tensor) -> torch.Tensor:
    """Clipped, or thresholded as in Imagen."""
    percentile = options.get("dynamicThreshold", 0.0)
    if not percentile:
        return x0.clamp(-1, 1)
    limit = torch.quantile(x0.abs().flatten(), percentile).clamp(min=1)
    return x0.clamp(-limit, limit) / limit


# ---- solvers ----------------------------------------------------------------


def _scheduler(sampler: str, abar: torch.Tensor, sigmas: torch.Tensor, times: list[int]) -> Any:
    """Of diffusers, set to our times and their noise levels; its own grids are not ours."""
    multistep = dict(solver_order=2, prediction_type="sample", final_sigmas_type="zero", lower_order_final=True)
    scheduler = {
        "dpmpp-2m": lambda: DPMSolverMultistepScheduler(**multistep, algorithm_type="dpmsolver++"),
        "dpmpp-2m-sde": lambda: DPMSolverMultistepScheduler(**multistep, algorithm_type="sde-dpmsolver++"),
        "unipc": lambda: UniPCMultistepScheduler(**multistep, solver_type="bh2"),
        "euler": EulerDiscreteScheduler,
        "euler-ancestral": EulerAncestralDiscreteScheduler,
        "heun": HeunDiscreteScheduler,
        # Its skip connection, which is for networks that were trained with one, vanishes for times far above 1 / this.
        "lcm": lambda: LCMScheduler(prediction_type="sample", clip_sample=False, timestep_scaling=1e9),
    }[sampler]()
    scheduler.set_timesteps(len(times))
    if sampler == "lcm":
        scheduler.alphas_cumprod = abar
    timesteps = torch.tensor(times, dtype=torch.int64 if sampler == "lcm" else torch.float32)
    if sampler == "heun":
        sigmas = torch.cat([sigmas[:1], sigmas[1:-1].repeat_interleave(2), sigmas[-1:]])
        timesteps = torch.cat([timesteps[:1], timesteps[1:].repeat_interleave(2)])
    scheduler.sigmas, scheduler.timesteps = sigmas, timesteps
    scheduler._step_index = 0
    scheduler.is_scale_input_called = True
    return scheduler


@contextlib.contextmanager
def _in_double() -> Iterator[None]:
    """Within, the schedulers compute in float64 where they would round to float32, from the same float32 noise: Euler's
    x / sqrt(abar) is about 1e4 at the noisy end of a cosine schedule, and its rounding larger than our tolerance.
    """
    single = torch.float32

    def draw(shape: Any, **_: Any) -> torch.Tensor:
        return torch.randn(shape, dtype=single).double()

    with (
        mock.patch.object(torch, "float32", torch.float64),
        mock.patch.object(scheduling_dpmsolver_multistep, "randn_tensor", draw),
        mock.patch.object(scheduling_euler_ancestral_discrete, "randn_tensor", draw),
        mock.patch.object(scheduling_lcm, "randn_tensor", draw),
    ):
        yield


def _by_scheduler(subject: Subject, options: Options, times: list[int], noise: torch.Tensor, edit: Edit | None = None) -> list[torch.Tensor]:
    abar, objective = subject.file.alphas_cumprod, subject.file.metadata["diffusion.objective"]
    sampler = options["sampler"]
    level = [math.sqrt((1 - abar[t]) / abar[t]) for t in times] + [0.0]
    scheduler = _scheduler(sampler, torch.from_numpy(abar), torch.tensor(level, dtype=torch.float64), times)
    visited = [int(t) for t in scheduler.timesteps]
    guidance = Guidance(subject, options, len(visited))
    in_sigma_space = sampler in ("euler", "euler-ancestral", "heun")
    amplitude = [math.sqrt(1 / abar[t]) if in_sigma_space else 1.0 for t in visited] + [1.0]  # of the scheduler's x over ours
    x, states = noise.double() * amplitude[0], []
    for i, t in enumerate(visited):
        ours = x / amplitude[i]
        x0 = estimate_x0(options, raw_x0(objective, abar[t], ours, guidance(ours.float(), t).double()))
        output = (x - x0) / math.sqrt((1 - abar[t]) / abar[t]) if in_sigma_space else x0
        with _in_double():
            x = scheduler.step(output[None], scheduler.timesteps[i], x[None], return_dict=False)[0][0]
        ours = x / amplitude[i + 1]
        ends_step = i + 1 == len(visited) or sampler != "heun" or i % 2 == 1
        if edit and ends_step:
            ours = edit(ours.float(), ([*visited, -1])[i + 1]).double()
            x = ours * amplitude[i + 1]
        states.append(ours.float())
    return states


def ddim_or_ddpm_step(subject: Subject, options: Options, guidance: Guidance, x: torch.Tensor, t: int, t_next: int) -> torch.Tensor:
    """DDIM as the reference has it, DDPM as Ho et al. 2020, section 3, has it, from t to any earlier time."""
    table, objective = subject.file.alphas_cumprod, subject.file.metadata["diffusion.objective"]
    abar, abar_next = float(table[t]), float(table[t_next]) if t_next >= 0 else 1.0
    alpha, beta = abar / abar_next, 1 - abar / abar_next
    prediction = guidance(x, t)
    raw = raw_x0(objective, abar, x, prediction)
    x0 = estimate_x0(options, raw)
    z = torch.randn(1, *x.shape)[0] if t_next >= 0 else torch.zeros_like(x)
    if options["sampler"] == "ddim":
        eps = prediction if objective == "pred_noise" else (x - math.sqrt(abar) * x0) / math.sqrt(1 - abar)
        sigma = options.get("eta", 0.0) * math.sqrt((1 - abar_next) / (1 - abar) * (1 - alpha))
        return math.sqrt(abar_next) * x0 + math.sqrt(max(1 - abar_next - sigma**2, 0)) * eps + sigma * z if t_next >= 0 else x0
    if options.get("ddpmMean") == "noise":
        eps = (x - math.sqrt(abar) * raw) / math.sqrt(1 - abar) if objective != "pred_noise" else prediction
        mean = (x - beta / math.sqrt(1 - abar) * eps) / math.sqrt(alpha)
    else:
        mean = (math.sqrt(abar_next) * beta * x0 + math.sqrt(alpha) * (1 - abar_next) * x) / (1 - abar)
    posterior = beta * (1 - abar_next) / (1 - abar)
    return mean + math.sqrt(beta if options.get("ddpmVariance") == "beta" else posterior) * z


def solve(subject: Subject, options: Options, times: list[int], x: torch.Tensor, edit: Edit | None = None) -> list[torch.Tensor]:
    """x after every network evaluation, each [C, H, W], from x at the first of these times."""
    if options["sampler"] not in ("ddim", "ddpm"):
        return _by_scheduler(subject, options, times, x, edit)
    guidance, states = Guidance(subject, options, len(times)), []
    for t, t_next in zip(times, [*times[1:], -1]):
        x = ddim_or_ddpm_step(subject, options, guidance, x, t, t_next)
        x = edit(x, t_next) if edit else x
        states.append(x)
    return states


def trajectory(subject: Subject, options: Options) -> list[torch.Tensor]:
    """x after every network evaluation, each [C, H, W]. Noise as torch.manual_seed(seed) draws it."""
    times = time_grid(subject.file.alphas_cumprod, options["steps"], options.get("timeGrid", "linear"))
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(options["seed"])
        return solve(subject, options, times, torch.randn(1, *subject.file.network_shape)[0])
