"""Samplers, time grids and guidance through the engine under Node, against sampling_oracle.py and the reference.

`python -m pytest tests/parity/test_sampling.py -s` prints the errors that docs/sampling.md lists.
"""

import copy
import ctypes
import dataclasses
import math
import warnings
from typing import Any

import core_library
import numpy as np
import pytest
import sampling_oracle
import torch
from diffusers import DPMSolverMultistepScheduler
from node_engine import Engine, EngineError
from pocket_diffusion import reference
from pocket_diffusion.reference import Generation
from pocket_diffusion.verify import FORWARD_TOLERANCE, PIXEL_SHARE, ROUNDING_FACTOR, STATE_TOLERANCE, PixelTally, Subject
from sampling_subjects import distance
from test_parity import EPS

pytest_plugins = ["sampling_subjects"]

SOLVERS = ["dpmpp-2m", "dpmpp-2m-sde", "euler", "euler-ancestral", "heun", "unipc", "lcm"]
GRIDS = ["linear", "quadratic", "trailing", "karras"]

errors: dict[str, float] = {}  # feature -> largest difference of any x_t
pixels = PixelTally()  # of all runs


class _UnroundedUnet(torch.nn.Module):
    """The reference's network with its inner arithmetic in float64."""

    def __init__(self, unet: torch.nn.Module) -> None:
        super().__init__()
        self.unet = copy.deepcopy(unet).double()

    def forward(self, x, t, classes, **options):
        return self.unet(x.double(), t.double(), classes, **options).to(x.dtype)


def compare(engine: Engine, subject: Subject, feature: str, expected: list[torch.Tensor], options: dict[str, Any]) -> None:
    """Every x_t within STATE_TOLERANCE. Some processes multiply any rounding of the network beyond that: as in
    python/pocket_diffusion/verify.py, a run that exceeds it may be ROUNDING_FACTOR times as far from the oracle as the oracle is from
    itself with the network in float64, and says so.
    """
    states, _, picture = engine.generate_with(subject.file.network_shape, options).result()
    error = distance(states, expected)
    errors[feature] = max(errors.get(feature, 0.0), error)
    pixels.add(picture, subject.pixels(expected[-1]))
    print(f"{feature}: {error:.1e}, {options}")
    tolerance = STATE_TOLERANCE
    if error > tolerance and not options.get("cfgPlusPlus"):
        unrounded = sampling_oracle.trajectory(dataclasses.replace(subject, unet=_UnroundedUnet(subject.unet)), options)
        rounding = distance(expected, unrounded)
        tolerance = max(tolerance, ROUNDING_FACTOR * rounding)
        warnings.warn(f"{feature}: {error:.1e}; the oracle's own rounding makes {rounding:.1e}, {options}", stacklevel=2)
    assert error <= tolerance, options
    assert pixels.largest <= 1, options


def check(engine: Engine, subject: Subject, feature: str, **options: Any) -> None:
    options = {"label": 1, "seed": 5, "sampler": "ddim", "steps": 8, "eta": 0.0, "guidanceScale": 3.0, **options}
    compare(engine, subject, feature, sampling_oracle.trajectory(subject, options), options)


@pytest.mark.parametrize("sampler", SOLVERS)
def test_solver(engine: Engine, subject: Subject, sampler: str):
    runs = [(1, "linear"), (2, "trailing"), (6, "karras"), (10, "linear"), (20, "quadratic")]
    if subject.file.metadata["diffusion.objective"] == EPS:
        runs = runs[2:]  # x_0 of the first step is 158 times the rounding of eps, which nothing corrects in so few steps
    if sampler == "heun" and subject.file.metadata["diffusion.beta_schedule"] == "cosine":
        # From k = 20000 Heun's second slope multiplies rounding by k / k_next.
        runs = [(1, "linear"), (15, "karras"), (25, "karras")]
    if sampler == "lcm":  # of diffusers returns x itself at t = 0, as networks trained with a skip connection want it
        runs = [(1, "linear"), (2, "trailing"), (4, "linear"), (8, "trailing"), (20, "linear")]
    if sampler == "lcm" and subject.file.metadata["diffusion.objective"] == EPS:
        runs = runs[3:]
    for seed, (steps, grid) in enumerate(runs):
        check(engine, subject, sampler, sampler=sampler, steps=steps, timeGrid=grid, seed=seed)


