"""The parts of the C core without a network, built as a shared library and
called through ctypes, so that Python can compare them exhaustively."""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src"
FILES = ["elementary.c", "random.c", "schedule.c", "image.c", "png.c", "memory.c", "status.c"]


class Random(ctypes.Structure):
    """pd_random"""

    _fields_ = [("state", ctypes.c_uint32 * 624), ("index", ctypes.c_int32), ("has_cached", ctypes.c_bool), ("cached", ctypes.c_double)]


@cache
def load() -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "core.so"
        flags = ["-std=gnu11", "-O2", "-ffp-contract=off", "-shared", "-fPIC", f"-I{SOURCE}"]
        subprocess.run([os.environ.get("CC", "cc"), *flags, *(SOURCE / name for name in FILES), "-o", path, "-lm"], check=True)
        library = ctypes.CDLL(str(path))
    for name in ["exp", "log", "sin", "cos", "erf"]:
        function = getattr(library, f"pd_{name}")
        function.argtypes, function.restype = [ctypes.c_double], ctypes.c_double
    library.pd_random_seed.argtypes = [ctypes.POINTER(Random), ctypes.c_uint64]
    library.pd_random_normal.argtypes = [ctypes.POINTER(Random), ctypes.c_size_t, ctypes.c_void_p]
    library.pd_schedule_time_grid.argtypes = [ctypes.c_int32, ctypes.c_int32, ctypes.c_void_p]
    sizes = [ctypes.c_int32] * 3
    library.pd_png_bound.argtypes, library.pd_png_bound.restype = sizes, ctypes.c_size_t
    library.pd_png_encode.argtypes = [ctypes.c_void_p, *sizes, ctypes.c_void_p, ctypes.c_size_t, ctypes.POINTER(ctypes.c_size_t), ctypes.c_void_p]
    return library
