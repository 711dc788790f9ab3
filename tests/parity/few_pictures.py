"""Calibrations that take seconds: numbers are compared with others of the same inputs, so few of these will do."""

import contextlib
from collections.abc import Iterator
from types import ModuleType

import pytest
from pocket_diffusion import calibration

FEW = {"PICTURES": 8, "TIMES_PER_PICTURE": 2, "MEASURED": 4, "STEPS": 4}


def use_few_pictures(patch: pytest.MonkeyPatch, module: ModuleType) -> None:
    """`module`: of the calibrations of the reference's network, or of those of any other, which has no STEPS."""
    for name in FEW.keys() & vars(module).keys():
        patch.setattr(module, name, FEW[name])


@contextlib.contextmanager
def options_measured_once() -> Iterator[None]:
    """What each type does to each matrix, for files of several sizes of one network."""
    known: list[dict[str, list[calibration.Option]]] = []
    measure = calibration.measure_options

    def once(of: calibration.Calibrated) -> dict[str, list[calibration.Option]]:
        if not known:
            known.append(measure(of))
        return known[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "measure_options", once)
        yield
