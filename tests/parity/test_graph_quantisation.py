"""Rounding of any network's weights: inputs of layers against PyTorch's own, sizes, and what it does to the prediction."""

from collections.abc import Iterator

import gguf
import pocket_diffusion
import pytest
import torch
import torch.nn.functional as F
from few_pictures import options_measured_once, use_few_pictures
from network_styles import scattered, sines
from pocket_diffusion.graph import calibrating
from pocket_diffusion.graph.calibrating import GraphCalibration
from pocket_diffusion.graph.exporting import export, import_network
from pocket_diffusion.graph.ir import GraphError
from pocket_diffusion.graph.process import Process
from pocket_diffusion.graph.write import write_graph
from pocket_diffusion.model_file import General, Recommendation
from torch import nn

SHAPE, CLASSES, PROCESS = (4, 8, 8), ["a", "b", "c"], Process.table("cosine", timesteps=50, objective="v")


class Net(nn.Module):
    """A layer of each kind that has weights."""

    def __init__(self) -> None:
        super().__init__()
        self.label, self.time = nn.Embedding(4, 32), nn.Linear(32, 32)
        self.stem, self.down = nn.Conv2d(4, 32, 3, padding=1), nn.Conv2d(32, 64, 4, 2, 1)
        self.groups, self.qkv = nn.Conv2d(64, 64, 3, padding=1, groups=4), nn.Conv2d(64, 192, 1)
        self.up, self.smooth, self.out = (
            nn.ConvTranspose2d(64, 32, 2, 2),
            nn.Conv2d(32, 32, 3, padding=1, padding_mode="reflect"),
            nn.Conv2d(64, 4, 3, padding=1),
        )

    def forward(self, x, t, y):
        skip = h = F.silu(self.stem(x) + self.time(sines(t, 32) + self.label(y))[..., None, None])
        h = self.groups(F.silu(self.down(h)))
        q, k, v = (each.flatten(2).transpose(1, 2)[:, None] for each in self.qkv(h).chunk(3, 1))
        h = h + F.scaled_dot_product_attention(q, k, v)[:, 0].transpose(1, 2).unflatten(2, h.shape[2:])
        return self.out(torch.cat((self.smooth(self.up(h)), skip), 1))


@pytest.fixture(scope="module", autouse=True)
def few_pictures() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        use_few_pictures(patch, calibrating)
        yield


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(3)
    return scattered(Net())


@pytest.fixture(scope="module")
def calibrated(network) -> GraphCalibration:
    imported = import_network(network, SHAPE, CLASSES, 3, PROCESS)

    def write(path, encoded):
        write_graph(path, imported.output, encoded, SHAPE, 1, imported.class_names, PROCESS, General("test"), Recommendation(steps=5))

    return GraphCalibration(imported, write, 1, 3.0, seed=0)


def test_inputs_of_layers(network, calibrated):
    """Rows times products times rows are the sum of a layer's squared outputs in PyTorch, without bias."""
    squares: dict[str, float] = {}
    names = {module: name for name, module in network.named_modules() if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear))}

    def add(module, arguments, output):
        (x,) = arguments
        name = f"{names[module]}.weight"
        if isinstance(module, nn.ConvTranspose2d):  # each input position by each row of weights
            products = torch.einsum("bchw,cokl->bohwkl", x, module.weight)
        else:
            bias = 0 if module.bias is None else module.bias.reshape(1, -1, *[1] * (x.ndim - 2))
            products = output - bias
        squares[name] = squares.get(name, 0.0) + float(products.double().square().sum())

    hooks = [module.register_forward_hook(add) for module in names]
    with torch.no_grad():
        for x, _, time, label in calibrated._evaluations(calibrated._inputs):
            network(x[None], torch.tensor([time]), torch.tensor([label]))
    for hook in hooks:
        hook.remove()
    found = dict(calibrated.products())
    without = {name for name, products in found.items() if products is None}
    assert "groups.weight" in without
    assert len(without) == 2  # and the table of classes
    for name, products in found.items():
        if products is not None:
            rows = calibrated.weights[name].double()
            assert float((rows @ products.sums.double() * rows).sum()) == pytest.approx(squares[name], rel=1e-3), name
    assert len(found) - len(without) == 7


