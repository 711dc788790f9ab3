"""The results of an evaluation as text and as plots."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from PIL import Image

from pocket_diffusion.evaluation.pictures import Setting

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import LogLocator

COLUMNS = {
    "accuracy": "recognised", "frechet": "Fréchet distance", "precision": "precision", "recall": "recall", "density": "density", "coverage": "coverage",
    "spread": "spread", "nearer_than_tenth": "nearer than tenth percentile", "head_right": "head right",
    "glasses_whole": "glasses whole", "glasses_of_artwork": "glasses in colours of the artwork", "palette": "palette",
    "stroke_agreement": "stroke width in common", "slant_agreement": "slant in common",
}  # fmt: skip
PLAIN = ("frechet", "density", "spread", "stroke_agreement", "slant_agreement")  # the others are shares
SETTING = tuple(Setting.__dataclass_fields__)


def print_row(name: str, row: dict[str, Any]) -> None:
    columns = [*COLUMNS, "distance", "distance_between_seeds", "evaluations"]
    print(f"{name:<44} " + "  ".join(f"{column} {row[column]:.3f}" for column in columns if column in row), flush=True)


def markdown(result: dict[str, Any]) -> str:
    """For the model card."""
    about = f"{result['pictures']} pictures each. The classifier gets {result['classifier_held_out_accuracy']:.1%} of {result['held_out_pictures']:,} held-out pictures right"
    if result["table"] != "style":
        floor = result["floors"].get("held-out") or result["floors"]["training"]
        about += f"; Fréchet distance of as many real pictures: {floor['frechet']:.2f}"
    return about + ".\n\n" + (_steps_tables if result["table"] == "steps" else _settings_table)(result)


def _lines(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (headings, ["---"] * len(headings), *rows)) + "\n"


def _cell(column: str, row: dict[str, Any]) -> str:
    if column not in row:
        return ""
    return f"{row[column]:.2f}" if column in PLAIN else f"{row[column]:.1%}"


def _settings_table(result: dict[str, Any]) -> str:
    """One line a setting, after what real pictures score."""
    columns = [column for column in COLUMNS if column in result["rows"][0]]
    counted = any("evaluations" in row for row in result["rows"])
    rows = [[f"real, {name} (floor)", *[""] * counted, *(_cell(column, row) for column in columns)] for name, row in result["floors"].items()]
    for row in result["rows"]:
        name = f"{_setting(row)}, {row['through']}"
        rows.append([name, *[str(row.get("evaluations", ""))] * counted, *(_cell(column, row) for column in columns)])
    return _lines(["", *["predictions"] * counted, *(COLUMNS[column] for column in columns)], rows)


def _setting(row: dict[str, Any]) -> Setting:
    values = {name: row[name] for name in SETTING}
    return Setting(**{**values, "guidance_interval": tuple(values["guidance_interval"]) if values["guidance_interval"] else None})


def _curves(result: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Rows of the table of steps, per sampler and grid. Samplers that draw the same pictures share one entry."""
    names: dict[tuple[str, str], list[str]] = {}
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in result["rows"]:
        key = row["sampler"], row["time_grid"]
        if row["name"] not in names.setdefault(key, []):
            names[key].append(row["name"])
        if row["calls"] not in [other["calls"] for other in rows.setdefault(key, [])]:
            rows[key].append(row)
    return {" = ".join(names[key]) + ("" if key[1] == "linear" else f", {key[1]}"): sorted(rows[key], key=lambda row: row["calls"]) for key in rows}


def _limit_name(result: dict[str, Any]) -> str:
    return "its own limit" if result["limit"] == "own" else f"the limit of {result['limit']}"


def _steps_tables(result: dict[str, Any]) -> str:
    curves = _curves(result)
    asked = sorted({Setting.for_calls("heun", row["calls"] + 1).calls if row["sampler"] == "heun" else row["calls"] for row in result["rows"]})
    calls = sorted({row["calls"] for row in result["rows"] if row["sampler"] != "heun"}) or asked

    def table(column: str, show: Callable[[dict[str, Any]], str]) -> str:
        lines = []
        for name, rows in curves.items():
            if column in rows[0]:
                found = {row["calls"]: show(row) for row in rows}
                cells = [found.get(count) or found.get(Setting.for_calls(rows[0]["sampler"], count).calls, "") for count in calls]
                lines.append([name, *cells])
        return _lines(["network calls", *map(str, calls)], lines) if lines else ""

    parts = [
        ("Fréchet distance:", table("frechet", lambda row: f"{row['frechet']:.2f}")),
        ("Recognised:", table("accuracy", lambda row: f"{row['accuracy']:.1%}")),
        (
            f"Distance to {_limit_name(result)}, the result with as many calls as there are timesteps (root mean square of 8-bit values, {result['distance_pictures']} pictures):",
            table("distance", lambda row: f"{row['distance']:.1f}"),
        ),
    ]
    between = [row["distance_between_seeds"] for row in result["rows"] if "distance_between_seeds" in row]
    unrelated = f"\nPictures of one class from different seeds are {np.median(between):.1f} from each other.\n" if between else ""
    return "\n".join(f"{title}\n\n{lines}" for title, lines in parts if lines) + unrelated


