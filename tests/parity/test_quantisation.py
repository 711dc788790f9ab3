"""Rounding to blocks, what it is measured on, and the choice of types: against the `gguf` package, brute force and identities."""

import itertools

import gguf
import numpy as np
import pytest
import torch
from few_pictures import options_measured_once, use_few_pictures
from gguf import GGMLQuantizationType
from pocket_diffusion import calibration, export_command, quantisation, reference
from pocket_diffusion.calibration import Calibration, Option
from pocket_diffusion.checkpoint import describe, read_checkpoint
from pocket_diffusion.model_file import read_model, to_rows
from pocket_diffusion.quantisation import InputProducts

ARGUMENTS = {"dim": 16, "num_classes": 3, "dim_mults": (1, 2), "channels": 4, "cond_drop_prob": 0.25}
SMALL = ["q4_0", "q4_1", "q5_0", "q5_1"]


@pytest.fixture(autouse=True)
def few_pictures(monkeypatch):
    use_few_pictures(monkeypatch, calibration)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("quantisation") / "checkpoint.pt"
    torch.save(
        {
            "unet": dict(ARGUMENTS),
            "ema": reference.random_unet(ARGUMENTS, seed=1).state_dict(),
            "diffusion": {"image_size": 8, "timesteps": 200, "objective": "pred_v", "beta_schedule": "cosine"},
            "pixel_unshuffle": 2,
            "image": {"height": 16, "width": 16, "channels": 1},
            "classes": ["a", "b", "c"],
        },
        path,
    )
    return path


@pytest.fixture
def calibrated(checkpoint) -> Calibration:
    read = read_checkpoint(checkpoint)
    return Calibration(describe(read), read.weights, 3.0, 0)


def decoded(data: np.ndarray, name: str) -> np.ndarray:
    """By the package, whatever the blocks were made by; [blocks, 32]."""
    kind = GGMLQuantizationType[name.upper()]
    return gguf.quants.dequantize(data.reshape(-1, gguf.GGML_QUANT_SIZES[kind][1]), kind)


def package_quantize(rows: np.ndarray, name: str) -> np.ndarray:
    return gguf.quants.quantize(rows.reshape(-1, 32), GGMLQuantizationType[name.upper()])


# ---- rounding -----------------------------------------------------------------


@pytest.mark.parametrize("name", SMALL)
def test_what_blocks_can_hold_is_kept(name):
    """Blocks of random bits come back as the values that they are, where the lowest and the highest level are among them."""
    kind = quantisation.TYPES[name]
    random = np.random.default_rng(3)
    blocks = random.integers(0, 256, (200, gguf.GGML_QUANT_SIZES[kind][1]), dtype=np.uint8)
    halves = random.normal(size=(200, 2)).astype(np.float16)
    blocks[:, :2] = halves[:, :1].view(np.uint8)
    if name.endswith("1"):  # the smallest value is to be level 0
        blocks[:, :2], blocks[:, 2:4] = np.abs(halves[:, :1]).view(np.uint8), halves[:, 1:].view(np.uint8)
    fifth_bits, nibbles = blocks[:, -20:-16], blocks[:, -16:]
    nibbles[:, 0] = 0xF0  # levels 0 and 16
    if name.startswith("q5"):
        fifth_bits[:, 0] &= 0xFE
        fifth_bits[:, 2] |= 0x01
    values = gguf.quants.dequantize(blocks, kind)
    again = decoded(quantisation.quantize(values, kind), name)
    assert np.abs(again - values).max() <= 1e-6 * np.abs(values).max()  # sums with a minimum are rounded to float32


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("shape", ["normal", "skewed", "outliers", "tiny"])
def test_search_is_no_worse_than_extremes(name, shape):
    """The package takes the scale of a block from its extremes."""
    random = np.random.default_rng(4)
    values = random.normal(size=(64, 96)).astype(np.float32)
    values = {"normal": values, "skewed": np.exp(values), "outliers": values**5, "tiny": values * np.float32(1e-6)}[shape]
    blocks = values.reshape(-1, 32)
    ours = decoded(quantisation.quantize(values, quantisation.TYPES[name]), name)
    theirs = decoded(package_quantize(values, name), name)
    ours, theirs = (np.square(each - blocks, dtype=np.float64).sum(axis=1) for each in (ours, theirs))
    assert (ours <= theirs * (1 + 1e-4) + 1e-30).all()
    assert ours.sum() < 0.99 * theirs.sum()


