"""Where in a checkpoint networks are, which of them is meant, and what the file says of their diffusion and training.

A checkpoint is looked at as one list of tensors under paths: the keys of its mappings, numbers in its lists and the parts of
dotted names, in a row. A network is known by its first convolution; what stands before it is its place. Whole parts decide.
"""

import argparse
import re
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pocket_diffusion.loading import CheckpointError

Parts = tuple[str, ...]

ANCHOR = ("init_conv", "weight")
BUFFERS = ("betas", "alphas_cumprod", "loss_weight")  # of GaussianDiffusion, that tell how a network was trained
MAX_DEPTH = 6  # of mappings and lists: trainers nest two deep, frameworks a few more


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Of GaussianDiffusion and of moving averages: no weights, where they and a network share one level.
_NO_WEIGHTS = frozenset(
    (
        *(*BUFFERS, "p2_loss_weight"),
        *("alphas_cumprod_prev", "sqrt_alphas_cumprod", "sqrt_one_minus_alphas_cumprod", "log_one_minus_alphas_cumprod"),
        *("sqrt_recip_alphas_cumprod", "sqrt_recipm1_alphas_cumprod", "posterior_variance", "posterior_log_variance_clipped"),
        *("posterior_mean_coef1", "posterior_mean_coef2"),
        *("initted", "step", "n_averaged"),
    )
)

# Parts that wrappers of modules add anywhere in a name: DataParallel and DDP, torch.compile, FSDP, activation checkpointing.
WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module"})
# Parts that say that a network follows, not which.
_HOLDERS = _words(
    "model models net network networks unet diffusion diffusion_model denoiser denoise_fn denoise_model generator backbone "
    "state_dict model_state_dict model_state net_state_dict network_state_dict unet_state_dict weights params parameters "
    "checkpoint pytorch_model diffusion_pytorch_model shadow_params "
    "trainer training train_state trainer_state training_state resume_state state"
)
# Parts that say, innermost, that it is the network in training, beside which its average stands.
_ONLINE = _words("online online_model online_network online_state_dict")
_AVERAGES = _words("ema emas averaged average avg swa polyak shadow")
_BESIDE_AVERAGES = frozenset(word for part in _HOLDERS for word in part.split("_")) | {"g", "netg", "decay", "ckpt"}
_DECAY = re.compile(r"0\.9\d+")
_PART = re.compile(r"(?:[^.]*_)?0\.9\d+(?=\.|$)|[^.]+")  # the dot of a decay is none between parts


def _is_average(part: str) -> bool:
    """Whether a part, as a whole, names a moving average: `ema`, `ema_model`, `model_ema_state_dict`, `ema_0.9999`. Each of its
    words counts: `semantic` is none, nor is `ema_teacher`.
    """
    words = re.split("[_-]", part.lower())
    return _DECAY.fullmatch(part) is not None or (
        any(word in _AVERAGES for word in words)
        and all(word in _AVERAGES or word in _BESIDE_AVERAGES or word.isdigit() or _DECAY.fullmatch(word) for word in words)
    )


def _split(name: str) -> Parts:
    return tuple(_PART.findall(name))


def _without_wrappers(parts: Iterable[str]) -> Parts:
    return tuple(part for part in parts if part not in WRAPPERS)


def _dotted(parts: Parts) -> str:
    return ".".join(parts) or "bare names"


# ---- networks ----------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A network in a checkpoint."""

    parts: Parts  # before its own names
    weights: Mapping[str, torch.Tensor]  # by its own names, as in Unet.state_dict()

    def __str__(self) -> str:
        return _dotted(self.parts)

    @property
    def kind(self) -> str:
        """`ema`: a moving average. `copy`: the network in training, beside its average. `plain`: neither. The innermost
        part that tells decides.
        """
        for part in reversed(self.parts):
            if part.lower() in _ONLINE:
                return "copy"
            if _is_average(part):
                return "ema"
        return "plain"

    @property
    def identity(self) -> Parts:
        """What tells it from other networks: the parts that are none of wrappers, holders, averages and what they average."""
        told = _without_wrappers(self.parts)
        return tuple(part for part in told if part.lower() not in _HOLDERS | _ONLINE and not _is_average(part))

    def goes_by(self, wanted: Parts) -> bool:
        """Whether `wanted` are parts of its place, in a row; or, after what wrappers add is left out."""
        places = (self.parts, _without_wrappers(self.parts))
        return any(parts[at : at + len(wanted)] == wanted for parts in places for at in range(len(parts)))


