"""Judges a model: recognised by a classifier, Frechet distance, precision and recall, copies; over guidance and samplers.

  python -m pocket_diffusion evaluate MODEL --data doodles.npz --invert --output build/evaluation/doodles
  python -m pocket_diffusion evaluate MODEL --data doodles.npz --invert --output build/evaluation/doodles --table steps

MODEL is a checkpoint of a training or an exported .gguf, of any network. Pictures are compared with held-out real ones; the floors
are what as many training pictures, and as many other held-out ones, score.

  --table guidance   every scale of --scales, and a contact sheet of each (the default)
  --table steps      every sampler of --samplers with every number of network calls of --calls, and the distance to its
                     result with as many calls as there are timesteps
  --table options    guidance intervals, rescale and dynamic thresholding, beside none of them
  --table style      letters: whether those of one seed agree in stroke width and slant, over --scales, as those of a font do

Each table is written to --output as STEM-TABLE.json, .md and .png, the JSON after every row. Pictures and classifiers are
kept (--drawn, --cache): the same command goes on where it was interrupted, and other tables share what was drawn.
"""

import argparse
import dataclasses
import itertools
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pocket_diffusion import data, reference
from pocket_diffusion.checkpoint import CheckpointError, MissingOptions
from pocket_diffusion.engine import EngineError
from pocket_diffusion.evaluation import metrics, report
from pocket_diffusion.evaluation.pictures import Model, Pictures, Setting, labels_and_seeds, write_text
from pocket_diffusion.evaluation.style import StyleJudge
from pocket_diffusion.graph.ir import GraphError
from pocket_diffusion.options import SAMPLERS, TIME_GRIDS
from pocket_diffusion.training.train import sheet_image

DETERMINISTIC = tuple(name for name, sampler in SAMPLERS.items() if name == "ddim" or not sampler.draws_noise)  # ddim: at eta 0
CHECKED = Setting("ddim", 20)  # drawn by PyTorch too where the reference does not have the default


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
        characters = dataset.train if isinstance(dataset.train, data.CharacterSource) and dataset.train.as_composed else None
        self.searched, self.copies = 0, None
        if copy_pictures:
            if characters:
                self.searched, distances = len(characters), metrics.NearestComposition(characters)
            else:
                self.searched = min(len(dataset.train), copy_pictures)
                distances = partial(metrics.nearest_distances, pictures=dataset.train.sample(self.searched)[0])
            self.copies = metrics.CopyTest.prepare(distances, held_out[: max(count, 100)])
        self.checks = metrics.CharacterChecks(characters) if characters else None

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
            "spread": metrics.spread_within_classes(features, labels),
        }
        if self.copies:
            result.update(self.copies.score(pictures))
        if self.checks:
            result.update(self.checks.score(pictures, np.asarray(labels)))
        result["per_class"] = metrics.class_shares(predicted, labels, self.dataset.classes)
        return result


def prepare_judge(arguments: argparse.Namespace, model: Model) -> Judge:
    if model.size[0] != model.size[1]:
        raise data.DataError(f"{arguments.model}: pictures of {model.size[0]} x {model.size[1]}; only squares can be compared")
    layout = data.Layout(model.size[0], model.channels, arguments.invert, arguments.fit, arguments.background)
    dataset = data.load(arguments.data, layout, arguments.kind)
    if dataset.classes != model.classes:
        raise data.DataError(f"{arguments.data}: its classes are not those of {arguments.model}")
    if arguments.table == "style" and getattr(dataset.held_out, "groups", None) is None:
        raise data.DataError(f"{arguments.data}: nothing says which pictures belong together, as the fonts of letters do")
    if len(dataset.held_out) < 20:
        raise data.DataError(f"{arguments.data}: {len(dataset.held_out)} held-out pictures are too few to compare with (at least 20)")
    classifier = metrics.cached_classifier(dataset, arguments.cache, arguments.classifier_pictures)
    count = min(arguments.pictures, len(dataset.held_out), len(dataset.train))
    return Judge(dataset, classifier, count, arguments.copy_pictures if arguments.table == "guidance" else 0)


# ---- the tables -------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Planned:
    """One row of a table, before it is measured."""

    setting: Setting
    through: str = "engine"
    more: Callable[[np.ndarray], dict[str, Any]] = lambda pictures: {}  # measured beside what the judge says


