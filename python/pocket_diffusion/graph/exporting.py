"""Any network as a model file: traced, written, and compared before anybody relies on it."""

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from pocket_diffusion.calibration import SizeError, encode_calibrated, encode_within, one_thread
from pocket_diffusion.errors import PocketDiffusionError
from pocket_diffusion.graph import operations  # noqa: F401 - it registers them
from pocket_diffusion.graph.cost import milliseconds
from pocket_diffusion.graph.fuse import fused
from pocket_diffusion.graph.interpreter import Interpreter
from pocket_diffusion.graph.ir import GraphError, Value, in_order, multiplications
from pocket_diffusion.graph.lower import Inputs, Lowering
from pocket_diffusion.graph.process import Process
from pocket_diffusion.graph.trace import call, prepared, trace
from pocket_diffusion.graph.write import decoded, encode_graph, write_graph
from pocket_diffusion.model import load
from pocket_diffusion.model_file import Encoded, General, Recommendation, StoredTensor
from pocket_diffusion.quantisation import TYPES, needs_inputs

TOLERANCE = 1e-4  # of a prediction, of its largest magnitude
NO_ARGUMENT = "none"  # null: the network is called with None in place of a label
_FAST = {"linear", "conv", "conv_transpose", "attention", "linear_attention"}  # what takes the time and is fast


@dataclass(frozen=True)
class Network:
    """A network as a list of operations, and as it was."""

    output: Value
    module: torch.nn.Module = field(repr=False)
    shape: tuple[int, int, int]
    process: Process
    class_names: tuple[str, ...]
    labels: tuple[int | None, ...]  # what the network is called with, of each row of the class tables
    has_null: bool
    traced: int  # operations of PyTorch
    error: float  # the largest of this list from the module, of the largest magnitude

    @property
    def operations(self) -> list[Value]:
        return in_order(self.output)


@dataclass(frozen=True)
class Rounding:
    """How weights are stored."""

    type: str = "q8_0"
    bytes: int | None = None  # most that the file may have, in place of one type
    seed: int = 0  # of the pictures to round by


@dataclass(frozen=True)
class Report:
    """What an export did."""

    network: Network
    stored: list[StoredTensor]
    rounding: float  # how far the file's weights are from the module's, of the largest magnitude of a prediction
    engine: float | None  # the engine from PyTorch with the file's weights, likewise; None: not compared
    engine_says: str  # why not

    def __str__(self) -> str:
        return "\n".join(_report_lines(self))


def labels_of(classes: int, null: int | str | None) -> tuple[int | None, ...]:
    """Of the classes, in order, and of what stands for none."""
    if null is None or not classes:
        return tuple(range(classes))
    if null == NO_ARGUMENT:
        return (*range(classes), None)
    return (*[label for label in range(classes + 1) if label != null][:classes], null)


def import_network(
    network: torch.nn.Module,
    shape: Sequence[int],
    classes: Sequence[str],
    null: int | str | None,
    process: Process,
) -> Network:
    """`network` as a list of operations that computes the same. See `export` for the arguments."""
    shape = tuple(int(each) for each in shape)
    if len(shape) != 3 or min(shape) < 1:
        raise GraphError(f"shape {shape}: expected [channels, height, width] of x")
    _check_names(classes)
    if not (null is None or null == NO_ARGUMENT or (isinstance(null, int) and null >= 0)):
        raise GraphError(f"null {null!r}: a label, {NO_ARGUMENT!r} or None")
    module = prepared(network)
    labels = labels_of(len(classes), null)
    has_null = len(labels) > len(classes)
    rows = tuple(0 if label is None else label for label in labels)
    traced = trace(module, shape, float(process.times[-1]), labels[0] if labels else None)
    inputs = Inputs(shape, process.times, rows)
    ways = ("embedding", "vector") if labels and labels[-1] is None else ("",)
    for way in ways:
        output = fused(Lowering(traced, inputs, way).result)
        count = sum(node.op == "call_function" for node in traced.graph.nodes)
        result = Network(output, module, shape, process, tuple(classes), labels, has_null, count, 0.0)
        if classes and all(value.name != "class" for value in result.operations):
            raise GraphError(f"{len(classes)} classes, but the network does nothing with the label y: classes=[]")
        error, where = _largest_error(result, Interpreter(output))
        if error <= TOLERANCE:
            return Network(**{**vars(result), "error": error})
    reason = f"the list of operations differs from the network by {error:.1e} of the largest magnitude, {where}"
    if len(ways) == 2:
        reason += "\n  Without a label it does more than to leave a summand out: wrap it so that no class is a label, as the documentation shows."
    raise GraphError(reason)


