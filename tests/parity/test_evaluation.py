"""The tables of evaluate.py on the small test model: what is measured, what is counted, and going on after an interruption."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from pocket_diffusion import export_command, reference
from pocket_diffusion.evaluation import evaluate, metrics, pictures
from pocket_diffusion.evaluation.pictures import Model, Pictures, Setting
from pocket_diffusion.model_file import read_model

LARGEST_PLOT = 60_000  # bytes


@pytest.fixture(scope="module")
def model(repository: Path) -> Path:
    return repository / "tests" / "golden" / "tiny.gguf"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of the model's three classes; the classifier and what was drawn stay here from test to test."""
    path, chance = tmp_path_factory.mktemp("evaluation"), random.Random(1)
    for name in ("circle", "square", "triangle"):
        (path / "data" / name).mkdir(parents=True)
        for i in range(150):
            picture = Image.new("L", (16, 16), 255)
            x, y, side = chance.randint(1, 5), chance.randint(1, 5), chance.randint(7, 9)
            corners = {"circle": 40, "square": 4, "triangle": 3}[name]
            ImageDraw.Draw(picture).regular_polygon((x + side / 2, y + side / 2, side / 1.5), corners, fill=chance.randint(0, 90))
            picture.save(path / "data" / name / f"{i}.png")
    return path


def run(workplace: Path, model: Path, output: Path, *options: str) -> dict:
    arguments = [
        str(model), "--data", str(workplace / "data"), "--cache", str(workplace), "--drawn", str(workplace / "drawn"), "--output", str(output),
        "--pictures", "24", "--classifier-pictures", "2000", *options,
    ]  # fmt: skip
    assert evaluate.main(arguments) == 0
    table = options[options.index("--table") + 1]
    assert (output / f"tiny-{table}.md").read_text().count("|") > 20
    assert (output / f"tiny-{table}.png").stat().st_size < LARGEST_PLOT
    return json.loads((output / f"tiny-{table}.json").read_text())


STEPS = ("--table", "steps", "--samplers", "ddim,euler,heun:karras,ddpm", "--calls", "2,5,20", "--distance-pictures", "10")


@pytest.fixture
def short(model: Path, tmp_path: Path) -> Path:
    """The same network for a process of 20 timesteps."""
    file = read_model(model)
    data = file.metadata
    checkpoint = {
        "unet": file.unet, "ema": file.weights, "classes": list(file.class_names), "pixel_unshuffle": data["image.pixel_unshuffle"],
        "image": {side: data[f"image.{side}"] for side in ("width", "height", "channels")},
        "diffusion": {"image_size": file.network_shape[1], "timesteps": 20, "objective": data["diffusion.objective"], "beta_schedule": "cosine"},
    }  # fmt: skip
    torch.save(checkpoint, tmp_path / "short.pt")
    path = tmp_path / "tiny.gguf"
    assert export_command.main([str(tmp_path / "short.pt"), str(path), "--type", "f32", "--steps", "20"]) == 0
    return path


