"""Puts what is built elsewhere into the package: the WebAssembly module, which scripts/build.sh --wasm leaves in web/, and the
script of the widget, which scripts/site/build_element.mjs leaves in dist/."""

import base64
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

MODULE = "pocket-diffusion.wasm"
HERE = Path(__file__).resolve().parent


class BuildWithModule(build_py):
    def run(self) -> None:
        built, packed = HERE.parent / "web" / MODULE, HERE / "pocket_diffusion" / MODULE
        if not self.editable_mode and not built.is_file() and not packed.is_file():
            raise SystemExit(f"web/{MODULE} is not there: scripts/build.sh --wasm makes it")
        super().run()
        if not self.editable_mode:  # a checkout uses what the build leaves in web/
            target = Path(self.build_lib) / "pocket_diffusion" / MODULE
            shutil.copyfile(built if built.is_file() else packed, target)
            # Without the script, pocket_diffusion.notebook alone does not work, and says so.
            script = HERE.parent / "dist" / "inline.mjs"
            if script.is_file():
                # The module that the script holds is in the package already: pocket_diffusion.widget_script puts it in again.
                text, module = script.read_text(encoding="utf-8"), base64.b64encode(target.read_bytes()).decode("ascii")
                if text.count(module) != 1:
                    raise SystemExit("dist/inline.mjs holds another module than web/: node scripts/site/build_element.mjs makes it anew")
                target.with_name("inline.mjs").write_text(text.replace(module, ""), encoding="utf-8")


setup(cmdclass={"build_py": BuildWithModule})
