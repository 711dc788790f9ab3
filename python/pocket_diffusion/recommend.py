"""Changes what a model file recommends: sampler, steps, guidance, and how pictures are enlarged. The weights stay byte for byte.

  python -m pocket_diffusion recommend MODEL.gguf --guidance-scale 3 --guidance-interval all --manifest weights/manifest.json

What is not given stays as it is. docs/format.md has the keys.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pocket_diffusion.checkpoint import CheckpointError
from pocket_diffusion.export_command import add_recommendation_options, recommendation, update_manifest
from pocket_diffusion.graph.ir import GraphError
from pocket_diffusion.graph.read import read_either
from pocket_diffusion.model_file import write_recommendation


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL.gguf")
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: the model itself, which is replaced")
    add_recommendation_options(parser, defaults=False)
    parser.add_argument("--manifest", type=Path, metavar="FILE", help="JSON list of models in the same folder, where the file's entry is added or replaced")
    return parser.parse_args(arguments)


def recommend(arguments: argparse.Namespace) -> None:
    output = arguments.output or arguments.model
    file = read_either(arguments.model)
    data = file.metadata
    recommended = recommendation(arguments, data["diffusion.timesteps"], data["image.channels"], file.recommended, file.guidance_scales)
    if recommended.guidance_scale != 1 and not (file.has_null or file.guidance_scales):
        raise GraphError(f"--guidance-scale {recommended.guidance_scale:g}: this network has nothing that stands for no class")
    write_recommendation(arguments.model, output, recommended)
    if arguments.manifest:
        update_manifest(arguments.manifest, output, file.general.name or output.stem, file.general.license)
    print(f"wrote      {output}, {output.stat().st_size:,} bytes: {recommended}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 written, 1 refused, 2 wrong usage."""
    parsed = parse_arguments(arguments)
    try:
        recommend(parsed)
    except (CheckpointError, GraphError, OSError) as error:
        print(f"recommend: {error}", file=sys.stderr)
        return 1
    return 0
