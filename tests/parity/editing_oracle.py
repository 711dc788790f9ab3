"""What editing should make, in PyTorch, from the papers: SDEdit (Meng et al. 2022), RePaint (Lugmayr et al. 2022),
spherical interpolation of noise (Shoemake 1985) and DDIM inversion (Song et al. 2021; Dhariwal and Nichol 2021). The steps
themselves are those of sampling_oracle.py. Options have their JavaScript names; images and masks are uint8 arrays.
"""

from __future__ import annotations

import math

import numpy as np
import sampling_oracle
import torch
from pocket_diffusion.verify import Subject
from sampling_oracle import Guidance, Options, estimate_x0, raw_x0


def to_network(subject: Subject, pixels: np.ndarray) -> torch.Tensor:
    """uint8 [H, W, C] -> [C r^2, H / r, W / r] in [-1, 1]."""
    planes = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255 * 2 - 1
    return torch.nn.functional.pixel_unshuffle(planes, subject.file.metadata["image.pixel_unshuffle"])


def keep_of(subject: Subject, mask: np.ndarray) -> torch.Tensor:
    """bool in network space: what a mask [H, W] keeps, in every channel."""
    channels = subject.file.metadata["image.channels"]
    return to_network(subject, np.repeat(mask[:, :, None], channels, axis=2)) < 0


def slerp(a: torch.Tensor, b: torch.Tensor, share: float) -> torch.Tensor:
    a, b = a.double(), b.double()
    angle = torch.acos((a * b).sum() / (a.norm() * b.norm()))
    return ((torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b) / torch.sin(angle)).float()


def _noise_of(seed: int, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.randn(1, *shape, generator=torch.Generator().manual_seed(seed))[0]


def _diffuse(abar: float, x: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    return math.sqrt(abar) * x + math.sqrt(1 - abar) * noise


def _first_noise(subject: Subject, options: Options) -> torch.Tensor:
    """x_T; the generator of the seed has drawn its own."""
    x = torch.randn(1, *subject.file.network_shape)[0]
    x = options.get("noise", x)
    if options.get("variationStrength"):
        x = slerp(x, _noise_of(options["variationSeed"], subject.file.network_shape), options["variationStrength"])
    return x


def _heun_step(subject: Subject, guidance: Guidance, options: Options, x: torch.Tensor, t: int, t_next: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Algorithm 1 of Karras et al. 2022 without churn, in x / alpha over k = sigma / alpha: x after Euler's step, and after
    the correction.
    """
    table, objective = subject.file.alphas_cumprod, subject.file.metadata["diffusion.objective"]

    def slope(scaled: torch.Tensor, at: int) -> torch.Tensor:
        ours = (scaled * math.sqrt(table[at])).float()
        x0 = estimate_x0(options, raw_x0(objective, table[at], ours.double(), guidance(ours, at).double()))
        return (scaled - x0) / math.sqrt((1 - table[at]) / table[at])

    h = math.sqrt((1 - table[t_next]) / table[t_next]) - math.sqrt((1 - table[t]) / table[t])
    start = x.double() / math.sqrt(table[t])
    first = slope(start, t)
    euler = start + h * first
    heun = start + h * (first + slope(euler, t_next)) / 2
    return tuple((scaled * math.sqrt(table[t_next])).float() for scaled in (euler, heun))


def _repaint(subject: Subject, options: Options, times: list[int], x: torch.Tensor, image: torch.Tensor) -> list[torch.Tensor]:
    """Algorithm 1, on a grid of times, with steps of DDIM, DDPM and Heun. Euler's are those of DDIM (where eps comes from
    the clipped x_0) without a draw of noise, ancestral ones those of DDPM; the last of every sampler leads to x_0.
    """
    table, keep, resample = subject.file.alphas_cumprod, keep_of(subject, options["mask"]), options.get("resample", 1)
    sampler, states = options["sampler"], []
    calls = 2 if sampler == "heun" else 1
    guidance = Guidance(subject, options, (len(times) - 1) * resample * calls + 1)
    options = {**options, "sampler": {"euler": "ddim", "euler-ancestral": "ddpm", "heun": "ddim"}.get(sampler, sampler)}
    for t, t_next in zip(times, [*times[1:], -1]):
        for u in range(resample if t_next >= 0 else 1):
            before = torch.get_rng_state()
            if sampler == "heun" and t_next >= 0:
                euler, x = _heun_step(subject, guidance, options, x, t, t_next)
                states.append(euler)
            else:
                x = sampling_oracle.ddim_or_ddpm_step(subject, options, guidance, x, t, t_next)
            if sampler == "euler":
                torch.set_rng_state(before)
            known = _diffuse(table[t_next], image, torch.randn(1, *x.shape)[0]) if t_next >= 0 else image
            x = torch.where(keep, known, x)
            if u + 1 < resample and t_next >= 0:
                x = _diffuse(table[t] / table[t_next], x, torch.randn(1, *x.shape)[0])
            states.append(x)
    return states


def trajectory(subject: Subject, options: Options) -> list[torch.Tensor]:
    """x after every network evaluation, each [C, H, W]."""
    table, mask = subject.file.alphas_cumprod, options.get("mask")
    grid = sampling_oracle.time_grid(table, options["steps"], options.get("timeGrid", "linear"))
    strength = options.get("strength", 1.0)
    times = grid[len(grid) - math.floor(strength * len(grid) + 0.5) :]
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(options["seed"])
        x = _first_noise(subject, options)
        if options.get("image") is None:
            return sampling_oracle.solve(subject, options, times, x)
        image = to_network(subject, options["image"])
        if mask is None or len(times) < len(grid):
            x = _diffuse(table[times[0]], image, x)
        if mask is None:
            return sampling_oracle.solve(subject, options, times, x)
        if options["sampler"] in ("ddim", "ddpm") or options.get("resample", 1) > 1:
            return _repaint(subject, options, times, x, image)
        keep = keep_of(subject, mask)

        def edit(after: torch.Tensor, t_next: int) -> torch.Tensor:
            known = _diffuse(table[t_next], image, torch.randn(1, *after.shape)[0]) if t_next >= 0 else image
            return torch.where(keep, known, after)

        return sampling_oracle.solve(subject, options, times, x, edit)


def inversion(subject: Subject, options: Options) -> list[torch.Tensor]:
    """x after every network evaluation, from the image to noise: with eps of x at the lower level and the time of the
    higher one, and, in further iterations, with eps of the result.
    """
    table, objective = subject.file.alphas_cumprod, subject.file.metadata["diffusion.objective"]
    times = sampling_oracle.time_grid(table, options["steps"], options.get("timeGrid", "linear"))[::-1]
    iterations = options.get("iterations", 1)
    guidance = Guidance(subject, {"guidanceScale": 1.0, **options}, len(times) * iterations)
    x, states = to_network(subject, options["image"]), []
    for t_from, t in zip([-1, *times], times):
        abar_from, abar = float(table[t_from]) if t_from >= 0 else 1.0, float(table[t])
        start = x
        for _ in range(iterations):
            prediction = guidance(x, t)
            x0 = raw_x0(objective, abar, x, prediction).clamp(-1, 1)
            eps = prediction if objective == "pred_noise" else (x - math.sqrt(abar) * x0) / math.sqrt(1 - abar)
            raw = (start - math.sqrt(1 - abar_from) * eps) / math.sqrt(abar_from)
            x = math.sqrt(abar) * raw + math.sqrt(1 - abar) * eps
            states.append(x)
    return states