def base_setting(arguments: argparse.Namespace, model: Model) -> Setting:
    """As the model recommends, but for what is given."""
    given = {name: value for name, value in vars(arguments).items() if name in Setting.__dataclass_fields__ and value is not None}
    if given.get("guidance_interval") == ():
        given["guidance_interval"] = None
    base = dataclasses.replace(model.recommended, **given)
    scales = {base.guidance_scale, *(arguments.scales if arguments.table in ("guidance", "style") else ())}
    if not model.can_be_guided and scales != {1}:
        raise data.DataError(f"{arguments.model}: nothing in it stands for no class, so there is no guidance: --scale 1 --scales 1")
    return base


def guidance_rows(arguments: argparse.Namespace, base: Setting) -> Iterator[Planned]:
    """Every scale; with `--through both`, one setting by the engine and by PyTorch, from the same seeds."""
    if arguments.through == "pytorch" and not base.in_reference:
        raise data.DataError(f"--through pytorch: the reference has no {base}")
    first = "pytorch" if arguments.through == "pytorch" else "engine"
    for scale in sorted({*arguments.scales, base.guidance_scale}):
        yield Planned(dataclasses.replace(base, guidance_scale=scale), first)
    if arguments.through == "both":
        checked = base if base.in_reference else dataclasses.replace(CHECKED, guidance_scale=base.guidance_scale)
        if checked != base:
            yield Planned(checked)
        yield Planned(checked, "pytorch")


def _root_mean_square(differences: np.ndarray) -> float:
    """Of 8-bit values, in float64."""
    return float(np.sqrt((differences**2).mean()))


def steps_rows(arguments: argparse.Namespace, base: Setting, drawn: Pictures, labels: list[int], seeds: list[int]) -> Iterator[Planned]:
    some, classes = slice(0, arguments.distance_pictures), len(drawn.model.classes)
    asked = {"guidance_scale": base.guidance_scale, "guidance_interval": base.guidance_interval}
    for sampler, grid in arguments.samplers:
        limit = None
        if arguments.distance_pictures and (arguments.limit == "own" or sampler in DETERMINISTIC):
            endless = sampler if arguments.limit == "own" else arguments.limit
            whole = Setting.for_calls(_as_drawn(endless, drawn.model), drawn.model.timesteps, **asked)
            limit = drawn.draw(whole, labels[some], seeds[some], "engine", chunk=10).astype(np.float64)

        def distances(pictures: np.ndarray, sampler: str = sampler, limit: np.ndarray | None = limit) -> dict[str, Any]:
            measured: dict[str, Any] = {"name": sampler}
            if limit is not None:
                measured["distance"] = _root_mean_square(pictures[some] - limit)
            if len(pictures) > classes:  # which take turns
                measured["distance_between_seeds"] = _root_mean_square(pictures[classes:].astype(np.float64) - pictures[:-classes])
            return measured

        for calls in arguments.calls:
            yield Planned(Setting.for_calls(_as_drawn(sampler, drawn.model), calls, time_grid=grid, **asked), more=distances)


def _as_drawn(sampler: str, model: Model) -> str:
    """Where eps follows from the clipped x_0, Euler is DDIM, and its ancestral form DDPM (docs/sampling.md): drawn once."""
    same = {"euler": "ddim", "euler-ancestral": "ddpm"} if model.objective != "pred_noise" else {}
    return same.get(sampler, sampler)


def options_rows(arguments: argparse.Namespace, base: Setting, drawn: Pictures) -> Iterator[Planned]:
    settings = [base, dataclasses.replace(base, guidance_interval=None), dataclasses.replace(base, guidance_interval=None, guidance_scale=1.0)]
    settings += [dataclasses.replace(base, guidance_interval=interval) for interval in arguments.intervals]
    settings += [dataclasses.replace(base, rescale=rescale) for rescale in arguments.rescales]
    settings += [dataclasses.replace(base, dynamic_threshold=threshold) for threshold in arguments.dynamic_thresholds]
    for setting in dict.fromkeys(settings):
        yield Planned(setting, more=lambda _, setting=setting: {"evaluations": drawn.evaluations(setting)})


def style_scores(
    arguments: argparse.Namespace, judge: Judge, labels: list[int], seeds: list[int]
) -> tuple[dict[str, Any], Callable[[np.ndarray], dict[str, Any]]]:
    """What held-out fonts score, and what scores the pictures of these labels and seeds."""
    fonts: np.ndarray = getattr(judge.dataset.held_out, "groups")  # noqa: B009 -- of data that has them, which was made sure of
    style = StyleJudge(judge.dataset)
    rng = np.random.default_rng(0)
    names = np.unique(fonts)
    some = np.flatnonzero(np.isin(fonts, rng.permutation(names)[: arguments.style_seeds]))
    real = judge.dataset.held_out.pictures(some)
    floors = {"held-out fonts": style.score(*real, fonts[some]), "held-out fonts, letters mixed": style.score(*real, rng.permutation(fonts[some]))}

    def score(pictures: np.ndarray) -> dict[str, Any]:
        predicted, _ = metrics.classify(judge.classifier, pictures)
        return {"pictures": len(pictures), "accuracy": float((predicted == np.asarray(labels)).mean()), **style.score(pictures, labels, np.asarray(seeds))}

    return floors, score


