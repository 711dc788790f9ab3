"""python/pocket_diffusion/evaluation/style.py: measures of letters against shapes whose strokes are known, agreement against SciPy's analysis of variance."""

import numpy as np
import pytest
from pocket_diffusion.evaluation.style import intraclass_correlation, slant, stroke_width

SUPERSAMPLING = 8


def parallelogram(width: float, height: float, shear: float, side: int = 64) -> np.ndarray:
    """A stroke of horizontal `width` that leans by `shear`, as grey levels [side, side]; its edges are soft."""
    fine = (np.arange(side * SUPERSAMPLING) + 0.5) / SUPERSAMPLING - side / 2
    x, y = np.meshgrid(fine, fine)
    inside = (np.abs(x + shear * y) <= width / 2) & (np.abs(y) <= height / 2)
    return inside.reshape(side, SUPERSAMPLING, side, SUPERSAMPLING).mean(axis=(1, 3))


@pytest.mark.parametrize("width", [3.0, 4.5, 7.25])
@pytest.mark.parametrize("shear", [-0.4, 0.0, 0.25])
def test_a_stroke_is_as_wide_as_it_is(width, shear):
    height = 50.0
    ink = parallelogram(width, height, shear)[None]
    area, perimeter = width * height, 2 * width + 2 * height * np.hypot(1, shear)
    assert stroke_width(ink)[0] == pytest.approx(2 * area / perimeter, rel=0.06)  # a grid of pixels has no exact perimeter


@pytest.mark.parametrize("shear", [-0.5, 0.0, 0.1, 0.3])
def test_slant_is_the_shear(shear):
    assert slant(parallelogram(5.0, 40.0, shear)[None])[0] == pytest.approx(shear, abs=0.01)


def test_measures_of_an_empty_picture_are_finite():
    empty = np.zeros((1, 16, 16))
    assert stroke_width(empty)[0] == 0 and slant(empty)[0] == 0


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_agreement_against_an_analysis_of_variance(share):
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(5)
    groups, members = 30, 12
    values = np.sqrt(share) * rng.normal(size=(groups, 1)) + np.sqrt(1 - share) * rng.normal(size=(groups, members))
    f = stats.f_oneway(*values).statistic
    names = np.repeat(np.arange(groups) * 7, members)
    order = rng.permutation(groups * members)
    found = intraclass_correlation(values.ravel()[order], names[order])
    assert found == pytest.approx((f - 1) / (f - 1 + members), abs=1e-9)
    assert found == pytest.approx(share, abs=0.2)
