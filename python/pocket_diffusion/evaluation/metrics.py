"""How good pictures are: a classifier of the data set at hand, distances in its features, copies, and exact checks."""

import contextlib
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from prdc import compute_prdc
from torch import nn

from pocket_diffusion.data import CharacterSource, DataSet, to_unit_range
from pocket_diffusion.training import components

FEATURES = 128
NEAREST = 5  # of precision, recall, density and coverage, as in Naeem et al. 2020


# ---- classifier -------------------------------------------------------------


class Classifier(nn.Module):
    """A small convolutional network. Its features are what stands before the last layer, [N, FEATURES]."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()

        def block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())

        self.convolutions = nn.Sequential(
            block(channels, 32, 2), block(32, 48, 1), block(48, 96, 2), block(96, 96, 1),
            nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Dropout(0.2), nn.Linear(16 * 96, FEATURES), nn.BatchNorm1d(FEATURES), nn.ReLU(),
        )  # fmt: skip
        self.last = nn.Linear(FEATURES, classes)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """x [N, C, H, W] in [0, 1] -> logits and features."""
        features = self.convolutions(x * 2 - 1)
        return self.last(features), features


def _jitter(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Small rotations, scalings and shifts; what comes in from outside repeats the border."""
    count = len(x)
    angle = (torch.rand(count, generator=generator) - 0.5) * 0.35
    scale = 1 + (torch.rand(count, generator=generator) - 0.5) * 0.2
    matrix = torch.zeros(count, 2, 3)
    matrix[:, 0, 0] = matrix[:, 1, 1] = torch.cos(angle) * scale
    matrix[:, 0, 1], matrix[:, 1, 0] = -torch.sin(angle) * scale, torch.sin(angle) * scale
    matrix[:, :, 2] = (torch.rand(count, 2, generator=generator) - 0.5) * 0.2
    grid = nn.functional.affine_grid(matrix, list(x.shape), align_corners=False)
    return nn.functional.grid_sample(x, grid, padding_mode="border", align_corners=False)


def train_classifier(data: DataSet, pictures: int, seed: int = 0) -> Classifier:
    """On the training pictures alone, `pictures` of them in all; grey ones jittered (pixel art would be blurred)."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    batch = min(128, max(8, len(data.train) // 4))
    steps = math.ceil(pictures / batch)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        classifier = Classifier(data.layout.channels, len(data.classes)).to(device, memory_format=torch.channels_last).train()
        optimizer = torch.optim.AdamW(classifier.parameters(), weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)
        generator = torch.Generator().manual_seed(seed)
        for step in range(steps):
            images, labels = data.train.pictures(data.train.visit(step * batch, batch, seed))
            x = to_unit_range(images)
            if data.layout.channels == 1:
                x = _jitter(x, generator)
            logits, _ = classifier(x.to(device, memory_format=torch.channels_last))
            loss = nn.functional.cross_entropy(logits, torch.from_numpy(labels).to(device), label_smoothing=0.05)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
    return classifier.cpu().eval()


def cached_classifier(data: DataSet, cache: Path, pictures: int) -> Classifier:
    """The classifier of exactly these pictures, trained unless it was before."""
    path = cache / f"classifier-{data.fingerprint}-{pictures}.pt"
    if path.exists():
        classifier = Classifier(data.layout.channels, len(data.classes))
        classifier.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        return classifier.eval()
    classifier = train_classifier(data, pictures)
    cache.mkdir(parents=True, exist_ok=True)
    components.write_atomically(path, classifier.state_dict())
    return classifier


@torch.no_grad()
def classify(classifier: Classifier, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [N, H, W, C] -> predicted labels [N], features float64 [N, FEATURES]."""
    labels, features = [], []
    for chunk in np.array_split(images, max(1, math.ceil(len(images) / 256))):
        logits, found = classifier(to_unit_range(chunk))
        labels.append(logits.argmax(dim=1).numpy())
        features.append(found.double().numpy())
    return np.concatenate(labels), np.concatenate(features)


