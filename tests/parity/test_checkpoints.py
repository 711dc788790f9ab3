"""Checkpoints as people have them: what wraps their names, what stands beside the weights, and what a file says of itself."""

import argparse
import collections
import json
import pathlib
import re
import shlex
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import package_checkpoint
import pocket_diffusion
import pytest
import safetensors.torch
import torch
import training_run
from pocket_diffusion import earlier, export_command, reference, verify
from pocket_diffusion.checkpoint import CheckpointError, Description, Options, describe, read_checkpoint
from pocket_diffusion.model_file import read_model

ARGUMENTS = {"dim": 8, "num_classes": 3, "dim_mults": (1, 2), "channels": 3}
SIZE = ["--image-size", "16", "--attn-heads", "4"]
BARE = [*SIZE, "--objective", "pred_v", "--beta-schedule", "cosine", "--timesteps", "100"]
TIMESTEPS = 25  # of diffusion(): samplers that make them all are verified, and fewer cannot be linear


@pytest.fixture(scope="module")
def unet() -> torch.nn.Module:
    return reference.random_unet(ARGUMENTS, seed=1)


@pytest.fixture(scope="module")
def other() -> torch.nn.Module:
    """Another network of the same shapes."""
    return reference.random_unet(ARGUMENTS, seed=2)


def diffusion(network: torch.nn.Module, objective: str = "pred_noise", **options) -> torch.nn.Module:
    return reference.load_reference().GaussianDiffusion(network, image_size=16, timesteps=TIMESTEPS, beta_schedule="linear", objective=objective, **options)


def under(prefix: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in state.items()}


class Tool:
    """Exports checkpoints in a folder of its own."""

    def __init__(self, folder: Path, capsys) -> None:
        self.folder, self.capsys, self.model = folder, capsys, folder / "model.gguf"

    def save(self, content, name: str = "checkpoint.pt") -> Path:
        path = self.folder / name
        torch.save(content, path)
        return path

    def __call__(self, content, options=()) -> int:
        path = content if isinstance(content, Path) else self.save(content)
        self.capsys.readouterr()
        return export_command.main([str(path), str(self.model), "--type", "f32", *options])

    def takes(self, content, options, state=None) -> Description:
        """What the exporter finds, with the weights of `state`; nothing is written."""
        path = content if isinstance(content, Path) else self.save(content)
        arguments = export_command.parse_arguments([str(path), str(self.model), *options])
        checkpoint = read_checkpoint(path, arguments.weights, arguments.key, earlier=True)
        if state is not None:
            weights = checkpoint.weights
            assert set(weights) == set(state) and all(torch.equal(weights[name], state[name]) for name in state)
        return describe(checkpoint, Options(**{name: getattr(arguments, name) for name in Options.__dataclass_fields__}))

    def refuses(self, content, options, *words: str, code: int = 1) -> str:
        """One line on standard error with these words, without codes for terminals; nothing is written."""
        status = self(content, options)
        error = self.capsys.readouterr().err
        assert status == code and error.count("\n") == 1 and error.rstrip("\n").isprintable(), error
        for word in words:
            assert word in error, error
        assert not self.model.exists()
        return error


@pytest.fixture
def tool(tmp_path, capsys) -> Tool:
    return Tool(tmp_path, capsys)


# ---- names and where they stand --------------------------------------------------


WRAPPED = [
    ("model._orig_mod.", ""), ("model.module.", ""), ("model.module._orig_mod.", ""), ("_orig_mod.model.", "_orig_mod."),
    ("module.model._orig_mod.", "module."), ("ema_model.model._orig_mod.", "ema_model."), ("online_model._orig_mod.model.module.", "online_model._orig_mod."),
    ("net.diffusion.model._orig_mod.", "net.diffusion."), ("model.denoise_fn._orig_mod.", "model."),
]  # fmt: skip


