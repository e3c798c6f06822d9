"""Which module imports which, beside the order that `docs/design.md` gives them.

The page has a table of parts, from left to right, and the modules of each. Data flows to the right,
so imports lead to the left: no module imports one of a later part. A test holds this.
"""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DESIGN = ROOT / "docs" / "design.md"
_ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \|", re.M)


def parts(text: str) -> dict[str, tuple[str, ...]]:
    """Part -> its modules, as the design's table has them; ``maps`` stands for all in ``maps/``."""
    return {
        title.strip(): tuple(re.findall(r"`([\w.]+)`", modules))
        for _, title, modules in _ROW.findall(text)
    }


def imports(package: Path = ROOT / "initlab") -> dict[str, set[str]]:
    """Module -> the modules of the package that it imports when it is imported, without prefix.

    What a function imports when it is called does not count, nor what is for type checkers alone.
    """
    names = {_name(path, package): path for path in sorted(package.rglob("*.py"))}
    return {name: _imported(path, names) - {name} for name, path in names.items()}


def part_of(module: str, order: dict[str, tuple[str, ...]]) -> str | None:
    """The part that a module stands in: by its own name, or by its package's; None if in none."""
    for name in (module, module.partition(".")[0]):
        for part, modules in order.items():
            if name in modules:
                return part
    return None


def counts(order: dict[str, tuple[str, ...]]) -> dict[tuple[str, str], int]:
    """(part, part that it imports) -> how many imports lead from one to the other."""
    found = {}
    for module, imported in imports().items():
        for other in imported:
            pair = part_of(module, order), part_of(other, order)
            found[pair] = found.get(pair, 0) + 1
    return found


def section() -> str:
    """Who imports whom, counted: the table that the site has at the end of the design."""
    order = parts(DESIGN.read_text("utf-8"))
    found = counts(order)
    numbers = range(1, len(order) + 1)
    header = ["imports from", *map(str, numbers)]
    rows = [
        [f"{number} {part}", *(str(found.get((part, other), "")) for other in order)]
        for number, part in zip(numbers, order, strict=True)
    ]
    lines = "\n".join(
        f"{'*' if place == 0 else ' '} - {cell}"
        for row in (header, *rows)
        for place, cell in enumerate(row)
    )
    return f"""
## Who imports whom

Counted when this site was made: how many modules of the parts in the columns are imported by those
of the part in the row. Nothing stands right of the diagonal.

```{{list-table}}
:header-rows: 1
:stub-columns: 1

{lines}
```
"""


def _name(path: Path, package: Path) -> str:
    inner = path.relative_to(package).with_suffix("").parts
    return ".".join(inner[:-1] if inner[-1] == "__init__" else inner)


def _imported(path: Path, names: dict[str, Path]) -> set[str]:
    found = set()
    for statement in ast.parse(path.read_text("utf-8")).body:
        if isinstance(statement, ast.ImportFrom) and (statement.module or "").startswith("initlab"):
            module = statement.module.removeprefix("initlab").removeprefix(".")
            for name in statement.names:
                inner = f"{module}.{name.name}".removeprefix(".")
                found.add(inner if inner in names else module)
    return found
