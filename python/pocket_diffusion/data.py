"""Pictures to train on: where they come from, how they are brought to size, and which of them are held out.

A `Source` hands out 8-bit pictures by number. Two of them make a `DataSet`: one to train on, and one held out by a rule
that depends on nothing but the data, so that any later run holds out the same pictures.

kind        path                                            held out
folder      folder (or .zip) with one folder per class      pictures whose file name's MD5 is a multiple of 12
npz         images, labels, classes                         test_images and test_labels if there, else every 12th of a class
letters     the same with font and fonts ('file|family')    whole families, by the MD5 of the family's name
tiles       .zip with one folder per class                  every 12th picture of a class
characters  .zip with the parts of composed characters      (head, glasses, body) triples, by their MD5
"""

import abc
import hashlib
import io
import itertools
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image

KINDS = ("auto", "folder", "npz", "letters", "tiles", "characters")
FITS = ("pad", "crop", "stretch")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
HELD_OUT_SHARE = 12  # one in so many

# Accessories with slogans, tickers or marks of brands: left out of the characters, with all whose name begins with
# `txt-` or `text-`.
BRANDED_ACCESSORIES = frozenset({"1n", "chain-logo", "eth", "fries", "glasses", "glasses-logo", "glasses-logo-sun", "gnars", "tee-yo"})
# Names of heads that are not their file's name with spaces for dashes.
HEAD_NAMES = {
    "baseball-gameball": "baseball", "boxingglove": "boxing glove", "bubble-speech": "speech bubble",
    "bubblegum": "bubble gum", "burger-dollarmenu": "burger", "cannedham": "canned ham", "cassettetape": "cassette tape",
    "cd": "compact disc", "chart-bars": "bar chart", "chefhat": "chef's hat", "chipboard": "computer chip",
    "coffeebean": "coffee bean", "console-handheld": "handheld console", "cordlessphone": "cordless phone",
    "cottonball": "cotton ball", "croc-hat": "crocodile hat", "crt-bsod": "monitor", "crystalball": "crystal ball",
    "diamond-blue": "blue diamond", "diamond-red": "red diamond", "dino": "dinosaur", "dna": "DNA", "ducky": "rubber duck",
    "faberge": "jewelled egg", "factory-dark": "factory", "film-35mm": "film roll", "fir": "fir tree", "firehydrant": "fire hydrant",
    "ghost-B": "ghost", "glasses-big": "big glasses", "goldcoin": "gold coin", "hardhat": "hard hat",
    "highheel": "high heel", "hockeypuck": "hockey puck", "horse-deepfried": "horse", "hotdog": "hot dog",
    "icepop-b": "ice pop", "lipstick2": "lipstick", "mountain-snowcap": "mountain", "pencil-tip": "pencil",
    "piggybank": "piggy bank", "pirateship": "pirate ship", "pop": "soda", "porkbao": "pork bun", "queencrown": "queen's crown",
    "rgb": "colour circles", "rosebud": "rose bud", "ruler-triangular": "set square", "skeleton-hat": "skeleton hat", "skilift": "ski lift",
    "snowglobe": "snow globe", "star-sparkles": "sparkling star", "taco-classic": "taco", "thumbsup": "thumbs up",
    "toiletpaper-full": "toilet paper", "toothbrush-fresh": "toothbrush", "trashcan": "trash can",
    "treasurechest": "treasure chest", "ufo": "UFO", "wallsafe": "wall safe", "washingmachine": "washing machine",
    "whale-alive": "living whale", "wizardhat": "wizard's hat", "bigfoot-yeti": "yeti", "blackhole": "black hole",
}  # fmt: skip


class DataError(Exception):
    """The pictures cannot be used. One line that names the file."""


def held_out_by_name(name: str) -> bool:
    """The fixed rule for whatever has a name: the same on every machine and in every run."""
    return int(hashlib.md5(name.encode()).hexdigest(), 16) % HELD_OUT_SHARE == 0


