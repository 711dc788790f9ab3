"""What a training run is made of, apart from its loop: configuration, noise schedule, random numbers, checkpoints."""

import argparse
import contextlib
import dataclasses
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import tomllib
import torch

from pocket_diffusion import reference
from pocket_diffusion.checkpoint import OBJECTIVES, SCHEDULES
from pocket_diffusion.data import FITS, KINDS, ArraySource, Layout, Source, to_unit_range
from pocket_diffusion.training.coupling import NoiseCoupling

Options = TypeVar("Options")  # a dataclass of fields made by `option`


class TrainingError(Exception):
    """The run cannot start or go on. One line."""


# ---- configuration ----------------------------------------------------------


def option(default: Any, help: str, choices: Sequence[Any] = ()) -> Any:
    return field(default=default, metadata={"help": help, "choices": tuple(choices)})


def check_choices(configuration: Any) -> None:
    """Refuses a value that is none of the choices of its field."""
    for each in dataclasses.fields(configuration):
        choices, value = each.metadata["choices"], getattr(configuration, each.name)
        if choices and value not in choices:
            raise TrainingError(f"{each.name} {value!r}: expected one of {', '.join(map(str, choices))}")


@dataclass(frozen=True)
class Configuration:
    """All options of a run: keys of the .toml file, and options of the command line with dashes for underscores."""

    name: str = option("model", "of the model")
    data: str = option("", "folder of pictures with one folder per class, .npz, or .zip")
    output: str = option("", "folder of the run (default: build/runs/NAME)")
    init: str = option("", "checkpoint whose weights to begin with")

    kind: str = option("auto", "of data", KINDS)
    size: int = option(32, "side of the pictures in pixels")
    channels: int = option(1, "1 grey, 3 RGB, 4 RGBA", (1, 3, 4))
    invert: bool = option(False, "make light on dark dark on light")
    fit: str = option("pad", "what to do with pictures of other sizes", FITS)
    background: int = option(255, "grey level around padded and under transparent pictures")

    dim: int = option(32, "channels of the first level")
    dim_mults: tuple[int, ...] = option((1, 2, 4), "channels of each level, in multiples of dim")
    attn_heads: int = option(4, "of the attention in the middle")
    attn_dim_head: int = option(32, "channels of each")
    pixel_unshuffle: int = option(2, "the network sees r x r pixels as channels of one")

    timesteps: int = option(1000, "of the diffusion process")
    objective: str = option("pred_v", "what the network predicts", OBJECTIVES)
    beta_schedule: str = option("cosine", "noise schedule", SCHEDULES)
    schedule_side: int = option(0, "shift the schedule as for pictures of size / schedule_side times the side it suits; 0: as it is")
    style_dimensions: int = option(0, "directions of the noise that carry the style of a picture's group, such as a font; 0: none")
    min_snr_gamma: float = option(0.0, "clip the loss weights at this signal-to-noise ratio; 0: do not")
    cond_drop_prob: float = option(0.15, "share of pictures shown without their class")

    batch: int = option(128, "pictures per step, over all processes")
    steps: int = option(10000, "of training")
    minutes: float = option(0.0, "end after so much training, if that is earlier; 0: no limit")
    learning_rate: float = option(8e-4, "at its highest")
    warmup: int = option(200, "steps in which the learning rate rises; it then falls to 0 along a cosine")
    weight_decay: float = option(0.01, "of AdamW, on matrices and convolutions")
    clip: float = option(1.0, "largest norm of the gradient")
    ema: float = option(0.999, "decay of the moving average of the weights")
    seed: int = option(0, "of weights, order of pictures and noise")
    precision: str = option("auto", "of the network's arithmetic: auto is bf16 where the processor has it, else float32 (no)", ("auto", "bf16", "no"))
    compile: bool = option(False, "compile the network with torch.compile")
    device: str = option("auto", "auto takes a GPU if there is one", ("auto", "cpu"))
    threads: int = option(0, "of PyTorch on the CPU; 0: its own choice")

    checkpoint_minutes: float = option(2.0, "between checkpoints")
    sheet_minutes: float = option(5.0, "between sheets of samples; 0: none")
    sheet_scale: float = option(3.0, "guidance scale of the sheets")
    log_every: int = option(20, "steps between lines of the log")

    def __post_init__(self) -> None:
        check_choices(self)
        for name in ("size", "dim", "pixel_unshuffle", "timesteps", "batch", "steps", "log_every", "attn_heads", "attn_dim_head"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} {getattr(self, name)}: must be at least 1")
        unit = self.pixel_unshuffle << (len(self.dim_mults) - 1)
        if self.size % unit:
            raise TrainingError(f"size {self.size}: must be a multiple of {unit}, for {len(self.dim_mults)} levels and pixel_unshuffle {self.pixel_unshuffle}")
        if not 0 <= self.style_dimensions < self.network_shape[0]:
            raise TrainingError(f"style_dimensions {self.style_dimensions}: must be less than the {self.network_shape[0]} channels that the network sees")
        if not 0 <= self.cond_drop_prob < 1:
            raise TrainingError(f"cond_drop_prob {self.cond_drop_prob}: must lie in 0 .. 1, 1 excluded")

    @property
    def layout(self) -> Layout:
        return Layout(self.size, self.channels, self.invert, self.fit, self.background)

    @property
    def folder(self) -> Path:
        return Path(self.output) if self.output else Path("build/runs") / self.name

    @property
    def network_shape(self) -> tuple[int, int, int]:
        """[C, H, W] of x_t."""
        r = self.pixel_unshuffle
        return self.channels * r * r, self.size // r, self.size // r

    def unet_arguments(self, classes: int) -> dict[str, Any]:
        return {
            "dim": self.dim,
            "num_classes": classes,
            "cond_drop_prob": self.cond_drop_prob,
            "dim_mults": self.dim_mults,
            "channels": self.network_shape[0],
            "attn_heads": self.attn_heads,
            "attn_dim_head": self.attn_dim_head,
        }