def test_steps(workplace: Path, short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    result = run(workplace, short, tmp_path / "first", *STEPS)
    rows = {(row["name"], row["calls"]): row for row in result["rows"]}
    # Heun evaluates twice a step, but once in the last: the odd number at or below.
    assert set(rows) == {(name, calls) for name in ("ddim", "euler", "ddpm") for calls in (2, 5, 20)} | {("heun", calls) for calls in (1, 5, 19)}
    assert rows["ddim", 20]["distance"] == 0 and rows["ddim", 2]["distance"] > rows["ddim", 5]["distance"] > 0
    assert rows["ddpm", 20]["distance"] == 0 and rows["ddpm", 2]["distance"] > 0  # with the same seeds
    assert rows["ddpm", 20]["distance_between_seeds"] > rows["ddim", 5]["distance"]
    assert rows["euler", 5]["frechet"] == rows["ddim", 5]["frechet"]
    text = (tmp_path / "first" / "tiny-steps.md").read_text()
    assert "| network calls | 2 | 5 | 20 |" in text and "| ddim = euler |" in text and "| heun, karras |" in text

    # An interrupted run: some chunks are gone, one was being written. The rest is not drawn again.
    drawn = sorted((workplace / "drawn").glob("*.npy"))
    drawn[0].unlink()
    (workplace / "drawn" / ".half.npy.1.partial").write_bytes(b"torn")
    asked, engine_picture = [], pictures.Engine.picture
    monkeypatch.setattr(pictures.Engine, "picture", lambda self, options: asked.append(options) or engine_picture(self, options))
    again = run(workplace, short, tmp_path / "second", *STEPS, "--processes", "2")
    assert again == result and 0 < len(asked) <= 24
    of_ddim = run(workplace, short, tmp_path / "third", *STEPS, "--limit", "ddim")
    assert {row["name"] for row in of_ddim["rows"] if "distance" not in row} == {"ddpm"}  # it has not that limit


def test_equal_samplers_are_equal(workplace: Path, model: Path):
    """What the table of steps draws once for two names."""
    with Pictures(Model.read(model), workplace / "drawn") as drawn:
        for name, other in (("euler", "ddim"), ("euler-ancestral", "ddpm")):
            ours, theirs = (drawn.draw(Setting(each, 6), [0, 1, 2], [4, 5, 6], "engine") for each in (name, other))
            assert np.abs(ours.astype(int) - theirs).max() <= 1


def test_guidance(workplace: Path, model: Path, tmp_path: Path):
    result = run(workplace, model, tmp_path, "--table", "guidance", "--scales", "0,1,4", "--scale", "2", "--steps", "6", "--images", str(tmp_path))
    assert [(row["guidance_scale"], row["through"]) for row in result["rows"]] == [(0, "engine"), (1, "engine"), (2, "engine"), (4, "engine"), (2, "pytorch")]
    engine, pytorch = result["rows"][2], result["rows"][4]
    assert engine["frechet"] == pytest.approx(pytorch["frechet"], rel=0.05)
    assert engine["spread"] == pytest.approx(pytorch["spread"], rel=0.05)
    assert result["floors"]["training"]["accuracy"] > 0.8  # the classifier tells the shapes apart
    assert len(list(tmp_path.glob("sheet-*.png"))) == 5
    # Against the reference itself, one picture at a time.
    file = read_model(model)
    unet = reference.build_unet(file.unet, file.weights)
    setting = Setting(steps=6, guidance_scale=2)
    with Pictures(Model.read(model), workplace / "drawn") as drawn:
        ours = drawn.draw(setting, [0, 1], [1000, 1001], "pytorch")
    for picture, label, seed in zip(ours, (0, 1), (1000, 1001)):
        generation = reference.Generation(label, seed, steps=6, guidance_scale=2.0)
        states = reference.trajectory(unet, file.alphas_cumprod, file.metadata["diffusion.objective"], file.network_shape, generation)
        assert np.abs(picture.astype(int) - reference.to_pixels(states[-1], 2)).max() <= 1


@pytest.fixture(scope="module")
def alphabets(workplace: Path) -> Path:
    """The shapes of 120 `fonts`: each has a stroke width and a slant of its own."""
    chance = np.random.default_rng(3)
    images, labels, fonts = [], [], []
    for font in range(120):
        width, lean = int(chance.integers(1, 4)), float(chance.uniform(-0.4, 0.4))
        for label, corners in enumerate((40, 4, 3)):
            picture = Image.new("L", (16, 16), 0)
            ImageDraw.Draw(picture).regular_polygon((8, 8, 6), corners, outline=255, width=width)
            sheared = picture.transform((16, 16), Image.Transform.AFFINE, (1, lean, -8 * lean, 0, 1, 0), Image.Resampling.BILINEAR)
            images.append(np.asarray(sheared))
            labels.append(label)
            fonts.append(font)
    path = workplace / "alphabets.npz"
    names = np.array([f"{font}.otf|family {font}" for font in range(120)])
    np.savez(path, images=np.stack(images), labels=labels, classes=["circle", "square", "triangle"], font=fonts, fonts=names)
    return path


def test_style(workplace: Path, model: Path, alphabets: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    options = ("--table", "style", "--data", str(alphabets), "--invert", "--scales", "1", "--scale", "2", "--steps", "4", "--style-seeds", "5")
    result = run(workplace, model, tmp_path, *options, "--through", "engine")
    assert [row["guidance_scale"] for row in result["rows"]] == [1, 2] and result["pictures"] == 15
    fonts, mixed = result["floors"].values()
    for column in ("stroke_agreement", "slant_agreement"):
        assert fonts[column] > 0.6 > mixed[column]
    # Pictures of a folder have no fonts, which is said before a classifier is trained.
    assert evaluate.main([str(model), "--data", str(workplace / "data"), "--cache", str(tmp_path / "cache"), "--table", "style", "--pictures", "24"]) == 1
    assert "nothing says which pictures belong together" in capsys.readouterr().err
    assert not (tmp_path / "cache").exists()


def test_options(workplace: Path, model: Path, tmp_path: Path):
    options = ("--table", "options", "--steps", "4", "--intervals", "0-49,50-99", "--rescales", "0.7", "--dynamic-thresholds", "0.9")
    rows = run(workplace, model, tmp_path, *options)["rows"]
    # The times are 99, 74, 49 and 24: two predictions at each that is guided.
    assert [row["evaluations"] for row in rows] == [8, 4, 6, 6, 8, 8]
    assert len({row["frechet"] for row in rows}) == 6


@pytest.mark.parametrize(("options", "word"), [
    (["--samplers", "ddim,euler2"], "euler2"), (["--samplers", "ddim:square"], "square"), (["--calls", "0"], "at least 1"),
    (["--intervals", "9-3"], "LOW-HIGH"), (["--table", "speed"], "speed"),
])  # fmt: skip
def test_wrong_usage(model: Path, capsys: pytest.CaptureFixture, options: list[str], word: str):
    with pytest.raises(SystemExit) as raised:
        evaluate.main([str(model), "--data", "nowhere", *options])
    assert raised.value.code == 2 and word in capsys.readouterr().err


def test_refused(workplace: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    common = [
        str(model),
        "--data",
        str(workplace / "data"),
        "--cache",
        str(workplace),
        "--drawn",
        str(tmp_path),
        "--output",
        str(tmp_path),
        "--classifier-pictures",
        "2000",
    ]
    for options, word in (
        (["--through", "pytorch", "--sampler", "unipc"], "unipc"), (["--steps", "101"], "steps"), (["--scale", "101"], "guidance_scale"),
    ):  # fmt: skip
        assert evaluate.main([*common, *options]) == 1
        assert word in capsys.readouterr().err


def test_spread_against_scipy():
    distance = pytest.importorskip("scipy.spatial.distance")
    rng = np.random.default_rng(3)
    features, labels = rng.normal(size=(40, 6)), rng.integers(0, 3, 40)
    expected = np.concatenate([distance.pdist(features[labels == label]) for label in range(3)]).mean()
    assert metrics.spread_within_classes(features, labels) == pytest.approx(expected, rel=1e-9)
    assert metrics.spread_within_classes(np.ones((6, 2)), [0, 0, 1, 1, 2, 2]) == pytest.approx(0, abs=1e-6)
