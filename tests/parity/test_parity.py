"""Our numbers are PyTorch's: networks with random weights through the exporter and the engine under Node.

Every shape of the reference's Unet that the format knows is tried, each with its own size of picture, objective
and schedule. Tolerances are those of python/pocket_diffusion/verify.py.
"""

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from few_pictures import use_few_pictures
from node_engine import Engine, EngineError
from pocket_diffusion import calibration, export_command, reference, verify
from pocket_diffusion.reference import Generation
from pocket_diffusion.verify import Subject


@dataclass(frozen=True)
class Network:
    """One network with random weights, and what it is trained for in our imagination."""

    name: str
    unet: dict[str, Any]
    width: int  # of the finished picture
    height: int
    objective: str = "pred_noise"
    schedule: str = "cosine"
    timesteps: int = 1000
    pixel_unshuffle: int = 1
    options: tuple[str, ...] = field(default=())


def network(name: str, size: tuple[int, int], objective: str, schedule: str, timesteps: int, *options: str, r: int = 1, **unet: Any) -> Network:
    return Network(name, {"num_classes": 3, **unet}, *size, objective, schedule, timesteps, r, options)


EPS, X0, V = "pred_noise", "pred_x0", "pred_v"
RANDOM = ("--fourier", "random")
NETWORKS = [
    # widths; dim 8 is the smallest with full SIMD vectors, 4 the smallest there is
    network("smallest", (16, 16), V, "cosine", 1000, dim=4, dim_mults=(1,), channels=1),
    network("dim 8", (32, 32), V, "linear", 1000, dim=8, dim_mults=(1, 2), channels=1),
    network("dim 10", (16, 16), V, "linear", 200, dim=10, dim_mults=(1, 2), channels=3),
    network("dim 12", (24, 16), X0, "cosine", 500, dim=12, dim_mults=(1, 2), channels=3),
    network("dim 16", (32, 32), V, "cosine", 1000, dim=16, dim_mults=(1, 2, 4), channels=3),
    network("dim 20", (16, 24), EPS, "linear", 1000, dim=20, dim_mults=(1, 2), channels=3),
    network("dim 22", (16, 16), V, "cosine", 100, dim=22, dim_mults=(1, 1), channels=4),
    network("dim 32", (32, 32), V, "cosine", 1000, r=2, dim=32, dim_mults=(1, 2, 4), channels=4),
    network("dim 44", (16, 16), X0, "linear", 1000, dim=44, dim_mults=(1, 2), channels=3),
    network("dim 48", (32, 32), V, "cosine", 1000, r=4, dim=48, dim_mults=(1, 2), channels=16),
    network("dim 64", (16, 16), EPS, "linear", 1000, dim=64, dim_mults=(1, 2), channels=3),
    # levels
    network("one level", (16, 16), X0, "linear", 1000, dim=16, dim_mults=(1,), channels=3),
    network("equal levels", (32, 16), V, "cosine", 1000, dim=16, dim_mults=(1, 1, 2), channels=1),
    network("four levels", (32, 32), EPS, "cosine", 1000, dim=16, dim_mults=(1, 2, 2, 4), channels=3),
    network("five levels", (16, 32), V, "cosine", 300, dim=8, dim_mults=(1, 2, 3, 2, 4), channels=3),
    network("six levels, narrowing", (64, 32), V, "linear", 1000, dim=8, dim_mults=(3, 2, 1, 2, 1, 3), channels=1),
    # channels and pixel unshuffle
    network("1 channel of 64 x 64", (64, 64), V, "cosine", 1000, dim=8, dim_mults=(1, 2, 4), channels=1),
    network("2 channels", (16, 16), V, "cosine", 1000, dim=16, dim_mults=(1, 2), channels=2),
    network("5 channels", (16, 16), EPS, "linear", 1000, dim=16, dim_mults=(1, 2), channels=5),
    network("7 channels", (16, 16), X0, "cosine", 1000, dim=16, dim_mults=(2, 1), channels=7),
    network("9 channels, unshuffle 3", (48, 36), V, "cosine", 1000, r=3, dim=16, dim_mults=(1, 2), channels=9),
    network("12 channels, unshuffle 2", (32, 48), EPS, "linear", 1000, r=2, dim=24, dim_mults=(1, 2), channels=12),
    network("RGBA", (20, 28), V, "linear", 500, dim=16, dim_mults=(1, 2), channels=4),
    # what else shapes a network
    network("init_dim", (16, 16), V, "cosine", 1000, dim=16, dim_mults=(1, 2), channels=3, init_dim=26),
    network("out_dim", (16, 16), V, "cosine", 1000, dim=16, dim_mults=(1, 2), channels=3, out_dim=5),
    network("learned variance", (16, 16), EPS, "linear", 1000, dim=16, dim_mults=(1, 2), channels=3, learned_variance=True),
    network("learned Fourier", (16, 16), V, "cosine", 1000, dim=16, dim_mults=(1, 2), channels=3, learned_sinusoidal_cond=True),
    network(
        "learned Fourier, odd dim", (16, 16), X0, "cosine", 1000, dim=9, dim_mults=(1, 2), channels=3, learned_sinusoidal_cond=True, learned_sinusoidal_dim=6
    ),
    network(
        "random Fourier", (16, 16), EPS, "linear", 400, *RANDOM, dim=20, dim_mults=(1, 2), channels=1, random_fourier_features=True, learned_sinusoidal_dim=10
    ),
    network("one head", (16, 16), V, "cosine", 1000, "--attn-heads", "1", dim=16, dim_mults=(1, 2), channels=3, attn_heads=1, attn_dim_head=24),
    network("three heads of 11", (24, 24), V, "linear", 1000, "--attn-heads", "3", dim=16, dim_mults=(1, 2), channels=3, attn_heads=3, attn_dim_head=11),
    network("seven heads of 5", (16, 16), X0, "linear", 1000, "--attn-heads", "7", dim=12, dim_mults=(1, 2), channels=3, attn_heads=7, attn_dim_head=5),
    network("one class", (16, 16), V, "cosine", 50, dim=16, dim_mults=(1, 2), channels=1, num_classes=1),
    network(
        "all at once",
        (24, 32),
        V,
        "linear",
        700,
        "--attn-dim-head",
        "13",
        dim=18,
        dim_mults=(1, 3, 2),
        channels=3,
        init_dim=14,
        attn_heads=3,
        attn_dim_head=13,
        learned_sinusoidal_cond=True,
        learned_sinusoidal_dim=12,
        num_classes=5,
    ),
]
NAMES = [each.name for each in NETWORKS]


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    with Engine() as engine:
        yield engine


