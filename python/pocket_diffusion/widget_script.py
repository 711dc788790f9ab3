"""The library and the element as one script, for widgets of notebooks.

A checkout has it in dist/, with the WebAssembly module inside. The installed package has it without the module, which is there
for drawing in Python anyway: this puts it in.
"""

from __future__ import annotations

import base64
from pathlib import Path

from .core import module_path

__all__ = ["widget_script"]

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1] / "dist" / "inline.mjs"

#: What comes before the module, in base64, in the script.
ADDRESS = "data:application/wasm;base64,"


def widget_script() -> str:
    """The text of a JavaScript module that defines <pocket-diffusion> and needs no other file.

    Raises FileNotFoundError if the script has not been built.
    """
    packed = HERE / "inline.mjs"
    if packed.is_file():
        module = base64.b64encode(module_path().read_bytes()).decode("ascii")
        return packed.read_text(encoding="utf-8").replace(ADDRESS, ADDRESS + module)
    if CHECKOUT.is_file():
        return CHECKOUT.read_text(encoding="utf-8")
    raise FileNotFoundError("inline.mjs is not there: in a checkout, `node scripts/site/build_element.mjs` makes it")
