"""The element <pocket-diffusion> as a widget of notebooks: it draws in the browser, and needs no server and no network.

    from pocket_diffusion.notebook import Widget
    widget = Widget("doodles.gguf", label="cat", seed=7, controls=True)
    widget                      # shows it, as the last line of a cell
    widget.label = "dog"        # draws anew
    widget.guidance_scale       # what the slider says

Needs the extra `pocket-diffusion[notebook]`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import traitlets

from .widget_script import widget_script

__all__ = ["Widget"]

_RENDER = """
const ATTRIBUTES = {
  label: 'label', guidance_scale: 'guidance-scale', steps: 'steps', seed: 'seed', sampler: 'sampler', count: 'count', controls: 'controls',
};

export default {
  render({ model, el }) {
    const address = URL.createObjectURL(new Blob([model.get('file')]));
    const element = document.createElement('pocket-diffusion');
    const tell = (trait) => {
      const value = model.get(trait);
      if (trait === 'controls') element.controls = value;
      else if (value === null) element.removeAttribute(ATTRIBUTES[trait]);
      else element.setAttribute(ATTRIBUTES[trait], value);
    };
    const listeners = Object.keys(ATTRIBUTES).map((trait) => [`change:${trait}`, () => tell(trait)]);
    Object.keys(ATTRIBUTES).forEach(tell);
    for (const [event, listener] of listeners) model.on(event, listener);
    const watcher = new MutationObserver(() => {
      model.set('guidance_scale', element.guidanceScale);
      model.set('seed', element.seed === null ? null : Number(element.seed));
      model.save_changes();
    });
    watcher.observe(element, { attributes: true, attributeFilter: ['guidance-scale', 'seed'] });
    element.src = address;
    el.append(element);
    return () => {
      watcher.disconnect();
      for (const [event, listener] of listeners) model.off(event, listener);
      element.remove();
      URL.revokeObjectURL(address);
    };
  },
};
"""

# JupyterLab and Visual Studio Code say on the body that they are dark.
_STYLE = """
[data-jp-theme-light="false"] pocket-diffusion, .vscode-dark pocket-diffusion { color-scheme: dark; }
"""


class Widget(anywidget.AnyWidget):
    """A model with its settings, as `<pocket-diffusion>` has them; None is as the model recommends.

    The controls write `guidance_scale` and `seed`. A seed is a whole number below 2^53 here.
    """

    _esm = widget_script() + _RENDER
    _css = _STYLE

    file = traitlets.Bytes(help="The model file").tag(sync=True)
    label = traitlets.Unicode(None, allow_none=True, help="Name or number of a class").tag(sync=True)
    guidance_scale = traitlets.Float(None, allow_none=True).tag(sync=True)
    steps = traitlets.Int(None, allow_none=True).tag(sync=True)
    seed = traitlets.Int(None, allow_none=True, min=0, max=2**53 - 1).tag(sync=True)
    sampler = traitlets.Unicode(None, allow_none=True).tag(sync=True)
    count = traitlets.Int(1, min=1, max=64).tag(sync=True)
    controls = traitlets.Bool(True).tag(sync=True)

    def __init__(self, model: str | Path | bytes, **settings: Any) -> None:
        """model: path of a file, or its bytes. settings: the traits, such as label="cat"."""
        unknown = set(settings) - set(self.trait_names(sync=True))
        if unknown:
            raise TypeError(f"Widget has no setting {', '.join(sorted(unknown))}")
        content = model if isinstance(model, bytes) else Path(model).read_bytes()
        super().__init__(file=content, **settings)
