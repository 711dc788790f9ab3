"""Reads trained networks of the reference: weights out of whatever was saved, and what they describe.

Shapes tell almost every argument of the network. What they do not tell (picture size, objective, ...) comes from
the arguments that a trainer stored beside the weights, from the buffers of `GaussianDiffusion`, or from options.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pocket_diffusion import places, reference
from pocket_diffusion.guidance_input import table_arguments
from pocket_diffusion.loading import CheckpointError, load
from pocket_diffusion.places import Claim

STEM = ".".join(places.ANCHOR)
OBJECTIVES = ("pred_noise", "pred_x0", "pred_v")
SCHEDULES = ("linear", "cosine")

# Limits of the engine (src/pocket_diffusion.h, docs/format.md).
MAX_LEVELS, MAX_CHANNELS, MAX_CLASSES, MAX_HEADS, MAX_HEAD_CHANNELS = 6, 1024, 65536, 64, 128
MAX_SIDE, MAX_TIMESTEPS = 1024, 10000
MAX_GUIDANCE_SCALE, MAX_GUIDANCE_ROWS = 100, 64


class MissingOptions(Exception):
    """The checkpoint does not say everything; the options named here must."""

    def __init__(self, options: Sequence[str]) -> None:
        super().__init__(f"the checkpoint does not say everything: give {', '.join(options)}")


@dataclass(frozen=True)
class Checkpoint:
    weights: dict[str, torch.Tensor]  # as named in Unet.state_dict(); float32, contiguous
    buffers: dict[str, torch.Tensor]  # schedule of GaussianDiffusion, as stored; may be empty
    record: Mapping[str, Any]  # arguments that our trainer stored beside the weights; may be empty
    claims: Mapping[str, Sequence[Claim]]  # settings that other training loops did; may be empty
    place: str  # where in the file the weights were, for people
    before_2: bool = False  # a network of the package before 2.0.0: group norms, by the names of that time
    version: tuple[int, ...] | None = None  # of the package, if something tells it
    version_is_latest: bool = False  # it may be an earlier one


@dataclass(frozen=True)
class Options:
    """What the user says about a checkpoint. None: not said."""

    image_size: tuple[int, int] | None = None  # width, height of the finished picture
    pixel_unshuffle: int | None = None
    class_names: tuple[str, ...] | None = None
    objective: str | None = None
    beta_schedule: str | None = None
    timesteps: int | None = None
    attn_heads: int | None = None
    attn_dim_head: int | None = None
    fourier: str | None = None  # learned or random
    cond_drop_prob: float | None = None
    package_version: str | None = None  # of denoising-diffusion-pytorch, where networks of before 2.0.0 compute in several ways


@dataclass(frozen=True)
class Description:
    """What a network is and how it was trained."""

    unet: dict[str, Any]  # all arguments of the reference's Unet, learned_variance expressed by out_dim
    image_width: int
    image_height: int
    image_channels: int
    pixel_unshuffle: int
    class_names: tuple[str, ...]
    timesteps: int
    beta_schedule: str
    alphas_cumprod: np.ndarray = field(repr=False)  # float64 [T]
    objective: str
    assumptions: tuple[str, ...]  # what was assumed for want of knowledge, one line each
    unsaid: tuple[str, ...]  # what nothing in the checkpoint can confirm: it comes from the options alone
    guidance_scales: tuple[float, ...] = ()  # that each class has a row of the embedding table for, where the scale is an input
    package_version: tuple[int, ...] | None = None  # of networks before 2.0.0

    @property
    def network_shape(self) -> tuple[int, int, int]:
        """[C, H, W] of x_t."""
        r = self.pixel_unshuffle
        return self.unet["channels"], self.image_height // r, self.image_width // r

    @property
    def can_sample(self) -> bool:
        return self.unet["out_dim"] == self.unet["channels"] and self.image_channels in (1, 3, 4)


# ---- reading ----------------------------------------------------------------


def _record(tree: Any) -> Mapping[str, Any]:
    """The outermost mapping, if it stores the arguments of the network as plain values."""
    unet = tree.get("unet") if isinstance(tree, Mapping) else None
    plain = isinstance(unet, Mapping) and not any(isinstance(value, (torch.Tensor, Mapping)) for value in unet.values())
    return tree if plain else {}


def read_checkpoint(path: Path, wanted: str = "auto", network: str | None = None, *, earlier: bool = False) -> Checkpoint:
    """Finds the network in a checkpoint: a state dict of `Unet` or `GaussianDiffusion` under any prefix (`model.`, `module.`,
    `_orig_mod.`, `ema_model.`, ...), nested in the mappings and lists of a trainer, as .safetensors, or in a folder.

    `wanted`: ema, online, or auto (the average if there is one). `network`: parts of its place, where there are several.
    `earlier`: also networks of the package before 2.0.0 (`Checkpoint.before_2`), which compute otherwise.
    """
    tree = load(path)
    leaves = places.flatten(tree)
    found = places.find_places(tree, leaves)
    if not found:
        first = next(iter(leaves), None)
        if first is None:
            raise CheckpointError(f"{path}: {'no tensors in it' if isinstance(tree, Mapping) else f'a {type(tree).__name__}, not a dictionary of tensors'}")
        raise CheckpointError(f"{path}: {'.'.join(first)!r} does not fit: no tensor is named {STEM!r}, as in the reference's Unet")
    try:
        place = places.choose(found, wanted, network)
        before_2, version, latest = places.version_of(tree, leaves, place.weights)
        if before_2 and not earlier:
            raise CheckpointError("a network of denoising-diffusion-pytorch before 2.0.0: export it, and use the model file")
        buffers = places.find_buffers(place, leaves)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    weights = {name: _plain(name, tensor) for name, tensor in place.weights.items()}
    record = _record(tree)
    claims = {} if record else places.find_claims(tree)
    return Checkpoint(weights, buffers or _recorded_schedule(record), record, claims, str(place), before_2, version, latest)


def _recorded_schedule(record: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The abar table that a trainer stored beside the arguments of `GaussianDiffusion`, if it is none of the reference's."""
    table = record.get("diffusion", {}).get("alphas_cumprod")
    return {} if table is None else {"alphas_cumprod": torch.as_tensor(table)}


