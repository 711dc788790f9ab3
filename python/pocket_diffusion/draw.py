"""Drawing from the command line, with NumPy and wasmtime alone."""

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pocket_diffusion.errors import PocketDiffusionError
from pocket_diffusion.model import CHOICES, Model, load


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pocket_diffusion", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    info = commands.add_parser("info", help="what is in a model file")
    info.add_argument("model", type=Path, metavar="MODEL.gguf")
    info.add_argument("--json", action="store_true", help="as JSON")
    generate = commands.add_parser("generate", help="pictures as PNG files, each with its recipe")
    generate.add_argument("model", type=Path, metavar="MODEL.gguf")
    generate.add_argument("--label", action="append", metavar="CLASS", help="name or number; may be given again (default: every class, or the only one)")
    generate.add_argument(
        "--output",
        type=Path,
        default=Path("picture.png"),
        metavar="FILE.png",
        help="of several pictures, LABEL-SEED is added to the name (default: %(default)s)",
    )
    generate.add_argument("--count", type=int, default=1, metavar="N", help="pictures of each class, with the seeds SEED, SEED + 1, ... (default: %(default)s)")
    generate.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    generate.add_argument("--guidance-scale", type=float, metavar="S", help="default: as the model recommends, like all that follow")
    generate.add_argument("--steps", type=int, metavar="N")
    generate.add_argument("--sampler", choices=CHOICES["sampler"])
    generate.add_argument("--eta", type=float)
    generate.add_argument("--time-grid", choices=CHOICES["time_grid"])
    return parser.parse_args(arguments)


def _say(model: Model, as_json: bool) -> None:
    facts = {**dataclasses.asdict(model.info), "labels": list(model.labels)}
    del facts["alphas_cumprod"]
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    for name, value in facts.items():
        print(f"{name.replace('_', ' '):22}{', '.join(value) if name == 'labels' else value}")


def _draw(model: Model, parsed: argparse.Namespace) -> None:
    chosen = parsed.label or list(model.labels)
    named = [int(label) if label not in model.labels and label.isdecimal() else label for label in chosen]
    labels: list[str | int | None] = [*named] or [None]
    options = {name: getattr(parsed, name) for name in ("guidance_scale", "steps", "sampler", "eta", "time_grid")}
    several = len(labels) * parsed.count > 1
    for picture in model.generate_many(labels, count=parsed.count, seed=parsed.seed, **options):
        output: Path = parsed.output
        path = output.with_name("-".join(filter(None, (output.stem, picture.label, f"{picture.seed}{output.suffix}")))) if several else output
        picture.save(path)
        print(f"{path}: {', '.join(filter(None, (picture.label, f'seed {picture.seed}')))}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 refused, 2 wrong usage."""
    parsed = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    try:
        with load(parsed.model) as model:
            if parsed.command == "info":
                _say(model, parsed.json)
            else:
                _draw(model, parsed)
    except (PocketDiffusionError, OSError, TypeError, ValueError) as error:
        print(f"{parsed.command}: {error}", file=sys.stderr)
        return 1
    return 0
