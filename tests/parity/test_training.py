"""The trainer: from a folder of pictures to a verified model file, kills at any moment, and several processes."""

import functools
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import training_run
from PIL import Image, ImageDraw
from pocket_diffusion import data, export_command, reference, verify
from pocket_diffusion.checkpoint import describe, read_checkpoint
from pocket_diffusion.evaluation import evaluate, metrics
from pocket_diffusion.reference import Generation
from pocket_diffusion.training import components
from pocket_diffusion.training.components import Configuration

SHAPES = ("bar", "disc", "frame")
TINY = [
    "--size", "16", "--channels", "1", "--dim", "16", "--dim-mults", "1,2", "--pixel-unshuffle", "2", "--batch", "16",
    "--device", "cpu", "--precision", "no", "--threads", "1", "--sheet-minutes", "0", "--log-every", "5", "--warmup", "10",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Three kinds of shapes, dark on white, of varying places and sizes."""
    path, chance = tmp_path_factory.mktemp("pictures"), random.Random(1)
    for name in SHAPES:
        (path / name).mkdir()
        for i in range(160):
            picture = Image.new("L", (16, 16), 255)
            draw = ImageDraw.Draw(picture)
            x, y, side = chance.randint(1, 5), chance.randint(1, 5), chance.randint(7, 9)
            if name == "disc":
                draw.ellipse((x, y, x + side, y + side), fill=0)
            elif name == "bar":
                draw.rectangle((x, y + 3, x + side, y + 5), fill=0)
            else:
                draw.rectangle((x, y, x + side, y + side), outline=0)
            picture.save(path / name / f"{i}.png")
    return path


@pytest.fixture
def config(tmp_path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text('name = "tiny"\nobjective = "pred_v"\ntimesteps = 200\nlearning_rate = 2e-3\nema = 0.99\n')
    return path


def load(path: Path) -> dict:
    return torch.load(path, weights_only=True)


def weights(path: Path) -> torch.Tensor:
    return torch.cat([tensor.flatten() for tensor in load(path)["ema"].values()])


# ---- the whole way ----------------------------------------------------------


@pytest.mark.slow
def test_from_a_folder_to_a_verified_file(folder, config, tmp_path, capsys):
    run = tmp_path / "run"
    options = [*TINY, "--data", str(folder), "--output", str(run), "--schedule-side", "8", "--min-snr-gamma", "5", "--batch", "32"]
    assert training_run.run([str(config), *options, "--steps", "350", "--sheet-minutes", "10"]) == 0
    log = components.read_log(run / "log.jsonl")
    assert log[-1]["step"] == 350 and log[-1]["samples_seen"] == 11200 and log[-1]["loss"] < 0.5 * log[0]["loss"]
    assert Image.open(run / "samples" / "step-0000350.png").size == (8 * 18 + 2, 3 * 18 + 2)
    file = tmp_path / "shapes.gguf"
    assert export_command.main([str(run / "model.pt"), str(file), "--guidance-scale", "2"]) == 0
    assert "custom schedule" in capsys.readouterr().out
    assert verify.main([str(run / "model.pt"), str(file), "--quick"]) == 0
    judged = [
        str(file), "--data", str(folder), "--output", str(tmp_path / "judged"), "--cache", str(tmp_path), "--pictures", "36",
        "--classifier-pictures", "6000", "--scales", "1,2", "--scale", "2", "--steps", "10", "--drawn", str(tmp_path / "drawn"),
    ]  # fmt: skip
    assert evaluate.main(judged) == 0
    result = evaluate.json.loads((tmp_path / "judged" / "shapes-guidance.json").read_text())
    default = {row["through"]: row for row in result["rows"] if row["guidance_scale"] == 2}
    assert result["classifier_held_out_accuracy"] > 0.95
    assert default["pytorch"]["accuracy"] > 0.8  # what the classes are was learnt
    assert abs(default["pytorch"]["accuracy"] - default["engine"]["accuracy"]) <= 1 / 36
    assert default["engine"]["frechet"] == pytest.approx(default["pytorch"]["frechet"], rel=0.05)
    assert "| ddim 10, scale 2, engine |" in (tmp_path / "judged" / "shapes-guidance.md").read_text()
    assert Image.open(tmp_path / "judged" / "shapes-guidance.png").size[0] > 500


# ---- kills ------------------------------------------------------------------


def test_killed_while_writing(tmp_path):
    """A file that is written over and over is whole whenever its writer dies."""
    path, chance, steps = tmp_path / "checkpoint.pt", random.Random(3), []
    for _ in range(10):
        process = training_run.start_writing(path, megabytes=8)
        before = path.stat().st_mtime_ns if path.exists() else 0
        while not path.exists() or path.stat().st_mtime_ns == before:
            time.sleep(0.005)
            assert process.is_alive()
        time.sleep(chance.uniform(0, 0.1))
        process.kill()
        process.join()
        content = load(path)
        assert (content["values"] == content["step"]).all()
        steps.append(content["step"])
    assert len(set(steps)) > 1


@pytest.mark.slow
def test_killed_and_resumed(folder, config, tmp_path):
    """SIGKILL at random moments: no broken file, one interval lost at most, and the same network in the end."""
    interval, steps, chance = 0.3, 140, random.Random(5)
    options = [str(config), *TINY, "--data", str(folder), "--steps", str(steps), "--log-every", "1"]
    killed, plain = tmp_path / "killed", tmp_path / "plain"
    restarts, done = 0, 0
    while restarts < 3:
        process = training_run.start([*options, "--output", str(killed), "--checkpoint-minutes", str(interval / 60)])
        progressed(killed / "checkpoint.pt", done, process)
        time.sleep(chance.uniform(0, 0.45))
        process.kill()
        process.join()
        if process.exitcode == 0:
            break
        restarts += 1
        saved = load(killed / "checkpoint.pt")
        describe(read_checkpoint(killed / "checkpoint.pt"))  # the exporter could use it as it is
        assert saved["step"] >= done and saved["samples_seen"] == 16 * saved["step"]
        last = components.read_log(killed / "log.jsonl")[-1]
        assert last["seconds"] - saved["trainer"]["seconds"] < interval + 2.0  # a step, and the writing itself
        done = saved["step"]
    assert restarts >= 2
    assert training_run.run([*options, "--output", str(killed)]) == 0
    assert training_run.run([*options, "--output", str(plain)]) == 0
    for name in ("step", "samples_seen"):
        assert load(killed / "model.pt")[name] == load(plain / "model.pt")[name]
    steps_logged = [line["step"] for line in components.read_log(killed / "log.jsonl")]
    assert steps_logged == sorted(set(steps_logged)) and steps_logged[-1] == steps
    torch.testing.assert_close(weights(killed / "model.pt"), weights(plain / "model.pt"), rtol=0, atol=1e-6)
    assert [path.name for path in killed.iterdir() if path.name.endswith(".partial")] == []


def progressed(path: Path, done: int, process) -> None:
    """Waits until the checkpoint says more than `done` steps, or the run is over."""
    while process.is_alive():
        if path.exists() and load(path)["step"] > done:
            return
        time.sleep(0.1)


def test_interrupted_politely(folder, config, tmp_path):
    run = tmp_path / "run"
    process = training_run.start([str(config), *TINY, "--data", str(folder), "--output", str(run), "--steps", "100000", "--checkpoint-minutes", "60"])
    while not (run / "log.jsonl").exists() or not components.read_log(run / "log.jsonl"):
        assert process.is_alive()
        time.sleep(0.1)
    second = training_run.run([str(config), *TINY, "--data", str(folder), "--output", str(run)])
    assert second == 1  # the folder is taken
    os.kill(process.pid, signal.SIGTERM)
    process.join()
    assert process.exitcode == 75
    assert load(run / "checkpoint.pt")["step"] >= components.read_log(run / "log.jsonl")[-1]["step"] > 0
    assert not (run / "model.pt").exists()


def test_time_box_and_continuation(folder, config, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    options = [str(config), *TINY, "--data", str(folder)]
    started = time.monotonic()
    assert training_run.run([*options, "--output", str(first), "--steps", "1000000", "--minutes", "0.05"]) == 0
    assert time.monotonic() - started < 60
    end = load(first / "checkpoint.pt")
    assert 0 < end["step"] < 1000000 and 3 <= end["trainer"]["seconds"] < 6
    assert training_run.run([*options, "--output", str(second), "--steps", "1", "--learning-rate", "0", "--init", str(first / "model.pt")]) == 0
    torch.testing.assert_close(weights(second / "model.pt"), weights(first / "model.pt"), rtol=0, atol=0)
    assert training_run.run([*options, "--output", str(first), "--dim", "8"]) == 1  # another network may not go on here
    assert training_run.run([*options, "--output", str(tmp_path / "other"), "--dim", "8", "--init", str(first / "model.pt")]) == 1


# ---- several processes ------------------------------------------------------


@pytest.mark.slow
def test_two_processes_train_what_one_does(folder, config, tmp_path):
    """16 pictures a step in one process, or 8 in each of two: the same network but for the order of additions."""
    options = [str(config), *TINY, "--data", str(folder), "--steps", "40"]
    assert training_run.run([*options, "--output", str(tmp_path / "one")]) == 0
    launch = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "pocket_diffusion.training.train", *options, "--output", str(tmp_path / "two"),
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(training_run.PACKAGE)}
    done = subprocess.run(launch, check=False, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("finished") == 1 and "processes: 2 on cpu" in done.stdout
    one, two = load(tmp_path / "one" / "model.pt"), load(tmp_path / "two" / "model.pt")
    assert one["samples_seen"] == two["samples_seen"] == 640
    start = components.build_diffusion(Configuration(**load(tmp_path / "one" / "checkpoint.pt")["trainer"]["configuration"]), 3)
    moved = weights(tmp_path / "one" / "model.pt") - torch.cat([tensor.flatten() for tensor in start.model.state_dict().values()])
    apart = weights(tmp_path / "two" / "model.pt") - weights(tmp_path / "one" / "model.pt")
    assert apart.norm() < 0.02 * moved.norm()
    losses = [[line["loss"] for line in components.read_log(tmp_path / name / "log.jsonl")] for name in ("one", "two")]
    assert losses[1] == pytest.approx(losses[0], rel=0.01)


# ---- parts ------------------------------------------------------------------


def test_schedule_shift():
    """logSNR is that of the cosine schedule less 2 log(d / d0), at every time; and the reference's buffers are the table."""
    configuration = Configuration(size=64, pixel_unshuffle=4, dim=8, schedule_side=32)
    plain, shifted = (components.noise_schedule(each) for each in (Configuration(size=64), configuration))
    difference = torch.logit(plain) - torch.logit(shifted)
    torch.testing.assert_close(difference, torch.full_like(difference, 2 * math.log(64 / 32)))
    diffusion = components.build_diffusion(configuration, 2)
    torch.testing.assert_close(diffusion.alphas_cumprod, shifted.float(), rtol=1e-5, atol=1e-9)
    record = components.model_record(configuration, ("a", "b"), diffusion.model.state_dict(), 0, 0)
    assert record["diffusion"]["beta_schedule"] == "custom"


def test_custom_schedule_reaches_the_exporter(tmp_path):
    configuration = Configuration(size=16, dim=8, dim_mults=(1, 2), schedule_side=8)
    diffusion = components.build_diffusion(configuration, 2)
    components.write_atomically(tmp_path / "c.pt", components.model_record(configuration, ("a", "b"), diffusion.model.state_dict(), 0, 0))
    described = describe(read_checkpoint(tmp_path / "c.pt"))
    assert described.beta_schedule == "custom" and described.assumptions == ()
    np.testing.assert_allclose(described.alphas_cumprod, components.noise_schedule(configuration).numpy(), rtol=1e-11)


def test_batches_do_not_depend_on_how_they_are_cut(folder):
    configuration = Configuration(size=16, dim=8, dim_mults=(1,))
    source = data.load(folder, configuration.layout).train
    whole = components.make_batch(source, configuration, 3, 37)
    parts = [components.make_batch(source, configuration, first, count) for first, count in ((3, 5), (8, 21), (29, 11))]
    for name in ("img", "classes", "times", "cond_keep_mask", "noise"):
        torch.testing.assert_close(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name), rtol=0, atol=0)


