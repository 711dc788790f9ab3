"""One instance of the WebAssembly module, by wasmtime: the very module that browsers and Node.js run.

The only file of the package that touches linear memory. Any call may grow the memory, so nothing is kept of it between
calls; writing to address 0 does not trap, so every address that comes back is compared with 0 first. After a trap the
state of the instance is unknown: every later call fails.
"""

import functools
import math
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import wasmtime

from pocket_diffusion.errors import PocketDiffusionError

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

NULL_LABEL: Final = 0x7FFFFFFF  # PD_LABEL_NULL
MODULE: Final = "pocket-diffusion.wasm"
_PICTURE: Final = struct.Struct("<iIQQ")  # pd_picture: label, 0, seed, variation_seed
_MIX: Final = struct.Struct("<if")  # pd_class_weight
_DATA: Final = {"mix": 0, "image": 1, "mask": 2, "noise": 3}  # keys of pd_wasm_options_set_data


def module_path() -> Path:
    """Beside this file in an installed package; in a checkout where the build leaves it."""
    here = Path(__file__).resolve()
    candidates = (here.with_name(MODULE), here.parents[2] / "web" / MODULE)
    for path in candidates:
        if path.is_file():
            return path
    raise PocketDiffusionError("WASM", f"{MODULE} is not there; in a checkout scripts/build.sh --wasm makes it")


@functools.lru_cache(maxsize=1)
def _compiled() -> tuple[wasmtime.Engine, wasmtime.Module]:
    """Compiled once for a process (half a second), and kept on disk for the next one where that can be written to."""
    configuration = wasmtime.Config()
    try:
        configuration.cache = True
    except wasmtime.WasmtimeError:  # no folder for it
        configuration = wasmtime.Config()
    engine = wasmtime.Engine(configuration)
    return engine, wasmtime.Module.from_file(engine, str(module_path()))


