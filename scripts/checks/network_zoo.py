"""Networks of other people's packages, small and with random weights: is each one expressed, and does it say what PyTorch says?

  python scripts/checks/network_zoo.py [--packages build/zoo] [--markdown FILE] [NAME...]

The packages are looked for in a folder of their own, since they are installed without what they require:

  pip install --no-deps --target build/zoo/common torchcfm==1.0.7 k-diffusion==0.1.1.post1 smalldiffusion==0.5.0 labml-nn==0.5.1 azula==0.11.1
  for v in 0.12.1 0.27.12 1.11.0 2.3.4; do pip install --no-deps --target build/zoo/ddp-$v denoising-diffusion-pytorch==$v; done

diffusers comes from the environment. `--markdown` puts the table into a document, behind its line `<!-- network zoo -->`.
"""

import argparse
import importlib
import importlib.abc
import importlib.machinery
import sys
import time
import types
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "python"), str(REPOSITORY / "tests" / "parity")]

from network_styles import scattered  # noqa: E402
from pocket_diffusion.graph.exporting import Network, import_network  # noqa: E402
from pocket_diffusion.graph.ir import GraphError, as_text, multiplications  # noqa: E402
from pocket_diffusion.graph.process import Process  # noqa: E402

MARK = "<!-- network zoo -->"
FAST = ("linear", "conv", "conv_transpose", "attention", "linear_attention")
ZOO: dict[str, tuple[str, Callable[[], tuple[Any, ...]]]] = {}
ZERO_TO_ONE = np.linspace(0, 1, 100)
LOG_SIGMAS = np.linspace(-3, 3, 50)
PACKAGES = [REPOSITORY / "build" / "zoo"]  # where they are looked for


# ---- packages without what they require ---------------------------------------------