def test_noise_is_as_asked():
    configuration = Configuration(size=16, dim=8, dim_mults=(1,), cond_drop_prob=0.3, timesteps=50)
    drawn = [components._draw_block(configuration, block) for block in range(500)]
    times, keep, noise, _ = (torch.cat(parts) for parts in zip(*drawn))
    assert times.min() == 0 and times.max() == 49 and abs(times.float().mean() - 24.5) < 1
    assert abs(keep.float().mean() - 0.7) < 0.03 and abs(noise.std() - 1) < 0.01 and abs(noise.mean()) < 0.01
    assert len(torch.unique(noise.flatten(1), dim=0)) == len(noise)  # no two pictures share theirs


def test_configurations(repository, tmp_path):
    files = [file for file in sorted((repository / "weights" / "configs").glob("*.toml")) if not file.stem.endswith("-fast")]
    assert {file.stem for file in files} >= {"letters", "doodles", "digits", "characters", "own"}
    for file in files:
        assert components.read_configuration(file, {}, Configuration).name == file.stem
    assert components.read_configuration(files[0], {"dim": 8}, Configuration).dim == 8
    for text, word in (("dimm = 3", "dimm"), ('dim = "8"', "dim"), ("size = 20", "size"), ('objective = "x"', "objective"), ("dim = ", "toml")):
        (tmp_path / "bad.toml").write_text(text)
        with pytest.raises(components.TrainingError, match=word):
            components.read_configuration(tmp_path / "bad.toml", {}, Configuration)