def _plain(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """As float32, dense and contiguous. NaN and infinity are refused."""
    if not tensor.is_floating_point() or tensor.layout != torch.strided or tensor.is_quantized:
        raise CheckpointError(f"{name!r} does not fit: {tensor.dtype}, {tensor.layout}; expected dense real numbers")
    plain = tensor.detach().to(torch.float32).contiguous()
    finite = torch.isfinite(plain)
    if not finite.all():
        index = tuple(torch.nonzero(~finite)[0].tolist())
        raise CheckpointError(f"{name!r} holds {plain[index].item()} at {list(index)}: the weights must be finite")
    return plain


# ---- what the weights say ---------------------------------------------------


def infer_unet_arguments(weights: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """The arguments of `Unet` that shapes tell: all but cond_drop_prob, how heads and head size share their
    product (returned as `attn_hidden`), and whether Fourier frequencies were learned or random.
    """

    def shape(name: str, rank: int) -> tuple[int, ...]:
        if name not in weights:
            raise CheckpointError(
                f"{name!r} is missing: a class-conditional Unet of the reference has it; every other network is exported by --network FILE.py:FUNCTION"
            )
        if weights[name].ndim != rank or 0 in weights[name].shape:
            raise CheckpointError(f"{name!r} does not fit: shape {list(weights[name].shape)}, expected {rank} dimensions")
        return tuple(weights[name].shape)

    init_dim, channels, *_ = shape(STEM, 4)
    num_classes, dim = shape("classes_emb.weight", 2)
    widths = []
    while f"downs.{len(widths)}.3.weight" in weights:
        name = f"downs.{len(widths)}.3.weight"
        widths.append(shape(name, 4)[0])
        if widths[-1] % dim:
            raise CheckpointError(f"{name!r} does not fit: {widths[-1]} channels are no multiple of dim = {dim}")
    if not widths:
        raise CheckpointError("'downs.0.3.weight' is missing: a class-conditional Unet of the reference has it")
    fourier = "time_mlp.0.weights" in weights
    return {
        "dim": dim,
        "num_classes": num_classes,
        "init_dim": init_dim,
        "out_dim": shape("final_conv.weight", 4)[0],
        "dim_mults": tuple(width // dim for width in widths),
        "channels": channels,
        "learned_sinusoidal_dim": 2 * shape("time_mlp.0.weights", 1)[0] if fourier else 16,
        "fourier": fourier,
        "attn_hidden": shape("mid_attn.fn.fn.to_qkv.weight", 4)[0] // 3,
    }


def check_fit(weights: Mapping[str, torch.Tensor], arguments: Mapping[str, Any]) -> None:
    """Exactly the tensors of `Unet(**arguments)`; otherwise names the first one that does not fit."""
    expected = reference.unet_shapes(arguments)
    for name, tensor in weights.items():
        if name not in expected:
            raise CheckpointError(f"{name!r} does not fit: the reference's Unet has no such tensor")
        if tuple(tensor.shape) != expected[name]:
            raise CheckpointError(f"{name!r} does not fit: shape {list(tensor.shape)}, expected {list(expected[name])}")
    for name in expected:
        if name not in weights:
            raise CheckpointError(f"{name!r} is missing")


# ---- the description --------------------------------------------------------


class _Settler:
    """Brings together what the file and the user say, and collects what nobody says."""

    def __init__(self, claims: Mapping[str, Sequence[Claim]]) -> None:
        self.claims = claims
        self.missing: list[str] = []
        self.assumptions: list[str] = []
        self.unsaid: list[str] = []  # what the options say alone

    def agree(self, option: str, given: Any, recorded: Any, claims: Sequence[Claim], told_by: str = "") -> Any:
        """The value that the option, the network's own tensors and arguments, and settings beside it agree on; None if none
        says anything. Raises CheckpointError where two contradict each other; an option may take the tensors' side against
        settings, never the other way round.
        """
        if given is not None and recorded is not None and given != recorded:
            raise CheckpointError(f"--{option} {_shown(given)} contradicts the checkpoint, {told_by or 'which says'} {_shown(recorded)}")
        if given is not None:
            if recorded is None and claims and all(claim.value != given for claim in claims):
                raise CheckpointError(f"--{option} {_shown(given)} contradicts the checkpoint, whose {claims[0].where} says {_shown(claims[0].value)}")
            if recorded is None and not claims:
                self.unsaid.append(f"{option} {_shown(given)}")
            return given
        said = [*([Claim(recorded, "the network itself")] if recorded is not None else []), *claims]
        for one, other in itertools.pairwise(said):
            if one.value != other.value:
                raise CheckpointError(
                    f"the checkpoint contradicts itself: {option} is {_shown(one.value)} for {one.where}, {_shown(other.value)} for {other.where}; "
                    f"if one is right, give --{option}"
                )
        return said[0].value if said else None

    def settle(self, option: str, given: Any, recorded: Any, *, assume: Any = None, told_by: str = "") -> Any:
        """What they agree on; failing that, `assume`; failing that, None, and the option is missing."""
        value = self.agree(option, given, recorded, self.claims.get(option.replace("-", "_"), ()), told_by)
        if value is None and assume is not None:
            self.assumptions.append(f"{option} {assume}")
            value = assume
        if value is None:
            self.missing.append(f"--{option}")
        return value


def _shown(value: Any) -> str:
    """As on the command line."""
    return f"{value[0]}x{value[1]}" if isinstance(value, tuple) else str(value)


def describe(checkpoint: Checkpoint, options: Options = Options()) -> Description:
    """Settles every property of the model file. Raises CheckpointError for what does not fit or contradicts, and
    MissingOptions for what neither the checkpoint nor the options say.
    """
    settler = _Settler(checkpoint.claims)
    version = _settle_version(checkpoint, options, settler)
    unet = _settle_unet(checkpoint, options, settler)
    r = settler.settle("pixel-unshuffle", options.pixel_unshuffle, checkpoint.record.get("pixel_unshuffle"), assume=1)
    if r < 1 or unet["channels"] % (r * r):
        raise CheckpointError(f"pixel-unshuffle {r} does not fit: the network has {unet['channels']} channels")
    size = _settle_size(checkpoint, options, settler, r)
    schedule = _settle_schedule(checkpoint, options, settler)
    objective = _settle_objective(checkpoint, options, settler, schedule)
    if settler.missing:
        raise MissingOptions(settler.missing)
    if objective not in OBJECTIVES:
        raise CheckpointError(f"objective {objective!r}: expected one of {', '.join(OBJECTIVES)}")
    _check_size(size, r, len(unet["dim_mults"]))
    name, alphas_cumprod = schedule
    return Description(
        unet=unet,
        image_width=size[0],
        image_height=size[1],
        image_channels=unet["channels"] // (r * r),
        pixel_unshuffle=r,
        class_names=_settle_class_names(checkpoint.record.get("classes"), options.class_names, unet["num_classes"], settler),
        timesteps=len(alphas_cumprod),
        beta_schedule=name,
        alphas_cumprod=alphas_cumprod,
        objective=objective,
        assumptions=tuple(settler.assumptions),
        unsaid=tuple(settler.unsaid),
        guidance_scales=_recorded_scales(checkpoint.record),
        package_version=version,
    )


def _recorded_scales(record: Mapping[str, Any]) -> tuple[float, ...]:
    """Ascending scales of a network that takes the guidance scale; none for others."""
    try:
        scales = tuple(float(np.float32(scale)) for scale in record.get("guidance_scales", ()))
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"guidance_scales: expected numbers: {error}") from error
    inside = all(0 <= scale <= MAX_GUIDANCE_SCALE for scale in scales)
    if scales and not (inside and 2 <= len(scales) <= MAX_GUIDANCE_ROWS and all(a < b for a, b in itertools.pairwise(scales))):
        raise CheckpointError(f"guidance_scales {list(scales)}: expected 2 to {MAX_GUIDANCE_ROWS} ascending numbers from 0 to {MAX_GUIDANCE_SCALE}")
    return scales


def _named_as_now(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    """The weights with an RMS norm's gain wherever a network of before 2.0.0 has a group norm, so that shapes can be told from them."""
    if not checkpoint.before_2:
        return checkpoint.weights
    named = {}
    for name, tensor in checkpoint.weights.items():
        if name.endswith((".block1.norm.weight", ".block2.norm.weight")):
            named[f"{name.removesuffix('weight')}g"] = tensor.reshape(1, -1, 1, 1)
        elif not name.endswith((".block1.norm.bias", ".block2.norm.bias")):
            named[name] = tensor
    return named


def _settle_version(checkpoint: Checkpoint, options: Options, settler: _Settler) -> tuple[int, ...] | None:
    """Three numbers, of networks before 2.0.0: norms, convolutions and attention changed four times under the same names and shapes."""
    if not checkpoint.before_2:
        if options.package_version is not None:
            raise CheckpointError("--package-version: not of networks of 2.0.0 and later, such as this one, which all compute alike")
        return None
    given, told, latest = options.package_version, checkpoint.version, checkpoint.version_is_latest
    numbers = _version_numbers(given) if given is not None else told
    if told is not None and given is not None and (numbers > told if latest else numbers != told):
        says = f"which has a buffer that networks had up to {_dotted(told)}" if latest else f"which says {_dotted(told)}"
        raise CheckpointError(f"--package-version {given} contradicts the checkpoint, {says}")
    if numbers is None:
        settler.missing.append(
            "--package-version (of denoising-diffusion-pytorch, before 2.0.0: networks up to 1.6.4, to 1.7.0, of 1.7.1, to 1.7.3 and of 1.7.4 on compute differently)"
        )
        return None
    if not (1,) <= numbers < places.FIRST_VERSION:
        raise CheckpointError(f"package-version {given or _dotted(numbers)}: this network's group norms are those of 1.0.0 to 1.11.1")
    if told is None:
        settler.unsaid.append(f"package-version {given}")
    settler.assumptions.append("groups of norms 8")
    return numbers


def _version_numbers(text: str) -> tuple[int, ...]:
    """Three; none of what is no version."""
    return tuple(int(number) for number in f"{text}.0.0".split(".")[:3]) if re.fullmatch(r"\d+(\.\d+){0,2}", text) else ()


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _settle_unet(checkpoint: Checkpoint, options: Options, settler: _Settler) -> dict[str, Any]:
    weights = _named_as_now(checkpoint)
    inferred = infer_unet_arguments(weights)
    scales = _recorded_scales(checkpoint.record)
    if inferred["num_classes"] % max(1, len(scales)):
        raise CheckpointError(f"'classes_emb.weight' does not fit: {inferred['num_classes']} rows for {len(scales)} guidance scales")
    inferred["num_classes"] //= max(1, len(scales))
    recorded = dict(checkpoint.record.get("unet", {}))
    for name in ("dim", "num_classes", "channels"):
        if name in recorded and recorded[name] != inferred[name]:
            raise CheckpointError(f"the weights have {name} {inferred[name]}, the stored arguments say {recorded[name]}")
    fourier, hidden = inferred.pop("fourier"), inferred.pop("attn_hidden")
    heads, dim_head = _settle_heads(hidden, options, recorded, settler)
    random_fourier = None
    if fourier:
        said = {True: "random", False: "learned"}.get(recorded.get("random_fourier_features", False if recorded else None))
        random_fourier = settler.settle("fourier", options.fourier, said, assume="learned") == "random"
    elif options.fourier:
        raise CheckpointError("--fourier does not fit: 'time_mlp.0.weights' is missing, the time embedding is sinusoidal")
    drop = settler.settle("cond-drop-prob", options.cond_drop_prob, recorded.get("cond_drop_prob"), assume=0.5)
    arguments = {
        **inferred,
        "cond_drop_prob": drop,
        "learned_sinusoidal_cond": fourier and not random_fourier,
        "random_fourier_features": fourier and bool(random_fourier),
        "attn_heads": heads,
        "attn_dim_head": dim_head,
    }
    if heads is None or dim_head is None:  # reported with all else that is missing; any split has the same shapes
        arguments.update(attn_heads=1, attn_dim_head=hidden)
    if not fourier and (arguments["dim"] < 4 or arguments["dim"] % 2):
        raise CheckpointError(f"'classes_emb.weight' does not fit: dim {arguments['dim']}, sinusoidal time embeddings need an even one over 2")
    check_fit(weights, table_arguments(arguments, scales))
    _check_limits(arguments)
    return arguments


def _check_limits(arguments: Mapping[str, Any]) -> None:
    """Refuses here what the engine would refuse to load."""
    sizes = {
        "levels": (len(arguments["dim_mults"]), MAX_LEVELS),
        "classes": (arguments["num_classes"], MAX_CLASSES),
        "heads of attention": (arguments["attn_heads"], MAX_HEADS),
        "channels of a head": (arguments["attn_dim_head"], MAX_HEAD_CHANNELS),
        "Fourier features": (arguments["learned_sinusoidal_dim"], MAX_CHANNELS),
        "input channels": (arguments["channels"], MAX_CHANNELS),
        "output channels": (arguments["out_dim"], MAX_CHANNELS),
        "channels after the stem": (arguments["init_dim"], MAX_CHANNELS),
        "channels of a level": (arguments["dim"] * max(arguments["dim_mults"]), MAX_CHANNELS),
    }
    for what, (size, limit) in sizes.items():
        if size > limit:
            raise CheckpointError(f"{size} {what}: the engine accepts at most {limit}")


def _settle_heads(hidden: int, options: Options, recorded: Mapping[str, Any], settler: _Settler) -> tuple[Any, Any]:
    """Number and size of the heads of the attention in the middle. Shapes show only their product."""
    names = ("attn_heads", "attn_dim_head")
    if recorded.keys() & names or (recorded and hidden == 4 * 32):  # the arguments are known: what they leave out has its default
        said = {"attn_heads": recorded.get("attn_heads", 4), "attn_dim_head": recorded.get("attn_dim_head", 32)}
    else:
        said = {}
    claims = {name: settler.claims.get(name, ()) for name in names}
    unsaid = settler.unsaid.copy()
    heads, dim_head = (settler.agree(name.replace("_", "-"), getattr(options, name), said.get(name), claims[name]) for name in names)
    if said or any(claims.values()):  # one of the two tells the other
        settler.unsaid[:] = unsaid
    if heads is not None and dim_head is None:
        dim_head = hidden // heads
    elif dim_head is not None and heads is None:
        heads = hidden // dim_head
    if heads is None:
        settler.missing.append(f"--attn-heads or --attn-dim-head (their product is {hidden}; the package makes 4 heads of 32 unless told otherwise)")
    elif heads * dim_head != hidden or heads < 1:
        raise CheckpointError(f"'mid_attn.fn.fn.to_qkv.weight' does not fit: {heads} heads of {dim_head} are not {hidden} channels")
    return heads, dim_head


def _recorded_size(record: Mapping[str, Any], r: int) -> tuple[int, int] | None:
    if "image" in record:
        return record["image"]["width"], record["image"]["height"]
    side = record.get("diffusion", {}).get("image_size")
    return None if side is None else (side * r, side * r)


def _settle_size(checkpoint: Checkpoint, options: Options, settler: _Settler, r: int) -> tuple[int, int] | None:
    """Width and height of the finished picture. Loops store the side that GaussianDiffusion knows, in network space, or that
    of their pictures.
    """
    claims = settler.claims.get("image_size", ())
    if all(options.image_size != claim.value for claim in claims):
        claims = [Claim((claim.value[0] * r, claim.value[1] * r), claim.where) for claim in claims]
    size = settler.agree("image-size", options.image_size, _recorded_size(checkpoint.record, r), claims)
    if size is None:
        settler.missing.append("--image-size")
    return size


def _check_size(size: tuple[int, int], r: int, levels: int) -> None:
    unit = r << (levels - 1)
    for side in size:
        if not 1 <= side <= MAX_SIDE or side % unit:
            raise CheckpointError(f"image-size {size[0]}x{size[1]}: sides must be multiples of {unit}, at most {MAX_SIDE}")


def _settle_class_names(recorded: Any, given: tuple[str, ...] | None, count: int, settler: _Settler) -> tuple[str, ...]:
    """Names in label order. Given ones replace stored ones."""
    names = given if given is not None else tuple(map(str, recorded)) if recorded is not None else None
    if names is None:
        settler.assumptions.append(f"class-names class 0 .. class {count - 1}")
        names = tuple(f"class {label}" for label in range(count))
    if len(names) != count:
        raise CheckpointError(f"{len(names)} class names for {count} classes")
    for name in names:
        if not name.strip() or not name.isprintable():
            raise CheckpointError(f"class name {name!r}: empty, or holds control characters")
    if len(set(names)) != count:
        duplicate = next(name for name in names if names.count(name) > 1)
        raise CheckpointError(f"class name {duplicate!r} is used twice")
    return names


def _settle_schedule(checkpoint: Checkpoint, options: Options, settler: _Settler) -> tuple[str, np.ndarray] | None:
    """Name and abar table (float64) of the noise schedule; None if something is missing."""
    diffusion = checkpoint.record.get("diffusion", {})
    name, betas = _recognise_schedule(checkpoint.buffers)
    found = diffusion.get("timesteps") if betas is None else len(betas)
    timesteps = settler.settle("timesteps", options.timesteps, found)
    name = settler.settle("beta-schedule", options.beta_schedule, name or diffusion.get("beta_schedule"))
    if timesteps is None or name is None:
        return None
    if not 1 <= timesteps <= MAX_TIMESTEPS:
        raise CheckpointError(f"timesteps {timesteps}: expected 1 to {MAX_TIMESTEPS}")
    if betas is None:
        if name not in SCHEDULES:
            raise CheckpointError(f"beta-schedule {name!r}: expected one of {', '.join(SCHEDULES)}")
        betas = reference.schedule_betas(name, timesteps)
    alphas_cumprod = torch.cumprod(1 - betas, dim=0).numpy()
    inside = (alphas_cumprod > 0) & (alphas_cumprod < 1)
    falling = np.diff(alphas_cumprod, prepend=1.0) < 0
    if not (inside & falling).all():
        t = int(np.argmin(inside & falling))
        raise CheckpointError(f"schedule {name}, {timesteps} steps: abar[{t}] = {alphas_cumprod[t]}, which must fall within (0, 1)")
    return name, alphas_cumprod


def _settle_objective(checkpoint: Checkpoint, options: Options, settler: _Settler, schedule: tuple[str, np.ndarray] | None) -> str | None:
    """What the network predicts. GaussianDiffusion weights its loss by a table that depends on it."""
    recorded, told_by = checkpoint.record.get("diffusion", {}).get("objective"), ""
    if "loss_weight" in checkpoint.buffers and schedule is not None:
        fitting = objectives_by_loss_weight(checkpoint.buffers["loss_weight"], schedule[1])
        if len(fitting) == 1:
            recorded, told_by = fitting[0], "whose loss_weight is that of"
        elif fitting and options.objective is not None and options.objective not in fitting:
            raise CheckpointError(f"--objective {options.objective} contradicts the checkpoint, whose loss_weight is that of {' or '.join(fitting)}")
    return settler.settle("objective", options.objective, recorded, told_by=told_by)


def objectives_by_loss_weight(stored: torch.Tensor, alphas_cumprod: np.ndarray) -> tuple[str, ...]:
    """The objectives whose weights of the loss are these, plain or with min-SNR: min(snr, gamma) divided by snr (noise), by 1
    (x_0) or by snr + 1 (v). Without min-SNR gamma is any number above the largest snr.
    """
    if len(stored) != len(alphas_cumprod):
        return ()
    weights, limits = stored.double().numpy(), torch.finfo(stored.dtype)
    usable = np.isfinite(weights)  # half precision may have overflowed
    snr = alphas_cumprod / (1 - alphas_cumprod)
    fitting = []
    for objective, divisor in zip(OBJECTIVES, (snr, np.ones_like(snr), snr + 1)):
        gamma = np.max((weights * divisor)[usable], initial=0.0)
        expected = np.minimum(snr, gamma) / divisor
        tolerance = max(1e-3, 8 * limits.eps) * expected + limits.smallest_normal
        if usable.any() and gamma > 0 and (np.abs(weights - expected) <= tolerance)[usable].all():
            fitting.append(objective)
    return tuple(fitting)


def _recognise_schedule(buffers: Mapping[str, torch.Tensor]) -> tuple[str | None, torch.Tensor | None]:
    """Name and betas (float64) behind the rounded buffers of `GaussianDiffusion`; (None, None) without buffers.

    A schedule of the reference is recomputed in full precision. Of any other, betas are the better source: abar
    rounded to float32 near 1 has lost 1 - abar, the variance of the noise.
    """
    if not buffers:
        return None, None
    if "betas" in buffers:
        stored = buffers["betas"]
        betas = stored.to(torch.float64)
    else:
        stored = buffers["alphas_cumprod"]
        abar = stored.to(torch.float64)
        betas = 1 - abar / torch.cat((torch.ones(1, dtype=torch.float64), abar[:-1]))
    if stored.ndim != 1 or not stored.is_floating_point() or not torch.isfinite(betas).all():
        raise CheckpointError("'betas' does not fit: expected a vector of finite numbers")
    rounding = 2 * torch.finfo(stored.dtype).eps
    _check_tables(buffers, betas)
    for name in SCHEDULES:
        known = reference.schedule_betas(name, len(betas))
        exact = known if "betas" in buffers else torch.cumprod(1 - known, dim=0)
        if torch.allclose(stored.to(torch.float64), exact, rtol=rounding, atol=0):
            return name, known
    return "custom", betas


def _check_tables(buffers: Mapping[str, torch.Tensor], betas: torch.Tensor) -> None:
    """Where a file has both tables, they must be of one schedule."""
    if not {"betas", "alphas_cumprod"} <= buffers.keys():
        return
    stored = buffers["alphas_cumprod"]
    expected = torch.cumprod(1 - betas, dim=0)
    rounding = max(1e-3, 64 * max(torch.finfo(each.dtype).eps for each in (stored, buffers["betas"])))
    if stored.shape != expected.shape or not torch.allclose(stored.double(), expected, rtol=rounding, atol=rounding):
        raise CheckpointError("'alphas_cumprod' contradicts 'betas': it is not the cumulative product of 1 - beta")