class _Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Stands in for what is not installed: networks need none of it."""

    ABSENT = ("torchvision", "clip", "kornia", "dctorch", "jsonmerge", "skimage", "resize_right", "torchdiffeq", "torchsde", "wandb", "cleanfid", "pytorch_fid", "torchdyn", "ot", "labml", "labml_helpers", "datasets", "hyper_connections")  # fmt: skip

    def find_spec(self, name: str, _path: Any = None, _target: Any = None) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if name.split(".")[0] in self.ABSENT else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        module = types.ModuleType(spec.name)
        module.__getattr__ = self._anything  # type: ignore[method-assign]
        return module

    @staticmethod
    def _anything(name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__init__": lambda self, *_, **__: None})

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def part_of(folder: str, package: str, module: str) -> Any:
    """A module of a package whose own `__init__`, and what that imports, is left out."""
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        del sys.modules[name]
    place = PACKAGES[0] / folder / package
    if not place.is_dir():
        raise ImportError(f"{place} is not there")
    shell = types.ModuleType(package)
    shell.__path__ = [str(place)]
    sys.modules[package] = shell
    return importlib.import_module(f"{package}.{module}")


class Called(nn.Module):
    """A network that is called in its own way."""

    def __init__(self, network: nn.Module, how: Callable[..., Any]) -> None:
        super().__init__()
        self.network, self.how = network, how

    def forward(self, x, t, y):
        return self.how(self.network, x, t, y)


def zoo(description: str) -> Callable:
    """Registers a function that returns a network, its shape, and perhaps: the number of classes, null, the times that it is fed."""

    def register(build: Callable) -> Callable:
        ZOO[build.__name__] = description, build
        return build

    return register


# ---- diffusers ------------------------------------------------------------------------


def unet2d(classes: bool = False, **arguments: Any) -> nn.Module:
    from diffusers import UNet2DModel

    how = (lambda n, x, t, y: n(x, t, class_labels=y).sample) if classes else (lambda n, x, t, _y: n(x, t).sample)
    return Called(UNet2DModel(**arguments), how)


@zoo("diffusers UNet2DModel, class as channels (course)")
def diffusers_course():
    class Conditioned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(10, 4)
            self.model = unet2d(
                sample_size=28, in_channels=5, out_channels=1, layers_per_block=2, block_out_channels=(32, 64, 64),
                down_block_types=("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
            )  # fmt: skip

        def forward(self, x, t, y):
            label = self.embedding(y)
            label = label.view(x.shape[0], label.shape[1], 1, 1).expand(x.shape[0], label.shape[1], *x.shape[2:])
            return self.model(torch.cat((x, label), 1), t, None)

    return Conditioned(), (1, 28, 28), 10


@zoo("diffusers UNet2DModel, as ddpm-cifar10")
def diffusers_cifar10():
    return unet2d(
        sample_size=32, in_channels=3, out_channels=3, layers_per_block=2, block_out_channels=(32, 64, 64, 64), attention_head_dim=None,
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        downsample_padding=0, flip_sin_to_cos=False, freq_shift=1, norm_eps=1e-6,
    ), (3, 32, 32)  # fmt: skip


@zoo("diffusers UNet2DModel, as the butterflies tutorial")
def diffusers_butterflies():
    return unet2d(
        sample_size=32, in_channels=3, out_channels=3, layers_per_block=2, block_out_channels=(32, 32, 64, 64), attention_head_dim=8,
        down_block_types=("DownBlock2D", "DownBlock2D", "DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D", "UpBlock2D"),
    ), (3, 32, 32)  # fmt: skip


@zoo("diffusers UNet2DModel, classes, scale and shift")
def diffusers_classes():
    return unet2d(
        True, sample_size=32, in_channels=3, out_channels=3, layers_per_block=1, block_out_channels=(32, 64), num_class_embeds=11,
        resnet_time_scale_shift="scale_shift", down_block_types=("ResnetDownsampleBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "ResnetUpsampleBlock2D"), attention_head_dim=16,
    ), (3, 32, 32), 10, 10  # fmt: skip


@zoo("diffusers UNet2DModel, as score_sde's NCSN++")
def diffusers_ncsnpp():
    return unet2d(
        sample_size=32, in_channels=3, out_channels=3, layers_per_block=1, block_out_channels=(32, 64), time_embedding_type="fourier", freq_shift=0,
        flip_sin_to_cos=True, down_block_types=("SkipDownBlock2D", "AttnSkipDownBlock2D"), up_block_types=("AttnSkipUpBlock2D", "SkipUpBlock2D"),
        mid_block_scale_factor=2**0.5, norm_eps=1e-6, attention_head_dim=None, norm_num_groups=None,
    ), (3, 32, 32), 0, None, np.linspace(1, 50, 50)  # fmt: skip


@zoo("diffusers UNet2DModel, as consistency models")
def diffusers_consistency():
    return unet2d(
        True, sample_size=32, in_channels=3, out_channels=3, layers_per_block=1, block_out_channels=(32, 64, 96), num_class_embeds=10,
        resnet_time_scale_shift="scale_shift", down_block_types=("ResnetDownsampleBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "ResnetUpsampleBlock2D"), attention_head_dim=32, downsample_type="resnet", upsample_type="resnet",
        attn_norm_num_groups=32,
    ), (3, 32, 32), 10  # fmt: skip


@zoo("diffusers DiTTransformer2DModel")
def diffusers_dit():
    from diffusers import DiTTransformer2DModel

    model = DiTTransformer2DModel(
        num_attention_heads=4, attention_head_dim=16, in_channels=4, out_channels=8, num_layers=2, sample_size=16, patch_size=2, num_embeds_ada_norm=10
    )
    return Called(model, lambda n, x, t, y: n(x, t, class_labels=y).sample), (4, 16, 16), 10, 10


# ---- torchcfm ---------------------------------------------------------------------------


def torchcfm() -> Any:
    return part_of("common", "torchcfm", "models.unet.unet")


@zoo("torchcfm UNetModelWrapper, classes (MNIST)")
def torchcfm_classes():
    network = torchcfm().UNetModelWrapper(dim=(1, 28, 28), num_channels=32, num_res_blocks=1, num_classes=10, class_cond=True)
    return Called(network, lambda n, x, t, y: n(t, x, y)), (1, 28, 28), 10, None, ZERO_TO_ONE


@zoo("torchcfm UNetModelWrapper (CIFAR-10)")
def torchcfm_cifar10():
    network = torchcfm().UNetModelWrapper(
        dim=(3, 32, 32),
        num_res_blocks=2,
        num_channels=32,
        channel_mult=[1, 2, 2, 2],
        num_heads=4,
        num_head_channels=16,
        attention_resolutions="16",
        dropout=0.1,
    )
    return Called(network, lambda n, x, t, _y: n(t, x)), (3, 32, 32), 0, None, ZERO_TO_ONE


@zoo("guided-diffusion's UNetModel (in torchcfm), learned variance")
def guided_diffusion():
    network = torchcfm().UNetModel(
        image_size=32, in_channels=3, model_channels=32, out_channels=6, num_res_blocks=1, attention_resolutions=(2, 4), num_classes=10,
        use_scale_shift_norm=True, resblock_updown=True, use_new_attention_order=True, num_heads=4, num_head_channels=16, channel_mult=(1, 2, 2),
    )  # fmt: skip
    return Called(network, lambda n, x, t, y: n(t, x, y)), (3, 32, 32), 10


# ---- k-diffusion ------------------------------------------------------------------------


@zoo("k-diffusion image_v1")
def k_diffusion_image_v1():
    network = part_of("common", "k_diffusion", "models.image_v1").ImageDenoiserModelV1(3, 64, [2, 2], [32, 64], [False, True], dropout_rate=0.1)
    return Called(network, lambda n, x, t, _y: n(x, t.exp())), (3, 32, 32), 0, None, LOG_SIGMAS


@zoo("k-diffusion image_transformer_v1")
def k_diffusion_transformer_v1():
    network = part_of("common", "k_diffusion", "models.image_transformer_v1").ImageTransformerDenoiserModelV1(2, 64, 128, 3, 3, (4, 4), num_classes=11)
    return Called(network, lambda n, x, t, y: n(x, t.exp(), class_cond=y)), (3, 32, 32), 10, 10, LOG_SIGMAS


# ---- denoising-diffusion-pytorch -----------------------------------------------------------


def lucidrains(version: str, module: str = "denoising_diffusion_pytorch") -> Any:
    return part_of(f"ddp-{version}", "denoising_diffusion_pytorch", module)


def lucidrains_unet(version: str, module: str = "denoising_diffusion_pytorch", channels: int = 3, **arguments: Any) -> tuple[Any, ...]:
    network = lucidrains(version, module).Unet(dim=16, dim_mults=(1, 2, 4), channels=channels, **arguments)
    return Called(network, lambda n, x, t, _y: n(x, t)), (channels, 32, 32)


@zoo("denoising-diffusion-pytorch 0.12")
def ddp_0_12():
    return lucidrains_unet("0.12.1")


@zoo("denoising-diffusion-pytorch 0.27")
def ddp_0_27():
    return lucidrains_unet("0.27.12")


@zoo("denoising-diffusion-pytorch 1.11")
def ddp_1_11():
    return lucidrains_unet("1.11.0")


@zoo("denoising-diffusion-pytorch 2.3.4")
def ddp_2_3_4():
    return lucidrains_unet("2.3.4")


@zoo("denoising-diffusion-pytorch 2.3.4, learned Fourier features")
def ddp_fourier():
    return lucidrains_unet("2.3.4", learned_sinusoidal_cond=True, full_attn=(False, True, True))


@zoo("denoising-diffusion-pytorch 2.3.4, learned variance, random features, grey")
def ddp_variance():
    return lucidrains_unet("2.3.4", channels=1, learned_variance=True, random_fourier_features=True)


@zoo("denoising-diffusion-pytorch 2.3.4, guided_diffusion")
def ddp_guided():
    return lucidrains_unet("2.3.4", "guided_diffusion")


@zoo("denoising-diffusion-pytorch 2.3.4, classifier_free_guidance")
def ddp_classifier_free():
    network = lucidrains("2.3.4", "classifier_free_guidance").Unet(dim=16, num_classes=10, dim_mults=(1, 2, 4))

    def how(n, x, t, y):
        """Label 10 is none: both of the package's calls, of which one counts."""
        none = (y == 10).float()[:, None, None, None]
        known = torch.where(y == 10, 0, y)
        return (1 - none) * n(x, t, known, cond_drop_prob=0.0) + none * n(x, t, known, cond_drop_prob=1.0)

    return Called(network, how), (3, 32, 32), 10, 10