@pytest.mark.parametrize("grid", GRIDS)
def test_grid_in_a_run(engine: Engine, subject: Subject, grid: str):
    options = {"label": 0, "seed": 3, "sampler": "ddim", "steps": 9, "eta": 0, "guidanceScale": 2, "timeGrid": grid}
    _, times, _ = engine.generate_with(subject.file.network_shape, options).result()
    assert times == sampling_oracle.time_grid(subject.file.alphas_cumprod, 9, grid)
    check(engine, subject, f"{grid} grid", timeGrid=grid, steps=9)


def test_ddpm_options(engine: Engine, subject: Subject):
    for mean in ("x0", "noise"):
        for variance in ("posterior", "beta"):
            # From eps nothing is clipped: a respaced cosine process would leave its first step at |x| ~ 1e4.
            grid = "karras" if mean == "noise" else "linear"
            steps = 40 if mean == "noise" else 12
            check(
                engine, subject, f"ddpm {mean} {variance}", sampler="ddpm", steps=steps, timeGrid=grid, ddpmMean=mean, ddpmVariance=variance, guidanceScale=1.5
            )


def test_cfg_plus_plus(engine: Engine, subject: Subject):
    """The reference has it."""
    for seed, (scale, eta) in enumerate([(0.6, 0.0), (3.0, 0.0), (2.0, 1.0)]):
        run = Generation(1, seed, "ddim", 10, eta, scale, cfg_plus_plus=True)
        options = {"label": 1, "seed": seed, "sampler": "ddim", "steps": 10, "eta": eta, "guidanceScale": scale, "cfgPlusPlus": True}
        compare(engine, subject, "cfg++", subject.trajectory(run), options)


