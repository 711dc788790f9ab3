"""Distillation: its losses against what they are made of, its runs as they are started, killed and gone on with."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from graph_files import Graph
from pocket_diffusion import export_command, guidance_input, reference
from pocket_diffusion.__main__ import main as command
from pocket_diffusion.model_file import read_model
from pocket_diffusion.training import components, distill, distillation
from pocket_diffusion.training.components import TrainingError
from pocket_diffusion.training.distill import Configuration, Distiller
from pocket_diffusion.training.distillation import Process, Trajectories

UNET = dict(dim=8, num_classes=3, cond_drop_prob=0.2, dim_mults=(1, 2), channels=4)
SHAPE = (4, 8, 8)
ABAR = torch.cumprod(1 - reference.schedule_betas("cosine", 100), dim=0)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("teacher") / "teacher.pt"
    torch.save(
        dict(unet=UNET, ema=reference.random_unet(UNET, seed=3).state_dict(), pixel_unshuffle=2, image=dict(height=16, width=16, channels=1),
             diffusion=dict(image_size=8, timesteps=100, objective="pred_v", beta_schedule="cosine"), classes=["a", "b", "c"]),
        path,
    )  # fmt: skip
    return path


def noise(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn((count, *SHAPE), generator=torch.Generator().manual_seed(seed))


# ---- the process and the losses ----------------------------------------------


@pytest.mark.parametrize("objective", ["pred_noise", "pred_x0", "pred_v"])
def test_process(objective: str):
    """The target of a noised picture leads back to it; a jump with the true picture stays on its way."""
    process = Process(ABAR, objective)
    x0, eps, t = noise(4).clamp(-1, 1), noise(4, 1), torch.tensor([90, 50, 10, 70])
    x = process.diffuse(x0, eps, t)
    torch.testing.assert_close(process.picture(x, process.target(x0, eps, t), t), x0, atol=1e-4, rtol=1e-4)
    to = torch.tensor([40, 20, -1, 0])
    torch.testing.assert_close(process.jump(x, x0, t, to), process.diffuse(x0, eps, to), atol=1e-4, rtol=1e-4)


def test_jump_target_is_what_the_jump_assumes():
    process = Process(ABAR, "pred_v")
    x, x0, t, to = noise(3), noise(3, 1).clamp(-1, 1), torch.tensor([99, 74, 24]), torch.tensor([74, 24, -1])
    reached = process.jump(x, x0, t, to)
    torch.testing.assert_close(distillation.jump_target(process, x, reached, t, to), x0, atol=1e-4, rtol=1e-4)


def test_matching_loss_has_the_direction_as_its_gradient():
    drawn, real, fake = noise(2).requires_grad_(), noise(2, 1), noise(2, 2)
    direction = distillation.matching_direction(drawn.detach(), real, fake)
    distance = (drawn.detach() - real).abs().flatten(1).mean(dim=1)
    torch.testing.assert_close(direction, (fake - real) / distance[:, None, None, None])
    distillation.matching_loss(drawn, direction).backward()
    torch.testing.assert_close(drawn.grad, direction / drawn.numel())


def test_guided_prediction_is_the_references():
    unet = reference.random_unet(UNET, seed=1)
    x, t, labels = noise(3), torch.tensor([10, 50, 99]), torch.tensor([0, 1, 2])
    for scale in (0.0, 3.0, 8.0):
        expected = unet.forward_with_cond_scale(x, t, labels, cond_scale=scale, remove_parallel_component=False)[0]
        found = distillation.guided_prediction(unet, x, t, labels, torch.full((3,), scale))
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_trajectories_are_the_references():
    unet = reference.random_unet(UNET, seed=1)
    labels, seeds = [0, 1, 2], [5, 6, 7]
    start = torch.cat([torch.randn((1, *SHAPE), generator=torch.Generator().manual_seed(seed)) for seed in seeds])
    expected = reference.sample(unet, ABAR.numpy(), "pred_v", SHAPE, reference.Generation(0, 0, steps=8, guidance_scale=2.5), labels, seeds)
    points = distillation.draw_trajectories(unet, Process(ABAR, "pred_v"), start, torch.tensor(labels), torch.full((3,), 2.5), 8, 4)
    assert points.shape == (3, 5, *SHAPE)
    torch.testing.assert_close(points[:, 0], start)
    torch.testing.assert_close(points[:, -1], expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("lowest", [0.0, 1.0])
def test_student_begins_as_its_teacher(lowest: float):
    """With the class, and at scale 0 without."""
    unet, scales = reference.random_unet(UNET, seed=1), (lowest, 2.0, 8.0)
    student = distillation.build_student(UNET, distillation.repeat_rows(unet.state_dict(), scales), scales)
    x, t, labels = noise(3), torch.tensor([10, 50, 99]), torch.tensor([0, 1, 2])
    found = student(x, t, guidance_input.conditions(labels, torch.tensor([lowest, 2.6, 8.0])), cond_drop_prob=0.0)
    keep = torch.tensor([lowest > 0, True, True])
    torch.testing.assert_close(found, unet(x, t, labels, cond_drop_prob=0.0, cond_keep_mask=keep), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("method", ["jumps", "matching"])
def test_at_scale_0_the_class_has_no_say(teacher: Path, tmp_path: Path, method: str):
    """To the last bit, after training too; above it has."""
    run(options(teacher, tmp_path / "run", method=method, calls=(1,)))
    saved = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    for weights in (saved["ema"], saved["trainer"]["online"]):
        rows = weights["classes_emb.weight"].reshape(3, 3, -1)
        assert (rows[:, 0] == rows[0, 0]).all()
        assert all((rows[0, k] != rows[1, k]).any() for k in (1, 2))
    assert not torch.equal(saved["ema"]["classes_emb.weight"][0], reference.random_unet(UNET, seed=3).state_dict()["null_classes_emb"]), "it learns"


# ---- runs ---------------------------------------------------------------------


def options(teacher: Path, output: Path, **others: Any) -> dict[str, Any]:
    return {
        "teacher": str(teacher), "output": str(output), "trajectories": 64, "teacher_steps": 4, "batch": 8, "steps": 6, "regression_batch": 4,
        "fake_lead": 2, "precision": "no", "log_every": 1, "sheet_minutes": 0.0, "lowest_scale": 0.0, "highest_scale": 4.0, "rows": 3, **others,
    }  # fmt: skip


def run(configuration: dict[str, Any], stop_at: int | None = None) -> dict[str, Any]:
    """The record of a whole run, or the checkpoint of one that was stopped before a step."""
    distiller = Distiller(Configuration(**configuration))
    if stop_at is not None:
        made = distiller._jump_step if distiller.configuration.method == "jumps" else distiller._matching_step

        def step() -> dict[str, float]:
            if distiller.step == stop_at:
                raise KeyboardInterrupt
            return made()

        distiller._jump_step = distiller._matching_step = step  # type: ignore[method-assign]
        distiller.configuration = Configuration(**{**configuration, "checkpoint_minutes": 0.0})
        with pytest.raises(KeyboardInterrupt):
            distiller.run()
        return torch.load(distiller.folder / "checkpoint.pt", weights_only=True)
    assert distiller.run()
    return torch.load(distiller.folder / "model.pt", weights_only=True)


@pytest.mark.parametrize(("method", "calls"), [("jumps", (2,)), ("matching", (1, 2))])
def test_a_killed_run_goes_on_as_if_it_was_not(teacher: Path, tmp_path: Path, method: str, calls: tuple[int, ...]):
    whole = run(options(teacher, tmp_path / "whole", method=method, calls=calls))
    assert run(options(teacher, tmp_path / "killed", method=method, calls=calls), stop_at=4)["step"] == 4
    resumed = run(options(teacher, tmp_path / "killed", method=method, calls=calls))
    assert resumed["step"] == whole["step"] == 6
    for name, tensor in whole["ema"].items():
        torch.testing.assert_close(resumed["ema"][name], tensor, msg=name)
    log = [json.loads(line) for line in (tmp_path / "killed" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == list(range(1, 7))


def test_whole_way_to_a_model_file(teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """The command with a configuration file and options, then the exporter."""
    file = tmp_path / "fast.toml"
    file.write_text(
        'method = "jumps"\ncalls = [4]\nrows = 3\nhighest_scale = 4\ntrajectories = 64\nteacher_steps = 4\nbatch = 8\nsteps = 2\nprecision = "no"\n'
    )
    output = tmp_path / "run"
    assert command(["distill", str(file), "--teacher", str(teacher), "--output", str(output)]) == 0
    assert "finished: step 2" in capsys.readouterr().out
    assert [path.name for path in sorted(output.glob("trajectories-*"))] == ["trajectories-00000.npz"]
    assert list((output / "samples").glob("*.png"))
    assert export_command.main([str(output / "model.pt"), str(tmp_path / "fast.gguf"), "--sampler", "ddim", "--steps", "4"]) == 0
    made = read_model(tmp_path / "fast.gguf")
    assert made.guidance_scales == (0.0, 2.0, 4.0) and made.metadata["class_names"] == ["a", "b", "c"]


def test_next_stage_begins_with_the_one_before(teacher: Path, tmp_path: Path):
    run(options(teacher, tmp_path / "four", calls=(4,)))
    begun = Distiller(Configuration(**options(teacher, tmp_path / "two", calls=(2,), init=str(tmp_path / "four" / "model.pt"))))
    first = torch.load(tmp_path / "four" / "model.pt", weights_only=True)["ema"]
    for name, tensor in begun.student.state_dict().items():
        torch.testing.assert_close(tensor, first[name], msg=name)
    with pytest.raises(TrainingError, match="knows the scales"):
        Distiller(Configuration(**options(teacher, tmp_path / "other", rows=5, init=str(tmp_path / "four" / "model.pt"))))


def test_trajectories_are_shared_and_drawn_once(teacher: Path, tmp_path: Path):
    shared = tmp_path / "shared"
    run(options(teacher, tmp_path / "a", trajectories_folder=str(shared), trajectories=128, steps=1))
    first = {path: path.stat().st_mtime_ns for path in shared.iterdir()}
    assert len(first) == 2
    run(options(teacher, tmp_path / "b", trajectories_folder=str(shared), trajectories=128, steps=1))
    assert {path: path.stat().st_mtime_ns for path in shared.iterdir()} == first
    read = Trajectories.read(shared)
    assert read is not None and read.points.shape == (128, 5, *SHAPE) and float(read.scales.max()) <= 4
    with pytest.raises(TrainingError, match="other points"):
        run(options(teacher, tmp_path / "c", trajectories_folder=str(shared), kept=2, teacher_steps=4, calls=(2,)))


@pytest.mark.parametrize(
    ("changes", "word"),
    [({"teacher": ""}, "teacher"), ({"method": "magic"}, "method"), ({"calls": (3,)}, "calls 3"), ({"calls": (1, 2)}, "one number"), ({"rows": 1}, "rows"),
     ({"highest_scale": 0.0}, "highest_scale"), ({"teacher_steps": 6}, "teacher_steps"), ({"trajectories": 0}, "trajectories"), ({"batch": 0}, "batch"),
     ({"init": "missing.pt"}, "missing.pt")],
)  # fmt: skip
def test_configurations_that_are_refused(teacher: Path, tmp_path: Path, changes: dict[str, Any], word: str):
    with pytest.raises(TrainingError, match=word):
        Distiller(Configuration(**{**options(teacher, tmp_path / "run"), **changes}))


@pytest.mark.parametrize(("operation", "word"), [("slice", "do not fit together"), ("scale", "only networks of the reference can be distilled")])
def test_a_teacher_that_is_a_list_of_operations_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], operation: str, word: str):
    graph = Graph()
    graph.add(operation, graph.add("x"), reals=[1.0, 0.0])
    graph.write(tmp_path / "teacher.gguf", (1, 4, 4))
    (tmp_path / "small.toml").write_text('method = "jumps"\n')
    assert command(["distill", str(tmp_path / "small.toml"), "--teacher", str(tmp_path / "teacher.gguf"), "--output", str(tmp_path / "run")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("distill: ") and word in error and error.count("\n") == 1


def test_another_run_in_the_folder_is_refused(teacher: Path, tmp_path: Path):
    run(options(teacher, tmp_path / "run", steps=1))
    with pytest.raises(TrainingError, match="rows 3, not 5"):
        Distiller(Configuration(**options(teacher, tmp_path / "run", rows=5)))
    other = tmp_path / "other.pt"
    content = torch.load(teacher, weights_only=True)
    torch.save({**content, "ema": reference.random_unet(UNET, seed=99).state_dict()}, other)
    with pytest.raises(TrainingError, match="another teacher"):
        Distiller(Configuration(**options(other, tmp_path / "run")))
    for name, file in (("checkpoint.pt", {}), ("model.pt", {"init": str(tmp_path / "run" / "model.pt")})):
        path = tmp_path / "run" / name
        saved = torch.load(path, weights_only=True)
        saved["diffusion"]["objective"] = "pred_noise"
        torch.save(saved, path)
        with pytest.raises(TrainingError, match="predicts pred_noise, but a student of this teacher predicts"):
            Distiller(Configuration(**options(teacher, tmp_path / ("run" if not file else "next"), **file)))


def test_student_of_a_teacher_that_predicts_noise(tmp_path: Path):
    """Predicts v, which its file says: an error in the noise would be many times larger in the picture."""
    noisy, content = tmp_path / "noisy.pt", dict(unet=UNET, ema=reference.random_unet(UNET, seed=3).state_dict(), pixel_unshuffle=2)
    image, diffusion = dict(height=16, width=16, channels=1), dict(image_size=8, timesteps=100, objective="pred_noise", beta_schedule="cosine")
    torch.save({**content, "image": image, "diffusion": diffusion, "classes": ["a", "b", "c"]}, noisy)
    assert run(options(noisy, tmp_path / "run", calls=(1,)))["diffusion"]["objective"] == "pred_v"


def test_configuration_files(repository: Path):
    files = sorted((repository / "weights" / "configs").glob("*-fast.toml"))
    assert files
    for file in files:
        assert components.read_configuration(file, {}, Configuration).name == file.stem


# ---- does it learn --------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_jumps_learn(repository: Path, tmp_path: Path, precision: str):
    """Digits in one call after half a minute: nearer to what the teacher draws in 16 evaluations than half of what a mean picture is.

    The teacher predicts the noise, the student v. With bf16 too, where it is the master weights that must be seen by every step.
    """
    teacher = repository / "weights" / "digits.gguf"
    configuration = options(
        teacher, tmp_path / "run", method="jumps", calls=(1,), trajectories=64, teacher_steps=8, batch=16, steps=60, learning_rate=1e-3,
        warmup=5, ema=0.8, precision=precision, trajectories_folder=str(tmp_path),
    )  # fmt: skip
    distiller = Distiller(Configuration(**configuration))
    with torch.no_grad():
        assert distiller._draw_trajectories(distill.threading.Event())
        points = distiller.trajectories.points[:32].float()
        labels, scales = distiller.trajectories.labels[:32], distiller.trajectories.scales[:32]
    before = distiller.draw(points[:, 0], labels, scales, calls=1)
    assert distiller.run()
    after = distiller.draw(points[:, 0], labels, scales, calls=1)
    mean = points[:, -1].mean(dim=0).expand_as(after)
    errors = [float(distillation.distance(pictures, points[:, -1])) for pictures in (before, mean, after)]
    print(errors)
    assert errors[2] < 0.6 * errors[0] and errors[2] < 0.5 * errors[1]
