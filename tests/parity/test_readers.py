"""Model files between programs: what others read of ours, and what the `gguf` package writes and the engine must read."""

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFValueType

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "tests" / "golden" / "tiny.gguf"
FILES = sorted([*(ROOT / "weights").glob("*.gguf"), *(ROOT / "tests" / "golden").glob("*.gguf")])
F32, F16, Q8_0 = GGMLQuantizationType.F32, GGMLQuantizationType.F16, GGMLQuantizationType.Q8_0
BLOCKS = (Q8_0, *(GGMLQuantizationType[name] for name in ("Q4_0", "Q4_1", "Q5_0", "Q5_1")))
PIXELS = """
import { load } from 'pocket-diffusion';
import { createHash } from 'node:crypto';
const hashes = [];
for (const path of process.argv.slice(1)) {
  const model = await load(path);
  const { pixels } = await model.generate({ label: 0, seed: 3, steps: 2 });
  hashes.push(createHash('sha256').update(pixels).digest('hex'));
  model.close();
}
console.log(JSON.stringify(hashes));
"""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_gguf_dump_reads(path):
    listing = subprocess.run([sys.executable, "-m", "gguf.scripts.gguf_dump", "--json", path], check=True, capture_output=True, text=True)
    found = json.loads(listing.stdout)
    reader = gguf.GGUFReader(path)
    assert set(found["tensors"]) == {tensor.name for tensor in reader.tensors}
    assert {"general.architecture", *(key for key in reader.fields if not key.startswith("GGUF."))} <= set(found["metadata"])


def pictures(*paths: Path) -> list[str]:
    """Hash of the same picture made with each of the models."""
    done = subprocess.run(["node", "--input-type=module", "-e", PIXELS, *paths], check=False, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def rewrite(
    path: Path,
    *,
    alignment: int | None = None,
    reverse: bool = False,
    extra: Callable[[gguf.GGUFWriter], None] = lambda writer: None,
    options: dict[str, Any] | None = None,
    choose: Callable[[tuple[int, ...]], GGMLQuantizationType] | None = None,
    single_rows: bool = False,
) -> Path:
    """The tiny model, written again by the package's writer; `single_rows`: every matrix as one row of all its values."""
    reader = gguf.GGUFReader(TINY)
    writer = gguf.GGUFWriter(path, "pocket-diffusion", **(options or {}))
    if alignment:
        writer.add_custom_alignment(alignment)
    extra(writer)
    fields = [field for key, field in reader.fields.items() if not key.startswith("GGUF.") and key != "general.architecture"]
    for field in reversed(fields) if reverse else fields:
        kind, element = field.types[0], field.types[1] if len(field.types) > 1 else None
        writer.add_key_value(field.name, field.contents(), kind, element)
    tensors = reversed(reader.tensors) if reverse else reader.tensors
    for tensor in tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        matrix = values.ndim == 2
        values = values.reshape(-1) if single_rows else values
        kind = choose(values.shape) if choose and matrix else tensor.tensor_type
        writer.add_tensor(tensor.name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def add_everything(writer: gguf.GGUFWriter) -> None:
    """Keys of every type that a reader of ours does not know, long texts and empty arrays among them."""
    kinds = GGUFValueType
    for kind in kinds:
        if kind in (kinds.ARRAY, kinds.STRING):
            continue
        writer.add_key_value(f"later.{kind.name.lower()}", 1, kind)
        writer.add_key_value(f"later.array.{kind.name.lower()}", [1, 0, 1], kinds.ARRAY, kind)
    writer.add_string("later.long", "Grüße, 世界 🙂 " * 100_000)
    writer.add_string("later.empty", "")
    writer.add_key_value("later." + "k" * 1000, ["", "a", "b" * 5000], kinds.ARRAY, kinds.STRING)


def add_general(writer: gguf.GGUFWriter) -> None:
    """What the package has methods for, beside what the tiny model has."""
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_organization("somebody")
    writer.add_version("1")
    writer.add_size_label("tiny")
    writer.add_uuid("00000000-0000-0000-0000-000000000000")
    writer.add_tags(["picture", "small"])
    writer.add_languages([])
    writer.add_base_model_count(0)


def test_layouts_that_mean_the_same(tmp_path):
    """Alignments, orders, keys of others and F32 in place of F16 change no byte of a picture."""
    variants = [TINY]
    for alignment, reverse in itertools.product((8, 16, 64, 4096), (False, True)):
        variants.append(rewrite(tmp_path / f"{alignment}-{reverse}.gguf", alignment=alignment, reverse=reverse))
    variants.append(rewrite(tmp_path / "everything.gguf", extra=add_everything))
    variants.append(rewrite(tmp_path / "general.gguf", extra=add_general))
    variants.append(rewrite(tmp_path / "temporary.gguf", options={"use_temp_file": True}))
    variants.append(rewrite(tmp_path / "wide.gguf", choose=lambda _: F32))
    variants.append(rewrite(tmp_path / "rows.gguf", single_rows=True))
    mixed = itertools.cycle((F32, F16))
    variants.append(rewrite(tmp_path / "mixed.gguf", choose=lambda _: next(mixed)))
    assert len(set(pictures(*variants))) == 1


def test_every_type_of_every_tensor(tmp_path):
    """Any of the types for any matrix, where its rows are of whole blocks; vectors are F32."""
    types = itertools.cycle((*BLOCKS, F32, F16))

    def choose(shape: tuple[int, ...]) -> GGMLQuantizationType:
        kind = next(types)
        return F16 if kind in BLOCKS and shape[-1] % 32 else kind

    paths = [rewrite(tmp_path / f"{i}.gguf", choose=choose, alignment=8 << i) for i in range(4)]
    for kind in BLOCKS:
        blocks = {"choose": lambda shape, kind=kind: F16 if shape[-1] % 32 else kind}
        paths += [rewrite(tmp_path / f"{kind.name}{single}.gguf", **blocks, single_rows=single) for single in (False, True)]
    hashes = pictures(*paths)
    assert len(hashes) == len(paths)


def test_big_endian_files_are_refused(tmp_path):
    """The one choice of the writer that the format of the models leaves out."""
    path = rewrite(tmp_path / "big.gguf", options={"endianess": gguf.GGUFEndian.BIG})
    script = "await (await import('pocket-diffusion')).load(process.argv[1]).catch((error) => console.log(error.code))"
    done = subprocess.run(["node", "--input-type=module", "-e", script, path], check=True, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "VERSION\n"


def test_table_of_malformed_files():
    subprocess.run([sys.executable, ROOT / "tests" / "bad" / "make_bad_files.py", "--check"], check=True)
