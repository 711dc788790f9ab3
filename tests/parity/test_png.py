"""What the PNG files hold, as Pillow decodes it."""

import ctypes
import hashlib
import io
import json
import subprocess

import core_library
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def encode(pixels: np.ndarray) -> bytes:
    library = core_library.load()
    height, width, channels = pixels.shape
    pixels = np.ascontiguousarray(pixels)
    png = np.empty(library.pd_png_bound(width, height, channels), np.uint8)
    written = ctypes.c_size_t()
    status = library.pd_png_encode(pixels.ctypes.data, width, height, channels, png.ctypes.data, len(png), ctypes.byref(written), None)
    assert status == 0
    return png[: written.value].tobytes()


class Text(ctypes.Structure):
    """pd_png_text"""

    _fields_ = [("keyword", ctypes.c_char_p), ("text", ctypes.c_char_p), ("length", ctypes.c_size_t)]


def encode_with_text(pixels: np.ndarray, keyword: str, text: str) -> bytes:
    library = core_library.load()
    height, width, channels = pixels.shape
    content = text.encode()
    record = Text(keyword.encode(), content, len(content))
    library.pd_png_text_bytes.restype = ctypes.c_size_t
    size = library.pd_png_bound(width, height, channels) + library.pd_png_text_bytes(ctypes.byref(record))
    png = np.empty(size, np.uint8)
    written = ctypes.c_size_t()
    status = library.pd_png_encode_with_text(
        ctypes.c_void_p(pixels.ctypes.data),
        width,
        height,
        channels,
        ctypes.byref(record),
        ctypes.c_void_p(png.ctypes.data),
        ctypes.c_size_t(size),
        ctypes.byref(written),
        None,
    )
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
@pytest.mark.parametrize(
    ("width", "height"), [(1, 1), (1, 2), (2, 1), (3, 5), (17, 13), (32, 32), (64, 48), (181, 181), (1, 8192), (8192, 1), (8192, 8), (8, 8192), (256, 256)]
)
def test_round_trip(width, height, channels):
    for pixels in pictures(width, height, channels):
        check(pixels)


def test_compresses():
    drawing = next(p for i, p in enumerate(pictures(256, 256, 1)) if i == 3)
    assert len(encode(drawing)) < drawing.size / 20


@pytest.mark.parametrize(("keyword", "text"), [("pocket-diffusion", '{"label": "Grüße, 猫 🐈"}'), ("k" * 79, ""), ("Two words", "x" * 2**20)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_text(keyword, text, channels):
    """Pillow checks the checksums of all chunks, and reads an uncompressed iTXt chunk as this class of string."""
    pixels = next(pictures(17, 13, channels))
    picture = Image.open(io.BytesIO(encode_with_text(pixels, keyword, text)))
    assert picture.text == {keyword: text} and (picture.text[keyword].lang, picture.text[keyword].tkey) == ("", "")
    assert isinstance(picture.text[keyword], PngImagePlugin.iTXt)
    assert np.array_equal(np.asarray(picture).reshape(pixels.shape), pixels)


def test_recipe_of_the_command_line(tmp_path, repository):
    """`generate` writes it, Pillow reads it, Pillow writes it into another file, `generate --from` makes the picture again."""
    command = ["node", repository / "web/cli.mjs", "generate", "--model", repository / "tests/golden/tiny.gguf"]
    first, copy, again = (tmp_path / name for name in ("first.png", "copy.png", "again.png"))
    subprocess.run([*command, "--label", "square", "--steps", "2", "--seed", "18446744073709551615", "--output", first], check=True)
    picture = Image.open(first)
    recipe = json.loads(picture.text["pocket-diffusion"])
    assert recipe["model"]["sha256"] == hashlib.sha256((repository / "tests/golden/tiny.gguf").read_bytes()).hexdigest()
    assert recipe["options"]["labelName"] == "square" and recipe["options"]["seed"] == "18446744073709551615"
    info = PngImagePlugin.PngInfo()
    info.add_itxt("Comment", "not ours", "en", "Bemerkung")
    info.add_itxt("pocket-diffusion", json.dumps(recipe))
    Image.new("L", (3, 3)).save(copy, pnginfo=info)
    subprocess.run([*command, "--from", copy, "--output", again], check=True)
    assert again.read_bytes() == first.read_bytes()
