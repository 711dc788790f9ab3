"""The reference: `classifier_free_guidance.py` of denoising-diffusion-pytorch 2.3.4, as an oracle.

Loads that module, builds its networks, and runs its own samplers so that every intermediate x_t can be
compared. Nothing here computes a number that the reference computes itself.
"""

import contextlib
import copy
import functools
import importlib.metadata
import importlib.util
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

PACKAGE = "denoising_diffusion_pytorch"
DISTRIBUTION = "denoising-diffusion-pytorch"
TESTED_VERSION = "2.3.4"


class ReferenceUnavailable(Exception):
    """The reference is not installed, or is not usable. One line."""


@functools.cache
def load_reference() -> types.ModuleType:
    """The reference module, loaded by file path.

    The package's `__init__` imports torchvision and its trainers; the module itself needs neither, so the
    package is located without being imported.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ReferenceUnavailable(f"pip install --no-deps {DISTRIBUTION}=={TESTED_VERSION} (and python/requirements.txt)")
    version = importlib.metadata.version(DISTRIBUTION)
    if version != TESTED_VERSION:
        print(f"warning: {DISTRIBUTION} is {version}; tested with {TESTED_VERSION}", file=sys.stderr)
    path = Path(spec.submodule_search_locations[0]) / "classifier_free_guidance.py"
    module_spec = importlib.util.spec_from_file_location("classifier_free_guidance", path)
    if module_spec is None or module_spec.loader is None or not path.is_file():
        raise ReferenceUnavailable(f"{DISTRIBUTION} {version} has no classifier_free_guidance.py")
    module = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(module)
    module.tqdm = lambda iterable, **_: iterable  # its samplers draw progress bars otherwise
    return module


# ---- networks ---------------------------------------------------------------


def unet_shapes(arguments: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of `Unet(**arguments).state_dict()`, in its order, without allocating the network."""
    with torch.device("meta"):
        unet = load_reference().Unet(**arguments)
    return {name: tuple(tensor.shape) for name, tensor in unet.state_dict().items()}


def build_unet(arguments: Mapping[str, Any], weights: Mapping[str, torch.Tensor]) -> torch.nn.Module:
    """The reference's network with these weights, ready for inference."""
    unet = load_reference().Unet(**arguments)
    unet.load_state_dict(dict(weights))
    return unet.eval().requires_grad_(False)


def random_unet(arguments: Mapping[str, Any], seed: int, identity: float = 0.0) -> torch.nn.Module:
    """A network with random weights in which every parameter matters.

    PyTorch's default initialisation, except for the gains of the norms: those start at 1, where a gain that is
    forgotten or misplaced would not be noticed.

    `identity`: how much of its input the prediction contains besides, as that of a trained network does. Without,
    a network that is sampled under the noise objective is an amplifier: x_0 = (x_t - sqrt(1 - abar) eps) / sqrt(abar)
    multiplies rounding by 1 / sqrt(abar), unless eps follows x_t.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = load_reference().Unet(**arguments)
        unet.requires_grad_(False)
        for name, parameter in unet.named_parameters():
            if name.endswith(".g"):
                torch.nn.init.uniform_(parameter, 0.5, 1.5)
        if identity:
            _add_identity(unet, identity)
    return unet.eval()


def _add_identity(unet: torch.nn.Module, amount: float) -> None:
    """Carries x_t through the stem, the outermost skip connection and the last 1x1 convolutions.

    Adds to the first `channels` features, whose other weights stay; so the carried part is not exactly x_t.
    """
    channels = unet.channels
    stem, skip, last = unet.init_conv.weight, unet.final_res_block.res_conv.weight, unet.final_conv.weight
    assert stem.shape[0] >= channels and last.shape[0] == channels
    for i in range(channels):
        stem[i, i, 3, 3] += 1
        skip[i, stem.shape[0] + i, 0, 0] += 1  # [x, r] are concatenated: r, the stem's output, is the second half
        last[i, i, 0, 0] += amount


# ---- schedules --------------------------------------------------------------


def schedule_betas(name: str, timesteps: int) -> torch.Tensor:
    """beta_t in float64 of the reference's `linear` or `cosine` schedule."""
    reference = load_reference()
    return {"linear": reference.linear_beta_schedule, "cosine": reference.cosine_beta_schedule}[name](timesteps)


