"""PyTorch's operations, each by its name in lower.OPERATIONS: importing this registers them."""

from pocket_diffusion.graph.operations import elementwise, layers, maps, reductions, shapes

__all__ = ["elementwise", "layers", "maps", "reductions", "shapes"]