@pytest.mark.parametrize("generation", [
    Generation(0, 0, steps=5, guidance_scale=1.0), Generation(0, 0, steps=5, guidance_scale=3.0, eta=1.0), Generation(0, 0, "ddpm", 6, guidance_scale=2.0),
])  # fmt: skip
def test_a_batch_is_what_its_pictures_are_alone(generation):
    unet = reference.random_unet({"dim": 8, "num_classes": 3, "dim_mults": (1, 2), "channels": 1}, seed=3, identity=0.5)
    abar = np.cumprod(1 - reference.schedule_betas("cosine", 50).numpy())
    labels, seeds = (0, 2, 1), (7, 8, 7)
    pictures = reference.sample(unet, abar, "pred_v", (1, 16, 16), generation, labels, seeds)
    for picture, label, seed in zip(pictures, labels, seeds):
        alone = reference.trajectory(unet, abar, "pred_v", (1, 16, 16), evaluate.dataclasses.replace(generation, label=label, seed=seed))
        torch.testing.assert_close(picture, alone[-1], rtol=0, atol=1e-4)


# ---- metrics, against other ways to compute them ----------------------------


def test_frechet_distance_against_scipy():
    linalg = pytest.importorskip("scipy.linalg")
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(300, 12)) @ rng.normal(size=(12, 12)), rng.normal(size=(200, 12)) + 0.5
    root = linalg.sqrtm(np.cov(a.T) @ np.cov(b.T)).real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(np.cov(a.T) + np.cov(b.T) - 2 * root)
    assert metrics.frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)
    assert metrics.frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_copies_are_found():
    rng = np.random.default_rng(2)
    training_pictures, held_out, fresh = (rng.integers(0, 256, (count, 8, 8, 1), dtype=np.uint8) for count in (500, 100, 100))
    test = metrics.CopyTest.prepare(functools.partial(metrics.nearest_distances, pictures=training_pictures), held_out)
    naive = [min(np.sqrt(((q.astype(float) - p) ** 2).mean()) for p in training_pictures) for q in fresh[:5]]
    np.testing.assert_allclose(metrics.nearest_distances(fresh[:5], training_pictures), naive, rtol=1e-4)
    assert test.score(fresh)["nearer_than_tenth"] < 0.3
    copied = np.concatenate([training_pictures[:50] ^ 1, fresh[:50]])
    assert 0.5 <= test.score(copied)["nearer_than_any"] < 0.6


