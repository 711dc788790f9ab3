"""Networks that take the guidance scale as an input: the reference's Unet with several rows of the embedding table for a class.

Rows are for ascending scales and are interpolated linearly for those between. One evaluation is a guided one (Meng et al.
2023, On distillation of guided diffusion models), so there is no null prediction. Where the reference asks for a guided
prediction, such a network answers as the reference's own does: `forward_with_cond_scale`.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from pocket_diffusion import reference

Tensor = torch.Tensor


class ScaleEmbedding(torch.nn.Embedding):
    """Row `label * len(scales) + k` is that of class `label` at scales[k].

    Takes float32 [N, 2] of `conditions`, scales within scales[0] .. scales[-1], and returns [N, dim].
    """

    scales: Tensor

    def __init__(self, rows: Tensor, scales: Sequence[float]) -> None:
        super().__init__(*rows.shape)
        self.weight.data.copy_(rows)
        self.register_buffer("scales", torch.tensor(scales, dtype=torch.float32), persistent=False)

    def forward(self, conditions: Tensor) -> Tensor:
        count = len(self.scales)
        label, scale = conditions[:, 0].long() * count, conditions[:, 1].contiguous()
        upper = torch.searchsorted(self.scales, scale, right=True).clamp(1, count - 1)
        low, high = self.scales[upper - 1], self.scales[upper]
        share = ((scale - low) / (high - low))[:, None]
        return torch.lerp(super().forward(label + upper - 1), super().forward(label + upper), share)


def conditions(labels: Tensor, scales: Tensor | float) -> Tensor:
    """What such a network takes as its classes, float32 [N, 2]: labels, and a scale for each or for all."""
    return torch.stack((labels.float(), torch.as_tensor(scales, dtype=torch.float32).expand(labels.shape)), dim=1)


def table_arguments(arguments: Mapping[str, Any], scales: Sequence[float]) -> dict[str, Any]:
    """Arguments of the Unet whose embedding table has a row for each class and scale; without scales, as they are."""
    return {**arguments, "num_classes": arguments["num_classes"] * max(1, len(scales))}


@functools.cache
def _network_class() -> type:
    class GuidanceInputUnet(reference.load_reference().Unet):
        def forward_with_cond_scale(self, x: Tensor, time: Tensor, classes: Tensor, cond_scale: float = 1.0, **_: Any) -> Tensor:
            """One evaluation at the scale. Options of guidance from two predictions have no effect."""
            return self(x, time, conditions(classes, cond_scale), cond_drop_prob=0.0)

    return GuidanceInputUnet


def build_unet(arguments: Mapping[str, Any], weights: Mapping[str, Tensor], scales: Sequence[float]) -> torch.nn.Module:
    """The network of these arguments (num_classes: without scales), ready for inference; of the reference if there are no scales."""
    if not scales:
        return reference.build_unet(arguments, weights)
    unet = _network_class()(**table_arguments(arguments, scales))
    unet.load_state_dict(dict(weights))
    unet.classes_emb = ScaleEmbedding(unet.classes_emb.weight.data, scales)
    return unet.eval().requires_grad_(False)