class Core:
    """Calls of the module's exports; addresses and handles are ints. Not to be used by two threads at a time."""

    def __init__(self) -> None:
        engine, module = _compiled()
        self._store = wasmtime.Store(engine)
        linker = wasmtime.Linker(engine)
        linker.define_func("env", "emscripten_notify_memory_growth", wasmtime.FuncType([wasmtime.ValType.i32()], []), lambda _: None)
        exports = linker.instantiate(self._store, module).exports(self._store)
        memory = exports["memory"]
        assert isinstance(memory, wasmtime.Memory)
        self._memory = memory
        self._exports: Mapping[str, Any] = exports
        self.dead = False
        self.call("_initialize")
        self._options = self._keys("pd_wasm_options_name")
        self._fields = self._keys("pd_wasm_model_field_name")

    # ---- calls

    def call(self, name: str, *values: float) -> Any:
        """The result of an export; i32 results as they are (signed)."""
        if self.dead:
            raise PocketDiffusionError("TRAP", "the WebAssembly instance failed in another call")
        try:
            return self._exports[name](self._store, *values)
        except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
            self.dead = True
            raise PocketDiffusionError("TRAP", f"the WebAssembly instance failed in {name}: {str(error).splitlines()[0]}") from error

    def address(self, name: str, *values: float) -> int:
        """Of an export that returns an address or a size, 0 on failure."""
        result = int(self.call(name, *values)) & 0xFFFFFFFF
        if result == 0:
            raise self._last_error()
        return result

    def status(self, name: str, *values: float) -> None:
        """An export that returns a pd_status."""
        if self.call(name, *values) != 0:
            raise self._last_error()

    def _last_error(self) -> PocketDiffusionError:
        offset = self.call("pd_wasm_error_offset")
        return PocketDiffusionError(
            self.text(self.call("pd_wasm_error_name")),
            self.text(self.call("pd_wasm_error_message")),
            offset=None if offset < 0 else int(offset),
        )

    # ---- linear memory

    def read(self, address: int, size: int) -> bytes:
        return bytes(self._memory.read(self._store, address, address + size))

    def text(self, address: int) -> str:
        """NUL-terminated UTF-8; "" at address 0."""
        address &= 0xFFFFFFFF
        if address == 0:
            return ""
        found = b""
        while (end := found.find(b"\0")) < 0:
            more = self.read(address + len(found), min(256, self._memory.data_len(self._store) - address - len(found)))
            if not more:
                break
            found += more
        return found[:end].decode()

    def store(self, data: bytes) -> int:
        """Address of a copy of `data`, to be released."""
        address = self.address("pd_wasm_allocate", max(len(data), 1))
        self._memory.write(self._store, data, address)
        return address

    def release(self, address: int) -> None:
        if not self.dead:
            self.call("pd_wasm_release", address)

    def with_bytes(self, data: bytes, use: Callable[[int], Any]) -> Any:
        """use(address) with a copy of `data`."""
        address = self.store(data)
        try:
            return use(address)
        finally:
            self.release(address)

    def _read_written(self, size: int, write: Callable[[int], Any]) -> bytes:
        """The `size` bytes that write(address) has written."""
        address = self.address("pd_wasm_allocate", max(size, 1))
        try:
            write(address)
            return self.read(address, size)
        finally:
            self.release(address)

    def read_floats(self, count: int, write: Callable[[int], Any]) -> Floats:
        return np.frombuffer(self._read_written(4 * count, write), dtype="<f4").astype(np.float32)

    def read_bytes(self, count: int, write: Callable[[int], Any]) -> Bytes:
        return np.frombuffer(self._read_written(count, write), dtype=np.uint8).copy()

    def _keys(self, name: str) -> dict[str, int]:
        """What an export names, from key 0 on."""
        keys: dict[str, int] = {}
        while text := self.text(self.call(name, len(keys))):
            keys[text] = len(keys)
        return keys

    # ---- models and runs

    @property
    def version(self) -> str:
        return self.text(self.call("pd_wasm_version"))

    def load_model(self, data: bytes) -> int:
        """Handle of the model in a GGUF file's bytes."""
        return int(self.with_bytes(data, lambda address: self.address("pd_wasm_model_load", address, len(data))))

    def model_fields(self, model: int) -> dict[str, Any]:
        """What pd_model_info says, by the names of its fields: numbers as floats, and texts."""
        found: dict[str, Any] = {}
        for name, key in self._fields.items():
            number = float(self.call("pd_wasm_model_number", model, key))
            found[name] = self.text(self.call("pd_wasm_model_text", model, key)) if math.isnan(number) else number
        return found

    def graph(self, model: int) -> list[dict[str, Any]]:
        """The operations of the network, by the fields of Operation."""
        keys = self._keys("pd_wasm_graph_field_name")

        def numbers(index: int, field: str) -> tuple[int, ...]:
            found: list[int] = []
            while not math.isnan(number := self.call("pd_wasm_graph_number", model, index, keys[field], len(found))):
                found.append(int(number))
            return tuple(found)

        operations: list[dict[str, Any]] = []
        while name := self.text(self.call("pd_wasm_graph_name", model, index := len(operations))):
            lists = {field: numbers(index, field) for field in ("inputs", "shape", "integers")}
            depends = tuple(field for field in ("class", "time", "x") if numbers(index, field)[0])
            operations.append({"name": name, **lists, "depends": depends, "free": bool(numbers(index, "free")[0])})
        return operations

    def start_run(self, model: int, numbers: Mapping[str, float], data: Mapping[str, bytes | None], pictures: Sequence[tuple[int, int, int]]) -> int:
        """Handle of a run. `numbers` by the names of pd_options' fields, which have the model's defaults otherwise; `data` by name
        (mix, image, mask, noise), packed; pictures: label, seed, variation seed.
        """
        options = self.address("pd_wasm_options_create", model)
        blocks = [options]  # the core copies what is in them
        try:
            for name, value in numbers.items():
                self.status("pd_wasm_options_set", options, self._options[name], float(value))
            for name, packed in data.items():
                if packed is not None:
                    blocks.append(self.store(packed))
                    size = len(packed) // {"mix": _MIX.size, "noise": 4}.get(name, 1)
                    self.status("pd_wasm_options_set_data", options, _DATA[name], blocks[-1], size)
            blocks.append(self.store(b"".join(_PICTURE.pack(label, 0, seed, variation) for label, seed, variation in pictures)))
            return self.address("pd_wasm_run_start", model, options, blocks[-1], len(pictures))
        finally:
            for block in blocks:
                self.release(block)

    @staticmethod
    def pack_mix(mix: Sequence[tuple[int, float]]) -> bytes:
        return b"".join(_MIX.pack(label, weight) for label, weight in mix)

    def encode_png(self, pixels: Bytes, recipe: str) -> bytes:
        """`pixels` [height, width, channels]; `recipe` is the text that the file carries, "" for none."""
        height, width, channels = pixels.shape
        text = recipe.encode()

        def encode(text_address: int) -> bytes:
            bound = self.address("pd_wasm_png_bound", width, height, channels, text_address, len(text))

            def write(source: int) -> bytes:
                output = self.address("pd_wasm_allocate", bound)
                try:
                    size = self.address("pd_wasm_png_encode", source, width, height, channels, text_address, len(text), output, bound)
                    return self.read(output, size)
                finally:
                    self.release(output)

            return bytes(self.with_bytes(pixels.tobytes(), write))

        return bytes(self.with_bytes(text, encode))
