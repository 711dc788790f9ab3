"""Whether letters that belong together look it: how much of the variety of strokes lies between alphabets, not within them.

Stroke width and slant are measured on each letter, and compared with those of the same letter in other fonts: an `i` has
thin strokes and an `m` none wider, so values become standard scores within their class. What remains is style, and
letters of one font agree in it. A diffusion model has no fonts; its letters of one seed begin from the same noise.
"""

from collections.abc import Sequence

import numpy as np

from pocket_diffusion.data import DataSet

SAMPLE = 30_000  # training pictures that say what is usual for a class


def _ink(images: np.ndarray, inverted: bool) -> np.ndarray:
    """Share of ink of each pixel, float64 [N, H, W]: grey levels are partly covered pixels."""
    levels = images.mean(axis=-1) / 255
    return 1 - levels if inverted else levels


def stroke_width(ink: np.ndarray) -> np.ndarray:
    """Mean width of the strokes in pixels, [N]: a long stroke of width w and length l has area w l and perimeter 2 l.

    The perimeter of a shape with soft edges is its total variation (the co-area formula), so nothing is thresholded.
    """
    padded = np.pad(ink, ((0, 0), (1, 1), (1, 1)))
    dx = (padded[:, :-1, 1:] - padded[:, :-1, :-1] + padded[:, 1:, 1:] - padded[:, 1:, :-1]) / 2
    dy = (padded[:, 1:, :-1] - padded[:, :-1, :-1] + padded[:, 1:, 1:] - padded[:, :-1, 1:]) / 2
    perimeter = np.hypot(dx, dy).sum(axis=(1, 2))
    return 2 * ink.sum(axis=(1, 2)) / np.maximum(perimeter, 1e-9)


def slant(ink: np.ndarray) -> np.ndarray:
    """Tangent of the angle to the vertical, positive for letters that lean to the right, [N]: the shear that takes the
    covariance of the ink's x and y to 0, mu11 / mu02 in central moments (as MNIST is deslanted; LeCun et al. 1998)."""
    y, x = np.mgrid[: ink.shape[1], : ink.shape[2]]
    mass = np.maximum(ink.sum(axis=(1, 2)), 1e-9)
    centred_x = x - ((ink * x).sum(axis=(1, 2)) / mass)[:, None, None]
    centred_y = y - ((ink * y).sum(axis=(1, 2)) / mass)[:, None, None]
    return -(ink * centred_x * centred_y).sum(axis=(1, 2)) / np.maximum((ink * centred_y**2).sum(axis=(1, 2)), 1e-9)


MEASURES = {"stroke_agreement": stroke_width, "slant_agreement": slant}


def intraclass_correlation(values: np.ndarray, groups: np.ndarray) -> float:
    """Share of the variance that lies between groups: ICC(1) of a one-way random-effects analysis of variance
    (Shrout and Fleiss 1979), for groups of any size. 1: members of a group are alike; 0: they are as any others."""
    names, members, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    means = np.bincount(members, values) / sizes
    between = (sizes * (means - values.mean()) ** 2).sum() / (len(names) - 1)
    within = ((values - means[members]) ** 2).sum() / (len(values) - len(names))
    typical = (len(values) - (sizes**2).sum() / len(values)) / (len(names) - 1)
    return float((between - within) / (between + (typical - 1) * within))


class StyleJudge:
    """Agreement of pictures that belong together, by what is usual for each class in the training pictures."""

    def __init__(self, dataset: DataSet) -> None:
        self._inverted = dataset.layout.invert
        images, labels = dataset.train.sample(SAMPLE)
        self._usual: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for name, values in self._measure(images).items():
            each = [values[labels == label] for label in range(len(dataset.classes))]
            self._usual[name] = np.array([v.mean() for v in each]), np.array([max(float(v.std()), 1e-9) for v in each])

    def _measure(self, images: np.ndarray) -> dict[str, np.ndarray]:
        chunks = [_ink(chunk, self._inverted) for chunk in np.array_split(images, max(1, len(images) // 1000))]
        return {name: np.concatenate([measure(chunk) for chunk in chunks]) for name, measure in MEASURES.items()}

    def score(self, images: np.ndarray, labels: Sequence[int] | np.ndarray, groups: np.ndarray) -> dict[str, float]:
        """Scores beyond three standard deviations count as three: a few blots would outweigh everything else."""
        labels = np.asarray(labels)
        scores = {name: (values - self._usual[name][0][labels]) / self._usual[name][1][labels] for name, values in self._measure(images).items()}
        return {name: intraclass_correlation(values.clip(-3, 3), groups) for name, values in scores.items()}
