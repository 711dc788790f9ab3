"""Pictures of a model for every way to sample it, kept on disk: whatever was drawn once is not drawn again."""

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from pocket_diffusion import export_command, guidance_input, reference
from pocket_diffusion.checkpoint import CheckpointError, describe, read_checkpoint
from pocket_diffusion.engine import Engine
from pocket_diffusion.graph import as_unet
from pocket_diffusion.graph.ir import as_text
from pocket_diffusion.graph.read import GraphFile, read_either
from pocket_diffusion.options import SAMPLERS
from pocket_diffusion.reference import Generation

CHUNK = 50  # pictures per file, and that PyTorch samples at once


@dataclass(frozen=True)
class Setting:
    """Everything about a picture but its class and its seed, in the words of `generate` in web/index.d.ts."""

    sampler: str = "ddim"
    steps: int = 20
    guidance_scale: float = 3.0
    time_grid: str = "linear"
    eta: float = 0.0
    guidance_interval: tuple[int, int] | None = None
    rescale: float = 0.0
    dynamic_threshold: float = 0.0
    projection: bool = False

    @classmethod
    def for_calls(cls, sampler: str, calls: int, **others: Any) -> "Setting":
        """As many steps as take at most `calls` evaluations of the network at the time (heun: two a step, but one in the last)."""
        each = SAMPLERS[sampler].evaluations
        return cls(sampler=sampler, steps=max(1, (calls + each - 1) // each), **others)

    @property
    def calls(self) -> int:
        """Times at which the network is evaluated, each counted once however many predictions are made there."""
        return SAMPLERS[self.sampler].evaluations * (self.steps - 1) + 1

    def options(self) -> dict[str, Any]:
        """For `generate`. What is as it would be anyway is left out, so that the key of a picture does not change when
        a field is added here."""
        words = {
            "sampler": self.sampler, "steps": self.steps, "guidanceScale": float(self.guidance_scale), "timeGrid": self.time_grid, "eta": float(self.eta),
            "guidanceInterval": self.guidance_interval, "rescale": self.rescale, "dynamicThreshold": self.dynamic_threshold, "projection": self.projection,
        }  # fmt: skip
        return {name: value for name, value in words.items() if name in ("sampler", "steps", "guidanceScale", "timeGrid", "eta") or value}

    @property
    def in_reference(self) -> bool:
        return self.sampler in ("ddim", "ddpm") and self.time_grid == "linear" and not (self.guidance_interval or self.dynamic_threshold or self.projection)

    def generation(self) -> Generation:
        """For the reference."""
        assert self.in_reference, self
        return Generation(0, 0, self.sampler, self.steps, self.eta, self.guidance_scale, rescale=self.rescale)

    def __str__(self) -> str:
        parts = [f"{self.sampler} {self.steps}" + (f" {self.time_grid}" if self.time_grid != "linear" else "")]
        parts += [f"eta {self.eta:g}"] if self.eta else []
        parts += [f"scale {self.guidance_scale:g}"]
        parts += ["guided at {}..{}".format(*self.guidance_interval)] if self.guidance_interval else []
        parts += [f"rescale {self.rescale:g}"] if self.rescale else []
        parts += [f"dynamic threshold {self.dynamic_threshold:g}"] if self.dynamic_threshold else []
        parts += ["projection"] if self.projection else []
        return ", ".join(parts)


@dataclass(frozen=True)
class Model:
    """A network and what it takes to sample it, from either kind of file."""

    path: Path
    fingerprint: str  # of all that decides a prediction; not of the words and recommendations in the file
    unet: torch.nn.Module
    unet_arguments: dict[str, Any] | None  # None: not the reference's Unet
    alphas_cumprod: np.ndarray
    objective: str
    shape: tuple[int, int, int]  # of x_t
    pixel_unshuffle: int
    classes: tuple[str, ...]
    size: tuple[int, int]  # width and height of the finished picture
    channels: int
    recommended: Setting
    can_be_guided: bool = True

    @classmethod
    def read(cls, path: Path) -> "Model":
        if path.suffix == ".gguf":
            file = read_either(path)
            meta = file.metadata
            recommended = Setting(**{name: value for name, value in dataclasses.asdict(file.recommended).items() if name != "rendering"})
            unet, weights, scales = None if isinstance(file, GraphFile) else file.unet, file.weights, file.guidance_scales
            facts = file.alphas_cumprod, meta["diffusion.objective"], file.network_shape, meta["image.pixel_unshuffle"]
            shown = file.class_names, (meta["image.width"], meta["image.height"]), meta["image.channels"]
        else:
            checkpoint = read_checkpoint(path)
            about = describe(checkpoint)
            recommended = Setting(steps=min(20, about.timesteps))
            unet, weights, scales = about.unet, checkpoint.weights, about.guidance_scales
            facts = about.alphas_cumprod, about.objective, about.network_shape, about.pixel_unshuffle
            shown = about.class_names, (about.image_width, about.image_height), about.image_channels
        if unet is None:
            fingerprint = _fingerprint({"graph": as_text(file.output), "times": file.times.tolist()}, weights, *facts)
            return cls(path, fingerprint, as_unet.of_file(file), None, *facts, *shown, recommended, file.has_null)
        fingerprint = _fingerprint({**unet, **({"guidance_scales": scales} if scales else {})}, weights, *facts)
        network = guidance_input.build_unet(unet, weights, scales)
        return cls(path, fingerprint, network, unet, *facts, *shown, recommended)

    @property
    def timesteps(self) -> int:
        return len(self.alphas_cumprod)


def _fingerprint(unet: Mapping[str, Any], weights: Mapping[str, torch.Tensor], alphas_cumprod: np.ndarray, *others: Any) -> str:
    digest = hashlib.sha256(repr((sorted(unet.items()), others)).encode())
    for name in sorted(weights):
        digest.update(name.encode() + weights[name].contiguous().numpy().tobytes())
    digest.update(np.asarray(alphas_cumprod, dtype=np.float64).tobytes())
    return digest.hexdigest()


def labels_and_seeds(classes: int, count: int, first_seed: int) -> tuple[list[int], list[int]]:
    """The classes take turns; every picture has a seed of its own."""
    return [i * classes // count if count < classes else i % classes for i in range(count)], list(range(first_seed, first_seed + count))


class Pictures:
    """Draws the pictures of a model, or finds them in `folder`. To be used in a `with` block."""

    def __init__(self, model: Model, folder: Path, processes: int = 1) -> None:
        self.model, self.folder, self.processes = model, folder, processes
        self._resources = contextlib.ExitStack()
        self._engines: list[Engine] = []

    def __enter__(self) -> "Pictures":
        return self

    def __exit__(self, *_: Any) -> None:
        self._resources.close()

    def draw(self, setting: Setting, labels: Sequence[int], seeds: Sequence[int], through: str, chunk: int = CHUNK) -> np.ndarray:
        """uint8 [N, H, W, C]; `through` is `engine` or `pytorch`.

        Kept in files of `chunk` pictures, each whole or not there: a run that was killed loses one of them at most.
        """
        chunks = []
        for start in tqdm(range(0, len(seeds), chunk), desc=f"{setting}, {through}", disable=None, leave=False):
            part = slice(start, start + chunk)
            path = self.folder / f"{self._key(setting, labels[part], seeds[part], through)}.npy"
            if not path.exists():
                sample = {"engine": self._by_engine, "pytorch": self._by_pytorch}[through]
                _save(path, sample(setting, labels[part], seeds[part]))
            chunks.append(np.load(path))
        return np.concatenate(chunks)

    def evaluations(self, setting: Setting) -> int:
        """Predictions of the network for one picture: two at each guided time, else one."""
        assert setting.guidance_scale not in (0, 1) or not setting.guidance_interval
        low, high = setting.guidance_interval or (0, self.model.timesteps - 1)
        _, times, _ = self._ready_engines()[0].generate_with(self.model.shape, {**setting.options(), "label": 0, "seed": 0}).result()
        return len(times) + (0 if setting.guidance_scale in (0, 1) else sum(low <= t <= high for t in times))

    def _key(self, setting: Setting, labels: Sequence[int], seeds: Sequence[int], through: str) -> str:
        return hashlib.sha256(json.dumps([self.model.fingerprint, through, setting.options(), labels, seeds]).encode()).hexdigest()[:32]

    def _by_pytorch(self, setting: Setting, labels: Sequence[int], seeds: Sequence[int]) -> np.ndarray:
        model = self.model
        device = "cuda" if torch.cuda.is_available() else "cpu"
        unet = model.unet.to(device, memory_format=torch.channels_last)
        x = reference.sample(unet, model.alphas_cumprod, model.objective, model.shape, setting.generation(), labels, seeds)
        return np.stack([reference.to_pixels(each.cpu(), model.pixel_unshuffle) for each in x])

    def _by_engine(self, setting: Setting, labels: Sequence[int], seeds: Sequence[int]) -> np.ndarray:
        """By the WebAssembly module."""
        engines = self._ready_engines()
        answers = [
            engines[i % self.processes].picture({**setting.options(), "label": label, "seed": seed}) for i, (label, seed) in enumerate(zip(labels, seeds))
        ]
        return np.stack([answer.result() for answer in answers]).reshape(-1, self.model.size[1], self.model.size[0], self.model.channels)

    def _ready_engines(self) -> list[Engine]:
        if not self._engines:
            path = self._engine_file()
            engines = [self._resources.enter_context(Engine()) for _ in range(self.processes)]
            for loaded in [engine.load(path) for engine in engines]:
                loaded.result()
            self._engines = engines
        return self._engines

    def _engine_file(self) -> Path:
        """The model as the engine reads it; a checkpoint is exported first, as Q8_0."""
        if self.model.path.suffix == ".gguf":
            return self.model.path
        path = Path(self._resources.enter_context(tempfile.TemporaryDirectory())) / "model.gguf"
        with contextlib.redirect_stdout(io.StringIO()):
            code = export_command.main([str(self.model.path), str(path)])
        if code != 0:
            raise CheckpointError(f"{self.model.path}: could not be exported")
        return path


def _save(path: Path, pictures: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with open(partial, "wb") as file:
        np.save(file, pictures)
    os.replace(partial, path)


def write_text(path: Path, text: str) -> None:
    """Such that `path` is at every moment either the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
