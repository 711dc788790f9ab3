"""PyTorch as a contestant of the benchmark (scripts/benchmark/pytorch.mjs): one thread, eager, the reference's network.

One JSON request a line on standard input, one JSON answer a line on standard output; nothing runs in between, so that
the contestants of other processes can take turns with it.

    {"op": "load", "path": "MODEL.gguf"}                        -> {"version", "threads"}; or "zoo:NAME", of network_zoo.py
    {"op": "prepare", "x", "t", "label", "count"}               -> {"format"}; x: base64 of float32 [count, C, H, W];
                                                                   label: num_classes is the null class
    {"op": "predict"}                                           -> {"prediction"}, base64 of float32
    {"op": "time", "count": N}                                  -> {"wall", "cpu"}, milliseconds of N evaluations

`prepare` chooses the memory format (contiguous or channels_last) that is faster on this machine.
"""

import base64
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from export_onnx import OneForward, read_network

WARM_UP, TRIALS = 2, 3
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


class Contestant:
    _knows_zoo = False

    def load(self, path: str) -> dict[str, Any]:
        if path.startswith("zoo:"):
            import zoo_networks

            if not self._knows_zoo:
                zoo_networks.network_zoo.look_for_packages(zoo_networks.network_zoo.PACKAGES[0])
                self._knows_zoo = True
            self._network = zoo_networks.OneForward(path.removeprefix("zoo:")).eval()
            self._shape = self._network.shape
        else:
            unet, self._shape = read_network(Path(path))
            self._network = OneForward(unet).eval()
        return {"version": torch.__version__, "threads": torch.get_num_threads()}

    def prepare(self, x: str, t: list[int], label: list[int], count: int) -> dict[str, Any]:
        values = np.frombuffer(base64.b64decode(x), dtype="<f4").astype(np.float32)
        self._x = torch.from_numpy(values).reshape(count, *self._shape)
        self._t, self._label = torch.tensor(t), torch.tensor(label)
        milliseconds = {}
        for name in FORMATS:
            self._use(name)
            for _ in range(WARM_UP):
                self._evaluate()
            milliseconds[name] = min(self.time(1)["cpu"] for _ in range(TRIALS))
        best = min(milliseconds, key=milliseconds.get)
        self._use(best)
        return {"format": best}

    def predict(self) -> dict[str, Any]:
        prediction = self._evaluate().contiguous().numpy().astype("<f4")
        return {"prediction": base64.b64encode(prediction.tobytes()).decode()}

    def time(self, count: int) -> dict[str, float]:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(count):
            self._evaluate()
        return {"wall": (time.perf_counter() - wall) * 1e3, "cpu": (time.process_time() - cpu) * 1e3}

    def _use(self, name: str) -> None:
        self._network.to(memory_format=FORMATS[name])
        self._x = self._x.contiguous(memory_format=FORMATS[name])

    def _evaluate(self) -> torch.Tensor:
        with torch.inference_mode():
            return self._network(self._x, self._t, self._label)


def main() -> None:
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    contestant = Contestant()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(contestant, request.pop("op"))(**request)
        except Exception as error:  # the one who asked decides what it means
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