@pytest.mark.parametrize("name", SMALL)
def test_blocks_of_one_value(name):
    for value in (0.0, 0.75, -3.0):
        values = np.full((2, 32), value, np.float32)
        assert np.array_equal(decoded(quantisation.quantize(values, quantisation.TYPES[name]), name), values)


@pytest.mark.parametrize("name", SMALL)
def test_errors_are_made_good(name):
    """Inputs that are alike: the output of a layer changes by less than half as much. 90 columns: blocks straddle rows."""
    random = np.random.default_rng(5)
    kind = quantisation.TYPES[name]
    rows = random.normal(size=(32, 90)).astype(np.float32)
    inputs = random.normal(size=(90, 10)) @ random.normal(size=(10, 2000)) + 0.3 * random.normal(size=(90, 2000))
    products = InputProducts(torch.from_numpy((inputs @ inputs.T).astype(np.float32)))

    def change(data: np.ndarray) -> float:
        return float(np.square((decoded(data, name).reshape(rows.shape) - rows) @ inputs).sum())

    assert change(quantisation.quantize(rows, kind, products)) < 0.25 * change(quantisation.quantize(rows, kind))


@pytest.mark.parametrize("name", SMALL)
def test_independent_inputs_leave_nothing_to_make_good(name):
    rows = np.random.default_rng(6).normal(size=(8, 64)).astype(np.float32)
    kind = quantisation.TYPES[name]
    assert np.array_equal(quantisation.quantize(rows, kind, InputProducts(7 * torch.eye(64))), quantisation.quantize(rows, kind))


# ---- measurements -------------------------------------------------------------


def test_products_are_of_the_inputs(calibrated):
    """A layer's output without its bias is rows times inputs; so the sum of its squares is the trace of rows P rows'."""
    unet = calibrated._unet
    squares: dict[str, float] = {}
    hooks = []

    def watch(name: str, layer: torch.nn.Module) -> None:
        def add(_layer, _inputs, output: torch.Tensor) -> None:
            if layer.bias is not None:
                output = output - (layer.bias[:, None, None] if output.ndim == 4 else layer.bias)
            squares[name] = squares.get(name, 0.0) + float(output.double().square().sum())

        hooks.append(layer.register_forward_hook(add))

    for name, layer in unet.named_modules():
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
            watch(f"{name}.weight", layer)
    found = dict(calibrated.products())
    assert {name for name, products in found.items() if products is None} == {"classes_emb.weight"}
    assert squares.keys() == found.keys() - {"classes_emb.weight"}
    for name, expected in squares.items():
        rows = to_rows(name, calibrated.weights[name]).double()
        assert float((rows @ found[name].sums.double() * rows).sum()) == pytest.approx(expected, rel=1e-3), name


def test_products_in_parts(calibrated, monkeypatch):
    """The same if only a few are held at once."""
    whole = dict(calibrated.products())
    monkeypatch.setattr(calibration, "PRODUCTS_BYTES", 300_000)
    parts = dict(calibrated.products())
    assert list(parts) == list(whole)
    assert all(products is None or torch.equal(products.sums, parts[name].sums) for name, products in whole.items())


def test_error_is_of_the_prediction(calibrated):
    """Against the guided prediction of the reference itself; and the network is as it was afterwards."""
    name = "mid_block1.block1.proj.weight"
    changed = dict(calibrated.weights) | {name: calibrated.weights[name] * 1.1}
    inputs = calibrated._measured
    predictions = [
        reference.build_unet(ARGUMENTS, weights).forward_with_cond_scale(
            inputs.x, inputs.times, inputs.labels, cond_scale=3.0, remove_parallel_component=False
        )[0]
        for weights in (calibrated.weights, changed)
    ]
    expected = float((predictions[1] - predictions[0]).square().mean())
    assert calibrated.error(name, changed[name]) == pytest.approx(expected, rel=1e-3)
    assert calibrated.error(name, calibrated.weights[name]) == 0.0


# ---- choice -------------------------------------------------------------------


