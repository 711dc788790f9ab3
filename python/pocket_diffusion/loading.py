"""What is in a checkpoint's file, or in a folder of them, as plain values and tensors. Nothing in it is run.

Training loops put more than tensors beside the weights. What can do nothing by being unpickled (numbers of numpy,
`argparse.Namespace`, paths, times, dictionaries with attributes) is read; every other object is refused by its name.
"""

import argparse
import collections
import datetime
import decimal
import fractions
import json
import pathlib
import pickle
import re
import shlex
import types
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch


class CheckpointError(Exception):
    """The checkpoint cannot be used. One line that names what does not fit."""


# ---- objects that may stand beside the weights -------------------------------

# Dictionaries whose entries are attributes as well. They are read as plain ones, so that none of their code is run.
_DICTIONARIES = (
    "addict.addict.Dict",
    "easydict.EasyDict",
    "lightning.fabric.utilities.data.AttributeDict",
    "lightning.pytorch.utilities.parsing.AttributeDict",
    "lightning_fabric.utilities.data.AttributeDict",
    "munch.Munch",
    "pytorch_lightning.utilities.parsing.AttributeDict",
    "yacs.config.CfgNode",
)
_PATHS = {"PosixPath": pathlib.PurePosixPath, "WindowsPath": pathlib.PureWindowsPath}


def _empty_dictionary(*_: object) -> dict[Any, Any]:
    """In place of `collections.defaultdict`, whose factory is of no use here."""
    return {}


def _harmless() -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """For `torch.serialization.safe_globals`: what to make of which names."""
    multiarray = np._core.multiarray  # type: ignore[attr-defined]
    numbers = [getattr(np.dtypes, name) for name in np.dtypes.__all__]
    aliases: list[tuple[Callable[..., Any], str]] = [(collections.OrderedDict, name) for name in _DICTIONARIES]
    for module in ("numpy._core.multiarray", "numpy.core.multiarray"):  # of numpy 2 and 1
        aliases += [(multiarray.scalar, f"{module}.scalar"), (multiarray._reconstruct, f"{module}._reconstruct")]
    for module in ("pathlib", "pathlib._local"):
        aliases += [(kind, f"{module}.{name}") for name, kind in _PATHS.items()]
    for kind in (set, frozenset, complex, bytearray, slice, list, dict, int, float, str, bool):
        aliases += [(kind, f"{module}.{kind.__name__}") for module in ("builtins", "__builtin__")]
    return [
        argparse.Namespace,
        types.SimpleNamespace,
        np.ndarray,
        np.dtype,
        *numbers,
        *_PATHS.values(),
        datetime.datetime,
        datetime.date,
        datetime.time,
        datetime.timedelta,
        datetime.timezone,
        decimal.Decimal,
        fractions.Fraction,
        uuid.UUID,
        torch.torch_version.TorchVersion,
        (_empty_dictionary, "collections.defaultdict"),
        (range, "builtins.range"),
        (range, "__builtin__.xrange"),
        *aliases,
    ]


# ---- files -------------------------------------------------------------------


def load(path: Path) -> Any:
    """Whatever is in the file: mappings, sequences, tensors and plain values. Of a folder that `accelerate` or
    `diffusers` saved, a mapping from the names of its files of weights to what they hold.
    """
    if path.is_dir():
        return _load_folder(path)
    if path.suffix == ".safetensors" or _looks_like_safetensors(path):
        try:
            return safetensors.torch.load_file(path)
        except (safetensors.SafetensorError, ValueError) as error:
            raise CheckpointError(f"{path}: not a safetensors file: {one_line(error)}") from error
    try:
        with torch.serialization.safe_globals(_harmless()), warnings.catch_warnings(action="ignore"):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path}: {_explain(path, error)}") from error
    except (RuntimeError, EOFError, ValueError, KeyError, AttributeError, TypeError, IndexError, AssertionError) as error:
        raise CheckpointError(f"{path}: not a PyTorch file: {one_line(error)}") from error


def _looks_like_safetensors(path: Path) -> bool:
    """The length of a header of JSON, in eight bytes, and its first character."""
    with path.open("rb") as file:
        start = file.read(9)
    return len(start) == 9 and start[8:] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size


_WEIGHTS = re.compile(r"((diffusion_)?pytorch_model|model)(_\d+)?\.(safetensors|bin)")
_SHARDS = re.compile(r"((diffusion_)?pytorch_model|model)\.(safetensors|bin)\.index\.json")