def held_out_by_turn(labels: np.ndarray) -> np.ndarray:
    """Every 12th picture of a class, the first one included. bool [N]."""
    held = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        held[np.flatnonzero(labels == label)[::HELD_OUT_SHARE]] = True
    return held


# ---- bringing to size -------------------------------------------------------


@dataclass(frozen=True)
class Layout:
    """What every picture is made to be: size x size pixels of 1, 3 or 4 channels."""

    size: int
    channels: int = 1
    invert: bool = False  # light on dark becomes dark on light; leaves alpha alone
    fit: str = "pad"  # how other sizes are met: pad (never enlarges), crop (fills the square), stretch
    background: int = 255  # grey level around padded pictures and under transparent pixels, after inversion

    def __post_init__(self) -> None:
        if self.size < 1 or self.channels not in MODES or self.fit not in FITS or not 0 <= self.background <= 255:
            raise DataError(f"no layout of pictures: {self}")

    def apply(self, picture: Image.Image) -> np.ndarray:
        """uint8 [size, size, channels]."""
        picture = self._resize(self._flatten(picture))
        blank = (0,) * 4 if self.channels == 4 else (self._before_inversion,) * self.channels
        canvas = Image.new(MODES[self.channels], (self.size, self.size), blank if self.channels > 1 else blank[0])
        canvas.paste(picture, ((self.size - picture.width) // 2, (self.size - picture.height) // 2))
        pixels = np.array(canvas, dtype=np.uint8).reshape(self.size, self.size, self.channels)
        if self.invert:
            colours = min(self.channels, 3)
            pixels[..., :colours] = 255 - pixels[..., :colours]
        return pixels

    @property
    def _before_inversion(self) -> int:
        return 255 - self.background if self.invert else self.background

    def _flatten(self, picture: Image.Image) -> Image.Image:
        """In the mode wanted; transparency is laid over the background unless it is kept."""
        if self.channels < 4 and (picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info):
            picture = picture.convert("RGBA")
            under = Image.new("RGBA", picture.size, (self._before_inversion,) * 3 + (255,))
            picture = Image.alpha_composite(under, picture)
        if picture.mode in ("I;16", "I", "F"):  # Pillow would clip these at 255 rather than scale them
            values = np.asarray(picture, dtype=np.float64)
            picture = Image.fromarray((values / (65535 if values.max() > 255 else 255) * 255).round().clip(0, 255).astype(np.uint8))
        return picture.convert(MODES[self.channels])

    def _resize(self, picture: Image.Image) -> Image.Image:
        side = self.size
        ratios = side / picture.width, side / picture.height
        if self.fit == "stretch":
            size = side, side
        else:
            ratio = max(ratios) if self.fit == "crop" else min(1.0, *ratios)
            size = max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio))
        if size != picture.size:
            picture = picture.resize(size, Image.Resampling.LANCZOS)
        left, top = max(0, (size[0] - side) // 2), max(0, (size[1] - side) // 2)
        return picture.crop((left, top, min(size[0], left + side), min(size[1], top + side)))

    def apply_all(self, images: np.ndarray) -> np.ndarray:
        """uint8 [N, H, W] or [N, H, W, C] -> uint8 [N, size, size, channels]; without Pillow where padding is all."""
        if images.ndim == 3:
            images = images[..., None]
        _, height, width, channels = images.shape
        if channels != self.channels or self.fit != "pad" or max(height, width) > self.size:
            pictures = (Image.fromarray(image[..., 0] if channels == 1 else image) for image in images)
            return np.stack([self.apply(picture) for picture in pictures])
        result = np.full((len(images), self.size, self.size, channels), 0 if channels == 4 else self._before_inversion, np.uint8)
        top, left = (self.size - height) // 2, (self.size - width) // 2
        result[:, top : top + height, left : left + width] = images
        if self.invert:
            colours = min(channels, 3)
            np.subtract(255, result[..., :colours], out=result[..., :colours])
        return result


def to_unit_range(images: np.ndarray, device: torch.device | None = None) -> torch.Tensor:
    """uint8 [N, H, W, C] -> float32 [N, C, H, W] in [0, 1], which the reference's GaussianDiffusion expects."""
    return torch.from_numpy(images).to(device).permute(0, 3, 1, 2).contiguous().float() / 255


# ---- sources ----------------------------------------------------------------


class Source(abc.ABC):
    """Pictures by number, 0 .. len - 1; and the endless sequence in which training visits them."""

    @abc.abstractmethod
    def __len__(self) -> int: ...

    @abc.abstractmethod
    def pictures(self, indices: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """uint8 [n, H, W, C] and labels int64 [n]."""

    @abc.abstractmethod
    def visit(self, first: int, count: int, seed: int) -> np.ndarray:
        """Numbers of the pictures at the places first .. first + count - 1 of the sequence. It depends on the seed
        alone, not on how it is cut into batches: any place can be resumed at, by any number of processes.
        """

    def sample(self, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """`count` pictures (or all, if there are fewer), the same ones for the same seed."""
        return self.pictures(self.visit(0, min(count, len(self)), seed))


class ArraySource(Source):
    """Pictures in memory. Training visits each once a round, every round in another order."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None) -> None:
        """groups: numbers of what pictures belong to beside their class, such as fonts; [N]."""
        assert images.dtype == np.uint8 and images.ndim == 4 and len(images) == len(labels)
        self.images, self.labels, self.groups = images, labels.astype(np.int64), groups
        self._order: tuple[tuple[int, int], np.ndarray] | None = None  # of the round visited last

    def __len__(self) -> int:
        return len(self.images)

    def pictures(self, indices: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.images[indices], self.labels[indices]

    def visit(self, first: int, count: int, seed: int) -> np.ndarray:
        places = np.arange(first, first + count)
        rounds = places // len(self)
        result = np.empty(count, dtype=np.int64)
        for each in np.unique(rounds):
            chosen = rounds == each
            result[chosen] = self._round(seed, int(each))[places[chosen] % len(self)]
        return result

    def _round(self, seed: int, number: int) -> np.ndarray:
        if self._order is None or self._order[0] != (seed, number):
            self._order = (seed, number), np.random.default_rng((seed, number)).permutation(len(self))
        return self._order[1]


@dataclass(frozen=True)
class Part:
    name: str
    pixels: np.ndarray = field(repr=False)  # uint8 [H, W, 4], each either transparent or opaque


LAYERS = ("backgrounds", "bodies", "accessories", "heads", "glasses")  # from the back to the front


class CharacterSource(Source):
    """Every composition of the parts, or those that are held out, put together when asked for.

    A composition's number counts through the parts in mixed radix, the head varying fastest. There are tens of
    millions, so training draws them at random instead of by rounds.
    """

    def __init__(self, parts: dict[str, list[Part]], layout: Layout, held_out: bool) -> None:
        self.parts, self.layout, self.held_out = parts, layout, held_out
        self._digits = ("heads", "glasses", "bodies", "accessories", "backgrounds")
        self._bases = [len(parts[layer]) for layer in self._digits]
        # A pixel as one number, for speed: it is as transparent as the number is 0.
        self._pixels = {
            layer: np.stack([np.where(part.pixels[..., 3:] > 0, part.pixels, 0) for part in found]).view(np.uint32)[..., 0] for layer, found in parts.items()
        }
        heads, glasses, bodies = (parts[layer] for layer in self._digits[:3])
        held = [[[held_out_by_name(f"{head.name}|{eyes.name}|{body.name}") for body in bodies] for eyes in glasses] for head in heads]
        self.of_source = np.array(held) == held_out  # [heads, glasses, bodies]

    def __len__(self) -> int:
        return int(self.of_source.sum()) * self._bases[3] * self._bases[4]

    @property
    def as_composed(self) -> bool:
        """Whether the layout leaves compositions as they are, so that their parts can be told in pictures."""
        return self.layout == Layout(self._pixels["heads"].shape[1], 3) and self._pixels["heads"].shape[1] == self._pixels["heads"].shape[2]

    def composition(self, indices: Sequence[int] | np.ndarray | int) -> dict[str, np.ndarray]:
        """Which part of each layer compositions have, each as `indices`."""
        rest, numbers = np.asarray(indices, dtype=np.int64), {}
        for layer, base in zip(self._digits, self._bases):
            rest, numbers[layer] = np.divmod(rest, base)
        return numbers

    def belongs(self, indices: np.ndarray) -> np.ndarray:
        """Whether compositions are of this source, bool as `indices`."""
        numbers = self.composition(indices)
        return self.of_source[numbers["heads"], numbers["glasses"], numbers["bodies"]]

    def compose(self, numbers: Mapping[str, np.ndarray]) -> np.ndarray:
        """The layers that are named, laid over each other: uint8 [n, H, W, 4]."""
        pictures = None
        for layer in LAYERS:
            if layer in numbers:
                over = self._pixels[layer][numbers[layer]]
                pictures = over if pictures is None else np.where(over, over, pictures)
        assert pictures is not None
        return pictures[..., None].view(np.uint8)

    def pictures(self, indices: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        numbers = self.composition(indices)
        composed = self.compose(numbers)  # opaque, as backgrounds are
        return self.layout.apply_all(composed[..., :3] if self.layout.channels == 3 else composed), numbers["heads"]

    def visit(self, first: int, count: int, seed: int) -> np.ndarray:
        """Each place has a random sequence of its own; its composition is the first in it that is of this source."""
        total = int(np.prod(self._bases, dtype=np.int64))

        def draw(places: np.ndarray, attempt: int) -> np.ndarray:
            digests = (hashlib.blake2b(f"{seed}|{place}|{attempt}".encode(), digest_size=8).digest() for place in places)
            return np.array([int.from_bytes(digest, "little") % total for digest in digests], dtype=np.int64)

        places = np.arange(first, first + count)
        indices = draw(places, 0)
        for attempt in itertools.count(1):
            others = np.flatnonzero(~self.belongs(indices))
            if not len(others):
                return indices
            indices[others] = draw(places[others], attempt)
        raise AssertionError


@dataclass(frozen=True)
class DataSet:
    kind: str
    classes: tuple[str, ...]  # names in label order
    layout: Layout
    train: Source
    held_out: Source

    @property
    def fingerprint(self) -> str:
        """Changes with the pictures: of some of them, their number, and the layout."""
        digest = hashlib.sha256(repr((self.kind, self.classes, self.layout, len(self.train), len(self.held_out))).encode())
        for source in (self.train, self.held_out):
            images, labels = source.sample(256)
            digest.update(images.tobytes() + labels.tobytes())
        return digest.hexdigest()[:16]


# ---- reading ----------------------------------------------------------------


def load(path: Path, layout: Layout, kind: str = "auto") -> DataSet:
    """Reads a data set. `auto`: characters and letters are told by what is in the file, tiles are not."""
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    if kind == "auto":
        kind = _recognise(path)
    readers: dict[str, Callable[[Path, Layout], DataSet]] = {
        "folder": _read_folder, "npz": _read_npz, "letters": _read_letters, "tiles": _read_tiles, "characters": _read_characters,
    }  # fmt: skip
    data = readers[kind](path, layout)
    if len(data.train) == 0:
        raise DataError(f"{path}: no picture to train on")
    return data


def _recognise(path: Path) -> str:
    if path.is_dir():
        return "folder"
    if path.suffix == ".npz":
        with _open_npz(path) as archive:
            return "letters" if "fonts" in archive else "npz"
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            folders = {name.split("/")[0] for name in archive.namelist()}
        return "characters" if folders >= set(LAYERS) else "folder"
    raise DataError(f"{path}: expected a folder, an .npz or a .zip")


def _open_npz(path: Path) -> "np.lib.npyio.NpzFile":
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not an .npz file: {error}") from error


def _read_arrays(path: Path, *names: str) -> dict[str, np.ndarray]:
    """The named arrays that are there; images, labels and classes must be."""
    with _open_npz(path) as archive:
        missing = {"images", "labels"} - set(archive.files)
        if missing:
            raise DataError(f"{path}: holds no {' and no '.join(sorted(missing))}")
        try:
            arrays = {name: archive[name] for name in ("images", "labels", "classes", *names) if name in archive}
        except (ValueError, zipfile.BadZipFile, EOFError) as error:
            raise DataError(f"{path}: {error}") from error
    arrays.setdefault("classes", np.array([str(i) for i in range(int(arrays["labels"].max()) + 1)]))
    for images, labels in (("images", "labels"), ("test_images", "test_labels")):
        if images in arrays:
            _check_arrays(path, images, arrays[images], arrays.get(labels), len(arrays["classes"]))
            arrays[images] = _to_levels(path, arrays[images])
    return arrays


def _check_arrays(path: Path, name: str, images: np.ndarray, labels: np.ndarray | None, classes: int) -> None:
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in MODES) or 0 in images.shape:
        raise DataError(f"{path}: {name} has shape {images.shape}, expected [N, H, W] or [N, H, W, 1, 3 or 4]")
    if labels is None or labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
        raise DataError(f"{path}: {name} needs as many whole numbers as labels")
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(f"{path}: a label of {name} is not within 0 .. {classes - 1}")


def _to_levels(path: Path, images: np.ndarray) -> np.ndarray:
    """8 bits; real numbers are taken to lie in [0, 1]."""
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind == "f" and images.min() >= 0 and images.max() <= 1:
        return (images * 255).round().astype(np.uint8)
    raise DataError(f"{path}: pictures of type {images.dtype}; expected uint8, or real numbers in [0, 1]")


def _read_npz(path: Path, layout: Layout) -> DataSet:
    arrays = _read_arrays(path, "test_images", "test_labels")
    images, labels = arrays["images"], arrays["labels"]
    if "test_images" in arrays:
        train, held_out = (images, labels), (arrays["test_images"], arrays["test_labels"])
    else:
        held = held_out_by_turn(labels)
        train, held_out = (images[~held], labels[~held]), (images[held], labels[held])
    sources = [ArraySource(layout.apply_all(pictures), numbers) for pictures, numbers in (train, held_out)]
    return DataSet("npz", tuple(map(str, arrays["classes"])), layout, *sources)


def _read_letters(path: Path, layout: Layout) -> DataSet:
    arrays = _read_arrays(path, "font", "fonts")
    fonts = list(map(str, arrays["fonts"]))
    legible = np.array(["semaf" not in font.lower() for font in fonts])[arrays["font"]]  # semaphore flags are no letters
    held = np.array([held_out_by_name(font.partition("|")[2]) for font in fonts])[arrays["font"]]
    sources = [
        ArraySource(layout.apply_all(arrays["images"][chosen]), arrays["labels"][chosen], arrays["font"][chosen])
        for chosen in (legible & ~held, legible & held)
    ]
    return DataSet("letters", tuple(map(str, arrays["classes"])), layout, *sources)


@dataclass(frozen=True)
class _File:
    folder: str  # first folder of its path: the class
    name: str  # its path within that folder
    open: Callable[[], Image.Image] = field(repr=False)


def _files(path: Path) -> Iterator[_File]:
    """All picture files in folders of a folder or .zip, sorted by path."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            parts = file.relative_to(path).parts
            hidden = any(part.startswith(".") for part in parts)
            if len(parts) > 1 and file.suffix.lower() in SUFFIXES and file.is_file() and not hidden:
                yield _File(parts[0], "/".join(parts[1:]), lambda file=file: Image.open(file))
        return
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{path}: not a .zip file: {error}") from error
    with archive:
        for name in sorted(archive.namelist()):
            parts = PurePosixPath(name).parts
            if len(parts) > 1 and PurePosixPath(name).suffix.lower() in SUFFIXES:
                yield _File(parts[0], "/".join(parts[1:]), lambda name=name: Image.open(io.BytesIO(archive.read(name))))


def _decode(path: Path, file: _File, convert: Callable[[Image.Image], np.ndarray]) -> np.ndarray:
    try:
        with file.open() as picture:
            return convert(picture)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: {file.folder}/{file.name} is no readable picture: {error}") from error


def _read_classes(path: Path, layout: Layout, kind: str, omitted: Iterable[str], held: Callable[[np.ndarray, list[str]], np.ndarray]) -> DataSet:
    """A class per folder; `held` says which pictures to hold out, by their labels and names."""
    images, folders, names = [], [], []
    for file in _files(path):
        if file.folder not in omitted:
            images.append(_decode(path, file, layout.apply))
            folders.append(file.folder)
            names.append(file.name)
    classes = tuple(sorted(set(folders)))
    if not classes:
        raise DataError(f"{path}: no pictures ({', '.join(sorted(SUFFIXES))}) in folders named after their classes")
    labels = np.array([classes.index(folder) for folder in folders])
    apart = held(labels, names)
    if lonely := set(range(len(classes))) - set(labels[~apart].tolist()):
        raise DataError(f"{path}: all pictures of {classes[min(lonely)]!r} are held out; add some with other file names")
    stacked = np.stack(images)
    return DataSet(kind, classes, layout, *(ArraySource(stacked[chosen], labels[chosen]) for chosen in (~apart, apart)))


def _read_folder(path: Path, layout: Layout) -> DataSet:
    return _read_classes(path, layout, "folder", (), lambda _, names: np.array([held_out_by_name(name) for name in names]))


def _read_tiles(path: Path, layout: Layout) -> DataSet:
    return _read_classes(path, layout, "tiles", ("UNUSED",), lambda labels, _: held_out_by_turn(labels))


def _head_name(file_name: str) -> str:
    return HEAD_NAMES.get(file_name, file_name.replace("-", " "))


def _is_branded(accessory: str) -> bool:
    return accessory in BRANDED_ACCESSORIES or accessory.startswith(("txt-", "text-"))


def _read_characters(path: Path, layout: Layout) -> DataSet:
    parts: dict[str, list[Part]] = {layer: [] for layer in LAYERS}
    for file in _files(path):
        name = re.sub(r"^(head|body|accessory|glasses|bg)-", "", PurePosixPath(file.name).stem)
        if file.folder in parts and not (file.folder == "accessories" and _is_branded(name)):
            parts[file.folder].append(Part(name, _decode(path, file, lambda picture: np.array(picture.convert("RGBA")))))
    empty = [layer for layer, found in parts.items() if not found]
    if empty:
        raise DataError(f"{path}: no {', '.join(empty)}")
    for layer, found in parts.items():
        for part in found:
            if not np.isin(part.pixels[..., 3], 255 if layer == "backgrounds" else (0, 255)).all():
                raise DataError(f"{path}: {part.name} of {layer}: pixels must be opaque" + ("" if layer == "backgrounds" else " or transparent"))
    if len({part.pixels.shape for found in parts.values() for part in found}) > 1:
        raise DataError(f"{path}: its parts have different sizes")
    classes = tuple(_head_name(part.name) for part in parts["heads"])
    return DataSet("characters", classes, layout, *(CharacterSource(parts, layout, held_out) for held_out in (False, True)))
