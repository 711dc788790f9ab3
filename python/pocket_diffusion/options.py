"""The samplers and the options of generate(), in one place: what checks them, hands them to the core or writes them into recipes
reads these tables. tests/python/test_options.py compares them with those of the core.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["FOREIGN", "OPTIONS", "RENDERINGS", "SAMPLERS", "TIME_GRIDS", "Option", "Sampler", "meant_by"]


@dataclass(frozen=True)
class Sampler:
    """Traits of a sampler (docs/sampling.md)."""

    evaluations: int = 1  # of the network in a step; the last step takes one
    draws_noise: bool = False  # in every step but the last
    multistep: bool = False  # continues from earlier steps


#: By their numbers in the core.
SAMPLERS: Final[Mapping[str, Sampler]] = {
    "ddim": Sampler(draws_noise=True),
    "ddpm": Sampler(draws_noise=True),
    "dpmpp-2m": Sampler(multistep=True),
    "dpmpp-2m-sde": Sampler(draws_noise=True, multistep=True),
    "euler": Sampler(),
    "euler-ancestral": Sampler(draws_noise=True),
    "heun": Sampler(evaluations=2),
    "unipc": Sampler(multistep=True),
    "lcm": Sampler(draws_noise=True),
}
TIME_GRIDS: Final = ("linear", "quadratic", "trailing", "karras")
RENDERINGS: Final = ("smooth", "ink", "pixel")


@dataclass(frozen=True)
class Option:
    """One option: what kind of value it has; numbers with their range, choices in the order of their numbers in the core.
    `field`: of pd_options, if it has another name there. Where the argument of generate() is None, it is as the model recommends.
    """

    kind: Literal["number", "whole", "flag", "choice", "class", "other"]
    range: tuple[float, float] = (0, 1)
    choices: tuple[str, ...] = ()
    field: str = ""


def _choice(*names: str) -> Option:
    return Option("choice", choices=names)


_STEPS: Final = 10_000  # PD_MAX_TIMESTEPS; the model has its own limit

#: By the arguments of generate(), in the order in which recipes have them.
OPTIONS: Final[Mapping[str, Option]] = {
    "guidance_scale": Option("number", (0, 100)),
    "guidance_interval": Option("other"),
    "guidance_schedule": _choice("constant", "linear", "cosine"),
    "negative_label": Option("class"),
    "cfg_plus_plus": Option("flag"),
    "projection": Option("flag"),
    "keep_parallel": Option("number"),
    "momentum": Option("number", (-1, 1)),
    "norm_threshold": Option("number", (0, 1e6)),
    "rescale": Option("number"),
    "dynamic_threshold": Option("number", field="threshold"),
    "steps": Option("whole", (1, _STEPS)),
    "sampler": _choice(*SAMPLERS),
    "time_grid": _choice(*TIME_GRIDS),
    "eta": Option("number"),
    "ddpm_mean": _choice("x0", "noise"),
    "ddpm_variance": _choice("posterior", "beta"),
    "seed": Option("other"),
    "class_mix": Option("other"),
    "mix_mode": _choice("embedding", "prediction"),
    "image": Option("other"),
    "strength": Option("number"),
    "mask": Option("other"),
    "resample": Option("whole", (1, 100)),
    "noise": Option("other"),
    "variation_seed": Option("other"),
    "variation_strength": Option("number"),
}

#: What other programs call them, in small letters without separators.
FOREIGN: Final[Mapping[str, str]] = {
    "guidance_scale": "condscale cfg cfgscale guidance scale unconditionalguidancescale",
    "steps": "numinferencesteps numsteps nsteps samplingtimesteps samplingsteps inferencesteps timesteps ddimsteps",
    "sampler": "scheduler solver method",
    "eta": "eps ddimeta ddimsamplingeta",
    "noise": "eps epsilon latents xt",
    "rescale": "rescaledphi guidancerescale phi",
    "projection": "removeparallelcomponent apg",
    "keep_parallel": "keepparallelfrac",
    "cfg_plus_plus": "usecfgplusplus",
    "label": "prompt class classes classlabel classlabels labels classid y",
    "negative_label": "negativeprompt negativeclass",
    "count": "numimagesperprompt numimages numsamples nsamples batchsize",
    "seed": "generator randomseed manualseed",
    "image": "initimage inputimage",
    "strength": "denoisingstrength",
    "mask": "maskimage",
    "dynamic_threshold": "thresholding dynamicthresholding",
    "time_grid": "timestepspacing",
    "class_mix": "mix",
    "on_step": "callback callbackonstepend onprogress",
}


def meant_by(name: str) -> str:
    """What an unknown name of an option means here, as the end of a sentence; empty where nothing is near."""
    plain = re.sub("[^a-z0-9]", "", name.lower())
    theirs = [ours for ours, others in FOREIGN.items() if plain in others.split()]
    if theirs == ["count"]:
        return "; did you mean count, of generate_many()?"
    near = theirs or difflib.get_close_matches(name.lower(), [*OPTIONS, "label", "on_step"], n=1)
    return f"; did you mean {' or '.join(near)}?" if near else ""