def test_errors_are_of_the_guided_prediction(network, calibrated):
    name = "qkv.weight"
    chosen = calibrated._inputs[:: len(calibrated._inputs) // (calibrating.MEASURED - 1)]

    def guided() -> torch.Tensor:
        with torch.no_grad():
            pairs = [[network(x[None], torch.tensor([time]), torch.tensor([y]))[0] for y in (label, 3)] for x, _, time, label in chosen]
        return torch.stack([null + 3 * (of_class - null) for of_class, null in pairs])

    before = guided()
    with torch.no_grad():
        network.qkv.weight *= 1.1
        after = guided()
        network.qkv.weight /= 1.1
    expected = float((after - before).square().mean())
    assert calibrated.error(name, calibrated.weights[name] * 1.1) == pytest.approx(expected, rel=1e-2)
    assert calibrated.error(name, calibrated.weights[name]) == 0.0


def test_rounding_for_inputs_is_better(network, tmp_path, monkeypatch):
    """4 bits rounded for what layers see change the prediction less than 4 bits rounded alone; the engine reads both."""
    arguments = {"shape": SHAPE, "classes": CLASSES, "null": 3, "process": PROCESS, "type": "q4_0", "steps": 5}
    seen = export(network, tmp_path / "seen.gguf", **arguments)
    monkeypatch.setattr(GraphCalibration, "products", lambda self: ((name, None) for name in self.matrices))
    alone = export(network, tmp_path / "alone.gguf", **arguments)
    assert seen.engine < 1e-5
    assert seen.rounding < 0.8 * alone.rounding


@pytest.mark.slow
def test_files_of_a_size(network, tmp_path):
    """As large as allowed, the better the larger, and the same bytes each time."""
    kinds = set()
    sizes = (60_000, 75_000, 105_000)
    arguments = {"shape": SHAPE, "classes": CLASSES, "null": 3, "process": PROCESS, "steps": 5}
    with options_measured_once():
        errors = [export(network, tmp_path / f"{size}.gguf", bytes=size, **arguments).rounding for size in sizes]
    for size in sizes:
        path = tmp_path / f"{size}.gguf"
        assert 0.9 * size < path.stat().st_size <= size
        kinds |= {tensor.tensor_type.name for tensor in gguf.GGUFReader(path).tensors}
    assert errors[0] > errors[1] > errors[2] > 0
    assert len(kinds) >= 4
    again = tmp_path / "again.gguf"
    export(network, again, bytes=60_000, name="60000", **arguments)
    assert again.read_bytes() == (tmp_path / "60000.gguf").read_bytes()
    assert pocket_diffusion.load(again).generate(label="a", seed=1).pixels.shape == (8, 8, 4)


def test_threads_are_given_back(network, tmp_path, monkeypatch):
    """Measured on one, whatever the program has otherwise; also where there is no such file, which is said in Python's words."""
    seen = set()
    products = GraphCalibration.products

    def watched(self):
        seen.add(torch.get_num_threads())
        return products(self)

    monkeypatch.setattr(GraphCalibration, "products", watched)
    arguments = {"shape": SHAPE, "classes": CLASSES, "null": 3, "process": PROCESS, "steps": 5}
    torch.set_num_threads(2)
    try:
        export(network, tmp_path / "model.gguf", type="q4_0", **arguments)
        assert torch.get_num_threads() == 2
        with pytest.raises(GraphError, match=r"^bytes 1000: the smallest file of this network has about"):
            export(network, tmp_path / "small.gguf", bytes=1000, **arguments)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert seen == {1}
    assert not (tmp_path / "small.gguf").exists()
