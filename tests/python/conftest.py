"""Shared by the tests of the Python package. Run: python -m pytest tests/python"""

import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "python"))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: left out by scripts/test.sh --quick")


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY
