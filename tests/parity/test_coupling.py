"""Noise that knows the style of its picture: what it must keep, and that a network learns to follow it."""

import numpy as np
import pytest
import torch
import training_run
from pocket_diffusion import data, reference
from pocket_diffusion.data import ArraySource, Layout
from pocket_diffusion.evaluation.style import intraclass_correlation
from pocket_diffusion.reference import Generation
from pocket_diffusion.training import components, coupling
from pocket_diffusion.training.components import Configuration, TrainingError
from pocket_diffusion.training.coupling import NoiseCoupling

GROUPS, CLASSES, SIDE = 120, 3, 16


def drawings(width: float, shift: int, shape: int) -> np.ndarray:
    """One of three shapes in strokes of a width: uint8 [16, 16]."""
    y, x = np.mgrid[:SIDE, :SIDE] - 7.5
    distance = (np.abs(x), np.abs(y), np.abs(np.hypot(x, y) - 4.5))[shape]
    ink = np.clip(width / 2 + 0.5 - distance, 0, 1)
    return (255 * (1 - np.roll(ink, shift, axis=1))).astype(np.uint8)


@pytest.fixture(scope="module")
def widths() -> np.ndarray:
    return np.random.default_rng(1).uniform(1, 5, GROUPS)


@pytest.fixture(scope="module")
def archive(tmp_path_factory, widths):
    """A set in the form of letters: a 'font' is a width of strokes, and has every shape."""
    chance = np.random.default_rng(2)
    images = [drawings(width, int(chance.integers(-1, 2)), shape) for width in widths for shape in range(CLASSES)]
    path = tmp_path_factory.mktemp("style") / "set.npz"
    np.savez(
        path,
        images=np.stack(images),
        labels=np.tile(np.arange(CLASSES), GROUPS).astype(np.uint8),
        classes=np.array(["bar", "dash", "ring"]),
        font=np.repeat(np.arange(GROUPS), CLASSES).astype(np.uint16),
        fonts=np.array([f"font{i}.otf|family {i}" for i in range(GROUPS)]),
    )
    return path


def source_of(archive) -> ArraySource:
    source = data.load(archive, Layout(SIDE)).train
    assert isinstance(source, ArraySource)
    return source


def test_codes_follow_the_style(archive, widths):
    source = source_of(archive)
    codes = NoiseCoupling.fit(source, 2, 4).codes.numpy()
    present = np.unique(source.groups)
    assert len(present) < GROUPS and (np.delete(codes, present, axis=0) == 0).all()  # families that are held out have none
    ranks = np.argsort(np.argsort(widths[present])), np.argsort(np.argsort(codes[present, 0]))
    assert abs(np.corrcoef(*ranks)[0, 1]) > 0.98
    np.testing.assert_allclose(codes[present].std(axis=0), 1, atol=0.03)
    np.testing.assert_allclose(codes[present].mean(axis=0), 0, atol=1e-6)


def test_the_noise_stays_standard_normal(archive):
    """Over all groups; else pictures of a seed, which is standard normal, would not have the distribution learnt."""
    couple = NoiseCoupling.fit(source_of(archive), 3, 4)
    source = source_of(archive)
    generator = torch.Generator().manual_seed(3)
    count = 30_000
    groups = torch.from_numpy(source.groups.astype(np.int64))[torch.randint(0, len(source), (count,), generator=generator)]
    noise, jitter = torch.randn((count, 16, 4, 4), generator=generator), torch.randn((count, 3), generator=generator)
    coupled = couple.couple(noise, groups, jitter)
    flat = coupled.flatten(1).double()
    covariance = flat.T @ flat / count
    assert (covariance - torch.eye(256)).abs().max() < 6 * (2 / count) ** 0.5  # six standard errors of a variance
    assert flat.mean(dim=0).abs().max() < 6 * count**-0.5
    written = torch.einsum("nchw,kc->nk", coupled, couple.directions) / 4
    torch.testing.assert_close(written, (1 - coupling.JITTER**2) ** 0.5 * couple.codes[groups] + coupling.JITTER * jitter, rtol=0, atol=1e-5)
    torch.testing.assert_close(coupled - coupled.mean(dim=(2, 3), keepdim=True), noise - noise.mean(dim=(2, 3), keepdim=True), rtol=0, atol=1e-5)