def time_grid(timesteps: int, steps: int) -> list[int]:
    """The times at which a run of `steps` steps evaluates the network, from T - 1 downwards.

    The grid of the reference's `ddim_sample`, without its final -1.
    """
    times = torch.linspace(-1, timesteps - 1, steps=steps + 1).int().tolist()
    return times[:0:-1]


# ---- sampling ---------------------------------------------------------------


@dataclass(frozen=True)
class Generation:
    """Everything that determines one picture."""

    label: int | None  # None: of a network without classes
    seed: int
    sampler: str = "ddim"  # ddim or ddpm
    steps: int = 20
    eta: float = 0.0
    guidance_scale: float = 1.0
    projection: bool = False
    rescale: float = 0.0
    cfg_plus_plus: bool = False


class _GuidedUnet(torch.nn.Module):
    """The network as the reference's `GaussianDiffusion` sees it, with the three things added that it lacks.

    - `forward_with_cond_scale` returns one tensor at scale 1, where its caller unpacks two.
    - Its samplers cannot switch the projection off.
    - Its `p_sample_loop` visits every index 0 .. T - 1: a respaced process maps them to the original times.

    Records x_t at every evaluation, unless told not to.
    """

    random_or_learned_sinusoidal_cond = False  # GaussianDiffusion refuses these networks; its arithmetic does not mind

    def __init__(self, unet: torch.nn.Module, projection: bool, times: Sequence[int] | None, record: bool = True) -> None:
        super().__init__()
        self.unet = unet
        self.channels, self.out_dim, self.cond_drop_prob = unet.channels, unet.out_dim, unet.cond_drop_prob
        self.projection = projection
        self.register_buffer("times", None if times is None else torch.tensor(times))
        self.record = record
        self.states: list[torch.Tensor] = []

    def forward_with_cond_scale(self, x, t, classes, cond_scale, rescaled_phi):
        if self.record:
            self.states.append(x.clone())
        if self.times is not None:
            t = self.times[t]
        if x.dtype == torch.float64:
            t = t.double()  # or the time embedding would be float32
        result = self.unet.forward_with_cond_scale(x, t, classes, cond_scale=cond_scale, rescaled_phi=rescaled_phi, remove_parallel_component=self.projection)
        return result if isinstance(result, tuple) else (result, result)


@contextlib.contextmanager
def _schedule_of(betas: torch.Tensor) -> Iterator[None]:
    """Within, the reference's `linear` schedule is this table: its constructor derives all the rest from it."""
    with mock.patch.object(load_reference(), "linear_beta_schedule", lambda _: betas):
        yield


@contextlib.contextmanager
def _noise_in_double() -> Iterator[None]:
    """Within, PyTorch draws the same float32 noise as ever, and hands it out as float64."""
    randn, randn_like = torch.randn, torch.randn_like
    with (
        mock.patch.object(torch, "randn", lambda *size, **options: randn(*size, **options).double()),
        mock.patch.object(torch, "randn_like", lambda like: randn_like(like.float()).double()),
    ):
        yield


def build_diffusion(model: torch.nn.Module, alphas_cumprod: torch.Tensor | np.ndarray, **arguments: Any) -> torch.nn.Module:
    """The reference's `GaussianDiffusion(model, **arguments)` over any schedule, given as its abar table (float64)."""
    abar = torch.as_tensor(alphas_cumprod, dtype=torch.float64)
    betas = 1 - abar / torch.cat((torch.ones(1, dtype=torch.float64), abar[:-1]))
    with _schedule_of(betas):
        return load_reference().GaussianDiffusion(model, timesteps=len(abar), beta_schedule="linear", **arguments)


def _visited(alphas_cumprod: np.ndarray, generation: Generation) -> tuple[torch.Tensor, list[int] | None]:
    """The schedule that the reference's sampler runs through, and the original times of its indices (None: as they are)."""
    abar = torch.from_numpy(np.ascontiguousarray(alphas_cumprod, dtype=np.float64))
    if generation.sampler != "ddpm":
        return abar, None
    times = time_grid(len(abar), generation.steps)[::-1]
    return abar[times], times


