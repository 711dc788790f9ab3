"""Any PyTorch network as a list of operations: against PyTorch, in the ways in which people write networks."""

import subprocess
from collections import Counter
from itertools import pairwise
from pathlib import Path

import gguf
import numpy as np
import pocket_diffusion
import pytest
import torch
import torch.nn.functional as F
from network_styles import STYLES, scattered, sines
from pocket_diffusion.graph import exporting
from pocket_diffusion.graph.exporting import Network, export, import_network
from pocket_diffusion.graph.interpreter import Interpreter
from pocket_diffusion.graph.ir import GraphError, Value, as_text, in_order, multiplications
from pocket_diffusion.graph.process import Process
from pocket_diffusion.graph.read import read_graph
from pocket_diffusion.graph.trace import call
from torch import nn

ROOT = Path(__file__).resolve().parents[2]
PROCESS = Process.table("linear", timesteps=1000)
FAST = {"time_table", "class_as_channels", "windows", "linear_attention", "score_style"}  # those that PyTorch traces in a second
UNFUSED = {"softmax", "matmul", "batch_norm"}


def imported(network: nn.Module, shape=(3, 8, 8), classes=(), null=None, process=PROCESS) -> Network:
    return import_network(network, shape, classes, null, process)


def counts(network: Network) -> Counter:
    return Counter(value.name for value in network.operations)