def _check_names(classes: Sequence[str]) -> None:
    for name in classes:
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise GraphError(f"class name {name!r}: empty, or holds control characters")
    if len(set(classes)) != len(classes):
        raise GraphError(f"class name {next(name for name in classes if list(classes).count(name) > 1)!r} is used twice")


# ---- comparisons --------------------------------------------------------------


def _examples(network: Network) -> Iterator[tuple[torch.Tensor, int, int]]:
    """x, index of the time and row of the class: the whole range of times, classes at both ends, and none."""
    last = network.process.timesteps - 1
    rows = sorted({0, len(network.class_names) - 1, len(network.labels) - 1} & set(range(len(network.labels)))) or [0]
    for i, t in enumerate(dict.fromkeys((0, last // 2, last))):
        for row in rows:
            yield torch.randn(network.shape, generator=torch.Generator().manual_seed(17 * i + row)), t, row


@torch.no_grad()
def predict(network: Network, x: torch.Tensor, t: int, row: int) -> torch.Tensor:
    """What the module itself says, [P, H, W]."""
    label = network.labels[row] if network.labels else None
    time = torch.tensor([float(network.process.times[t])])
    return call(network.module, x[None], time, None if label is None else torch.tensor([label]))[0].float()


def _difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    error = float((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1e-30))
    return error if math.isfinite(error) else math.inf


def _largest_error(network: Network, run: Interpreter) -> tuple[float, str]:
    worst = (0.0, "")
    for x, t, row in _examples(network):
        expected = predict(network, x, t, row)
        if not torch.isfinite(expected).all():
            raise GraphError(f"the network's own prediction at t = {t} is not finite")
        error = _difference(run(x, t, float(network.process.times[t]), row), expected)
        if error >= worst[0]:
            worst = (error, f"at t = {t}, label {network.labels[row] if network.labels else None}")
    return worst


def _compare_engine(network: Network, path: Path, run: Interpreter) -> float:
    """The engine, which reads the file, from PyTorch with the file's weights."""
    worst = 0.0
    channels = network.shape[0]
    with load(path) as model:
        for x, t, row in _examples(network):
            label = None if not network.labels or (network.has_null and row == len(network.labels) - 1) else row
            ours = torch.from_numpy(model.predict(x.numpy(), t, label)[:channels].copy())
            worst = max(worst, _difference(ours, run(x, t, float(network.process.times[t]), row)[:channels]))
    return worst


# ---- the whole -------------------------------------------------------------------


def export(
    network: torch.nn.Module,
    path: str | Path,
    *,
    shape: Sequence[int],
    classes: Sequence[str] = (),
    null: int | str | None = None,
    process: Process,
    type: str = "q8_0",
    bytes: int | None = None,
    pixel_unshuffle: int = 1,
    name: str = "",
    description: str = "",
    license: str = "",
    author: str = "",
    source_url: str = "",
    sampler: str = "ddim",
    steps: int | None = None,
    guidance_scale: float | None = None,
) -> Report:
    """Writes a PyTorch network as a model file, and compares what it says with PyTorch before it returns.

    network: called as network(x, t, y) with x float32 [1, C, H, W], t float32 [1] and y int64 [1]; a network of (x, t)
        will do where there are no classes. It returns the prediction, [1, P, H, W] with P >= C, of which the first C
        channels are used.
    shape: (C, H, W) of x.
    classes: names in the order of labels; [] for a network without classes.
    null: the label that means "no class"; "none" if the network is then called with y = None; None if there is no such
        thing, and so no guidance.
    process: see `Process.table`.
    type: of the weights, f32, f16, q8_0 or one of 5 and 4 bits.
    bytes: most that the file may have: a type for each matrix, chosen by measuring what it does to the prediction.
    Raises GraphError, which says what cannot be expressed, where it stands and what to do. `path` is replaced as a whole
    or left as it was.
    """
    path = Path(path)
    guided = bool(classes) and null is not None
    recommended = Recommendation(sampler, steps or min(20, process.timesteps), (3.0 if guided else 1.0) if guidance_scale is None else guidance_scale)
    general = General(name or path.stem, description, license, author, source_url)
    try:
        return export_recommended(network, path, shape, classes, null, process, Rounding(type, bytes), pixel_unshuffle, general, recommended)
    except SizeError as error:
        raise GraphError(str(error)) from error


def export_recommended(
    network: torch.nn.Module,
    path: Path,
    shape: Sequence[int],
    classes: Sequence[str],
    null: int | str | None,
    process: Process,
    rounding: Rounding,
    pixel_unshuffle: int,
    general: General,
    recommended: Recommendation,
) -> Report:
    """`export` with all that a file may recommend; SizeError where no file is as small as asked for."""
    if rounding.type not in TYPES:
        raise GraphError(f"type {rounding.type!r}: one of {', '.join(TYPES)}")
    r = pixel_unshuffle
    if r < 1 or shape[0] % r**2 or shape[0] // r**2 not in (1, 3, 4):
        raise GraphError(f"{shape[0]} channels, pixel unshuffle {r}: pictures have 1, 3 or 4 channels")
    if not 1 <= recommended.steps <= process.timesteps:
        raise GraphError(f"steps {recommended.steps}: 1 to {process.timesteps}")
    if recommended.guidance_scale != 1 and not (classes and null is not None):
        raise GraphError(f"guidance scale {recommended.guidance_scale:g}: this network has nothing that stands for no class (null)")
    imported = import_network(network, shape, classes, null, process)

    def write(path: Path, encoded: Mapping[str, Encoded]) -> list[StoredTensor]:
        return write_graph(path, imported.output, encoded, imported.shape, r, imported.class_names, process, general, recommended)

    encoded = _encode(imported, rounding, write, r, recommended.guidance_scale)
    run = Interpreter(imported.output, weights=decoded(encoded, imported.output))
    error, _ = _largest_error(imported, run)
    unchecked = path.with_name(f".{path.name}.{os.getpid()}.unchecked")
    try:
        stored = write(unchecked, encoded)
        engine, says = _checked_by_engine(imported, unchecked, run)
        unchecked.replace(path)
    finally:
        unchecked.unlink(missing_ok=True)
    return Report(imported, stored, error, engine, says)


def _encode(
    network: Network, rounding: Rounding, write: Callable[[Path, Mapping[str, Encoded]], object], pixel_unshuffle: int, guidance_scale: float
) -> dict[str, Encoded]:
    if rounding.bytes is None and not needs_inputs(TYPES[rounding.type]):
        return encode_graph(network.output, rounding.type)
    from pocket_diffusion.graph.calibrating import GraphCalibration

    with one_thread():
        calibration = GraphCalibration(network, write, pixel_unshuffle, guidance_scale, rounding.seed)
        if rounding.bytes is None:
            return encode_calibrated(calibration, rounding.type)
        return encode_within(calibration, write, rounding.bytes)


def _checked_by_engine(network: Network, path: Path, run: Interpreter) -> tuple[float | None, str]:
    try:
        error = _compare_engine(network, path, run)
    except PocketDiffusionError as failure:
        if failure.code == "WASM" or "format_version" in failure.message:
            return None, f"this build of the engine does not read format 2 ({failure})"
        raise GraphError(f"the engine refuses the file: {failure}. No file was written") from failure
    if not error <= TOLERANCE:
        raise GraphError(f"the engine differs from PyTorch by {error:.1e} of the largest magnitude: please report this network. No file was written")
    return error, ""


def _report_lines(report: Report) -> Iterator[str]:
    network = report.network
    values = network.operations
    work = {value.name: 0 for value in values}
    counts = dict.fromkeys(work, 0)
    for value in values:
        work[value.name] += multiplications(value)
        counts[value.name] += 1
    total, times = max(sum(work.values()), 1), milliseconds(network.output)
    yield f"network    {network.traced} operations of PyTorch, {len(values)} here, {total / 1e6:,.1f} million multiplications"
    yield f"{'operation':<20} {'number':>6} {'of the work':>12} {'of the time':>12}"
    for name in sorted(work, key=lambda each: (-work[each], each)):
        yield f"{name:<20} {counts[name]:>6} {work[name] / total:>12.2%} {times.get(name, 0) / sum(times.values()):>12.0%}"
    yield f"expected   about {float(f'{sum(times.values()):.2g}'):g} ms for an evaluation in a browser, on one core of a 2 GHz server; a guided step takes two"
    fast = sum(work[name] for name in _FAST & set(work))
    yield f"fast       {fast / total:.2%} of the work is in products and attention"
    yield f"list       within {network.error:.1e} of PyTorch, of the largest magnitude"
    yield f"rounding   changes predictions by {report.rounding:.1e}"
    yield f"engine     within {report.engine:.1e} of PyTorch" if report.engine is not None else f"engine     NOT compared: {report.engine_says}"
