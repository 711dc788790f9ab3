"""Models and the pictures that they draw, in Python: the same WebAssembly module as in browsers, so the same bytes.

A first picture:

    import pocket_diffusion as pd
    model = pd.load("doodles.gguf")
    picture = model.generate(label="cat", seed=7, guidance_scale=3)
    picture.save("cat.png")
"""

import dataclasses
import difflib
import hashlib
import inspect
import json
import math
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np
import numpy.typing as npt

from pocket_diffusion.core import NULL_LABEL, Bytes, Core, Floats
from pocket_diffusion.errors import PocketDiffusionError
from pocket_diffusion.options import OPTIONS, RENDERINGS, Option, meant_by

OBJECTIVES: Final = ("pred_noise", "pred_x0", "pred_v")
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {name: option.choices for name, option in OPTIONS.items() if option.choices}
MAX_SEED: Final = 2**64 - 1

OnStep = Callable[[int, int], None]


@dataclass(frozen=True)
class ModelInfo:
    """What a model file says of itself. The network sees [network_channels, network_height, network_width]: the picture after
    pixel unshuffle.
    """

    engine: str  # version of the core
    name: str
    description: str
    license: str
    author: str
    source_url: str
    width: int  # of a finished picture, in pixels
    height: int
    channels: int
    pixel_unshuffle: int
    rendering: str  # of finished pictures: ink, pixel or smooth (docs/format.md)
    network_width: int
    network_height: int
    network_channels: int
    network_out_channels: int
    objective: str  # pred_noise, pred_x0 or pred_v
    schedule: str
    timesteps: int
    alphas_cumprod: npt.NDArray[np.float64] = field(repr=False)
    recommended: Mapping[str, Any]  # the defaults of generate(), by its arguments
    parameter_count: int
    file_bytes: int
    memory_bytes: int  # held by the model when it was loaded
    sha256: str


@dataclass(frozen=True)
class Picture:
    """One finished picture. `pixels`: uint8 [height, width, channels]; `recipe`: how it was made (docs/recipe.md)."""

    pixels: Bytes = field(repr=False)
    label: str
    seed: int
    recipe: Mapping[str, Any] = field(repr=False)
    _encode: Callable[[Bytes, str], bytes] = field(repr=False, compare=False)

    def to_png(self, *, recipe: bool = True) -> bytes:
        """A PNG file, which carries the recipe unless told otherwise."""
        text = json.dumps(self.recipe, separators=(",", ":"), ensure_ascii=False) if recipe else ""
        return self._encode(self.pixels, text)

    def save(self, path: str | os.PathLike[str], *, recipe: bool = True) -> None:
        """Writes a PNG file."""
        Path(path).write_bytes(self.to_png(recipe=recipe))

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """[height, width] of grey pictures, otherwise [height, width, channels]."""
        pixels = self.pixels[:, :, 0] if self.pixels.shape[2] == 1 else self.pixels
        return np.array(pixels, dtype=dtype, copy=copy if copy is not None else True)

    def _repr_png_(self) -> bytes:  # what notebooks show
        return self.to_png()


@dataclass(frozen=True)
class Trajectory:
    """A picture and how it came about. `states`: float32 [calls, network_channels, network_height, network_width], x_t after each
    call of the network; `timesteps`: t at which each was made.
    """

    picture: Picture
    states: Floats = field(repr=False)
    timesteps: tuple[int, ...]


@dataclass(frozen=True)
class Operation:
    """One operation of a network, in the words of docs/graph.md."""

    name: str
    inputs: tuple[int, ...]  # numbers of earlier operations; -1 for one that is absent
    shape: tuple[int, ...]  # of its value, the channels last
    integers: tuple[int, ...]
    depends: tuple[str, ...]  # some of class, time and x
    free: bool  # whether it takes no time: its value is a part of another one


def _counted(on_step: OnStep | None) -> Callable[[int, int, int, int], None]:
    return lambda run, timestep, done, total: None if on_step is None else on_step(done, total)


def _refuse(unknown: Iterable[str]) -> None:
    """Options that there are not, by the first of them, with what is meant."""
    for name in unknown:
        raise TypeError(f"unknown option {name!r}{meant_by(name)}")


def _nearest(name: str, known: Sequence[str]) -> str:
    found = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f"; did you mean {found[0]!r}?" if found else ""


