"""``python -m benchmarks [names…]``: run the named benchmarks, or all, and print tables."""

import argparse
import importlib
import os
import pkgutil
import sys

import benchmarks

_LIBRARIES = ("OPENBLAS_", "GOTO_", "OMP_", "MKL_", "KMP_", "GOMP_")
# modules that are no benchmarks
_PARTS = ("__main__", "harness", "hooks", "live_page", "live_ways", "usual")


def main() -> None:
    """Print the machine, then one table for each benchmark."""
    # what slows NumPy's or PyTorch's products would flatter us; they read it when first imported
    dropped = [name for name in os.environ if name.startswith(_LIBRARIES)]
    for name in dropped:
        del os.environ[name]

    names = [module.name for module in pkgutil.iter_modules(benchmarks.__path__)]
    names = sorted(set(names) - set(_PARTS))
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(names))
    parser.add_argument("--readers", type=int, default=20, help="of the classroom (20)")
    arguments = parser.parse_args()
    chosen = arguments.names or names
    unknown = [name for name in chosen if name not in names]
    if unknown:
        parser.error(f"no benchmark {unknown[0]!r}; there are {', '.join(names)}")

    from benchmarks import harness  # imports numpy

    print(harness.machine(dropped), flush=True)
    missed = 0
    for name in chosen:
        module = importlib.import_module(f"benchmarks.{name}")
        rows = module.run(arguments.readers) if name == "classroom" else module.run()
        print(f"\n{harness.table(name, rows)}", flush=True)
        missed += sum(row.met is False for row in rows)
    print(f"\n{missed} missed" if missed else "\nnone missed")


if __name__ == "__main__":
    sys.exit(main())
