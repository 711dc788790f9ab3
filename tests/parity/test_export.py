"""The exporter: what it reads, what it writes (against independent decoding), and what it refuses."""

import hashlib
import io
import json
import math
import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest
import safetensors.torch
import torch
from pocket_diffusion import export_command, recommend, reference
from pocket_diffusion.checkpoint import CheckpointError, describe, infer_unet_arguments, read_checkpoint
from pocket_diffusion.model_file import General, Recommendation, encode_all, read_model, write_model

ARGUMENTS = {"dim": 32, "num_classes": 3, "dim_mults": (1, 2), "channels": 4, "cond_drop_prob": 0.25}
BARE_OPTIONS = ["--image-size", "16", "--objective", "pred_v", "--beta-schedule", "cosine", "--timesteps", "100", "--attn-heads", "4"]


@pytest.fixture(scope="module")
def unet() -> torch.nn.Module:
    return reference.random_unet(ARGUMENTS, seed=1)


@pytest.fixture
def state(unet) -> dict[str, torch.Tensor]:
    """A copy, to be spoiled."""
    return {name: tensor.clone() for name, tensor in unet.state_dict().items()}


def training_record(state: dict[str, torch.Tensor]) -> dict:
    return {
        "unet": dict(ARGUMENTS),
        "ema": state,
        "diffusion": {"image_size": 8, "timesteps": 200, "objective": "pred_x0", "beta_schedule": "linear"},
        "pixel_unshuffle": 2,
        "image": {"height": 16, "width": 24, "channels": 1},
        "classes": ["one", "two", "drei – 3"],
        "step": 7,
    }


class Exported:
    """Result of one run of the exporter."""

    def __init__(self, folder: Path, content, options=(), suffix=".pt") -> None:
        source, self.path = folder / f"checkpoint{suffix}", folder / "model.gguf"
        if isinstance(content, bytes):
            source.write_bytes(content)
        elif suffix == ".safetensors":
            safetensors.torch.save_file(content, source)
        else:
            torch.save(content, source)
        self.code = export_command.main([str(source), str(self.path), *options])

    @property
    def reader(self) -> gguf.GGUFReader:
        return gguf.GGUFReader(self.path)

    @property
    def fields(self) -> dict:
        return {key: field.contents() for key, field in self.reader.fields.items()}


def assert_refused(exported: Exported, capsys, *words: str, code: int = 1) -> None:
    """One line on standard error with these words; nothing written."""
    error = capsys.readouterr().err
    assert exported.code == code
    assert error.count("\n") == 1 and error.startswith("export: "), error
    for word in words:
        assert word in error, error
    assert not exported.path.exists() and not list(exported.path.parent.glob("*.partial"))


# ---- what is written ----------------------------------------------------------


def test_metadata(tmp_path, state):
    texts = {"name": "Näme", "description": "d", "license": "MIT", "author": "a", "source-url": "https://example.org/"}
    options = [part for key, value in texts.items() for part in (f"--{key}", value)]
    recommended = ["--sampler", "ddpm", "--steps", "33", "--guidance-scale", "2.5", "--eta", "0.5"]
    recommended += ["--time-grid", "karras", "--guidance-interval", "20,150", "--rescale", "0.5", "--projection", "--rendering", "ink"]
    exported = Exported(tmp_path, training_record(state), [*options, *recommended, "--type", "f32"])
    assert exported.code == 0
    fields = exported.fields
    assert fields["general.architecture"] == "pocket-diffusion"
    for key, value in texts.items():
        assert fields[f"general.{key.replace('-', '.')}"] == value
    expected = {
        "format_version": 1,
        "unet.dim": 32,
        "unet.init_dim": 32,
        "unet.out_dim": 4,
        "unet.dim_mults": [1, 2],
        "unet.channels": 4,
        "unet.num_classes": 3,
        "unet.cond_drop_prob": 0.25,
        "unet.learned_sinusoidal_cond": False,
        "unet.random_fourier_features": False,
        "unet.learned_sinusoidal_dim": 16,
        "unet.attn_dim_head": 32,
        "unet.attn_heads": 4,
        "image.width": 24,
        "image.height": 16,
        "image.channels": 1,
        "image.pixel_unshuffle": 2,
        "image.value_range": [-1.0, 1.0],
        "class_names": ["one", "two", "drei – 3"],
        "diffusion.timesteps": 200,
        "diffusion.beta_schedule": "linear",
        "diffusion.objective": "pred_x0",
        "sampling.sampler": "ddpm",
        "sampling.steps": 33,
        "sampling.guidance_scale": 2.5,
        "sampling.eta": 0.5,
        "sampling.time_grid": "karras",
        "sampling.guidance_interval": [20, 150],
        "sampling.rescale": 0.5,
        "sampling.projection": True,
        "image.rendering": "ink",
    }
    ours = {key.removeprefix("pocket-diffusion."): value for key, value in fields.items() if key.startswith("pocket-diffusion.")}
    table = ours.pop("diffusion.alphas_cumprod")
    assert ours == expected
    # beta rises linearly from 0.0001 to 0.02 for 1,000 steps, and 5 times as much for 200
    betas = np.linspace(5e-4, 0.1, 200)
    np.testing.assert_allclose(table, np.cumprod(1 - betas), rtol=1e-13)