# ---- distributions ----------------------------------------------------------


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Between Gaussians fitted to two sets of features [N, D]: |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).

    C1 C2 has the eigenvalues of the symmetric C1^(1/2) C2 C1^(1/2), so no general matrix root is needed.
    """
    difference = a.mean(axis=0) - b.mean(axis=0)
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ second @ root).clip(min=0)).sum()
    return float(difference @ difference + np.trace(first) + np.trace(second) - 2 * cross)


def precision_recall(real: np.ndarray, generated: np.ndarray) -> dict[str, float]:
    """Precision and recall (Kynkaanniemi et al. 2019), density and coverage (Naeem et al. 2020), by `prdc`."""
    nearest = min(NEAREST, len(real) - 2, len(generated) - 2)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints the counts
        found = compute_prdc(real_features=real, fake_features=generated, nearest_k=nearest)
    return {name: float(value) for name, value in found.items()}


def spread_within_classes(features: np.ndarray, labels: Sequence[int] | np.ndarray) -> float:
    """Mean distance of two different pictures of one class, over all such pairs: how much pictures differ from each other."""
    labels = np.asarray(labels)
    total, pairs = 0.0, 0
    for label in np.unique(labels):
        members = features[labels == label]
        squares = (members**2).sum(axis=1)
        apart = np.sqrt((squares[:, None] - 2 * members @ members.T + squares).clip(min=0))
        np.fill_diagonal(apart, 0)  # not exactly 0 by the formula
        total, pairs = total + apart.sum(), pairs + len(members) * (len(members) - 1)
    return float(total / pairs) if pairs else 0.0


# ---- copies -----------------------------------------------------------------


def nearest_distances(queries: np.ndarray, pictures: np.ndarray) -> np.ndarray:
    """Of each query its distance to the nearest picture: root mean square over pixels, of 255. Both uint8 [N, ...]."""
    q = torch.from_numpy(queries.reshape(len(queries), -1)).float()
    squares = (q * q).sum(dim=1, keepdim=True)
    best = torch.full((len(q),), torch.inf)
    for start in range(0, len(pictures), 4096):
        p = torch.from_numpy(pictures[start : start + 4096].reshape(-1, q.shape[1])).float()
        best = torch.minimum(best, (squares - 2 * q @ p.T + (p * p).sum(dim=1)).amin(dim=1))
    return (best.clamp(min=0) / q.shape[1]).sqrt().numpy()


@dataclass(frozen=True)
class CopyTest:
    """Whether pictures lie closer to training pictures than people's own, unseen ones do."""

    distances: Callable[[np.ndarray], np.ndarray] = field(repr=False)  # of each picture to the nearest training picture
    tenth: float  # tenth percentile of the distances of held-out pictures
    nearest: float  # the smallest of them

    @classmethod
    def prepare(cls, distances: Callable[[np.ndarray], np.ndarray], held_out: np.ndarray) -> "CopyTest":
        found = distances(held_out)
        return cls(distances, float(np.percentile(found, 10)), float(found.min()))

    def score(self, generated: np.ndarray) -> dict[str, float]:
        distances = self.distances(generated)
        return {
            "nearer_than_tenth": float((distances < self.tenth).mean()),
            "nearer_than_any": float((distances < self.nearest).mean()),
            "median_distance": float(np.median(distances)),
        }