@pytest.mark.parametrize(("of_network", "of_buffers"), WRAPPED)
def test_schedule_beside_a_wrapped_network(tool, unet, of_network, of_buffers):
    """The schedule is that of the buffers, wherever wrappers stand, and no option overrules it."""
    state = diffusion(unet, "pred_v").state_dict()
    content = {(of_network + name[len("model.") :] if name.startswith("model.") else of_buffers + name): tensor for name, tensor in state.items()}
    file = tool.takes(content, SIZE, unet.state_dict())
    assert file.timesteps == TIMESTEPS and file.beta_schedule == "linear"
    assert file.objective == "pred_v"
    tool.refuses(content, [*SIZE, "--beta-schedule", "cosine"], "--beta-schedule cosine", "linear")
    tool.refuses(content, [*SIZE, "--timesteps", "100"], "--timesteps 100", str(TIMESTEPS))


def test_modules_that_are_really_wrapped(tool, unet):
    """DataParallel and torch.compile around the network, around GaussianDiffusion, around a part, and both."""
    wrap, parallel = torch.compile, torch.nn.DataParallel
    own = reference.random_unet(ARGUMENTS, seed=1)  # its parts are replaced
    own.mid_attn, own.downs[0][0] = wrap(own.mid_attn), parallel(own.downs[0][0])
    for module in (*(wrap(unet), parallel(wrap(unet)), wrap(parallel(unet)), own),):
        tool.takes(module.state_dict(), BARE, unet.state_dict())
    whole = diffusion(unet)
    inner = diffusion(unet)
    inner.model = wrap(parallel(unet))
    for module in (wrap(whole), parallel(wrap(whole)), inner, wrap(inner)):
        file = tool.takes({"model": module.state_dict()}, SIZE, unet.state_dict())
        assert file.timesteps == TIMESTEPS and file.objective == "pred_noise"