# Properties of the model itself: a run that goes on must agree in these.
FIXED = (
    "size", "channels", "invert", "fit", "background", "dim", "dim_mults", "attn_heads", "attn_dim_head", "pixel_unshuffle",
    "timesteps", "objective", "beta_schedule", "schedule_side", "style_dimensions", "seed",
)  # fmt: skip


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def read_configuration(path: Path | None, overrides: Mapping[str, Any], kind: type[Options]) -> Options:
    """The file's options, replaced by those of the command line. `kind` is a dataclass of fields made by `option`."""
    options: dict[str, Any] = {}
    if path is not None:
        try:
            options = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise TrainingError(f"{path}: {error}") from error
    fields: Any = kind
    kinds = {each.name: type(each.default) for each in dataclasses.fields(fields)}
    for key, value in options.items():
        if key not in kinds:
            raise TrainingError(f"{path}: no option is named {key!r}")
        if kinds[key] is tuple and isinstance(value, list):
            options[key] = tuple(value)
        elif kinds[key] is float and type(value) is int:
            options[key] = float(value)
        if type(options[key]) is not kinds[key]:
            raise TrainingError(f"{path}: {key} = {value!r}: expected {kinds[key].__name__}")
    return kind(**{**options, **overrides})


def add_options(parser: argparse.ArgumentParser, kind: Any) -> None:
    """One option for every field of a dataclass made by `option`. What is not given is not set."""
    for each in dataclasses.fields(kind):
        flag, default, help = "--" + each.name.replace("_", "-"), each.default, each.metadata["help"]
        if isinstance(default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=help)
            continue
        parser.add_argument(
            flag,
            type=_numbers if isinstance(default, tuple) else type(default),
            choices=each.metadata["choices"] or None,
            metavar=None if each.metadata["choices"] else each.name.upper(),
            default=argparse.SUPPRESS,
            help=help + (f" (default: {default})" if default not in ("", ()) else ""),
        )


def native_bf16(device: str) -> bool:
    """Whether bfloat16 saves time: PyTorch emulates it on processors without it, many times slower than float32."""
    if device != "cpu" and torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # no public name in PyTorch 2.13
    return any(getattr(torch.cpu, name, lambda: False)() for name in capabilities)


