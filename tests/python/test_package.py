"""The built wheel in an empty virtual environment, with neither PyTorch nor Node.js in reach."""

import hashlib
import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

SCRIPT = """
import hashlib, importlib.util, json, shutil, sys
import pocket_diffusion as pd
from pocket_diffusion.widget_script import widget_script
with pd.load(sys.argv[1]) as model:
    picture = model.generate("cat", seed=7, guidance_scale=3, sampler="ddim", steps=20)
print(json.dumps({
    "hash": hashlib.sha256(picture.pixels.tobytes()).hexdigest(),
    "torch": importlib.util.find_spec("torch") is not None,
    "node": shutil.which("node"),
    "from": pd.__file__,
    "widget": hashlib.sha256(widget_script().encode()).hexdigest(),
}))
"""


@pytest.mark.slow
def test_the_wheel_draws_by_itself(repository: Path, tmp_path: Path) -> None:
    script = "await (await import('./scripts/site/build_element.mjs')).buildInline()"
    subprocess.run(["node", "--input-type=module", "--eval", script], cwd=repository, check=True, capture_output=True)
    build = [sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check", "wheel", "--no-deps", "-w", str(tmp_path), str(repository / "python")]
    subprocess.run(build, check=True, capture_output=True, text=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.stat().st_size < 400_000
    home = tmp_path / "environment"
    venv.create(home, with_pip=True)
    python = str(home / "bin" / "python")
    install = [python, "-m", "pip", "--no-input", "--disable-pip-version-check", "install", str(wheel)]
    subprocess.run(install, check=True, capture_output=True, text=True)
    environment = {"PATH": str(home / "bin"), "HOME": str(tmp_path)}
    command = [python, "-c", SCRIPT, str(repository / "weights/doodles.gguf")]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path, env=environment)
    answer = json.loads(done.stdout)
    assert not answer["torch"] and answer["node"] is None and answer["from"].startswith(str(home))
    assert answer["widget"] == hashlib.sha256((repository / "dist/inline.mjs").read_bytes()).hexdigest()
    assert answer["hash"] == _hash_under_node(repository)
    refused = subprocess.run([python, "-m", "pocket_diffusion", "export", "a", "b"], check=False, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert refused.returncode == 1 and "pocket-diffusion[export]" in refused.stderr


def _hash_under_node(repository: Path) -> str:
    script = """
      import { createHash } from 'node:crypto';
      import { load } from 'pocket-diffusion';
      const model = await load('weights/doodles.gguf');
      const { pixels } = await model.generate({ label: 'cat', seed: 7, guidanceScale: 3, sampler: 'ddim', steps: 20 });
      console.log(createHash('sha256').update(pixels).digest('hex'));
      model.close();"""
    done = subprocess.run(["node", "--input-type=module", "--eval", script], cwd=repository, check=True, capture_output=True, text=True)
    return done.stdout.strip()