class Wrapped(nn.Module):
    """A function of x [1, 3, 8, 8] and the time as a network."""

    def __init__(self, function, **modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, module in modules.items():
            self.add_module(name, scattered(module))

    def forward(self, x, t):
        return self.function(self, x, t)


def of(function, **modules: nn.Module) -> Network:
    torch.manual_seed(0)
    return imported(Wrapped(function, **modules))


def built(name: str) -> tuple[nn.Module, dict]:
    torch.manual_seed(0)
    network, arguments = STYLES[name]()
    count = arguments.pop("classes")
    shape, null = arguments.pop("shape"), arguments.pop("null")
    names = [f"class {label}" for label in range(count)]
    return scattered(network), {"shape": shape, "classes": names, "null": null, "process": Process.table(**arguments)}


# ---- networks as people write them ------------------------------------------------


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in STYLES])
def test_styles(name, tmp_path):
    """The list as it is read back from a file says what PyTorch says, at other inputs than those that the exporter compares."""
    network, arguments = built(name)
    report = export(network, tmp_path / "model.gguf", **arguments, type="f32")
    assert report.engine is not None
    assert report.engine <= 2e-5
    file = read_graph(tmp_path / "model.gguf")
    output, metadata = file.output, file.metadata
    run, process, module = Interpreter(output), arguments["process"], report.network.module
    labels = report.network.labels or (None,)
    for seed, t in enumerate((0, 1, process.timesteps // 3, process.timesteps - 2)):
        row = (seed + 1) % len(labels)
        x = torch.randn(1, *arguments["shape"], generator=torch.Generator().manual_seed(100 + seed))
        label = None if labels[row] is None else torch.tensor([labels[row]])
        with torch.no_grad():
            expected = call(module, x, torch.tensor([float(process.times[t])]), label)[0]
        ours = run(x[0], t, float(process.times[t]), row)
        assert (ours - expected).abs().max() <= 2e-5 * expected.abs().max()
    assert metadata.get("class_names", []) == arguments["classes"]
    assert np.array_equal(metadata["diffusion.alphas_cumprod"], process.alphas_cumprod)
    values = in_order(output)
    assert not UNFUSED & {value.name for value in values}
    assert len(values) < 1.2 * report.network.traced
    work = {value.name: 0 for value in values}
    for value in values:
        work[value.name] += multiplications(value)
    fast = sum(work.get(name, 0) for name in ("linear", "conv", "conv_transpose", "attention", "linear_attention"))
    assert fast / sum(work.values()) > 0.9, as_text(output)


# ---- attention in the ways in which it is written ----------------------------------


def heads_of(m, x, heads=4):
    q, k, v = m.qkv(x).reshape(1, 3, heads, -1, 64).unbind(1)  # [1, heads, d, positions]
    return q, k, v


def by_einsum(m, x, _t):
    q, k, v = heads_of(m, x)
    scores = torch.einsum("bhdi,bhdj->bhij", q * 8**-0.5, k)
    return m.out(torch.einsum("bhij,bhdj->bhid", scores.softmax(dim=-1), v).transpose(2, 3).reshape(1, 32, 8, 8))


def by_matmul_with_largest_taken_away(m, x, _t):
    q, k, v = (each.transpose(2, 3) for each in heads_of(m, x))
    scores = q @ k.transpose(-1, -2) / 8**0.5
    scores = scores - scores.amax(dim=-1, keepdim=True)
    return m.out((F.softmax(scores, -1) @ v).transpose(2, 3).reshape(1, 32, 8, 8))


def by_bmm_of_folded_heads(m, x, _t):
    q, k, v = (each.reshape(4, 8, 64) for each in heads_of(m, x))
    weights = torch.softmax(torch.bmm(q.transpose(1, 2) * 8**-0.25, k * 8**-0.25).float(), dim=-1).type(q.dtype)
    return m.out(torch.bmm(v, weights.permute(0, 2, 1)).reshape(1, 32, 8, 8))


def by_transposed_scores(m, x, _t):
    q, k, v = heads_of(m, x)
    scores = torch.einsum("bhdj,bhdi->bhji", k, q) * 0.3
    return m.out(torch.einsum("bhdj,bhji->bhdi", v, scores.softmax(dim=2)).reshape(1, 32, 8, 8))


def by_the_function(m, x, _t):
    q, k, v = (each.transpose(2, 3) for each in heads_of(m, x))
    return m.out(F.scaled_dot_product_attention(q, k, v).transpose(2, 3).reshape(1, 32, 8, 8))


@pytest.mark.parametrize("way", [by_einsum, by_matmul_with_largest_taken_away, by_bmm_of_folded_heads, by_transposed_scores, by_the_function])
def test_attention_is_recognised(way):
    network = of(way, qkv=nn.Conv2d(3, 96, 1), out=nn.Conv2d(32, 3, 1))
    found = counts(network)
    assert found["attention"] == 1
    assert not {"softmax", "matmul", "permute", "mul", "scale"} & set(found), as_text(network.output)
    (attention,) = (value for value in network.operations if value.name == "attention")
    assert attention.integers == (4,)


def test_attention_with_mask_and_causal():
    def network(m, x, _t):
        q, k, v = (each.transpose(2, 3) for each in heads_of(m, x))
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        scores = (q @ k.transpose(-1, -2)).masked_fill(torch.arange(64)[None] % 3 == 1, float("-inf")) + 0.1 * torch.arange(64)[:, None]
        b = scores.softmax(-1) @ v
        return m.out((a + b).transpose(2, 3).reshape(1, 32, 8, 8))

    found = counts(of(network, qkv=nn.Conv2d(3, 96, 1), out=nn.Conv2d(32, 3, 1)))
    assert found["attention"] == 2
    assert not {"softmax", "matmul"} & set(found)


def test_what_is_no_attention_stays_products():
    """Scores that are used otherwise as well, and a softmax over something else."""

    def network(m, x, _t):
        q, k, v = (each.transpose(2, 3) for each in heads_of(m, x))
        scores = q @ k.transpose(-1, -2)
        return m.out((scores.softmax(1) @ v + scores.sigmoid() @ v).transpose(2, 3).reshape(1, 32, 8, 8))

    found = counts(of(network, qkv=nn.Conv2d(3, 96, 1), out=nn.Conv2d(32, 3, 1)))
    assert found["matmul"] == 3
    assert found["softmax"] == 1


def test_linear_attention_with_and_without_softmax():
    def network(m, x, _t):
        q, k, v = heads_of(m, x)
        soft = torch.einsum("bhde,bhdn->bhen", torch.einsum("bhdn,bhen->bhde", k.softmax(-1), v / 64), q.softmax(-2) * 8**-0.5)
        kernel = ((v @ F.relu(k).transpose(-1, -2)) @ F.relu(q)) / 64
        return m.out((soft + kernel).reshape(1, 32, 8, 8))

    network = of(network, qkv=nn.Conv2d(3, 96, 1), out=nn.Conv2d(32, 3, 1))
    found = counts(network)
    assert found["linear_attention"] == 2
    assert not {"softmax", "matmul"} & set(found)
    assert sorted(value.integers[1] for value in network.operations if value.name == "linear_attention") == [0, 1]


# ---- fusion -----------------------------------------------------------------------------


def channels_first_norm(x, g):
    return (x - x.mean(dim=1, keepdim=True)) * (x.var(dim=1, unbiased=False, keepdim=True) + 1e-5).rsqrt() * g


def unbiased_norm(x):
    variance, mean = torch.var_mean(x, dim=1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + 1e-2)


def inner_gain_norm(x, gain):
    rows = x.movedim(1, -1)
    return (rows * (gain * (rows.square().mean(-1, keepdim=True) + 1e-2).rsqrt())).movedim(-1, 1)


FUSED = {
    "convolution, batch norm, silu": (lambda m, x, t: m.out(m.norm(m.conv(x))), {"conv": nn.Conv2d(3, 8, 3, padding=1), "norm": nn.Sequential(nn.BatchNorm2d(8), nn.SiLU())}, {"conv": 1, "linear": 1}),
    "group norm, scale and shift, silu": (
        lambda m, x, t: m.out(F.silu(m.norm(m.conv(x)) * (1 + m.a(t)[..., None, None]) + m.b(t)[..., None, None])),
        {"conv": nn.Conv2d(3, 8, 1), "norm": nn.GroupNorm(2, 8), "a": nn.Linear(1, 8), "b": nn.Linear(1, 8)},
        {"linear": 4, "group_norm": 1, "time": 1},
    ),
    "layer norm written out": (lambda m, x, t: m.out(channels_first_norm(m.conv(x), m.g.weight.reshape(1, 8, 1, 1))), {"conv": nn.Conv2d(3, 8, 1), "g": nn.Linear(1, 8)}, {"linear": 2, "layer_norm": 1}),
    "layer norm with an unbiased variance": (lambda m, x, t: m.out(unbiased_norm(m.conv(x)) * m.g.weight.reshape(1, 8, 1, 1) + m.g.bias), {"conv": nn.Conv2d(3, 8, 1), "g": nn.Linear(8, 1)}, {"linear": 2, "layer_norm": 1}),
    "RMS norm of a multiple": (lambda m, x, t: m.out(m.conv(x) / (3 * m.conv(x).square().mean(1, keepdim=True) + 1e-2).sqrt()), {"conv": nn.Conv2d(3, 8, 1)}, {"linear": 2, "rms_norm": 1}),
    "RMS norm with its gain inside": (lambda m, x, t: m.out(inner_gain_norm(m.conv(x), m.g.bias)), {"conv": nn.Conv2d(3, 8, 1), "g": nn.Linear(1, 8)}, {"linear": 2, "rms_norm": 1}),
    "RMS norm with a gain that follows the time": (lambda m, x, t: m.out(inner_gain_norm(m.conv(x), 0.5 * m.a(t))), {"conv": nn.Conv2d(3, 8, 1), "a": nn.Linear(1, 8)}, {"linear": 3, "time": 1, "rms_norm": 1}),
    "RMS norm by length": (lambda m, x, t: m.out(F.normalize(m.conv(x), dim=1) * m.g.weight.reshape(1, 8, 1, 1) * 8**0.5), {"conv": nn.Conv2d(3, 8, 1), "g": nn.Linear(1, 8)}, {"linear": 2, "rms_norm": 1}),
    "residual": (lambda m, x, t: m.out(m.block(m.conv(x)) + m.conv(x)), {"conv": nn.Conv2d(3, 8, 1), "block": nn.Conv2d(8, 8, 3, padding=1)}, {"linear": 2, "conv": 1}),
    "gate": (lambda m, x, t: m.out(m.conv(x) + m.a(t)[..., None, None] * F.gelu(m.conv(x))), {"conv": nn.Conv2d(3, 8, 1), "a": nn.Linear(1, 8)}, {"linear": 3, "time": 1, "function": 1, "gated_add": 1}),
    "doubling, then a convolution": (lambda m, x, t: F.avg_pool2d(m.conv(F.interpolate(x, scale_factor=2)), 2), {"conv": nn.Conv2d(3, 8, 3, padding=1)}, {"conv": 1, "average_pool": 1}),
    "padding, then a convolution": (lambda m, x, t: m.conv(F.pad(x, (1, 2, 0, 1))), {"conv": nn.Conv2d(3, 3, (2, 4))}, {"conv": 1}),
    "silu and mish by hand": (lambda m, x, t: m.out(m.conv(x) * torch.sigmoid(m.conv(x))) + torch.tanh(F.softplus(x)) * x, {"conv": nn.Conv2d(3, 8, 1)}, {"linear": 2, "function": 1}),
}  # fmt: skip


@pytest.mark.parametrize("name", FUSED)
def test_fusion(name):
    function, modules, expected = FUSED[name]
    network = of(function, **modules, out=nn.Conv2d(8, 3, 1))
    assert counts(network) == {"x": 1, **expected}, as_text(network.output)
    assert network.error < 5e-6


def test_a_value_that_others_read_is_not_fused_away():
    def network(m, x, _t):
        h = m.conv(x)
        return m.out(F.silu(h)) + m.out(h)

    found = counts(of(network, conv=nn.Conv2d(3, 8, 3, padding=1), out=nn.Conv2d(8, 3, 1)))
    assert found["conv"] == 1
    assert found["function"] == 1


# ---- operations, one by one ---------------------------------------------------------------

T = torch.arange(5.0)
OPERATIONS = {
    "rolled": lambda m, x, t: x.roll((2, -1), (2, 3)),
    "flipped": lambda m, x, t: x.flip(3) + x.flip([1, 2]),
    "every other": lambda m, x, t: torch.cat((x[:, :, ::2, ::2], x[:, :, 1::2, 1::2]), 3).repeat(1, 1, 2, 1),
    "patches and back": lambda m, x, t: x.reshape(1, 3, 4, 2, 4, 2).permute(0, 2, 4, 3, 5, 1).reshape(1, 16, 12).softmax(-1).reshape(1, 4, 4, 2, 2, 3).permute(0, 5, 1, 3, 2, 4).reshape(1, 3, 8, 8),
    "shapes that do not divide each other": lambda m, x, t: (x.reshape(1, 3, 64).transpose(1, 2).reshape(1, 48, 4) * 2).reshape(1, 3, 8, 8),
    "outer product": lambda m, x, t: x + torch.outer(t.repeat(8), torch.arange(8.0)),
    "minimum, maximum, clamp": lambda m, x, t: torch.maximum(x.clamp(-1, 0.5), torch.minimum(x, t[:, None, None, None] / 1000)),
    "where": lambda m, x, t: torch.where(torch.arange(8) > 4, x, x.abs()),
    "exponents": lambda m, x, t: x**2 + (x.abs() + 1) ** 0.3 + 2**x + (1 + x.square()).rsqrt(),
    "pools": lambda m, x, t: F.interpolate(F.max_pool2d(x, 3, 2, 1) + F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), scale_factor=2),
    "adaptive pool": lambda m, x, t: x * F.adaptive_avg_pool2d(x, 1) + F.interpolate(F.adaptive_avg_pool2d(x, (4, 2)), size=(8, 8)),
    "bilinear": lambda m, x, t: F.interpolate(F.interpolate(x, scale_factor=0.5, mode="bilinear"), size=(8, 8), mode="bilinear", align_corners=True),
    "shuffled": lambda m, x, t: F.pixel_shuffle(F.pixel_unshuffle(x, 4), 4) + F.channel_shuffle(x.repeat(1, 2, 1, 1), 2)[:, 1:4],
    "gates": lambda m, x, t: F.glu(torch.cat((x, x.tanh()), 1), dim=1),
    "deviations": lambda m, x, t: (x - x.mean((2, 3), keepdim=True)) / (x.std((2, 3), keepdim=True) + 1e-3),
    "many functions": lambda m, x, t: F.elu(x) + F.selu(x) + F.hardswish(x) + F.softplus(x, beta=2) + F.leaky_relu(x, 0.3) + x.erf() + x.floor() + F.relu6(3 * x),
    "padded by other kinds": lambda m, x, t: F.avg_pool2d(F.pad(x, (1, 1, 2, 0), mode="circular") + F.pad(x, (1, 1, 2, 0), mode="replicate"), 3, 1)[:, :, :, :8] + x,
    "in groups, in both directions": lambda m, x, t: m.up(m.down(x)),
    "dilated": lambda m, x, t: F.conv2d(x, torch.linspace(-1, 1, 81).reshape(3, 3, 3, 3), dilation=2, padding=2),
    "a row of the picture": lambda m, x, t: x + x[:, :, 3:4] * x[:, 1:2, :, 2:3],
    "axes counted from the end": lambda m, x, t: x.movedim(1, -1).unflatten(-1, (3, 1)).squeeze(-1).movedim(-1, 1) - x.amin(dim=-1, keepdim=True),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations(name):
    """The exporter compares with PyTorch, and refuses what differs by more than 1e-4; here it must be closer."""
    modules = {"down": nn.Conv2d(3, 6, 4, 2, 1, groups=3), "up": nn.ConvTranspose2d(6, 3, 4, 2, 1, groups=3)} if "groups" in name else {}
    assert of(OPERATIONS[name], **modules).error < 5e-6


def test_parameters_that_are_changed_on_the_way():
    """Some networks clamp a parameter in place before they use it."""

    def network(m, x, _t):
        with torch.no_grad():
            m.conv.bias.clamp_(max=0.1)
        return m.conv(x)

    assert of(network, conv=nn.Conv2d(3, 3, 1)).error < 1e-6


# ---- classes and times ---------------------------------------------------------------------------


class Labelless(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 3, 3, padding=1)
        scattered(self)

    def forward(self, x, t, y):  # noqa: ARG002
        return self.out(F.silu(self.conv(x) + sines(t, 8)[:, :, None, None]))


class Labelled(nn.Module):
    def __init__(self, rows: int = 4, mode: str = "add") -> None:
        super().__init__()
        self.embedding, self.mlp, self.conv = nn.Embedding(rows, 8), nn.Sequential(nn.Linear(8, 8), nn.SiLU()), nn.Conv2d(3, 8, 1)
        self.out, self.mode = nn.Conv2d(8, 3, 3, padding=1), mode
        scattered(self)

    def forward(self, x, t, y):
        condition = sines(t, 8)
        if y is not None:
            embedding = self.embedding(y)
            condition = condition + (self.mlp(embedding) if self.mode == "mlp" else embedding)
            if self.mode == "more":
                x = x + 1
        return self.out(F.silu(self.conv(x) + condition[:, :, None, None]))


@pytest.mark.parametrize(("null", "labels"), [(3, (0, 1, 2, 3)), (0, (1, 2, 3, 0)), (1, (0, 2, 3, 1))])
def test_null_is_the_last_row(null, labels):
    network = imported(Labelled(), classes=["a", "b", "c"], null=null)
    (table,) = (value.tensors[0].rows for value in network.operations if value.name == "class")
    assert torch.equal(table, network.module.embedding.weight[list(labels)])


@pytest.mark.parametrize("mode", ["add", "mlp"])
def test_none_in_place_of_a_label(mode):
    network = imported(Labelled(3, mode), classes=["a", "b", "c"], null="none")
    (table,) = (value.tensors[0].rows for value in network.operations if value.name == "class")
    assert len(table) == 4
    assert not table[3].any()


def test_none_that_does_more_is_refused():
    with pytest.raises(GraphError, match=r"(?s)differs from the network.*label None.*wrap it"):
        imported(Labelled(3, "more"), classes=["a", "b", "c"], null="none")


def test_times_as_they_are_fed():
    """A whole time is looked up in a table, of which each row is what the network makes of the time fed at that step."""
    table = nn.Embedding(30, 8)
    times = (np.arange(10) * 3)[::1]
    network = import_network(
        Wrapped(lambda m, x, t: x + m.table(t.long()).mean() + t, table=table), (3, 8, 8), [], None, Process.table("cosine", timesteps=10, times=times)
    )
    (rows,) = (value.tensors[0].rows for value in network.operations if value.name == "time_row")
    assert torch.equal(rows, table.weight[times])
    assert counts(network)["time"] == 1


def test_classes_that_are_not_used_are_refused():
    with pytest.raises(GraphError, match="1 classes, but the network does nothing with the label"):
        imported(Wrapped(lambda m, x, t: x + t), classes=["a"])


# ---- files -----------------------------------------------------------------------------------------


def test_file(tmp_path):
    """As an independent reader lists it; with a type in blocks, what is rounded is what the report says."""
    torch.manual_seed(0)
    network = Labelled()
    path = tmp_path / "model.gguf"
    report = export(
        network,
        path,
        shape=(3, 8, 8),
        classes=["a", "b", "c"],
        null=3,
        process=Process.table("cosine", timesteps=10, objective="v", times=np.arange(10) / 10),
        license="MIT",
        type="q8_0",
    )
    reader = gguf.GGUFReader(path)
    fields = {key: field.contents() for key, field in reader.fields.items()}
    assert fields["pocket-diffusion.format_version"] == 2
    assert fields["general.license"] == "MIT"
    assert fields["pocket-diffusion.diffusion.objective"] == "pred_v"
    assert fields["pocket-diffusion.sampling.guidance_scale"] == 3
    assert np.allclose(fields["pocket-diffusion.diffusion.times"], np.arange(10) / 10)
    names = fields["pocket-diffusion.graph.operations"]
    assert names[0] == "x"
    assert len(fields["pocket-diffusion.graph.counts"]) == 4 * len(names)
    assert {tensor.name for tensor in reader.tensors} >= {"conv.weight", "conv.bias", "out.weight", "classes"}
    types = {tensor.name: tensor.tensor_type.name for tensor in reader.tensors}
    assert types["out.weight"] == "F16"  # 3 rows of 72: no whole blocks
    assert 0 < report.rounding < 0.05
    output = read_graph(path).output
    x = torch.randn(3, 8, 8)
    with torch.no_grad():
        expected = network(x[None], torch.tensor([0.5]), torch.tensor([3]))[0]
    assert (Interpreter(output)(x, 5, 0.5, 3) - expected).abs().max() < 0.05 * expected.abs().max()
    assert not list(tmp_path.glob(".*"))


def test_no_null_no_guidance(tmp_path):
    path = tmp_path / "model.gguf"
    with pytest.raises(GraphError, match="guidance scale 2: this network has nothing that stands for no class"):
        export(Labelled(3), path, shape=(3, 8, 8), classes=["a", "b", "c"], process=PROCESS, guidance_scale=2)
    assert not path.exists()
    export(Labelled(3), path, shape=(3, 8, 8), classes=["a", "b", "c"], process=PROCESS)
    assert read_graph(path).metadata["sampling.guidance_scale"] == 1


def test_network_without_classes_draws_the_same_everywhere(tmp_path):
    path = tmp_path / "model.gguf"
    export(Labelless(), path, shape=(3, 8, 8), classes=[], process=PROCESS)
    model = pocket_diffusion.load(path)
    picture = model.generate(seed=4)
    picture.save(tmp_path / "python.png")
    command = ["node", "web/cli.mjs", "generate", "--model", path, "--seed", "4", "--output", tmp_path / "node.png"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    assert "1 picture, seed 4, guidance scale 1" in printed
    assert (tmp_path / "python.png").read_bytes() == (tmp_path / "node.png").read_bytes()
    assert model.labels == () and picture.label == "" and picture.recipe["options"]["label"] is None
    for options, error in (({"label": 0}, "no classes"), ({"class_mix": {"a": 1}}, "no classes"), ({"guidance_scale": 3}, "without a null class")):
        with pytest.raises((ValueError, pocket_diffusion.PocketDiffusionError), match=error):
            model.generate(seed=4, **options)


def test_engine_that_differs_leaves_the_old_file(tmp_path, monkeypatch):
    def differs(*_):
        raise GraphError("the engine differs")

    monkeypatch.setattr(exporting, "_checked_by_engine", differs)
    path = tmp_path / "model.gguf"
    path.write_text("old")
    with pytest.raises(GraphError, match="differs"):
        export(Labelled(3), path, shape=(3, 8, 8), classes=["a", "b", "c"], process=PROCESS)
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["model.gguf"]


# ---- what is refused -----------------------------------------------------------------------------------

REFUSED = {
    "fft": (lambda m, x, t: x + torch.fft.fft2(x).real, r"(?s)fft_fft2.*Fourier.*test_graph_export\.py.*self\.function"),
    "cubic": (lambda m, x, t: F.interpolate(x, scale_factor=2, mode="bicubic"), r"(?s)upsample_bicubic2d.*Bilinear and nearest.*self.function"),
    "branch": (lambda m, x, t: x if x.sum() > 0 else -x, "no branches on values of tensors"),
    "size": (lambda m, x, t: F.avg_pool2d(x, 2), r"returns \[1, 3, 4, 4\], not \[1, 3 or more, 8, 8\]"),
    "no x": (lambda m, x, t: torch.zeros_like(x) + t, "does not depend on x"),
    "text": (lambda m, x, t: "no picture", "returns a str"),
    "computed kernel": (lambda m, x, t: F.conv2d(x, x[:, :, :3, :3], padding=1).repeat(1, 3, 1, 1), "kernels that are computed"),
    "not finite": (lambda m, x, t: x / (t - t), "not finite"),
    "pool": (lambda m, x, t: F.interpolate(F.max_pool2d(x, 3, 2, ceil_mode=True), size=(8, 8)), "ceil_mode"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    function, message = REFUSED[name]
    with pytest.raises(GraphError, match=message):
        of(function)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": ["a", "a"]}, "used twice"),
        ({"classes": ["a", " "]}, "empty"),
        ({"classes": ["a", "b", "c", "d", "e"]}, r"label 4: index out of range"),
        ({"classes": ["a", "b", "c", "d"], "null": 7}, "label 7"),
        ({"null": -1}, "null -1"),
        ({"null": "zeros"}, "null 'zeros'"),
        ({"shape": (3, 8)}, "expected"),
    ],
)
def test_refused_arguments(arguments, message):
    with pytest.raises(GraphError, match=message):
        imported(Labelled(), **{"classes": ["a"], **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"schedule": "quadratic", "timesteps": 10}, "schedule 'quadratic'"),
        ({"schedule": "linear"}, "timesteps None"),
        ({"schedule": "linear", "timesteps": 10, "objective": "eps"}, "objective 'eps'"),
        ({"alphas_cumprod": [0.9, 0.95]}, r"alphas_cumprod\[1\] is 0.95"),
        ({"alphas_cumprod": [0.9, 0.0]}, "small number"),
        ({"alphas_cumprod": [0.9, float("nan")]}, r"alphas_cumprod\[1\]"),
        ({"alphas_cumprod": [0.9], "timesteps": 2}, "1 alphas_cumprod for 2"),
        ({"schedule": "linear", "timesteps": 3, "times": [0, 1]}, "2 times for 3"),
        ({"schedule": "linear", "timesteps": 2, "times": [0, float("inf")]}, "times"),
        ({}, "one of the two"),
    ],
)
def test_refused_processes(arguments, message):
    with pytest.raises(GraphError, match=message):
        Process.table(**arguments)


# ---- schedules, against those whose they are ---------------------------------------------------------------


def test_schedules_of_diffusers():
    schedulers = pytest.importorskip("diffusers.schedulers")
    for ours, theirs, options in (
        ("linear", "linear", {}),
        ("scaled_linear", "scaled_linear", {"beta_start": 0.00085, "beta_end": 0.012}),
        ("cosine", "squaredcos_cap_v2", {}),
    ):
        for timesteps in (1000, 400):
            scheduler = schedulers.DDPMScheduler(num_train_timesteps=timesteps, beta_schedule=theirs, **options)
            assert np.allclose(Process.table(ours, timesteps=timesteps, **options).alphas_cumprod, scheduler.alphas_cumprod.numpy(), rtol=2e-4)


def test_sigmoid_schedule():
    """That of the reference's other modules: sigmoid from -3 to 3, in float64."""
    steps = 100
    v = torch.sigmoid((torch.linspace(0, steps, steps + 1, dtype=torch.float64) / steps) * 6 - 3)
    abar = (torch.sigmoid(torch.tensor(3.0, dtype=torch.float64)) - v) / (2 * torch.sigmoid(torch.tensor(3.0, dtype=torch.float64)) - 1)
    expected = np.cumprod([1 - min(1 - float(b / a), 0.999) for a, b in pairwise(abar / abar[0])])
    assert np.allclose(Process.table("sigmoid", timesteps=steps).alphas_cumprod, expected, rtol=1e-9)


# ---- the interpreter ---------------------------------------------------------------------------------------


def test_text_of_a_graph():
    x = Value("x", shape=(8, 8, 3))
    text = as_text(Value("function", (Value("scale", (x,), reals=(2.0, 0.0)),), integers=(3,)))
    assert text.splitlines() == ["%0 = x() [] -> 8x8x3", "%1 = scale(%0) [2 0] -> 8x8x3", "%2 = function(%1) [3] silu -> 8x8x3"]


def test_shapes_are_checked():
    x = Value("x", shape=(8, 8, 3))
    with pytest.raises(GraphError, match="do not go together"):
        Value("add", (x, Value("reshape", (x,), integers=(64, 3))))
    with pytest.raises(GraphError, match="reshape"):
        Value("reshape", (x,), integers=(64, 4))
    with pytest.raises(GraphError, match="slice"):
        Value("slice", (x,), integers=(2, 2, 2))
    with pytest.raises(GraphError, match="matmul"):
        Value("matmul", (x, x), integers=(0, 0), reals=(1.0,))
