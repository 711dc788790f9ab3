"""Makes tests/golden/graph_operations.bin: some cases of every kind of operation of test_graph.py, as small models, each with
an x and what PyTorch makes of it, for the tests of the C core (tests/core/test_graph_operations.c).

A case: three little-endian uint32, the bytes of the file, the values of x, those that are expected; then these three.

    PYTHONPATH=python:tests/parity .venv/bin/python tests/parity/make_graph_operations.py
"""

import struct
import tempfile
from pathlib import Path

from test_graph import CASES, Case

OUTPUT = Path(__file__).resolve().parents[1] / "golden/graph_operations.bin"
FEW = 6
# Those of which a case shows little: one function of many, one of many forms.
MANY = {"function": 48, "conv": 24, "rms_norm": 36, "group_norm": 24} | dict.fromkeys(
    ("binary", "linear", "conv_transpose", "matmul", "layer_norm", "affine", "attention",
     "linear_attention", "linear_attention_block"), 12,
)  # fmt: skip


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, OUTPUT.open("wb") as output:
        path = Path(folder) / "case.gguf"
        for name, function in CASES.items():
            for seed in range(MANY.get(name, FEW)):
                case = Case(1000 + seed)
                value, expected = function(case)
                x = case.write(path, value, expected.contiguous())
                file, wanted = path.read_bytes(), expected.contiguous().reshape(-1).float()
                output.write(struct.pack("<3I", len(file), x.numel(), wanted.numel()))
                output.write(file + x.numpy().astype("<f4").tobytes() + wanted.numpy().astype("<f4").tobytes())


if __name__ == "__main__":
    main()
