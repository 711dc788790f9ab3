"""scripts/benchmark/plot.py: a plot of whatever the benchmark has measured."""

import json
import re
from pathlib import Path

import plot

# The sources that name the contestants of a network; the value of `name` in each.
CONTESTANTS = ("core.mjs", "forwards.mjs", "onnxruntime.mjs", "pytorch.mjs", "tfjs/contestant.mjs")


def contestant_names() -> list[str]:
    folder = Path(plot.__file__).parent
    return [re.search(r"\bname: '([^']+)'", (folder / source).read_text(encoding="utf-8"))[1] for source in CONTESTANTS]


def result(name: str, milliseconds: float) -> dict:
    spread = {"median": milliseconds, "lowerQuartile": 0.9 * milliseconds, "upperQuartile": 1.1 * milliseconds}
    return {"name": name, "cpu": spread, "wall": spread, "ratio": spread}


def test_every_contestant_is_plotted(tmp_path):
    results = [result(name, 1.0 + index) for index, name in enumerate(contestant_names())]
    curve = {"title": "Image side", "axis": "side", "unit": "ms", "points": [{"value": value, "contestants": results} for value in (16, 32)]}
    everything = {
        "date": "2026-01-01T00:00:00Z",
        "machine": {"processor": "a processor"},
        "versions": {"node": "20", "onnxruntime-web": "1", "pytorch": None, "tfjs": "4"},
        "networks": [{"network": "doodles", "forward": results, "guidedStep": results}],
        "curves": [{**curve, "key": "side"}, {**curve, "key": "workers"}],
    }
    (tmp_path / "results.json").write_text(json.dumps(everything), encoding="utf-8")
    assert plot.main([str(tmp_path / "results.json"), str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["curve-side.png", "curve-workers.png", "evaluations.png"]
    assert set(plot.STYLES) == set(contestant_names())
