"""Networks as lists of operations: from PyTorch modules, to model files of format 2 (docs/graph.md)."""

from pocket_diffusion.graph.exporting import Report, export
from pocket_diffusion.graph.ir import GraphError
from pocket_diffusion.graph.process import Process

__all__ = ["GraphError", "Process", "Report", "export"]
