"""Where a library is missing, as on Google Colab's versions, nothing here is collected."""

import importlib.util
import os

os.environ["KERAS_BACKEND"] = "jax"  # read when keras is first imported

if not all(map(importlib.util.find_spec, ("flax", "equinox", "haiku", "keras"))):
    collect_ignore_glob = ["*.py"]
