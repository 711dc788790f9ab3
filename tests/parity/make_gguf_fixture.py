#!/usr/bin/env python3
"""Writes tests/golden/small.gguf with PyPI `gguf`, for tests/core/test_gguf.c.

The file has a value of every metadata type, an array of every element type and
tensors of every supported type. Element i of a tensor, counted with the last
dimension varying fastest, is

    v(i) = ((37 i) mod 101 - 50) / 101

stored as float32, rounded to float16, or quantised; the C test compares
with this formula, not with numbers that our own decoder made.

    make_gguf_fixture.py           write the file
    make_gguf_fixture.py --check   fail unless the file is what would be written
"""

import argparse
import pathlib
import sys
import tempfile

import gguf
import numpy as np
from gguf import GGMLQuantizationType, GGUFValueType

PATH = pathlib.Path(__file__).resolve().parent.parent / "golden" / "small.gguf"

SCALARS = {
    GGUFValueType.UINT8: 200,
    GGUFValueType.INT8: -100,
    GGUFValueType.UINT16: 60_000,
    GGUFValueType.INT16: -30_000,
    GGUFValueType.UINT32: 4_000_000_000,
    GGUFValueType.INT32: -2_000_000_000,
    GGUFValueType.FLOAT32: 0.1,
    GGUFValueType.BOOL: True,
    GGUFValueType.STRING: "Grüße, 世界 🙂",
    GGUFValueType.UINT64: 2**64 - 1,
    GGUFValueType.INT64: -(2**63),
    GGUFValueType.FLOAT64: 0.1,
}

ARRAYS = {
    GGUFValueType.UINT8: [0, 127, 255],
    GGUFValueType.INT8: [-128, 0, 127],
    GGUFValueType.UINT16: [0, 1, 65_535],
    GGUFValueType.INT16: [-32_768, -1, 32_767],
    GGUFValueType.UINT32: [0, 1, 2**32 - 1],
    GGUFValueType.INT32: [-(2**31), -1, 2**31 - 1],
    GGUFValueType.FLOAT32: [-1.5, 0.0, 3.0e38],
    GGUFValueType.BOOL: [True, False, True],
    GGUFValueType.STRING: ["cat", "", "naïve"],
    GGUFValueType.UINT64: [0, 2**53 + 1, 2**63 - 1],
    GGUFValueType.INT64: [-(2**63), -1, 2**63 - 1],
    GGUFValueType.FLOAT64: [-0.25, 1.0e-300, 1.0e300],
}

# Shapes as NumPy has them: last dimension fastest. 7 half floats leave padding.
TENSORS = [
    ("f32.vector", (5,), GGMLQuantizationType.F32),
    ("f32.block", (2, 3, 4, 5), GGMLQuantizationType.F32),
    ("f16.vector", (7,), GGMLQuantizationType.F16),
    ("f16.rows", (3, 33), GGMLQuantizationType.F16),
    ("q8_0.rows", (4, 96), GGMLQuantizationType.Q8_0),
    ("q8_0.vector", (32,), GGMLQuantizationType.Q8_0),
    ("q4_0.rows", (2, 64), GGMLQuantizationType.Q4_0),
    ("q4_1.rows", (2, 64), GGMLQuantizationType.Q4_1),
    ("q5_0.rows", (2, 64), GGMLQuantizationType.Q5_0),
    ("q5_1.rows", (2, 64), GGMLQuantizationType.Q5_1),
]


def formula(shape: tuple[int, ...]) -> np.ndarray:
    i = np.arange(np.prod(shape), dtype=np.int64)
    return ((37 * i % 101 - 50) / 101.0).reshape(shape)


def write(path: pathlib.Path) -> None:
    writer = gguf.GGUFWriter(path, "pocket-diffusion-test")
    writer.add_custom_alignment(64)
    for kind, value in SCALARS.items():
        writer.add_key_value(f"test.{kind.name.lower()}", value, kind)
    for kind, value in ARRAYS.items():
        writer.add_key_value(f"test.array.{kind.name.lower()}", value, GGUFValueType.ARRAY, sub_type=kind)
    for name, shape, kind in TENSORS:
        values = formula(shape).astype(np.float32)
        if kind == GGMLQuantizationType.F16:
            values = values.astype(np.float16)
        elif kind != GGMLQuantizationType.F32:
            values = gguf.quants.quantize(values, kind)
        writer.add_tensor(name, values, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    if not parser.parse_args().check:
        write(PATH)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        fresh = pathlib.Path(folder) / "small.gguf"
        write(fresh)
        if fresh.read_bytes() == PATH.read_bytes():
            return 0
    print(f"{PATH} differs from what this script writes", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