@zoo("denoising-diffusion-pytorch 2.3.4, KarrasUnet (EDM2)")
def ddp_karras():
    network = lucidrains("2.3.4", "karras_unet").KarrasUnet(
        image_size=32, dim=32, dim_max=64, num_downsamples=2, num_blocks_per_stage=1, attn_res=(16, 8), attn_dim_head=16, num_classes=11
    )
    return Called(network, lambda n, x, t, y: n(x, t, class_labels=y)), (4, 32, 32), 10, 10, np.linspace(-2, 2, 50)


@zoo("denoising-diffusion-pytorch 2.3.4, UViT")
def ddp_uvit():
    network = lucidrains("2.3.4", "simple_diffusion").UViT(
        dim=32, dim_mults=(1, 2), channels=3, downsample_factor=2, vit_depth=2, attn_dim_head=16, attn_heads=2, ff_mult=2
    )
    return Called(network, lambda n, x, t, _y: n(x, t)), (3, 32, 32), 0, None, np.linspace(-5, 5, 50)


# ---- others -----------------------------------------------------------------------------------


@zoo("smalldiffusion Unet")
def smalldiffusion_unet():
    network = part_of("common", "smalldiffusion", "model_unet").Unet(
        in_dim=32, in_ch=3, out_ch=3, ch=32, ch_mult=(1, 2), num_res_blocks=1, attn_resolutions=(16,)
    )
    return Called(network, lambda n, x, t, _y: n(x, t.exp())), (3, 32, 32), 0, None, LOG_SIGMAS