def holds_weights(folder: Path) -> bool:
    """Whether a folder is one that `accelerate` saved: weights, and no description of a network."""
    names = [path.name for path in folder.iterdir()]
    return not {"config.json", "model_index.json"} & set(names) and any(_WEIGHTS.fullmatch(name) or _SHARDS.fullmatch(name) for name in names)


def _load_folder(folder: Path) -> Any:
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    found = {Path(name).stem: load(folder / name) for name in names if _WEIGHTS.fullmatch(name)}
    for name in filter(_SHARDS.fullmatch, names):
        found[name.split(".")[0]] = _load_shards(folder, name)
    if not found:
        others = [name for name in names if Path(name).suffix in (".pt", ".pth", ".ckpt", ".safetensors", ".bin")]
        listed = f"give one of its files: {', '.join(others[:8])}" if others else "and no weights are in it"
        raise CheckpointError(f"{folder}: a folder without model.safetensors or pytorch_model.bin; {listed}")
    return found


def _load_shards(folder: Path, index: str) -> dict[str, Any]:
    """The tensors of a model that was saved in several files."""
    try:
        files = sorted({str(name) for name in json.loads((folder / index).read_text(encoding="utf-8"))["weight_map"].values()})
    except (ValueError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{folder / index}: no list of files of weights") from error
    tensors: dict[str, Any] = {}
    for name in files:
        if Path(name).name != name:
            raise CheckpointError(f"{folder / index}: names {name!r}, which is not in the folder")
        tensors.update(load(folder / name))
    return tensors


# ---- what could not be read ----------------------------------------------------

_MOST_NAMED = 4
_PACKAGES_EVERYWHERE = {"torch", "collections", "builtins", "numpy"}
_ACTIVE_IN_QUOTES = set('"$`!\\')


def _resaving(path: Path) -> str:
    """A command that saves what is tensors and plain values under the same names; of a module its state dict."""
    code = (
        "import torch; "
        "plain = lambda x: plain(x.state_dict()) if hasattr(x, 'state_dict') "
        "else {k: plain(v) for k, v in x.items()} if isinstance(x, dict) "
        "else [plain(v) for v in x] if isinstance(x, (list, tuple)) "
        "else x if isinstance(x, (torch.Tensor, str, int, float)) else None; "
        f"torch.save(plain(torch.load({str(path)!r}, 'cpu', weights_only=False)), {str(path.with_name(f'{path.stem}.weights.pt'))!r})"
    )
    quoted = shlex.quote(code) if set(code) & _ACTIVE_IN_QUOTES else f'"{code}"'
    return f"python -c {quoted}"


def _explain(path: Path, error: pickle.UnpicklingError) -> str:
    """Which objects are in the way, and what to do about them."""
    names = _foreign_objects(path, error)
    if not names:
        reason = re.search(r"WeightsUnpickler error:\s*(.+)", str(error))
        return f"not a PyTorch file, or one with more than tensors and plain values, and not unpickled: {one_line(reason[1] if reason else error)}"
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return (
        f"holds {', '.join(names[:_MOST_NAMED])}{more}, which is not unpickled, since that would run code of the file's. "
        f"Where you made the file, or trust who did, this saves its weights alone: {_resaving(path)}"
    )


def _foreign_objects(path: Path, error: pickle.UnpicklingError) -> list[str]:
    """Names of the classes and functions that are not read; those of PyTorch and Python itself last."""
    try:
        with torch.serialization.safe_globals(_harmless()):
            names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except (ValueError, RuntimeError, pickle.UnpicklingError):  # a file of before PyTorch 1.6, or a damaged one
        names = []
    names = names or re.findall(r"GLOBAL ([\w.]+\w)", str(error))
    known = sorted(name for name in set(names) if name.isprintable())
    roots = [name.partition(".")[0] for name in known]
    later = [roots[:at].count(root) > 0 for at, root in enumerate(roots)]  # one of each package first, PyTorch's own last
    return [name for _, _, name in sorted((root in _PACKAGES_EVERYWHERE, repeated, name) for name, root, repeated in zip(known, roots, later))]


_TERMINAL_CODE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_MOST_CHARACTERS = 200


def one_line(error: BaseException | str) -> str:
    """The first line of a library's message, without codes for terminals, cut at a word if it is long."""
    lines = _TERMINAL_CODE.sub("", str(error)).strip().splitlines() or [type(error).__name__]
    line = "".join(character if character.isprintable() else " " for character in lines[0])
    if len(line) <= _MOST_CHARACTERS:
        return line
    return line[:_MOST_CHARACTERS].rpartition(" ")[0] + " ..."
