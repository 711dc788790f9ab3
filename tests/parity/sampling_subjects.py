"""What test_sampling.py and test_editing.py share: the models that they sample from, small ones and a shipped one, and the engine under Node."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from node_engine import Engine
from pocket_diffusion.verify import Subject
from test_parity import EPS, X0, V, make_model, network

SMALL = dict(dim=12, dim_mults=(1, 2), channels=3)
MODELS = {
    "noise, linear": network("noise", (16, 16), EPS, "linear", 1000, **SMALL),
    "x0, cosine": network("x0", (16, 16), X0, "cosine", 400, **SMALL),
    "v, cosine": network("v", (16, 16), V, "cosine", 1000, **SMALL),
}


def distance(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> float:
    assert len(ours) == len(theirs)
    return max(float((a - b).abs().max()) for a, b in zip(ours, theirs))


@pytest.fixture(scope="module")
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with Engine() as engine:
        yield engine
    print()  # what the module that uses it has noted: feature -> largest difference
    for feature, error in sorted(request.module.errors.items()):
        print(f"{feature:<28} {error:.1e}")


@pytest.fixture(scope="module", params=[*MODELS, "doodles"])
def subject(request: Any, engine: Engine, tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Subject:
    if request.param == "doodles":
        path = repository / "weights" / "doodles.gguf"
    else:
        path = tmp_path_factory.mktemp("models") / "model.gguf"
        make_model(MODELS[request.param], path)
    engine.load(path).result()
    return Subject.read(path)
