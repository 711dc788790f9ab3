"""Plots of the benchmark's cost curves (scripts/benchmark/benchmark.mjs --curves).

    python scripts/benchmark/plot.py dist/benchmark/results.json dist/benchmark

One PNG per curve, curve-KEY.png, and evaluations.png, the comparison over networks.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter, NullLocator

# Okabe and Ito's palette, told apart by colour-blind readers; markers and hatches say the same without colour.
STYLES = {
    "pocket-diffusion": ("#0072B2", "o", ""),
    "relaxed SIMD": ("#56B4E9", "v", "\\\\"),
    "onnxruntime-web": ("#D55E00", "s", "//"),
    "PyTorch": ("#009E73", "^", ".."),
    "tfjs-wasm": ("#CC79A7", "D", "xx"),
}
LABELS = {
    "relaxed SIMD": "pocket-diffusion, relaxed SIMD",
    "onnxruntime-web": "onnxruntime-web (wasm)",
    "PyTorch": "PyTorch (native)",
    "tfjs-wasm": "TensorFlow.js (wasm)",
}
PLAIN = FuncFormatter(lambda value, _: f"{value:g}")


def footnote(results: Mapping[str, Any]) -> str:
    machine, versions = results["machine"], results["versions"]
    parts = [machine["processor"], "one thread", f"Node.js {versions['node']}", f"onnxruntime-web {versions['onnxruntime-web']}"]
    parts += [f"{label} {versions[key]}" for key, label in (("pytorch", "PyTorch"), ("tfjs", "TensorFlow.js")) if versions.get(key)]
    return ", ".join([*parts, results["date"][:10]])


def save(figure: plt.Figure, path: Path, note: str) -> None:
    figure.text(0.01, 0.01, note, fontsize=7, color="#555555")
    figure.tight_layout(rect=(0, 0.035, 1, 1))
    figure.savefig(path, dpi=160)
    plt.close(figure)
    print(path)


def plot_curve(curve: Mapping[str, Any], note: str, path: Path) -> None:
    """Medians with bands between the quartiles. Of workers the wall time counts: they are there to share the work."""
    measure = "wall" if curve["key"] == "workers" else "cpu"
    figure, axes = plt.subplots(figsize=(7, 4.6))
    points = curve["points"]
    shared = curve.get("shared", False)
    values = [point["value"] for point in points]
    for index, first in enumerate(points[0]["contestants"]):
        times = [{key: time / (point["value"] if shared else 1) for key, time in point["contestants"][index][measure].items()} for point in points]
        colour, marker, _ = STYLES[first["name"]]
        axes.plot(values, [t["median"] for t in times], color=colour, marker=marker, label=LABELS.get(first["name"], first["name"]))
        axes.fill_between(values, [t["lowerQuartile"] for t in times], [t["upperQuartile"] for t in times], color=colour, alpha=0.2)
    if curve["key"] != "workers":
        axes.set_xscale("log", base=2)
    if curve["key"] == "workers" or shared:
        axes.set_ylim(0, 1.08 * axes.get_ylim()[1])
    else:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:g}" if str(value).lstrip("0.")[:1] in "25" else ""))
        axes.tick_params(axis="y", which="minor", labelsize=8)
    axes.set_xticks(values, [f"{value:g}" for value in values])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(PLAIN)
    axes.grid(True, which="both", alpha=0.25)
    axes.set_xlabel(curve["axis"])
    axes.set_ylabel(f"{curve['unit']} ({'wall' if measure == 'wall' else 'processor'} time, median)")
    axes.set_title(curve["title"], fontsize=11)
    if len(points[0]["contestants"]) > 1:
        axes.legend(frameon=False)
    save(figure, path, note)


def plot_networks(networks: Sequence[Mapping[str, Any]], note: str, path: Path) -> None:
    """Bars: processor time as a multiple of ours, for one image and for the batch of two."""
    figure, rows = plt.subplots(2, 1, figsize=(max(7, 1.15 * len(networks) + 2), 7), sharex=True)
    for axes, key, title in zip(rows, ("forward", "guidedStep"), ("one image", "batch of two (guidance)")):
        names = [contestant["name"] for contestant in networks[0][key]]
        width = 0.8 / len(names)
        for index, name in enumerate(names):
            ratios = [network[key][index]["ratio"] for network in networks]
            medians = [ratio["median"] for ratio in ratios]
            errors = [
                [ratio["median"] - ratio["lowerQuartile"] for ratio in ratios],
                [ratio["upperQuartile"] - ratio["median"] for ratio in ratios],
            ]
            places = [place + (index - (len(names) - 1) / 2) * width for place in range(len(networks))]
            colour, _, hatch = STYLES[name]
            bars = axes.bar(
                places,
                medians,
                width,
                yerr=errors,
                color=colour,
                hatch=hatch,
                edgecolor="white",
                linewidth=0.5,
                error_kw={"elinewidth": 0.8},
                label=LABELS.get(name, name),
            )
            axes.bar_label(bars, [f"{value:.1f}" for value in medians], fontsize=7, padding=2)
        axes.set_title(f"One evaluation, {title}: processor time as a multiple of ours (less is faster)", fontsize=10)
        axes.set_ylabel("times ours (median, quartiles)")
        axes.set_ylim(top=1.25 * max(contestant["ratio"]["median"] for network in networks for contestant in network[key]))
        axes.grid(True, axis="y", alpha=0.25)
        axes.set_axisbelow(True)
    rows[1].set_xticks(range(len(networks)), [network["network"] for network in networks], rotation=20, ha="right")
    rows[0].legend(frameon=False, fontsize=8, ncols=len(STYLES))
    save(figure, path, note)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="results.json of the benchmark")
    parser.add_argument("folder", type=Path, help="where the plots go")
    parsed = parser.parse_args(arguments)
    results = json.loads(parsed.results.read_text(encoding="utf-8"))
    note = footnote(results)
    if results.get("networks"):
        plot_networks(results["networks"], note, parsed.folder / "evaluations.png")
    for curve in results.get("curves", []):
        plot_curve(curve, note, parsed.folder / f"curve-{curve['key']}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