def test_choice_against_brute_force():
    random = np.random.default_rng(8)
    for _ in range(50):
        options = {
            name: [Option(None, 32 * int(random.integers(1, 30)), float(random.exponential())) for _ in range(random.integers(1, 5))] for name in "abcde"
        }
        everything = [(sum(o.bytes for o in each), sum(o.error for o in each)) for each in itertools.product(*options.values())]
        for budget in random.integers(100, 5000, 5):
            fitting = [error for size, error in everything if size <= budget]
            chosen = calibration.choose(options, int(budget))
            if not fitting:
                assert chosen is None
                continue
            assert sum(option.bytes for option in chosen.values()) <= budget
            assert sum(option.error for option in chosen.values()) == pytest.approx(min(fitting))
    assert calibration.choose({"a": [Option(None, 32, 1.0)]}, -5) is None


# ---- files --------------------------------------------------------------------


def export_model(checkpoint, path, *options: str) -> int:
    return export_command.main([str(checkpoint), str(path), *options])


def test_files_of_a_size(checkpoint, tmp_path):
    """As large as allowed, the better the larger, and the same bytes each time."""
    original = read_checkpoint(checkpoint).weights
    errors, kinds = [], set()
    sizes = ("190k", "230k", "290k")
    with options_measured_once():
        assert [export_model(checkpoint, tmp_path / f"{size}.gguf", "--bytes", size) for size in sizes] == [0, 0, 0]
    for size in sizes:
        path = tmp_path / f"{size}.gguf"
        most = int(size[:-1]) * 1000
        assert 0.97 * most < path.stat().st_size <= most
        file = read_model(path)
        kinds |= set(file.types.values())
        errors.append(sum(float((file.weights[name] - tensor).square().sum()) for name, tensor in original.items()))
    assert errors[0] > errors[1] > errors[2] > 0
    assert len(kinds) >= 5
    assert export_model(checkpoint, tmp_path / "again.gguf", "--bytes", "0.19M", "--name", "190k") == 0
    assert (tmp_path / "again.gguf").read_bytes() == (tmp_path / "190k.gguf").read_bytes()


def test_sizes_that_cannot_be(checkpoint, tmp_path, capsys):
    assert export_model(checkpoint, tmp_path / "model.gguf", "--bytes", "20k") == 1
    assert "--bytes 20000: the smallest file of this network has about" in capsys.readouterr().err
    for wrong in (["--bytes", "0"], ["--bytes", "x"], ["--bytes", "1M", "--type", "q4_0"], ["--type", "q4_k"]):
        with pytest.raises(SystemExit) as exit_:
            export_model(checkpoint, tmp_path / "model.gguf", *wrong)
        assert exit_.value.code == 2
    assert not (tmp_path / "model.gguf").exists()


@pytest.mark.parametrize("name", SMALL)
def test_files_of_one_type(checkpoint, tmp_path, name):
    """Every matrix of whole blocks; the stem and vectors are not."""
    path = tmp_path / "model.gguf"
    assert export_model(checkpoint, path, "--type", name) == 0
    reader = gguf.GGUFReader(path)
    types = {tensor.name: tensor.tensor_type.name for tensor in reader.tensors}
    for tensor, weight in read_checkpoint(checkpoint).weights.items():
        vector = weight.ndim == 1 or tensor.endswith(".g")
        ragged = weight.numel() % 32 or tensor == "init_conv.weight"
        assert types[tensor] == ("F32" if vector else "F16" if ragged else name.upper()), tensor
    assert reader.fields["general.file_type"].contents() == gguf.LlamaFileType[f"MOSTLY_{name.upper()}"]


def test_network_that_cannot_be_sampled(tmp_path):
    """Twice as many channels out as in: measured on noise."""
    arguments = {**ARGUMENTS, "out_dim": 8}
    torch.save(reference.random_unet(arguments, seed=2).state_dict(), tmp_path / "checkpoint.pt")
    options = ["--image-size", "8", "--objective", "pred_noise", "--beta-schedule", "linear", "--timesteps", "100", "--attn-heads", "4"]
    assert export_model(tmp_path / "checkpoint.pt", tmp_path / "model.gguf", "--bytes", "0.25M", *options) == 0