class NearestComposition:
    """Distances of pictures to the nearest of all compositions of a source: exact, though there are millions.

    Background, head and glasses alone show where no body and no accessory reaches; the distance there is a lower bound.
    Combinations are visited by it, and for each the best body and accessory are found among all, until no bound is left
    below the best distance.
    """

    def __init__(self, source: CharacterSource) -> None:
        layers = {name: np.stack([part.pixels for part in parts]) for name, parts in source.parts.items()}
        below = np.any(np.concatenate([layers["bodies"], layers["accessories"]])[..., 3] > 0, axis=0)
        self._free, self._below = ~below, below
        self._upper = list(np.ndindex(*(len(layers[name]) for name in ("backgrounds", "heads", "glasses"))))
        numbers = dict(zip(("backgrounds", "heads", "glasses"), np.array(self._upper).T))
        self._templates = source.compose(numbers)[:, self._free, :3].reshape(len(self._upper), -1).astype(np.float32)
        self._squares = (self._templates**2).sum(axis=1)
        inside = {name: pixels[:, below] for name, pixels in layers.items()}  # [count, P, 4]
        self._colours = {name: pixels[..., :3].astype(np.float32) for name, pixels in inside.items()}
        self._opaque = {name: pixels[..., 3] > 0 for name, pixels in inside.items()}
        self._allowed = np.moveaxis(source.of_source, 2, 0)  # [bodies, heads, glasses]

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Of uint8 [N, H, W, 3], the root mean square over pixels and channels, of 255; [N]."""
        return np.array([self._distance(image) for image in images])

    def _distance(self, image: np.ndarray) -> float:
        outside = image[self._free].reshape(-1).astype(np.float32)
        bounds = self._squares - 2 * self._templates @ outside + (outside**2).sum()
        errors = {name: ((colours - image[self._below].astype(np.float32)) ** 2).sum(axis=-1) for name, colours in self._colours.items()}
        best = np.inf
        for i in np.argsort(bounds):
            if bounds[i] >= best:
                break
            background, head, glasses = self._upper[i]
            best = min(best, bounds[i] + self._inside(errors, background, head, glasses))
        return float(np.sqrt(max(best, 0) / image.size))

    def _inside(self, errors: dict[str, np.ndarray], background: int, head: int, glasses: int) -> float:
        """The smallest squared error where bodies and accessories reach, over all of both."""
        on_glasses = self._opaque["glasses"][glasses]
        on_head = self._opaque["heads"][head] & ~on_glasses
        above = errors["glasses"][glasses][on_glasses].sum() + errors["heads"][head][on_head].sum()
        seen = ~(on_glasses | on_head)
        bodies = np.where(self._opaque["bodies"], errors["bodies"], errors["backgrounds"][background])[:, seen]
        accessories = self._opaque["accessories"][:, seen]
        own = np.where(accessories, errors["accessories"][:, seen], 0).sum(axis=1)
        totals = own + bodies @ (~accessories).T.astype(np.float32)  # [bodies, accessories]
        totals[~self._allowed[:, head, glasses]] = np.inf
        return float(above + totals.min())


# ---- characters -------------------------------------------------------------

COLOUR_TOLERANCE = 24  # levels per channel
WHOLE = 0.9  # share of the glasses' pixels that must be there


class CharacterChecks:
    """What can be told exactly, since the parts are known: which head, whether the glasses are whole, the palette.

    The pixels that no body and no accessory ever touches show background, head and glasses alone. There, every
    combination of these three is a template; the nearest one says which head a picture has.

    For sources whose layout leaves compositions as they are. Glasses are whole if every patch that has one colour in the artwork has one colour in the picture, and patches that
    differ there differ here: frames without gaps, lenses with pupils. A network may mix the colours of two frames; whether
    they are those of the artwork is measured beside.
    """

    def __init__(self, source: CharacterSource) -> None:
        covered = np.any([part.pixels[..., 3] > 0 for layer in ("bodies", "accessories") for part in source.parts[layer]], axis=0)
        self._free = ~covered
        sizes = {layer: len(source.parts[layer]) for layer in ("backgrounds", "heads", "glasses")}
        self._combinations = list(np.ndindex(*sizes.values()))
        composed = source.compose(dict(zip(sizes, np.array(self._combinations).T)))[..., :3]
        self._templates = torch.from_numpy(composed[:, self._free]).float().flatten(1)
        self._glasses = [_patches(part.pixels) for part in source.parts["glasses"]]
        parts = [part.pixels[part.pixels[..., 3] > 0][:, :3] for layer in source.parts.values() for part in layer]
        self._palette = np.unique(np.concatenate(parts), axis=0).astype(np.int16)

    def match(self, images: np.ndarray) -> np.ndarray:
        """The nearest template of each picture: numbers of background, head and glasses, [N, 3]."""
        x = torch.from_numpy(images[:, self._free]).float().flatten(1)
        squares = (self._templates**2).sum(dim=1)
        best = torch.cat([(squares - 2 * chunk @ self._templates.T).argmin(dim=1) for chunk in x.split(256)])
        return np.array([self._combinations[i] for i in best])

    def score(self, images: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        glasses = np.array([self._judge_glasses(image.astype(np.int16)) for image in images])
        return {
            "head_right": float((self.match(images)[:, 1] == labels).mean()),
            "glasses_whole": float(glasses[:, 0].mean()),
            "glasses_of_artwork": float(glasses[:, 1].mean()),
            "palette": float(np.mean([self._in_palette(image) for image in images])),
        }

    def _judge_glasses(self, image: np.ndarray) -> tuple[bool, bool]:
        """Whether the picture shows any of the glasses whole, and whether with their own colours."""
        whole = of_artwork = False
        for patches in self._glasses:
            seen = [image[patch] for patch, _ in patches]
            medians = [np.median(pixels, axis=0) for pixels in seen]
            even = sum((_distance(pixels, median) <= COLOUR_TOLERANCE).sum() for pixels, median in zip(seen, medians))
            right = sum((_distance(pixels, colour) <= COLOUR_TOLERANCE).sum() for pixels, (_, colour) in zip(seen, patches))
            count = sum(map(len, seen))
            told_apart = all(
                _distance(medians[i], medians[j]) > COLOUR_TOLERANCE
                for i in range(len(patches))
                for j in range(i)
                if _distance(patches[i][1], patches[j][1]) > 2 * COLOUR_TOLERANCE
            )
            whole = whole or bool(even >= WHOLE * count and told_apart)
            of_artwork = of_artwork or bool(right >= WHOLE * count)
        return whole, of_artwork

    def _in_palette(self, image: np.ndarray) -> float:
        """Share of pixels whose colour some part has."""
        colours, counts = np.unique(image.reshape(-1, image.shape[-1])[:, :3], axis=0, return_counts=True)
        near = [(np.abs(self._palette - colour.astype(np.int16)).max(axis=1) <= COLOUR_TOLERANCE).any() for colour in colours]
        return float(counts[near].sum() / counts.sum())


def _patches(pixels: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of artwork, uint8 [H, W, 4], the places and the colour of each of its colours: bool [H, W] and int16 [3]."""
    opaque = pixels[..., 3] > 0
    colours = np.unique(pixels[opaque][:, :3], axis=0)
    return [(opaque & (pixels[..., :3] == colour).all(axis=-1), colour.astype(np.int16)) for colour in colours]


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of colours: in the channel in which they differ most."""
    return np.abs(a - b).max(axis=-1)


def class_shares(predicted: np.ndarray, labels: Sequence[int] | np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    """Share of each class's pictures that were recognised."""
    labels = np.asarray(labels)
    return {name: float((predicted[labels == i] == i).mean()) for i, name in enumerate(classes) if (labels == i).any()}
