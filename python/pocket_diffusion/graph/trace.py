"""From a PyTorch module to PyTorch's own list of operations, by torch.export."""

import contextlib
import copy
import inspect
import itertools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch

from pocket_diffusion.graph.ir import GraphError


@dataclass(frozen=True)
class Traced:
    """The list of operations of a network, for one picture [1, C, H, W], time [1] and label [1]."""

    graph: torch.fx.Graph
    tensors: dict[str, torch.Tensor] = field(repr=False)  # parameters, buffers and constants by the names of their placeholders
    names: dict[str, str]  # and what the network calls them
    inputs: tuple[str, str, str]  # placeholders of x, t and y
    result: str  # the operation that makes the prediction; others change parameters in place


def prepared(network: torch.nn.Module) -> torch.nn.Module:
    """A copy for inference: without dropout (some networks pass their rate on even then), in float32, on the CPU."""
    network = copy.deepcopy(network).cpu().float().eval().requires_grad_(False)
    for module in network.modules():
        if isinstance(module, torch.nn.modules.dropout._DropoutNd):
            module.p = 0.0
    return network


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        yield


def picture_of(output: object) -> torch.Tensor:
    """The prediction in whatever a network returns: [1, P, H, W] itself, the first one of a tuple, or an object's `.sample`."""
    if isinstance(output, torch.Tensor):
        return output
    if hasattr(output, "sample") and isinstance(output.sample, torch.Tensor):
        return output.sample
    if isinstance(output, (tuple, list)) and output and isinstance(output[0], torch.Tensor):
        return output[0]
    raise GraphError(f"the network returns a {type(output).__name__}, not a picture: wrap it in a module that returns one")


def call(network: torch.nn.Module, x: torch.Tensor, t: torch.Tensor, y: torch.Tensor | None) -> torch.Tensor:
    """The prediction of network(x, t, y), or of network(x, t) if it takes no more."""
    try:
        inspect.signature(network.forward).bind(x, t, y)
    except TypeError:
        return picture_of(network(x, t))
    return picture_of(network(x, t, y))


class _Called(torch.nn.Module):
    """What is traced: three arguments in, the prediction out."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor, t: torch.Tensor, y: torch.Tensor | None) -> torch.Tensor:
        return call(self.network, x, t, y)


def trace(network: torch.nn.Module, shape: tuple[int, int, int], time: float, label: int | None) -> Traced:
    """`network` as `prepared` returns it. GraphError if PyTorch itself cannot make a list of operations of it."""
    example = (
        torch.randn(1, *shape, generator=torch.Generator().manual_seed(0)),
        torch.tensor([float(time)]),
        None if label is None else torch.tensor([label]),
    )
    called = _Called(network).eval()
    with _quiet():
        called(*example)  # some keep what they have computed from their parameters, which is to be there before
        try:
            program = torch.export.export(called, example, strict=False).run_decompositions({})
        except Exception as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise GraphError(
                f"torch.export cannot follow this network: {first}\n"
                "  It must do the same whatever the numbers are: no branches on values of tensors, no random numbers, no .item()."
            ) from error
    tensors, names, inputs = {}, {}, []
    for spec in program.graph_signature.input_specs:
        placeholder = spec.arg.name
        if spec.kind == torch.export.graph_signature.InputKind.USER_INPUT:
            inputs.append(placeholder)
            continue
        source = program.state_dict if spec.target in program.state_dict else program.constants
        tensors[placeholder] = source[spec.target]
        names[placeholder] = spec.target.removeprefix("network.")
    kind = torch.export.graph_signature.OutputKind.USER_OUTPUT
    result = next(spec.arg.name for spec in program.graph_signature.output_specs if spec.kind == kind)
    return Traced(program.graph, tensors, names, tuple(inputs), result)


def source_of(node: torch.fx.Node) -> tuple[str, str]:
    """Where in the user's own files an operation comes from: the module's path, and file, line and code for people."""
    stack = [path for path, _ in (node.meta.get("nn_module_stack") or {}).values()]
    module = stack[-1].removeprefix("network").removeprefix(".") if stack else ""
    frames = []
    lines = (node.meta.get("stack_trace") or "").splitlines()
    for place, code in itertools.pairwise(lines):
        if place.strip().startswith("File "):
            frames.append((place.strip(), code.strip()))
    frames = [frame for frame in frames if "/torch/" not in frame[0] and "graph/trace.py" not in frame[0]] or frames
    return module, f"{frames[-1][0]}: {frames[-1][1]}" if frames else ""
