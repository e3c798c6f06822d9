"""initlab: see, and check, how a neural network's starting weights decide whether it learns.

The public names stand in ``__init__.pyi``, where editors and type checkers read them, too. Each is
imported when it is first used: whoever only probes does not wait for widgets, plots or optax.
"""

import ast
import importlib
from pathlib import Path

# A function of a submodule's name is imported at once: later, the submodule stands in its place.
from initlab.tables import activations as activations
from initlab.tables import initializers as initializers

_STUB = ast.parse(Path(__file__).with_suffix(".pyi").read_text("utf-8"))
_HOMES = {
    name.name: statement.module
    for statement in _STUB.body
    if isinstance(statement, ast.ImportFrom) and statement.module
    for name in statement.names
}
__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll] - the stub lists them


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if _HOMES[name] == __name__:
        return importlib.import_module(f"{__name__}.{name}")
    value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