def evaluate(arguments: argparse.Namespace) -> dict[str, Any]:
    model = Model.read(arguments.model)
    base = base_setting(arguments, model)
    judge = prepare_judge(arguments, model)
    labels, seeds = labels_and_seeds(len(model.classes), judge.count, arguments.seed)
    if arguments.table == "style":
        seeds, labels = map(list, zip(*itertools.product(range(arguments.seed, arguments.seed + arguments.style_seeds), range(len(model.classes)))))
        floors, score = style_scores(arguments, judge, labels, seeds)
    else:
        floors, score = judge.floors(), lambda pictures: judge.score(pictures, labels)
    print(f"classifier: {judge.held_out_accuracy:.2%} of {judge.held_out_count} held-out pictures right", flush=True)
    result = {
        "model": arguments.model.name,
        "data": arguments.data.name,
        "table": arguments.table,
        "pictures": len(labels),
        "distance_pictures": arguments.distance_pictures,
        "limit": arguments.limit,
        "classifier_held_out_accuracy": judge.held_out_accuracy,
        "held_out_pictures": judge.held_out_count,
        "training_pictures_searched_for_copies": judge.searched,
        "tenth_percentile_of_held_out_distances": judge.copies.tenth if judge.copies else None,
        "default": dataclasses.asdict(base),
        "objective": model.objective,
        "floors": floors,
        "rows": [],
    }
    for name, row in result["floors"].items():
        report.print_row(f"real, {name}", row)
    stem = arguments.output / f"{arguments.model.stem}-{arguments.table}"
    with Pictures(model, arguments.drawn, arguments.processes) as drawn:
        rows = {
            "guidance": lambda: guidance_rows(arguments, base),
            "steps": lambda: steps_rows(arguments, base, drawn, labels, seeds),
            "options": lambda: options_rows(arguments, base, drawn),
            "style": lambda: guidance_rows(arguments, base),
        }[arguments.table]
        scores: dict[tuple[Setting, str], dict[str, Any]] = {}
        for planned in rows():
            pictures = drawn.draw(planned.setting, labels, seeds, planned.through)
            key = planned.setting, planned.through
            if key not in scores:
                scores[key] = score(pictures)
            measured = {**scores[key], **planned.more(pictures)}
            result["rows"].append({"through": planned.through, "calls": planned.setting.calls, **dataclasses.asdict(planned.setting), **measured})
            report.print_row(f"{planned.setting}, {planned.through}", measured)
            write_text(stem.with_name(f"{stem.name}.json"), json.dumps(result, indent=2) + "\n")
            if arguments.table == "guidance":
                name = f"{planned.through}-{planned.setting}".replace(", ", "-").replace(" ", "")
                sheet_image(pictures[np.argsort(labels, kind="stable")[:160]], 16).save(arguments.output / f"sheet-{name}.png")
    write_text(stem.with_name(f"{stem.name}.md"), report.markdown(result))
    report.plot(result, (arguments.images or arguments.output) / f"{stem.name}.png")
    return result


# ---- the command line -------------------------------------------------------


def _floats(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(",") if part)


def _counts(text: str) -> tuple[int, ...]:
    values = tuple(int(part) for part in text.split(","))
    if min(values) < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be at least 1")
    return values


def _samplers(text: str) -> tuple[tuple[str, str], ...]:
    pairs = [(name, grid or "linear") for name, _, grid in (part.partition(":") for part in text.split(","))]
    for name, grid in pairs:
        if name not in SAMPLERS or grid not in TIME_GRIDS:
            raise argparse.ArgumentTypeError(f"{name}:{grid}: expected one of {', '.join(SAMPLERS)}, a colon, and one of {', '.join(TIME_GRIDS)}")
    return tuple(pairs)


