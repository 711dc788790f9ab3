"""Makes tests/bad/table.txt: one malformed file for every refusal of the loader, as edits of tests/golden/tiny.gguf.

Each line of the table is one file:

    NAME CODE OFFSET EDIT...

CODE is the status that refuses it, OFFSET the byte offset that the error names (- if it names none, * if that is not
said here). Edits apply to the
whole fixture, in order: AT:COUNT:HEX replaces COUNT bytes at AT (of the original) by those given in hexadecimal; =SIZE at last
cuts the file or fills it up with zeros. tests/core/test_bad_files.c and tests/node/bad_files.test.mjs load every one.

This script takes the fixture apart on its own, apart from any reader. It is not needed to run the tests.

Usage: python tests/bad/make_bad_files.py [--check] [--write FOLDER]

  --check          compare with the table instead of writing it
  --write FOLDER   write the malformed files themselves
"""

import argparse
import itertools
import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BASE = (ROOT / "tests" / "golden" / "tiny.gguf").read_bytes()
TABLE = Path(__file__).parent / "table.txt"

FILE_CAP = 256 << 20
ANY = -1  # offset
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
BLOCK_TYPES = {"q4_0": (2, 18, 1), "q4_1": (3, 20, 2), "q5_0": (6, 22, 1), "q5_1": (7, 24, 2), "q8_0": (8, 34, 1)}  # number, bytes, floats
BOOL, STRING, ARRAY, U32, U64, I32, F32, F64 = 7, 8, 9, 4, 10, 5, 6, 12


def u32(number: int) -> bytes:
    return struct.pack("<I", number % 2**32)


def u64(number: int) -> bytes:
    return struct.pack("<Q", number % 2**64)


def text(value: str | bytes) -> bytes:
    value = value.encode() if isinstance(value, str) else value
    return u64(len(value)) + value


# ---- where everything lies ---------------------------------------------------


@dataclass
class Entry:
    """Byte offsets of a metadata entry: of its length, its value's type, its value and what follows."""

    start: int
    type_at: int
    value: int
    end: int
    type: int


@dataclass
class Row:
    """Byte offsets of a row of the tensor table."""

    start: int
    dims_at: int
    shape_at: int
    type_at: int
    offset_at: int
    end: int
    shape: tuple[int, ...]
    type: int
    offset: int


@dataclass
class Layout:
    entries: dict[str, Entry] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    table: int = 0
    table_end: int = 0
    data: int = 0


def number(at: int, width: int) -> int:
    return int.from_bytes(BASE[at : at + width], "little")


def skip_value(at: int, kind: int) -> int:
    if kind == STRING:
        return at + 8 + number(at, 8)
    if kind == ARRAY:
        element, count = number(at, 4), number(at + 4, 8)
        at += 12
        for _ in range(count):
            at = skip_value(at, element)
        return at
    return at + SIZES[kind]


