#!/usr/bin/env python3
"""Judges a model: accuracy, Frechet distance, precision and recall, copies; over guidance scale, steps and sampler.

  evaluate.py MODEL --data doodles.npz --invert --output build/evaluation/doodles

MODEL is a checkpoint of train.py or an exported .gguf. Pictures are compared with held-out real ones; the floors
are what as many training pictures, and as many other held-out ones, score. Writes evaluation.json, evaluation.md, plots and a contact sheet.
"""

import argparse
import contextlib
import dataclasses
import io
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import data
import export_gguf
import matplotlib
import metrics
import numpy as np
import reference
import torch
from checkpoint import CheckpointError, MissingOptions, describe, read_checkpoint
from engine import Engine, EngineError
from model_file import read_model
from reference import Generation
from tqdm import tqdm
from train import sheet_image

matplotlib.use("Agg")
import matplotlib.pyplot as plt

BATCH = 50  # pictures that PyTorch samples at once
COLUMNS = ("accuracy", "frechet", "precision", "recall", "density", "coverage", "nearer_than_tenth", "head_right", "glasses_whole", "palette")


# ---- the model --------------------------------------------------------------


@dataclass(frozen=True)
class Model:
    """A network and what it takes to sample it, from either kind of file."""

    unet: torch.nn.Module
    alphas_cumprod: np.ndarray
    objective: str
    shape: tuple[int, int, int]  # of x_t
    pixel_unshuffle: int
    classes: tuple[str, ...]
    size: tuple[int, int]  # width and height of the finished picture
    channels: int

    @classmethod
    def read(cls, path: Path) -> "Model":
        if path.suffix == ".gguf":
            file = read_model(path)
            meta = file.metadata
            return cls(
                reference.build_unet(file.unet, file.weights), file.alphas_cumprod, meta["diffusion.objective"], file.network_shape,
                meta["image.pixel_unshuffle"], tuple(meta["class_names"]), (meta["image.width"], meta["image.height"]), meta["image.channels"],
            )  # fmt: skip
        checkpoint = read_checkpoint(path)
        about = describe(checkpoint)
        return cls(
            reference.build_unet(about.unet, checkpoint.weights), about.alphas_cumprod, about.objective, about.network_shape,
            about.pixel_unshuffle, about.class_names, (about.image_width, about.image_height), about.image_channels,
        )  # fmt: skip

    def sample(self, generation: Generation, labels: Sequence[int], seeds: Sequence[int]) -> np.ndarray:
        """uint8 [N, H, W, C], by PyTorch."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        unet = self.unet.to(device, memory_format=torch.channels_last)
        pictures = []
        for start in tqdm(range(0, len(seeds), BATCH), desc=_name(generation), disable=None, leave=False):
            part = slice(start, start + BATCH)
            x = reference.sample(unet, self.alphas_cumprod, self.objective, self.shape, generation, labels[part], seeds[part])
            pictures.extend(reference.to_pixels(each.cpu(), self.pixel_unshuffle) for each in x)
        return np.stack(pictures)


def sample_with_engine(path: Path, model: Model, generation: Generation, labels: Sequence[int], seeds: Sequence[int]) -> np.ndarray:
    """uint8 [N, H, W, C], by the shipped WebAssembly under Node.js. `path` is a .gguf."""
    with Engine() as engine:
        engine.load(path).result()
        answers = [engine.picture(dataclasses.replace(generation, label=label, seed=seed)) for label, seed in zip(labels, seeds)]
        flat = [answer.result() for answer in tqdm(answers, desc=f"{_name(generation)}, engine", disable=None, leave=False)]
    return np.stack(flat).reshape(-1, model.size[1], model.size[0], model.channels)


def _name(generation: Generation) -> str:
    eta = f", eta {generation.eta:g}" if generation.eta else ""
    return f"{generation.sampler} {generation.steps}{eta}, scale {generation.guidance_scale:g}"


# ---- the judge --------------------------------------------------------------


class Judge:
    """Everything that does not depend on the model: classifier, real pictures and their features."""

    def __init__(self, dataset: data.DataSet, classifier: metrics.Classifier, count: int, copy_pictures: int) -> None:
        self.dataset, self.classifier, self.count = dataset, classifier, count
        held_out, labels = dataset.held_out.sample(min(len(dataset.held_out), 10000))
        predicted, features = metrics.classify(classifier, held_out)
        self.held_out_accuracy = float((predicted == labels).mean())
        self.held_out_count = len(held_out)
        self.real = features[:count]  # in random order
        self._others = held_out[count : 2 * count], labels[count : 2 * count]
        training, _ = dataset.train.sample(min(len(dataset.train), copy_pictures))
        self.copies = metrics.CopyTest.prepare(training, held_out[: max(count, 100)])
        self.checks = metrics.CharacterChecks(dataset.train) if isinstance(dataset.train, data.CharacterSource) else None

    def floors(self) -> dict[str, dict[str, Any]]:
        """What as many real pictures score: training ones (but for copies, which they are), and other held-out ones."""
        training = self.score(*self.dataset.train.sample(self.count, seed=1))
        floors = {"training": {name: value for name, value in training.items() if not name.startswith(("nearer", "median"))}}
        if len(self._others[0]) == self.count:
            floors["held-out"] = self.score(*self._others)
        return floors

    def score(self, pictures: np.ndarray, labels: Sequence[int] | np.ndarray) -> dict[str, Any]:
        predicted, features = metrics.classify(self.classifier, pictures)
        result: dict[str, Any] = {
            "pictures": len(pictures),
            "accuracy": float((predicted == np.asarray(labels)).mean()),
            "frechet": metrics.frechet_distance(features, self.real),
            **metrics.precision_recall(self.real, features),
            **self.copies.score(pictures),
        }
        if self.checks:
            result.update(self.checks.score(pictures, np.asarray(labels)))
        result["per_class"] = metrics.class_shares(predicted, labels, self.dataset.classes)
        return result


def labels_and_seeds(classes: int, count: int, first_seed: int) -> tuple[list[int], list[int]]:
    """The classes take turns; every picture has a seed of its own."""
    return [i * classes // count if count < classes else i % classes for i in range(count)], list(range(first_seed, first_seed + count))


def generations(arguments: argparse.Namespace) -> list[Generation]:
    """Every scale at the default steps and sampler; then other steps and samplers at the default scale."""
    base = Generation(label=0, seed=0, steps=arguments.steps[0], guidance_scale=arguments.scale)
    chosen = [dataclasses.replace(base, guidance_scale=scale) for scale in sorted({*arguments.scales, arguments.scale})]
    chosen += [dataclasses.replace(base, steps=steps) for steps in arguments.steps[1:]]
    for sampler in arguments.samplers:
        name, _, steps = sampler.partition(":")
        kind = {"ddim": ("ddim", 0.0), "ddim-eta1": ("ddim", 1.0), "ddpm": ("ddpm", 0.0)}.get(name)
        if kind is None or not steps.isdigit() or int(steps) < 1:
            raise data.DataError(f"--samplers {sampler}: expected ddim, ddim-eta1 or ddpm, a colon, and steps")
        chosen.append(dataclasses.replace(base, sampler=kind[0], eta=kind[1], steps=int(steps)))
    return list(dict.fromkeys(chosen))


def evaluate(arguments: argparse.Namespace) -> dict[str, Any]:
    model = Model.read(arguments.model)
    if model.size[0] != model.size[1]:
        raise data.DataError(f"{arguments.model}: pictures of {model.size[0]} x {model.size[1]}; only squares can be compared")
    layout = data.Layout(model.size[0], model.channels, arguments.invert, arguments.fit, arguments.background)
    dataset = data.load(arguments.data, layout, arguments.kind)
    if dataset.classes != model.classes:
        raise data.DataError(f"{arguments.data}: its classes are not those of {arguments.model}")
    if len(dataset.held_out) < 20:
        raise data.DataError(f"{arguments.data}: {len(dataset.held_out)} held-out pictures are too few to compare with (at least 20)")
    classifier = metrics.cached_classifier(dataset, arguments.cache, arguments.classifier_pictures)
    count = min(arguments.pictures, len(dataset.held_out), len(dataset.train))
    judge = Judge(dataset, classifier, count, arguments.copy_pictures)
    print(f"classifier: {judge.held_out_accuracy:.2%} of {judge.held_out_count} held-out pictures right", flush=True)
    floors = judge.floors()
    for name, row in floors.items():
        _print_row(f"real, {name}", row)
    labels, seeds = labels_and_seeds(len(model.classes), count, arguments.seed)
    rows: list[dict[str, Any]] = []
    sheets: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as folder:
        for generation, through in _plan(arguments):
            if through == "engine":
                pictures = sample_with_engine(_engine_file(arguments, Path(folder)), model, generation, labels, seeds)
            else:
                pictures = model.sample(generation, labels, seeds)
            rows.append({"through": through, **_settings(generation), **judge.score(pictures, labels)})
            sheets[f"{through}-{_name(generation).replace(', ', '-').replace(' ', '')}"] = pictures
            _print_row(f"{through}, {_name(generation)}", rows[-1])
    result = {
        "model": arguments.model.name,
        "data": arguments.data.name,
        "pictures": count,
        "classifier_held_out_accuracy": judge.held_out_accuracy,
        "held_out_pictures": judge.held_out_count,
        "training_pictures_searched_for_copies": min(len(dataset.train), arguments.copy_pictures),
        "default_scale": arguments.scale,
        "floors": floors,
        "rows": rows,
    }
    _write(arguments.output, result, sheets, labels)
    return result


def _plan(arguments: argparse.Namespace) -> Iterator[tuple[Generation, str]]:
    """`both`: all through PyTorch, and the default settings through the engine as well, with the same seeds."""
    for generation in generations(arguments):
        if arguments.through != "engine":
            yield generation, "pytorch"
        if arguments.through == "engine" or (arguments.through == "both" and _is_default(generation, arguments)):
            yield generation, "engine"


def _is_default(generation: Generation, arguments: argparse.Namespace) -> bool:
    return _settings(generation) == {"sampler": "ddim", "steps": arguments.steps[0], "eta": 0.0, "guidance_scale": arguments.scale}


def _settings(generation: Generation) -> dict[str, Any]:
    return {name: getattr(generation, name) for name in ("sampler", "steps", "eta", "guidance_scale")}


def _engine_file(arguments: argparse.Namespace, folder: Path) -> Path:
    """The model as the engine reads it; a checkpoint is exported first, as Q8_0."""
    if arguments.model.suffix == ".gguf":
        return arguments.model
    path = folder / "model.gguf"
    if not path.exists():
        with contextlib.redirect_stdout(io.StringIO()):
            code = export_gguf.main([str(arguments.model), str(path)])
        if code != 0:
            raise CheckpointError(f"{arguments.model}: could not be exported")
    return path


# ---- results ----------------------------------------------------------------


def _print_row(name: str, row: dict[str, Any]) -> None:
    print(f"{name:<36} " + "  ".join(f"{column} {row[column]:.3f}" for column in COLUMNS if column in row), flush=True)


def markdown(result: dict[str, Any]) -> str:
    """The tables for the model card."""
    columns = [column for column in COLUMNS if column in result["rows"][0]]
    headings = {
        "accuracy": "recognised", "frechet": "Fréchet distance", "nearer_than_tenth": "nearer than tenth percentile",
        "head_right": "head right", "glasses_whole": "glasses whole",
    }  # fmt: skip
    lines = [
        f"{result['pictures']} pictures each. The classifier gets {result['classifier_held_out_accuracy']:.1%} of "
        f"{result['held_out_pictures']:,} held-out pictures right. *Nearer than tenth percentile*: pictures nearer to one of "
        f"{result['training_pictures_searched_for_copies']:,} training pictures than the nearest tenth of held-out ones.",
        "",
        "| | " + " | ".join(headings.get(column, column) for column in columns) + " |",
        "|---|" + "---|" * len(columns),
    ]
    for name, row in result["floors"].items():
        lines.append(f"| real, {name} (floor) | " + " | ".join(_cell(column, row) for column in columns) + " |")
    for row in result["rows"]:
        generation = Generation(label=0, seed=0, **{name: row[name] for name in ("sampler", "steps", "eta", "guidance_scale")})
        lines.append(f"| {_name(generation)}, {row['through']} | " + " | ".join(_cell(column, row) for column in columns) + " |")
    return "\n".join(lines) + "\n"


def _cell(column: str, row: dict[str, Any]) -> str:
    if column not in row:
        return ""
    return f"{row[column]:.2f}" if column in ("frechet", "density") else f"{row[column]:.1%}"


def plot(result: dict[str, Any], path: Path) -> None:
    """Accuracy and recall, and the Frechet distance, over the guidance scale."""
    through = result["rows"][0]["through"]
    steps = next(row["steps"] for row in result["rows"] if row["guidance_scale"] == result["default_scale"])
    sweep = [row for row in result["rows"] if (row["through"], row["sampler"], row["steps"], row["eta"]) == (through, "ddim", steps, 0.0)]
    sweep.sort(key=lambda row: row["guidance_scale"])
    scales = [row["guidance_scale"] for row in sweep]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for column in ("accuracy", "precision", "recall", "coverage"):
        left.plot(scales, [row[column] for row in sweep], marker="o", label=column)
    left.axhline(result["classifier_held_out_accuracy"], color="grey", linestyle=":", label="accuracy, held-out real")
    left.axvline(result["default_scale"], color="lightgrey", zorder=0)
    left.set(xlabel="guidance scale", ylim=(0, 1.02))
    left.legend(fontsize=8)
    right.plot(scales, [row["frechet"] for row in sweep], marker="o", label="generated")
    for (name, row), style in zip(result["floors"].items(), (":", "--")):
        right.axhline(row["frechet"], color="grey", linestyle=style, label=f"real, {name} (floor)")
    right.axvline(result["default_scale"], color="lightgrey", zorder=0)
    right.set(xlabel="guidance scale", ylabel="Fréchet distance")
    right.set_ylim(bottom=0)
    right.legend(fontsize=8)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _write(output: Path, result: dict[str, Any], sheets: dict[str, np.ndarray], labels: Sequence[int]) -> None:
    output.mkdir(parents=True, exist_ok=True)
    (output / "evaluation.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    (output / "evaluation.md").write_text(markdown(result), encoding="utf-8")
    plot(result, output / "guidance.png")
    order = np.argsort(labels, kind="stable")[:160]
    for name, pictures in sheets.items():
        sheet_image(pictures[order], 16).save(output / f"sheet-{name}.png")


def _floats(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def _counts(text: str) -> tuple[int, ...]:
    values = tuple(int(part) for part in text.split(","))
    if min(values) < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be at least 1")
    return values


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL", help=".pt or .gguf")
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help="the data set that the model was trained on")
    parser.add_argument("--kind", choices=data.KINDS, default="auto", help="of data, as in training")
    parser.add_argument("--invert", action="store_true", help="as in training")
    parser.add_argument("--fit", choices=data.FITS, default="pad", help="as in training")
    parser.add_argument("--background", type=int, default=255, help="as in training")
    parser.add_argument("--output", type=Path, default=Path("build/evaluation"), metavar="FOLDER", help="default: %(default)s")
    parser.add_argument("--cache", type=Path, default=Path("build/classifiers"), metavar="FOLDER", help="of trained classifiers (default: %(default)s)")
    parser.add_argument("--pictures", type=int, default=1000, help="per setting, and of real ones to compare with (default: %(default)s)")
    parser.add_argument("--classifier-pictures", type=int, default=300000, help="seen by the classifier in training (default: %(default)s)")
    parser.add_argument("--copy-pictures", type=int, default=100000, help="training pictures searched for copies (default: %(default)s)")
    parser.add_argument("--scale", type=float, default=3.0, help="the default guidance scale (default: %(default)s)")
    parser.add_argument("--scales", type=_floats, default=(1.0, 1.5, 2.0, 3.0, 4.0, 6.0), metavar="A,B,...", help="guidance scales to try")
    parser.add_argument("--steps", type=_counts, default=(20, 10, 50), metavar="A,B,...", help="DDIM steps: the default one, and others to try")
    parser.add_argument("--samplers", type=lambda text: tuple(filter(None, text.split(","))), default=("ddim-eta1:50", "ddpm:200"),
                        metavar="NAME:STEPS,...", help="others to try: ddim, ddim-eta1, ddpm")  # fmt: skip
    parser.add_argument("--through", choices=("pytorch", "engine", "both"), default="both", help="what samples (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1000, help="of the first picture (default: %(default)s)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 refused or failed, 2 wrong usage."""
    parsed = parse_arguments(arguments)
    try:
        evaluate(parsed)
    except (data.DataError, CheckpointError, MissingOptions, EngineError, reference.ReferenceUnavailable, OSError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 1
    print(f"wrote {parsed.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