def test_the_nearest_composition(tmp_path):
    """As by comparing with every one of them."""
    from test_data import write_characters

    split = data.load(write_characters(tmp_path / "set.zip"), data.Layout(32, 3))
    everything = np.arange(2 * 4 * 1 * 6 * 5)
    training_pictures, _ = split.train.pictures(everything[split.train.belongs(everything)])
    held_out, _ = split.held_out.sample(20)
    rng = np.random.default_rng(1)
    noisy = np.clip(held_out + rng.normal(0, 60, held_out.shape), 0, 255).astype(np.uint8)
    for pictures in (held_out, noisy, training_pictures[:20], rng.integers(0, 256, held_out.shape, dtype=np.uint8)):
        found = metrics.NearestComposition(split.train)(pictures)
        naive = [np.sqrt(((training_pictures.astype(float) - picture) ** 2).mean(axis=(1, 2, 3)).min()) for picture in pictures]
        np.testing.assert_allclose(found, naive, rtol=1e-4, atol=1e-3)
    assert metrics.NearestComposition(split.train)(held_out).min() > 0


def test_character_checks(tmp_path):
    from test_data import write_characters

    split = data.load(write_characters(tmp_path / "set.zip"), data.Layout(32, 3))
    checks = metrics.CharacterChecks(split.train)
    pictures, labels = split.held_out.sample(40)
    assert checks.score(pictures, labels) == {"head_right": 1.0, "glasses_whole": 1.0, "glasses_of_artwork": 1.0, "palette": 1.0}
    noisy = np.clip(pictures + np.random.default_rng(0).normal(0, 8, pictures.shape), 0, 255).astype(np.uint8)
    assert checks.score(noisy, labels)["head_right"] == 1.0
    assert checks.score(pictures, (labels + 1) % 6)["head_right"] == 0.0
    broken = pictures.copy()
    broken[:, 12:15, 4:8] = (0, 255, 0)
    assert checks.score(broken, labels)["glasses_whole"] == 0.0 and checks.score(broken, labels)["palette"] < 1.0
    worn = (pictures[..., 2] == 120)[..., None]
    tinted = np.where(worn, np.uint8([30, 200, 160]), pictures)
    assert checks.score(tinted, labels)["glasses_whole"] == 1.0 and checks.score(tinted, labels)["glasses_of_artwork"] == 0.0
    numbers = {layer: parts for layer, parts in split.train.composition(split.train.visit(0, 40, 1)).items() if layer != "glasses"}
    bare = np.ascontiguousarray(split.train.compose(numbers)[..., :3])
    assert checks.score(bare, numbers["heads"])["glasses_whole"] == 0.0
