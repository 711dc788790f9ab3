"""Noise that knows the style of its picture, so that pictures drawn from one seed have one style.

A deterministic sampler carries noise to pictures along the flow of x_t = a_t x_0 + s_t eps. That flow has the
distribution of x_t at every time, whichever way pictures and noise were paired in training, as long as the noise alone is
standard normal: the pairing is a data-dependent coupling (Albergo et al. 2023, Stochastic interpolants with
data-dependent couplings). Here a few directions of the noise are the same for all pictures of a group, such as a font,
and alike for similar groups. The network learns to read the style from them, for every class; a seed then decides it. The
file and the engine know nothing of this.
"""

from dataclasses import dataclass

import numpy as np
import torch

from pocket_diffusion.data import ArraySource, to_unit_range

SIDE = 16  # pictures are compared at this size
JITTER = 0.3  # of a code, from picture to picture: codes are places in a space of styles, not names of groups
SAMPLE = 4096  # pictures that say which directions of the noise are free


@dataclass(frozen=True)
class NoiseCoupling:
    """Codes of the groups, and where in the noise they are written."""

    codes: torch.Tensor  # float32 [groups, K], each column standard normal over the groups
    directions: torch.Tensor  # float32 [K, C], orthonormal; a direction of the noise is the same at all places

    @classmethod
    def fit(cls, source: ArraySource, dimensions: int, pixel_unshuffle: int, device: torch.device | None = None) -> "NoiseCoupling":
        """`dimensions` is K < C; source.groups says which group a picture belongs to; device: where noise will be."""
        codes = _normal_scores(_principal_components(source, dimensions))
        return cls(codes.to(device), _free_directions(source, dimensions, pixel_unshuffle).to(device))

    def couple(self, noise: torch.Tensor, groups: torch.Tensor, jitter: torch.Tensor) -> torch.Tensor:
        """Writes the codes of the pictures' groups into their noise [n, C, H, W]; jitter is standard normal, [n, K]."""
        wanted = (1 - JITTER**2) ** 0.5 * self.codes[groups] + JITTER * jitter
        places = noise.shape[2] * noise.shape[3]
        found = torch.einsum("nchw,kc->nk", noise, self.directions) / places**0.5
        return noise + torch.einsum("nk,kc->nc", wanted - found, self.directions)[:, :, None, None] / places**0.5


def _principal_components(source: ArraySource, count: int) -> np.ndarray:
    """Of the groups, each described by its pictures of all classes as they differ from the classes' means. [groups, count]."""
    assert source.groups is not None
    classes, groups = int(source.labels.max()) + 1, int(source.groups.max()) + 1
    x = to_unit_range(source.images).mean(dim=1, keepdim=True)
    x = torch.nn.functional.adaptive_avg_pool2d(x, SIDE).flatten(1)
    cells = torch.from_numpy(source.groups.astype(np.int64) * classes + source.labels)
    counts = torch.bincount(cells, minlength=groups * classes).view(groups, classes, 1)
    sums = torch.zeros(groups * classes, x.shape[1]).index_add_(0, cells, x).view(groups, classes, -1)
    means = sums.sum(dim=0) / counts.sum(dim=0).clamp(min=1)
    described = torch.where(counts > 0, sums / counts.clamp(min=1) - means, 0).flatten(1).double()
    values, vectors = torch.linalg.eigh(described @ described.T)
    first = vectors[:, -count:].flip(1) * values[-count:].flip(0).clamp(min=0).sqrt()
    present = counts.sum(dim=(1, 2)) > 0
    return np.where(present.numpy()[:, None], first.numpy(), np.nan)


def _normal_scores(values: np.ndarray) -> torch.Tensor:
    """Each column by its ranks as a standard normal one. Rows of groups without pictures (NaN) become 0."""
    scores = torch.zeros(values.shape)
    present = ~np.isnan(values[:, 0])
    ranks = values[present].argsort(axis=0).argsort(axis=0)
    scores[torch.from_numpy(present)] = torch.special.ndtri(torch.from_numpy((ranks + 0.5) / present.sum())).float()
    return scores


def _free_directions(source: ArraySource, count: int, pixel_unshuffle: int) -> torch.Tensor:
    """Of the channels in network space, those in which the means of pictures are smallest: there, noise is easiest to read."""
    images, _ = source.sample(SAMPLE)
    x = torch.nn.functional.pixel_unshuffle(to_unit_range(images) * 2 - 1, pixel_unshuffle)
    means = x.mean(dim=(2, 3)).double()
    _, vectors = torch.linalg.eigh(means.T @ means)
    return vectors[:, :count].T.float().contiguous()