def take_apart() -> Layout:
    layout, at = Layout(), 24
    for _ in range(number(16, 8)):
        length = number(at, 8)
        key, type_at = BASE[at + 8 : at + 8 + length].decode(), at + 8 + length
        kind = number(type_at, 4)
        end = skip_value(type_at + 4, kind)
        layout.entries[key] = Entry(at, type_at, type_at + 4, end, kind)
        at = end
    layout.table = at
    for _ in range(number(8, 8)):
        length = number(at, 8)
        name, dims_at = BASE[at + 8 : at + 8 + length].decode(), at + 8 + length
        count = number(dims_at, 4)
        shape = tuple(number(dims_at + 4 + 8 * i, 8) for i in range(count))
        type_at = dims_at + 4 + 8 * count
        layout.rows[name] = Row(at, dims_at, dims_at + 4, type_at, type_at + 4, type_at + 12, shape, number(type_at, 4), number(type_at + 4, 8))
        at = type_at + 12
    layout.table_end, layout.data = at, -(-at // 32) * 32
    return layout


LAYOUT = take_apart()

# ---- files -------------------------------------------------------------------


@dataclass
class Bad:
    name: str
    code: str
    offset: int | None
    edits: tuple[tuple[int, int, bytes], ...]  # in order, apart from each other
    size: int | None = None

    def line(self) -> str:
        words = [self.name, self.code, {None: "-", ANY: "*"}.get(self.offset, str(self.offset))]
        words += [f"{at}:{count}:{new.hex()}" for at, count, new in self.edits]
        return " ".join(words + ([] if self.size is None else [f"={self.size}"]))

    def bytes(self) -> bytes:
        made = bytearray(BASE)
        for at, count, new in reversed(self.edits):
            made[at : at + count] = new
        if self.size is not None:
            made = made[: self.size].ljust(self.size, b"\0")
        return bytes(made)


FILES: list[Bad] = []


def bad(name: str, code: str, offset: int | None, *edits: tuple[int, int, bytes], size: int | None = None) -> None:
    edits = tuple(sorted(edits))
    assert all(at + count <= after for (at, count, _), (after, _, _) in itertools.pairwise(edits)), name
    FILES.append(Bad(name, code, offset, edits, size))


def add_entry(key: str | bytes, kind: int, value: bytes) -> list[tuple[int, int, bytes]]:
    """Edits that put one more entry in front of the others, whose number grows by one, and keep the alignment of the data."""
    entry = text(key) + u32(kind) + value
    padding = -(LAYOUT.table_end + len(entry)) % 32
    old_padding = LAYOUT.data - LAYOUT.table_end
    return [(16, 8, u64(len(LAYOUT.entries) + 1)), (24, 0, entry), (LAYOUT.table_end, old_padding, bytes(padding))]


def whole_table(edit: tuple[int, int, bytes], *more: tuple[int, int, bytes]) -> list[tuple[int, int, bytes]]:
    """Edits of the metadata or the tensor table that change its length, and padding that fits again."""
    edits = [edit, *more]
    end = LAYOUT.table_end + sum(len(new) - count for _, count, new in edits)
    return [*edits, (LAYOUT.table_end, LAYOUT.data - LAYOUT.table_end, bytes(-end % 32))]


def header() -> None:
    bad("header.empty", "SHORT", 0, size=0)
    bad("header.23-bytes", "SHORT", 23, size=23)
    for name, start in {
        "html": b"<!DOCTYPE html>", "gzip": b"\x1f\x8b\x08\0", "safetensors": u64(100) + b'{"a"', "onnx": b"\x08\x07\x12\x07",
        "zip": b"PK\x03\x04", "pickle": b"\x80\x02", "git-lfs": b"version https://git-lfs.github.com/spec/v1\n", "json": b"{ ", "nearly-onnx": b"\x08\x07\0", "random": b"\xff\xfe\xfd\xfc",
    }.items():  # fmt: skip
        bad(f"header.magic.{name}", "MAGIC", 0, (0, len(start), start))
    bad("header.magic.spaces", "MAGIC", 0, (0, 100, b" " * 100), size=100)
    for version in (0, 1, 2, 4, 0x03000000):
        bad(f"header.version.{version}", "VERSION", 4, (4, 4, u32(version)))
    for count in (0, 4097, 2**32, 2**63, 2**64 - 1, 2**64 // 33 + 1):
        bad(f"header.tensors.{count}", "COUNT", 8, (8, 8, u64(count)))
        bad(f"header.values.{count}", "COUNT", 16, (16, 8, u64(count)))
    bad("header.tensors.more-than-fit", "COUNT", 8, (8, 8, u64(4096)), size=4096)
    bad("header.values.more-than-fit", "COUNT", 16, (16, 8, u64(4096)), size=30000)
    bad("file.too-big", "TOO_BIG", None, size=FILE_CAP + 1)
    for size in (24, 1000, LAYOUT.table, LAYOUT.table_end - 1, LAYOUT.table_end, LAYOUT.data, len(BASE) - 1):
        # a file that cannot hold as many rows as it promises is refused for that
        promised = size < 24 + 33 * len(LAYOUT.rows) + 14 * len(LAYOUT.entries)
        bad(f"file.cut.{size}", "COUNT" if promised else "SHORT", size if size >= LAYOUT.table_end else ANY, size=size)
    bad("file.one-byte-more", "TRAILING", len(BASE), size=len(BASE) + 1)
    bad("file.32-bytes-more", "TRAILING", len(BASE), size=len(BASE) + 32)


def metadata() -> None:
    first = LAYOUT.entries["general.architecture"]
    for length in (0, 65536, 2**32, 2**63, 2**64 - 1, 2**64 - 8):
        bad(f"key.length.{length}", "STRING", first.start, (first.start, 8, u64(length)))
    bad("key.nul", "STRING", first.start + 8 + 7, (first.start + 8 + 7, 1, b"\0"))
    bad("key.utf-8", "STRING", first.start + 8 + 2, (first.start + 8 + 2, 1, b"\xff"))
    bad("key.twice", "DUPLICATE", None, *add_entry("general.name", STRING, text("again")))
    FILES[-1].offset = LAYOUT.entries["general.name"].start + len(text("general.name") + u32(0) + text("again"))
    bad("key.unknown-in-prefix", "CONFIG", 24 + len(text("pocket-diffusion.later")) + 4, *add_entry("pocket-diffusion.later", U32, u32(1)))
    for kind in (13, 2**31, 2**32 - 1):
        bad(f"value.type.{kind}", "TYPE", first.type_at, (first.type_at, 4, u32(kind)))
    names = LAYOUT.entries["pocket-diffusion.class_names"]
    bad("array.of-arrays", "TYPE", names.value, (names.value, 4, u32(ARRAY)))
    bad("array.of-unknown", "TYPE", names.value, (names.value, 4, u32(13)))
    abar = LAYOUT.entries["pocket-diffusion.diffusion.alphas_cumprod"]
    for count in (2**61, 2**61 + 1, 2**63, 2**64 - 1, len(BASE)):
        bad(f"array.length.{count}", "ARRAY", abar.value + 4, (abar.value + 4, 8, u64(count)))
    bad("array.string.length", "STRING", names.value + 12, (names.value + 12, 8, u64(2**64 - 1)))
    bad("array.string.utf-8", "STRING", names.value + 12 + 8, (names.value + 12 + 8, 1, b"\x80"))
    bad("string.length", "STRING", first.value, (first.value, 8, u64(2**64 - 9)))
    flag = LAYOUT.entries["pocket-diffusion.unet.learned_sinusoidal_cond"]
    bad("bool.2", "VALUE", flag.value, (flag.value, 1, b"\2"))
    for value in (0, 1, 3, 4, 8192, 2**31):
        bad(f"alignment.{value}", "ALIGN", 24 + 8 + 17 + 4, *add_entry("general.alignment", U32, u32(value)))
    bad("alignment.uint64", "ALIGN", 24 + 8 + 17 + 4, *add_entry("general.alignment", U64, u64(32)))
    twice = text("general.alignment") + u32(U32) + u32(32)
    edits = add_entry("general.alignment", U32, u32(32) + twice)
    edits[0] = (16, 8, u64(len(LAYOUT.entries) + 2))
    bad("alignment.twice", "ALIGN", 24 + len(twice), *edits)


def configuration() -> None:
    def key(name: str) -> Entry:
        return LAYOUT.entries[name if name.startswith("general.") else f"pocket-diffusion.{name}"]

    def value(name: str, new: int, code: str = "CONFIG", at: str | None = None) -> None:
        bad(f"config.{name}.{new}", code, key(at or name).value, (key(name).value, 4, u32(new)))

    for name, entry in LAYOUT.entries.items():
        if not name.startswith("pocket-diffusion.") and name != "general.architecture":
            continue
        removed = whole_table((16, 8, u64(len(LAYOUT.entries) - 1)), (entry.start, entry.end - entry.start, b""))
        bad(f"config.missing.{name}", "CONFIG", None, *removed)
        wrong = {U32: F32, F32: I32, BOOL: 0}.get(entry.type)
        if wrong is not None:
            bad(f"config.type.{name}", "CONFIG", entry.value, (entry.type_at, 4, u32(wrong)))
        elif entry.type == ARRAY:
            element = {U32: I32, F32: I32, F64: U64, STRING: None}[number(entry.value, 4)]
            if element is not None:
                bad(f"config.element.{name}", "CONFIG", entry.value + 12, (entry.value, 4, u32(element)))
    architecture = key("general.architecture")
    bad("config.architecture", "CONFIG", architecture.value, (architecture.value + 8, 1, b"P"))
    for name in ("unet.dim", "unet.init_dim", "unet.out_dim", "unet.channels", "unet.num_classes", "unet.learned_sinusoidal_dim", "unet.attn_heads",
                 "unet.attn_dim_head", "image.width", "image.height", "image.channels", "image.pixel_unshuffle", "diffusion.timesteps",
                 "sampling.steps", "format_version"):  # fmt: skip
        value(name, 0)
        value(name, 2**31)
        value(name, 2**32 - 1)
    value("format_version", 3)
    value("unet.dim", 2)
    value("unet.dim", 3)
    value("unet.dim", 13)
    value("unet.learned_sinusoidal_dim", 17)
    value("unet.num_classes", 65537)
    value("unet.num_classes", 4, at="class_names")
    FILES[-1].offset = key("class_names").value + 12
    value("image.width", 15)
    value("image.width", 1028)
    value("image.height", 6)
    value("image.channels", 2, at="unet.channels")
    value("image.pixel_unshuffle", 3, at="unet.channels")
    value("diffusion.timesteps", 99, at="diffusion.alphas_cumprod")
    FILES[-1].offset = key("diffusion.alphas_cumprod").value + 12
    value("diffusion.timesteps", 10001)
    value("sampling.steps", 101)
    mults = key("unet.dim_mults")
    bad("config.levels.0", "CONFIG", mults.value + 12, *whole_table((mults.value, mults.end - mults.value, u32(U32) + u64(0))))
    bad("config.levels.7", "CONFIG", mults.value + 12, *whole_table((mults.value, mults.end - mults.value, u32(U32) + u64(7) + u32(1) * 7)))
    for mult in (0, 100, 2**32 - 1):
        bad(f"config.mult.{mult}", "CONFIG", mults.value + 12, (mults.value + 12, 4, u32(mult)))
    span = key("image.value_range")
    bad("config.value_range", "CONFIG", span.value + 12, (span.value + 12, 4, struct.pack("<f", 0.0)))
    bad("config.value_range.low", "CONFIG", span.value + 12, (span.value + 12, 4, struct.pack("<f", -2.0)))
    bad("config.value_range.nan", "CONFIG", span.value + 12, (span.value + 16, 4, u32(0x7FC00000)))
    bad("config.value_range.three", "CONFIG", span.value + 12, *whole_table((span.value + 4, 8, u64(3)), (span.end, 0, u32(0))))
    for name, low in (("sampling.guidance_scale", -1.0), ("sampling.eta", -0.5), ("unet.cond_drop_prob", -0.1)):
        for what, new in (("low", struct.pack("<f", low)), ("high", struct.pack("<f", 101.0)), ("nan", u32(0x7FC00000)), ("infinite", u32(0x7F800000))):
            bad(f"config.{name}.{what}", "CONFIG", key(name).value, (key(name).value, 4, new))
    abar = key("diffusion.alphas_cumprod").value + 12
    for what, i, new in (("one", 0, 1.0), ("zero", 99, 0.0), ("negative", 99, -0.1), ("equal", 5, None), ("rises", 50, 0.999), ("nan", 7, float("nan"))):
        at = abar + 8 * i
        bad(f"config.abar.{what}", "CONFIG", at, (at, 8, BASE[at - 8 : at] if new is None else struct.pack("<d", new)))
    for name in ("diffusion.objective", "sampling.sampler"):
        bad(f"config.{name}", "CONFIG", key(name).value, (key(name).value + 8, 1, b"X"))
    for name in ("general.description", "general.license", "general.author", "general.source.url"):
        bad(f"config.text.{name}", "CONFIG", 24 + len(text(name)) + 4, *add_entry(name, U32, u32(1)))
    for what, kind, new, inside in (
        ("unknown", STRING, text("sigmoid"), 0), ("case", STRING, text("Linear"), 0), ("empty", STRING, text(""), 0),
        ("number", U32, u32(1), 0), ("array", ARRAY, u32(STRING) + u64(1) + text("linear"), 12),
    ):  # fmt: skip
        name = "pocket-diffusion.sampling.time_grid"
        bad(f"config.time_grid.{what}", "CONFIG", 24 + len(text(name)) + 4 + inside, *add_entry(name, kind, new))
    pair = u32(U32) + u64(2)
    for what, kind, new, inside in (
        ("number", U32, u32(10), 0), ("text", STRING, text("10, 60"), 0),
        ("none", ARRAY, u32(U32) + u64(0), 12), ("one", ARRAY, u32(U32) + u64(1) + u32(10), 12), ("three", ARRAY, u32(U32) + u64(3) + u32(10) * 3, 12),
        ("int32", ARRAY, u32(I32) + u64(2) + u32(10) + u32(60), 12), ("uint64", ARRAY, u32(U64) + u64(2) + u64(10) + u64(60), 12),
        ("float32", ARRAY, u32(F32) + u64(2) + struct.pack("<2f", 10, 60), 12), ("strings", ARRAY, u32(STRING) + u64(2) + text("10") + text("60"), 12),
        ("reversed", ARRAY, pair + u32(60) + u32(10), 12), ("past-end", ARRAY, pair + u32(0) + u32(100), 12),
        ("both-past-end", ARRAY, pair + u32(100) + u32(100), 12), ("negative", ARRAY, pair + u32(-1) + u32(10), 12),
        ("huge", ARRAY, pair + u32(2**32 - 1) + u32(2**32 - 1), 12),
    ):  # fmt: skip
        name = "pocket-diffusion.sampling.guidance_interval"
        bad(f"config.guidance_interval.{what}", "CONFIG", 24 + len(text(name)) + 4 + inside, *add_entry(name, kind, new))
    for what, kind, new, inside in (
        ("unknown", STRING, text("woodcut"), 0), ("case", STRING, text("Pixel"), 0), ("empty", STRING, text(""), 0), ("number", U32, u32(1), 0),
        ("array", ARRAY, u32(STRING) + u64(1) + text("pixel"), 12),
    ):  # fmt: skip
        name = "pocket-diffusion.image.rendering"
        bad(f"config.rendering.{what}", "CONFIG", 24 + len(text(name)) + 4 + inside, *add_entry(name, kind, new))
    for what, kind, new in (
        ("negative", F32, struct.pack("<f", -0.1)), ("large", F32, struct.pack("<f", 1.5)), ("nan", F32, struct.pack("<f", float("nan"))),
        ("infinite", F32, struct.pack("<f", float("inf"))), ("text", STRING, text("0.7")), ("number", U32, u32(1)),
    ):  # fmt: skip
        name = "pocket-diffusion.sampling.rescale"
        bad(f"config.rescale.{what}", "CONFIG", 24 + len(text(name)) + 4, *add_entry(name, kind, new))
    for what, kind, new in (("number", U32, u32(1)), ("text", STRING, text("true")), ("float32", F32, struct.pack("<f", 1.0))):
        name = "pocket-diffusion.sampling.projection"
        bad(f"config.projection.{what}", "CONFIG", 24 + len(text(name)) + 4, *add_entry(name, kind, new))
    floats = u32(F32) + u64(3)
    for what, kind, new, inside in (
        ("number", F32, struct.pack("<f", 3.0), 0), ("one", ARRAY, u32(F32) + u64(1) + struct.pack("<f", 3.0), 12),
        ("many", ARRAY, u32(F32) + u64(65) + struct.pack("<65f", *(i / 8 for i in range(65))), 12),
        ("uint32", ARRAY, u32(U32) + u64(2) + u32(0) + u32(8), 12), ("float64", ARRAY, u32(F64) + u64(2) + struct.pack("<2d", 0, 8), 12),
        ("equal", ARRAY, floats + struct.pack("<3f", 0, 8, 8), 12), ("falls", ARRAY, floats + struct.pack("<3f", 0, 8, 4), 12),
        ("negative", ARRAY, floats + struct.pack("<3f", -1, 4, 8), 12), ("high", ARRAY, floats + struct.pack("<3f", 0, 4, 101), 12),
        ("nan", ARRAY, floats + struct.pack("<3f", 0, 4, float("nan")), 12), ("infinite", ARRAY, floats + struct.pack("<3f", 0, 4, float("inf")), 12),
    ):  # fmt: skip
        name = "pocket-diffusion.guidance.scales"
        bad(f"config.guidance_scales.{what}", "CONFIG", 24 + len(text(name)) + 4 + inside, *add_entry(name, kind, new))
    scales = add_entry("pocket-diffusion.guidance.scales", ARRAY, floats + struct.pack("<3f", 0, 1, 2))
    shift = len(scales[1][2])
    bad("config.guidance_scales.recommended", "CONFIG", key("sampling.guidance_scale").value + shift, *scales)
    bad("config.guidance_scales.table", "TENSOR", ANY, *add_entry("pocket-diffusion.guidance.scales", ARRAY, floats + struct.pack("<3f", 0, 1, 8)))
    name = key("general.name")
    bad("config.text.general.name", "CONFIG", name.value, *whole_table((name.type_at, name.end - name.type_at, u32(U32) + u32(1))))


def tensors() -> None:
    names = list(LAYOUT.rows)
    first, last = LAYOUT.rows[names[0]], LAYOUT.rows[names[-1]]
    matrix = LAYOUT.rows["classes_emb.weight"]
    for length in (0, 64, 2**31, 2**63, 2**64 - 1):
        bad(f"name.length.{length}", "NAME", first.start, (first.start, 8, u64(length)))
    bad("name.nul", "NAME", first.start + 8 + 3, (first.start + 8 + 3, 1, b"\0"))
    bad("name.utf-8", "NAME", first.start + 8 + 3, (first.start + 8 + 3, 1, b"\xc0"))
    twin = LAYOUT.rows["downs.0.0.mlp.1.bias"]
    bad("name.twice", "NAME", LAYOUT.rows["downs.0.1.mlp.1.bias"].start, (LAYOUT.rows["downs.0.1.mlp.1.bias"].start, 28, BASE[twin.start : twin.start + 28]))
    for count in (0, 5, 2**32 - 1):
        bad(f"dimensions.{count}", "DIMS", first.dims_at, (first.dims_at, 4, u32(count)))
    bad("dimension.0", "DIMS", matrix.shape_at, (matrix.shape_at, 8, u64(0)))
    bad("dimension.2^63", "DIMS", matrix.shape_at, (matrix.shape_at, 8, u64(2**63)))
    for name, sides in {"wraps-to-0": (2**32, 2**32), "wraps-to-negative": (2**32, 2**31), "wraps-to-8": (2**61 + 1, 8)}.items():
        bad(f"dimensions.product.{name}", "DIMS", matrix.shape_at + 8, (matrix.shape_at, 16, u64(sides[0]) + u64(sides[1])))
    for kind in (4, 5, 9, 10, 14, 30, 2**32 - 1):
        bad(f"type.{kind}", "TYPE", matrix.type_at, (matrix.type_at, 4, u32(kind)))
    for name, (kind, _, _) in BLOCK_TYPES.items():
        bad(f"type.{name}.row-not-of-blocks", "DIMS", matrix.type_at, (matrix.type_at, 4, u32(kind)))
    bad("size.wraps", "OVERFLOW", first.type_at, (first.shape_at, 8, u64(2**62)))
    bad("size.padding-wraps", "OVERFLOW", first.offset_at, (first.shape_at, 8, u64(2**62 - 1)))
    second = LAYOUT.rows[names[1]]
    bad("size.over-memory", "TOO_BIG", LAYOUT.data, (last.shape_at, 8, u64(2**28)))
    bad("size.over-file", "SHORT", len(BASE), (last.shape_at, 8, u64(2**20)))
    bad("size.less", "TRAILING", len(BASE), (len(BASE), 0, bytes(64)))
    bad("offset.unaligned", "OFFSET", second.offset_at, (second.offset_at, 8, u64(second.offset + 1)))
    bad("offset.gap", "OFFSET", second.offset_at, (second.offset_at, 8, u64(second.offset + 32)))
    bad("offset.overlap", "OFFSET", second.offset_at, (second.offset_at, 8, u64(0)))
    bad("offset.past-end", "OFFSET", second.offset_at, (second.offset_at, 8, u64(len(BASE))))
    bad("offset.wraps", "OFFSET", second.offset_at, (second.offset_at, 8, u64(2**64 - 32)))
    bad("offset.out-of-order", "OFFSET", first.offset_at, (first.offset_at, 8, u64(second.offset)), (second.offset_at, 8, u64(0)))
    bad("tensor.missing", "TENSOR", None, (first.start + 8, 1, b"N"))
    bad("tensor.shape", "TENSOR", matrix.start, (matrix.shape_at, 16, u64(matrix.shape[0] // 2) + u64(matrix.shape[1] * 2)))
    bad("tensor.rows", "TENSOR", matrix.start, (matrix.shape_at + 8, 8, u64(matrix.shape[1] + 1)))  # padding has the room
    bad("tensor.transposed", "TENSOR", matrix.start, (matrix.shape_at, 16, u64(matrix.shape[1]) + u64(matrix.shape[0])))
    # as a single row, a matrix needs as many values (here the padding has the room for one more); a vector is never a matrix
    flat = whole_table((matrix.dims_at, 20, u32(1) + u64(matrix.shape[0] * matrix.shape[1] + 1)))
    bad("tensor.single-row", "TENSOR", matrix.start, *flat)
    vector = LAYOUT.rows["init_conv.bias"]
    bad("tensor.dimensions", "TENSOR", vector.start, *whole_table((vector.dims_at, 12, u32(2) + u64(vector.shape[0]) + u64(1))))
    end = len(BASE) - LAYOUT.data
    extra = text("extra") + u32(1) + u64(8) + u32(0) + u64(end)
    padded = extra + bytes(-(LAYOUT.table_end + len(extra)) % 32)
    more = (8, 8, u64(len(names) + 1))
    bad("tensor.extra", "TENSOR", LAYOUT.table_end, more, (LAYOUT.table_end, LAYOUT.data - LAYOUT.table_end, padded), (len(BASE), 0, bytes(32)))


def data() -> None:
    vector = next(row for row in LAYOUT.rows.values() if row.type == 0)
    half = next(row for row in LAYOUT.rows.values() if row.type == 1)
    for name, row, spoilt in (
        ("f32.nan", vector, u32(0x7FC00000)), ("f32.infinity", vector, u32(0xFF800000)),
        ("f16.nan", half, struct.pack("<H", 0x7E00)), ("f16.infinity", half, struct.pack("<H", 0xFC00)),
    ):  # fmt: skip
        at = LAYOUT.data + row.offset + len(spoilt)
        bad(f"weights.{name}", "NONFINITE", at, (at, len(spoilt), spoilt))
    # rows of 128, so of whole blocks, which take less room: the tensors behind move up
    row = next(row for row in LAYOUT.rows.values() if row.type == 1 and row.shape[0] % 32 == 0)
    elements = row.shape[0] * row.shape[1]
    at, old = LAYOUT.data + row.offset, -(-elements * 2 // 32) * 32
    for name, (kind, block, floats) in BLOCK_TYPES.items():
        new = -(-(elements // 32 * block) // 32) * 32
        edits = [(row.type_at, 4, u32(kind))]
        edits += [(other.offset_at, 8, u64(other.offset - old + new)) for other in LAYOUT.rows.values() if other.offset > row.offset]
        for place, part in enumerate(("scale", "minimum")[:floats]):
            blocks = bytearray(new)
            blocks[block + 2 * place : block + 2 * place + 2] = struct.pack("<H", 0x7C00)
            bad(f"weights.{name}.{part}", "NONFINITE", at + block + 2 * place, *edits, (at, old, bytes(blocks)))
    bad("padding.header", "PADDING", LAYOUT.table_end, (LAYOUT.table_end, 1, b"\1"))
    ragged = next(row for row in LAYOUT.rows.values() if row.type == 0 and row.shape[0] * 4 % 32)
    at = LAYOUT.data + ragged.offset + ragged.shape[0] * 4
    bad("padding.tensor", "PADDING", at, (at, 1, b"\x80"))
    large = {"width": 1024, "height": 1024, "channels": 4, "pixel_unshuffle": 1}
    entries = {key: LAYOUT.entries[f"pocket-diffusion.image.{key}"] for key in large}
    bad("model.over-memory", "TOO_BIG", None, *[(entries[key].value, 4, u32(side)) for key, side in large.items()])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--write", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    for part in (header, metadata, configuration, tensors, data):
        part()
    table = "".join(f"{file.line()}\n" for file in FILES)
    assert len({file.name for file in FILES}) == len(FILES)
    if arguments.write:
        arguments.write.mkdir(parents=True, exist_ok=True)
        for file in FILES:
            (arguments.write / f"{file.name}.gguf").write_bytes(file.bytes())
    elif arguments.check:
        if TABLE.read_text() != table:
            print(f"{TABLE} differs from what this script writes", file=sys.stderr)
            return 1
    else:
        TABLE.write_text(table)
        print(f"{len(FILES)} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