def test_recommendations_of_a_file_are_changed_and_nothing_else(tmp_path, state, capsys):
    manifest = tmp_path / "manifest.json"
    first = Exported(tmp_path, training_record(state), ["--guidance-interval", "20,150", "--eta", "0.25", "--name", "Näme", "--license", "MIT"])
    before, tensors = first.fields, [(tensor.name, tensor.tensor_type, bytes(tensor.data)) for tensor in first.reader.tensors]
    changed = tmp_path / "changed.gguf"
    assert (
        recommend.main(
            [
                str(first.path),
                "--output",
                str(changed),
                "--guidance-scale",
                "1.5",
                "--guidance-interval",
                "all",
                "--time-grid",
                "karras",
                "--manifest",
                str(manifest),
            ]
        )
        == 0
    )
    reader = gguf.GGUFReader(changed)
    assert [(tensor.name, tensor.tensor_type, bytes(tensor.data)) for tensor in reader.tensors] == tensors
    ours = "pocket-diffusion.sampling."
    expected = {**before, f"{ours}guidance_scale": 1.5, f"{ours}time_grid": "karras"}
    del expected[f"{ours}guidance_interval"]
    after = {key: field.contents() for key, field in reader.fields.items()}
    assert {key: value for key, value in after.items() if not key.startswith("GGUF.")} == {
        key: value for key, value in expected.items() if not key.startswith("GGUF.")
    }
    data = changed.read_bytes()
    entry = {"name": "Näme", "file": "changed.gguf", "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "license": "MIT"}
    assert json.loads(manifest.read_text(encoding="utf-8")) == {"models": [entry]}
    # What was there before makes the file of before.
    assert recommend.main([str(changed), "--guidance-scale", "3", "--guidance-interval", "20,150", "--time-grid", "linear"]) == 0
    assert changed.read_bytes() == first.path.read_bytes()
    capsys.readouterr()
    for options in (["--steps", "201"], ["--guidance-interval", "0,200"]):
        assert recommend.main([str(changed), *options]) == 1
        assert capsys.readouterr().err.startswith("recommend: --")
    assert changed.read_bytes() == first.path.read_bytes()


def test_types_of_metadata(tmp_path, state):
    fields = Exported(tmp_path, training_record(state), ["--guidance-interval", "0,9"]).reader.fields
    kinds = gguf.GGUFValueType
    types = {key.removeprefix("pocket-diffusion."): tuple(field.types[:2]) for key, field in fields.items()}
    assert types["diffusion.alphas_cumprod"] == (kinds.ARRAY, kinds.FLOAT64)
    assert types["image.value_range"] == (kinds.ARRAY, kinds.FLOAT32)
    assert types["unet.dim_mults"] == (kinds.ARRAY, kinds.UINT32)
    assert types["class_names"] == (kinds.ARRAY, kinds.STRING)
    assert types["sampling.guidance_interval"] == (kinds.ARRAY, kinds.UINT32)
    assert not {"sampling.time_grid", "sampling.rescale", "sampling.projection", "image.rendering"} & set(types)  # they would say what their absence says
    assert types["unet.dim"] == (kinds.UINT32,) and types["unet.cond_drop_prob"] == (kinds.FLOAT32,)
    assert types["unet.learned_sinusoidal_cond"] == (kinds.BOOL,)


def test_layout_of_rows(tmp_path, state):
    """Element by element, from the words of docs/format.md: rows [out, kh * kw * in], `in` fastest."""
    reader = Exported(tmp_path, training_record(state), ["--type", "f32"]).reader
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    assert list(tensors) == list(state)
    for name, weight in state.items():
        shape, data = tensors[name].shape.tolist()[::-1], tensors[name].data
        if name.endswith((".g", ".bias")) or weight.ndim == 1:
            assert shape == [weight.numel()] and np.array_equal(data, weight.reshape(-1))
        elif weight.ndim == 4:
            out, inner, height, width = weight.shape
            assert shape == [out, inner * height * width], name
            for o, i, y, x in ((0, 0, 0, 0), (1, 2, height - 1, 0), (out - 1, inner - 1, 0, width - 1), (2, 1, height // 2, width // 2)):
                assert data[o, (y * width + x) * inner + i] == weight[o, i, y, x], name
        else:
            assert shape == list(weight.shape) and np.array_equal(data, weight), name


def test_data_is_gapless_and_padded(tmp_path, state):
    """Offsets read from the raw bytes: every tensor, the last one too, ends at a multiple of 32."""
    exported = Exported(tmp_path, training_record(state))
    size = exported.path.stat().st_size
    position = None
    for tensor in exported.reader.tensors:
        assert position is None or tensor.data_offset == position
        assert tensor.data_offset % 32 == 0
        position = -(-(tensor.data_offset + tensor.n_bytes) // 32) * 32
    assert position == size


def test_q8_0_against_own_decoder(tmp_path, state):
    """Blocks of a float16 scale and 32 signed bytes."""
    exported = Exported(tmp_path, training_record(state), ["--type", "q8_0"])
    raw = exported.path.read_bytes()
    seen = set()
    for tensor in exported.reader.tensors:
        seen.add((tensor.tensor_type.name, tensor.shape[0] % 32 == 0 and len(tensor.shape) == 2))
        if tensor.tensor_type.name != "Q8_0":
            continue
        weight = state[tensor.name]
        rows = (weight.permute(0, 2, 3, 1) if weight.ndim == 4 else weight).reshape(-1).numpy()
        for block in range(0, rows.size // 32, 97):
            at = tensor.data_offset + 34 * block
            scale, *levels = struct.unpack_from("<e32b", raw, at)
            decoded = scale * np.array(levels)
            assert np.abs(decoded - rows[32 * block : 32 * block + 32]).max() <= abs(scale) * 0.5 + np.abs(decoded).max() * 2**-10
    # matrices of whole blocks are Q8_0, the stem (here 196 a row) F16, vectors F32
    assert seen == {("Q8_0", True), ("F16", False), ("F32", False)}


def test_widths_that_fill_no_blocks(tmp_path):
    """dim 20: most rows are no multiples of 32. Where all values of a matrix are one, they are stored as a single row."""
    small = reference.random_unet({"dim": 20, "num_classes": 2, "dim_mults": (1, 2), "channels": 3}, seed=5).state_dict()
    exported = Exported(tmp_path, small, [*BARE_OPTIONS, "--attn-heads", "4"])
    stored = {tensor.name: (len(tensor.shape), tensor.tensor_type.name) for tensor in exported.reader.tensors}
    assert stored["init_conv.weight"] == (2, "F16")  # the stem, 147 a row
    assert stored["classes_emb.weight"] == (2, "F16")  # 40 values in all
    assert stored["downs.0.0.block1.proj.weight"] == (2, "F16")  # 20 rows of 180: 112.5 blocks
    assert stored["downs.1.3.weight"] == (1, "Q8_0")  # 40 rows of 180
    assert stored["mid_block1.block1.proj.weight"] == (1, "Q8_0")  # 40 rows of 360
    assert stored["time_mlp.3.weight"] == (1, "Q8_0") and stored["mid_block1.block1.norm.g"] == (1, "F32")
    for name, weight in read_model(exported.path).weights.items():
        assert (weight - small[name]).abs().max() <= 0.005 * small[name].abs().max(), name


@pytest.mark.parametrize(("wanted", "relative"), [("f32", 0.0), ("f16", 2**-11)])
def test_precision(tmp_path, state, wanted, relative):
    exported = Exported(tmp_path, training_record(state), ["--type", wanted])
    for name, weight in read_model(exported.path).weights.items():
        assert ((weight - state[name]).abs() <= relative * state[name].abs() + (2**-25 if relative else 0)).all(), name


def test_blocks_of_zeros(tmp_path, state):
    state["downs.0.0.block1.proj.weight"][:3] = 0
    state["final_conv.weight"].zero_()
    weights = read_model(Exported(tmp_path, training_record(state)).path).weights
    assert not weights["downs.0.0.block1.proj.weight"][:3].any() and weights["downs.0.0.block1.proj.weight"][3:].any()
    assert not weights["final_conv.weight"].any()


def test_same_bytes_every_time(tmp_path, state):
    first = Exported(tmp_path, training_record(state)).path.read_bytes()
    assert Exported(tmp_path, training_record(state)).path.read_bytes() == first


def test_gguf_dump_lists_it(tmp_path, state):
    exported = Exported(tmp_path, training_record(state))
    listing = subprocess.run([sys.executable, "-m", "gguf.scripts.gguf_dump", exported.path], check=False, capture_output=True, text=True)
    assert listing.returncode == 0
    assert "pocket-diffusion.diffusion.alphas_cumprod" in listing.stdout and "final_conv.weight" in listing.stdout


def test_table(tmp_path, state, capsys):
    """The RMS error of the printed table, computed again from the file."""
    exported = Exported(tmp_path, training_record(state))
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("convolution 4x4"))
    _kind, _size, type_, tensors, values, bytes_, error, largest = line.split()
    weight = state["downs.0.3.weight"].double()
    difference = read_model(exported.path).weights["downs.0.3.weight"].double() - weight
    assert (type_, tensors, values, bytes_) == ("Q8_0", "1", "16,384", "17,408")
    assert math.isclose(float(error.rstrip("%")) / 100, float(difference.norm() / weight.norm()), rel_tol=1e-3)
    assert math.isclose(float(largest), float(difference.abs().max()), rel_tol=0.05)


def test_manifest(tmp_path, state):
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"models": [{"name": "other", "file": "other.gguf"}, {"name": "old", "file": "model.gguf"}]}))
    exported = Exported(tmp_path, training_record(state), ["--name", "n", "--license", "MIT", "--manifest", str(manifest)])
    data = exported.path.read_bytes()
    assert json.loads(manifest.read_text())["models"] == [
        {"name": "n", "file": "model.gguf", "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "license": "MIT"},
        {"name": "other", "file": "other.gguf"},
    ]


# ---- what is read ---------------------------------------------------------------


def assert_same_weights(exported: Exported, state: dict[str, torch.Tensor]) -> None:
    assert exported.code == 0
    weights = read_model(exported.path).weights
    assert set(weights) == set(state) and all(torch.equal(weights[name], state[name]) for name in state)


@pytest.mark.parametrize("prefix", ["", "model.", "module.", "module.model.", "ema_model.", "ema_model.model.", "online_model.", "_orig_mod."])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_prefixes(tmp_path, state, prefix, suffix):
    content = {prefix + name: tensor for name, tensor in state.items()}
    assert_same_weights(Exported(tmp_path, content, [*BARE_OPTIONS, "--type", "f32"], suffix), state)


def trainer_checkpoint(unet: torch.nn.Module, averaged: dict[str, torch.Tensor], schedule: str) -> dict:
    """As the reference's trainer saves it: GaussianDiffusion, optimiser, and ema-pytorch with both copies."""
    diffusion = reference.load_reference().GaussianDiffusion(unet, image_size=16, timesteps=60, beta_schedule=schedule)
    state = diffusion.state_dict()
    average = {name: averaged.get(name.removeprefix("model."), tensor) for name, tensor in state.items()}
    optimizer = torch.optim.Adam(reference.random_unet(ARGUMENTS, seed=3).requires_grad_(True).parameters())
    return {
        "step": 10,
        "model": state,
        "opt": optimizer.state_dict(),
        "ema": {
            "initted": torch.tensor([True]),
            "step": torch.tensor([10]),
            **{f"online_model.{name}": tensor for name, tensor in state.items()},
            **{f"ema_model.{name}": tensor for name, tensor in average.items()},
        },
        "scaler": None,
        "version": "2.3.4",
    }


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("wanted", ["auto", "ema", "online"])
def test_trainer_checkpoint(tmp_path, unet, schedule, wanted):
    """Picks the average unless told otherwise; timesteps and schedule come from the buffers."""
    averaged = reference.random_unet(ARGUMENTS, seed=2).state_dict()
    content = trainer_checkpoint(unet, averaged, schedule)
    options = ["--image-size", "16", "--attn-heads", "4", "--type", "f32", "--weights", wanted]
    exported = Exported(tmp_path, content, options)
    assert_same_weights(exported, unet.state_dict() if wanted == "online" else averaged)
    file = read_model(exported.path)
    assert file.metadata["diffusion.beta_schedule"] == schedule and file.metadata["diffusion.timesteps"] == 60
    # not the float32 buffers, but what they were rounded from
    np.testing.assert_allclose(file.alphas_cumprod, torch.cumprod(1 - reference.schedule_betas(schedule, 60), 0), rtol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_schedule_is_recognised_from_rounded_buffers(tmp_path, unet, dtype):
    diffusion = reference.load_reference().GaussianDiffusion(unet, image_size=16, timesteps=1000, beta_schedule="cosine")
    content = {name: tensor.to(dtype) for name, tensor in diffusion.state_dict().items()}
    content = {name: tensor for name, tensor in content.items() if torch.isfinite(tensor).all()}  # others overflow in float16
    exported = Exported(tmp_path, content, ["--image-size", "16", "--attn-heads", "4"])
    assert exported.fields["pocket-diffusion.diffusion.beta_schedule"] == "cosine"


def test_custom_schedule(tmp_path, state):
    """An unknown schedule is derived from the betas, more precisely than from abar rounded to float32."""
    betas = 0.0001 + 0.03 * np.linspace(0, 1, 250) ** 3
    exact = np.cumprod(1 - betas)
    content = {f"model.{name}": tensor for name, tensor in state.items()}
    content["betas"] = torch.from_numpy(betas).float()
    content["alphas_cumprod"] = torch.from_numpy(exact).float()
    fields = Exported(tmp_path, content, ["--image-size", "16", "--objective", "pred_v", "--attn-heads", "4"]).fields
    assert fields["pocket-diffusion.diffusion.beta_schedule"] == "custom"
    table = np.array(fields["pocket-diffusion.diffusion.alphas_cumprod"])
    np.testing.assert_allclose(1 - table, 1 - exact, rtol=1e-6)


def test_half_precision_and_strided_tensors(tmp_path, state):
    state["init_conv.weight"] = state["init_conv.weight"].to(memory_format=torch.channels_last)
    state["mid_block1.mlp.1.weight"] = state["mid_block1.mlp.1.weight"].T.contiguous().T
    assert not state["init_conv.weight"].is_contiguous() and not state["mid_block1.mlp.1.weight"].is_contiguous()
    for i, name in enumerate(state):
        state[name] = state[name].to((torch.float32, torch.bfloat16, torch.float16, torch.float64)[i % 4])
    exported = Exported(tmp_path, training_record(state), ["--type", "f32"])
    assert_same_weights(exported, {name: tensor.float() for name, tensor in state.items()})


ARCHITECTURES = [
    {"dim": 8, "num_classes": 1, "dim_mults": (1,), "channels": 1},
    {"dim": 10, "num_classes": 4, "dim_mults": (1, 1, 2), "channels": 5, "init_dim": 14},
    {"dim": 12, "num_classes": 2, "dim_mults": (1, 2, 2, 4, 3), "out_dim": 7},
    {"dim": 16, "num_classes": 2, "dim_mults": (2, 1), "learned_variance": True},
    {"dim": 9, "num_classes": 2, "dim_mults": (1, 2), "learned_sinusoidal_cond": True, "learned_sinusoidal_dim": 6},
    {"dim": 16, "num_classes": 2, "dim_mults": (1, 2), "random_fourier_features": True},
    {"dim": 16, "num_classes": 2, "dim_mults": (1, 2), "attn_heads": 3, "attn_dim_head": 11},
]


@pytest.mark.parametrize("arguments", ARCHITECTURES, ids=str)
def test_arguments_are_inferred_from_shapes(tmp_path, arguments):
    """The network rebuilt from the file is the one that was saved."""
    unet = reference.random_unet(arguments, seed=4)
    options = ["--attn-heads", str(arguments["attn_heads"])] if "attn_heads" in arguments else []
    if arguments.get("random_fourier_features"):
        options += ["--fourier", "random"]
    exported = Exported(tmp_path, unet.state_dict(), [*BARE_OPTIONS, *options, "--type", "f32"])
    assert_same_weights(exported, unet.state_dict())
    file = read_model(exported.path)
    for key, value in arguments.items():
        assert file.unet.get(key, value) == value or key == "learned_variance"
    assert file.unet["out_dim"] == unet.out_dim
    rebuilt = reference.build_unet(file.unet, file.weights)
    x = torch.randn(unet.channels, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(reference.forward(rebuilt, x, 33, 0), reference.forward(unet, x, 33, 0))


def test_head_sizes_must_be_told(tmp_path, capsys):
    unet = reference.random_unet({**ARGUMENTS, "attn_heads": 3, "attn_dim_head": 11}, seed=4)
    assert_refused(Exported(tmp_path, unet.state_dict(), BARE_OPTIONS[:-2]), capsys, "--attn-heads", "--attn-dim-head", "33", code=2)
    assert_refused(Exported(tmp_path, unet.state_dict(), BARE_OPTIONS), capsys, "mid_attn")
    assert read_model(Exported(tmp_path, unet.state_dict(), [*BARE_OPTIONS[:-2], "--attn-dim-head", "11"]).path).unet["attn_heads"] == 3


def test_class_names(tmp_path, state, capsys):
    assert Exported(tmp_path, state, BARE_OPTIONS).fields["pocket-diffusion.class_names"] == ["class 0", "class 1", "class 2"]
    names = tmp_path / "names.txt"
    names.write_text("é\n b \nc\n", encoding="utf-8")
    for given in ("é,b,c", str(names)):
        exported = Exported(tmp_path, state, [*BARE_OPTIONS, "--class-names", given])
        assert exported.fields["pocket-diffusion.class_names"] == ["é", "b", "c"]
    exported.path.unlink()
    capsys.readouterr()
    assert_refused(Exported(tmp_path, state, [*BARE_OPTIONS, "--class-names", "a,b"]), capsys, "2 class names for 3")
    assert_refused(Exported(tmp_path, state, [*BARE_OPTIONS, "--class-names", "a,b,a"]), capsys, "'a' is used twice")
    assert_refused(Exported(tmp_path, state, [*BARE_OPTIONS, "--class-names", "a,,c"]), capsys, "''")


# ---- what is refused ---------------------------------------------------------------


def test_missing_options_are_asked_for_at_once(tmp_path, state, capsys):
    assert_refused(Exported(tmp_path, state), capsys, "--image-size", "--objective", "--beta-schedule", "--timesteps", code=2)


def test_usage(tmp_path):
    for arguments, code in ((["--help"], 0), ([], 2), (["a", "b", "--type", "q4_k"], 2), (["a", "b", "--eta", "2"], 2)):
        with pytest.raises(SystemExit) as exit_:
            export_command.main(arguments)
        assert exit_.value.code == code
    assert export_command.main([str(tmp_path / "none.pt"), str(tmp_path / "model.gguf")]) == 1


@pytest.mark.parametrize(
    ("option", "value", "word"),
    [
        ("--objective", "pred_v", "pred_x0"),
        ("--timesteps", "100", "200"),
        ("--image-size", "32", "24x16"),
        ("--beta-schedule", "cosine", "linear"),
        ("--pixel-unshuffle", "1", "2"),
    ],
)
def test_contradictions(tmp_path, state, capsys, option, value, word):
    assert_refused(Exported(tmp_path, training_record(state), [option, value]), capsys, option, word)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_non_finite_weights(tmp_path, state, capsys, value):
    state["ups.0.0.block1.proj.weight"][1, 2, 0, 1] = value
    assert_refused(Exported(tmp_path, training_record(state)), capsys, "'ups.0.0.block1.proj.weight'", str(value), "[1, 2, 0, 1]")


def test_too_large_for_half_precision(tmp_path, state, capsys):
    state["final_conv.weight"][0, 0] = 70000.0
    assert_refused(Exported(tmp_path, training_record(state), ["--type", "f16"]), capsys, "'final_conv.weight'", "--type f32")
    assert Exported(tmp_path, training_record(state), ["--type", "f32"]).code == 0


def test_other_architectures(tmp_path, state, capsys):
    """The first key that does not fit is named."""
    assert_refused(Exported(tmp_path, {"conv_in.weight": torch.zeros(1), "conv_in.bias": torch.zeros(1)}, BARE_OPTIONS), capsys, "'conv_in.weight'")
    extra = {**state, "late.extra": torch.zeros(1)}
    assert_refused(Exported(tmp_path, extra, BARE_OPTIONS), capsys, "'late.extra'")
    unconditional = {name: tensor for name, tensor in state.items() if "classes" not in name}
    assert_refused(Exported(tmp_path, unconditional, BARE_OPTIONS), capsys, "'classes_emb.weight'")
    shape = {**state, "mid_block1.block1.proj.weight": torch.zeros(64, 64, 5, 5)}
    assert_refused(Exported(tmp_path, shape, BARE_OPTIONS), capsys, "'mid_block1.block1.proj.weight'", "[64, 64, 3, 3]")
    transposed = {**state, "time_mlp.1.weight": state["time_mlp.1.weight"].T}
    assert_refused(Exported(tmp_path, transposed, BARE_OPTIONS), capsys, "'time_mlp.1.weight'")
    lacking = {name: tensor for name, tensor in state.items() if name != "final_conv.bias"}
    assert_refused(Exported(tmp_path, lacking, BARE_OPTIONS), capsys, "'final_conv.bias'", "missing")
    integers = {**state, "final_conv.bias": torch.zeros(4, dtype=torch.int64)}
    assert_refused(Exported(tmp_path, integers, BARE_OPTIONS), capsys, "'final_conv.bias'", "int64")
    assert_refused(Exported(tmp_path, {"step": 3}), capsys, "no tensors")
    assert_refused(Exported(tmp_path, [torch.zeros(1)]), capsys, "list")


def test_record_that_contradicts_the_weights(tmp_path, state, capsys):
    record = training_record(state)
    record["unet"]["num_classes"] = 4
    record["classes"].append("four")
    assert_refused(Exported(tmp_path, record), capsys, "num_classes 3", "4")


@pytest.mark.parametrize("size", ["15", "16x18", "0", "2048"])
def test_picture_sizes(tmp_path, state, capsys, size):
    options = [*BARE_OPTIONS, "--image-size", size, "--pixel-unshuffle", "2"]
    if size == "0":
        with pytest.raises(SystemExit):
            Exported(tmp_path, state, options)
    else:
        assert_refused(Exported(tmp_path, state, options), capsys, "multiples of 4")


def test_schedule_that_reaches_zero(tmp_path, state, capsys):
    """The reference's linear schedule with 20 steps ends at beta = 1: nothing is left of the picture."""
    options = ["--image-size", "16", "--objective", "pred_v", "--beta-schedule", "linear", "--timesteps", "20"]
    assert_refused(Exported(tmp_path, state, options), capsys, "abar[19]")


def test_long_names(tmp_path, state):
    path = tmp_path / "c.pt"
    torch.save(training_record(state), path)
    description = describe(read_checkpoint(path))
    weights = {"n" * 64: torch.zeros(4)}
    with pytest.raises(CheckpointError, match="63 bytes"):
        write_model(tmp_path / "model.gguf", description, weights, encode_all(weights, "f32"), General("n"), Recommendation())
    assert not (tmp_path / "model.gguf").exists()


class _Exploit:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return (os.mkdir, (str(self.mark),))


def test_pickles_do_not_run(tmp_path, state, capsys):
    mark = tmp_path / "was-run"
    record = {**training_record(state), "extra": _Exploit(mark)}
    buffer = io.BytesIO()
    torch.save(record, buffer)
    assert_refused(Exported(tmp_path, buffer.getvalue()), capsys, "not unpickled")
    assert_refused(Exported(tmp_path, pickle.dumps(_Exploit(mark))), capsys)
    assert not mark.exists()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_files_of_other_kinds(tmp_path, state, capsys, suffix):
    buffer = io.BytesIO()
    torch.save(training_record(state), buffer)
    for content in (b"", b"<!doctype html>", bytes(100), buffer.getvalue()[: len(buffer.getvalue()) // 2], bytes(range(256)) * 16):
        assert_refused(Exported(tmp_path, content, suffix=suffix), capsys)


def test_failure_keeps_the_old_file(tmp_path, state, monkeypatch):
    """Also when the disk fills up half-way."""
    exported = Exported(tmp_path, training_record(state))
    before = exported.path.read_bytes()

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(gguf.GGUFWriter, "write_tensors_to_file", fail)
    assert Exported(tmp_path, training_record(state), ["--type", "f32"]).code == 1
    assert exported.path.read_bytes() == before
    assert not list(tmp_path.glob(".*partial"))


def test_inference_alone():
    """All that shapes tell, from a network with no default value."""
    unet = reference.random_unet(
        {
            "dim": 14,
            "num_classes": 5,
            "dim_mults": (2, 3),
            "channels": 6,
            "init_dim": 10,
            "out_dim": 9,
            "learned_sinusoidal_cond": True,
            "learned_sinusoidal_dim": 4,
            "attn_heads": 5,
            "attn_dim_head": 7,
        },
        seed=0,
    )
    assert infer_unet_arguments(unet.state_dict()) == {
        "dim": 14,
        "num_classes": 5,
        "init_dim": 10,
        "out_dim": 9,
        "dim_mults": (2, 3),
        "channels": 6,
        "learned_sinusoidal_dim": 4,
        "fourier": True,
        "attn_hidden": 35,
    }


def test_fourier_option_needs_fourier_features(tmp_path, state, capsys):
    assert_refused(Exported(tmp_path, state, [*BARE_OPTIONS, "--fourier", "random"]), capsys, "time_mlp.0.weights")


def test_networks_that_cannot_be_sampled(tmp_path, capsys):
    unet = reference.random_unet({**ARGUMENTS, "learned_variance": True}, seed=0)
    exported = Exported(tmp_path, unet.state_dict(), BARE_OPTIONS)
    assert exported.code == 0 and "not be sampled" in capsys.readouterr().out
    assert read_model(exported.path).unet["out_dim"] == 8


# ---- what is shipped -----------------------------------------------------------------


def test_shipped_models(repository):
    """The manifest tells the truth about every file beside it."""
    manifest = json.loads((repository / "weights" / "manifest.json").read_text())
    assert {model["file"] for model in manifest["models"]} == {path.name for path in (repository / "weights").glob("*.gguf")}
    for model in manifest["models"]:
        data = (repository / "weights" / model["file"]).read_bytes()
        assert (model["bytes"], model["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
        assert model["license"] and (repository / "weights" / model["file"]).with_suffix(".md").exists()


def test_shipped_digits(repository):
    path = repository / "weights" / "digits.gguf"
    assert path.stat().st_size <= 450_000
    file = read_model(path)
    data = file.metadata
    assert [data[f"sampling.{key}"] for key in ("sampler", "steps", "guidance_scale", "eta")] == ["dpmpp-2m-sde", 20, 2.0, 0.0]
    assert data["class_names"] == [str(digit) for digit in range(10)]
    assert (data["diffusion.objective"], data["diffusion.beta_schedule"]) == ("pred_noise", "linear")
    assert np.allclose(file.alphas_cumprod, np.cumprod(1 - np.linspace(1e-4, 0.02, 1000)), rtol=1e-12)  # Ho et al. 2020, section 4


def test_shipped_doodles(repository):
    path = repository / "weights" / "doodles.gguf"
    assert path.stat().st_size <= 1_900_000
    data = read_model(path).metadata
    assert [data[f"sampling.{key}"] for key in ("sampler", "steps", "guidance_scale", "eta")] == ["unipc", 10, 3.0, 0.0]
    assert data["class_names"] == ["airplane", "banana", "bird", "book", "cat", "clock", "dog", "flower", "house", "rainbow"]


@pytest.mark.parametrize(("name", "most", "scale", "channels", "classes"), [("letters", 2_600_000, 3.0, 1, 62), ("characters", 2_500_000, 1.0, 3, 254)])
def test_shipped_models_with_a_shifted_schedule(repository, name, most, scale, channels, classes):
    path = repository / "weights" / f"{name}.gguf"
    assert path.stat().st_size <= most
    file = read_model(path)
    data = file.metadata
    assert [data[f"sampling.{key}"] for key in ("sampler", "steps", "guidance_scale", "eta")] == ["unipc", 12, scale, 0.0]
    assert data["image.channels"] == channels and len(set(data["class_names"])) == classes
    cosine = np.cumprod(1 - reference.schedule_betas("cosine", 1000).numpy())
    log_snr = np.log(cosine / (1 - cosine)) - 2 * np.log(2)  # Hoogeboom et al. 2023, for twice the side
    np.testing.assert_allclose(file.alphas_cumprod, 1 / (1 + np.exp(-log_snr)), rtol=1e-9)
