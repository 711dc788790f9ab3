"""A checkpoint that denoising-diffusion-pytorch's own Trainer saves."""

import inspect
import sys
import tempfile
import types
import warnings
from pathlib import Path
from unittest import mock

import torch
from PIL import Image

UNET = {"dim": 16, "dim_mults": (1, 2), "channels": 3}
SIDE, TIMESTEPS, CLASSES = 16, 50, 3


class _EmptyModule(types.ModuleType):
    """Has whatever is asked for."""

    def __getattr__(self, name: str) -> mock.MagicMock:
        if name.startswith("__"):
            raise AttributeError(name)
        return mock.MagicMock()


def noise() -> torch.Tensor:
    return torch.randn(1, UNET["channels"], SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def save(folder: str, out: str, objective: str = "pred_noise", predictions: str = "") -> None:
    """For a process of its own. `folder`: where the package lies, any version (0.27 has no classes: its plain network is saved).

    The Trainer wants torchvision and a folder of pictures; what it would read with them is never used here, so an empty
    module stands in for the first. `predictions`: file for two tensors, what the package's own network says with the saved
    average, from `noise()` at t = 9, with class 1 and without.
    """
    warnings.simplefilter("ignore")
    sys.path.insert(0, folder)
    for name in ("torchvision", "pytorch_fid", "pytorch_fid.inception", "pytorch_fid.fid_score"):
        sys.modules.setdefault(name, _EmptyModule(name))
    import denoising_diffusion_pytorch as package

    assert Path(package.__file__).is_relative_to(folder)
    torch.manual_seed(0)
    try:
        from denoising_diffusion_pytorch import classifier_free_guidance as module

        unet = module.Unet(num_classes=CLASSES, **UNET)
    except ImportError:
        from denoising_diffusion_pytorch import denoising_diffusion_pytorch as module

        unet = module.Unet(**UNET)
    diffusion = module.GaussianDiffusion(unet, image_size=SIDE, timesteps=TIMESTEPS, objective=objective, beta_schedule="linear")
    with tempfile.TemporaryDirectory() as pictures:
        for number in range(100):
            Image.new("RGB", (SIDE, SIDE), (number, 0, 0)).save(f"{pictures}/{number}.png")
        options = {"calculate_fid": False} if "calculate_fid" in inspect.signature(package.Trainer).parameters else {}
        trainer = package.Trainer(diffusion, pictures, results_folder=pictures, **options)
        trainer.step = 7
        trainer.save(1)
        Path(f"{pictures}/model-1.pt").replace(out)
    if predictions and "num_classes" in inspect.signature(module.Unet).parameters:
        saved = torch.load(out, weights_only=True)["ema"]
        unet = module.Unet(num_classes=CLASSES, **UNET).eval()
        prefix = "ema_model.model."
        unet.load_state_dict({name[len(prefix) :]: tensor for name, tensor in saved.items() if name.startswith(prefix)})
        with torch.no_grad():
            said = [unet(noise(), torch.tensor([9]), torch.tensor([1]), cond_drop_prob=drop) for drop in (0.0, 1.0)]
        torch.save(said, predictions)
