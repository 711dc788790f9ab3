"""A network that takes the guidance scale, through the engine under Node, against PyTorch: the reference's Unet with torch.lerp
between the rows of the scales.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from node_engine import Engine
from pocket_diffusion import export_command, guidance_input, reference, verify
from pocket_diffusion.calibration import Calibration
from pocket_diffusion.checkpoint import CheckpointError, describe, read_checkpoint
from pocket_diffusion.model_file import read_model
from pocket_diffusion.reference import Generation
from pocket_diffusion.verify import FORWARD_TOLERANCE, STATE_TOLERANCE, Subject, relative_error
from sampling_oracle import raw_x0

UNET = dict(dim=12, num_classes=3, cond_drop_prob=0.2, dim_mults=(1, 2), channels=4)
SCALES = (0.0, 1.0, 2.5, 7.0)


def save_checkpoint(path: Path, scales: tuple[Any, ...] = SCALES, **changes: Any) -> Path:
    table = guidance_input.table_arguments(UNET, SCALES)
    content = dict(
        unet=UNET, guidance_scales=list(scales), ema=reference.random_unet(table, seed=5).state_dict(),
        diffusion=dict(image_size=8, timesteps=100, objective="pred_v", beta_schedule="cosine"), pixel_unshuffle=2,
        image=dict(height=16, width=16, channels=1), classes=["a", "b", "c"],
    )  # fmt: skip
    torch.save({**content, **changes}, path)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("guided")
    checkpoint, model = save_checkpoint(folder / "guided.pt"), folder / "guided.gguf"
    arguments = [str(checkpoint), str(model), "--type", "f32", "--sampler", "lcm", "--steps", "2", "--guidance-scale", "1.7"]
    assert export_command.main(arguments) == 0
    return checkpoint, model


@pytest.fixture(scope="module")
def subject(files: tuple[Path, Path]) -> Subject:
    return Subject.read(files[1])


@pytest.fixture(scope="module")
def engine(files: tuple[Path, Path]) -> Iterator[Engine]:
    with Engine() as engine:
        engine.load(files[1]).result()
        yield engine


def test_rows_are_interpolated():
    rows = torch.arange(2 * 3 * 4).reshape(6, 4).float() ** 2
    table = guidance_input.ScaleEmbedding(rows, (0.0, 1.0, 4.0))
    found = table(guidance_input.conditions(torch.tensor([0, 1, 1, 0, 1]), torch.tensor([0.0, 4.0, 1.0, 0.25, 2.5])))
    expected = torch.stack([rows[0], rows[5], rows[4], 0.75 * rows[0] + 0.25 * rows[1], 0.5 * rows[4] + 0.5 * rows[5]])
    torch.testing.assert_close(found, expected)


def test_file(files: tuple[Path, Path]):
    file = read_model(files[1])
    assert file.guidance_scales == SCALES and file.unet["num_classes"] == 3
    assert file.weights["classes_emb.weight"].shape == (12, 12)


@pytest.mark.parametrize("scale", [0.0, 0.4, 1.0, 1.7, 2.5, 6.9, 7.0])
def test_run(engine: Engine, subject: Subject, scale: float):
    for seed, (sampler, steps, eta) in enumerate([("ddim", 4, 0.0), ("ddim", 3, 1.0), ("ddpm", 6, 0.0)]):
        run = Generation(seed, seed, sampler, steps, eta, scale)
        states, _, picture = engine.generate(subject.file.network_shape, run).result()
        expected = subject.trajectory(run)
        assert max(float((a - b).abs().max()) for a, b in zip(states, expected, strict=True)) < STATE_TOLERANCE
        assert (picture == subject.pixels(expected[-1]).reshape(-1)).mean() > 0.99


def lcm(subject: Subject, options: dict[str, Any], rows: torch.Tensor) -> list[torch.Tensor]:
    """x after each call, for one row of the embedding table."""
    table, times = subject.file.alphas_cumprod, reference.time_grid(100, options["steps"])
    subject.unet.classes_emb, kept = torch.nn.Embedding.from_pretrained(rows[None]), subject.unet.classes_emb
    states = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options["seed"])
        x = torch.randn(1, *subject.file.network_shape)[0]
        for t, to in zip(times, [*times[1:], -1]):
            x = raw_x0("pred_v", table[t], x, reference.forward(subject.unet, x, t, 0)).clamp(-1, 1)
            if to >= 0:
                x = table[to] ** 0.5 * x + (1 - table[to]) ** 0.5 * torch.randn(1, *x.shape)[0]
            states.append(x)
    subject.unet.classes_emb = kept
    return states


def test_mix_of_embeddings_by_lcm(engine: Engine, subject: Subject):
    """The weighted mean of interpolated rows."""
    weights = {0: 0.25, 2: 0.75}
    table = subject.file.weights["classes_emb.weight"].reshape(3, 4, -1)
    rows = sum(weight * torch.lerp(table[label][1], table[label][2], 0.6) for label, weight in weights.items())
    options = {"classMix": [{"label": 0, "weight": 1}, {"label": 2, "weight": 3}], "seed": 4, "sampler": "lcm", "steps": 4, "guidanceScale": 1.9}
    states, _, _ = engine.generate_with(subject.file.network_shape, options).result()
    assert max(float((a - b).abs().max()) for a, b in zip(states, lcm(subject, options, rows), strict=True)) < STATE_TOLERANCE


def test_predict_is_at_the_recommended_scale(engine: Engine, subject: Subject):
    x = torch.randn(subject.file.network_shape, generator=torch.Generator().manual_seed(3))
    for label in range(3):
        expected = subject.forward(subject.unet, x, 50, label)
        assert relative_error(engine.predict(x, 50, label).result(), expected) < FORWARD_TOLERANCE


def test_verify(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]):
    assert verify.main([*map(str, files), "--quick"]) == 0
    assert "FAIL" not in capsys.readouterr().out


def test_calibration(files: tuple[Path, Path], tmp_path: Path):
    """Inputs are those that the network was made for: the times of its steps, all scales."""
    read = read_checkpoint(files[0])
    calibration = Calibration(describe(read), read.weights, 1.7, 0, steps=2)
    inputs = calibration._inputs
    assert set(inputs.times.tolist()) == {99, 49}
    assert (float(inputs.scales.min()), float(inputs.scales.max())) == (0.0, 7.0)
    assert calibration.error("classes_emb.weight", read.weights["classes_emb.weight"] + 0.1) > 0
    assert export_command.main([str(files[0]), str(tmp_path / "small.gguf"), "--type", "q5_0", "--steps", "2"]) == 0


@pytest.mark.parametrize("options", [("--type", "q8_0"), ("--bytes", "0.2M")])
def test_rows_that_are_alike_stay_alike(tmp_path: Path, options: tuple[str, str]):
    """Rows of 16 share blocks of 32 with their neighbours: at scale 0 no class would be like another."""
    unet = {**UNET, "dim": 16}
    weights = reference.random_unet(guidance_input.table_arguments(unet, SCALES), seed=5).state_dict()
    checkpoint = save_checkpoint(tmp_path / "alike.pt", unet=unet, ema=weights)
    content = torch.load(checkpoint, weights_only=True)
    table = content["ema"]["classes_emb.weight"].view(3, len(SCALES), -1)
    table[:, 0] = table[0, 0].clone()
    torch.save(content, checkpoint)
    assert export_command.main([str(checkpoint), str(tmp_path / "alike.gguf"), *options, "--steps", "2"]) == 0
    read = next(tensor for tensor in gguf.GGUFReader(tmp_path / "alike.gguf").tensors if tensor.name == "classes_emb.weight")
    rows = gguf.quants.dequantize(read.data, read.tensor_type).reshape(table.shape)
    assert (rows[1:, 0] == rows[0, 0]).all()
    np.testing.assert_allclose(rows, table.numpy(), atol=0.02)


@pytest.mark.parametrize(
    ("scales", "word"),
    [((0.0,), "ascending"), ((0.0, 1.0, 1.0), "ascending"), ((-1.0, 1.0, 2.0), "ascending"), ((0.0, 101.0, 102.0), "ascending"),
     (tuple(range(65)), "ascending"), (("x", "y"), "numbers"), ((0.0, 1.0, 2.0, 3.0, 4.0), "12 rows for 5"), ((0.0, 1.0, 2.0, float("nan")), "ascending")],
)  # fmt: skip
def test_scales_that_are_refused(tmp_path: Path, scales: tuple[Any, ...], word: str):
    read = read_checkpoint(save_checkpoint(tmp_path / "bad.pt", scales))
    with pytest.raises(CheckpointError, match=word):
        describe(read)


def test_recommendations_that_are_refused(files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for option, value in (("--guidance-scale", "7.5"), ("--guidance-interval", "10,20")):
        assert export_command.main([str(files[0]), str(tmp_path / "bad.gguf"), option, value]) == 1
        assert option in capsys.readouterr().err