# ---- noise ------------------------------------------------------------------


def noise_schedule(configuration: Configuration) -> torch.Tensor:
    """abar of every timestep, float64 [T].

    Neighbouring pixels of a large picture say much the same, and so average the noise away: at equal noise, a picture
    d / d0 times as wide shows its coarse shapes (d / d0)^2 times as clearly. The shift takes that back:
    logSNR(t) + 2 log(d0 / d) (Hoogeboom, Heek and Salimans 2023, simple diffusion, section 2.1; d0 is schedule_side).
    """
    abar = torch.cumprod(1 - reference.schedule_betas(configuration.beta_schedule, configuration.timesteps), dim=0)
    if configuration.schedule_side == 0:
        return abar
    snr = abar / (1 - abar) * (configuration.schedule_side / configuration.size) ** 2
    return snr / (1 + snr)


def build_diffusion(configuration: Configuration, classes: int) -> torch.nn.Module:
    """The reference's GaussianDiffusion around its Unet, with fresh weights."""
    torch.manual_seed(configuration.seed)
    unet = reference.load_reference().Unet(**configuration.unet_arguments(classes))
    return reference.build_diffusion(
        unet,
        noise_schedule(configuration),
        image_size=configuration.network_shape[1],
        objective=configuration.objective,
        min_snr_loss_weight=configuration.min_snr_gamma > 0,
        min_snr_gamma=configuration.min_snr_gamma,
    )


# ---- batches ----------------------------------------------------------------

BLOCK = 8  # pictures that share a random generator


@dataclass(frozen=True)
class Batch:
    """What one process needs for one step, in the words of GaussianDiffusion.forward."""

    img: torch.Tensor  # [n, C, H, W] in [0, 1], in network space
    classes: torch.Tensor  # int64 [n]
    times: torch.Tensor  # int64 [n]
    cond_keep_mask: torch.Tensor  # bool [n]
    noise: torch.Tensor  # as img

    def to(self, device: torch.device, channels_last: bool) -> dict[str, torch.Tensor]:
        tensors = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        moved = {name: tensor.to(device, non_blocking=True) for name, tensor in tensors.items()}
        if channels_last:
            moved["img"] = moved["img"].contiguous(memory_format=torch.channels_last)
        return moved


def fit_coupling(source: Source, configuration: Configuration, device: torch.device | None = None) -> NoiseCoupling | None:
    """What `style_dimensions` asks for."""
    if configuration.style_dimensions == 0:
        return None
    if not isinstance(source, ArraySource) or source.groups is None:
        raise TrainingError(f"style_dimensions {configuration.style_dimensions}: nothing says which pictures belong together, as the fonts of letters do")
    return NoiseCoupling.fit(source, configuration.style_dimensions, configuration.pixel_unshuffle, device)


