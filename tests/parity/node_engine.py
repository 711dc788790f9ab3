"""The JavaScript library under Node.js, driven from Python, with the methods of pocket_diffusion.engine.Engine and a few more."""

import base64
import contextlib
import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pocket_diffusion.engine import EngineError
from pocket_diffusion.reference import Generation

WORKER = Path(__file__).with_name("node_engine_worker.mjs")


def _encode(x: torch.Tensor) -> str:
    return base64.b64encode(x.contiguous().numpy().astype("<f4").tobytes()).decode()


def _decode_floats(text: str) -> torch.Tensor:
    return torch.from_numpy(np.frombuffer(base64.b64decode(text), dtype="<f4").astype(np.float32))


def _encode_bytes(pixels: np.ndarray) -> dict[str, Any]:
    """uint8 [H, W] or [H, W, C], as image or mask."""
    height, width, channels = (*pixels.shape, 1)[:3]
    return {"width": width, "height": height, "channels": channels, "pixels": base64.b64encode(pixels.tobytes()).decode()}


def _encode_options(options: dict[str, Any]) -> dict[str, Any]:
    """Arrays (uint8 image and mask, float32 noise) as the worker reads them."""
    arrays = {name: _encode_bytes(options[name]) for name in ("image", "mask") if options.get(name) is not None}
    if options.get("noise") is not None:
        arrays["noise"] = _encode(options["noise"])
    return {**options, **arrays}


def _options(generation: Generation) -> dict[str, Any]:
    """In the words of `generate` in web/index.d.ts."""
    return {
        "label": generation.label,
        "seed": generation.seed,
        "sampler": generation.sampler,
        "steps": generation.steps,
        "eta": generation.eta,
        "guidanceScale": generation.guidance_scale,
        "projection": generation.projection,
        "rescale": generation.rescale,
    }


class Engine:
    """One Node process. Requests are answered in order; each returns a Future at once, so that the engine works on
    one core while PyTorch works on another.
    """

    def __init__(self) -> None:
        node = shutil.which("node")
        if node is None:
            raise EngineError("node is not installed, or not on the PATH")
        self._process = subprocess.Popen([node, str(WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._pending: dict[int, tuple[Future, Callable[[Any], Any]]] = {}
        self._writing = threading.Lock()
        self._last_id = 0
        self._complaints: list[str] = []
        self._readers = [threading.Thread(target=read, daemon=True) for read in (self._read_answers, self._read_complaints)]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Ends the process; requests still unanswered fail."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for reader in self._readers:
            reader.join()
        self._process.stdout.close()
        self._process.stderr.close()

    def load(self, path: Path) -> Future:
        """The model that later requests are about. Result: labels, info, alphasCumprod."""
        return self._request({"op": "load", "path": str(path.resolve())}, lambda result: result)

    def predict(self, x: torch.Tensor, t: int, label: int | None) -> Future:
        """Result: one prediction, [out_dim, H, W]."""
        return self._request(
            {"op": "predict", "x": _encode(x), "t": t, "label": label},
            lambda result: _decode_floats(result["prediction"]).reshape(-1, *x.shape[1:]),
        )

    def generate(self, shape: Sequence[int], generation: Generation) -> Future:
        """Result: x after every step [steps][C, H, W], the times visited, and the pixels (uint8, flat)."""
        return self.generate_with(shape, _options(generation))

    def generate_with(self, shape: Sequence[int], options: dict[str, Any]) -> Future:
        """The same with any options of the JavaScript API."""
        return self._request(
            {"op": "generate", "options": _encode_options(options)},
            lambda result: (
                [_decode_floats(state).reshape(tuple(shape)) for state in result["states"]],
                result["timesteps"],
                np.frombuffer(base64.b64decode(result["pixels"]), dtype=np.uint8),
            ),
        )

    def invert(self, shape: Sequence[int], options: dict[str, Any]) -> Future:
        """Result: x after every step and the noise, all [C, H, W]."""
        return self._request(
            {"op": "invert", "options": _encode_options(options)},
            lambda result: [_decode_floats(x).reshape(tuple(shape)) for x in (*result["states"], result["noise"])],
        )

    def trace_with(self, shape: Sequence[int], options: dict[str, Any]) -> Future:
        """The steps of a run: dicts of the timestep and, by name, of planes: values [C, H, W], norm, range, pixels (uint8, flat);
        None for those that were not made.
        """

        def read(plane: dict[str, Any]) -> dict[str, Any]:
            pixels = np.frombuffer(base64.b64decode(plane["pixels"]), dtype=np.uint8)
            return {**plane, "values": _decode_floats(plane["values"]).reshape(tuple(shape)), "pixels": pixels}

        return self._request(
            {"op": "trace", "options": _encode_options(options)},
            lambda result: [{name: read(item) if isinstance(item, dict) else item for name, item in step.items()} for step in result["steps"]],
        )

    def picture(self, options: dict[str, Any]) -> Future:
        """Result: the pixels of the finished picture alone (uint8, flat). `options` are those of the JavaScript API."""
        return self._request(
            {"op": "picture", "options": options},
            lambda result: np.frombuffer(base64.b64decode(result["pixels"]), dtype=np.uint8),
        )

    def _request(self, request: dict[str, Any], convert: Callable[[Any], Any]) -> Future:
        future: Future = Future()
        with self._writing:
            self._last_id += 1
            self._pending[self._last_id] = future, convert
            with contextlib.suppress(BrokenPipeError, ValueError):  # it has ended: told below, or by the reader
                self._process.stdin.write(json.dumps({"id": self._last_id, **request}) + "\n")
                self._process.stdin.flush()
        if self._process.poll() is not None:
            self._readers[0].join()
            self._fail_pending()
        return future

    def _read_answers(self) -> None:
        """Takes no lock: the process may be waiting for this thread while another waits to write to it."""
        for line in self._process.stdout:
            try:
                answer = json.loads(line)
                future, convert = self._pending.pop(answer["id"])
            except (ValueError, KeyError, TypeError):
                self._complaints.append(f"Error: unexpected output {line.strip()[:80]!r}")
                self._process.kill()
                break
            try:
                if "error" in answer:
                    raise EngineError(answer["error"])
                future.set_result(convert(answer["result"]))
            except Exception as error:  # whatever went wrong belongs to whoever waits for this answer
                future.set_exception(error)
        self._fail_pending()

    def _read_complaints(self) -> None:
        self._complaints.extend(self._process.stderr)

    def _fail_pending(self) -> None:
        self._readers[1].join()
        reason = next((line.strip() for line in self._complaints if "Error" in line), "it ended without a word")
        while self._pending:
            with contextlib.suppress(KeyError):  # another thread may be doing the same
                _, (future, _) = self._pending.popitem()
                future.set_exception(EngineError(f"the engine ended: {reason}"))
