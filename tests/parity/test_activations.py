"""What the core shows of the inside of a network is what forward hooks see in PyTorch, module by module."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pocket_diffusion as pd
import pytest
import torch
from pocket_diffusion import reference
from pocket_diffusion.verify import FORWARD_TOLERANCE, Subject
from test_parity import EPS, make_model, network

# Widths that are no multiples of 4, so that the core's own layout of channels differs from PyTorch's.
HEADS = ("--attn-heads", "3", "--attn-dim-head", "6")
ODD = network("odd", (20, 12), EPS, "linear", 100, *HEADS, dim=10, dim_mults=(1, 2, 3), channels=3, init_dim=6, attn_dim_head=6, attn_heads=3)


def modules_in_order(unet: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Module]]:
    """Those whose outputs are values of the core: of each residual block its convolutions and its end, and so on."""

    def residual(name: str, block: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Module]]:
        yield f"{name}.block1.proj", block.block1.proj
        yield f"{name}.block1", block.block1
        yield f"{name}.block2.proj", block.block2.proj
        if not isinstance(block.res_conv, torch.nn.Identity):
            yield f"{name}.res_conv", block.res_conv
        yield name, block

    def level(name: str, blocks: torch.nn.ModuleList) -> Iterator[tuple[str, torch.nn.Module]]:
        first, second, attention, resampling = blocks
        yield from residual(f"{name}.0", first)
        yield from residual(f"{name}.1", second)
        yield f"{name}.2", attention
        yield f"{name}.3", resampling

    yield "init_conv", unet.init_conv
    for i, blocks in enumerate(unet.downs):
        yield from level(f"downs.{i}", blocks)
    yield from residual("mid_block1", unet.mid_block1)
    yield "mid_attn.norm", unet.mid_attn.fn.norm
    yield "mid_attn.to_qkv", unet.mid_attn.fn.fn.to_qkv
    yield "mid_attn", unet.mid_attn
    yield from residual("mid_block2", unet.mid_block2)
    for i, blocks in enumerate(unet.ups):
        yield from level(f"ups.{i}", blocks)
    yield from residual("final_res_block", unet.final_res_block)
    yield "final_conv", unet.final_conv


def seen_by_hooks(unet: torch.nn.Module, x: torch.Tensor, t: int, label: int | None) -> dict[str, np.ndarray]:
    """The outputs of those modules, [channels, height, width], by name."""
    seen: dict[str, np.ndarray] = {}
    handles = [
        module.register_forward_hook(lambda _module, _inputs, output, name=name: seen.__setitem__(name, output[0].detach().numpy()))
        for name, module in modules_in_order(unet)
    ]
    reference.forward(unet, x, t, label)
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize("which", ["digits", "doodles", "odd"])
def test_values_are_those_of_forward_hooks(repository: Path, tmp_path: Path, which: str):
    path = tmp_path / "model.gguf" if which == "odd" else repository / "weights" / f"{which}.gguf"
    if which == "odd":
        make_model(ODD, path)
    subject = Subject.read(path)
    with pd.load(path) as model:
        operations = model.operations()
        # The core's values of the picture that are no concatenations, nor the attention itself, whose module projects it, too.
        kept = [i for i, each in enumerate(operations) if "x" in each.depends and each.name not in ("x", "concat", "attention")]
        names = [name for name, _ in modules_in_order(subject.unet)]
        assert len(kept) == len(names)
        shape = (model.info.network_channels, model.info.network_height, model.info.network_width)
        x = torch.randn(shape, generator=torch.Generator().manual_seed(3))
        for t, label in itertools.product((0, model.info.timesteps * 2 // 3), (1, None)):
            expected = seen_by_hooks(subject.unet, x, t, label)
            assert sorted(expected) == sorted(names)
            for operation, name in zip(kept, names):
                ours = model.activations(x.numpy(), t, label, operation)
                assert ours.shape == expected[name].shape, name
                error = np.abs(ours - expected[name]).max() / np.abs(expected[name]).max()
                assert error < FORWARD_TOLERANCE, (name, t, label, error)


def test_attention_follows_from_what_is_seen(repository: Path):
    """Queries and keys give the weights (softmax over the positions), and these the value of the attention."""
    with pd.load(repository / "weights/digits.gguf") as model:
        operations = model.operations()
        (attention,) = (i for i, each in enumerate(operations) if each.name == "attention")
        heads, size = operations[attention].integers
        x = torch.randn((4, 16, 16), generator=torch.Generator().manual_seed(4)).numpy()
        packed = model.activations(x, 400, "7", operations[attention].inputs[0])
        q, k, v = torch.from_numpy(packed).reshape(3, heads, size, -1)
        expected = torch.nn.functional.scaled_dot_product_attention(q.mT, k.mT, v.mT).mT.reshape(heads * size, 8, 8)
        assert np.abs(model.activations(x, 400, "7", attention) - expected.numpy()).max() < 1e-5 * float(expected.abs().max()) + 1e-6


def test_values_of_time_and_class(repository: Path):
    """Embeddings, which do not depend on the picture, and are computed apart from it."""
    path = repository / "weights/digits.gguf"
    unet = Subject.read(path).unet
    with pd.load(path) as model, torch.no_grad():
        x = np.zeros((4, 16, 16), np.float32)
        operations = model.operations()
        first = {depends: [i for i, each in enumerate(operations) if each.depends == (depends,) and each.name == "linear"] for depends in ("time", "class")}
        time = torch.nn.functional.silu(unet.time_mlp(torch.tensor([300])))[0].numpy()
        label = torch.nn.functional.silu(unet.classes_mlp(unet.classes_emb(torch.tensor([4]))))[0].numpy()
        assert np.abs(model.activations(x, 300, 4, first["time"][1]) - time).max() < 1e-4 * np.abs(time).max()
        assert np.abs(model.activations(x, 300, 4, first["class"][1]) - label).max() < 1e-4 * np.abs(label).max()
        assert model.activations(x, 300, 4, 1).tolist() == [300.0]


def test_refusals(repository: Path):
    with pd.load(repository / "tests/golden/tiny.gguf") as model:
        x = np.zeros((4, 8, 8), np.float32)
        last = len(model.operations()) - 1
        for operation in (-1, last + 1):
            with pytest.raises(ValueError, match=f"operation must be 0 to {last}"):
                model.activations(x, 0, 0, operation)
        with pytest.raises(TypeError, match="operation must be a whole number"):
            model.activations(x, 0, 0, 1.5)
        before = model.predict(x, 5, 1)
        model.activations(x, 5, 1, 30)
        assert np.array_equal(model.predict(x, 5, 1), before)
    with pytest.raises(pd.PocketDiffusionError, match="closed"):
        model.operations()
