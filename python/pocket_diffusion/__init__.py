"""Pocket Diffusion for Python: draw with a model, and make models out of checkpoints.

Drawing needs NumPy and wasmtime alone; what makes, trains and judges models needs PyTorch (the extras `export` and
`train`). `python -m pocket_diffusion --help` lists the commands.
"""

from typing import TYPE_CHECKING

from pocket_diffusion.errors import PocketDiffusionError
from pocket_diffusion.model import CHOICES, Model, ModelInfo, Operation, Picture, load

if TYPE_CHECKING:
    from pocket_diffusion.graph import GraphError, Process, export

__all__ = ["CHOICES", "GraphError", "Model", "ModelInfo", "Operation", "Picture", "PocketDiffusionError", "Process", "export", "load"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """`export`, and what it takes, is imported when it is asked for: it needs PyTorch."""
    if name not in ("GraphError", "Process", "export"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pocket_diffusion import graph

    return getattr(graph, name)
