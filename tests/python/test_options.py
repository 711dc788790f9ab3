"""The tables of samplers and options in Python against those of the core."""

import inspect
import json
import re
import subprocess
from pathlib import Path

import pocket_diffusion as pd
import pytest
from pocket_diffusion import model as model_module
from pocket_diffusion.core import Core
from pocket_diffusion.options import FOREIGN, OPTIONS, SAMPLERS


def _names(core: Core, export: str) -> list[str]:
    names: list[str] = []
    while text := core.text(core.call(export, len(names))):
        names.append(text)
    return names


def test_the_samplers_are_those_of_the_core():
    core = Core()
    assert list(SAMPLERS) == _names(core, "pd_wasm_sampler_name")
    for key, (name, traits) in enumerate(SAMPLERS.items()):
        ours = [core.call("pd_wasm_sampler_trait", key, trait) for trait in range(3)]
        assert [traits.evaluations, traits.draws_noise, traits.multistep] == ours, name


def test_the_options_are_those_of_the_core():
    core = Core()
    names = _names(core, "pd_wasm_options_name")
    fields = {option.field or name: option for name, option in OPTIONS.items() if option.kind != "other"}
    assert {*fields, "guidance_first", "guidance_last", "inversion"} == set(names)
    for key, name in enumerate(names):
        whole, varies, low, high = (core.call("pd_wasm_options_limit", key, limit) for limit in range(4))
        if name not in fields or varies:
            continue
        option = fields[name]
        assert bool(whole) == (option.kind != "number"), name
        assert (low, high) == ((0, len(option.choices) - 1) if option.choices else option.range), name


def test_the_options_are_those_of_javascript(repository: Path):
    script = "import { OPTIONS } from './web/library/options.mjs'; console.log(JSON.stringify(Object.entries(OPTIONS).map(([name, { kind, choices = [] }]) => [name, kind, choices])))"
    done = subprocess.run(["node", "--input-type=module", "--eval", script], cwd=repository, check=True, capture_output=True, text=True)
    ours = [[re.sub("_(.)", lambda found: found[1].upper(), name), option.kind, list(option.choices)] for name, option in OPTIONS.items()]
    assert ours == json.loads(done.stdout)


def test_every_option_is_an_argument_of_generate(repository: Path):
    assert set(inspect.signature(pd.Model.generate).parameters) - {"self", "label", "on_step", "unknown"} == set(OPTIONS)
    assert set(model_module._OPTIONS) == set(OPTIONS)
    with pd.load(repository / "tests/golden/tiny.gguf") as model:
        assert set(model.info.recommended) < set(OPTIONS)


def test_what_others_call_them_is_what_javascript_knows(repository: Path):
    lines = re.search("`(.*?)`", (repository / "web/library/foreign.mjs").read_text(), re.DOTALL)[1].splitlines()
    known = {re.sub("([A-Z])", r"_\1", ours).lower(): theirs for ours, theirs in (line.split(" ", 1) for line in lines)}
    assert {**known, **FOREIGN} == known


@pytest.mark.parametrize(("name", "meant"), [
    ("cond_scale", "guidance_scale"), ("cfgScale", "guidance_scale"), ("cfg", "guidance_scale"), ("num_inference_steps", "steps"),
    ("n_steps", "steps"), ("sampling_timesteps", "steps"), ("scheduler", "sampler"), ("eps", "eta or noise"), ("rescaled_phi", "rescale"),
    ("prompt", "label"), ("classes", "label"), ("negative_prompt", "negative_label"), ("guidance_scal", "guidance_scale"),
])  # fmt: skip
def test_names_of_other_programs_get_the_right_hint(repository: Path, name: str, meant: str):
    with pd.load(repository / "tests/golden/tiny.gguf") as model:
        for draw in (model.generate, model.trajectory):
            with pytest.raises(TypeError, match=rf"unknown option '{name}'; did you mean {meant}\?"):
                draw(0, **{name: 3})
        with pytest.raises(TypeError, match="did you mean count, of generate_many"):
            model.generate(0, num_images=3)
