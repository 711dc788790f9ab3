"""Networks as lists of operations: from PyTorch modules, to model files of format 2 (docs/graph.md)."""
