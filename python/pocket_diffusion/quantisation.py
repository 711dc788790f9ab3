"""Rounding of weight matrices to the block types of the model file.

Q8_0 is what the `gguf` package makes of it. With 4 or 5 bits it matters more how a value is rounded. There

- a block's scale and minimum are searched for the least squared error, instead of taken from its extremes, and
- where it is known which inputs a layer sees, each column's error is made good in the columns that are still to be
  rounded, as in GPTQ (Frantar et al. 2022, arXiv:2210.17323): neighbouring inputs of a convolution are alike, so that
  their errors can cancel out.

Either way the result are blocks as ggml defines them, which any reader dequantises.
"""

from dataclasses import dataclass, field
from functools import cached_property

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType

BLOCK = 32  # values in a block, of all types here
TYPES = {
    "f32": GGMLQuantizationType.F32,
    "f16": GGMLQuantizationType.F16,
    "q8_0": GGMLQuantizationType.Q8_0,
    "q5_1": GGMLQuantizationType.Q5_1,
    "q5_0": GGMLQuantizationType.Q5_0,
    "q4_1": GGMLQuantizationType.Q4_1,
    "q4_0": GGMLQuantizationType.Q4_0,
}


@dataclass(frozen=True)
class _Levels:
    """Values of a block are scale * level + minimum."""

    lowest: int
    highest: int
    has_minimum: bool


_LEVELS = {
    GGMLQuantizationType.Q4_0: _Levels(-8, 7, False),
    GGMLQuantizationType.Q4_1: _Levels(0, 15, True),
    GGMLQuantizationType.Q5_0: _Levels(-16, 15, False),
    GGMLQuantizationType.Q5_1: _Levels(0, 31, True),
}

_CANDIDATES = np.linspace(-2.0, 1.0, 7)  # steps by which the range of levels is widened before it is laid over a block's extremes
_REFITS = 2
_DAMPING = 0.01  # of the mean square of the inputs, as in GPTQ: how far inputs that were not seen are reckoned with
_CHUNK = 128  # columns whose corrections are applied at once, for speed


def is_blocks(kind: GGMLQuantizationType) -> bool:
    """Does the type need whole blocks of 32 values?"""
    return gguf.GGML_QUANT_SIZES[kind][0] > 1


def needs_inputs(kind: GGMLQuantizationType) -> bool:
    """Does it matter for the rounding which inputs a layer sees?"""
    return kind in _LEVELS


@dataclass(frozen=True)
class InputProducts:
    """The sum over a layer's inputs of their products, [columns, columns]."""

    sums: torch.Tensor = field(repr=False)

    @cached_property
    def importance(self) -> np.ndarray:
        """How much an error in each column counts if none is made good."""
        squares = self.sums.diagonal().numpy()
        mean = squares.mean()
        return squares / mean + np.float32(_DAMPING) if mean > 0 else np.ones_like(squares)

    @cached_property
    def order(self) -> torch.Tensor:
        """Columns, the most important ones first."""
        return torch.argsort(self.sums.diagonal(), descending=True, stable=True)

    @cached_property
    def corrections(self) -> torch.Tensor:
        """Of columns in that order: row i has what an error in column i is to be made good by, in the columns behind it."""
        damped = self.sums[self.order][:, self.order].double()
        damped.diagonal().add_(max(_DAMPING * float(damped.diagonal().mean()), 1e-30))
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
        return torch.linalg.cholesky(inverse, upper=True).float()


def quantize(rows: np.ndarray, kind: GGMLQuantizationType, products: InputProducts | None = None) -> np.ndarray:
    """The bytes of a tensor of float32, flat: blocks may go on from one row to the next. `products`: None if not known."""
    levels = _LEVELS.get(kind)
    if levels is None:
        return gguf.quants.quantize(rows.reshape(1, -1), kind).reshape(-1)
    blocks = rows.reshape(-1, BLOCK).astype(np.float32)
    importance = np.ones_like(blocks)
    if products is not None:
        importance = np.broadcast_to(products.importance, rows.shape).reshape(-1, BLOCK)
    with np.errstate(over="ignore", invalid="ignore"):
        scale, minimum, error = _search(blocks, importance, levels)
    if not np.isfinite(error).all():  # too large for float16: infinite in the file, which is for the caller to refuse
        return gguf.quants.quantize(blocks, kind).reshape(-1)
    steps = _round_in_turn(rows, scale, minimum, levels, products) if products else _nearest(blocks, scale, minimum, levels)
    return _pack(scale, minimum, steps, levels).reshape(-1)


# ---- scales -----------------------------------------------------------------


def _half(values: np.ndarray) -> np.ndarray:
    """As stored: rounded to float16."""
    return values.astype(np.float16).astype(np.float32)


def _nearest(blocks: np.ndarray, scale: np.ndarray, minimum: np.ndarray, levels: _Levels) -> np.ndarray:
    steps = np.rint(np.divide(blocks - minimum, scale, out=np.zeros_like(blocks), where=scale != 0))
    return steps.clip(levels.lowest, levels.highest)


