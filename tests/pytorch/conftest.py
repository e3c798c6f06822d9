"""Nothing here is collected where PyTorch is missing; `make test-torch` has it."""

import importlib.util

if importlib.util.find_spec("torch") is None:
    collect_ignore_glob = ["*.py"]
