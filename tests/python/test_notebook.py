"""python/notebooks/learn.ipynb runs from top to bottom, draws each of its figures, and says what is so. (tests/hosts runs it in a kernel of Jupyter, too.)"""

import json
from pathlib import Path
from typing import Any

import matplotlib
import pytest

matplotlib.use("Agg")
from matplotlib import pyplot as plt

SECTIONS = 10


@pytest.fixture(scope="module")
def notebook(repository: Path) -> dict[str, Any]:
    return json.loads((repository / "python/notebooks/learn.ipynb").read_text(encoding="utf-8"))


def test_it_is_stored_without_outputs(notebook: dict[str, Any]):
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])


def test_every_cell_draws(notebook: dict[str, Any], repository: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(repository / "python/notebooks")
    names: dict[str, Any] = {"__name__": "__main__"}
    drawn = 0
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] != "code":
            continue
        exec(compile(text, cell["id"], "exec"), names)  # noqa: S102
        if "def show" in text:
            continue  # the cell that prepares the others
        figures = [plt.figure(number) for number in plt.get_fignums()]
        assert figures, cell["id"]
        for figure in figures:
            assert figure.axes and all(ax.has_data() for ax in figure.axes), cell["id"]
            figure.canvas.draw()
        plt.close("all")
        drawn += 1
    assert drawn == SECTIONS
    assert names["difference"] < 1 / 127.5, "the loop is what generate() does"
    assert names["attention_error"] < 1e-4
    assert names["spread"][-1] < 0.8 * names["spread"][1], "more guidance, less spread"
    ends = names["walk"](1.0)
    nearest = [min(((end - centre) ** 2).sum() for centre in names["CLOUDS"][0]) ** 0.5 for end in ends]
    assert sorted(nearest)[len(nearest) // 2] < 2 * names["WIDTH"]
    names["model"].close()