def _children(node: Any) -> Iterator[tuple[Parts, Any]]:
    """Names, in parts, and values of what is in a mapping or a list."""
    if isinstance(node, Mapping):
        yield from ((_split(key), value) for key, value in node.items() if isinstance(key, str))
    elif isinstance(node, (list, tuple)):
        yield from (((str(index),), value) for index, value in enumerate(node) if isinstance(value, (Mapping, list, tuple)))


@dataclass(frozen=True)
class Leaf:
    """A tensor, and the path of the mapping that it lies in."""

    tensor: torch.Tensor
    mapping: Parts


def flatten(tree: Any) -> dict[Parts, Leaf]:
    """All tensors of a checkpoint by their paths."""
    found: dict[Parts, Leaf] = {}

    def visit(node: Any, path: Parts, depth: int) -> None:
        for name, value in _children(node):
            if isinstance(value, (torch.Tensor, np.ndarray)):
                tensor = value if isinstance(value, torch.Tensor) else _from_numpy(value)
                if tensor is not None:
                    found[(*path, *name)] = Leaf(tensor, path)
            elif depth < MAX_DEPTH:
                visit(value, (*path, *name), depth + 1)

    visit(tree, (), 0)
    return found


def _from_numpy(array: np.ndarray) -> torch.Tensor | None:
    return torch.from_numpy(np.array(array)) if array.dtype.kind == "f" else None


def find_places(tree: Any, leaves: Mapping[Parts, Leaf]) -> list[Place]:
    """Every network in a checkpoint, in the file's order."""
    stems = [(parts[: parts.index(ANCHOR[0])], leaf.mapping) for parts, leaf in leaves.items() if _without_wrappers(parts)[-2:] == ANCHOR]
    places = [Place(stem, _weights_at(stem, mapping, [other for other, _ in stems], leaves)) for stem, mapping in stems]
    return places + _lists_of_averages(tree, places)


def _weights_at(stem: Parts, mapping: Parts, stems: Sequence[Parts], leaves: Mapping[Parts, Leaf]) -> dict[str, torch.Tensor]:
    """The tensors below a place, of the same mapping; but not those of other networks below it, nor of GaussianDiffusion."""
    deeper = [other for other in stems if len(other) > len(stem) and other[: len(stem)] == stem]
    weights: dict[str, torch.Tensor] = {}
    for parts, leaf in leaves.items():
        if leaf.mapping != mapping or parts[: len(stem)] != stem or any(parts[: len(other)] == other for other in deeper):
            continue
        own = _without_wrappers(parts[len(stem) :])
        if len(own) == 1 and own[0] in _NO_WEIGHTS:
            continue
        name = ".".join(own)
        if name in weights and not torch.equal(weights[name], leaf.tensor):
            raise CheckpointError(f"{_dotted(parts)!r} does not fit: there are two tensors {name!r} of one network")
        weights[name] = leaf.tensor
    return weights


def _lists_of_averages(tree: Any, places: Sequence[Place]) -> list[Place]:
    """Averages that were saved without names, as torch-ema and diffusers do: a list `shadow_params` in the order of the
    network's parameters.
    """
    found = []

    def visit(node: Any, path: Parts, depth: int) -> None:
        for name, value in _children(node):
            if name == ("shadow_params",) and isinstance(value, (list, tuple)) and all(isinstance(each, torch.Tensor) for each in value):
                found.append(((*path, *name), value))
            elif depth < MAX_DEPTH and not isinstance(value, (torch.Tensor, np.ndarray)):
                visit(value, (*path, *name), depth + 1)

    visit(tree, (), 0)
    result = []
    for path, tensors in found:
        shapes = [tensor.shape for tensor in tensors]
        fitting = next((place for place in places if [each.shape for each in place.weights.values()] == shapes), None)
        if fitting is not None:
            result.append(Place(path, dict(zip(fitting.weights, tensors))))
    return result


