"""Runs of the trainer in processes of their own, made from one that has PyTorch loaded already."""

import multiprocessing
import os
import sys
from collections.abc import Sequence
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "python"


def _context() -> "multiprocessing.context.ForkServerContext":
    paths = [str(PACKAGE), str(Path(__file__).parent), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pocket_diffusion.training.train"])
    return context


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
    process = _context().Process(target=_train, args=(list(arguments),))
    process.start()
    return process


def start_writing(path: Path, megabytes: int) -> multiprocessing.Process:
    process = _context().Process(target=_write_for_ever, args=(str(path), megabytes))
    process.start()
    return process


def run(arguments: Sequence[str]) -> int:
    """Exit code."""
    process = start(arguments)
    process.join()
    return process.exitcode