def make_model(each: Network, path: Path, *options: str) -> Path:
    """Exports the network as a bare state dict; returns the path of the checkpoint."""
    checkpoint = path.with_suffix(".pt")
    seed = NAMES.index(each.name) if each.name in NAMES else 0
    identity = 1.0 if each.objective == EPS and can_be_sampled(each) else 0.0
    torch.save(reference.random_unet(each.unet, seed, identity).state_dict(), checkpoint)
    code = export_command.main(
        [
            str(checkpoint), str(path), "--type", "f32",
            "--image-size", f"{each.width}x{each.height}", "--pixel-unshuffle", str(each.pixel_unshuffle),
            "--objective", each.objective, "--beta-schedule", each.schedule, "--timesteps", str(each.timesteps),
            *(() if {"--attn-heads", "--attn-dim-head"} & {*each.options} else ("--attn-heads", "4")), *each.options, *options,
        ]
    )  # fmt: skip
    assert code == 0
    return checkpoint


def some_generations(index: int, each: Network) -> list[Generation]:
    """Five runs of every network. Guidance takes turns, so that each sampler meets every combination of scale,
    projection and rescale over all networks.
    """
    guidances = [(s, p, phi) for s in (0.0, 1.0, 3.0, 6.0) for p in (False, True) for phi in (0.0, 0.7)]
    large = each.width * each.height > 32 * 32
    samplers = [("ddim", 10, 0.0), ("ddim", 10, 1.0), ("ddpm", 10 if large else 50, 0.0)]
    generations = []
    for i, (sampler, steps, eta) in enumerate(samplers):
        for j in (0, 1):
            if sampler == "ddpm" and j:
                continue  # the longest runs: one is enough
            scale, projection, rescale = guidances[(5 * index + 3 * i + 9 * j) % len(guidances)]
            label = (index + i + j) % each.unet["num_classes"]
            generations.append(Generation(label, 100 * index + 10 * i + j, sampler, steps, eta, scale, projection, rescale))
    return generations


def assert_passed(checks: list[verify.Check]) -> None:
    """These runs are chosen so that the reference's own rounding leaves the tolerance as it is."""
    failed = [str(check) for check in checks if not check.passed or (check.tolerance > verify.STATE_TOLERANCE and check.name.startswith("x_t"))]
    assert not failed, "\n".join(failed)


def can_be_sampled(each: Network) -> bool:
    unet = each.unet
    same = "out_dim" not in unet and not unet.get("learned_variance")
    return same and unet["channels"] // each.pixel_unshuffle**2 in (1, 3, 4)