def test_codes_are_written_where_pictures_are_empty(archive):
    source = source_of(archive)
    directions = NoiseCoupling.fit(source, 3, 4).directions
    torch.testing.assert_close(directions @ directions.T, torch.eye(3), rtol=0, atol=1e-5)
    x = torch.nn.functional.pixel_unshuffle(data.to_unit_range(source.images) * 2 - 1, 4).mean(dim=(2, 3))
    assert ((x @ directions.T) ** 2).mean() < 0.01 * (x**2).mean()


def test_batches_do_not_depend_on_how_they_are_cut(archive):
    configuration = Configuration(size=SIDE, dim=8, dim_mults=(1,), pixel_unshuffle=4, style_dimensions=2)
    source = source_of(archive)
    couple = components.fit_coupling(source, configuration)
    whole = components.make_batch(source, configuration, 3, 37, coupling=couple).noise
    parts = [components.make_batch(source, configuration, first, count, coupling=couple).noise for first, count in ((3, 5), (8, 21), (29, 11))]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-6)
    assert (whole - components.make_batch(source, configuration, 3, 37).noise).abs().max() > 0.1


def test_refusals(archive):
    source = data.load(archive, Layout(SIDE)).train
    with pytest.raises(TrainingError, match="style_dimensions"):
        Configuration(size=SIDE, dim_mults=(1,), pixel_unshuffle=2, style_dimensions=4)
    assert components.fit_coupling(source, Configuration(size=SIDE, dim_mults=(1,))) is None
    with pytest.raises(TrainingError, match="belong together"):
        components.fit_coupling(ArraySource(source.images, source.labels), Configuration(size=SIDE, dim_mults=(1,), style_dimensions=2))


@pytest.mark.slow
def test_pictures_of_a_seed_share_their_style(archive, tmp_path):
    """Trained with coupled noise, the shapes of one seed agree in their width more than they do without."""
    agreement = {}
    for dimensions in (0, 2):
        run = tmp_path / str(dimensions)
        options = [
            "--data", str(archive), "--size", str(SIDE), "--channels", "1", "--pixel-unshuffle", "4", "--dim", "16", "--dim-mults", "1", "--timesteps", "200",
            "--batch", "64", "--steps", "400", "--learning-rate", "4e-3", "--warmup", "30", "--ema", "0.98", "--style-dimensions", str(dimensions),
            "--device", "cpu", "--precision", "no", "--threads", "1", "--sheet-minutes", "0", "--output", str(run), "--schedule-side", "4",
        ]  # fmt: skip
        config = tmp_path / "config.toml"
        config.write_text('name = "style"\n')
        assert training_run.run([str(config), *options]) == 0
        saved = torch.load(run / "model.pt", weights_only=True)
        unet = reference.build_unet(saved["unet"], saved["ema"])
        seeds, labels = np.repeat(np.arange(40), CLASSES), np.tile(np.arange(CLASSES), 40)
        generation = Generation(0, 0, steps=20, guidance_scale=1.0)
        x = reference.sample(unet, saved["diffusion"]["alphas_cumprod"].numpy(), "pred_v", (16, 4, 4), generation, labels.tolist(), seeds.tolist())
        ink = 255 - np.stack([reference.to_pixels(each, 4) for each in x]).mean(axis=(1, 2, 3))
        for label in range(CLASSES):
            of_class = ink[labels == label]
            ink[labels == label] = (of_class - of_class.mean()) / of_class.std()
        agreement[dimensions] = intraclass_correlation(ink, seeds)
    assert agreement[2] > 0.9 and agreement[2] - agreement[0] > 0.15, agreement
