"""Turns a trained network of denoising-diffusion-pytorch (classifier_free_guidance.py) into a model file.

Reads what people have: a state dict of Unet or GaussianDiffusion under any prefix (model., module., ema_model.),
a trainer's dictionary around one, the same as .safetensors, or a folder that accelerate saved. What the checkpoint
does not say is asked for; what it says is not overruled.
Format of the result: docs/format.md.
"""

import argparse
import dataclasses
import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pocket_diffusion import earlier, reference
from pocket_diffusion.calibration import Calibration, SizeError, encode_calibrated, encode_within, one_thread
from pocket_diffusion.checkpoint import OBJECTIVES, SCHEDULES, Checkpoint, CheckpointError, Description, MissingOptions, Options, describe, read_checkpoint
from pocket_diffusion.graph.ir import GraphError
from pocket_diffusion.loading import holds_weights
from pocket_diffusion.model_file import Encoded, General, Recommendation, StoredTensor, encode_all, write_model
from pocket_diffusion.options import RENDERINGS, SAMPLERS, TIME_GRIDS
from pocket_diffusion.quantisation import TYPES, needs_inputs


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be at least 1")
    return value


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return _positive(width), _positive(height or width)


def _fraction(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text}: must lie in 0 .. 1")
    return value


def _scale(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text}: must lie in 0 .. 100")
    return value


def _interval(text: str) -> tuple[int, int] | tuple[()]:
    """`all` is not the same as an option that is not given."""
    if text == "all":
        return ()
    low, separator, high = text.partition(",")
    if not (separator and low.isdigit() and high.isdigit() and int(low) <= int(high)):
        raise argparse.ArgumentTypeError(f"{text}: expected two timesteps, LOW,HIGH, or all")
    return int(low), int(high)


def _bytes(text: str) -> int:
    """3200000, 3200k or 3.2M."""
    factor = {"k": 10**3, "M": 10**6}.get(text[-1:], 1)
    value = int(float(text if factor == 1 else text[:-1]) * factor)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be at least 1")
    return value


def _class_names(text: str) -> tuple[str, ...]:
    """A comma-separated list, or a file with one name a line."""
    if Path(text).is_file():
        return tuple(line.strip() for line in Path(text).read_text(encoding="utf-8").splitlines() if line.strip())
    return tuple(name.strip() for name in text.split(","))


def add_recommendation_options(parser: argparse.ArgumentParser, *, defaults: bool = True) -> None:
    """Options named as the fields of `Recommendation`. None: not given. defaults: whether --help tells what then holds; a file
    that is changed keeps what it has.
    """

    def told(text: str, default: str) -> str | None:
        default = f"default: {default}" if defaults else ""
        return f"{text} ({default})" if text and default else text or default or None

    recommended = parser.add_argument_group("recommended sampling")
    recommended.add_argument("--sampler", choices=SAMPLERS, help=told("", "ddim"))
    recommended.add_argument("--steps", type=_positive, help=told("", "20, or T if that is less"))
    recommended.add_argument("--guidance-scale", type=_scale, metavar="S", help=told("", "3"))
    recommended.add_argument("--eta", type=_fraction, help=told("DDIM stochasticity", "0"))
    recommended.add_argument("--time-grid", choices=TIME_GRIDS, help=told("", "linear"))
    recommended.add_argument("--guidance-interval", type=_interval, metavar="LOW,HIGH|all", help=told("guided timesteps, both included", "all"))
    recommended.add_argument("--rescale", type=_fraction, metavar="PHI", help=told("of guidance; what the reference's sample() does unasked is 0.7", "0"))
    recommended.add_argument(
        "--projection",
        action=argparse.BooleanOptionalAction,
        help=told("guidance without its part that is parallel to the conditional prediction; on in the reference's sample()", "off"),
    )
    parser.add_argument("--rendering", choices=RENDERINGS, help=told("how pictures are enlarged: dark lines on white paper, pixel art, or smoothly", "smooth"))


