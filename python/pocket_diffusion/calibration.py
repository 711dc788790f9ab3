"""What a network makes of rounded weights, measured on inputs that it draws itself; and the types that follow from it.

No training data is needed: pictures are drawn by the model, as it recommends, and noised by its own schedule to times
spread over the whole process. Where a network cannot be sampled, x_t is noise alone.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import numpy as np
import torch
from tqdm import tqdm

from pocket_diffusion import guidance_input, reference
from pocket_diffusion.checkpoint import CheckpointError, Description
from pocket_diffusion.model_file import TABLE, Encoded, encode, encode_all, possible_type, to_rows
from pocket_diffusion.quantisation import BLOCK, TYPES, InputProducts, is_blocks, needs_inputs

PICTURES = 64
TIMES_PER_PICTURE = 4
MEASURED = 16  # of the inputs, evenly spread: what the errors of the types are compared on
STEPS = 20
BATCH = 32
PRODUCTS_BYTES = 512 << 20  # of products that are held at once
ALIGNMENT = 32  # of tensors in the file
MIXED_TYPES = ("q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "f16")
MOST_UNITS = 1 << 17  # in which the bytes of a file are counted where its tensors are chosen


# ---- inputs -----------------------------------------------------------------


@dataclass(frozen=True)
class Inputs:
    """Noisy pictures, their times and classes."""

    x: torch.Tensor  # [N, C, H, W]
    times: torch.Tensor
    labels: torch.Tensor
    scales: torch.Tensor  # of guidance

    def __len__(self) -> int:
        return len(self.times)

    def __getitem__(self, part: slice) -> "Inputs":
        return Inputs(self.x[part], self.times[part], self.labels[part], self.scales[part])


class SizeError(Exception):
    """No file of this network is as small as asked for."""


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Around all that measures and rounds: sums, and so the file, would depend on the number of processors."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def spread(pictures: int, count: int, shape: Sequence[int], timesteps: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Noise, float32 [count, *shape]; times over the whole process, int64 [count]; and which of the pictures is noised, int64 [count]."""
    noise = torch.randn((count, *shape), generator=generator)
    times = ((torch.arange(count) + 0.5) * timesteps / count).long()
    which = torch.randperm(count, generator=generator) % pictures  # or early pictures would be seen at early times alone
    return noise, times, which


def noised(pictures: torch.Tensor, noise: torch.Tensor, times: torch.Tensor, alphas_cumprod: np.ndarray) -> torch.Tensor:
    """x_t of each."""
    abar = torch.from_numpy(alphas_cumprod).float()[times][:, None, None, None]
    return abar.sqrt() * pictures + (1 - abar).sqrt() * noise


def portions(columns: Mapping[str, int]) -> Iterator[list[str]]:
    """Names of matrices with so many columns, in order: as many at once as the products of their inputs may take."""
    waiting: list[str] = []
    size = 0
    for name, count in columns.items():
        if waiting and size + 4 * count**2 > PRODUCTS_BYTES:
            yield waiting
            waiting, size = [], 0
        waiting.append(name)
        size += 4 * count**2
    yield waiting


def _progress(iterable, description: str, **options):
    return tqdm(iterable, desc=description, disable=None, leave=False, **options)