def _number(name: str, value: object, minimum: float, maximum: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{name} must be a number, not {value!r}")
    if not (minimum <= value <= maximum):
        raise ValueError(f"{name} must be {minimum:g} to {maximum:g}, not {value!r}")
    return float(value)


def _whole(name: str, value: object, minimum: int, maximum: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be a whole number, not {value!r}")
    if not minimum <= value <= maximum:
        raise ValueError(f"{name} must be {minimum} to {maximum}, not {value}")
    return int(value)


def _choice(name: str, value: object) -> int:
    choices = CHOICES[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}{_nearest(value, choices)}")
    return choices.index(value)


def _truth(name: str, value: object) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, not {value!r}")
    return bool(value)


def _shortest(value: float) -> float:
    """The shortest decimal that is `value` in single precision: 2.7 rather than 2.700000047683716."""
    return float(np.format_float_positional(np.float32(value), unique=True)) if math.isfinite(value) else value


def _hash(value: Any) -> Any:
    return {"sha256": hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}


def _plain(value: float) -> float | int:
    """As JavaScript writes it: 3, not 3.0."""
    return int(value) if float(value).is_integer() else float(value)


def _seed(value: int) -> int | str:
    return value if value < 2**53 else str(value)


def _described(pixels: Bytes | None) -> Any:
    """A picture as recipes have it."""
    if pixels is None:
        return None
    return {"width": pixels.shape[1], "height": pixels.shape[0], "channels": pixels.shape[2], "pixels": _hash(pixels)}


def _recorded(numbers: Mapping[str, float], others: Mapping[str, Any]) -> dict[str, Any]:
    """ResolvedOptions of web/index.d.ts, as recipes hold them, in the same order. `others`: the values that are no number."""

    def recorded(name: str, option: Option) -> Any:
        if option.kind == "other":
            return others[name]
        value = numbers[option.field or name]
        if option.kind == "class":
            return None if value == NULL_LABEL else int(value)
        if option.kind == "flag":
            return bool(value)
        return option.choices[int(value)] if option.choices else _plain(value)

    return {re.sub("_(.)", lambda found: found[1].upper(), name): recorded(name, option) for name, option in OPTIONS.items()}


class Model:
    """A loaded model. One thread at a time may use it. `with` or close() gives its memory back."""

    def __init__(self, data: bytes) -> None:
        """`data`: the bytes of a GGUF file (docs/format.md). PocketDiffusionError if it is refused."""
        self._core = Core()
        self._handle = self._core.load_model(data)
        self.info = self._describe(hashlib.sha256(data).hexdigest())
        count = int(self._core.model_fields(self._handle)["class_count"])
        names = (self._core.text(self._core.call("pd_wasm_model_class_name", self._handle, label)) for label in range(count))
        self.labels: tuple[str, ...] = tuple(names)
        self._operations: tuple[Operation, ...] = ()

    def __enter__(self) -> "Model":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        shape = f"{self.info.width} x {self.info.height} x {self.info.channels}"
        return f"<Model {self.info.name!r}, {shape}, {len(self.labels)} classes>"

    def close(self) -> None:
        """Later calls fail with code CLOSED. May be called twice."""
        if self._handle:
            self._core.call("pd_wasm_model_free", self._handle)
            self._handle = 0

    def _open(self) -> int:
        if not self._handle:
            raise PocketDiffusionError("CLOSED", "the model was closed")
        return self._handle

    def _describe(self, sha256: str) -> ModelInfo:
        given = self._core.model_fields(self._handle)
        abar = self._core.call("pd_wasm_model_alphas_cumprod", self._handle) & 0xFFFFFFFF
        own: dict[str, Any] = {
            "engine": self._core.version,
            "schedule": given["schedule_name"],
            "objective": OBJECTIVES[int(given["objective"])],
            "rendering": RENDERINGS[int(given["rendering"])],
            "alphas_cumprod": np.frombuffer(self._core.read(abar, 8 * int(given["timesteps"])), dtype="<f8").astype(np.float64),
            "recommended": {
                "sampler": CHOICES["sampler"][int(given["recommended_sampler"])],
                "steps": int(given["recommended_steps"]),
                "guidance_scale": _shortest(given["recommended_guidance_scale"]),
                "eta": _shortest(given["recommended_eta"]),
                "time_grid": CHOICES["time_grid"][int(given["recommended_time_grid"])],
                "guidance_interval": (int(given["recommended_guidance_first"]), int(given["recommended_guidance_last"])),
                "rescale": _shortest(given["recommended_rescale"]),
                "projection": bool(given["recommended_projection"]),
            },
            "sha256": sha256,
        }
        others = (each.name for each in dataclasses.fields(ModelInfo) if each.name not in own)
        own.update({name: value if isinstance(value := given[name], str) else int(value) for name in list(others)})
        return ModelInfo(**own)

    # ---- arguments

    def _label(self, label: object, name: str = "label") -> int:
        if not self.labels:
            if label is not None:
                raise ValueError(f"{name}: this model has no classes")
            return NULL_LABEL
        if isinstance(label, str):
            if label not in self.labels:
                raise ValueError(f"{name}: no class {label!r}{_nearest(label, self.labels)}")
            return self.labels.index(label)
        if label is None and name == "label" and len(self.labels) == 1:
            return 0
        if label is None:
            raise TypeError(f"{name} must be a class name or number; the model has {', '.join(self.labels[:8])}{', ...' if len(self.labels) > 8 else ''}")
        return _whole(name, label, 0, len(self.labels) - 1)

    def _pixels(self, name: str, value: Any, channels: int) -> Bytes | None:
        """uint8 [height, width] or [height, width, channels], or a Picture."""
        if value is None:
            return None
        pixels = value.pixels if isinstance(value, Picture) else np.asarray(value)
        if pixels.dtype == np.bool_ and name == "mask":
            pixels = pixels.astype(np.uint8) * 255
        if pixels.dtype != np.uint8:
            raise TypeError(f"{name} must hold bytes (uint8), not {pixels.dtype}")
        wanted = (self.info.height, self.info.width, channels)
        if pixels.shape != wanted and not (channels == 1 and pixels.shape == wanted[:2]):
            raise ValueError(f"{name} must be {' x '.join(map(str, wanted))} (height, width, channels), not {' x '.join(map(str, pixels.shape))}")
        return np.ascontiguousarray(pixels.reshape(wanted))

    def _planes(self, name: str, value: Any) -> Floats:
        planes = np.asarray(value)
        wanted = (self.info.network_channels, self.info.network_height, self.info.network_width)
        if planes.dtype != np.float32:
            raise TypeError(f"{name} must be float32, not {planes.dtype}")
        if planes.size != math.prod(wanted):
            raise ValueError(f"{name} must be {' x '.join(map(str, wanted))}, not {' x '.join(map(str, planes.shape))}")
        return np.ascontiguousarray(planes.reshape(wanted))

    def _mix(self, class_mix: Mapping[Any, float] | None) -> list[tuple[int, float]] | None:
        if class_mix is None:
            return None
        if not isinstance(class_mix, Mapping):
            raise TypeError(f"class_mix must map classes to weights, as {{'cat': 0.7, 'dog': 0.3}}, not {class_mix!r}")
        return [(self._label(label, "class_mix"), _number("class_mix", weight, 0, 1e6)) for label, weight in class_mix.items()]

    def _value(self, name: str, option: Option, value: Any) -> float:
        """The number for the core."""
        if option.kind == "class":
            return NULL_LABEL if value is None else self._label(value, name)
        if value is None and name in self.info.recommended:
            value = self.info.recommended[name]
        if option.kind == "choice":
            return _choice(name, value)
        if option.kind == "flag":
            return _truth(name, value)
        low, high = option.range
        if option.kind == "whole":
            return _whole(name, value, int(low), self.info.timesteps if name == "steps" else int(high))
        return _number(name, value, low, high)

    # ---- drawing

    def generate(
        self,
        label: str | int | None = None,
        *,
        seed: int | None = None,
        guidance_scale: float | None = None,
        steps: int | None = None,
        sampler: str | None = None,
        eta: float | None = None,
        time_grid: str | None = None,
        guidance_interval: tuple[int, int] | None = None,
        guidance_schedule: str = "constant",
        negative_label: str | int | None = None,
        cfg_plus_plus: bool = False,
        projection: bool | None = None,
        keep_parallel: float = 0.0,
        momentum: float = 0.0,
        norm_threshold: float = 0.0,
        rescale: float | None = None,
        dynamic_threshold: float = 0.0,
        ddpm_mean: str = "x0",
        ddpm_variance: str = "posterior",
        class_mix: Mapping[Any, float] | None = None,
        mix_mode: str = "embedding",
        image: Any = None,
        strength: float | None = None,
        mask: Any = None,
        resample: int = 1,
        noise: Any = None,
        variation_seed: int | None = None,
        variation_strength: float = 0.0,
        on_step: OnStep | None = None,
        **unknown: NoReturn,
    ) -> Picture:
        """Draws one picture by the guided reverse process; what is not given is as the model recommends.

        label: a name of `labels` or its number; not with class_mix. A model of one class needs none.
        seed: 0 to 2^64 - 1; noise is that of torch.manual_seed(seed), which uses the low 32 bits. Default: at random.
        guidance_scale: s in [0, 100] of null + s (class - null) (Ho and Salimans 2022, with w = s - 1): 0 ignores the class,
          1 is the class alone, more fits it better and varies less.
        steps: 1 to info.timesteps; sampler, time_grid, ddpm_mean, ddpm_variance, guidance_schedule, mix_mode: see CHOICES.
        image: uint8 [height, width, channels] or a Picture, with `strength` in [0, 1] of the way back to noise (SDEdit; 0.5 by
          default); mask: uint8 [height, width] of 255 (made anew) and 0 (kept), or bool (inpainting).
        noise: float32 [network_channels, network_height, network_width], x_T in place of the seed's.
        on_step: called as on_step(calls made, calls in all) after every call of the network; may raise to stop.

        The other options, with their papers: docs/sampling.md. TypeError and ValueError name the argument that is wrong;
        PocketDiffusionError is what the core refuses.
        """
        _refuse(unknown)
        return self._draw(label, {name: value for name, value in locals().items() if name in _OPTIONS}, _counted(on_step))

    def generate_many(
        self, labels: Sequence[str | int | None] | str | int | None = None, *, count: int = 1, seed: int = 0, **options: Any
    ) -> Iterator[Picture]:
        """`count` pictures of each class with the seeds seed, seed + 1, ...; options as in generate(). A model without classes, or with
        one, needs no labels.
        """
        wanted = [labels] if labels is None or isinstance(labels, str | int) else list(labels)
        for label in wanted:
            for index in range(_whole("count", count, 1, 2**32)):
                yield self.generate(label, seed=seed + index, **options)

    def trajectory(self, label: str | int | None = None, **options: Any) -> Trajectory:
        """As generate(), with x_t after every call of the network."""
        _refuse(name for name in options if name not in _OPTIONS)
        shape = (self.info.network_channels, self.info.network_height, self.info.network_width)
        states: list[Floats] = []
        timesteps: list[int] = []

        def watch(run: int, timestep: int, _done: int, _total: int) -> None:
            size = math.prod(shape)
            states.append(self._core.read_floats(size, lambda address: self._core.status("pd_wasm_run_state", run, 0, address, size)).reshape(shape))
            timesteps.append(timestep)

        picture = self._draw(label, {**_OPTIONS, **options}, watch)
        return Trajectory(picture, np.stack(states) if states else np.empty((0, *shape), np.float32), tuple(timesteps))

    def predict(self, x: Any, t: int, label: str | int | None) -> Floats:
        """One call of the network: its prediction (info.objective) for x_t, float32 [network_out_channels, network_height,
        network_width]. x: float32 [network_channels, network_height, network_width]; t: 0 to info.timesteps - 1; label None is
        the null class of guidance.
        """
        shape = (self.info.network_out_channels, self.info.network_height, self.info.network_width)
        return self._evaluate(x, t, label, shape, lambda state, out: self._core.status("pd_wasm_model_predict", *state, out))

    def _evaluate(self, x: Any, t: int, label: str | int | None, shape: tuple[int, ...], call: Callable[[tuple[int, ...], int], None]) -> Floats:
        """call(what all evaluations begin with: the model, x, t and the label; where its floats go)"""
        handle = self._open()
        planes = self._planes("x", x)
        number = NULL_LABEL if label is None else self._label(label)
        time = _whole("t", t, 0, self.info.timesteps - 1)

        def evaluate(source: int) -> Floats:
            return self._core.read_floats(math.prod(shape), lambda out: call((handle, source, time, number), out))

        value: Floats = self._core.with_bytes(planes.tobytes(), evaluate)
        return value.reshape(shape)

    def operations(self) -> tuple[Operation, ...]:
        """What predict() computes: the operations of the network, in their order. docs/graph.md is their vocabulary."""
        handle = self._open()
        if not self._operations:
            self._operations = tuple(Operation(**each) for each in self._core.graph(handle))
        return self._operations

    def activations(self, x: Any, t: int, label: str | int | None, operation: int) -> Floats:
        """The value that one operation makes on the way to predict(x, t, label), float32 [channels, ...]: the shape of the operation
        with the channels first. operation: its number, from 0. The evaluation ends there.
        """
        operations = self.operations()
        index = _whole("operation", operation, 0, len(operations) - 1)
        *positions, channels = operations[index].shape
        shape = (channels, *positions)
        return self._evaluate(x, t, label, shape, lambda state, out: self._core.status("pd_wasm_model_activations", *state, index, out, math.prod(shape)))

    def _draw(self, label: object, given: Mapping[str, Any], watch: Callable[[int, int, int, int], None]) -> Picture:
        """`given`: every option of generate(). watch(run, timestep, calls made, calls in all) after every call of the network."""
        handle = self._open()
        drawn_seed = secrets.randbits(32) if given["seed"] is None else _whole("seed", given["seed"], 0, MAX_SEED)

        interval = self.info.recommended["guidance_interval"] if given["guidance_interval"] is None else given["guidance_interval"]
        if not (isinstance(interval, Sequence) and len(interval) == 2):
            raise TypeError(f"guidance_interval must be two timesteps (first, last), not {interval!r}")
        last = self.info.timesteps - 1
        source = self._pixels("image", given["image"], self.info.channels)
        part = self._pixels("mask", given["mask"], 1)
        mix = self._mix(given["class_mix"])
        if mix is not None and label is not None:
            raise TypeError("label cannot be given together with class_mix")
        number = NULL_LABEL if mix is not None else self._label(label)
        noise_planes = None if given["noise"] is None else self._planes("noise", given["noise"])
        edited = 0.5 if source is not None and part is None else 1.0
        numbers = {
            option.field or name: self._value(name, option, edited if name == "strength" and given[name] is None else given[name])
            for name, option in OPTIONS.items()
            if option.kind != "other"
        }
        numbers["guidance_first"] = _whole("guidance_interval", interval[0], 0, last)
        numbers["guidance_last"] = _whole("guidance_interval", interval[1], 0, last)
        data = {
            "mix": None if mix is None else Core.pack_mix(mix),
            "image": None if source is None else source.tobytes(),
            "mask": None if part is None else part.tobytes(),
            "noise": None if noise_planes is None else noise_planes.tobytes(),
        }
        variation = None if given["variation_seed"] is None else _whole("variation_seed", given["variation_seed"], 0, MAX_SEED)
        run = self._core.start_run(handle, numbers, data, [(number, drawn_seed, variation or 0)])
        pixels = self._finish(run, watch)
        name = (self.labels[number] if self.labels else "") if mix is None else "+".join(f"{self.labels[each]}:{_plain(weight)}" for each, weight in mix)
        others = {
            "guidance_interval": [int(numbers["guidance_first"]), int(numbers["guidance_last"])],
            "seed": _seed(drawn_seed),
            "class_mix": None if mix is None else [{"label": part_label, "weight": _plain(weight)} for part_label, weight in mix],
            "image": _described(source),
            "mask": _described(part),
            "noise": None if noise_planes is None else _hash(noise_planes),
            "variation_seed": None if variation is None else _seed(variation),
        }
        options = {"label": None if number == NULL_LABEL else number, "labelName": name[:256], **_recorded(numbers, others)}
        recipe = {"format": 1, "version": self.info.engine, "model": {"name": self.info.name[:256], "sha256": self.info.sha256}, "options": options}
        return Picture(pixels, name, drawn_seed, recipe, self._core.encode_png)

    def _finish(self, run: int, watch: Callable[[int, int, int, int], None]) -> Bytes:
        core = self._core
        try:
            total = core.call("pd_wasm_run_steps_total", run)
            for done in range(1, total + 1):
                timestep = core.call("pd_wasm_run_next_timestep", run)
                core.status("pd_wasm_run_step", run)
                watch(run, timestep, done, total)
            shape = (self.info.height, self.info.width, self.info.channels)
            size = math.prod(shape)
            return core.read_bytes(size, lambda address: core.status("pd_wasm_run_finish", run, 0, address, size)).reshape(shape)
        finally:
            if not core.dead:
                core.call("pd_wasm_run_free", run)


# The options of generate(), with their defaults.
_OPTIONS: Final[Mapping[str, Any]] = {name: parameter.default for name, parameter in inspect.signature(Model.generate).parameters.items() if name in OPTIONS}


def load(source: str | os.PathLike[str] | bytes | bytearray | memoryview) -> Model:
    """A model from a path or from the bytes of a GGUF file. FileNotFoundError, or PocketDiffusionError with the code of what
    is wrong with the file; a refused file changes nothing.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return Model(bytes(source))
    return Model(Path(source).read_bytes())
