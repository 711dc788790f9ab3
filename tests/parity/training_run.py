"""Runs of the trainer, and what else needs a process of its own, in such that are made from one that has PyTorch loaded already."""

import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "python"


def _begin(target: Callable[..., None], *arguments: object) -> multiprocessing.Process:
    """The server of the processes is started with the first of them; where it finds the package is nothing for other tests."""
    before = os.environ.get("PYTHONPATH")
    paths = [str(PACKAGE), str(Path(__file__).parent), *filter(None, (before or "").split(os.pathsep))]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    try:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["pocket_diffusion.training.train"])
        process = context.Process(target=target, args=arguments)
        process.start()
        return process
    finally:
        del os.environ["PYTHONPATH"]
        if before is not None:
            os.environ["PYTHONPATH"] = before


def _train(arguments: Sequence[str]) -> None:
    from pocket_diffusion.training import train

    sys.exit(train.main(list(arguments)))


def _write_for_ever(path: str, megabytes: int) -> None:
    import torch
    from pocket_diffusion.training import components

    step = 0
    while True:
        step += 1
        components.write_atomically(Path(path), {"step": step, "values": torch.full((megabytes << 18,), float(step))})


def start(arguments: Sequence[str]) -> multiprocessing.Process:
    return _begin(_train, list(arguments))


def start_writing(path: Path, megabytes: int) -> multiprocessing.Process:
    return _begin(_write_for_ever, str(path), megabytes)


def run(arguments: Sequence[str]) -> int:
    """Exit code."""
    return call(_train, list(arguments))


def call(target: Callable[..., None], *arguments: object) -> int:
    """Exit code. `target`: a function of a module in this folder."""
    process = _begin(target, *arguments)
    process.join()
    return process.exitcode
