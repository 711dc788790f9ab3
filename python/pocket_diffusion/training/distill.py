"""Distils a trained network to few evaluations a picture, with the guidance scale as an input of the network.

  python -m pocket_diffusion distill weights/configs/doodles-fast.toml --teacher weights/doodles.gguf

Two methods (distillation.py says how they work): `jumps`, from four evaluations to two to one, each begun with --init
from the one before; then `matching`, which makes one and two evaluations sharp. Needs no data but the teacher.

Writes into the run's folder trajectories-*.npz, checkpoint.pt (all that is needed to go on), log.jsonl, samples/*.png, and in
the end model.pt, which export takes. A run that was killed goes on with the same command.
"""

import argparse
import contextlib
import copy
import dataclasses
import itertools
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pocket_diffusion import guidance_input, reference
from pocket_diffusion.checkpoint import CheckpointError
from pocket_diffusion.evaluation.pictures import Model
from pocket_diffusion.graph.ir import GraphError
from pocket_diffusion.training import components, distillation
from pocket_diffusion.training.components import TrainingError, option
from pocket_diffusion.training.distillation import Process, Trajectories
from pocket_diffusion.training.train import STOPPED, sheet_image, stop_requests

METHODS = ("jumps", "matching")
SHEET_COLUMNS = 8
TRAJECTORIES_A_FILE = 64


@dataclass(frozen=True)
class Configuration:
    """All options of a distillation: keys of the .toml file, and options of the command line with dashes for underscores."""

    name: str = option("fast", "of the model")
    teacher: str = option("", "model file, or checkpoint, of the network to distil")
    output: str = option("", "folder of the run (default: build/runs/NAME)")
    init: str = option("", "checkpoint of a distilled network to begin with; without, the student begins as the teacher")
    trajectories_folder: str = option("", "of trajectories, which runs may share (default: that of the run)")

    method: str = option("jumps", "how to distil", METHODS)
    calls: tuple[int, ...] = option((4,), "numbers of evaluations a picture to train for: divisors of kept")
    lowest_scale: float = option(0.0, "of guidance that the network will know")
    highest_scale: float = option(8.0, "of guidance that the network will know")
    rows: int = option(9, "of the embedding table for a class, at even distances from the lowest scale to the highest")

    trajectories: int = option(8192, "of the teacher to learn from; 0: none, with matching only")
    teacher_steps: int = option(12, "of DDIM in a trajectory, guided at each: twice as many evaluations")
    kept: int = option(4, "points of a trajectory that are kept beside its end")
    regression: float = option(0.5, "weight of the teacher's pictures beside matching")
    regression_batch: int = option(32, "trajectories a step beside matching")
    fake_updates: int = option(2, "of the network that learns what the student draws, for one of the student, with matching")
    fake_lead: int = option(30, "steps at first in which that network alone learns")
    fake_learning_rate: float = option(4e-4, "of that network")

    batch: int = option(96, "pictures a step")
    steps: int = option(100000, "of training")
    minutes: float = option(0.0, "end after so much training, if that is earlier; 0: no limit")
    learning_rate: float = option(4e-4, "at its highest")
    warmup: int = option(50, "steps in which the learning rate rises; it then falls to 0 along a cosine")
    weight_decay: float = option(0.0, "of AdamW")
    clip: float = option(1.0, "largest norm of the gradient")
    ema: float = option(0.995, "decay of the moving average of the weights")
    seed: int = option(0, "of noise, classes and scales")
    precision: str = option("auto", "of the network's arithmetic: auto is bf16 where the processor has it, else float32 (no)", ("auto", "bf16", "no"))
    threads: int = option(0, "of PyTorch; 0: its own choice")

    checkpoint_minutes: float = option(2.0, "between checkpoints")
    sheet_minutes: float = option(5.0, "between sheets of samples; 0: none")
    log_every: int = option(10, "steps between lines of the log")

    def __post_init__(self) -> None:
        components.check_choices(self)
        for name in ("rows", "teacher_steps", "kept", "batch", "steps", "log_every", "fake_updates"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} {getattr(self, name)}: must be at least 1")
        if self.rows < 2 or not 0 <= self.lowest_scale < self.highest_scale:
            raise TrainingError("lowest_scale, highest_scale, rows: expected two scales in order, from 0, and 2 rows at least")
        for calls in self.calls:
            if calls < 1 or self.kept % calls:
                raise TrainingError(f"calls {calls}: must divide kept, which is {self.kept}")
        if self.method == "jumps" and (len(self.calls) != 1 or self.trajectories < 1):
            raise TrainingError("jumps: expected one number of calls, and trajectories")
        if self.teacher_steps % self.kept:
            raise TrainingError(f"teacher_steps {self.teacher_steps}: must be a multiple of kept, which is {self.kept}")

    @property
    def folder(self) -> Path:
        return Path(self.output) if self.output else Path("build/runs") / self.name

    @property
    def scales(self) -> tuple[float, ...]:
        """Those that the rows are for."""
        return tuple(np.linspace(self.lowest_scale, self.highest_scale, self.rows).tolist())


