"""Pocket Diffusion for Python: models out of checkpoints, their training, and how good they are.

`python -m pocket_diffusion --help` lists the commands.
"""