def test_lightning(tool, unet, other):
    state = {**under("diffusion.", diffusion(unet, "pred_x0").state_dict()), **under("ema.ema_model.", diffusion(other, "pred_x0").state_dict())}
    content = {
        "epoch": 3, "global_step": 100, "pytorch-lightning_version": "2.4.0", "state_dict": state,
        "callbacks": {"ModelCheckpoint{'monitor': None}": {"best_model_score": torch.tensor(1.0), "dirpath": "x"}},
        "optimizer_states": [{"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"betas": (0.9, 0.999)}]}],
        "lr_schedulers": [{"timesteps": 7}], "loops": {}, "hyper_parameters": {"lr": 1e-4, "image_size": 16, "attn_heads": 4},
    }  # fmt: skip
    file = tool.takes(content, [], other.state_dict())
    assert file.objective == "pred_x0" and file.unet["attn_heads"] == 4
    tool.takes(content, ["--weights", "online"], unet.state_dict())
    tool.refuses(content, ["--image-size", "32"], "--image-size 32x32", "hyper_parameters.image_size", "16x16")


def test_an_average_without_a_schedule_of_its_own(tool, unet, other):
    """The only schedule of the file is that of both; two that differ are none."""
    content = {"model": diffusion(unet).state_dict(), "ema": other.state_dict()}
    file = tool.takes(content, SIZE, other.state_dict())
    assert file.timesteps == TIMESTEPS
    tool.refuses(content, [*SIZE, "--timesteps", str(TIMESTEPS + 1)], f"--timesteps {TIMESTEPS + 1}", str(TIMESTEPS))
    ours, theirs = torch.linspace(1e-4, 0.02, 50), torch.linspace(1e-4, 0.02, 40)
    tool.refuses({"model": unet.state_dict(), "a": {"betas": ours}, "b": {"betas": theirs}}, BARE, "a and b", "differ")


def test_tables_that_contradict_each_other(tool, unet):
    state = diffusion(unet).state_dict()
    state["alphas_cumprod"] = state["alphas_cumprod"] ** 2
    tool.refuses(state, SIZE, "'alphas_cumprod'", "'betas'")


def test_swa_and_averages_without_names(tool, unet, other):
    averaged = torch.optim.swa_utils.AveragedModel(other)
    tool.takes({"model": unet.state_dict(), "ema": averaged.state_dict()}, BARE, other.state_dict())
    shadow = {"decay": 0.99, "shadow_params": list(other.parameters())}
    tool.takes({"model": diffusion(unet).state_dict(), "ema": shadow}, SIZE, other.state_dict())


def test_folders_of_accelerate(tool, unet, tmp_path):
    folder = tmp_path / "checkpoint_3"
    folder.mkdir()
    tool.refuses(folder, [], "no config.json")
    state = {name: tensor.contiguous() for name, tensor in diffusion(unet).state_dict().items()}
    safetensors.torch.save_file(state, folder / "model.safetensors")
    torch.save({"state": {}}, folder / "optimizer.bin")
    file = tool.takes(folder, SIZE, unet.state_dict())
    assert file.timesteps == TIMESTEPS
    (folder / "model.safetensors").rename(folder / "weights.bin")  # by its content, not by its name
    tool.takes(folder / "weights.bin", SIZE, unet.state_dict())
    names = list(state)
    for at, part in enumerate((names[:40], names[40:]), start=1):
        safetensors.torch.save_file({name: state[name] for name in part}, folder / f"model-{at:05}-of-00002.safetensors")
    index = {"weight_map": {name: f"model-{1 + (at >= 40):05}-of-00002.safetensors" for at, name in enumerate(names)}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    tool.takes(folder, SIZE, unet.state_dict())
    index["weight_map"]["betas"] = "../checkpoint.pt"
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    tool.refuses(folder, SIZE, "../checkpoint.pt")


# ---- several networks -----------------------------------------------------------------


def test_two_networks_are_asked_for(tool, unet, other):
    one, two = unet.state_dict(), other.state_dict()
    pairs = [
        ({"teacher": one, "student": two}, ("teacher", "student")),
        ({**under("teacher.", one), **under("student.", two)}, ("teacher", "student")),
        ({"teacher": {"model": diffusion(unet, "pred_v").state_dict()}, "student": {"model": diffusion(other, "pred_v").state_dict()}}, ("teacher", "student")),
        ({"model": one, "semantic": two}, ("model", "semantic")),
        ({"semantic": one, "cinema": two}, ("semantic", "cinema")),
        ({"model": one, "model_premaster": two}, ("model", "model_premaster")),
        ({"models": [one, two]}, ("models.0", "models.1")),
        ({"model": one, "net": two}, ("model", "net")),
    ]
    for content, (first, second) in pairs:
        options = SIZE if "betas" in str(content.keys()) or isinstance(content.get("teacher", {}).get("model"), dict) else BARE
        tool.refuses(content, options, "--key", first, second)
        tool.takes(content, [*options, "--key", first], one)
        tool.takes(content, [*options, "--key", second], two)
        tool.refuses(content, [*options, "--key", second[:-1]], f"--key {second[:-1]}", first, second)


def test_the_same_network_twice_is_one(tool, unet):
    state = unet.state_dict()
    tool.takes({**under("unet.", state), **under("compiled._orig_mod.", state)}, BARE, state)


@pytest.mark.parametrize(
    "name",
    ["ema", "ema_model", "model_ema", "EMA", "ema_state_dict", "unet_ema", "averaged_model", "model_ema_state_dict", "params_ema", "ema_0.9999", "ema-weights"],
)
def test_averages_go_by_whole_parts(tool, unet, other, name):
    content = {"model": unet.state_dict(), name: other.state_dict()}
    tool.takes(content, BARE, other.state_dict())
    tool.takes(content, [*BARE, "--weights", "online"], unet.state_dict())


def test_an_average_and_what_a_trainer_goes_on_with(tool, unet, other):
    """The average at one place, the network in training elsewhere: one training. A teacher is another."""
    online, average = unet.state_dict(), other.state_dict()
    for content in (
        {"ema": average, "trainer": {"online": online, "seconds": 3}},
        {"ema": average, "training_state": {"model": online}},
        {"averaged": {"network": average}, "resume": {"step": 3}, "state": {"online_model": online}},
        {**under("trainer.online.", online), **under("ema.module.", average)},
    ):
        tool.takes(content, BARE, average)
        tool.takes(content, [*BARE, "--weights", "online"], online)
    tool.refuses({"ema": average, "teacher": online}, BARE, "--key ema", "--key teacher")
    tool.refuses({"ema": average, "trainer": {"teacher": online}}, BARE, "--key ema", "--key trainer.teacher")


def test_averages_of_two_decays(tool, unet, other):
    content = {"ema": {"0.999": unet.state_dict(), "0.9999": other.state_dict()}}
    tool.refuses(content, BARE, "--key ema.0.999", "--key ema.0.9999")
    tool.takes(content, [*BARE, "--key", "ema.0.999"], unet.state_dict())
    tool.takes(content, [*BARE, "--key", "0.9999"], other.state_dict())


def test_averages_of_two_networks(tool, unet, other):
    student = reference.random_unet(ARGUMENTS, seed=3).state_dict()
    content = {"teacher": unet.state_dict(), "student": {"model": other.state_dict(), "ema": student}}
    tool.refuses(content, BARE, "teacher", "student.ema")
    tool.takes(content, [*BARE, "--key", "student"], student)
    tool.takes(content, [*BARE, "--key", "student", "--weights", "online"], other.state_dict())
    tool.refuses(content, [*BARE, "--key", "teacher", "--weights", "ema"], "no ema weights")


def test_heads_are_asked_for_or_taken_from_the_file(tool):
    """Eight heads of 16 have the shapes of four of 32."""
    state = reference.random_unet({**ARGUMENTS, "attn_heads": 8, "attn_dim_head": 16}, seed=1).state_dict()
    without = [option for option in BARE if option not in ("--attn-heads", "4")]
    tool.refuses(state, without, "--attn-heads", "128", code=2)
    assert tool.takes(state, [*without, "--attn-heads", "8"], state).unet["attn_dim_head"] == 16
    said = {"model": state, "args": argparse.Namespace(attn_heads=8)}
    assert tool.takes(said, without, state).unet["attn_dim_head"] == 16
    assert tool.takes({"model": state, "config": {"model": {"attn_dim_head": 16}}}, without, state).unet["attn_heads"] == 8
    tool.refuses(said, BARE, "--attn-heads 4", "args.attn_heads", "8")
    record = {"unet": {**ARGUMENTS, "attn_heads": 8, "attn_dim_head": 16}, "model": state}
    tool.refuses(record, BARE, "--attn-heads 4", "8")


# ---- what the file says ---------------------------------------------------------------


@pytest.mark.parametrize("objective", ["pred_noise", "pred_x0", "pred_v"])
@pytest.mark.parametrize("min_snr", [None, 5, 0.5])
def test_objective_by_the_weights_of_the_loss(tool, unet, objective, min_snr):
    """Read off, and what contradicts it is refused, whatever the precision of the buffers."""
    options = {} if min_snr is None else {"min_snr_loss_weight": True, "min_snr_gamma": min_snr}
    for dtype in (torch.float32, torch.bfloat16, torch.float16) if min_snr == 5 else (torch.float32,):
        state = {name: tensor.to(dtype) for name, tensor in diffusion(unet, objective, **options).state_dict().items()}
        content = {"step": 1, "model": state}
        assert tool.takes(content, SIZE).objective == objective
        for wrong in {"pred_noise", "pred_x0", "pred_v"} - {objective}:
            tool.refuses(content, [*SIZE, "--objective", wrong], f"--objective {wrong}", objective, "loss_weight")


def test_other_weights_of_the_loss_tell_nothing(tool, unet):
    state = diffusion(unet).state_dict()
    state["loss_weight"] = torch.linspace(1, 2, TIMESTEPS)
    tool.refuses(state, SIZE, "--objective", code=2)
    assert tool.takes(state, [*SIZE, "--objective", "pred_v"]).objective == "pred_v"
    del state["loss_weight"]
    tool.refuses(state, SIZE, "--objective", code=2)


def test_settings_of_training_loops(tool, unet):
    """Whatever a loop stored of the diffusion counts, and contradicts what contradicts it."""
    settings = {"objective": "pred_x0", "beta_schedule": "cosine", "timesteps": 250, "image_size": 24, "attn_heads": 4}
    state = unet.state_dict()
    for content in (
        {"model": state, "args": argparse.Namespace(**settings)},
        {"state_dict": state, "hyper_parameters": settings},
        {"model": state, "config": {"diffusion": types.SimpleNamespace(**settings)}},
        {"net": state, **settings},
        {"model": state, "config": {**settings, "prediction_type": "sample", "num_train_timesteps": np.int64(250)}},
    ):
        data = tool.takes(content, [])
        assert (data.objective, data.beta_schedule, data.timesteps) == ("pred_x0", "cosine", 250)
        assert data.image_width == 24
        for option, value, said in (
            ("objective", "pred_v", "pred_x0"),
            ("beta-schedule", "linear", "cosine"),
            ("timesteps", "100", "250"),
            ("image-size", "16", "24x24"),
        ):
            tool.refuses(content, [f"--{option}", value], f"--{option} {value}", said)
    twice = {"model": state, "args": settings, "config": {"timesteps": 300}}
    tool.refuses(twice, [], "timesteps", "250", "300")
    assert tool.takes(twice, ["--timesteps", "300"]).timesteps == 300


def test_settings_against_buffers(tool, unet):
    content = {"model": diffusion(unet).state_dict(), "args": argparse.Namespace(timesteps=1000)}
    tool.refuses(content, SIZE, "timesteps", str(TIMESTEPS), "1000", "args.timesteps")
    assert tool.takes(content, [*SIZE, "--timesteps", str(TIMESTEPS)]).timesteps == TIMESTEPS
    tool.refuses(content, [*SIZE, "--timesteps", "1000"], "--timesteps 1000", str(TIMESTEPS))


# ---- objects beside the weights ---------------------------------------------------------


class Settings:
    """An object of a class that only the training program knows."""

    def __init__(self) -> None:
        self.lr = 1e-4


def test_harmless_objects(tool, unet):
    content = {
        "model": diffusion(unet).state_dict(),
        "args": argparse.Namespace(lr=1e-4, out=pathlib.PurePosixPath("runs/a"), betas=(0.9, 0.99)),
        "loss": np.float64(0.5), "best": np.float32(0.25), "step": np.int64(7), "done": np.bool_(True), "history": np.arange(4.0),
        "names": np.array(["a", "b"]), "rng": np.random.RandomState(0).get_state(), "metrics": collections.defaultdict(list, fid=[1.0]),
        "seen": {1, 2}, "space": types.SimpleNamespace(x=1), "path": Path("x"), "torch": torch.__version__, "empty": None,
    }  # fmt: skip
    for zipped in (True, False):  # of PyTorch 1.6 and later, and before
        path = tool.folder / "checkpoint.pt"
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
        tool.takes(path, SIZE, unet.state_dict())


def test_numpy_1(tool, unet):
    """NumPy 1 called its module numpy.core."""
    path = tool.save({"model": diffusion(unet).state_dict(), "loss": np.float64(0.5)})
    torch.save({"model": diffusion(unet).state_dict(), "loss": np.float64(0.5)}, path, _use_new_zipfile_serialization=False)
    data = path.read_bytes()
    assert b"numpy._core.multiarray\n" in data
    path.write_bytes(data.replace(b"numpy._core.multiarray\n", b"numpy.core.multiarray\n"))
    tool.takes(path, SIZE, unet.state_dict())


@pytest.mark.parametrize("zipped", [True, False])
def test_foreign_objects_are_named_with_the_line_that_helps(tool, unet, zipped, monkeypatch):
    """The line is run; what it saves can be exported."""
    path = tool.folder / "check point.pt"
    monkeypatch.setitem(sys.modules, "classifier_free_guidance", reference.load_reference())
    content = {"model": diffusion(unet).state_dict(), "settings": Settings(), "list": [1, Settings()], "unet": unet}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    error = tool.refuses(path, SIZE, "Settings", "weights alone")
    assert "classifier_free_guidance." in error or not zipped
    command = shlex.split(error[error.index("python -c") :].strip())
    assert command[:2] == ["python", "-c"] and len(command) == 3
    exec(command[2], {})  # noqa: S102 -- what a user would run
    tool.takes(path.with_name("check point.weights.pt"), [*SIZE, "--key", "model"], unet.state_dict())


def test_files_of_other_kinds_in_a_line(tool):
    for content in (b"", b"PK\3\4 no archive", b"<!DOCTYPE html>", b"version https://git-lfs.github.com/spec/v1\n", b"\x80\x04\x95garbage"):
        path = tool.folder / "file.pt"
        path.write_bytes(content)
        assert "weights_only" not in tool.refuses(path, SIZE, "file.pt", "PyTorch file")


# ---- the package itself --------------------------------------------------------------------


def save_by_package(folder: Path, out: Path, *options: str) -> Path:
    assert training_run.call(package_checkpoint.save, str(folder), str(out), *options) == 0
    return out


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    """What the Trainer of the tested version saves."""
    installed = Path(reference.importlib.util.find_spec(reference.PACKAGE).submodule_search_locations[0]).parent
    return save_by_package(installed, tmp_path_factory.mktemp("plain") / "model-10.pt")


def test_plain_trainer_checkpoint(tool, plain):
    content = torch.load(plain, weights_only=True)
    average = {name.removeprefix("ema_model.model."): tensor for name, tensor in content["ema"].items() if name.startswith("ema_model.model.")}
    file = tool.takes(plain, SIZE, average)
    assert (file.objective, file.beta_schedule, file.timesteps) == ("pred_noise", "linear", package_checkpoint.TIMESTEPS)
    tool.refuses(plain, [*SIZE, "--objective", "pred_v"], "--objective pred_v", "pred_noise")
    tool.refuses(plain, [], "--image-size", "--attn-heads", code=2)


def test_lines_of_the_documents(tool, plain, repository, monkeypatch):
    """The two lines that README and guide give, the same ones, on a plain Trainer checkpoint."""
    lines, others = (
        [line for line in (repository / document).read_text(encoding="utf-8").splitlines() if " model-10.pt model.gguf" in line and "python" in line]
        for document in ("README.md", "docs/guide.md")
    )
    assert len(lines) == 2 and lines == others, (lines, others)
    options = [shlex.split(line.split("#")[0].split(" model-10.pt model.gguf")[1]) for line in lines]
    assert "--image-size" in options[0] and "--class-names" in options[0]
    (tool.folder / "model-10.pt").write_bytes(plain.read_bytes())
    monkeypatch.chdir(tool.folder)
    assert export_command.main(["model-10.pt", "model.gguf", *options[0]]) == 0
    assert verify.main(["model-10.pt", "model.gguf", "--quick", *options[1]]) == 0


def grouped(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """With a group norm wherever blocks have an RMS norm, as before 2.0.0."""
    norms = {name: tensor for name, tensor in state.items() if re.search(r"block\d\.norm\.g$", name)}
    biases = {f"{name[:-1]}bias": tensor.reshape(-1) / 3 for name, tensor in norms.items()}
    return {f"{name[:-1]}weight" if name in norms else name: tensor.reshape(-1) if name in norms else tensor for name, tensor in state.items()} | biases


def test_versions_before_2_by_the_trainer_and_by_tensors(tool, plain):
    """What tells a version, what contradicts it, and what is asked for where nothing tells."""
    content = torch.load(plain, weights_only=True)
    for version in ("1.7.3", "1.11.1", "0.27"):
        tool.refuses({**content, "version": version}, SIZE, f"its Trainer's version is {version}, but there are no group norms")
    for version in ("2.0.0", "2.10.1", None):
        tool.takes({**content, "version": version}, SIZE)
    tool.takes({"model": content["model"], "version": "1.0", "author": "me"}, SIZE)  # of somebody's own loop
    tool.refuses(content, [*SIZE, "--package-version", "1.8.0"], "--package-version: not of networks of 2.0.0 and later")
    before = grouped(content["model"])
    for version in ("1.0.0", "1.7.3", "1.11.1"):
        told = {"step": 1, "model": before, "opt": {}, "ema": {}, "scaler": None, "version": version}
        assert tool.takes(told, SIZE).package_version == tuple(map(int, version.split(".")))
        tool.refuses(told, [*SIZE, "--package-version", "1.9.0"], "--package-version 1.9.0 contradicts the checkpoint")
    tool.refuses({**told, "version": "2.1.0"}, SIZE, "its Trainer's version is 2.1.0, but 'downs.0.0.block1.norm.bias'", "of a group norm")
    tool.refuses({"model": before}, SIZE, "--package-version", "up to 1.6.4, to 1.7.0, of 1.7.1, to 1.7.3 and of 1.7.4 on", code=2)
    assert tool.takes({"model": before}, [*SIZE, "--package-version", "1.8"]).package_version == (1, 8, 0)
    assert tool.takes({**told, "version": "1.8.0"}, [*SIZE, "--package-version", "1.8"]).package_version == (1, 8, 0)
    for version in ("2.0.0", "0.27.12", "latest"):
        tool.refuses({"model": before}, [*SIZE, "--package-version", version], f"package-version {version}")
    early = {"model": {**before, "p2_loss_weight": torch.ones(package_checkpoint.TIMESTEPS)}}
    assert tool.takes(early, SIZE).package_version == (1, 4, 6)
    assert tool.takes(early, [*SIZE, "--package-version", "1.2.0"]).package_version == (1, 2, 0)
    tool.refuses(early, [*SIZE, "--package-version", "1.5.0"], "--package-version 1.5.0 contradicts the checkpoint", "up to 1.4.6")


@pytest.mark.slow
def test_network_before_2(tool, unet, capsys):
    """Exported as a list of operations, verified, and not taken for one of another version."""
    content = {"step": 1, "model": grouped(diffusion(unet, "pred_v").state_dict()), "opt": {}, "ema": {}, "scaler": None, "version": "1.8.0"}
    path = tool.save(content)
    assert tool(path, SIZE) == 0
    assert verify.main([str(path), str(tool.model), "--quick"]) == 0, capsys.readouterr()
    capsys.readouterr()
    older = tool.save({**content, "version": "1.7.3"}, "older.pt")
    assert verify.main([str(older), str(tool.model), "--quick"]) == 1
    said = capsys.readouterr().out
    assert "FAIL  the file's list of operations" in said and "abar in the engine" in said
    assert "forward t =" not in said and "x_t" not in said and "Against the weights" not in said  # of two networks
    assert verify.main([str(tool.save(diffusion(unet).state_dict(), "later.pt")), str(tool.model)]) == 1
    assert "2.0.0 or later" in capsys.readouterr().err
    with pytest.raises(CheckpointError, match=r"before 2\.0\.0: export it"):  # judge and trainer have the network of today alone
        read_checkpoint(path)


def test_groups_that_nothing_tells():
    with pytest.raises(CheckpointError, match="group norms of 12 channels"):
        earlier.build_unet({"dim": 12, "dim_mults": (1,), "channels": 3, "num_classes": 3}, {}, (1, 8, 0))


@pytest.mark.slow
@pytest.mark.parametrize("version", ["0.27.12", "1.0.0", "1.4.6", "1.6.4", "1.7.0", "1.7.1", "1.7.2", "1.7.3", "1.7.4", "1.11.1", "2.0.0", "2.1.0", "2.2.5"])
def test_versions_of_the_package(tool, tmp_path, version):
    """Checkpoints that the Trainer of each version saves, and the predictions of that version's own network; 0.27 has no classes."""
    folder = tmp_path / "package"
    options = ["--quiet", "--no-deps", "--no-compile", "--disable-pip-version-check", "--target", str(folder)]
    command = [sys.executable, "-m", "pip", "install", *options, f"denoising-diffusion-pytorch=={version}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    path = save_by_package(folder, tmp_path / "model-1.pt", "pred_noise", str(tmp_path / "said.pt"))
    if version.startswith("0."):
        tool.refuses(path, SIZE, "'classes_emb.weight' is missing", "--network")
        return
    file = tool.takes(path, [*SIZE, "--objective", "pred_noise"])
    x, expected = package_checkpoint.noise(), [each[0] for each in torch.load(tmp_path / "said.pt", weights_only=True)]
    weights = read_checkpoint(path, earlier=True).weights
    if file.package_version is None:
        unet = reference.build_unet(file.unet, weights)
        ours = [reference.forward(unet, x[0], 9, label) for label in (1, None)]
    else:
        assert file.package_version == tuple(map(int, version.split(".")))
        assert tool(path, [*SIZE, "--objective", "pred_noise"]) == 0
        with pocket_diffusion.load(tool.model) as model:
            ours = [torch.from_numpy(model.predict(x[0].numpy(), 9, label).copy()) for label in (1, None)]
    for one, other in zip(ours, expected):
        # Both by PyTorch, or one by the engine.
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6 if file.package_version is None else 2e-5 * float(other.abs().max()))


# ---- what verify can and cannot see ------------------------------------------------------------


def test_a_picture_where_nothing_tells(tool, unet):
    """Of a bare state dict: what nobody can know is listed, and the reference draws a picture to look at."""
    from PIL import Image

    checkpoint = tool.save(unet.state_dict())
    assert export_command.main([str(checkpoint), str(tool.model), *BARE, "--steps", "3"]) == 0
    assert "unchecked" in tool.capsys.readouterr().out
    picture = tool.folder / "seen.png"
    assert verify.main([str(checkpoint), str(tool.model), "--quick", "--picture", str(picture)]) == 0
    said = tool.capsys.readouterr().out
    for word in ("objective pred_v", "beta-schedule cosine", "timesteps 100", "attn-heads 4", str(picture), "junk"):
        assert word in said, said
    file = read_model(tool.model)
    generation = reference.Generation(0, 7, "ddim", 3, 0.0, guidance_scale=3.0)
    subject = verify.Subject.read(tool.model)
    drawn = reference.trajectory(subject.unet, file.alphas_cumprod, "pred_v", file.network_shape, generation)[-1]
    assert np.array_equal(np.asarray(Image.open(picture)), reference.to_pixels(drawn, 1))
    assert verify.main([str(checkpoint), str(tool.model), "--quick", "--json"]) == 0
    result = json.loads(tool.capsys.readouterr().out)
    assert "objective pred_v" in result["unsaid"] and Path(result["picture"]).is_file()


def test_no_picture_where_the_checkpoint_tells_all(tool, unet):
    record = {
        "unet": dict(ARGUMENTS), "ema": unet.state_dict(), "classes": ["a", "b", "c"], "image": {"width": 16, "height": 16}, "pixel_unshuffle": 1,
        "diffusion": {"image_size": 16, "timesteps": 50, "objective": "pred_x0", "beta_schedule": "linear"},
    }  # fmt: skip
    checkpoint = tool.save(record)
    assert export_command.main([str(checkpoint), str(tool.model), "--steps", "3"]) == 0
    assert "unchecked" not in tool.capsys.readouterr().out
    assert verify.main([str(checkpoint), str(tool.model), "--quick"]) == 0
    assert "Nothing in the checkpoint tells" not in tool.capsys.readouterr().out
    assert not list(tool.folder.glob("*.png"))


@pytest.mark.parametrize(
    ("name", "right", "wrong"), [("digits", "pred_noise", "pred_v"), ("digits", "pred_noise", "pred_x0"), ("letters", "pred_v", "pred_noise")]
)
def test_trained_networks_show_a_wrong_objective(tool, repository, name, right, wrong):
    """As a bare state dict, with nothing beside the weights that tells."""
    file = read_model(repository / "weights" / f"{name}.gguf")
    checkpoint = tool.save({"model": file.weights, "betas": torch.from_numpy(1 - file.alphas_cumprod / np.append(1.0, file.alphas_cumprod[:-1]))})
    data = file.metadata
    options = ["--image-size", f"{data['image.width']}x{data['image.height']}", "--pixel-unshuffle", str(data["image.pixel_unshuffle"])]
    options += ["--attn-heads", str(file.unet["attn_heads"]), "--steps", "2", "--type", "f32"]
    for objective, code in ((right, 0), (wrong, 1)):
        assert export_command.main([str(checkpoint), str(tool.model), *options, "--objective", objective]) == 0
        tool.capsys.readouterr()
        assert verify.check_objective(verify.Subject.read(tool.model))[0].passed == (code == 0)
