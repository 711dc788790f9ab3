"""The engine in Python against the one under Node.js: the same pictures, the same PNG files, refusals that name what is wrong."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pocket_diffusion as pd
import pytest

MODELS = {
    "doodles": "weights/doodles.gguf",
    "digits": "weights/digits.gguf",
    "tiny": "tests/golden/tiny.gguf",
    "tiny_colour": "tests/golden/tiny_colour.gguf",
    "tiny_guided": "tests/golden/tiny_guided.gguf",
}


@pytest.fixture(scope="module")
def models(repository: Path) -> dict[str, pd.Model]:
    return {name: pd.load(repository / path) for name, path in MODELS.items()}


@pytest.fixture(scope="module")
def doodles(models: dict[str, pd.Model]) -> pd.Model:
    return models["doodles"]


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name)


def _options(request: dict[str, Any], info: pd.ModelInfo) -> dict[str, Any]:
    """The arguments of generate() for a request of picture_requests.json (tests/native_pictures.mjs says what they mean)."""
    options = {_snake(name): value for name, value in request.items() if name not in ("model", "image", "mask", "mixLabel", "mixWeight")}
    options["seed"] = int(options["seed"])
    if "mixLabel" in request:
        options["class_mix"] = {options.pop("label"): 1.0, request["mixLabel"]: request["mixWeight"]}
    if request.get("image"):
        size = info.height * info.width * info.channels
        options["image"] = (np.arange(size) * 37 % 256).astype(np.uint8).reshape(info.height, info.width, info.channels)
    if request.get("mask"):
        size = info.height * info.width
        options["mask"] = np.where(np.arange(size) < size / 2, 255, 0).astype(np.uint8).reshape(info.height, info.width)
    return options


def test_pictures_are_those_of_node(repository, models):
    """All requests that every other engine is compared with, and in the same way: by the hashes of their pixels."""
    import hashlib

    if shutil.which("node") is None:
        pytest.skip("Node.js is what it is compared with")
    answer = subprocess.run(["node", "tests/engine_hashes.mjs"], cwd=repository, check=True, capture_output=True, text=True)
    requests = json.loads((repository / "tests/picture_requests.json").read_text(encoding="utf-8"))
    expected = json.loads(answer.stdout)
    assert len(expected) == len(requests) > 100
    different = []
    for request, theirs in zip(requests, expected):
        model = models[request["model"]]
        ours = hashlib.sha256(model.generate(**_options(request, model.info)).pixels.tobytes()).hexdigest()
        if ours != theirs:
            different.append(request)
    assert different == []


@pytest.mark.parametrize("options", [
    {"seed": 7, "guidance_scale": 3},
    {"seed": 2**60, "guidance_scale": 2.5, "steps": 3, "sampler": "ddim", "eta": 0.25},
])  # fmt: skip
def test_png_files_are_those_of_the_command_line(repository, doodles, tmp_path, options):
    """Pixels, compression and recipe: the whole file."""
    if shutil.which("node") is None:
        pytest.skip("Node.js is what it is compared with")
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    command = ["node", "web/cli.mjs", "generate", "--model", MODELS["doodles"], "--label", "cat", *words, "--output", str(tmp_path / "node.png")]
    subprocess.run(command, cwd=repository, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    doodles.generate("cat", **options).save(tmp_path / "python.png")
    assert (tmp_path / "python.png").read_bytes() == (tmp_path / "node.png").read_bytes()


def test_a_picture_in_a_notebook_and_as_an_array(doodles):
    picture = doodles.generate("cat", seed=1, steps=2)
    assert picture.to_png().startswith(b"\x89PNG") and picture._repr_png_() == picture.to_png()
    assert np.asarray(picture).shape == (32, 32) and picture.pixels.shape == (32, 32, 1)
    assert b"iTXt" in picture.to_png() and b"iTXt" not in picture.to_png(recipe=False)


def test_an_independent_decoder_reads_the_png(doodles, tmp_path):
    image = pytest.importorskip("PIL.Image")
    picture = doodles.generate("flower", seed=3, steps=2)
    picture.save(tmp_path / "flower.png")
    with image.open(tmp_path / "flower.png") as opened:
        assert np.array_equal(np.asarray(opened), picture.pixels[:, :, 0])
        assert json.loads(opened.text["pocket-diffusion"]) == picture.recipe


@pytest.mark.parametrize(("options", "kind", "message"), [
    ({"label": "cta"}, ValueError, "label: no class 'cta'; did you mean 'cat'?"),
    ({"label": 10}, ValueError, "label must be 0 to 9, not 10"),
    ({"label": True}, TypeError, "label must be a whole number"),
    ({"label": None}, TypeError, "label must be a class name or number; the model has airplane, "),
    ({"seed": -1}, ValueError, "seed must be 0 to 18446744073709551615"),
    ({"seed": 1.5}, TypeError, "seed must be a whole number"),
    ({"guidance_scale": float("nan")}, ValueError, "guidance_scale must be 0 to 100"),
    ({"steps": 0}, ValueError, "steps must be 1 to 1000"),
    ({"sampler": "dimm"}, ValueError, "did you mean 'ddim'"),
    ({"projection": 1}, TypeError, "projection must be True or False"),
    ({"image": np.zeros((3, 3), np.uint8)}, ValueError, "image must be 32 x 32 x 1"),
    ({"image": np.zeros((32, 32))}, TypeError, "image must hold bytes"),
    ({"noise": np.zeros((4, 16, 16))}, TypeError, "noise must be float32"),
    ({"noise": np.zeros((4, 16), np.float32)}, ValueError, "noise must be 4 x 16 x 16"),
    ({"class_mix": {"cat": 1, "dog": 1}}, TypeError, "label cannot be given together with class_mix"),
    ({"strength": 0.5}, pd.PocketDiffusionError, "OPTION: strength: needs an image"),
    ({"guidance_interval": (5, 4)}, pd.PocketDiffusionError, "OPTION: guidance_first is 5, after"),
    ({"cfg_plus_plus": True, "sampler": "ddpm"}, pd.PocketDiffusionError, "OPTION: cfg_plus_plus"),
])  # fmt: skip
def test_what_is_wrong_is_named(doodles, options, kind, message):
    with pytest.raises(kind, match=re.escape(message)):
        doodles.generate(**{"label": "cat", **options})


def test_files_that_are_refused(repository, tmp_path):
    with pytest.raises(FileNotFoundError):
        pd.load(tmp_path / "none.gguf")
    for data, code in ((b"", "SHORT"), (b"<!doctype html><html></html>", "MAGIC"), ((repository / MODELS["tiny"]).read_bytes()[:-1], "SHORT")):
        with pytest.raises(pd.PocketDiffusionError) as caught:
            pd.load(data)
        assert caught.value.code == code


def test_a_closed_model(repository):
    with pd.load(repository / MODELS["tiny"]) as model:
        model.generate(0, seed=0, steps=1)
    model.close()
    with pytest.raises(pd.PocketDiffusionError, match="CLOSED"):
        model.generate(0)


def test_stopping_frees_the_run(repository):
    """A callback that raises ends the run; the model goes on, and its memory does not grow."""
    model = pd.load(repository / MODELS["tiny"])

    def stop(done: int, total: int) -> None:
        assert total == 5
        if done == 2:
            raise KeyboardInterrupt

    sizes = []
    for _ in range(30):
        with pytest.raises(KeyboardInterrupt):
            model.generate(0, seed=0, steps=5, on_step=stop)
        sizes.append(model._core._memory.data_len(model._core._store))
    assert sizes[-1] == sizes[2]
    assert model.generate(0, seed=0, steps=5).pixels.shape[0] == model.info.height


def test_a_prediction_is_that_of_node(repository, doodles):
    if shutil.which("node") is None:
        pytest.skip("Node.js is what it is compared with")
    x = np.linspace(-1, 1, 4 * 16 * 16, dtype=np.float32).reshape(4, 16, 16)
    script = """
      import { load } from 'pocket-diffusion';
      const model = await load('weights/doodles.gguf');
      const x = new Float32Array(new Uint8Array(Buffer.from(process.argv[1], 'base64')).buffer);
      console.log(Buffer.from((await model.predict(x, 500, process.argv[2] === '' ? null : 3)).buffer).toString('base64'));
      model.close();"""
    import base64

    for label in (3, None):
        words = [base64.b64encode(x.tobytes()).decode(), "" if label is None else "3"]
        theirs = subprocess.run(["node", "--input-type=module", "--eval", script, *words], cwd=repository, check=True, capture_output=True, text=True)
        expected = np.frombuffer(base64.b64decode(theirs.stdout), dtype="<f4").reshape(4, 16, 16)
        assert np.array_equal(doodles.predict(x, 500, label), expected)


def test_the_command_line(repository, tmp_path, capsys):
    from pocket_diffusion.__main__ import main

    model = str(repository / MODELS["tiny"])
    assert main(["info", model]) == 0
    assert "labels" in capsys.readouterr().out
    assert main(["info", model, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["width"] > 0
    assert main(["generate", model, "--label", "0", "--count", "2", "--steps", "2", "--output", str(tmp_path / "p.png")]) == 0
    assert len(list(tmp_path.glob("p-*-*.png"))) == 2
    assert main(["generate", model, "--label", "zebra"]) == 1
    assert "no class 'zebra'" in capsys.readouterr().err
    assert main(["info", str(tmp_path / "none.gguf")]) == 1
    assert main([]) == 2 and main(["exprot"]) == 2


def test_the_command_line_without_classes(repository, tmp_path, capsys):
    from pocket_diffusion.__main__ import main

    path = str(repository / "tests/golden/no-classes.gguf")
    assert main(["generate", path, "--count", "2", "--seed", "3", "--steps", "4", "--output", str(tmp_path / "a.png")]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{tmp_path}/a-3.png: seed 3", f"{tmp_path}/a-4.png: seed 4"]
    with pd.load(path) as model:
        one, two = model.generate_many(count=2, seed=3, steps=4)
        assert (tmp_path / "a-4.png").read_bytes() == two.to_png() != one.to_png()


@pytest.mark.parametrize("name", ["README.md", "python/README.md"])
def test_the_programs_of_the_documentation(repository, tmp_path, monkeypatch, name):
    programs = re.findall(r"```python\n(.*?)```", (repository / name).read_text(encoding="utf-8"), flags=re.DOTALL)
    (tmp_path / "weights").symlink_to(repository / "weights")
    monkeypatch.chdir(tmp_path)
    assert programs
    for program in programs:
        exec(compile(program, name, "exec"), {})  # noqa: S102
    assert Path("cat.png").read_bytes().startswith(b"\x89PNG")
