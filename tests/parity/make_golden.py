"""Writes the fixtures of tests/golden, which the C tests compare against.

Oracles: PyTorch's generator and linspace on the CPU, mpmath with 50 digits,
the dequantisation of PyPI `gguf`, and the sampling methods of denoising-diffusion-pytorch themselves, run on a
stand-in network whose two predictions are given tensors.

    python tests/parity/make_golden.py

tests/golden/README.md describes the format. PyTorch's last bits differ between
processors, so that a second run elsewhere need not give the same bytes.
"""

from __future__ import annotations

import importlib.util
import itertools
import sys
import sysconfig
from pathlib import Path
from unittest import mock

import gguf
import mpmath
import numpy as np
import torch

GOLDEN = Path(__file__).resolve().parent.parent / "golden"


def load_reference():
    """The module alone: importing its package would need torchvision."""
    path = Path(sysconfig.get_path("purelib")) / "denoising_diffusion_pytorch" / "classifier_free_guidance.py"
    spec = importlib.util.spec_from_file_location("classifier_free_guidance", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Fixture:
    """Named arrays: NAME.bin holds the numbers, NAME.txt says what lies where."""

    TYPES = {"float32": "f32", "float64": "f64", "int32": "i32", "uint32": "u32", "uint64": "u64", "uint8": "u8"}

    def __init__(self, name: str):
        self.name, self.data, self.lines = name, bytearray(), []

    def add(self, name: str, array) -> None:
        array = np.ascontiguousarray(array)
        self.data += bytes(-len(self.data) % 8)
        self.lines.append(f"{name} {self.TYPES[str(array.dtype)]} {len(self.data)} {array.size}\n")
        self.data += array.astype(array.dtype.newbyteorder("<")).tobytes()

    def write(self) -> None:
        (GOLDEN / f"{self.name}.bin").write_bytes(self.data)
        (GOLDEN / f"{self.name}.txt").write_text("".join(self.lines))
        print(f"{self.name}: {len(self.lines)} arrays, {len(self.data)} bytes")


def elementary() -> None:
    mpmath.mp.dps = 50
    random = np.random.default_rng(1)
    pi_multiples = [k * np.pi / 4 for k in (1, 2, 3, 4, 5, 6, 7, 8, 1000, 1001, 1273239)]
    angles = np.concatenate(
        [random.uniform(-7, 7, 60), random.uniform(-1e6, 1e6, 40), pi_multiples, [0.0, 1e-300, 1e-8, -1e-8, 1e6, -1e6, 0.7853981, 0.7853982]]
    )
    arguments = {
        "exp": np.concatenate(
            [random.uniform(-20, 20, 60), random.uniform(-744, 709.7, 40), [0.0, 1e-17, -1e-17, 1e-5, 709.78, -708.3, -708.5, -740.0, 0.34657359, -0.34657360]]
        ),
        "log": np.concatenate(
            [
                np.exp(random.uniform(-740, 709, 40)),
                random.uniform(0.4, 2.5, 40),
                1 + random.uniform(-1, 1, 20) * 1e-6,
                [1.0, 1 - 2.0**-53, 1 + 2.0**-52, 5e-324, 2.2250738585072014e-308, 2.0**-24, 2.0**-53],
                [1.7976931348623157e308, 1e-20, 0.7071067811865476, 1.4142135623730951, 2.0, 0.5],
            ]
        ),
        "sin": angles,
        "cos": angles,
        "erf": np.concatenate([random.uniform(-3, 3, 60), random.uniform(-7, 7, 30), [0.0, 1e-300, 1e-9, -1e-9, 0.5, 5.9999999, 6.0, -6.0, 5.5, 40.0, -1e300]]),
    }
    fixture = Fixture("elementary")
    for name, x in arguments.items():
        fixture.add(f"{name}.x", x)
        fixture.add(f"{name}.y", np.array([float(getattr(mpmath, name)(mpmath.mpf(float(v)))) for v in x]))
    fixture.write()


SEEDS = [0, 1, 2, 3, 7, 42, 123, 1234, 99999, 1729, 31337, 987654321, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**32 + 5, 2**40 + 17, 2**53 - 1, 2**63 - 1]
SIZES = [1, 2, 15, 16, 17, 31, 32, 33, 1000, 4999, 5000]
SEQUENCES = [[3, 16, 1, 17, 2, 15, 100, 5, 32, 1], [1, 1, 1, 1], [16, 15, 16, 33, 7, 7, 1, 640, 640, 9]]


def thinned(values: np.ndarray) -> np.ndarray:
    """All of a short draw; of a long one every 37th value and the last 48."""
    if len(values) <= 48:
        return values
    return np.concatenate([values[:-48:37], values[-48:]])


def random() -> None:
    fixture = Fixture("random")
    fixture.add("seeds", np.array(SEEDS, np.uint64))
    fixture.add("sizes", np.array(SIZES, np.int32))
    for seed in SEEDS:
        draws = []
        for size in SIZES:
            torch.manual_seed(seed)
            draws.append(thinned(torch.randn(size).numpy()))
        fixture.add(f"seed.{seed}", np.concatenate(draws))
    for number, sizes in enumerate(SEQUENCES):
        fixture.add(f"sequence.{number}.sizes", np.array(sizes, np.int32))
        torch.manual_seed(number)
        fixture.add(f"sequence.{number}", np.concatenate([torch.randn(size).numpy() for size in sizes]))
    fixture.write()


def time_grid(timesteps: int, steps: int) -> np.ndarray:
    return torch.linspace(-1, timesteps - 1, steps=steps + 1).int().numpy()[::-1]


def schedule() -> None:
    """Every grid of these T enters a sum of (time + 2) (2654435761 i + 40503 steps + 1) modulo 2^64."""
    fixture = Fixture("schedule")
    lengths = [1, 2, 7, 50, 100, 250, 1000, 1001, 4000]
    sums = []
    for timesteps in lengths:
        total = np.zeros(1, np.uint64)  # an array wraps around without a warning
        for steps in range(1, timesteps + 1):
            index = np.arange(steps + 1, dtype=np.uint64)
            weight = index * np.uint64(2654435761) + np.uint64(40503 * steps + 1)
            total += np.sum((time_grid(timesteps, steps) + 2).astype(np.uint64) * weight)
        sums.append(total[0])
    fixture.add("timesteps", np.array(lengths, np.int32))
    fixture.add("sums", np.array(sums, np.uint64))
    for timesteps, steps in [(7, 3), (250, 17), (1000, 20), (1000, 50), (1001, 385)]:
        fixture.add(f"grid.{timesteps}.{steps}", time_grid(timesteps, steps).astype(np.int32))
    fixture.write()


def image() -> None:
    fixture = Fixture("image")
    generator = torch.Generator().manual_seed(3)
    for factor, width, height, channels in [(1, 5, 3, 3), (1, 7, 2, 1), (2, 6, 4, 1), (3, 9, 6, 3), (4, 8, 12, 4)]:
        x = torch.empty(channels * factor**2, height // factor, width // factor).uniform_(-1.2, 1.2, generator=generator)
        edges = torch.tensor([-1.0, 1.0, 0.0, -1.5, 1.5, 127 / 255 * 2 - 1, 127.5 / 255 * 2 - 1, 254.5 / 255 * 2 - 1])
        x.view(-1)[: len(edges)] = edges
        picture = torch.nn.functional.pixel_shuffle(x[None], factor)[0]
        pixels = torch.floor(((picture + 1) * 0.5).clamp(0, 1) * 255 + 0.5).to(torch.uint8)
        name = f"{factor}.{width}.{height}.{channels}"
        fixture.add(f"{name}.x", x.numpy())
        fixture.add(f"{name}.pixels", pixels.permute(1, 2, 0).contiguous().numpy())
    fixture.write()


SCALES, RESCALES = [0.0, 1.0, 3.0, 6.0], [0.0, 0.7]


def quantised() -> None:
    """Blocks of random bits, whose scales and minima are finite, and what they are as float32."""
    random, fixture = np.random.default_rng(6), Fixture("quantised")
    edges = np.array([0x0000, 0x8000, 0x0001, 0x83FF, 0x0400, 0x7BFF, 0xFBFF, 0x3C00], dtype=np.uint16)
    for name, halves in (("Q4_0", 1), ("Q4_1", 2), ("Q5_0", 1), ("Q5_1", 2), ("Q8_0", 1)):
        kind = gguf.GGMLQuantizationType[name]
        blocks = random.integers(0, 256, (24, gguf.GGML_QUANT_SIZES[kind][1]), dtype=np.uint8)
        for part in range(halves):
            column = random.integers(0, 0x7C00, len(blocks), dtype=np.uint16) | random.choice([0, 0x8000], len(blocks)).astype(np.uint16)
            column[: len(edges)] = np.roll(edges, 3 * part)
            blocks[:, 2 * part : 2 * part + 2] = column[:, None].view(np.uint8)
        fixture.add(f"{name}.blocks", blocks)
        fixture.add(f"{name}.values", gguf.quants.dequantize(blocks, kind))
    fixture.write()


class StandIn(torch.nn.Module):
    """In place of the network: two given predictions for each timestep."""

    random_or_learned_sinusoidal_cond = False

    def __init__(self, reference, predictions, projection: bool, keep_parallel: float = 0.0, channels: int = 2):
        super().__init__()
        self.reference, self.predictions, self.projection = reference, predictions, projection
        self.keep_parallel, self.channels, self.out_dim = keep_parallel, channels, channels
        self.seen = {}

    def forward(self, x, time, classes, cond_drop_prob):
        t = int(time[0])
        self.seen[t] = x.clone()
        return self.predictions(t)[int(cond_drop_prob)].clone()

    def forward_with_cond_scale(self, *args, cond_scale, rescaled_phi, **kwargs):
        result = self.reference.Unet.forward_with_cond_scale(
            self,
            *args,
            cond_scale=cond_scale,
            rescaled_phi=rescaled_phi,
            remove_parallel_component=self.projection,
            keep_parallel_frac=self.keep_parallel,
            **kwargs,
        )
        # At scale 1 the reference returns one tensor where its caller wants two.
        return result if isinstance(result, tuple) else (result, result)


def guidance(reference) -> None:
    fixture = Fixture("guidance")
    generator = torch.Generator().manual_seed(4)
    conditional = torch.randn(1, 3, 5, 5, generator=generator) * 0.8 + 0.1
    null = conditional + 0.4 * torch.randn(1, 3, 5, 5, generator=generator)
    fixture.add("conditional", conditional.numpy())
    fixture.add("null", null.numpy())
    cases = [(s, r, p, 0.0) for s, r, p in itertools.product([*SCALES, 0.5, 2.3], RESCALES, [0, 1])]
    for scale, rescale, projection, keep in [*cases, (3.0, 0.0, 1, 0.25), (3.0, 0.7, 1, 0.25), (6.0, 1.0, 0, 0.0)]:
        model = StandIn(reference, lambda t: (conditional, null), bool(projection), keep)
        time = torch.zeros(1, dtype=torch.long)
        guided, _ = model.forward_with_cond_scale(conditional, time, None, cond_scale=scale, rescaled_phi=rescale)
        fixture.add(f"scale{scale:g}.rescale{rescale:g}.projection{projection}.keep{keep:g}", guided.numpy())
    fixture.write()


SHAPE = (1, 2, 3, 3)


def tensors_at(time: int):
    """(conditional, null) and noise of one timestep. Not by torch.randn, which
    is replaced while the reference runs."""
    generator = torch.Generator().manual_seed(1000 + time)
    conditional, difference, noise = torch.empty(3, *SHAPE).normal_(generator=generator)
    return (conditional, conditional + 0.3 * difference), noise


def trajectory(reference, times, diffusion_times, timesteps, schedule_name, objective, projection, scale, rescale, eta):
    """x_t, x_0 and x_next at the recorded steps of one run of the reference. `diffusion_times`: the times as the reference counts them,
    which differ from `times` in a respaced process. eta None: ancestral."""
    key = dict(zip(diffusion_times, times))
    model = StandIn(reference, lambda t: tensors_at(key[t])[0], projection)
    steps = len(times)
    diffusion = reference.GaussianDiffusion(
        model,
        image_size=SHAPE[-1],
        timesteps=timesteps,
        sampling_timesteps=None if eta is None else steps,
        objective=objective,
        beta_schedule=schedule_name,
        ddim_sampling_eta=eta or 0.0,
    )
    estimates = {}
    model_predictions = diffusion.model_predictions

    def recording_predictions(x, t, *args, **kwargs):
        prediction = model_predictions(x, t, *args, **kwargs)
        estimates[int(t[0])] = prediction.pred_x_start  # ancestral sampling clips it in place
        return prediction

    diffusion.model_predictions = recording_predictions

    def last():
        return key[min(model.seen)]  # times fall: the smallest one seen is the current one

    start = torch.randn(SHAPE, generator=torch.Generator().manual_seed(5))
    with (
        mock.patch.object(torch, "randn", lambda *args, **kwargs: start.clone()),
        mock.patch.object(torch, "randn_like", lambda x: tensors_at(last())[1]),
        mock.patch.object(reference, "unnormalize_to_zero_to_one", lambda x: x),
        mock.patch.object(reference, "tqdm", lambda sequence, **kwargs: sequence),
    ):
        sample = diffusion.p_sample_loop if eta is None else diffusion.ddim_sample
        final = sample(torch.zeros(1, dtype=torch.long), SHAPE, scale, rescale)
    states = [model.seen[t] for t in diffusion_times] + [final]
    rows = [(states[i], estimates[diffusion_times[i]], states[i + 1]) for i in recorded(steps)]
    return torch.stack([torch.cat(row) for row in rows]).numpy()


def recorded(steps: int):
    """First, middle, last with noise, last."""
    return [0, steps // 2, steps - 2, steps - 1]


def respaced(reference, alphas_cumprod, times):
    """The schedule of the reference that has the given abar at the given times."""
    kept = torch.cat([torch.ones(1, dtype=torch.float64), alphas_cumprod[list(reversed(times))]])
    return mock.patch.object(reference, "cosine_beta_schedule", lambda timesteps: 1 - kept[1:] / kept[:-1])


def sampler(reference) -> None:
    fixture = Fixture("sampler")
    tables = {}
    for name, timesteps in [("cosine", 1000), ("cosine", 60), ("linear", 1000)]:
        betas = getattr(reference, f"{name}_beta_schedule")(timesteps)
        tables[name, timesteps] = torch.cumprod(1 - betas, dim=0)
        fixture.add(f"alphas_cumprod.{name}.{timesteps}", tables[name, timesteps].numpy())
    used = set()

    def add(kind, schedule_name, timesteps, steps, objective, eta, projection, scale, rescale):
        times = time_grid(timesteps, steps).tolist()[:-1]
        used.update(times[i] for i in recorded(steps))
        common = dict(objective=f"pred_{objective}", projection=bool(projection), scale=scale, rescale=rescale, eta=eta)
        if kind == "ddpm" and steps < timesteps:
            with respaced(reference, tables[schedule_name, timesteps], times):
                rows = trajectory(reference, times, list(range(steps))[::-1], steps, "cosine", **common)
        else:
            rows = trajectory(reference, times, times, timesteps, schedule_name, **common)
        name = f"{kind}.{schedule_name}.{timesteps}.{steps}.{objective}.eta{eta or 0:g}"
        fixture.add(f"{name}.projection{projection}.rescale{rescale:g}.scale{scale:g}", rows)

    for objective, projection, rescale, scale in itertools.product(["noise", "x0", "v"], [0, 1], RESCALES, SCALES):
        for eta in [0.0, 0.5, 1.0]:
            add("ddim", "cosine", 1000, 50, objective, eta, projection, scale, rescale)
        add("ddpm", "cosine", 60, 60, objective, None, projection, scale, rescale)
    for objective in ["noise", "x0", "v"]:
        for eta in [0.0, 0.5, 1.0]:
            add("ddim", "linear", 1000, 10, objective, eta, 0, 3.0, 0.0)
        add("ddpm", "cosine", 1000, 50, objective, None, 0, 3.0, 0.0)
        add("ddpm", "linear", 1000, 7, objective, None, 0, 3.0, 0.0)
    for t in sorted(used):
        (conditional, null), noise = tensors_at(t)
        fixture.add(f"time.{t}", np.concatenate([conditional.numpy(), null.numpy(), noise.numpy()]))
    fixture.write()


def main() -> None:
    torch.set_num_threads(1)
    GOLDEN.mkdir(exist_ok=True)
    reference = load_reference()
    elementary()
    random()
    schedule()
    image()
    quantised()
    guidance(reference)
    sampler(reference)


if __name__ == "__main__":
    main()
