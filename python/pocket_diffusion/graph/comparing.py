"""A model file of format 2 beside the network that it was made from."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pocket_diffusion import earlier
from pocket_diffusion.checkpoint import Options, describe, read_checkpoint
from pocket_diffusion.graph.command import of_arguments
from pocket_diffusion.graph.exporting import Network, import_network
from pocket_diffusion.graph.ir import GraphError, Value, in_order
from pocket_diffusion.graph.process import Process
from pocket_diffusion.graph.read import GraphFile
from pocket_diffusion.loading import holds_weights


def traced_again(arguments: argparse.Namespace, file: GraphFile) -> tuple[Network, Sequence[str]]:
    """The network that --network, or a checkpoint, stands for, as a list of operations, and what nothing confirms of it.
    Raises GraphError where it cannot be what the file was made from.
    """
    given, unsaid = _given(arguments, file)
    process, shape = given["process"], tuple(given["shape"])
    classes, null = tuple(given.get("classes", file.class_names)), given.get("null")
    _check_same(arguments.model, "shape", file.network_shape, shape)
    _check_same(
        arguments.model, "pixel_unshuffle", file.metadata["image.pixel_unshuffle"], given.get("pixel_unshuffle", file.metadata["image.pixel_unshuffle"])
    )
    _check_same(arguments.model, "number of classes", len(file.class_names), len(classes))
    if file.class_names and file.has_null != (null is not None):
        there = "something in it stands" if file.has_null else "nothing in it stands"
        raise GraphError(f"{arguments.model}: {there} for no class, the network's null is {null}: give --null as to export")
    _check_process(arguments.model, file, process)
    if arguments.network:
        unsaid = (f"objective {process.objective}", f"schedule {process.schedule}, {process.timesteps} timesteps")
    return import_network(given["network"], shape, classes, null, process), unsaid


def _given(arguments: argparse.Namespace, file: GraphFile) -> tuple[dict[str, Any], Sequence[str]]:
    """Arguments of `pocket_diffusion.export`, and what of them nothing confirms."""
    if arguments.network or (arguments.checkpoint.is_dir() and not holds_weights(arguments.checkpoint)):
        return of_arguments(arguments, None if arguments.network else file.class_names or None), ()
    checkpoint = read_checkpoint(arguments.checkpoint, arguments.weights, arguments.key, earlier=True)
    if not checkpoint.before_2:
        raise GraphError(
            f"{arguments.model} holds a list of operations, and {arguments.checkpoint} a network of denoising-diffusion-pytorch 2.0.0 or later, which is written otherwise"
        )
    heads = next((value.integers[0] for value in in_order(file.output) if value.name == "attention"), None)
    data = file.metadata
    options = Options(
        (data["image.width"], data["image.height"]), data["image.pixel_unshuffle"], file.class_names, data["diffusion.objective"],
        data["diffusion.beta_schedule"], data["diffusion.timesteps"], attn_heads=heads, package_version=arguments.package_version,
    )  # fmt: skip
    description = describe(checkpoint, options)
    return earlier.export_arguments(checkpoint, description), (*description.unsaid, f"{earlier.GROUPS} groups of norms")


def _check_process(model: Path, file: GraphFile, process: Process) -> None:
    _check_same(model, "objective", file.metadata["diffusion.objective"], process.objective)
    _check_same(model, "timesteps", file.metadata["diffusion.timesteps"], process.timesteps)
    if not np.array_equal(file.times, process.times):
        t = int(np.argmax(file.times != process.times))
        raise GraphError(f"{model}: the network is fed {file.times[t]:g} at t = {t} there, {process.times[t]:g} here (times)")


def _check_same(model: Path, what: str, there: object, here: object) -> None:
    if there != here:
        raise GraphError(f"{model}: {what}: {there} in the file, {here} of the network given")


def same_operations(one: Value, other: Value) -> bool:
    """The same operations of the same operands; constants among them may differ by rounding, tensors by their numbers."""

    def listed(output: Value) -> tuple[list, np.ndarray]:
        values = in_order(output)
        number = {id(value): i for i, value in enumerate(values)}
        operations = [
            (
                value.name,
                [None if each is None else number[id(each)] for each in value.inputs],
                [each and (each.name, tuple(each.rows.shape)) for each in value.tensors],
                tuple(value.integers),
            )
            for value in values
        ]
        return operations, np.array([real for value in values for real in value.reals], dtype=np.float64)

    (operations, reals), (others, other_reals) = listed(one), listed(other)
    return operations == others and reals.shape == other_reals.shape and np.allclose(reals, other_reals, rtol=1e-5, atol=1e-12)