def test_interval(engine: Engine, subject: Subject):
    last = subject.file.metadata["diffusion.timesteps"] - 1
    for low, high in ((0, last // 2), (last // 3, 2 * last // 3), (last, last), (0, 0)):
        check(engine, subject, "interval", guidanceInterval=[low, high])
    check(engine, subject, "interval", guidanceInterval=[last // 4, last // 2], sampler="unipc", rescale=0.7)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_schedule(engine: Engine, subject: Subject, schedule: str):
    check(engine, subject, f"{schedule} schedule", guidanceSchedule=schedule)
    cosine = subject.file.metadata["diffusion.beta_schedule"] == "cosine"  # too much for Heun
    sampler, steps = ("unipc", 6) if cosine else ("heun", 10)
    check(engine, subject, f"{schedule} schedule", guidanceSchedule=schedule, sampler=sampler, steps=steps, timeGrid="trailing")


def test_negative_label(engine: Engine, subject: Subject):
    check(engine, subject, "negative class", negativeLabel=0)
    check(engine, subject, "negative class", negativeLabel=2, sampler="dpmpp-2m", projection=True)


def test_apg(engine: Engine, subject: Subject):
    for options in (
        {"projection": True, "keepParallel": 0.25},
        {"momentum": -0.5},
        {"normThreshold": 2.0},
        {"projection": True, "momentum": -0.75, "normThreshold": 2.5},
        {"projection": True, "momentum": 0.3, "normThreshold": 0.1, "keepParallel": 0.5, "rescale": 0.7},
        {"projection": True, "momentum": -0.5, "normThreshold": 1.0, "guidanceInterval": [100, 300]},
    ):
        check(engine, subject, "apg", **options)


def test_dynamic_threshold(engine: Engine, subject: Subject):
    for percentile, sampler in ((0.995, "ddim"), (0.9, "dpmpp-2m"), (0.5, "euler-ancestral"), (1.0, "ddpm")):
        check(engine, subject, "dynamic threshold", dynamicThreshold=percentile, sampler=sampler, guidanceScale=6.0)


def test_weight_is_scale_minus_one(engine: Engine, subject: Subject):
    base = {"label": 1, "seed": 9, "sampler": "ddim", "steps": 5, "eta": 0}
    for weight in (-1, 0, 0.3, 2, 5.5):
        results = [
            engine.generate_with(subject.file.network_shape, {**base, **way}).result() for way in ({"guidanceWeight": weight}, {"guidanceScale": weight + 1})
        ]
        assert all(torch.equal(a, b) for a, b in zip(*(states for states, _, _ in results)))
    with pytest.raises(EngineError, match="guidanceWeight"):
        engine.generate_with(subject.file.network_shape, {**base, "guidanceWeight": 1, "guidanceScale": 2}).result()


def planes_in_pytorch(subject: Subject, step: dict[str, Any], options: dict[str, Any]) -> dict[str, torch.Tensor]:
    """What follows from our x_t: predictions of the reference's network, and x_0 from our own predictions (a difference of
    the predictions' last bits comes back in x_0 sigma / alpha times as large).
    """
    x, t = step["x"]["values"], step["timestep"]
    with torch.no_grad():
        conditional, null = (reference.forward(subject.unet, x, t, label) for label in (options["label"], options.get("negativeLabel")))
    planes = {"conditional": conditional, "null": null, "difference": conditional - null}
    ours = [step[name]["values"].double() for name in ("conditional", "null") if step[name] is not None]
    guided = ours[-1] + options["guidanceScale"] * (ours[0] - ours[-1])
    abar = subject.file.alphas_cumprod[t]
    raw = sampling_oracle.raw_x0(subject.file.metadata["diffusion.objective"], abar, x.double(), guided)
    planes["x0"] = sampling_oracle.estimate_x0(options, raw).float()
    return {name: plane for name, plane in planes.items() if step[name] is not None}


def check_plane(subject: Subject, name: str, plane: dict[str, Any], expected: torch.Tensor, limit: float) -> None:
    values = plane["values"]
    error = float((values - expected).abs().max())
    errors[f"trace: {name}"] = max(errors.get(f"trace: {name}", 0.0), error)
    assert error <= limit, name
    apart = abs(plane["norm"] - float(torch.linalg.vector_norm(expected.double())))
    errors[f"trace: norm of {name}"] = max(errors.get(f"trace: norm of {name}", 0.0), apart)
    assert apart <= limit * math.sqrt(values.numel()), name
    assert plane["range"] == (1 if name in ("x", "x0") else float(values.abs().max()))
    shades = subject.pixels(values / plane["range"]).reshape(-1).astype(int)
    assert np.abs(plane["pixels"].astype(int) - shades).max() <= 1, name


def check_trace(engine: Engine, subject: Subject, **options: Any) -> list[dict[str, Any]]:
    """Every plane, norm and picture of every step: x_t against the oracle's own run, the rest against PyTorch at our x_t."""
    options = {"label": 1, "seed": 5, "sampler": "ddim", "steps": 6, "eta": 0.0, "guidanceScale": 3.0, **options}
    steps = engine.trace_with(subject.file.network_shape, options).result()
    generator = torch.Generator().manual_seed(options["seed"])
    noise = torch.randn(1, *subject.file.network_shape, generator=generator)[0]
    expected = [noise, *sampling_oracle.trajectory(subject, options)]
    times = sampling_oracle.time_grid(subject.file.alphas_cumprod, options["steps"], options.get("timeGrid", "linear"))
    calls = times if options["sampler"] != "heun" else times[:1] + [t for t in times[1:] for _ in range(2)]
    assert [step["timestep"] for step in steps] == calls and len(expected) == len(calls) + 1
    for step, x in zip(steps, expected):
        check_plane(subject, "x", step["x"], x, STATE_TOLERANCE)
        planes = planes_in_pytorch(subject, step, options)
        if options.get("momentum"):
            del planes["x0"]
        largest = max(float(plane.abs().max()) for plane in planes.values())
        for name, plane in planes.items():
            share = FORWARD_TOLERANCE * largest
            limits = {"x0": STATE_TOLERANCE, "difference": 2 * share}
            check_plane(subject, name, step[name], plane, limits.get(name, share))
    return steps


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["ddim", "ddpm", *SOLVERS])
def test_trace(engine: Engine, subject: Subject, sampler: str):
    grid = {"steps": 15, "timeGrid": "karras"} if sampler == "heun" else {}
    steps = check_trace(engine, subject, sampler=sampler, **grid)
    assert all(step[name] is not None for step in steps for name in ("conditional", "null", "difference"))


def test_trace_without_one_of_the_predictions(engine: Engine, subject: Subject):
    at_one = check_trace(engine, subject, guidanceScale=1.0)
    assert all(step["null"] is None and step["difference"] is None and step["conditional"] is not None for step in at_one)
    at_zero = check_trace(engine, subject, guidanceScale=0.0)
    assert all(step["conditional"] is None and step["difference"] is None and step["null"] is not None for step in at_zero)
    guided = check_trace(engine, subject, guidanceInterval=[100, 250], negativeLabel=0)
    assert all((step["null"] is not None) == (100 <= step["timestep"] <= 250) for step in guided)
    # Momentum changes the update after the predictions were made.
    check_trace(engine, subject, momentum=-0.5, normThreshold=2.5, projection=True, rescale=0.5)


def test_pixels_of_all_runs():
    """Those of the tests above; single pictures are too small for a share of 0.1 %."""
    print(f"{pixels.unequal} of {pixels.values} pixels differ")
    if pixels.values < 50_000:
        pytest.skip("needs the other tests of this file")
    assert pixels.unequal <= (1 - PIXEL_SHARE) * pixels.values


# ---- time grids, exhaustively --------------------------------------------------


class Schedule(ctypes.Structure):
    """pd_schedule"""

    _fields_ = [("timesteps", ctypes.c_int32), ("alphas_cumprod", ctypes.c_void_p)]


def core_grid(abar: np.ndarray, steps: int, grid: str) -> list[int]:
    times = np.empty(steps + 1, np.int32)
    schedule = Schedule(len(abar), abar.ctypes.data)
    core_library.load().pd_schedule_times(ctypes.byref(schedule), GRIDS.index(grid), steps, ctypes.c_void_p(times.ctypes.data))
    assert times[-1] == -1
    return times[:-1].tolist()


@pytest.mark.parametrize("timesteps", [1, 2, 3, 50, 1000])
@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_every_grid(name: str, timesteps: int):
    betas = reference.schedule_betas(name, max(timesteps, 25))
    abar = np.ascontiguousarray(torch.cumprod(1 - betas, 0).numpy()[:timesteps])
    for grid in GRIDS[1:]:
        for steps in range(1, timesteps + 1):
            times = core_grid(abar, steps, grid)
            assert times == sampling_oracle.time_grid(abar, steps, grid), (grid, steps)
            assert times[0] == timesteps - 1 and times[-1] >= 0 and (np.diff(times) < 0).all()


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 25, 30, 50, 100, 250, 500, 1000])
def test_trailing_is_that_of_diffusers(steps: int):
    scheduler = DPMSolverMultistepScheduler(num_train_timesteps=1000, timestep_spacing="trailing")
    scheduler.set_timesteps(steps)
    assert core_grid(np.linspace(0.999, 0.001, 1000), steps, "trailing") == scheduler.timesteps.tolist()


@pytest.mark.parametrize("steps", [2, 3, 5, 8, 10, 15, 20])
def test_karras_is_that_of_diffusers(steps: int):
    betas = reference.schedule_betas("linear", 1000)
    abar = np.ascontiguousarray(torch.cumprod(1 - betas, 0).numpy())
    scheduler = DPMSolverMultistepScheduler(trained_betas=betas.numpy(), use_karras_sigmas=True)
    scheduler.set_timesteps(steps)
    assert core_grid(abar, steps, "karras") == scheduler.timesteps.tolist()