# A run that goes on must agree in these.
FIXED = ("method", "lowest_scale", "highest_scale", "rows", "teacher_steps", "kept", "seed")


def _check_objective(path: Path, saved: Mapping[str, Any], objective: str) -> None:
    predicts = saved["diffusion"]["objective"]
    if predicts != objective:
        raise TrainingError(f"{path}: predicts {predicts}, but a student of this teacher predicts {objective}; use another --output or --init")


def _read_student(path: Path, scales: Sequence[float], objective: str) -> dict[str, torch.Tensor]:
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        known, weights = tuple(saved["guidance_scales"]), saved["ema"]
    except Exception as error:
        raise TrainingError(f"{path}: no checkpoint of a distilled network: {error}") from error
    if known != tuple(scales):
        raise TrainingError(f"{path}: knows the scales {known}, not {tuple(scales)}")
    _check_objective(path, saved, objective)
    student = {name: tensor.float() for name, tensor in weights.items()}
    distillation.share_lowest(student["classes_emb.weight"], scales)
    return student


class Distiller:
    """One run: the teacher, the student, with matching the network that learns what the student draws, and their optimizers."""

    step = 0
    samples_seen = 0
    earlier_seconds = 0.0

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        if not configuration.teacher:
            raise TrainingError("teacher: none was given")
        if configuration.threads:
            torch.set_num_threads(configuration.threads)
        self.bf16 = configuration.precision == "bf16" or (configuration.precision == "auto" and components.native_bf16("cpu"))
        self.model = Model.read(Path(configuration.teacher))
        if self.model.unet_arguments is None:
            raise TrainingError(f"{configuration.teacher}: only networks of the reference can be distilled so far")
        self.teacher = self.model.unet.to(memory_format=torch.channels_last)
        abar = torch.from_numpy(self.model.alphas_cumprod)
        self.process = Process(abar, self.model.objective)
        # From noise alone, an error in a prediction of the noise becomes one of 1 / sqrt(abar) times the size in the picture:
        # nothing that could be learnt. A student of such a teacher predicts v.
        self.student_process = Process(abar, "pred_v" if self.model.objective == "pred_noise" else self.model.objective)
        self.folder = configuration.folder
        self._build()

    def _build(self) -> None:
        configuration, scales = self.configuration, self.configuration.scales
        saved = self._read_saved()
        if saved:
            weights = saved["trainer"]["online"]
        elif configuration.init:
            weights = _read_student(Path(configuration.init), scales, self.student_process.objective)
        else:
            weights = distillation.repeat_rows(self.teacher.state_dict(), scales)
        arguments = self.model.unet_arguments
        self.student = distillation.build_student(arguments, weights, scales)
        self.optimizer = self._adam(self.student, configuration.learning_rate)
        self.average = copy.deepcopy(self.student).requires_grad_(False)
        self.fake: torch.nn.Module | None = None
        if configuration.method == "matching":
            begin = saved["trainer"]["fake"] if saved else distillation.repeat_rows(self.teacher.state_dict(), scales)
            self.fake = distillation.build_student(arguments, begin, scales)
            self.fake_optimizer = self._adam(self.fake, configuration.fake_learning_rate)
        if saved:
            self.average.load_state_dict(saved["ema"])
            self.optimizer.load_state_dict(saved["trainer"]["optimizer"])
            if self.fake is not None:
                self.fake_optimizer.load_state_dict(saved["trainer"]["fake_optimizer"])
            self.step, self.samples_seen, self.earlier_seconds = saved["step"], saved["samples_seen"], saved["trainer"]["seconds"]

    def _adam(self, network: torch.nn.Module, rate: float) -> torch.optim.Optimizer:
        return torch.optim.AdamW(network.parameters(), lr=rate, betas=(0.9, 0.99), weight_decay=self.configuration.weight_decay)

    def _read_saved(self) -> dict[str, Any] | None:
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return None
        try:
            saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            stored = saved["trainer"]["configuration"]
        except Exception as error:
            raise TrainingError(f"{path}: cannot go on from this file: {error}") from error
        now = dataclasses.asdict(self.configuration)
        for name in FIXED:
            if stored.get(name) != now[name]:
                raise TrainingError(f"{path}: was trained with {name} {stored.get(name)}, not {now[name]}; use another --output")
        if saved["trainer"]["teacher"] != self.model.fingerprint:
            raise TrainingError(f"{path}: was distilled from another teacher; use another --output")
        _check_objective(path, saved, self.student_process.objective)
        return saved

    # ---- the loop ----

    def run(self) -> bool:
        """True if the run came to its end, False if it was interrupted."""
        with contextlib.ExitStack() as stack:
            self.folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(components.only_run(self.folder))
            self.log = components.Log(self.folder / "log.jsonl", self.step)
            stack.callback(self.log.close)
            stop = stack.enter_context(stop_requests())
            # Without its cache, which would keep the weights of the first step as long as the context lasts.
            stack.enter_context(torch.autocast("cpu", torch.bfloat16, enabled=self.bf16, cache_enabled=False))
            if not self._draw_trajectories(stop):
                return False
            return self._loop(stop)

    def _draw_trajectories(self, stop: threading.Event) -> bool:
        """As many as are asked for, but for those that lie in the folder already. False if it was stopped."""
        configuration = self.configuration
        folder = Path(configuration.trajectories_folder) if configuration.trajectories_folder else self.folder
        folder.mkdir(parents=True, exist_ok=True)
        for index in range(-(-configuration.trajectories // TRAJECTORIES_A_FILE)):
            path = folder / f"trajectories-{index:05d}.npz"
            if stop.is_set():
                return False
            if path.exists():
                continue
            labels, scales, noise = self._draw(TRAJECTORIES_A_FILE, 1, index)
            points = distillation.draw_trajectories(self.teacher, self.process, noise, labels, scales, configuration.teacher_steps, configuration.kept)
            Trajectories(points, labels, scales).write(path)
        self.trajectories = Trajectories.read(folder)
        if self.trajectories and self.trajectories.points.shape[1:] != (configuration.kept + 1, *self.model.shape):
            raise TrainingError(f"{folder}: its trajectories are of another network, or other points of them were kept")
        return True

    def _draw(self, count: int, *place: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Labels, scales and noise, by the place in the run."""
        configuration, generator = self.configuration, distillation.generator_of(self.configuration.seed, *place)
        labels = torch.randint(0, len(self.model.classes), (count,), generator=generator)
        scales = distillation.draw_scales(count, configuration.lowest_scale, configuration.highest_scale, generator)
        return labels, scales, torch.randn((count, *self.model.shape), generator=generator)

    def _loop(self, stop: threading.Event) -> bool:
        configuration = self.configuration
        started = time.monotonic()
        saved_at = sheet_at = self.earlier_seconds
        losses: list[dict[str, float]] = []
        while True:
            seconds = self.earlier_seconds + time.monotonic() - started
            finished = components.progress(configuration, self.step, seconds) >= 1
            if finished or stop.is_set() or seconds - saved_at >= 60 * configuration.checkpoint_minutes:
                self._save(seconds)
                saved_at = seconds
            if configuration.sheet_minutes and (finished or seconds - sheet_at >= 60 * configuration.sheet_minutes):
                self._draw_sheets()
                sheet_at = seconds
            if finished:
                components.write_atomically(self.folder / "model.pt", self._record())
            if finished or stop.is_set():
                return finished
            rate = components.learning_rate(configuration, self.step, seconds)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            losses.append(self._jump_step() if configuration.method == "jumps" else self._matching_step())
            self.step += 1
            self.samples_seen += configuration.batch
            self._update_average()
            if self.step % configuration.log_every == 0:
                means = {name: float(np.mean([each[name] for each in losses if name in each])) for name in losses[-1]}
                if not np.isfinite(list(means.values())).all():
                    raise TrainingError(f"the loss became {means} at step {self.step}: try a lower --learning-rate; the last checkpoint is whole")
                self.log.write(step=self.step, samples_seen=self.samples_seen, seconds=seconds, learning_rate=rate, **means)
                print(f"step {self.step}  {seconds:.0f} s  " + "  ".join(f"{name} {value:.4f}" for name, value in means.items()), flush=True)
                losses.clear()

    def _update(self, network: torch.nn.Module, optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        table: Any = network.classes_emb
        distillation.share_lowest(table.weight.grad, self.configuration.scales)
        torch.nn.utils.clip_grad_norm_(network.parameters(), self.configuration.clip)
        optimizer.step()
        distillation.share_lowest(table.weight, self.configuration.scales)

    def _update_average(self) -> None:
        decay = min(self.configuration.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for ours, theirs in zip(self.average.parameters(), self.student.parameters()):
                ours.lerp_(theirs, 1 - decay)
            table: Any = self.average.classes_emb
            distillation.share_lowest(table.weight, self.configuration.scales)

    # ---- jumps ----

    def _some_trajectories(self, count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Points, float32 [count, kept + 1, C, H, W], and conditions."""
        assert self.trajectories is not None
        chosen = torch.randint(0, len(self.trajectories.labels), (count,), generator=generator)
        conditions = guidance_input.conditions(self.trajectories.labels[chosen], self.trajectories.scales[chosen])
        return self.trajectories.points[chosen].float(), conditions

    def _times(self) -> torch.Tensor:
        """Of the points of a trajectory, int64 [kept + 1]; -1 is the picture."""
        return torch.tensor([*reference.time_grid(len(self.process.abar), self.configuration.kept), -1])

    def _jump_loss(self, count: int, calls: Sequence[int], generator: torch.Generator) -> torch.Tensor:
        """From a point of a trajectory to the next that is visited in so many calls."""
        kept, times = self.configuration.kept, self._times()
        points, conditions = self._some_trajectories(count, generator)
        taken = torch.tensor(calls)[torch.randint(0, len(calls), (count,), generator=generator)]
        stride = kept // taken
        begin = (torch.rand(count, generator=generator) * taken).long() * stride
        rows = torch.arange(count)
        x, reached, t, to = points[rows, begin], points[rows, begin + stride], times[begin], times[begin + stride]
        predicted = self._pictures(self.student, x, t, conditions)
        return distillation.distance(predicted, distillation.jump_target(self.process, x, reached, t, to))

    def _jump_step(self) -> dict[str, float]:
        configuration = self.configuration
        generator = distillation.generator_of(configuration.seed, 2, self.step)
        loss = self._jump_loss(configuration.batch, configuration.calls, generator)
        self._update(self.student, self.optimizer, loss)
        return {"loss": float(loss.detach())}

    # ---- matching ----

    def _inputs(self, conditions: torch.Tensor, noise: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """x and t at which the student is evaluated in one of its numbers of calls: pure noise, or its own picture noised anew.

        That picture is made in one call, whichever call of several is meant.
        """
        configuration, count = self.configuration, len(noise)
        taken = torch.tensor(configuration.calls)[torch.randint(0, len(configuration.calls), (count,), generator=generator)]
        visited = (torch.rand(count, generator=generator) * taken).long() * (configuration.kept // taken)
        t, x = self._times()[visited], noise
        later = visited > 0
        if later.any():
            first = self._times()[:1].expand(int(later.sum()))
            with torch.no_grad():
                drawn = self._pictures(self.student, noise[later], first, conditions[later]).clamp(-1, 1)
            x = noise.clone()
            x[later] = self.process.diffuse(drawn, torch.randn(drawn.shape, generator=generator), t[later])
        return x, t

    def _pictures(self, network: torch.nn.Module, x: torch.Tensor, t: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        """x_0 that the student, or the network that learns what it draws, predicts."""
        return self.student_process.picture(x, network(x, t, conditions, cond_drop_prob=0.0).float(), t)

    def _noised(self, pictures: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """x_t at random times, neither the first nor the last ones; t; the noise."""
        steps = len(self.process.abar)
        t = torch.randint(steps // 50, steps - steps // 50, (len(pictures),), generator=generator)
        noise = torch.randn(pictures.shape, generator=generator)
        return self.process.diffuse(pictures, noise, t), t, noise

    def _matching_step(self) -> dict[str, float]:
        configuration = self.configuration
        assert self.fake is not None
        labels, scales, noise = self._draw(configuration.batch, 3, self.step)
        generator = distillation.generator_of(configuration.seed, 4, self.step)
        conditions = guidance_input.conditions(labels, scales)
        x, t = self._inputs(conditions, noise, generator)
        leads = self.step < configuration.fake_lead
        with torch.set_grad_enabled(not leads):
            drawn = self._pictures(self.student, x, t, conditions)
        pictures = drawn.detach().clamp(-1, 1)
        if leads:
            return {"fake": float(np.mean([self._fake_update(pictures, conditions, generator) for _ in range(configuration.fake_updates)]))}
        noised, at, _ = self._noised(pictures, generator)
        with torch.no_grad():
            real = self.process.picture(noised, distillation.guided_prediction(self.teacher, noised, at, labels, scales), at).clamp(-1, 1)
            fake = self._pictures(self.fake, noised, at, conditions).clamp(-1, 1)
        direction = distillation.matching_direction(pictures, real, fake)
        loss = distillation.matching_loss(drawn, direction)
        measured = {"direction": float(direction.square().mean().sqrt())}
        if self.trajectories is not None and configuration.regression > 0:
            regression = self._regression_loss(generator)
            measured["regression"] = float(regression.detach())
            loss = loss + configuration.regression * regression
        self._update(self.student, self.optimizer, loss)
        fakes = [self._fake_update(pictures, conditions, generator) for _ in range(configuration.fake_updates)]
        return {**measured, "fake": float(np.mean(fakes))}

    def _regression_loss(self, generator: torch.Generator) -> torch.Tensor:
        """From any visited point of a trajectory to its end."""
        points, conditions = self._some_trajectories(self.configuration.regression_batch, generator)
        kept, most = self.configuration.kept, max(self.configuration.calls)
        begin = torch.randint(0, most, (len(points),), generator=generator) * (kept // most)
        x, t = points[torch.arange(len(points)), begin], self._times()[begin]
        return distillation.distance(self._pictures(self.student, x, t, conditions), points[:, -1])

    def _fake_update(self, pictures: torch.Tensor, conditions: torch.Tensor, generator: torch.Generator) -> float:
        """Teaches the other network, as a diffusion model, what the student draws."""
        assert self.fake is not None
        noised, t, noise = self._noised(pictures, generator)
        predicted = self.fake(noised, t, conditions, cond_drop_prob=0.0).float()
        loss = (predicted - self.student_process.target(pictures, noise, t)).square().mean()
        self._update(self.fake, self.fake_optimizer, loss)
        return float(loss.detach())

    # ---- files ----

    def _record(self) -> dict[str, Any]:
        """What export reads: the averaged weights and all that describes them."""
        configuration, model = self.configuration, self.model
        return {
            "unet": model.unet_arguments,
            "guidance_scales": list(configuration.scales),
            "ema": {name: tensor.detach().contiguous() for name, tensor in self.average.state_dict().items()},
            "diffusion": {
                "image_size": model.shape[1],
                "timesteps": len(model.alphas_cumprod),
                "objective": self.student_process.objective,
                "beta_schedule": "custom",
                "alphas_cumprod": torch.from_numpy(model.alphas_cumprod),
            },
            "pixel_unshuffle": model.pixel_unshuffle,
            "image": {"height": model.size[1], "width": model.size[0], "channels": model.channels},
            "classes": list(model.classes),
            "step": self.step,
            "samples_seen": self.samples_seen,
            "data": Path(configuration.teacher).name,
        }

    def _save(self, seconds: float) -> None:
        content = self._record()
        content["trainer"] = {
            "online": self.student.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "seconds": seconds,
            "teacher": self.model.fingerprint,
            "configuration": dataclasses.asdict(self.configuration),
        }
        if self.fake is not None:
            content["trainer"].update(fake=self.fake.state_dict(), fake_optimizer=self.fake_optimizer.state_dict())
        components.write_atomically(self.folder / "checkpoint.pt", content)

    @torch.no_grad()
    def draw(self, noise: torch.Tensor, labels: torch.Tensor, scales: torch.Tensor, calls: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """Pictures in [-1, 1] by the averaged network: DDIM without noise, or, with a generator, noised anew between calls (lcm)."""
        times = [*reference.time_grid(len(self.process.abar), calls), -1]
        x, conditions = noise, guidance_input.conditions(labels, scales)
        for t, to in itertools.pairwise(times):
            here, there = torch.full((len(x),), t), torch.full((len(x),), to)
            x0 = self._pictures(self.average, x, here, conditions).clamp(-1, 1)
            anew = generator and torch.randn(x0.shape, generator=generator)
            x = self.process.jump(x, x0, here, there) if anew is None else self.process.diffuse(x0, anew, there)
        return x

    def _draw_sheets(self) -> None:
        """For each number of calls a class and scale per row, a seed per column."""
        classes = min(8, len(self.model.classes))
        low, high = self.configuration.lowest_scale, self.configuration.highest_scale
        some = [min(high, max(low, scale)) for scale in (1.0, 3.0)]
        labels = torch.arange(classes).repeat_interleave(len(some) * SHEET_COLUMNS)
        scales = torch.tensor(some).repeat_interleave(SHEET_COLUMNS).repeat(classes)
        generator = distillation.generator_of(self.configuration.seed, 5)
        noise = torch.randn((SHEET_COLUMNS, *self.model.shape), generator=generator).repeat(classes * len(some), 1, 1, 1)
        folder = self.folder / "samples"
        folder.mkdir(exist_ok=True)
        for calls in self.configuration.calls:
            anew = generator if self.configuration.method == "matching" else None
            pictures = self.draw(noise, labels, scales, calls, anew).float()
            pixels = np.stack([reference.to_pixels(picture, self.model.pixel_unshuffle) for picture in pictures])
            sheet_image(pixels, len(some) * SHEET_COLUMNS).save(folder / f"step-{self.step:07d}-calls-{calls}.png")


def parse_arguments(arguments: Sequence[str] | None) -> Configuration:
    parser = argparse.ArgumentParser(prog="python -m pocket_diffusion distill", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configuration", type=Path, metavar="CONFIG.toml", help="see weights/configs; every option may be given here as well:")
    components.add_options(parser, Configuration)
    options: Mapping[str, Any] = vars(parser.parse_args(arguments))
    return components.read_configuration(options["configuration"], {name: value for name, value in options.items() if name != "configuration"}, Configuration)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 finished, 75 interrupted and saved, 1 refused or failed, 2 wrong usage."""
    try:
        distiller = Distiller(parse_arguments(arguments))
        finished = distiller.run()
    except (TrainingError, CheckpointError, GraphError, reference.ReferenceUnavailable, OSError) as error:
        print(f"distill: {error}", file=sys.stderr)
        return 1
    state = "finished" if finished else "interrupted; the same command goes on"
    print(f"{state}: step {distiller.step}, {distiller.samples_seen:,} pictures seen, {distiller.folder}")
    return 0 if finished else STOPPED


if __name__ == "__main__":
    sys.exit(main())
