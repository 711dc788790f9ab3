"""Shared by the tests of the exporter and of parity with PyTorch. Run: python -m pytest tests/parity"""

import sys
from pathlib import Path

import pytest
import torch

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "python"), str(REPOSITORY / "scripts" / "benchmark")]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: left out by scripts/test.sh --quick")


# As measured, on one thread; of the others none takes two minutes.
LONGEST_FIRST = ("test_checkpoints.py", "test_parity.py", "test_training.py", "test_evaluation.py", "test_quantisation.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: processes share them out, and one begun last would be waited for."""
    rank = {name: i for i, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """The engine works on another core; and small networks are not faster on more."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY
