"""`export` for any network: the command line, the documentation's examples, folders of diffusers."""

import json
import re
import sys
import types
from pathlib import Path

import network_styles
import numpy as np
import pocket_diffusion
import pytest
import torch
from network_styles import scattered
from pocket_diffusion import export_command, recommend, verify
from pocket_diffusion.graph import comparing, exporting, read
from pocket_diffusion.graph.interpreter import Interpreter
from pocket_diffusion.graph.ir import GraphError, Value, Weight
from pocket_diffusion.graph.read import read_graph
from torch import nn

MODULE = """
import torch
import pocket_diffusion as pd
from torch import nn

class Net(nn.Module):
    def __init__(self, resize="nearest"):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.label, self.resize = nn.Conv2d(3, 3, 3, padding=1), nn.Embedding(3, 3), resize

    def forward(self, x, t, y):
        h = nn.functional.interpolate(x, scale_factor=2, mode=self.resize)
        return nn.functional.avg_pool2d(self.conv(h) + self.label(y)[..., None, None], 2)

def build():
    return {"network": Net(), "shape": (3, 8, 8), "classes": ["cat", "dog"], "null": 2, "process": pd.Process.table("cosine", timesteps=50)}

def cubic():
    return {**build(), "network": Net("bicubic")}

def nothing():
    return Net()
"""


@pytest.fixture
def module(tmp_path) -> Path:
    path = tmp_path / "some_model.py"
    path.write_text(MODULE)
    return path


def run(capsys, *arguments) -> tuple[int, str, str]:
    code = export_command.main([str(each) for each in arguments])
    return code, *capsys.readouterr()


def test_command(module, tmp_path, capsys):
    out = tmp_path / "model.gguf"
    code, said, _ = run(
        capsys, "--network", f"{module}:build", out, "--type", "f32", "--license", "MIT", "--steps", "7", "--guidance-scale", "2", "--class-names", "a,b"
    )
    assert code == 0
    metadata = read_graph(out).metadata
    assert metadata["class_names"] == ["a", "b"]
    assert (metadata["sampling.steps"], metadata["sampling.guidance_scale"]) == (7, 2)
    assert re.search(r"linear|conv +1 ", said)
    assert re.search(r"engine +within \d", said)
    assert re.search(r"^expected +about [\d.e-]+ ms", said, re.MULTILINE)
    assert re.search(r"list +within \d", said)
    assert f"{out.stat().st_size:,} bytes" in said


def test_command_refuses(module, tmp_path, capsys):
    out = tmp_path / "model.gguf"
    for arguments, code, message in (
        (["--network", f"{module}:cubic", out], 1, r"(?s)upsample_bicubic2d.*some_model\.py\", line 13, in forward: h = nn\.functional\.interpolate"),
        (["--network", f"{module}:absent", out], 1, "has no function 'absent'"),
        (["--network", f"{module}:nothing", out], 1, "must return a dictionary"),
        (["--network", f"{tmp_path}/none.py:build", out], 1, "a file that is there"),
        (["--network", f"{module}:build", out, "--timesteps", "10"], 1, "--timesteps: the network itself says this"),
        (["--network", f"{module}:build", out, "--bytes", "1k"], 1, "--bytes 1000: the smallest file of this network has about"),
        (["--network", f"{module}:build", out, "--steps", "51"], 1, "50 timesteps"),
        (["--network", f"{module}:build", module, out], 2, "one of the two"),
        ([out], 2, "one of the two"),
        ([tmp_path, out], 1, "no config.json"),
    ):
        got, _, said = run(capsys, *arguments)
        assert got == code, said
        assert re.search(message, said), said
        assert not out.exists()


OTHERS = """
from some_model import Net, build
import pocket_diffusion as pd
import torch

def retrained():
    network = Net()
    with torch.no_grad():
        network.conv.weight[0, 0, 0, 0] += 1
    return {**build(), "network": network}

class Deeper(Net):
    def forward(self, x, t, y):
        return super().forward(super().forward(x, t, y), t, y)

def deeper():
    return {**build(), "network": Deeper()}

def unguided():
    return {**build(), "classes": ["cat", "dog", "none"], "null": None}

def with_three():
    return {**build(), "classes": ["cat", "dog", "none"], "null": 2}

def larger():
    return {**build(), "shape": (3, 8, 16)}

def of_v():
    return {**build(), "process": pd.Process.table("cosine", timesteps=50, objective="v")}

def other_schedule():
    return {**build(), "process": pd.Process.table("linear", timesteps=50)}

def later():
    return {**build(), "process": pd.Process.table("cosine", timesteps=50, times=range(1, 51))}
"""


def test_verify(module, tmp_path, capsys):
    """A file and the network it was made from agree; with another network, a check or an error names what differs."""
    out, others = tmp_path / "model.gguf", module.with_name("others.py")
    others.write_text(OTHERS)
    assert run(capsys, "--network", f"{module}:build", out, "--type", "q5_1", "--sampler", "ddpm", "--steps", "50")[0] == 0

    def verified(network: str, *more: str) -> tuple[int, str]:
        code = verify.main(["--network", network, str(out), "--quick", *more])
        said = capsys.readouterr()
        return code, said.out + said.err

    code, said = verified(f"{module}:build")
    assert code == 0, said
    for line in (
        r"PASS  the file's list of operations",
        r"PASS  weights as F16",
        r"PASS  forward t = 49, null",
        r"PASS  x_t, DDPM 50 steps, scale 3",
        r"objective pred_noise, schedule cosine",
        r"PASS: (\d+) of \1 checks",
    ):
        assert re.search(line, said), said
    assert (tmp_path / "model.reference.png").exists()
    for function, message in (
        ("retrained", r"FAIL  weights as F16 .*conv.weight"),
        ("deeper", r"FAIL  the file's list of operations .*made from something else"),
        ("unguided", "number of classes: 2 in the file, 3"),
        ("with_three", "number of classes: 2 in the file, 3"),
        ("larger", r"shape: \(3, 8, 8\) in the file, \(3, 8, 16\)"),
        ("of_v", "objective: pred_noise in the file, pred_v"),
        ("other_schedule", "FAIL  abar in the file"),
        ("later", "is fed 0 at t = 0 there, 1 here"),
    ):
        code, said = verified(f"{others}:{function}")
        assert code == 1, function
        assert re.search(message, said), said
    assert "file that is there" in verified(f"{tmp_path}/none.py:build")[1]
    assert verify.main([str(out)]) == 2
    assert verify.main([str(module), str(out)]) == 1
    assert "some_model.py" in capsys.readouterr().err
    golden = Path(__file__).parents[1] / "golden" / "tiny.gguf"
    assert verify.main(["--network", f"{module}:build", str(golden)]) == 1
    assert "made from a checkpoint of the reference" in capsys.readouterr().err


def test_recommend(module, tmp_path, capsys):
    """What a file of any network recommends is changed like that of the reference's."""
    out = tmp_path / "model.gguf"
    assert run(capsys, "--network", f"{module}:build", out)[0] == 0
    before = read_graph(out)
    assert recommend.main([str(out), "--steps", "9", "--guidance-scale", "2.5"]) == 0
    after = read_graph(out)
    assert (after.recommended.steps, after.recommended.guidance_scale) == (9, 2.5)
    assert all(torch.equal(after.weights[name], rows) for name, rows in before.weights.items())
    assert pocket_diffusion.load(out).generate(label="cat", seed=1).recipe["options"]["steps"] == 9
    (tmp_path / "one.py").write_text(MODULE + "def unguided():\n    return {**build(), 'classes': ['a', 'b', 'c'], 'null': None}\n")
    assert run(capsys, "--network", f"{tmp_path}/one.py:unguided", out)[0] == 0
    assert recommend.main([str(out), "--guidance-scale", "2"]) == 1
    assert "stands for no class" in capsys.readouterr().err


def test_function_of_the_package(module, tmp_path, monkeypatch):
    """`pocket_diffusion.export` is the function, whatever has been imported before."""
    monkeypatch.syspath_prepend(str(module.parent))
    import some_model

    report = pocket_diffusion.export(**some_model.build(), path=tmp_path / "model.gguf")
    assert report.network.error < 1e-5
    with pytest.raises(pocket_diffusion.GraphError):
        pocket_diffusion.export(**{**some_model.build(), "null": 3}, path=tmp_path / "other.gguf")
    with pytest.raises(AttributeError, match="no attribute 'exports'"):
        _ = pocket_diffusion.exports


def python_blocks() -> list[str]:
    text = (Path(__file__).parents[2] / "docs" / "networks.md").read_text(encoding="utf-8")
    return re.findall(r"^```python[^\n]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def my_network() -> types.ModuleType:
    """What the documentation's examples import, of the styles."""
    module = types.ModuleType("my_network")

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.label = nn.Conv2d(3, 3, 3, padding=1), nn.Embedding(3, 3)

        def forward(self, x, t, y):
            return self.conv(x) + self.label(y)[..., None, None] + t[:, None, None, None] / 1000

    module.Net, module.ContextUnet, module.RowZero = Net, network_styles.OneHotAndMask, network_styles.TimeTable
    module.LabelAdded, module.ClassAsChannels = network_styles.AttentionEverywhere, network_styles.ClassAsChannels
    return module


def test_documented_examples(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "my_network", my_network())
    monkeypatch.chdir(tmp_path)
    blocks = python_blocks()
    assert len(blocks) == 3
    for block in blocks:
        torch.manual_seed(0)
        names: dict = {}
        exec(compile(block, "docs/networks.md", "exec"), names)  # noqa: S102
        builders = [each for name, each in names.items() if isinstance(each, types.FunctionType) and each.__code__.co_filename == "docs/networks.md"]
        for build in builders:
            arguments = build()
            report = pocket_diffusion.export(**{**arguments, "network": scattered(arguments["network"])}, path="other.gguf", type="f32")
            assert report.network.error < 1e-4
    assert (tmp_path / "model.gguf").exists()


def test_folder_of_diffusers(tmp_path, capsys):
    """A pipeline as `save_pretrained` writes it, against the pipeline's own network and scheduler."""
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    unet = diffusers.UNet2DModel(
        sample_size=16, in_channels=1, out_channels=1, layers_per_block=1, block_out_channels=(32, 32), num_class_embeds=4,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    scheduler = diffusers.DDPMScheduler(num_train_timesteps=500, beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction")
    folder, out = tmp_path / "pipeline", tmp_path / "model.gguf"
    scattered(unet).save_pretrained(folder / "unet")
    scheduler.save_pretrained(folder / "scheduler")
    code, _, said = run(capsys, folder, out, "--type", "f32", "--null", "3", "--class-names", "a,b,c")
    assert code == 0, said
    file = read_graph(out)
    metadata = file.metadata
    assert metadata["diffusion.objective"] == "pred_v"
    assert np.allclose(metadata["diffusion.alphas_cumprod"], scheduler.alphas_cumprod.numpy(), rtol=1e-4)
    x = torch.randn(1, 1, 16, 16)
    with torch.no_grad():
        expected = unet.eval()(x, torch.tensor([321]), class_labels=torch.tensor([3])).sample[0]
    assert (Interpreter(file.output)(x[0], 321, 321.0, 3) - expected).abs().max() < 2e-5 * expected.abs().max()
    code = verify.main([str(folder), str(out), "--null", "3", "--quick", "--json"])
    assert code == 0, capsys.readouterr()
    checks = {each["name"]: each["error"] for each in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["weights as F32"] == 0
    assert checks["forward t = 499, null"] < 1e-5
    assert verify.main([str(folder), str(out)]) == 1
    assert "something in it stands for no class, the network's null is None" in capsys.readouterr().err
    config = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    without = {key: value for key, value in config.items() if key != "beta_schedule"}
    for changed, message in (({**config, "prediction_type": "flow"}, "prediction_type 'flow'"), (without, "no table of betas")):
        (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(changed))
        code, _, said = run(capsys, folder, out)
        assert code == 1
        assert message in said
    config = json.loads((folder / "unet" / "config.json").read_text())
    (folder / "unet" / "config.json").write_text(json.dumps({**config, "_class_name": "UNet3DModel"}))
    assert "a UNet3DModel" in run(capsys, folder, out)[2]


def test_engine_of_an_older_build_is_told(tmp_path, module):
    """Whatever the engine says of a file is either the reason why it was not compared, or an error."""
    for message, code, fails in (("'pocket-diffusion.format_version' is 2", "VERSION", False), ("operation 3 (linear) has 1 inputs", "CONFIG", True)):

        def refuses(_path, code=code, message=message):
            raise pocket_diffusion.PocketDiffusionError(code, message)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(exporting, "load", refuses)
            patch.syspath_prepend(str(module.parent))
            import some_model

            if fails:
                with pytest.raises(GraphError, match="the engine refuses the file"):
                    pocket_diffusion.export(**some_model.build(), path=tmp_path / "bad.gguf")
                assert not (tmp_path / "bad.gguf").exists()
            else:
                report = pocket_diffusion.export(**some_model.build(), path=tmp_path / "model.gguf")
                assert report.engine is None
                assert "NOT compared" in str(report)


@pytest.mark.parametrize("change", [{"graph.version": 2}, {"graph.counts": [1]}, {"graph.tensors": ["nowhere"] * 400}, {"graph.inputs": [99] * 400}], ids=str)
def test_arrays_that_do_not_fit(repository, monkeypatch, change):
    said = read.said_by

    def changed(reader):
        metadata, types, general = said(reader)
        return {**metadata, **change}, types, general

    monkeypatch.setattr(read, "said_by", changed)
    with pytest.raises(GraphError, match=r"vocabulary 2|do not fit together"):
        read_graph(repository / "tests/golden/no-classes.gguf")


def test_tables_of_other_sizes_are_other_lists():
    """Of a table before a linear layer the list itself tells no size."""
    one, other = (Value("class", tensors=(Weight("table", torch.zeros(3, width)),)) for width in (32, 48))
    assert comparing.same_operations(one, one)
    assert not comparing.same_operations(one, other)
