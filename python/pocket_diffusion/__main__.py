"""The commands: python -m pocket_diffusion COMMAND [--help]."""

import importlib
import sys
from collections.abc import Sequence

COMMANDS = {
    "generate": ("pocket_diffusion.draw", "draws pictures into PNG files"),
    "info": ("pocket_diffusion.draw", "says what is in a model file"),
    "export": ("pocket_diffusion.export_command", "turns a trained network into a model file"),
    "verify": ("pocket_diffusion.verify", "compares a model file with PyTorch, step by step"),
    "recommend": ("pocket_diffusion.recommend", "changes the sampling that a model file recommends"),
    "train": ("pocket_diffusion.training.train", "trains a network on pictures"),
    "distill": ("pocket_diffusion.training.distill", "distils a network to few evaluations a picture"),
    "evaluate": ("pocket_diffusion.evaluation.evaluate", "judges the pictures of a model"),
}
DRAWING = ("generate", "info")  # subcommands of one parser
# What a command needs beyond drawing, as an extra of the package.
EXTRAS = {"export": "export", "verify": "export", "train": "train", "evaluate": "train"}


def _usage() -> str:
    lines = (f"  {name:<11}{what}" for name, (_, what) in COMMANDS.items())
    return "\n".join(["usage: python -m pocket_diffusion COMMAND [options]", "", *lines, "", "Each command has its own --help."])


def main(arguments: Sequence[str]) -> int:
    """Exit code of the command; 2 for wrong usage. A command is imported when it is asked for: most need PyTorch."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        return 0 if arguments else 2
    if arguments[0] not in COMMANDS:
        print(f"no command {arguments[0]!r}\n\n{_usage()}", file=sys.stderr)
        return 2
    sys.argv[0] = f"python -m pocket_diffusion {arguments[0]}"
    try:
        command = importlib.import_module(COMMANDS[arguments[0]][0])
    except ModuleNotFoundError as error:
        extra = EXTRAS.get(arguments[0])
        if extra is None:
            raise
        print(f"{arguments[0]} needs the package {error.name}: pip install 'pocket-diffusion[{extra}]'", file=sys.stderr)
        return 1
    return int(command.main(list(arguments if arguments[0] in DRAWING else arguments[1:])))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
