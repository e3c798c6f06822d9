"""The command line: ``python -m initlab examine package.module:make_model``, or ``sweep``."""

import argparse
import importlib
import os
import sys
import traceback

from initlab.checking import short
from initlab.sweeps import command


def main(arguments: list[str] | None = None) -> int:
    """Run a command line; returns 0, 1 if a network is ill that was examined, 2 for an error."""
    parser = argparse.ArgumentParser(prog="python -m initlab")
    commands = parser.add_subparsers(dest="command", required=True)
    examine = commands.add_parser("examine", help="judge every layer of a network as it starts")
    examine.add_argument(
        "model",
        metavar="package.module:make_model",
        help="a function without arguments that returns function, params, batch and perhaps loss,"
        " as initlab.examine takes them",
    )
    examine.add_argument("--json", action="store_true", help="print JSON instead of a table")
    command.add_command(commands)
    chosen = parser.parse_args(arguments)
    return command.run(chosen) if chosen.command == "sweep" else _examine(chosen)


def _examine(chosen: argparse.Namespace) -> int:
    try:
        make_model = _named(chosen.model)
        if not callable(make_model):
            raise TypeError(f"{chosen.model} is no function, but {short(make_model)}")
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        print(f"initlab: {error}", file=sys.stderr)
        return 2

    from initlab.doctor import examine as examine_model

    try:
        made = make_model()
    except Exception:  # not 1, which would say that the network is ill
        traceback.print_exc()
        return 2
    if not isinstance(made, tuple) or len(made) not in (3, 4):
        print(
            f"initlab: {chosen.model} must return (function, params, batch) or"
            f" (function, params, batch, loss), not {type(made).__name__}",
            file=sys.stderr,
        )
        return 2
    try:
        report = examine_model(*made)
    except (TypeError, ValueError) as error:
        print(f"initlab: {error}", file=sys.stderr)
        return 2
    print(report.to_json() if chosen.json else report)
    return 0 if report.healthy else 1


def _named(name: str):
    """The object of a name such as ``package.module:make_model``, seen from the working folder."""
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise ValueError(f"name a model as package.module:make_model, not {short(name)}")
    sys.path.insert(0, os.getcwd())
    return getattr(importlib.import_module(module), attribute)


if __name__ == "__main__":
    sys.exit(main())