@zoo("smalldiffusion DiT, classes")
def smalldiffusion_dit():
    dit = part_of("common", "smalldiffusion", "model_dit")
    embedding = importlib.import_module("smalldiffusion.model").CondEmbedderLabel(64, 10, 0.1)
    network = dit.DiT(in_dim=16, channels=3, patch_size=2, depth=2, head_dim=16, num_heads=4, cond_embed=embedding)
    return Called(network, lambda n, x, t, y: n(x, t.exp(), y)), (3, 16, 16), 10, 10, LOG_SIGMAS


@zoo("labml-nn ddpm UNet")
def labml_unet():
    network = part_of("common", "labml_nn", "diffusion.ddpm.unet").UNet(image_channels=3, n_channels=32, ch_mults=(1, 2), is_attn=(False, True), n_blocks=1)
    return Called(network, lambda n, x, t, _y: n(x, t)), (3, 32, 32)


@zoo("azula UNet")
def azula_unet():
    network = part_of("common", "azula", "nn.unet").UNet(3, 3, hid_channels=(32, 64), hid_blocks=(1, 1), mod_features=16)
    return Called(network, lambda n, x, t, _y: n(x, torch.cat((t[:, None].sin(), t[:, None].cos()), -1).repeat(1, 8))), (3, 32, 32), 0, None, ZERO_TO_ONE


@zoo("azula ViT")
def azula_vit():
    network = part_of("common", "azula", "nn.vit").ViT(3, 3, hid_channels=64, hid_blocks=2, attention_heads=4, mod_features=16, patch_size=4)
    return Called(network, lambda n, x, t, _y: n(x, torch.cat((t[:, None].sin(), t[:, None].cos()), -1).repeat(1, 8))), (3, 32, 32), 0, None, ZERO_TO_ONE


# ---- the whole -----------------------------------------------------------------------------------


def look_for_packages(folder: Path) -> None:
    """To be called once, before networks are built."""
    PACKAGES[0] = folder.resolve()
    sys.path.append(str(PACKAGES[0] / "common"))
    sys.meta_path.append(_Absent())


def built(name: str) -> dict[str, Any]:
    """Arguments of `import_network`; random numbers in every weight."""
    torch.manual_seed(0)
    network, shape, classes, null, times = _padded(ZOO[name][1]())
    process = Process.table("linear", timesteps=1000) if times is None else Process.table("linear", timesteps=len(times), times=times)
    return {"network": scattered(network), "shape": shape, "classes": [f"class {label}" for label in range(classes)], "null": null, "process": process}


def imported(name: str) -> Network:
    return import_network(**built(name))


def _padded(result: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*result, *(0, None, None)[len(result) - 2 :])


def row(name: str, network: Network) -> str:
    values = network.operations
    work: Counter[str] = Counter()
    for value in values:
        work[value.name] += multiplications(value)
    fast = sum(work[each] for each in FAST) / sum(work.values())
    parameters = sum(each.numel() for each in network.module.parameters())
    return (
        f"| {ZOO[name][0]} | {parameters / 1e6:.2f} | {network.traced} | {len(values)} | {sum(work.values()) / 1e6:,.0f} | {fast:.1%} | {network.error:.0e} |"
    )


def table(lines: Sequence[str]) -> str:
    head = "| network | million parameters | operations of PyTorch | here | million multiplications | fast | difference |\n|---|---:|---:|---:|---:|---:|---:|"
    return "\n".join([head, *lines])


def main(arguments: Sequence[str]) -> int:
    """Exit code: 0 all that could be built are expressed and right, 1 some are not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: all of {', '.join(ZOO)}")
    parser.add_argument("--packages", type=Path, default=PACKAGES[0])
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    parser.add_argument("--text", action="store_true", help="print the operations too")
    parsed = parser.parse_args(arguments)
    look_for_packages(parsed.packages)
    torch.set_num_threads(1)
    lines, wrong = [], 0
    for name in parsed.names or ZOO:
        started = time.monotonic()
        try:
            network = imported(name)
        except ImportError as error:
            print(f"not installed: {name}: {error}", flush=True)
            continue
        except GraphError as error:
            print(f"REFUSED {name}: {error}", flush=True)
            wrong += 1
            continue
        lines.append(row(name, network))
        print(f"{lines[-1]} {time.monotonic() - started:.0f} s", flush=True)
        if parsed.text:
            print(as_text(network.output))
    if parsed.markdown:
        before, _, _ = parsed.markdown.read_text(encoding="utf-8").partition(MARK)
        parsed.markdown.write_text(f"{before}{MARK}\n{table(lines)}\n", encoding="utf-8")
    print(f"{len(lines)} networks expressed, {wrong} not")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
