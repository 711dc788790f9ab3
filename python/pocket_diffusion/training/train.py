"""Trains a class-conditional diffusion network: the reference's own Unet and GaussianDiffusion.

  python -m pocket_diffusion train weights/configs/doodles.toml --data doodles.npz   one process: a GPU if there is one, else the CPU
  accelerate launch --num_processes 4 -m pocket_diffusion.training.train CONFIG ...     several GPUs, on one machine or on many
  torchrun --nproc-per-node 2 -m pocket_diffusion.training.train CONFIG ...             several processes on the CPU

Writes into the run's folder checkpoint.pt (all that is needed to go on; export reads it too), log.jsonl,
samples/*.png, and in the end model.pt, the network alone. A run that was killed goes on with the same command.
"""

import argparse
import contextlib
import dataclasses
import queue
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from ema_pytorch import EMA
from PIL import Image
from tqdm import tqdm

from pocket_diffusion import data, reference
from pocket_diffusion.checkpoint import CheckpointError, infer_unet_arguments, read_checkpoint
from pocket_diffusion.training import components
from pocket_diffusion.training.components import FIXED, Configuration, TrainingError
from pocket_diffusion.training.coupling import NoiseCoupling

STOPPED = 75  # EX_TEMPFAIL: interrupted, and saved; the same command goes on
SHEET_ROWS, SHEET_COLUMNS, SHEET_STEPS = 8, 8, 20


class Prefetcher:
    """Makes the next batches in a thread while the network is at work."""

    def __init__(
        self, source: data.Source, configuration: Configuration, first: int, rank: int, processes: int, device: torch.device, coupling: NoiseCoupling | None
    ) -> None:
        self._ready: queue.Queue[components.Batch | Exception] = queue.Queue(maxsize=2)
        self._ended = threading.Event()
        share = configuration.batch // processes

        def work() -> None:
            place = first
            while not self._ended.is_set():
                try:
                    made: components.Batch | Exception = components.make_batch(source, configuration, place + rank * share, share, device, coupling)
                except Exception as error:  # belongs to whoever waits for the batch
                    made = error
                place += configuration.batch
                while not self._ended.is_set():
                    with contextlib.suppress(queue.Full):
                        self._ready.put(made, timeout=0.2)
                        break

        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    def next(self) -> components.Batch:
        made = self._ready.get()
        if isinstance(made, Exception):
            raise made
        return made

    def close(self) -> None:
        self._ended.set()
        self._thread.join()