def _same(one: Place, other: Place) -> bool:
    return one.weights.keys() == other.weights.keys() and all(
        tensor.shape == other.weights[name].shape and torch.equal(tensor, other.weights[name].to(tensor.dtype)) for name, tensor in one.weights.items()
    )


def choose(places: Sequence[Place], wanted: str, network: str | None) -> Place:
    """`wanted`: ema, online, or auto (the average if there is one). `network`: whole parts of the place, where there are
    several networks.
    """
    considered = list(places)
    if network is not None:
        parts = () if network == _dotted(()) else _split(network.replace("/", "."))
        exact = [place for place in places if place.parts == parts]
        considered = exact or [place for place in places if parts and place.goes_by(parts)]
        if not considered:
            raise CheckpointError(f"--key {network}: no network goes by that; there are: {', '.join(map(str, places))}")
    kinds = {"ema": ("ema",), "online": ("plain", "copy"), "auto": ("ema", "plain", "copy")}[wanted]
    identities = dict.fromkeys(place.identity for place in considered)
    chosen: list[Place] = []
    for identity in identities:
        of_identity = [place for place in considered if place.identity == identity]
        kind = next((kind for kind in kinds if any(place.kind == kind for place in of_identity)), None)
        chosen += [place for place in of_identity if place.kind == kind]
    if not chosen:
        raise CheckpointError(f"no {wanted} weights here, only: {', '.join(map(str, considered))}")
    different = [place for at, place in enumerate(chosen) if not any(_same(place, earlier) for earlier in chosen[:at])]
    if len(different) > 1:
        raise CheckpointError(f"{len(different)} networks are in it: choose one by --key {' or --key '.join(map(str, different))}")
    return chosen[0]


# ---- what the file says -------------------------------------------------------


def find_buffers(place: Place, leaves: Mapping[Parts, Leaf]) -> dict[str, torch.Tensor]:
    """The schedule and the weights of the loss that belong to a network: of the nearest GaussianDiffusion around it; else
    the only ones in the file.
    """
    owners: dict[Parts, dict[str, torch.Tensor]] = {}
    for parts, leaf in leaves.items():
        if parts[-1] in BUFFERS and leaf.tensor.ndim == 1 and leaf.tensor.is_floating_point():
            owners.setdefault(_without_wrappers(parts[:-1]), {})[parts[-1]] = leaf.tensor
    owners = {owner: found for owner, found in owners.items() if found.keys() & {"betas", "alphas_cumprod"}}
    around = _without_wrappers(place.parts)
    for length in range(len(around), -1, -1):
        if around[:length] in owners:
            return owners[around[:length]]
    different: dict[Parts, dict[str, torch.Tensor]] = {}
    for owner, found in owners.items():
        if not any(found.keys() == other.keys() and all(torch.equal(found[name], other[name]) for name in found) for other in different.values()):
            different[owner] = found
    if len(different) > 1:
        raise CheckpointError(f"the schedules of {' and '.join(map(_dotted, different))} differ, and none is that of {place}")
    return next(iter(different.values()), {})


@dataclass(frozen=True)
class Claim:
    """A setting that a training loop stored beside the weights."""

    value: Any
    where: str