QUICK = {"smallest", "dim 10", "9 channels, unshuffle 3", "learned variance", "random Fourier", "seven heads of 5"}


@pytest.mark.parametrize("each", [pytest.param(each, id=each.name, marks=[] if each.name in QUICK else pytest.mark.slow) for each in NETWORKS])
def test_network(engine: Engine, tmp_path: Path, each: Network):
    path = tmp_path / "model.gguf"
    make_model(each, path)
    subject = Subject.read(path)
    index = NAMES.index(each.name)
    loaded = engine.load(path).result()
    betas = reference.schedule_betas(each.schedule, each.timesteps)
    checks = verify.check_schedule(subject, torch.cumprod(1 - betas, 0).numpy(), loaded["alphasCumprod"])
    checks += verify.check_forward(engine, subject, seeds=(index,))
    if can_be_sampled(each):
        checks += verify.check_trajectories(engine, subject, some_generations(index, each))
    print(*checks, sep="\n")
    assert_passed(checks)


def test_enough_is_tried():
    """The combinations that the choice above leaves out would leave it silently."""
    sampled = [each for each in NETWORKS if can_be_sampled(each)]
    assert len(sampled) >= 24
    runs = [(g, each) for each in sampled for g in some_generations(NAMES.index(each.name), each)]
    for sampler in (("ddim", 0.0), ("ddim", 1.0), ("ddpm", 0.0)):
        seen = {(g.guidance_scale, g.projection, g.rescale) for g, _ in runs if (g.sampler, g.eta) == sampler}
        assert len(seen) == 16, sampler
        assert {(each.objective, each.schedule) for g, each in runs if (g.sampler, g.eta) == sampler} == {
            (objective, schedule) for objective in (EPS, X0, V) for schedule in ("linear", "cosine")
        }


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["f16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"])
def test_quantised_files(engine: Engine, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch):
    """The engine unpacks weights exactly as the gguf package does, so the tolerances stay."""
    use_few_pictures(monkeypatch, calibration)
    each = NETWORKS[NAMES.index("dim 32")]
    path = tmp_path / "model.gguf"
    make_model(each, path, "--type", kind)
    subject = Subject.read(path)
    assert kind.upper() in subject.file.types.values()
    engine.load(path).result()
    assert_passed(verify.check_forward(engine, subject, (1,)) + verify.check_trajectories(engine, subject, some_generations(0, each)))


def test_whole_ddpm_process(engine: Engine, tmp_path: Path):
    """Every timestep: here nothing is respaced, and the last one is t = 0."""
    each = network("whole", (16, 16), V, "cosine", 60, dim=16, dim_mults=(1, 2), channels=3)
    path = tmp_path / "model.gguf"
    make_model(each, path)
    subject = Subject.read(path)
    engine.load(path).result()
    runs = [Generation(1, 5, sampler, 60, eta, 3.0) for sampler, eta in (("ddpm", 0.0), ("ddim", 0.0), ("ddim", 1.0))]
    assert_passed(verify.check_trajectories(engine, subject, runs))


@pytest.mark.parametrize("name", ["doodles", "digits"])
def test_shipped_model(engine: Engine, repository: Path, name: str):
    """The files that people get; python/pocket_diffusion/verify.py does more."""
    path = repository / "weights" / f"{name}.gguf"
    subject = Subject.read(path)
    engine.load(path).result()
    checks = verify.check_forward(engine, subject, (1,)) + verify.check_trajectories(engine, subject, verify.all_generations(subject, (3,), quick=True))
    assert_passed(checks)


# ---- the oracle and the tool itself -----------------------------------------------


@pytest.mark.parametrize("objective", [EPS, X0, V])
@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
def test_oracle_is_the_plain_reference(objective: str, sampler: str):
    """Where the reference can do it by itself (projection on, no respacing), without any of our wrapping."""
    unet = reference.random_unet({"dim": 8, "num_classes": 3, "dim_mults": (1, 2), "channels": 3}, seed=9)
    steps = 30 if sampler == "ddpm" else 10
    plain = reference.load_reference().GaussianDiffusion(
        unet, image_size=8, timesteps=30, sampling_timesteps=steps, objective=objective, beta_schedule="linear", ddim_sampling_eta=0.5
    )
    torch.manual_seed(11)
    expected = plain.sample(torch.tensor([2]), cond_scale=4.0, rescaled_phi=0.6)[0] * 2 - 1
    abar = torch.cumprod(1 - reference.schedule_betas("linear", 30), 0).numpy()
    run = Generation(2, 11, sampler, steps, 0.5, 4.0, projection=True, rescale=0.6)
    states = reference.trajectory(unet, abar, objective, (3, 8, 8), run)
    assert len(states) == steps
    assert (states[-1] - expected).abs().max() < 2e-5
    without = reference.trajectory(unet, abar, objective, (3, 8, 8), Generation(2, 11, sampler, steps, 0.5, 4.0, False, 0.6))
    assert (without[-1] - expected).abs().max() > 1e-2