def draw_inputs(unet: torch.nn.Module, description: Description, guidance_scale: float, seed: int, steps: int) -> Inputs:
    """The same ones for the same seed: classes take turns, and so do times, each of which comes once.

    Where the scale is an input, the network was made for few steps: it is seen at their times alone, and at all scales.
    """
    count = PICTURES * TIMES_PER_PICTURE
    generator = torch.Generator().manual_seed(seed)
    noise, times, which = spread(PICTURES, count, description.network_shape, description.timesteps, generator)
    labels = torch.arange(PICTURES) % description.unet["num_classes"]
    scales = torch.full((count,), guidance_scale)
    if description.guidance_scales:
        times = torch.tensor(reference.time_grid(description.timesteps, steps)).repeat(-(-count // steps))[:count]
        scales = torch.linspace(description.guidance_scales[0], description.guidance_scales[-1], count)[torch.randperm(count, generator=generator)]
    if not description.can_sample:
        return Inputs(noise, times, labels[which], scales)
    run = reference.Generation(0, 0, steps=min(steps, description.timesteps), guidance_scale=guidance_scale)
    seeds = range(seed + 1, seed + 1 + PICTURES)
    pictures = torch.cat([
        reference.sample(
            unet, description.alphas_cumprod, description.objective, description.network_shape, run,
            labels[start : start + BATCH].tolist(), seeds[start : start + BATCH],
        )
        for start in _progress(range(0, PICTURES, BATCH), "drawing pictures")
    ])  # fmt: skip
    return Inputs(noised(pictures[which], noise, times, description.alphas_cumprod), times, labels[which], scales)


# ---- measurements -----------------------------------------------------------


class Calibration:
    """A network, the inputs to measure it on, and what it predicts from them as it is."""

    def __init__(self, description: Description, weights: Mapping[str, torch.Tensor], guidance_scale: float, seed: int, steps: int = STEPS) -> None:
        self.weights = weights
        self._scale_is_input = bool(description.guidance_scales)
        self._unet = guidance_input.build_unet(description.unet, weights, description.guidance_scales)
        self._parameters = dict(self._unet.named_parameters()) | dict(self._unet.named_buffers())
        self._inputs = draw_inputs(self._unet, description, guidance_scale, seed, steps)
        self._measured = self._inputs[:: len(self._inputs) // MEASURED]
        self._expected = self._predict(self._measured)
        if not self._expected.isfinite().all():
            raise CheckpointError("the predictions of this network are not finite: there is nothing to round by; use --type q8_0")

    @property
    def matrices(self) -> list[str]:
        """Names of the tensors that are rounded."""
        return [name for name, tensor in self.weights.items() if to_rows(name, tensor).ndim == 2]

    def _predict(self, inputs: Inputs) -> torch.Tensor:
        """Guided predictions: what each step of a sampler goes by."""
        with torch.no_grad():
            if self._scale_is_input:
                return self._unet.forward_with_cond_scale(inputs.x, inputs.times, inputs.labels, inputs.scales)
            of_class, of_null = (self._unet(inputs.x, inputs.times, inputs.labels, cond_drop_prob=drop) for drop in (0.0, 1.0))
        return of_null + inputs.scales[:, None, None, None] * (of_class - of_null)

    def error(self, name: str, values: torch.Tensor) -> float:
        """Mean squared change of the prediction if one tensor had these values."""
        parameter = self._parameters[name]
        with torch.no_grad():
            parameter.copy_(values)
            error = float((self._predict(self._measured) - self._expected).double().square().mean())
            parameter.copy_(self.weights[name])
        return error

    def products(self) -> Iterator[tuple[str, InputProducts | None]]:
        """Of every matrix, in the order of the file; None for a table, whose rows are looked up."""
        for names in portions({name: to_rows(name, self.weights[name]).shape[1] for name in self.matrices}):
            yield from self._collect(names)

    def _collect(self, names: Sequence[str]) -> Iterator[tuple[str, InputProducts | None]]:
        sums: dict[str, torch.Tensor] = {}
        hooks = []
        for name in names:
            layer = self._unet.get_submodule(name.removesuffix(".weight"))
            if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
                hooks.append(layer.register_forward_pre_hook(_adder(sums, name)))
        for start in _progress(range(0, len(self._inputs), BATCH), "inputs of layers"):
            self._predict(self._inputs[start : start + BATCH])
        for hook in hooks:
            hook.remove()
        for name in names:
            yield name, InputProducts(sums.pop(name)) if name in sums else None


def _adder(sums: dict[str, torch.Tensor], name: str):
    """A hook that adds up the products of a layer's inputs, columns in the order of the file's rows."""

    def add(layer: torch.nn.Module, arguments: tuple[torch.Tensor]) -> None:
        (x,) = arguments
        if isinstance(layer, torch.nn.Conv2d):
            patches = torch.nn.functional.unfold(x, layer.kernel_size, layer.dilation, layer.padding, layer.stride)
            x = patches.unflatten(1, (x.shape[1], -1)).permute(0, 3, 2, 1).flatten(2)  # [N, places, kh kw in]
        x = x.flatten(0, -2)
        products = x.T @ x
        sums[name] = sums[name] + products if name in sums else products

    return add


# ---- choice -----------------------------------------------------------------


@dataclass(frozen=True)
class Option:
    """One type that a tensor could have, the bytes that it takes in the file, and what it does to the prediction."""

    encoded: Encoded
    bytes: int
    error: float


class Calibrated(Protocol):
    """What decides the rounding of a network's weights: `Calibration`, or that of any network."""

    weights: Mapping[str, torch.Tensor]

    @property
    def matrices(self) -> list[str]: ...

    def error(self, name: str, values: torch.Tensor) -> float: ...

    def products(self) -> Iterator[tuple[str, InputProducts | None]]: ...


def _encode_rest(calibration: Calibrated) -> dict[str, Encoded]:
    """What is no matrix."""
    matrices = set(calibration.matrices)
    return encode_all({name: tensor for name, tensor in calibration.weights.items() if name not in matrices}, "f32")


def encode_calibrated(calibration: Calibrated, wanted: str) -> dict[str, Encoded]:
    """Every matrix as the same type, where that is possible, rounded for the inputs of its layer."""
    encoded = _encode_rest(calibration)
    for name, products in calibration.products():
        tensor = calibration.weights[name]
        encoded[name] = encode(name, tensor, possible_type(name, to_rows(name, tensor), wanted), products)
    return encoded


def _padded(encoded: Encoded) -> int:
    return -(-encoded.data.nbytes // ALIGNMENT) * ALIGNMENT


def measure_options(calibration: Calibrated) -> dict[str, list[Option]]:
    """Of every matrix, all types that it can have."""
    options: dict[str, list[Option]] = {}
    for name, products in _progress(calibration.products(), "errors of types", total=len(calibration.matrices)):
        tensor = calibration.weights[name]
        options[name] = []
        for type_ in MIXED_TYPES:
            if is_blocks(TYPES[type_]) and (tensor.shape[-1] if name == TABLE else tensor.numel()) % BLOCK:
                continue
            encoded = encode(name, tensor, type_, products if needs_inputs(TYPES[type_]) else None)
            error = calibration.error(name, encoded.values(name, tuple(tensor.shape)))
            options[name].append(Option(encoded, _padded(encoded), error))
    return options


def choose(options: Mapping[str, Sequence[Option]], budget: int) -> dict[str, Option] | None:
    """One option of each tensor: those of the least sum of errors in at most `budget` bytes, or None if even the smallest
    ones take more. Errors of tensors add up, as independent ones do. Exact, but that bytes are counted in units.
    """
    unit = max(ALIGNMENT, -(-budget // MOST_UNITS))
    room = budget // unit
    if room < 0:
        return None
    least = np.zeros(room + 1)  # least[n]: error of the tensors so far in n units
    picks = []
    for choices in options.values():
        sums = np.full((len(choices), room + 1), np.inf)
        for row, option in zip(sums, choices):
            units = -(-option.bytes // unit)
            if units <= room:
                row[units:] = least[: room + 1 - units] + option.error
        picks.append(sums.argmin(axis=0).astype(np.uint8))
        least = sums.min(axis=0)
    if not np.isfinite(least[room]):
        return None
    chosen: dict[str, Option] = {}
    for (name, choices), pick in zip(reversed(options.items()), reversed(picks)):
        chosen[name] = choices[pick[room]]
        room -= -(-chosen[name].bytes // unit)
    return chosen


def encode_within(calibration: Calibrated, write: Callable[[Path, Mapping[str, Encoded]], object], most_bytes: int) -> dict[str, Encoded]:
    """The types of the least total error for a file of at most that many bytes. `write`: the model with its tensors so encoded.
    SizeError if there is none.
    """
    rest = _encode_rest(calibration)
    with TemporaryDirectory() as folder:  # what is no matrix has the same size whatever the types; matrices of rows have the longest entries
        path = Path(folder) / "model.gguf"
        whole = rest | encode_all({name: calibration.weights[name] for name in calibration.matrices}, "f16")
        write(path, whole)
        others = path.stat().st_size - sum(_padded(whole[name]) for name in calibration.matrices)
    options = measure_options(calibration)
    chosen = choose(options, most_bytes - others)
    if chosen is None:
        smallest = others + sum(min(option.bytes for option in choices) for choices in options.values())
        raise SizeError(f"bytes {most_bytes}: the smallest file of this network has about {smallest:,} bytes")
    return rest | {name: option.encoded for name, option in chosen.items()}