class Trainer:
    """One run, from its newest checkpoint to its end."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        if configuration.threads:
            torch.set_num_threads(configuration.threads)
        precision = configuration.precision
        if precision == "auto":
            precision = "bf16" if components.native_bf16(configuration.device) else "no"
        torch.backends.cudnn.benchmark = True  # all batches have one shape
        self.accelerator = Accelerator(mixed_precision=precision, cpu=configuration.device == "cpu" or not torch.cuda.is_available())
        processes = self.accelerator.num_processes
        if configuration.batch % processes:
            raise TrainingError(f"batch {configuration.batch}: must be a multiple of the {processes} processes")
        if not configuration.data:
            raise TrainingError("--data is missing: where the pictures are")
        self.data = data.load(Path(configuration.data), configuration.layout, configuration.kind)
        self.coupling = components.fit_coupling(self.data.train, configuration, self.accelerator.device)
        self.folder = configuration.folder
        self.step, self.samples_seen, self.earlier_seconds = 0, 0, 0.0
        self._build()

        self.accelerator.print(
            f"{len(self.data.train):,} pictures to train on, {len(self.data.held_out):,} held out, {len(self.data.classes)} classes; "
            f"{sum(parameter.numel() for parameter in self.unet.parameters()):,} parameters; "
            f"processes: {processes} on {self.accelerator.device.type}, {'bfloat16' if precision == 'bf16' else 'float32'}",
            flush=True,
        )

    def _build(self) -> None:
        """Network, optimizer and average: fresh, from another checkpoint's weights, or as this run left them."""
        configuration = self.configuration
        diffusion = components.build_diffusion(configuration, len(self.data.classes)).to(self.accelerator.device)
        self.unet = diffusion.model.to(memory_format=torch.channels_last)
        saved = self._read_saved()
        if saved:
            self.unet.load_state_dict(saved["trainer"]["online"])
        elif configuration.init:
            self._begin_with(Path(configuration.init))
        matrices = [parameter for parameter in self.unet.parameters() if parameter.ndim > 1]
        vectors = [parameter for parameter in self.unet.parameters() if parameter.ndim <= 1]
        optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": configuration.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
            lr=configuration.learning_rate,
            betas=(0.9, 0.99),
            fused=self.accelerator.device.type == "cuda",
        )
        self.ema = EMA(self.unet, beta=configuration.ema, update_after_step=0, update_every=1, power=3 / 4, include_online_model=False, use_foreach=True)
        if saved:
            self.ema.ema_model.load_state_dict(saved["ema"])
            self.ema.step.fill_(saved["trainer"]["ema_step"])
            self.ema.initted.fill_(True)
            optimizer.load_state_dict(saved["trainer"]["optimizer"])
            self.step, self.samples_seen, self.earlier_seconds = saved["step"], saved["samples_seen"], saved["trainer"]["seconds"]
        if configuration.compile:
            self.unet.compile()
        self.diffusion, self.optimizer = self.accelerator.prepare(diffusion, optimizer)

    def _read_saved(self) -> dict[str, Any] | None:
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return None
        try:
            saved = torch.load(path, map_location="cpu", weights_only=True)
            stored = saved["trainer"]["configuration"]
        except Exception as error:
            raise TrainingError(f"{path}: cannot go on from this file: {error}") from error
        now = dataclasses.asdict(self.configuration)
        for name in FIXED:
            earlier = stored.get(name, getattr(Configuration(), name))  # files may be older than the option
            if earlier != now[name]:
                raise TrainingError(f"{path}: was trained with {name} {earlier}, not {now[name]}; use another --output")
        if saved["classes"] != list(self.data.classes):
            raise TrainingError(f"{path}: was trained on other classes; use another --output")
        return saved

    def _begin_with(self, path: Path) -> None:
        checkpoint = read_checkpoint(path)
        wanted, found = infer_unet_arguments(self.unet.state_dict()), infer_unet_arguments(checkpoint.weights)
        for name in wanted:
            if wanted[name] != found[name]:
                raise TrainingError(f"{path}: has {name} {found[name]}, this network {wanted[name]}")
        self.unet.load_state_dict(checkpoint.weights)

    # ---- the loop ----

    def run(self) -> bool:
        """True if the run came to its end, False if it was interrupted."""
        configuration, accelerator = self.configuration, self.accelerator
        with contextlib.ExitStack() as stack:
            if accelerator.is_main_process:
                self.folder.mkdir(parents=True, exist_ok=True)
                stack.enter_context(components.only_run(self.folder))
                for partial in self.folder.glob(".*.partial"):  # of a run that was killed while writing
                    partial.unlink()
                self.log = components.Log(self.folder / "log.jsonl", self.step)
                stack.callback(self.log.close)
            stop = stack.enter_context(stop_requests())
            batches = Prefetcher(
                self.data.train, configuration, self.samples_seen, accelerator.process_index, accelerator.num_processes, accelerator.device, self.coupling
            )
            stack.callback(batches.close)
            bar = tqdm(
                total=configuration.steps, initial=self.step, desc=configuration.name, unit="step", dynamic_ncols=True,
                disable=None if accelerator.is_main_process else True,
            )  # fmt: skip
            stack.callback(bar.close)
            return self._loop(batches, stop, bar)

    def _loop(self, batches: Prefetcher, stop: threading.Event, bar: tqdm) -> bool:
        configuration = self.configuration
        started = time.monotonic()
        losses: list[torch.Tensor] = []
        saved_at = sheet_at = self.earlier_seconds
        self.diffusion.train()
        while True:
            seconds, stopped = self._agree(self.earlier_seconds + time.monotonic() - started, stop.is_set())
            finished = components.progress(configuration, self.step, seconds) >= 1
            if finished or stopped or seconds - saved_at >= 60 * configuration.checkpoint_minutes:
                self._check(losses)
                self._save(seconds)
                saved_at = seconds
            if configuration.sheet_minutes and (finished or seconds - sheet_at >= 60 * configuration.sheet_minutes):
                self._draw_sheet()
                sheet_at = seconds
            if finished:
                self._save_model()
            if finished or stopped:
                return finished
            rate = components.learning_rate(configuration, self.step, seconds)
            loss, norm = self._train(batches.next(), rate)
            losses.append(loss)
            bar.update()
            if self.step % configuration.log_every == 0 or self.step == configuration.steps:
                mean = self._check(losses)
                self._report(bar, seconds=seconds, loss=mean, learning_rate=rate, gradient_norm=float(norm))
                losses.clear()

    def _train(self, batch: components.Batch, rate: float) -> tuple[torch.Tensor, torch.Tensor]:
        """One step. Returns this process's loss and the norm of the gradient before clipping."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss = self.diffusion(**batch.to(self.accelerator.device, channels_last=True))
        self.optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        norm = self.accelerator.clip_grad_norm_(self.diffusion.parameters(), self.configuration.clip)
        self.optimizer.step()
        self.ema.update()
        self.step += 1
        self.samples_seen += self.configuration.batch
        return loss.detach(), norm

    def _agree(self, seconds: float, stopped: bool) -> tuple[float, bool]:
        """The clock and the wish to stop, as all processes see them: the latest and any."""
        if self.accelerator.num_processes == 1:
            return seconds, stopped
        values = torch.tensor([seconds, float(stopped)], dtype=torch.float64, device=self.accelerator.device)
        torch.distributed.all_reduce(values, op=torch.distributed.ReduceOp.MAX)
        return float(values[0]), bool(values[1])

    def _check(self, losses: Sequence[torch.Tensor]) -> float:
        """The mean loss over steps and processes. A run that has diverged ends before it overwrites its checkpoint."""
        if not losses:
            return 0.0
        mean = float(self.accelerator.reduce(torch.stack(list(losses)).mean(), "mean"))
        if not np.isfinite(mean):
            raise TrainingError(f"the loss became {mean} at step {self.step}: try a lower --learning-rate; the last checkpoint is whole")
        return mean

    def _report(self, bar: tqdm, **values: float) -> None:
        if not self.accelerator.is_main_process:
            return
        self.log.write(step=self.step, samples_seen=self.samples_seen, **values)
        bar.set_postfix(loss=f"{values['loss']:.4f}")
        if bar.disable and self.step % (10 * self.configuration.log_every) == 0:
            print(f"step {self.step}  {values['seconds']:.0f} s  loss {values['loss']:.4f}", flush=True)

    # ---- files ----

    def _save(self, seconds: float) -> None:
        if not self.accelerator.is_main_process:
            return
        content = self._record()
        content["trainer"] = {
            "online": self.unet.state_dict(),
            "optimizer": self.optimizer.optimizer.state_dict(),
            "ema_step": int(self.ema.step),
            "seconds": seconds,
            "configuration": dataclasses.asdict(self.configuration),
        }
        components.write_atomically(self.folder / "checkpoint.pt", content)

    def _save_model(self) -> None:
        if self.accelerator.is_main_process:
            components.write_atomically(self.folder / "model.pt", self._record())

    def _record(self) -> dict[str, Any]:
        return components.model_record(self.configuration, self.data.classes, self.ema.ema_model.state_dict(), self.step, self.samples_seen)

    def _draw_sheet(self) -> None:
        """A class per row, a seed per column, by the averaged network. The other processes go on to wait at the next step."""
        if not self.accelerator.is_main_process:
            return
        classes = len(self.data.classes)
        rows = [i * classes // min(SHEET_ROWS, classes) for i in range(min(SHEET_ROWS, classes))]
        labels, seeds = zip(*((label, seed) for label in rows for seed in range(SHEET_COLUMNS)))
        generation = reference.Generation(label=0, seed=0, steps=min(SHEET_STEPS, self.configuration.timesteps), guidance_scale=self.configuration.sheet_scale)
        self.ema.ema_model.eval()
        pictures = reference.sample(
            self.ema.ema_model,
            components.noise_schedule(self.configuration).numpy(),
            self.configuration.objective,
            self.configuration.network_shape,
            generation,
            labels,
            seeds,
        )
        pixels = np.stack([reference.to_pixels(picture.float().cpu(), self.configuration.pixel_unshuffle) for picture in pictures])
        folder = self.folder / "samples"
        folder.mkdir(exist_ok=True)
        sheet_image(pixels, SHEET_COLUMNS).save(folder / f"step-{self.step:07d}.png")


def sheet_image(pictures: np.ndarray, columns: int) -> Image.Image:
    """uint8 [N, H, W, C] in rows, on white, two pixels apart."""
    height, width, channels = pictures.shape[1:]
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * (width + 2) + 2, rows * (height + 2) + 2), "white")
    for i, picture in enumerate(pictures):
        tile = Image.fromarray(picture[..., 0] if channels == 1 else picture)
        place = 2 + i % columns * (width + 2), 2 + i // columns * (height + 2)
        sheet.paste(tile, place, tile if channels == 4 else None)
    return sheet


@contextlib.contextmanager
def stop_requests() -> Iterator[threading.Event]:
    """Within, SIGINT and SIGTERM ask for an end with a checkpoint. A second one ends at once."""
    event = threading.Event()

    def request(number: int, _: Any) -> None:
        if event.is_set():
            sys.exit(128 + number)
        event.set()

    handlers = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def parse_arguments(arguments: Sequence[str] | None) -> Configuration:
    parser = argparse.ArgumentParser(prog="python -m pocket_diffusion train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configuration", type=Path, metavar="CONFIG.toml", help="see weights/configs; every option may be given here as well:")
    components.add_options(parser, Configuration)
    options = vars(parser.parse_args(arguments))
    return components.read_configuration(options.pop("configuration"), options, Configuration)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 finished, 75 interrupted and saved, 1 refused or failed, 2 wrong usage."""
    try:
        trainer = Trainer(parse_arguments(arguments))
        finished = trainer.run()
    except (TrainingError, data.DataError, CheckpointError, reference.ReferenceUnavailable, OSError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 1
    finally:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    if trainer.accelerator.is_main_process:
        state = "finished" if finished else "interrupted; the same command goes on"
        print(f"{state}: step {trainer.step}, {trainer.samples_seen:,} pictures seen, {trainer.folder}")
    return 0 if finished else STOPPED


if __name__ == "__main__":
    sys.exit(main())