def recommendation(
    arguments: argparse.Namespace, timesteps: int, channels: int | None, otherwise: Recommendation, scales: Sequence[float] = ()
) -> Recommendation:
    """As the options say, and `otherwise` where they say nothing. channels: of the picture; None where only the engine can
    tell. `scales`: that the network knows, if it takes them as an input.
    """
    given = {name: getattr(arguments, name) for name in Recommendation.__dataclass_fields__ if getattr(arguments, name) is not None}
    if given.get("guidance_interval") == ():
        given["guidance_interval"] = None
    recommended = dataclasses.replace(otherwise, **given)
    if recommended.steps > timesteps:
        raise CheckpointError(f"--steps {recommended.steps}: the network was trained with {timesteps} timesteps")
    if recommended.rendering == "ink" and channels not in (1, None):
        raise CheckpointError(f"--rendering ink: for pictures of one channel, not {channels}")
    if recommended.guidance_interval is not None and recommended.guidance_interval[1] >= timesteps:
        raise CheckpointError(f"--guidance-interval: the timesteps are 0 to {timesteps - 1}")
    if scales and not scales[0] <= recommended.guidance_scale <= scales[-1]:
        raise CheckpointError(f"--guidance-scale {recommended.guidance_scale:g}: the network knows the scales {scales[0]:g} to {scales[-1]:g}")
    if scales and recommended.guidance_interval is not None:
        raise CheckpointError("--guidance-interval: not of a network that takes the guidance scale")
    return recommended


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pocket_diffusion export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "checkpoint", type=Path, nargs="?", metavar="CHECKPOINT", help=".pt, .pth, .ckpt or .safetensors; or a folder of diffusers or accelerate"
    )
    parser.add_argument("output", type=Path, metavar="OUT.gguf")
    parser.add_argument(
        "--network",
        metavar="FILE.py:FUNCTION",
        help="in place of a checkpoint: any network. The function returns a dictionary of arguments of pocket_diffusion.export",
    )
    parser.add_argument("--null", type=int, metavar="LABEL", help="of such networks: the label that stands for no class")
    types = parser.add_mutually_exclusive_group()
    types.add_argument("--type", choices=sorted(TYPES), default="q8_0", help="of the weight matrices (default: %(default)s)")
    types.add_argument(
        "--bytes",
        type=_bytes,
        metavar="N|N.NM",
        help="most that the file may have (3.2M: 3,200,000): a type for each matrix, chosen by measuring what it does to the prediction",
    )
    parser.add_argument(
        "--calibration-seed",
        type=int,
        default=0,
        metavar="SEED",
        help="of the pictures that the model draws to round by, with --bytes and types of 4 and 5 bits (default: %(default)s)",
    )
    parser.add_argument(
        "--weights",
        choices=("auto", "ema", "online"),
        default="auto",
        help="which ones, if the checkpoint holds several (default: the moving average if there is one)",
    )
    parser.add_argument("--key", metavar="NAME", help="which one, if the checkpoint holds several networks: their names are then listed")

    text = parser.add_argument_group("what people are shown")
    text.add_argument("--name", help="default: the name of the output file")
    for option in ("description", "license", "author"):
        text.add_argument(f"--{option}", default="")
    text.add_argument("--source-url", default="", metavar="URL")

    facts = parser.add_argument_group("what the checkpoint may not say")
    facts.add_argument("--class-names", type=_class_names, metavar="A,B,...|FILE", help="in label order; a file has one a line")
    facts.add_argument("--image-size", type=_size, metavar="SIDE|WIDTHxHEIGHT", help="of the finished picture")
    facts.add_argument("--pixel-unshuffle", type=_positive, metavar="R", help="default: 1")
    facts.add_argument("--objective", choices=OBJECTIVES)
    facts.add_argument("--beta-schedule", choices=SCHEDULES)
    facts.add_argument("--timesteps", type=_positive, metavar="T")
    facts.add_argument("--attn-heads", type=_positive, metavar="N", help="of the attention in the middle; one of the two is enough")
    facts.add_argument("--attn-dim-head", type=_positive, metavar="N")
    facts.add_argument("--fourier", choices=("learned", "random"), help="frequencies of Fourier time embeddings; the arithmetic is the same (default: learned)")
    facts.add_argument("--package-version", metavar="N.N.N", help="of denoising-diffusion-pytorch, of networks before 2.0.0, which computed in several ways")
    facts.add_argument("--cond-drop-prob", type=_fraction, metavar="P", help="in training; informative (default: 0.5)")

    add_recommendation_options(parser)
    parser.add_argument("--manifest", type=Path, metavar="FILE", help="JSON list of models in the same folder, where the file's entry is added or replaced")
    return parser.parse_args(arguments)


def print_description(description: Description, place: str) -> None:
    unet = description.unet
    channels, height, width = description.network_shape
    print(f"weights    {place}")
    print(f"network    dim {unet['dim']}, levels {unet['dim_mults']}, {channels} x {height} x {width}, {unet['num_classes']} classes")
    print(f"picture    {description.image_width} x {description.image_height} x {description.image_channels}, pixel unshuffle {description.pixel_unshuffle}")
    print(f"diffusion  {description.objective}, {description.beta_schedule} schedule, {description.timesteps} timesteps")
    if description.guidance_scales:
        print(f"guidance   an input of the network, scales {description.guidance_scales[0]:g} to {description.guidance_scales[-1]:g}")
    for assumption in description.assumptions:
        print(f"assumed    {assumption}")
    if description.unsaid:
        print(f"unchecked  {', '.join(description.unsaid)}: nothing in the checkpoint tells; see that the pictures are right")
    if not description.can_sample:
        print("note       this network can predict, but not be sampled: that takes pictures of 1, 3 or 4 channels and as many channels out as in")


def print_table(stored: Sequence[StoredTensor]) -> None:
    """Per kind of layer: what was written, the relative RMS error and the largest error of rounding."""
    header = ("layer", "type", "tensors", "values", "bytes", "RMS error", "largest")
    groups: dict[tuple[str, str], list[StoredTensor]] = {}
    for tensor in stored:
        groups.setdefault((tensor.kind, tensor.type), []).append(tensor)
    lines = [_table_line(kind, type_, group) for (kind, type_), group in sorted(groups.items())]
    lines.append(_table_line("all", "", stored))
    widths = [max(len(line[column]) for line in (header, *lines)) for column in range(len(header))]
    for line in (header, *lines):
        print("  ".join(cell.ljust(width) if column < 2 else cell.rjust(width) for column, (cell, width) in enumerate(zip(line, widths))))


