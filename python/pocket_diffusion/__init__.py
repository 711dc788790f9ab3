"""Pocket Diffusion for Python: draw with a model, and make models out of checkpoints.

Drawing needs NumPy and wasmtime alone; what makes, trains and judges models needs PyTorch (the extras `export` and
`train`). `python -m pocket_diffusion --help` lists the commands.
"""

from pocket_diffusion.errors import PocketDiffusionError
from pocket_diffusion.model import CHOICES, Model, ModelInfo, Picture, load

__all__ = ["CHOICES", "Model", "ModelInfo", "Picture", "PocketDiffusionError", "load"]
__version__ = "0.1.0"
