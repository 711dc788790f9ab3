"""Random numbers and time grids against PyTorch, elementary functions against
mpmath: more cases than fixtures can hold."""

import ctypes

import core_library
import mpmath
import numpy as np
import pytest
import torch
from make_golden import SEEDS, time_grid


class Generator:
    def __init__(self, seed: int):
        self.library, self.random = core_library.load(), core_library.Random()
        self.library.pd_random_seed(ctypes.byref(self.random), seed)

    def normal(self, count: int) -> np.ndarray:
        values = np.empty(count, np.float32)
        self.library.pd_random_normal(ctypes.byref(self.random), count, values.ctypes.data)
        return values


def difference(ours: np.ndarray, theirs: torch.Tensor) -> float:
    return float(np.abs(ours.astype(np.float64) - theirs.numpy()).max())


@pytest.mark.parametrize("seed", SEEDS)
def test_every_size(seed):
    largest = 0.0
    for count in [*range(1, 600), *range(600, 5000, 53), 4999, 5000]:
        torch.manual_seed(seed)
        largest = max(largest, difference(Generator(seed).normal(count), torch.randn(count)))
    assert largest < 2e-6


@pytest.mark.parametrize("seed", SEEDS)
def test_mixed_draws(seed):
    sizes = np.random.default_rng(seed % 1000)
    ours, largest = Generator(seed), 0.0
    torch.manual_seed(seed)
    for _ in range(200):
        count = int(sizes.integers(1, 40) if sizes.random() < 0.7 else sizes.integers(40, 3000))
        largest = max(largest, difference(ours.normal(count), torch.randn(count)))
    assert largest < 2e-6


@pytest.mark.parametrize("timesteps", [1, 2, 7, 50, 100, 250, 1000, 1001, 4000, 9999, 10000])
def test_every_time_grid(timesteps):
    library = core_library.load()
    for steps in range(1, timesteps + 1, 1 if timesteps <= 4000 else 7):
        times = np.empty(steps + 1, np.int32)
        library.pd_schedule_time_grid(timesteps, steps, times.ctypes.data)
        assert np.array_equal(times, time_grid(timesteps, steps)), (timesteps, steps)
        assert (np.diff(times) < 0).all()


@pytest.mark.parametrize(
    ("name", "low", "high", "bound"),
    [
        ("exp", -708, 709.7, 1e-15),
        ("log", 1e-3, 5, 1e-15),
        ("sin", -1e6, 1e6, 1e-15),
        ("cos", -1e6, 1e6, 1e-15),
        ("sin", -7, 7, 1e-15),
        ("cos", -7, 7, 1e-15),
        ("erf", -6.5, 6.5, 1e-14),
    ],
)
def test_elementary(name, low, high, bound):
    mpmath.mp.dps = 40
    function, largest = getattr(core_library.load(), f"pd_{name}"), 0.0
    for x in np.random.default_rng(11).uniform(low, high, 3000):
        expected = getattr(mpmath, name)(mpmath.mpf(float(x)))
        error = abs(function(float(x)) - expected)
        largest = max(largest, float(error / abs(expected) if name in ("exp", "log") else error))
    assert largest < bound
