"""The engine beside PyTorch: pocket_diffusion.model in a thread of its own, with PyTorch's tensors.

WebAssembly runs without Python's lock, so that the engine works on one core while PyTorch works on another.
"""

import re
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from pocket_diffusion.errors import PocketDiffusionError
from pocket_diffusion.model import Model, load
from pocket_diffusion.reference import Generation

Result = TypeVar("Result")


class EngineError(Exception):
    """The engine refused a request. One line."""


def snake_case(name: str) -> str:
    """An option of the JavaScript library in Python's spelling: guidanceScale is guidance_scale."""
    return re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name)


class Engine:
    """One model at a time. Requests are answered in order; each returns a Future at once."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine")
        self._model: Model | None = None

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the thread; requests that have not begun are dropped."""
        self._thread.shutdown(cancel_futures=True)
        if self._model is not None:
            self._model.close()
            self._model = None

    def _request(self, work: Callable[[], Result]) -> "Future[Result]":
        def answer() -> Result:
            try:
                return work()
            except (PocketDiffusionError, TypeError, ValueError, OSError) as error:
                raise EngineError(str(error)) from error

        return self._thread.submit(answer)

    @property
    def _loaded(self) -> Model:
        if self._model is None:
            raise EngineError("no model is loaded")
        return self._model

    def load(self, path: Path) -> "Future[dict[str, Any]]":
        """The model that later requests are about. Result: labels, alphasCumprod."""

        def work() -> dict[str, Any]:
            if self._model is not None:
                self._model.close()
                self._model = None
            self._model = load(path)
            return {"labels": list(self._model.labels), "alphasCumprod": self._model.info.alphas_cumprod.tolist()}

        return self._request(work)

    def predict(self, x: torch.Tensor, t: int, label: int | None) -> "Future[torch.Tensor]":
        """One prediction, [C, H, W], for x_t [C, H, W]; label None is the null class."""
        return self._request(lambda: torch.from_numpy(self._loaded.predict(x.contiguous().numpy(), t, label)))

    def generate(self, shape: Sequence[int], generation: Generation) -> "Future[tuple[list[torch.Tensor], list[int], np.ndarray]]":
        """Result: x after every step [steps][C, H, W], the times visited, and the pixels (uint8, flat)."""
        options = {
            "seed": generation.seed, "sampler": generation.sampler, "steps": generation.steps, "eta": generation.eta,
            "guidanceScale": generation.guidance_scale, "projection": generation.projection, "rescale": generation.rescale,
        }  # fmt: skip
        label = {} if generation.label is None else {"label": generation.label}
        return self.generate_with(shape, {**label, **options})

    def generate_with(self, shape: Sequence[int], options: dict[str, Any]) -> "Future[tuple[list[torch.Tensor], list[int], np.ndarray]]":
        """The same with any options of `generate` in web/index.d.ts."""

        def work() -> tuple[list[torch.Tensor], list[int], np.ndarray]:
            made = self._loaded.trajectory(**self._as_reference(options))
            states = [torch.from_numpy(state).reshape(tuple(shape)) for state in made.states]
            return states, list(made.timesteps), made.picture.pixels.reshape(-1)

        return self._request(work)

    def picture(self, options: dict[str, Any]) -> "Future[np.ndarray]":
        """The pixels of the finished picture alone (uint8, flat)."""
        return self._request(lambda: self._loaded.generate(**self._as_reference(options)).pixels.reshape(-1))

    def _as_reference(self, options: dict[str, Any]) -> dict[str, Any]:
        """What is not given of time grid, interval, rescale and projection is as the reference has it, whatever the model recommends."""
        defaults = {"time_grid": "linear", "guidance_interval": (0, self._loaded.info.timesteps - 1), "rescale": 0.0, "projection": False}
        return {**defaults, **{snake_case(name): value for name, value in options.items()}}
