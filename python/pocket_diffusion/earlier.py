"""Class-conditional networks of denoising-diffusion-pytorch before 2.0.0: the reference's, with the layers that they had then.

Their blocks have group norms, which tensors tell. What else changed under the same names and shapes, only the version tells:
layer norms in place of RMS norms up to 1.6.4, convolutions with standardised weights up to 1.7.1 (up to 1.7.0 1e-5 is added to
the variance, in 1.7.1 it is the least one), and linear attention whose values are divided by the number of positions up to 1.7.3.
So there are five forms: up to 1.6.4, up to 1.7.0, 1.7.1, up to 1.7.3, and from 1.7.4 on.
"""

from collections.abc import Mapping
from typing import Any

import torch

from pocket_diffusion import reference
from pocket_diffusion.checkpoint import Checkpoint, CheckpointError, Description
from pocket_diffusion.graph.process import Process

GROUPS = 8  # resnet_block_groups, which nothing in a checkpoint tells: the default


class _Standardised(torch.nn.Conv2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = self.weight.mean((1, 2, 3), keepdim=True)
        variance = self.weight.var((1, 2, 3), unbiased=False, keepdim=True)
        return self._conv_forward(x, (self.weight - mean) * (variance + 1e-5).rsqrt(), self.bias)


class _StandardisedByLimit(torch.nn.Conv2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = self.weight.mean((1, 2, 3), keepdim=True)
        variance = self.weight.var((1, 2, 3), unbiased=False, keepdim=True)
        return self._conv_forward(x, (self.weight - mean) * variance.clamp(min=1e-5).rsqrt(), self.bias)


class _ValuesDivided(torch.nn.Conv2d):
    """Queries, keys and values of linear attention."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        queries, keys, values = super().forward(x).chunk(3, dim=1)
        return torch.cat((queries, keys, values / (x.shape[2] * x.shape[3])), dim=1)


class _LayerNorm(torch.nn.Module):
    g: torch.Tensor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean, variance = x.mean(1, keepdim=True), x.var(1, unbiased=False, keepdim=True)
        return (x - mean) * (variance + 1e-5).rsqrt() * self.g


class _Called(torch.nn.Module):
    """As network(x, t, y), where the label behind the last class stands for none."""

    def __init__(self, unet: torch.nn.Module, classes: int) -> None:
        super().__init__()
        self.unet, self.classes = unet, classes

    def forward(self, x: torch.Tensor, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        known = y < self.classes
        return self.unet(x, t, torch.where(known, y, 0), cond_drop_prob=0.0, cond_keep_mask=known)


def build_unet(arguments: Mapping[str, Any], weights: Mapping[str, torch.Tensor], version: tuple[int, ...]) -> torch.nn.Module:
    """The network of a version before 2.0.0, ready for inference; `weights` by the names of that time."""
    package = reference.load_reference()
    unet = package.Unet(**arguments)
    modules = list(unet.modules())
    for module in modules:
        if isinstance(module, package.Block):
            channels = module.proj.out_channels
            if channels % GROUPS:
                raise CheckpointError(
                    f"group norms of {channels} channels: their number of groups is not {GROUPS}, the package's default; give the network by --network"
                )
            module.norm = torch.nn.GroupNorm(GROUPS, channels)
            if version <= (1, 7, 1):
                module.proj.__class__ = _StandardisedByLimit if version == (1, 7, 1) else _Standardised
        elif isinstance(module, package.LinearAttention) and version <= (1, 7, 3):
            module.to_qkv.__class__ = _ValuesDivided
    if version <= (1, 6, 4):
        for module in unet.modules():
            if isinstance(module, package.RMSNorm):
                module.__class__ = _LayerNorm
    try:
        unet.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise CheckpointError(f"the weights do not fit a network of version {'.'.join(map(str, version))}: {error}") from error
    return unet.eval().requires_grad_(False)


def export_arguments(checkpoint: Checkpoint, description: Description) -> dict[str, Any]:
    """Arguments of `pocket_diffusion.export` for such a network."""
    assert description.package_version is not None
    unet = build_unet(description.unet, checkpoint.weights, description.package_version)
    classes = len(description.class_names)
    times = torch.arange(description.timesteps).float().numpy()
    return {
        "network": _Called(unet, classes),
        "shape": description.network_shape,
        "classes": description.class_names,
        "null": classes,
        "process": Process(description.alphas_cumprod, description.objective, description.beta_schedule, times),
        "pixel_unshuffle": description.pixel_unshuffle,
    }
