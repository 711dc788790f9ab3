"""Compares the engine (the WebAssembly module) with PyTorch on the same inputs: with the reference's network, or with any other.

  python -m pocket_diffusion verify CHECKPOINT MODEL.gguf
  python -m pocket_diffusion verify --network FILE.py:FUNCTION MODEL.gguf
  python -m pocket_diffusion verify FOLDER MODEL.gguf --null LABEL

PyTorch runs with the weights as they are in the model file, so that quantisation hides no error; what quantisation
itself changes is measured against the checkpoint, or the module itself, and reported at the end. Of networks that are lists
of operations (format 2) the module is first traced anew: its list must say what the module says, and the file's must be
that list with rounded weights. What the checkpoint does not
say itself (the objective of a bare state dict) no comparison can find wrong: then the reference draws a picture with
the file's settings, to be looked at.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pocket_diffusion import guidance_input, inspection, reference
from pocket_diffusion.checkpoint import CheckpointError, MissingOptions, describe, read_checkpoint
from pocket_diffusion.engine import Engine, EngineError
from pocket_diffusion.graph import as_unet, comparing
from pocket_diffusion.graph.ir import GraphError
from pocket_diffusion.graph.read import GraphFile, read_either
from pocket_diffusion.graph.write import weights_of
from pocket_diffusion.model_file import ModelFile
from pocket_diffusion.reference import Generation

SCHEDULE_TOLERANCE = 1e-12  # of abar, relative
# Of a tensor in the file against the checkpoint's, relative RMS. A block has steps of 1/n of its largest magnitude: n = 127
# for Q8_0; 8 and 16 for Q4_0 and Q5_0, whose levels reach from -n to n - 1; 15 and 31 from the smallest to the largest value
# for Q4_1 and Q5_1. Rounded evenly within a step, even a block with a single large value (for the last two, one at either
# end) stays below sqrt(32 / 12) / n. Once more as much is allowed for what the exporter makes good in other columns.
_STEPS = {"Q8_0": 127, "Q5_1": 31 / 2**0.5, "Q5_0": 16, "Q4_1": 15 / 2**0.5, "Q4_0": 8}
WEIGHT_TOLERANCES = {"F32": 0.0, "F16": 1e-3} | {type_: 2 * (32 / 12) ** 0.5 / steps for type_, steps in _STEPS.items()}
FOLDED_TOLERANCE = 1e-6  # of constants that are computed at export, and elsewhere perhaps by other instructions
FORWARD_TOLERANCE = 1e-4  # of a prediction, relative to its largest magnitude
STATE_TOLERANCE = 1e-3  # of x_t, absolute
# Some runs come close to a parting of the ways, where the process multiplies every rounding error step by step, the
# reference's own too. What is over the tolerance is therefore held against the reference's distance from itself
# in float64, and may be this many times as large.
ROUNDING_FACTOR = 5.0
PIXEL_SHARE = 0.999  # of 8-bit values equal; the others may be off by one


@dataclass(frozen=True)
class Check:
    """One comparison. `error` is the largest one found."""

    name: str
    error: float
    tolerance: float
    detail: str = ""

    @property
    def passed(self) -> bool:
        return self.error <= self.tolerance  # false for NaN

    def __str__(self) -> str:
        return f"{'PASS' if self.passed else 'FAIL'}  {self.name:<58} {self.error:9.2e}  (at most {self.tolerance:.0e}){self.detail and '  ' + self.detail}"


@dataclass
class PixelTally:
    """Differences of finished 8-bit pictures, summed up."""

    values: int = 0
    unequal: int = 0
    largest: int = 0

    def add(self, ours: np.ndarray, theirs: np.ndarray) -> None:
        difference = np.abs(ours.astype(np.int32) - theirs.reshape(-1).astype(np.int32))
        self.values += difference.size
        self.unequal += int((difference > 0).sum())
        self.largest = max(self.largest, int(difference.max()))

    def check(self) -> Check:
        """The share of unequal values counts; a difference of more than one level fails."""
        share = self.unequal / self.values if self.values and self.largest <= 1 else float("inf")
        return Check("8-bit pixels, share unequal", share, 1 - PIXEL_SHARE, f"{self.unequal} of {self.values}, by {self.largest} at most")


@dataclass(frozen=True)
class Subject:
    """A model file and, in PyTorch, the network with its weights."""

    file: ModelFile | GraphFile
    unet: torch.nn.Module = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> "Subject":
        file = read_either(path)
        if isinstance(file, GraphFile):
            return cls(file, as_unet.of_file(file))
        return cls(file, guidance_input.build_unet(file.unet, file.weights, file.guidance_scales))

    @property
    def labels(self) -> list[int | None]:
        """Of the classes; of a network without any, None alone."""
        return list(range(len(self.file.class_names))) or [None]

    def forward(self, unet: torch.nn.Module, x: torch.Tensor, t: int, label: int | None) -> torch.Tensor:
        """One prediction; where the scale is an input of the network, at the recommended one."""
        if not self.file.guidance_scales:
            return reference.forward(unet, x, t, label)
        with torch.no_grad():
            return unet.forward_with_cond_scale(x[None], torch.tensor([t]), torch.tensor([label]), self.file.metadata["sampling.guidance_scale"])[0]

    def trajectory(self, generation: Generation, unet: torch.nn.Module | None = None, double: bool = False) -> list[torch.Tensor]:
        """x after every step of the reference's sampler, with the file's weights or those of another network."""
        objective = self.file.metadata["diffusion.objective"]
        return reference.trajectory(unet or self.unet, self.file.alphas_cumprod, objective, self.file.network_shape, generation, double)

    def pixels(self, x: torch.Tensor) -> np.ndarray:
        return reference.to_pixels(x, self.file.metadata["image.pixel_unshuffle"])


@dataclass(frozen=True)
class Origin:
    """What a model file was made from."""

    unet: torch.nn.Module = field(repr=False)  # as it was
    weights: Mapping[str, torch.Tensor] = field(repr=False)  # of which the file's are rounded ones
    alphas_cumprod: np.ndarray = field(repr=False)
    can_sample: bool
    unsaid: Sequence[str]  # what nothing confirms: it comes from options, or from a function of the user's own, alone
    checks: Sequence[Check] = ()  # made already


def _origin_in_reference(arguments: argparse.Namespace, file: ModelFile) -> Origin:
    if arguments.network or arguments.null is not None or arguments.package_version:
        raise CheckpointError(
            f"{arguments.model} was made from a checkpoint of the reference, which is to be given; not --network, --null or --package-version"
        )
    checkpoint = read_checkpoint(arguments.checkpoint, arguments.weights, arguments.key)
    description = describe(checkpoint, file.options)  # raises where file and checkpoint contradict each other
    original = guidance_input.build_unet(description.unet, checkpoint.weights, description.guidance_scales)
    return Origin(original, checkpoint.weights, description.alphas_cumprod, description.can_sample, description.unsaid)


def _origin_of_graph(arguments: argparse.Namespace, file: GraphFile) -> Origin:
    network, unsaid = comparing.traced_again(arguments, file)
    same = comparing.same_operations(file.output, network.output)
    checks = [
        Check("list of operations, traced anew", network.error, FORWARD_TOLERANCE, f"{len(network.operations)} of {network.traced} of PyTorch"),
        Check("the file's list of operations", 0.0 if same else 1.0, 0.0, "" if same else "another one than the network's: made from something else, or with other versions of the packages; export again"),
    ]  # fmt: skip
    weights = {name: weight.rows for name, weight in weights_of(network.output).items()} if same else {}
    return Origin(as_unet.of_network(network), weights, network.process.alphas_cumprod, True, unsaid, checks)


# ---- checks -----------------------------------------------------------------


def check_schedule(subject: Subject, expected: np.ndarray, reported: Sequence[float]) -> list[Check]:
    """abar in the file against the checkpoint's, and as the engine reports it."""
    stored = subject.file.alphas_cumprod
    return [
        Check("abar in the file", float(np.max(np.abs(stored / expected - 1))), SCHEDULE_TOLERANCE),
        Check("abar in the engine", float(np.max(np.abs(np.array(reported) - stored))), 0.0),
    ]