def _interval(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    if not (low.isdigit() and high.isdigit() and int(low) <= int(high)):
        raise argparse.ArgumentTypeError(f"{text}: expected two timesteps, LOW-HIGH")
    return int(low), int(high)


def _base_interval(text: str) -> tuple[int, int] | tuple[()]:
    """`all` is not the same as an option that is not given, which means what the model recommends."""
    return () if text == "all" else _interval(text)


def _intervals(text: str) -> tuple[tuple[int, int], ...]:
    return tuple(_interval(part) for part in text.split(",") if part)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pocket_diffusion evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL", help=".pt or .gguf")
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help="the data set that the model was trained on")
    parser.add_argument("--kind", choices=data.KINDS, default="auto", help="of data, as in training")
    parser.add_argument("--invert", action="store_true", help="as in training")
    parser.add_argument("--fit", choices=data.FITS, default="pad", help="as in training")
    parser.add_argument("--background", type=int, default=255, help="as in training")
    parser.add_argument("--table", choices=("guidance", "steps", "options", "style"), default="guidance", help="default: %(default)s")
    parser.add_argument("--output", type=Path, default=Path("build/evaluation"), metavar="FOLDER", help="default: %(default)s")
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="of the plot (default: that of --output)")
    parser.add_argument("--drawn", type=Path, default=Path("build/drawn"), metavar="FOLDER", help="of pictures that are kept (default: %(default)s)")
    parser.add_argument("--cache", type=Path, default=Path("build/classifiers"), metavar="FOLDER", help="of trained classifiers (default: %(default)s)")
    parser.add_argument("--pictures", type=int, default=1000, help="per setting, and of real ones to compare with (default: %(default)s)")
    parser.add_argument("--classifier-pictures", type=int, default=300000, help="seen by the classifier in training (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1000, help="of the first picture (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=1, help="engines at work at the same time (default: %(default)s)")

    base = parser.add_argument_group(
        "how pictures are drawn where the table does not say (default: as the model recommends; a checkpoint: ddim, 20 steps, scale 3)"
    )
    base.add_argument("--sampler", choices=SAMPLERS)
    base.add_argument("--steps", type=int)
    base.add_argument("--time-grid", choices=TIME_GRIDS)
    base.add_argument("--scale", type=float, dest="guidance_scale", metavar="S")
    base.add_argument("--eta", type=float)
    base.add_argument("--guidance-interval", type=_base_interval, metavar="LOW-HIGH|all")

    guidance = parser.add_argument_group("--table guidance")
    guidance.add_argument("--scales", type=_floats, default=(0, 1, 1.5, 2, 3, 4, 6, 8, 10), metavar="A,B,...", help="default: 0,1,1.5,2,3,4,6,8,10")
    guidance.add_argument("--through", choices=("pytorch", "engine", "both"), default="both",
                          help="what draws; both: the engine, and one setting also PyTorch with the same seeds (default: %(default)s)")  # fmt: skip
    guidance.add_argument(
        "--copy-pictures",
        type=int,
        default=100000,
        help="training pictures searched for copies; of characters, all compositions are (default: %(default)s; 0: do not search)",
    )

    steps = parser.add_argument_group("--table steps")
    steps.add_argument("--samplers", type=_samplers, default=_samplers(",".join(SAMPLERS)), metavar="NAME[:GRID],...", help="default: all, linear")
    steps.add_argument("--calls", type=_counts, default=(4, 6, 8, 10, 15, 20, 50), metavar="A,B,...",
                       help="times at which the network is evaluated; heun takes the odd number at or below (default: 4,6,8,10,15,20,50)")  # fmt: skip
    steps.add_argument("--distance-pictures", type=int, default=20, help="drawn with all timesteps too; 0: none (default: %(default)s)")
    steps.add_argument("--limit", choices=("own", *DETERMINISTIC), default="own",
                       help="whose result with all timesteps the distance is to: each sampler's own, or for the deterministic ones that of one (default: %(default)s)")  # fmt: skip

    style = parser.add_argument_group("--table style (and --scales)")
    style.add_argument("--style-seeds", type=int, default=20, help="alphabets to draw, and held-out fonts to compare with (default: %(default)s)")

    options = parser.add_argument_group("--table options")
    options.add_argument("--intervals", type=_intervals, default=(), metavar="LOW-HIGH,...", help="guided timesteps to try")
    options.add_argument("--rescales", type=_floats, default=(), metavar="A,B,...", help="0 .. 1")
    options.add_argument("--dynamic-thresholds", type=_floats, default=(), metavar="A,B,...", help="percentiles, 0 .. 1")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 refused or failed, 2 wrong usage."""
    parsed = parse_arguments(arguments)
    try:
        evaluate(parsed)
    except (data.DataError, CheckpointError, MissingOptions, EngineError, GraphError, reference.ReferenceUnavailable, OSError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 1
    print(f"wrote {parsed.output}")
    return 0