def test_float64_tells_rounding():
    """The same run in float64 is the same run: close to float32 where the process is calm, and not equal to it."""
    unet = reference.random_unet({"dim": 8, "num_classes": 3, "dim_mults": (1, 2), "channels": 3}, seed=9)
    abar = torch.cumprod(1 - reference.schedule_betas("linear", 30), 0).numpy()
    for sampler in ("ddpm", "ddim"):
        run = Generation(2, 11, sampler, 10, 0.5, 3.0)
        single, double = (reference.trajectory(unet, abar, V, (3, 8, 8), run, double) for double in (False, True))
        assert double[0].dtype == torch.float64
        assert 1e-9 < max(float((a - b).abs().max()) for a, b in zip(single, double)) < 1e-4


def test_pixels():
    x = torch.tensor([-2.0, -1.0, 1 / 255 - 1, 0.0, 1.0, 3.0]).reshape(1, 1, 6)
    assert reference.to_pixels(x, 1).reshape(-1).tolist() == [0, 0, 1, 128, 255, 255]
    image = torch.arange(2 * 4 * 6).reshape(2, 4, 6) / 24 - 1
    shuffled = torch.nn.functional.pixel_unshuffle(image, 2)
    assert np.array_equal(reference.to_pixels(shuffled, 2), reference.to_pixels(image, 1))


def test_verify_tool(tmp_path: Path, capsys):
    """On a checkpoint of one's own; and it notices another checkpoint, and another schedule."""
    each = network("tool", (16, 16), V, "cosine", 100, dim=8, dim_mults=(1, 2), channels=3, num_classes=2)
    path = tmp_path / "model.gguf"
    checkpoint = make_model(each, path, "--type", "q8_0")
    capsys.readouterr()
    assert verify.main([str(checkpoint), str(path), "--quick", "--json", "--seeds", "1"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["passed"] and all(check["passed"] for check in result["checks"])
    assert len(result["checks"]) > 20 and result["against_checkpoint"]["pictures"] == 2
    assert 0 < result["against_checkpoint"]["mean_pixel_difference"] < 20

    torch.save(reference.random_unet(each.unet, seed=77).state_dict(), checkpoint)
    assert verify.main([str(checkpoint), str(path), "--quick"]) == 1
    assert "FAIL  weights as Q8_0" in capsys.readouterr().out
    state = reference.random_unet({**each.unet, "num_classes": 4}, seed=0).state_dict()
    torch.save(state, checkpoint)
    assert verify.main([str(checkpoint), str(path)]) == 1


def test_checks_can_fail():
    assert not verify.Check("x", math.nan, 1.0).passed
    assert not verify.Check("x", 1.1, 1.0).passed and verify.Check("x", 1.0, 1.0).passed
    tally = verify.PixelTally()
    tally.add(np.array([1] * 2000, np.uint8), np.array([1] * 1999 + [2], np.uint8))
    assert tally.check().passed
    tally.add(np.array([255], np.uint8), np.array([253], np.uint8))
    assert not tally.check().passed
    tally = verify.PixelTally()
    tally.add(np.array([1] * 100, np.uint8), np.array([1] * 99 + [2], np.uint8))
    assert not tally.check().passed


def test_errors_of_the_engine_arrive(engine: Engine, tmp_path: Path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"no model")
    with pytest.raises(EngineError):
        engine.load(broken).result()


@pytest.mark.skipif("POCKET_DIFFUSION_CHECKPOINTS" not in os.environ, reason="POCKET_DIFFUSION_CHECKPOINTS names no folder with doodles.pt")
def test_doodles_against_its_checkpoint(repository: Path, capsys):
    checkpoint = Path(os.environ["POCKET_DIFFUSION_CHECKPOINTS"]) / "doodles.pt"
    assert verify.main([str(checkpoint), str(repository / "weights" / "doodles.gguf"), "--json"]) == 0
    difference = json.loads(capsys.readouterr().out)["against_checkpoint"]
    assert difference["mean_pixel_difference"] < 2
