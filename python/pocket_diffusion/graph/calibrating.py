"""What any network makes of rounded weights: the same measurements as of the reference's, on its list of operations.

The pictures are drawn by the engine from a file with the weights as they are.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torch.nn.functional as F

from pocket_diffusion.calibration import noised, portions, spread
from pocket_diffusion.errors import PocketDiffusionError
from pocket_diffusion.graph.exporting import Network
from pocket_diffusion.graph.interpreter import Interpreter, patches
from pocket_diffusion.graph.ir import GraphError, Value
from pocket_diffusion.graph.write import encode_graph, matrices_of, weights_of
from pocket_diffusion.model import load
from pocket_diffusion.model_file import Encoded
from pocket_diffusion.quantisation import InputProducts

Tensor = torch.Tensor
PICTURES, TIMES_PER_PICTURE = 32, 4
MEASURED = 7  # of the inputs, evenly spread: what the errors of the types are compared on


def _draw(network: Network, write: Callable[[Path, Mapping[str, Encoded]], object], pixel_unshuffle: int, seed: int) -> Tensor:
    """Pictures as the model recommends, [PICTURES, C, H, W]; classes take turns."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.gguf"
        write(path, encode_graph(network.output, "f32"))
        pictures = []
        with load(path) as model:
            for number in range(PICTURES):
                label = {"label": number % len(network.class_names)} if network.class_names else {}
                pixels = torch.from_numpy(model.generate(seed=seed + 1 + number, **label).pixels.copy())
                pictures.append(F.pixel_unshuffle(pixels.float().permute(2, 0, 1) / 127.5 - 1, pixel_unshuffle))
    return torch.stack(pictures)


class GraphCalibration:
    """A list of operations, the inputs to measure it on, and what it predicts from them as it is: `calibration.Calibrated`."""

    def __init__(
        self, network: Network, write: Callable[[Path, Mapping[str, Encoded]], object], pixel_unshuffle: int, guidance_scale: float, seed: int
    ) -> None:
        self.weights = {name: weight.rows for name, weight in weights_of(network.output).items()}
        self.matrices = list(matrices_of(network.output))
        self._scale = guidance_scale if network.has_null else 1.0
        self._run = Interpreter(network.output)
        count, process = PICTURES * TIMES_PER_PICTURE, network.process
        generator = torch.Generator().manual_seed(seed)
        noise, times, which = spread(PICTURES, count, network.shape, process.timesteps, generator)
        try:
            drawn = _draw(network, write, pixel_unshuffle, seed)
        except PocketDiffusionError as failure:
            raise GraphError(f"the engine refuses the file: {failure}. No file was written") from failure
        x = noised(drawn[which], noise, times, process.alphas_cumprod)
        labels = (which % max(1, len(network.class_names))).tolist()
        self._inputs = [(each, t, float(process.times[t]), label) for each, t, label in zip(x, times.tolist(), labels)]
        self._null = len(network.class_names)
        # All values on the way, of each measured input: a change is followed from where it is made.
        chosen = list(self._evaluations(self._inputs[:: count // (MEASURED - 1)]))
        self._rows = [(t, label) for _, t, _, label in chosen]
        self._measured = [self._run.values(*each) for each in chosen]
        self._expected = self._guided([values[-1] for values in self._measured])
        if not self._expected.isfinite().all():
            raise GraphError("the predictions of this network are not finite: there is nothing to round by; use type q8_0")

    def _evaluations(self, inputs: Sequence[tuple[Tensor, int, float, int]]) -> Iterator[tuple[Tensor, int, float, int]]:
        """Of each input one with its class and, where it counts, one without."""
        for x, t, time, label in inputs:
            yield x, t, time, label
            if self._scale != 1:
                yield x, t, time, self._null

    def _guided(self, predictions: Sequence[Tensor]) -> Tensor:
        if self._scale == 1:
            return torch.stack(list(predictions))
        of_class, of_null = torch.stack(list(predictions[::2])), torch.stack(list(predictions[1::2]))
        return of_null + self._scale * (of_class - of_null)

    def error(self, name: str, values: Tensor) -> float:
        """Mean squared change of the prediction if one tensor had these values."""
        predictions = [self._run.changed(known, rows, name, values) for known, rows in zip(self._measured, self._rows)]
        return float((self._guided(predictions) - self._expected).double().square().mean())

    def products(self) -> Iterator[tuple[str, InputProducts | None]]:
        """Of every matrix; None for tables, whose rows are looked up, and for convolutions in groups."""
        for names in portions({name: self.weights[name].shape[1] for name in self.matrices}):
            yield from self._collect(names)

    def _collect(self, names: Sequence[str]) -> Iterator[tuple[str, InputProducts | None]]:
        sums: dict[str, Tensor] = {}
        wanted = set(names)

        def add(value: Value, inputs: Sequence[Tensor | None]) -> None:
            name = value.tensors[0].name if value.tensors and value.tensors[0] is not None else ""
            if name not in wanted or value.name not in ("linear", "conv", "conv_transpose") or inputs[0] is None:
                return
            x = inputs[0]
            if value.name == "conv":
                if value.integers[10] != 1:
                    return
                x = patches(value, x)
            x = x.reshape(-1, x.shape[-1])
            sums[name] = sums[name] + x.T @ x if name in sums else x.T @ x

        for each in self._evaluations(self._inputs):
            self._run.values(*each, seen=add, keep=False)
        for name in names:
            yield name, InputProducts(sums.pop(name)) if name in sums else None