def _table_line(kind: str, type_: str, group: Sequence[StoredTensor]) -> tuple[str, ...]:
    squares = sum(tensor.squares for tensor in group)
    error = (sum(tensor.squared_error for tensor in group) / squares) ** 0.5 if squares else 0.0
    return (
        kind,
        type_,
        str(len(group)),
        f"{sum(tensor.values for tensor in group):,}",
        f"{sum(tensor.bytes for tensor in group):,}",
        f"{error:.4%}",
        f"{max(tensor.largest_error for tensor in group):.2g}",
    )


def update_manifest(manifest: Path, model: Path, name: str, licence: str) -> None:
    """Adds or replaces the entry of a model; other entries stay as they are."""
    content = json.loads(manifest.read_text(encoding="utf-8")) if manifest.exists() else {"models": []}
    data = model.read_bytes()
    entry = {
        "name": name,
        "file": model.name,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "license": licence,
    }
    others = [other for other in content["models"] if other["file"] != model.name]
    content["models"] = sorted([*others, entry], key=lambda each: each["file"])
    partial = manifest.with_name(f".{manifest.name}.{os.getpid()}.partial")
    partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(partial, manifest)


def encode_as_asked(
    arguments: argparse.Namespace, checkpoint: Checkpoint, description: Description, general: General, recommended: Recommendation
) -> dict[str, Encoded]:
    if arguments.bytes is None and not needs_inputs(TYPES[arguments.type]):
        return encode_all(checkpoint.weights, arguments.type)
    steps = {"steps": recommended.steps} if description.guidance_scales else {}

    def write(path: Path, encoded: Mapping[str, Encoded]) -> None:
        write_model(path, description, checkpoint.weights, encoded, general, recommended)

    with one_thread():
        calibration = Calibration(description, checkpoint.weights, recommended.guidance_scale, arguments.calibration_seed, **steps)
        if arguments.bytes is None:
            return encode_calibrated(calibration, arguments.type)
        return encode_within(calibration, write, arguments.bytes)


def _general(arguments: argparse.Namespace) -> General:
    return General(
        name=arguments.name or arguments.output.stem,
        description=arguments.description,
        license=arguments.license,
        author=arguments.author,
        source_url=arguments.source_url,
    )


def _export_any(arguments: argparse.Namespace) -> None:
    """Networks that are traced, by --network or from a folder."""
    from pocket_diffusion.graph.command import export_network

    report = export_network(arguments, _general(arguments), lambda timesteps, default: recommendation(arguments, timesteps, None, default))
    print(report)
    _finish(arguments, report.stored)


def _export_earlier(arguments: argparse.Namespace, checkpoint: Checkpoint, description: Description, recommended: Recommendation) -> None:
    """Networks of the package before 2.0.0, as lists of operations."""
    from pocket_diffusion.graph.command import export_given

    report = export_given(arguments, earlier.export_arguments(checkpoint, description), _general(arguments), recommended)
    print(report)
    _finish(arguments, report.stored)


def _finish(arguments: argparse.Namespace, stored: Sequence[StoredTensor]) -> None:
    print_table(stored)
    if arguments.manifest:
        update_manifest(arguments.manifest, arguments.output, _general(arguments).name, arguments.license)
    print(f"wrote      {arguments.output}, {arguments.output.stat().st_size:,} bytes")


def export(arguments: argparse.Namespace) -> None:
    checkpoint = read_checkpoint(arguments.checkpoint, arguments.weights, arguments.key, earlier=True)
    options = Options(**{name: getattr(arguments, name) for name in Options.__dataclass_fields__})
    description = describe(checkpoint, options)
    recommended = recommendation(
        arguments, description.timesteps, description.image_channels, Recommendation(steps=min(20, description.timesteps)), description.guidance_scales
    )
    general = _general(arguments)
    print_description(description, checkpoint.place)
    if description.package_version:
        _export_earlier(arguments, checkpoint, description, recommended)
        return
    encoded = encode_as_asked(arguments, checkpoint, description, general, recommended)
    stored = write_model(arguments.output, description, checkpoint.weights, encoded, general, recommended)
    _finish(arguments, stored)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 written, 1 refused, 2 wrong usage."""
    parsed = parse_arguments(arguments)
    if (parsed.network is None) == (parsed.checkpoint is None):
        print("export: a checkpoint, or --network, one of the two", file=sys.stderr)
        return 2
    try:
        if parsed.network or (parsed.checkpoint.is_dir() and not holds_weights(parsed.checkpoint)):
            _export_any(parsed)
        else:
            export(parsed)
    except MissingOptions as error:
        print(f"export: {error}", file=sys.stderr)
        return 2
    except SizeError as error:
        print(f"export: --{error}", file=sys.stderr)
        return 1
    except (CheckpointError, GraphError, reference.ReferenceUnavailable, OSError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 1
    return 0
