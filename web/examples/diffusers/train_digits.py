"""Trains a class-conditional UNet2DModel of diffusers on handwritten digits, and saves it as a diffusers pipeline.

    python train_digits.py mnist.npz digits-unet --minutes 30

mnist.npz holds `images` (uint8 [N, 28, 28], light on dark) and `labels` (0 to 9): the MNIST training set, all of which is
trained on. `test_images` and `test_labels`, for those who judge, are not read. What is
written: digits-unet/unet and digits-unet/scheduler, as `save_pretrained` does, and digits-unet/state.pt, from which the
same command goes on. Nothing here belongs to Pocket Diffusion: it is a training as people write it with diffusers.
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import DDPMScheduler, UNet2DModel
from diffusers.training_utils import EMAModel
from torch.nn.functional import mse_loss, pad, pixel_unshuffle

CLASSES, NULL = 10, 10  # label 10 stands for "no class": a row of the embedding like the others
DROP, BATCH, RATE = 0.15, 128, 1e-3


def pictures(path: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """uint8 [N, 4, 16, 16] and int64 [N]: padded to 32 x 32, dark on white, 2 x 2 pixels as four channels."""
    data = np.load(path)
    images = 255 - pad(torch.from_numpy(data["images"]), (2, 2, 2, 2))
    return pixel_unshuffle(images[:, None], 2), torch.from_numpy(data["labels"]).long()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    images, labels = pictures(arguments.data)
    unet = UNet2DModel(
        sample_size=16, in_channels=4, out_channels=4, num_class_embeds=CLASSES + 1, layers_per_block=1, block_out_channels=(32, 64, 96),
        norm_num_groups=8, attention_head_dim=32, down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    scheduler = DDPMScheduler(num_train_timesteps=1000, beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction")
    optimizer = torch.optim.AdamW(unet.parameters(), lr=RATE, weight_decay=0.01)
    average = EMAModel(unet.parameters(), decay=0.999, use_ema_warmup=True, power=0.75)
    step, seconds = 0, 0.0
    state = arguments.folder / "state.pt"
    if state.exists():
        kept = torch.load(state, weights_only=True)
        unet.load_state_dict(kept["unet"])
        optimizer.load_state_dict(kept["optimizer"])
        average.load_state_dict(kept["average"])
        step, seconds = kept["step"], kept["seconds"]
        torch.manual_seed(step)

    def save() -> None:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        average.store(unet.parameters())
        average.copy_to(unet.parameters())
        unet.save_pretrained(arguments.folder / "unet")
        average.restore(unet.parameters())
        scheduler.save_pretrained(arguments.folder / "scheduler")
        kept = {"unet": unet.state_dict(), "optimizer": optimizer.state_dict(), "average": average.state_dict(), "step": step, "seconds": seconds}
        torch.save(kept, state.with_suffix(".new"))
        state.with_suffix(".new").replace(state)

    print(f"{sum(each.numel() for each in unet.parameters()):,} parameters, from step {step}", flush=True)
    total, begun, saved, losses = 60 * arguments.minutes, time.process_time(), time.time(), []
    earlier = seconds
    while seconds < total:
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / 200) * (0.5 + 0.5 * math.cos(math.pi * min(1, seconds / total)))
        chosen = torch.randint(len(images), (BATCH,))
        x0, y = images[chosen].float() / 127.5 - 1, labels[chosen]
        y = torch.where(torch.rand(BATCH) < DROP, NULL, y)
        noise, t = torch.randn_like(x0), torch.randint(scheduler.config.num_train_timesteps, (BATCH,))
        with torch.autocast("cpu", torch.bfloat16):
            prediction = unet(scheduler.add_noise(x0, noise, t), t, class_labels=y).sample
        loss = mse_loss(prediction.float(), scheduler.get_velocity(x0, noise, t))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        average.step(unet.parameters())
        losses.append(loss.item())
        step, seconds = step + 1, earlier + (time.process_time() - begun) / arguments.threads
        if step % 100 == 0:
            print(f"step {step}, {seconds / 60:.1f} minutes of processor time, loss {np.mean(losses[-100:]):.4f}", flush=True)
        if time.time() - saved > 120:
            save()
            saved = time.time()
    save()


if __name__ == "__main__":
    main()