def check_weights(subject: Subject, original: Mapping[str, torch.Tensor]) -> list[Check]:
    """The file's weights are the checkpoint's, up to rounding; the worst tensor of each type."""
    worst: dict[str, tuple[float, str]] = {}
    for name, tensor in subject.file.weights.items():
        if name not in original:  # of another network altogether, which a check has said
            continue
        error = float((tensor - original[name]).double().norm() / original[name].double().norm().clamp(min=1e-30))
        type_ = subject.file.types[name]
        worst[type_] = max(worst.get(type_, (0.0, name)), (error, name))
    computed = FOLDED_TOLERANCE if isinstance(subject.file, GraphFile) else 0.0
    return [Check(f"weights as {type_}", error, max(computed, WEIGHT_TOLERANCES[type_]), name) for type_, (error, name) in sorted(worst.items())]


def relative_error(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).abs().max() / theirs.abs().max())


def forward_inputs(subject: Subject, seeds: Iterable[int]) -> Iterator[tuple[torch.Tensor, int, int | None]]:
    """x, t and label over the whole range of times, with classes and with the null class."""
    timesteps, labels = subject.file.metadata["diffusion.timesteps"], subject.labels
    times = sorted({0, timesteps // 4, timesteps // 2, 3 * timesteps // 4, timesteps - 1})
    for seed in seeds:
        for i, t in enumerate(times):
            x = torch.randn(subject.file.network_shape, generator=torch.Generator().manual_seed(seed * len(times) + i))
            yield x, t, labels[(seed + i) % len(labels)]
            if subject.file.has_null and labels != [None]:
                yield x, t, None


def _used(answer: "Future[torch.Tensor]", subject: Subject) -> torch.Tensor:
    """Of a prediction, the channels that are used: a list of operations may make more."""
    return answer.result()[: subject.unet.out_dim]


def check_forward(engine: Engine, subject: Subject, seeds: Sequence[int]) -> list[Check]:
    """One forward pass; the largest error per time, with class and with null."""
    inputs = list(forward_inputs(subject, seeds))
    answers = [engine.predict(x, t, label) for x, t, label in inputs]
    worst: dict[str, float] = {}
    for (x, t, label), answer in zip(inputs, answers):
        name = f"forward t = {t}, {'null' if label is None else 'class'}"
        error = relative_error(_used(answer, subject), subject.forward(subject.unet, x, t, label))
        worst[name] = max(worst.get(name, 0.0), error) if error == error else error
    return [Check(name, error, FORWARD_TOLERANCE) for name, error in worst.items()]


def _sampler_name(generation: Generation) -> str:
    eta = f", eta {generation.eta:g}" if generation.sampler == "ddim" else ""
    return f"{generation.sampler.upper()} {generation.steps} steps{eta}"


def _guidance_name(generation: Generation) -> str:
    return f"scale {generation.guidance_scale:g}{', projection' if generation.projection else ''}{f', rescale {generation.rescale:g}' if generation.rescale else ''}"


def _distance(ours: Sequence[torch.Tensor], theirs: Sequence[torch.Tensor]) -> float:
    """Largest difference between two trajectories; NaN if there is one."""
    return float(torch.stack([(a.double() - b.double()).abs().max() for a, b in zip(ours, theirs, strict=True)]).max())


def _check_states(subject: Subject, generation: Generation, states: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> Check:
    name = f"x_t, {_sampler_name(generation)}, {_guidance_name(generation)}"
    check = Check(name, _distance(states, expected), STATE_TOLERANCE)
    if check.passed:
        return check
    rounding = _distance(expected, subject.trajectory(generation, double=True))
    tolerance = max(STATE_TOLERANCE, ROUNDING_FACTOR * rounding)
    return Check(name, check.error, tolerance, f"seed {generation.seed}: the reference itself is {rounding:.1e} from float64")


def check_trajectories(engine: Engine, subject: Subject, generations: Sequence[Generation]) -> list[Check]:
    """Every x_t of whole runs, the worst per sampler and guidance; and the finished pixels of all runs (but those
    whose rounding errors the process itself has multiplied beyond the tolerance).
    """
    answers = [engine.generate(subject.file.network_shape, generation) for generation in generations]
    worst: dict[str, Check] = {}
    visited_right = True
    pixels = PixelTally()
    for generation, answer in zip(generations, answers):
        states, times, picture = answer.result()
        expected = subject.trajectory(generation)
        visited_right &= times == reference.time_grid(subject.file.metadata["diffusion.timesteps"], generation.steps)
        check = _check_states(subject, generation, states, expected)
        known = worst.get(check.name)
        if known is None or not check.passed or (known.passed and check.error > known.error):
            worst[check.name] = check
        if check.tolerance == STATE_TOLERANCE:
            pixels.add(picture, subject.pixels(expected[-1]))
    return [Check("times visited", 0.0 if visited_right else 1.0, 0.0), *worst.values(), pixels.check()]


def all_generations(subject: Subject, seeds: Sequence[int], quick: bool) -> list[Generation]:
    """The samplers crossed with guidance scales, projection and rescale; the labels take turns."""
    timesteps, labels = subject.file.metadata["diffusion.timesteps"], subject.labels
    samplers: list[dict[str, Any]] = [
        {"sampler": "ddim", "steps": min(10, timesteps), "eta": 0.0},
        {"sampler": "ddim", "steps": min(10, timesteps), "eta": 1.0},
        {"sampler": "ddpm", "steps": min(50, timesteps)},
    ]
    guidances = [
        {"guidance_scale": scale, "projection": projection, "rescale": rescale}
        for scale, projection, rescale in itertools.product((0.0, 1.0, 3.0, 6.0), (False, True), (0.0, 0.7))
    ]
    if subject.file.guidance_scales:
        low, high = subject.file.guidance_scales[0], subject.file.guidance_scales[-1]
        guidances = [{"guidance_scale": low + share * (high - low)} for share in (0.0, 0.3, 0.75, 1.0)]
    elif not subject.file.has_null or labels == [None]:
        guidances = [{"guidance_scale": 1.0}]
    elif quick:
        guidances = [guidances[i] for i in (0, 4, 8, 15)]  # scales 0, 1 and 3 plain; 6 with projection and rescale
    generations = []
    for i, (sampler, guidance, seed) in enumerate(itertools.product(samplers, guidances, seeds)):
        generations.append(Generation(label=labels[i % len(labels)], seed=seed, **sampler, **guidance))
    return generations


# ---- what quantisation changes ----------------------------------------------


def measure_quantisation(engine: Engine, subject: Subject, original: torch.nn.Module, seeds: Sequence[int]) -> dict[str, float]:
    """The engine's output from the file against the reference's from the checkpoint, at the recommended guidance scale:
    one picture of every class (the first 16) for each seed. Sampled as recommended, or by DDIM in 20 steps where the
    reference has no such sampler.
    """
    inputs = list(forward_inputs(subject, seeds[:1]))
    answers = [engine.predict(*each) for each in inputs]
    forward = max(relative_error(_used(answer, subject), subject.forward(original, *each)) for each, answer in zip(inputs, answers))
    result: dict[str, Any] = {"forward_relative_error": forward}
    if subject.unet.out_dim != subject.unet.channels:
        return result
    data = subject.file.metadata
    generations = [inspection.recommended_generation(data, label, seed) for seed in seeds for label in subject.labels[:16]]
    pictures = [engine.generate(subject.file.network_shape, generation) for generation in generations]
    differences = []
    for generation, picture in zip(generations, pictures):
        expected = subject.pixels(subject.trajectory(generation, original)[-1]).reshape(-1)
        differences.append(np.abs(picture.result()[2].astype(np.float64) - expected).mean())
    return {
        **result,
        "sampler": f"{generations[0].sampler} {generations[0].steps}",
        "pictures": len(differences),
        "mean_pixel_difference": float(np.mean(differences)),
        "largest_mean_of_a_picture": float(np.max(differences)),
    }


# ---- what the checkpoint does not say ----------------------------------------


def check_objective(subject: Subject) -> list[Check]:
    """A trained network that predicts something else than the file says fails; one of which it cannot be seen has no check."""
    said = subject.file.metadata["diffusion.objective"]
    if subject.file.guidance_scales:  # distilled networks jump: what they predict looks like nothing that is known
        return []
    seen = inspection.apparent_objective(subject.unet, subject.file.alphas_cumprod, subject.file.network_shape)
    if seen is None:
        return []
    return [Check(f"objective {said}, as the predictions look", float(seen != said), 0.0, "" if seen == said else f"they look like {seen}")]


def draw_what_is_unsaid(subject: Subject, origin: Origin, path: Path, seed: int) -> dict[str, Any]:
    """Where nothing in the checkpoint tells a setting: a picture that PyTorch draws with those of the file, and the
    list of what no comparison can confirm. Empty where the checkpoint tells everything.
    """
    if not origin.unsaid:
        return {}
    result: dict[str, Any] = {"unsaid": list(origin.unsaid)}
    if origin.can_sample:
        generation = inspection.recommended_generation(subject.file.metadata, subject.labels[0], seed)
        inspection.save_picture(path, subject.pixels(subject.trajectory(generation)[-1]))
        result.update(picture=str(path), picture_of=next(iter(subject.file.class_names), "pictures"))
    return result


def _print_unsaid(unsaid: Mapping[str, Any]) -> None:
    if not unsaid:
        return
    print(
        f"\nNothing in the checkpoint tells: {', '.join(unsaid['unsaid'])}. PyTorch and engine were both told so: if it is wrong, all checks pass and the pictures are junk."
    )
    if "picture" in unsaid:
        print(
            f"Look at {unsaid['picture']}, which PyTorch drew with the settings of the file: it must show {unsaid['picture_of']!r} as the network was trained on."
        )


# ---- command line -----------------------------------------------------------


def _seeds(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pocket_diffusion verify", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "checkpoint", type=Path, nargs="?", metavar="CHECKPOINT", help="what the model file was made from: a checkpoint, or a folder of diffusers"
    )
    parser.add_argument("model", type=Path, metavar="MODEL.gguf")
    parser.add_argument("--network", metavar="FILE.py:FUNCTION", help="in place of a checkpoint, as given to export")
    parser.add_argument("--null", type=int, metavar="LABEL", help="as given to export")
    parser.add_argument("--package-version", metavar="N.N.N", help="as given to export")
    parser.add_argument("--weights", choices=("auto", "ema", "online"), default="auto", help="as given to export")
    parser.add_argument("--key", metavar="NAME", help="as given to export")
    parser.add_argument(
        "--picture",
        type=Path,
        metavar="FILE",
        help="PNG of a picture by the reference, drawn where the checkpoint does not say everything (default: MODEL.reference.png)",
    )
    parser.add_argument("--seeds", type=_seeds, default=(7,), metavar="A,B,...", help="of the noise (default: 7)")
    parser.add_argument("--quick", action="store_true", help="a few combinations of guidance options instead of all")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser.parse_intermixed_args(arguments)  # with the optional checkpoint, options may stand between the two


def verify(arguments: argparse.Namespace) -> tuple[list[Check], dict[str, float], dict[str, Any]]:
    """All checks, the effect of quantisation, and what cannot be checked; the last two empty where the file is of another network."""
    checks: list[Check] = []

    def report(found: Sequence[Check]) -> None:
        checks.extend(found)
        if not arguments.json:
            print(*found, sep="\n", flush=True)

    with Engine() as engine:
        loaded = engine.load(arguments.model).result()  # which refuses malformed files with a reason
        subject = Subject.read(arguments.model)
        origin = (_origin_of_graph if isinstance(subject.file, GraphFile) else _origin_in_reference)(arguments, subject.file)
        report(origin.checks)
        report([*check_weights(subject, origin.weights), *check_schedule(subject, origin.alphas_cumprod, loaded["alphasCumprod"])])
        if not all(check.passed for check in origin.checks):  # of another network: nothing that follows would say more
            return checks, {}, {}
        report(check_forward(engine, subject, arguments.seeds))
        if origin.can_sample:
            report(check_objective(subject))
            report(check_trajectories(engine, subject, all_generations(subject, arguments.seeds, arguments.quick)))
        quantisation = measure_quantisation(engine, subject, origin.unet, arguments.seeds)
    picture = arguments.picture or arguments.model.with_suffix(".reference.png")
    return checks, quantisation, draw_what_is_unsaid(subject, origin, picture, arguments.seeds[0])


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 all checks passed, 1 some did not or could not be made, 2 wrong usage."""
    parsed = parse_arguments(arguments)
    if (parsed.network is None) == (parsed.checkpoint is None):
        print("verify: a checkpoint, or --network, one of the two", file=sys.stderr)
        return 2
    torch.set_num_threads(1)  # the engine works beside it
    try:
        checks, quantisation, unsaid = verify(parsed)
    except (CheckpointError, MissingOptions, EngineError, GraphError, reference.ReferenceUnavailable, OSError) as error:
        print(f"verify: {error}", file=sys.stderr)
        return 1
    passed = all(check.passed for check in checks)
    if parsed.json:
        listed = [{**asdict(check), "passed": check.passed} for check in checks]
        print(json.dumps({"passed": passed, "checks": listed, "against_checkpoint": quantisation, **unsaid}, indent=2))
        return 0 if passed else 1
    if quantisation:
        print(f"\nAgainst the weights as they were: prediction within {quantisation['forward_relative_error']:.2%} of its largest magnitude")
    if "pictures" in quantisation:
        print(
            f"{quantisation['pictures']} pictures by {quantisation['sampler']}: mean pixel difference {quantisation['mean_pixel_difference']:.3f} of 255, "
            f"at most {quantisation['largest_mean_of_a_picture']:.3f} in one picture"
        )
    _print_unsaid(unsaid)
    print(f"{'PASS' if passed else 'FAIL'}: {sum(check.passed for check in checks)} of {len(checks)} checks")
    return 0 if passed else 1
