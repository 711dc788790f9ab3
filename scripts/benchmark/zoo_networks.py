"""Networks of other people's packages (scripts/checks/network_zoo.py) as files for the contestants of scripts/benchmark/zoo.mjs.

    python scripts/benchmark/zoo_networks.py FOLDER NAME...

Writes FOLDER/NAME.gguf with float32 weights and FOLDER/NAME.onnx: x float32 [1, C, H, W], t int64 [1], the index of the time,
and label int64 [1], the row of the class. The first is written anew each time, the second, which takes long, if it is not there.
"""

import contextlib
import io
import sys
import warnings
from pathlib import Path

import torch

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "scripts" / "checks"), str(REPOSITORY / "python")]

import network_zoo  # noqa: E402
from pocket_diffusion.graph.exporting import labels_of  # noqa: E402
from pocket_diffusion.graph.trace import call, prepared  # noqa: E402
from pocket_diffusion.graph.write import encode_graph, write_graph  # noqa: E402
from pocket_diffusion.model_file import General, Recommendation  # noqa: E402


class OneForward(torch.nn.Module):
    """A network of the zoo, called with the index of the time and the row of the class."""

    def __init__(self, name: str) -> None:
        super().__init__()
        given = network_zoo.built(name)
        self.network, self.shape = prepared(given["network"]), given["shape"]
        labels = [label for label in labels_of(len(given["classes"]), given["null"]) if label is not None]
        self.register_buffer("times", torch.from_numpy(given["process"].times).clone())
        self.register_buffer("labels", torch.tensor(labels or [0]))

    def forward(self, x: torch.Tensor, t: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return call(self.network, x, self.times[t], self.labels[label])[:, : x.shape[1]]


def write_model(name: str, folder: Path) -> None:
    """What this project writes now."""
    network = network_zoo.imported(name)
    encoded = encode_graph(network.output, "f32")
    general, recommended = General(name), Recommendation(steps=10, guidance_scale=1.0)
    write_graph(folder / f"{name}.gguf", network.output, encoded, network.shape, 1, network.class_names, network.process, general, recommended)


def write_onnx(name: str, folder: Path) -> None:
    forward = OneForward(name).eval()
    channels, height, width = forward.shape
    names = ["x", "t", "label", "prediction"]
    inputs = (torch.zeros(1, channels, height, width), torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.int64))
    path, how = folder / f"{name}.onnx", {"input_names": names[:3], "output_names": names[3:], "opset_version": 18}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):  # the exporters' own words
        warnings.simplefilter("ignore")  # numbers of Python become constants, which is what is wanted
        try:
            torch.onnx.export(forward, inputs, path, **how, dynamo=False)
        except Exception:  # of many kinds: weights that are made on the way, functions that are compiled, operations that it has not
            torch.onnx.export(forward, inputs, path, **how, dynamo=True, external_data=False)


def made(name: str, folder: Path) -> bool:
    """Are both files there now; if not, why is said."""
    try:
        write_model(name, folder)
        if not (folder / f"{name}.onnx").exists():
            write_onnx(name, folder)
    except Exception as error:  # of whatever kind: the other networks are measured all the same
        print(f"{name}: {type(error).__name__}: {str(error).splitlines()[0]}", file=sys.stderr, flush=True)
        return False
    print(name, file=sys.stderr, flush=True)
    return True


def main(folder: str, *names: str) -> int:
    """Exit code: 0 all are there, 1 some could not be made, which is said."""
    network_zoo.look_for_packages(network_zoo.PACKAGES[0])
    Path(folder).mkdir(parents=True, exist_ok=True)
    failed = sum(not made(name, Path(folder)) for name in names or network_zoo.ZOO)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
