"""`python -m pocket_diffusion export` for networks other than the reference's: a function that builds one, or a folder of diffusers."""

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pocket_diffusion.graph.exporting import Report, Rounding, export_recommended
from pocket_diffusion.graph.ir import GraphError
from pocket_diffusion.graph.process import Process
from pocket_diffusion.model_file import General, Recommendation

_KEYS = {"network", "shape", "classes", "null", "process", "pixel_unshuffle"}
_OBJECTIVES = {"epsilon": "noise", "sample": "x0", "v_prediction": "v"}


def built(text: str) -> dict[str, Any]:
    """What FUNCTION of FILE.py returns: arguments of `pocket_diffusion.export`. The file runs as a program of the user's own."""
    file, _, function = text.rpartition(":")
    if not file or not Path(file).is_file():
        raise GraphError(f"--network {text}: expected FILE.py:FUNCTION, a file that is there")
    folder = str(Path(file).resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)  # for what it imports from beside itself
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    if spec is None or spec.loader is None:
        raise GraphError(f"--network {text}: {file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    build = getattr(module, function, None)
    if not callable(build):
        raise GraphError(f"--network {text}: {file} has no function {function!r}")
    result = build()
    if not isinstance(result, dict) or not isinstance(result.get("network"), torch.nn.Module) or not {"shape", "process"} <= result.keys() <= _KEYS:
        raise GraphError(
            f"--network {text}: it must return a dictionary of network, shape and process, perhaps {', '.join(sorted(_KEYS - {'network', 'shape', 'process'}))}"
        )
    return result


class _Diffusers(torch.nn.Module):
    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.model(x, t, class_labels=y).sample


class _DiffusersWithoutClasses(torch.nn.Module):
    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return self.model(x, t).sample


def of_diffusers(folder: Path, class_names: Sequence[str] | None, null: int | None) -> dict[str, Any]:
    """A pipeline's folder (unet or transformer, and scheduler), as arguments of `pocket_diffusion.export`."""
    try:
        import diffusers
    except ImportError as error:
        raise GraphError("folders of diffusers need the package: pip install diffusers") from error
    place = next((each for each in (folder / "unet", folder / "transformer", folder) if (each / "config.json").is_file()), None)
    if place is None:
        raise GraphError(f"{folder}: no config.json in it, nor in unet/ or transformer/")
    config = json.loads((place / "config.json").read_text(encoding="utf-8"))
    name = config.get("_class_name")
    known = {
        "UNet2DModel": diffusers.UNet2DModel,
        "DiTTransformer2DModel": diffusers.DiTTransformer2DModel,
        "Transformer2DModel": diffusers.DiTTransformer2DModel,
    }
    if name not in known:
        raise GraphError(f"{place}: a {name}; {' and '.join(list(known)[:2])} are read, everything else by --network FILE.py:FUNCTION")
    model = known[name].from_pretrained(place)
    scheduler = next((each for each in (folder / "scheduler", folder) if (each / "scheduler_config.json").is_file()), None)
    if scheduler is None:
        raise GraphError(f"{folder}: no scheduler_config.json in it, nor in scheduler/: it says what the network was trained to undo")
    if name == "UNet2DModel":
        count = config.get("num_class_embeds")
        rows = count
    else:
        count = config.get("num_embeds_ada_norm") or 1000
        rows = count + 1  # the last one stands for none
        null = count if null is None else null
    if not count:
        network: torch.nn.Module = _DiffusersWithoutClasses(model)
        if class_names or null is not None:
            raise GraphError(f"{place}: this network has no classes")
        classes: Sequence[str] = ()
    else:
        network = _Diffusers(model)
        wanted = rows - (null is not None)
        classes = class_names or [f"class {label}" for label in range(wanted)]
        if len(classes) > wanted:
            raise GraphError(f"{len(classes)} class names for {wanted} classes")
    side = config.get("sample_size") or 32
    size = (side, side) if isinstance(side, int) else tuple(side)
    shape = (config.get("in_channels", 3), *size)
    return {"network": network, "shape": shape, "classes": classes, "null": null, "process": _process(scheduler)}


def _process(folder: Path) -> Process:
    from diffusers import DDPMScheduler

    config = json.loads((folder / "scheduler_config.json").read_text(encoding="utf-8"))
    if "beta_schedule" not in config:
        raise GraphError(f"{folder}: a {config.get('_class_name')}, which has no table of betas: only such processes can be written so far")
    scheduler = DDPMScheduler.from_config(config)
    prediction = config.get("prediction_type", "epsilon")
    if prediction not in _OBJECTIVES:
        raise GraphError(f"{folder}: prediction_type {prediction!r}: one of {', '.join(_OBJECTIVES)}")
    alphas_cumprod = np.cumprod(1 - scheduler.betas.double().numpy())
    return Process.table(alphas_cumprod=alphas_cumprod, objective=_OBJECTIVES[prediction])


def of_arguments(arguments: argparse.Namespace, class_names: Sequence[str] | None) -> dict[str, Any]:
    """What a command's --network or folder, and --null, stand for, as arguments of `pocket_diffusion.export`."""
    if arguments.network:
        given = built(arguments.network)
        if class_names is not None:
            given["classes"] = class_names
        if arguments.null is not None:
            given["null"] = arguments.null
        return given
    if not arguments.checkpoint.is_dir():
        raise GraphError(f"{arguments.checkpoint}: a folder of diffusers is expected; everything else by --network FILE.py:FUNCTION")
    return of_diffusers(arguments.checkpoint, class_names, arguments.null)


def export_network(arguments: argparse.Namespace, general: General, recommend: Callable[[int, Recommendation], Recommendation]) -> Report:
    """`recommend`: what the options say for so many timesteps, where they say nothing as given."""
    for option in ("image_size", "objective", "beta_schedule", "timesteps", "attn_heads", "attn_dim_head", "fourier", "cond_drop_prob", "package_version"):
        if getattr(arguments, option) is not None:
            raise GraphError(f"--{option.replace('_', '-')}: the network itself says this")
    given = of_arguments(arguments, arguments.class_names)
    if arguments.pixel_unshuffle is not None:
        given["pixel_unshuffle"] = arguments.pixel_unshuffle
    process = given["process"]
    guided = bool(given.get("classes")) and given.get("null") is not None
    recommended = recommend(process.timesteps, Recommendation(steps=min(20, process.timesteps), guidance_scale=3.0 if guided else 1.0))
    return export_given(arguments, given, general, recommended)


def export_given(arguments: argparse.Namespace, given: dict[str, Any], general: General, recommended: Recommendation) -> Report:
    """`given`: arguments of `pocket_diffusion.export`."""
    return export_recommended(
        given["network"], arguments.output, given["shape"], given.get("classes", ()), given.get("null"), given["process"], Rounding(arguments.type, arguments.bytes, arguments.calibration_seed),
        given.get("pixel_unshuffle", 1), general, recommended,
    )  # fmt: skip
