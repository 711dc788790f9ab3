"""What the PNG files hold, as Pillow decodes it."""

import ctypes
import io

import core_library
import numpy as np
import pytest
from PIL import Image

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def encode(pixels: np.ndarray) -> bytes:
    library = core_library.load()
    height, width, channels = pixels.shape
    pixels = np.ascontiguousarray(pixels)
    png = np.empty(library.pd_png_bound(width, height, channels), np.uint8)
    written = ctypes.c_size_t()
    status = library.pd_png_encode(pixels.ctypes.data, width, height, channels, png.ctypes.data, len(png),
                                   ctypes.byref(written), None)
    assert status == 0
    return png[: written.value].tobytes()


def check(pixels: np.ndarray) -> None:
    picture = Image.open(io.BytesIO(encode(pixels)))
    assert picture.format == "PNG" and picture.mode == MODES[pixels.shape[2]]
    assert np.array_equal(np.asarray(picture).reshape(pixels.shape), pixels)


def pictures(width: int, height: int, channels: int):
    random = np.random.default_rng(width * 31 + height * 7 + channels)
    shape = (height, width, channels)
    yield random.integers(0, 256, shape, np.uint8)
    yield np.full(shape, 200, np.uint8)
    y, x, c = np.indices(shape)
    yield ((x * 3 + y * 5 + c * 40) % 256).astype(np.uint8)
    yield np.where((x // 16 + y // 8) % 2, 255, 0).astype(np.uint8)
    yield np.clip(np.cumsum(random.integers(-3, 4, shape), axis=1) + 128, 0, 255).astype(np.uint8)
    words = random.integers(0, 4, (5000, 3))[random.integers(0, 5000, width * height * channels // 3 + 1)]
    yield words.reshape(-1)[: width * height * channels].reshape(shape).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 2), (2, 1), (3, 5), (17, 13), (32, 32), (64, 48), (181, 181),
                                           (1, 8192), (8192, 1), (8192, 8), (8, 8192), (256, 256)])
def test_round_trip(width, height, channels):
    for pixels in pictures(width, height, channels):
        check(pixels)


def test_compresses():
    drawing = next(p for i, p in enumerate(pictures(256, 256, 1)) if i == 3)
    assert len(encode(drawing)) < drawing.size / 20