def trajectory(
    unet: torch.nn.Module,
    alphas_cumprod: np.ndarray,
    objective: str,
    shape: tuple[int, int, int],
    generation: Generation,
    double: bool = False,
) -> list[torch.Tensor]:
    """x after every step of one run of the reference, each [C, H, W]; the last one is the finished picture.

    `shape` is [C, H, W] in network space. The noise is what the reference draws after
    `torch.manual_seed(generation.seed)`. DDPM with fewer than T steps is the respaced process of Nichol and
    Dhariwal (2021, section 4): the reference's own arithmetic over the schedule that has abar at the visited times.

    `double`: with the same numbers in float64, which tells how much of the float32 run is rounding.
    """
    if double:
        unet = copy.deepcopy(unet).double()
    abar, times = _visited(alphas_cumprod, generation)
    guided = _GuidedUnet(unet, generation.projection, times)
    diffusion = build_diffusion(
        guided,
        abar,
        image_size=shape[1],  # informative: the samplers called below take the shape
        sampling_timesteps=generation.steps,
        objective=objective,
        ddim_sampling_eta=generation.eta,
        use_cfg_plus_plus=generation.cfg_plus_plus,
    )
    if double:
        diffusion.double()
    sample = diffusion.p_sample_loop if generation.sampler == "ddpm" else diffusion.ddim_sample
    with torch.random.fork_rng(devices=[]), _noise_in_double() if double else contextlib.nullcontext():
        torch.manual_seed(generation.seed)
        picture = sample(
            torch.tensor([generation.label or 0]),
            (1, *shape),
            cond_scale=generation.guidance_scale,
            rescaled_phi=generation.rescale,
        )
    states = [*guided.states[1:], picture * 2 - 1]  # the samplers return (x + 1) / 2
    return [state[0] for state in states]


@contextlib.contextmanager
def _noise_per_picture(seeds: Sequence[int]) -> Iterator[None]:
    """Within, each picture of a batch gets the noise that it would get alone, after `torch.manual_seed` of its seed."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    randn = torch.randn

    def draw(size: Sequence[int], device: Any = None, **_: Any) -> torch.Tensor:
        return torch.cat([randn((1, *size[1:]), generator=generator) for generator in generators]).to(device)

    with mock.patch.object(torch, "randn", draw), mock.patch.object(torch, "randn_like", lambda like: draw(like.shape, like.device)):
        yield


def sample(
    unet: torch.nn.Module,
    alphas_cumprod: np.ndarray,
    objective: str,
    shape: tuple[int, int, int],
    generation: Generation,
    labels: Sequence[int],
    seeds: Sequence[int],
) -> torch.Tensor:
    """A batch of finished pictures in [-1, 1], [N, C, H, W] in network space, on the network's device.

    Picture i is the last x of `trajectory` for labels[i] and seeds[i], up to rounding; those two of `generation` are
    not used.
    """
    device = next(unet.parameters()).device
    abar, times = _visited(alphas_cumprod, generation)
    guided = _GuidedUnet(unet, generation.projection, times, record=False)
    diffusion = build_diffusion(
        guided,
        abar,
        image_size=shape[1],
        sampling_timesteps=generation.steps,
        objective=objective,
        ddim_sampling_eta=generation.eta,
    ).to(device)
    run = diffusion.p_sample_loop if generation.sampler == "ddpm" else diffusion.ddim_sample
    with _noise_per_picture(seeds):
        pictures = run(
            torch.tensor(labels, device=device),
            (len(seeds), *shape),
            cond_scale=generation.guidance_scale,
            rescaled_phi=generation.rescale,
        )
    return pictures * 2 - 1


def forward(unet: torch.nn.Module, x: torch.Tensor, t: int, label: int | None) -> torch.Tensor:
    """One prediction, [C, H, W] -> [out_dim, H, W]; `label` None is the null class."""
    with torch.no_grad():
        prediction = unet(x[None], torch.tensor([t]), torch.tensor([label or 0]), cond_drop_prob=1.0 if label is None else 0.0)
    return prediction[0]


def to_pixels(x: torch.Tensor, pixel_unshuffle: int) -> np.ndarray:
    """[C r^2, H / r, W / r] in [-1, 1] -> uint8 [H, W, C]."""
    image = torch.nn.functional.pixel_shuffle(x, pixel_unshuffle) if pixel_unshuffle > 1 else x
    levels = torch.floor(((image + 1) * 0.5).clamp(0, 1) * 255 + 0.5)
    return levels.to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