def _error(blocks: np.ndarray, importance: np.ndarray, decoded: np.ndarray) -> np.ndarray:
    """Of each block, [blocks, 1]."""
    return (importance * np.square(decoded - blocks)).sum(axis=1, keepdims=True)


def _refit(blocks: np.ndarray, importance: np.ndarray, steps: np.ndarray, levels: _Levels) -> tuple[np.ndarray, np.ndarray]:
    """Scale and minimum of the least squared error for given levels, by linear regression."""

    def total(values: np.ndarray) -> np.ndarray:
        return (importance * values).sum(axis=1, keepdims=True).astype(np.float64)

    if not levels.has_minimum:
        squares = total(np.square(steps))
        scale = np.divide(total(steps * blocks), squares, out=np.zeros_like(squares), where=squares != 0)
        return _half(scale), np.zeros_like(scale, dtype=np.float32)
    weight, mean_step, mean = total(np.ones_like(blocks)), total(steps), total(blocks)
    mean_step, mean = mean_step / weight, mean / weight
    squares = total(np.square(steps - mean_step))
    scale = np.divide(total((steps - mean_step) * (blocks - mean)), squares, out=np.zeros_like(squares), where=squares > 1e-9)
    scale = _half(scale)  # first, so that the minimum makes its rounding good
    return scale, _half(mean - scale * mean_step)


def _search(blocks: np.ndarray, importance: np.ndarray, levels: _Levels) -> list[np.ndarray]:
    """Scale and minimum of each block, as stored, and its error; [blocks, 1]."""
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=1, keepdims=True), axis=1)
    low, high = blocks.min(axis=1, keepdims=True), blocks.max(axis=1, keepdims=True)
    starts = []
    for widening in _CANDIDATES:
        if levels.has_minimum:
            step = (high - low) / (levels.highest + widening)
            starts.append((step, low + (high - low - step * levels.highest) / 2))
        else:  # the largest magnitude at either end of the levels, of which the lower reaches one further
            starts.extend((largest / (sign * (-levels.lowest + widening)), np.zeros_like(low)) for sign in (-1, 1))
    best = [np.zeros_like(low), np.zeros_like(low), np.full_like(low, np.inf)]
    for start in starts:
        scale, minimum = (_half(part) for part in start)
        steps = _nearest(blocks, scale, minimum, levels)
        for refits in range(_REFITS + 1):
            if refits:
                scale, minimum = _refit(blocks, importance, steps, levels)
                steps = _nearest(blocks, scale, minimum, levels)
            error = _error(blocks, importance, scale * steps + minimum)
            better = error < best[2]
            best = [np.where(better, new, old) for new, old in zip((scale, minimum, error), best)]
    return best


# ---- errors made good -------------------------------------------------------


def _round_in_turn(rows: np.ndarray, scale: np.ndarray, minimum: np.ndarray, levels: _Levels, products: InputProducts) -> np.ndarray:
    """Levels of GPTQ, for scales that are given, column after column."""
    order, factor = products.order, products.corrections
    scales, minima = (torch.from_numpy(np.repeat(part, BLOCK, axis=1)).reshape(rows.shape)[:, order] for part in (scale, minimum))
    divisors = torch.where(scales == 0, torch.inf, scales)  # a block of one value: level 0
    left = torch.from_numpy(rows.astype(np.float32))[:, order]
    steps = torch.empty_like(left)
    for start in range(0, left.shape[1], _CHUNK):
        end = min(start + _CHUNK, left.shape[1])
        errors = torch.empty(len(left), end - start)
        for column in range(start, end):
            step = ((left[:, column] - minima[:, column]) / divisors[:, column]).round().clamp(levels.lowest, levels.highest)
            error = (left[:, column] - scales[:, column] * step - minima[:, column]) / factor[column, column]
            left[:, column + 1 : end] -= error[:, None] * factor[column, column + 1 : end]
            steps[:, column], errors[:, column - start] = step, error
        left[:, end:] -= errors @ factor[start:end, end:]
    result = torch.empty_like(steps)
    result[:, order] = steps
    return result.numpy().reshape(-1, BLOCK)


# ---- bytes ------------------------------------------------------------------


def _pack(scale: np.ndarray, minimum: np.ndarray, steps: np.ndarray, levels: _Levels) -> np.ndarray:
    """[blocks, bytes of a block], as ggml lays them out."""
    numbers = (steps - levels.lowest).astype(np.uint8)
    parts = [scale.astype(np.float16).view(np.uint8)]
    if levels.has_minimum:
        parts.append(minimum.astype(np.float16).view(np.uint8))
    if levels.highest - levels.lowest > 15:
        parts.append(np.packbits(numbers >> 4, axis=1, bitorder="little"))
    half = BLOCK // 2
    parts.append((numbers[:, :half] & 15) | (numbers[:, half:] & 15) << 4)
    return np.concatenate(parts, axis=1)