def make_batch(
    source: Source, configuration: Configuration, first: int, count: int, device: torch.device | None = None, coupling: NoiseCoupling | None = None
) -> Batch:
    """The pictures at the places first .. first + count - 1 of the training sequence, with their noise.

    Everything random about a picture depends on the seed and its place alone. So a run can be resumed without the
    state of any generator, and any number of processes draws what one would. On a GPU the noise is drawn there, many
    times faster; then it depends on how the sequence is cut into batches as well.
    """
    device = device or torch.device("cpu")
    indices = source.visit(first, count, configuration.seed)
    images, labels = source.pictures(indices)
    if device.type == "cpu":
        drawn = [_draw_block(configuration, block) for block in range(first // BLOCK, (first + count - 1) // BLOCK + 1)]
        skip = first % BLOCK
        times, keep, noise, jitter = (torch.cat(parts)[skip : skip + count] for parts in zip(*drawn))
    else:
        times, keep, noise, jitter = _draw(configuration, (first, count), count, device)
    img = to_unit_range(images, device)
    if configuration.pixel_unshuffle > 1:
        img = torch.nn.functional.pixel_unshuffle(img, configuration.pixel_unshuffle)
    if coupling is not None:
        assert isinstance(source, ArraySource) and source.groups is not None
        noise = coupling.couple(noise, torch.from_numpy(source.groups[indices].astype(np.int64)).to(device), jitter)
    return Batch(img, torch.from_numpy(labels).to(device), times, keep, noise)


def _draw_block(configuration: Configuration, block: int) -> tuple[torch.Tensor, ...]:
    return _draw(configuration, (block,), BLOCK, torch.device("cpu"))


def _draw(configuration: Configuration, place: tuple[int, ...], count: int, device: torch.device) -> tuple[torch.Tensor, ...]:
    """Times, condition dropout, noise, and jitter of styles of `count` pictures at some place of the sequence."""
    seed = int(np.random.SeedSequence((configuration.seed, *place)).generate_state(1, np.uint64)[0] >> np.uint64(1))
    generator = torch.Generator(device).manual_seed(seed)
    times = torch.randint(0, configuration.timesteps, (count,), generator=generator, device=device)
    keep = torch.rand(count, generator=generator, device=device) >= configuration.cond_drop_prob
    noise = torch.randn((count, *configuration.network_shape), generator=generator, device=device)
    return times, keep, noise, torch.randn((count, configuration.style_dimensions), generator=generator, device=device)


# ---- learning rate ----------------------------------------------------------


def learning_rate(configuration: Configuration, step: int, seconds: float) -> float:
    """Of the step that follows: linear warm-up, then half a cosine to 0 over the steps or the minutes, whichever end first."""
    warm = min(1.0, (step + 1) / max(1, configuration.warmup))
    return configuration.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * progress(configuration, step, seconds)))


def progress(configuration: Configuration, step: int, seconds: float) -> float:
    """Share of the run that is done, 0 .. 1."""
    by_time = seconds / (60 * configuration.minutes) if configuration.minutes > 0 else 0.0
    return min(1.0, max(step / configuration.steps, by_time))


# ---- files ------------------------------------------------------------------


def write_atomically(path: Path, content: Mapping[str, Any]) -> None:
    """torch.save such that `path` is, at every moment, either the old file or the new one, also after a power cut."""
    partial = path.with_name(f".{path.name}.partial")
    with open(partial, "wb") as file:
        torch.save(dict(content), file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def model_record(configuration: Configuration, classes: Sequence[str], ema: Mapping[str, torch.Tensor], step: int, samples_seen: int) -> dict[str, Any]:
    """What export, verify and evaluate read: the averaged weights and all that describes them."""
    diffusion: dict[str, Any] = {
        "image_size": configuration.network_shape[1],
        "timesteps": configuration.timesteps,
        "objective": configuration.objective,
        "beta_schedule": configuration.beta_schedule,
    }
    if configuration.schedule_side:
        diffusion.update(beta_schedule="custom", alphas_cumprod=noise_schedule(configuration))
    return {
        "unet": configuration.unet_arguments(len(classes)),
        "ema": {name: tensor.detach().cpu().contiguous() for name, tensor in ema.items()},
        "diffusion": diffusion,
        "pixel_unshuffle": configuration.pixel_unshuffle,
        "image": {"height": configuration.size, "width": configuration.size, "channels": configuration.channels},
        "classes": list(classes),
        "step": step,
        "samples_seen": samples_seen,
        "data": Path(configuration.data).name,
    }


class Log:
    """One JSON object a line. A run that goes on drops what was written after its checkpoint, torn lines included."""

    def __init__(self, path: Path, step: int) -> None:
        kept = [line for line in read_log(path) if line["step"] <= step] if path.exists() else []
        partial = path.with_name(f".{path.name}.partial")
        partial.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        os.replace(partial, path)
        self._file = open(path, "a", encoding="utf-8")

    def write(self, **values: Any) -> None:
        self._file.write(json.dumps(values) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def read_log(path: Path) -> list[dict[str, Any]]:
    """All whole lines."""
    lines = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            lines.append(json.loads(text))
    return [line for line in lines if isinstance(line, dict) and "step" in line]


@contextlib.contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """Two trainers must not write into one folder. The lock ends with the process, however that ends."""
    import fcntl  # not on Windows

    with open(folder / ".lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TrainingError(f"{folder}: another run is writing into this folder") from error
        yield