# ---- plots ------------------------------------------------------------------


def plot(result: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure = {"guidance": _plot_guidance, "options": _plot_options, "steps": _plot_steps, "style": _plot_style}[result["table"]](result)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=110)
    plt.close(figure)
    Image.open(drawn).convert("RGB").quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)


def _floor_lines(axes: Any, result: dict[str, Any], column: str) -> None:
    for (name, row), style in zip(result["floors"].items(), (":", "--")):
        axes.axhline(row[column], color="grey", linestyle=style, label=f"real, {name}")


def _plot_guidance(result: dict[str, Any]) -> Any:
    """Over the guidance scale: recognised and recall, Frechet distance, and how much pictures of a class differ."""
    default, through = result["default"], result["rows"][0]["through"]
    sweep = [
        row for row in result["rows"] if row["through"] == through and {**default, "guidance_scale": 0} == {**{n: row[n] for n in SETTING}, "guidance_scale": 0}
    ]
    sweep.sort(key=lambda row: row["guidance_scale"])
    scales = [row["guidance_scale"] for row in sweep]
    figure, (shares, distance, spread) = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
    for column in ("accuracy", "precision", "recall", "coverage"):
        shares.plot(scales, [row[column] for row in sweep], marker="o", markersize=4, label=COLUMNS[column])
    shares.axhline(result["classifier_held_out_accuracy"], color="grey", linestyle=":", label="recognised, held-out real")
    shares.set(title="shares", ylim=(0, 1.02))
    distance.plot(scales, [row["frechet"] for row in sweep], marker="o", markersize=4, label="generated")
    _floor_lines(distance, result, "frechet")
    distance.set(title="Fréchet distance")
    spread.plot(scales, [row["spread"] for row in sweep], marker="o", markersize=4, label="generated")
    _floor_lines(spread, result, "spread")
    spread.set(title="spread within a class")
    for axes in (shares, distance, spread):
        axes.axvline(default["guidance_scale"], color="lightgrey", zorder=0)
        axes.set_xlabel("guidance scale")
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=7)
    return figure


def _plot_steps(result: dict[str, Any]) -> Any:
    """Over network calls: distance to the sampler's own limit, recognised, and Frechet distance."""
    figure, all_axes = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained")
    titles = {"frechet": "Fréchet distance", "accuracy": "recognised", "distance": f"distance to {_limit_name(result)}, of 255"}
    for axes, (column, title) in zip(all_axes, titles.items()):
        for (name, rows), marker in zip(_curves(result).items(), "osD^v<>Ppx*dhH"):
            known = [row for row in rows if column in row]
            axes.plot(
                [row["calls"] for row in known], [row[column] for row in known], marker=marker, markersize=4, linewidth=1.2, label=name if known else None
            )
        axes.set(title=title, xlabel="network calls", xscale="log")
        counts = sorted({row["calls"] for row in result["rows"] if row["sampler"] != "heun"})
        axes.set_xticks(counts, list(map(str, counts)))
        axes.minorticks_off()
    _floor_lines(all_axes[0], result, "frechet")
    distances = [row["frechet"] for row in result["rows"]] + [row["frechet"] for row in result["floors"].values()]
    all_axes[0].set_ylim(0.9 * min(distances), 1.6 * float(np.median(distances)))  # a solver that fails would flatten the rest
    if any("distance" in row for row in result["rows"]):
        all_axes[2].set_yscale("log")
        all_axes[2].yaxis.set_major_formatter("{x:g}")
        all_axes[2].yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        all_axes[2].yaxis.set_minor_formatter("{x:g}")
        all_axes[2].tick_params(axis="y", which="minor", labelsize=7)
    all_axes[1].axhline(result["classifier_held_out_accuracy"], color="grey", linestyle=":")
    all_axes[0].legend(fontsize=7)
    return figure


def _plot_style(result: dict[str, Any]) -> Any:
    """Over the guidance scale: what the letters of a seed have in common, beside those of a font."""
    figure, all_axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
    scales = [row["guidance_scale"] for row in result["rows"]]
    for axes, column in zip(all_axes, ("stroke_agreement", "slant_agreement")):
        axes.plot(scales, [row[column] for row in result["rows"]], marker="o", markersize=4, label="letters of one seed")
        _floor_lines(axes, result, column)
        axes.set(title=COLUMNS[column], xlabel="guidance scale", ylim=(-0.05, 1.02))
        axes.legend(fontsize=7)
    return figure


def _plot_options(result: dict[str, Any]) -> Any:
    """Frechet distance over predictions: what a setting costs and what it gives."""
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for row in result["rows"]:
        axes.plot(row["evaluations"], row["frechet"], "o", markersize=4)
        axes.annotate(str(_setting(row)).split(", ", 1)[1], (row["evaluations"], row["frechet"]), fontsize=7, xytext=(4, 2), textcoords="offset points")
    _floor_lines(axes, result, "frechet")
    axes.set(xlabel="predictions of the network", ylabel="Fréchet distance", ylim=(0, None))
    axes.legend(fontsize=7)
    return figure