# Names of settings in the loops of this field, by the name of ours.
_SETTINGS = {
    "objective": "objective prediction_type parameterization predict",
    "beta_schedule": "beta_schedule noise_schedule",
    "timesteps": "timesteps num_timesteps num_train_timesteps diffusion_steps noise_steps diffusion_timesteps",
    "image_size": "image_size img_size",
    "attn_heads": "attn_heads",
    "attn_dim_head": "attn_dim_head",
}
_BY_NAME = {name: ours for ours, names in _SETTINGS.items() for name in names.split()}
_OBJECTIVES = {
    "pred_noise": "pred_noise noise eps epsilon pred_eps",
    "pred_x0": "pred_x0 x0 x_0 x_start pred_x_start sample",
    "pred_v": "pred_v v v_prediction v-prediction velocity",
}
_BY_OBJECTIVE = {name: ours for ours, names in _OBJECTIVES.items() for name in names.split()}
# Where other things have the same names: `timesteps` of an optimiser's or a scheduler's state says nothing of the network.
_ELSEWHERE = _words("optimizer optimizers optimizer_states optimizer_state_dict opt_state scheduler lr_scheduler lr_schedulers callbacks loops scaler")


def _setting(name: str, value: Any) -> Any:
    """The value of a setting in our words; None if it is none."""
    if isinstance(value, np.generic):
        value = value.item()
    if name == "objective":
        return _BY_OBJECTIVE.get(value.lower()) if isinstance(value, str) else None
    if name == "beta_schedule":
        return value if isinstance(value, str) else None
    if name == "image_size":
        if isinstance(value, int) and not isinstance(value, bool):
            return (value, value)
        pair = isinstance(value, (list, tuple)) and len(value) == 2 and all(isinstance(side, int) for side in value)
        return (value[1], value[0]) if pair else None  # height first, as everywhere in PyTorch
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def find_claims(tree: Any) -> dict[str, list[Claim]]:
    """What training loops stored of the network and the diffusion, by our names. Settings of a wrong type are left out."""
    claims: dict[str, list[Claim]] = {}

    def visit(node: Any, path: Parts, depth: int) -> None:
        if isinstance(node, (argparse.Namespace, types.SimpleNamespace)):
            node = vars(node)
        if not isinstance(node, Mapping) or depth > MAX_DEPTH:
            return
        for key, value in node.items():
            if not isinstance(key, str) or key.lower() in _ELSEWHERE:
                continue
            ours = _BY_NAME.get(key.lower())
            said = None if ours is None else _setting(ours, value)
            if ours is not None and said is not None:
                claim = Claim(said, _dotted((*path, key)))
                if all(claim.value != other.value for other in claims.setdefault(ours, [])):
                    claims[ours].append(claim)
            visit(value, (*path, key), depth + 1)

    visit(tree, (), 0)
    return claims


# ---- versions of the package ----------------------------------------------------

FIRST_VERSION = (2, 0, 0)
_TRAINER_KEYS = frozenset({"step", "model", "opt", "ema", "scaler", "version"})


def version_of(tree: Any, leaves: Mapping[Parts, Any], weights: Mapping[str, torch.Tensor]) -> tuple[bool, tuple[int, ...] | None, bool]:
    """Is this a network of the package before 2.0.0, which had group norms in its blocks; the version, as far as the package's
    Trainer or the buffers of GaussianDiffusion tell; and whether it is the latest one that it can be. CheckpointError where
    tensors and Trainer contradict each other.
    """
    version = tree.get("version") if isinstance(tree, Mapping) and _TRAINER_KEYS >= tree.keys() >= {"model", "version"} else None
    numbers = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", version) if isinstance(version, str) else None
    told = tuple(int(number or 0) for number in numbers.groups()) if numbers else None
    grouped = next((name for name in weights if name.endswith(("block1.norm.bias", "block2.norm.bias"))), None)
    if told is not None and (told < FIRST_VERSION) != (grouped is not None):
        tensors = f"{grouped!r} is of a group norm, which networks had before 2.0.0" if grouped else "there are no group norms, which networks had before 2.0.0"
        raise CheckpointError(f"its Trainer's version is {version}, but {tensors}: what is right decides how the network computes")
    if told is None and grouped and any(path[-1] == "p2_loss_weight" for path in leaves):
        return True, (1, 4, 6), True  # the last one with this buffer
    return grouped is not None, told, False
