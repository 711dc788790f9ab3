"""What no comparison with the reference can find wrong, because both would be told the same: settings that nothing in a
checkpoint confirms. A picture to look at, and what the network itself shows of its objective.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from pocket_diffusion import reference
from pocket_diffusion.reference import Generation

NOISY_ENOUGH = 0.1  # abar at the last time above which a picture shows through the noise


def recommended_generation(metadata: Mapping[str, Any], label: int | None, seed: int) -> Generation:
    """As the model file recommends, or by DDIM in 20 steps where the reference has no such sampler."""
    sampler, steps, eta = (metadata[f"sampling.{key}"] for key in ("sampler", "steps", "eta"))
    if sampler not in ("ddim", "ddpm"):
        sampler, steps, eta = "ddim", min(20, metadata["diffusion.timesteps"]), 0.0
    return Generation(label, seed, sampler, steps, eta, guidance_scale=metadata["sampling.guidance_scale"])


def save_picture(path: Path, pixels: np.ndarray) -> None:
    """uint8 [H, W, C], C = 1, 3 or 4, as PNG."""
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(path, "PNG")


def _correlation(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack((one.flatten(), other.flatten())))[0, 1])


def apparent_objective(unet: torch.nn.Module, alphas_cumprod: np.ndarray, shape: tuple[int, int, int]) -> str | None:
    """What a trained network seems to predict: pred_noise, pred_v, or None where it cannot be seen.

    From noise alone, at the last time, the prediction of the noise is the input itself (correlations of 0.99 and more have
    been measured), while v and x_0 are about a picture (up to 0.6). In a picture with a little noise v is that noise
    (0.95 and more). A network without training shows neither.
    """
    last = len(alphas_cumprod) - 1
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator)
    resemblance = _correlation(reference.forward(unet, x, last, 0), x)
    if alphas_cumprod[last] > NOISY_ENOUGH or not np.isfinite(resemblance):
        return None
    if resemblance > 0.98:
        return "pred_noise"
    if resemblance > 0.9:
        return None
    steps = min(10, last + 1)
    picture = reference.trajectory(unet, alphas_cumprod, "pred_v", shape, Generation(0, 0, "ddim", steps))[-1].clamp(-1, 1)
    t = int(np.argmin(np.abs(alphas_cumprod - 0.9)))
    noise = torch.randn(shape, generator=generator)
    noisy = float(alphas_cumprod[t] ** 0.5) * picture + float((1 - alphas_cumprod[t]) ** 0.5) * noise
    return "pred_v" if _correlation(reference.forward(unet, noisy, t, 0), noise) > 0.9 else None
