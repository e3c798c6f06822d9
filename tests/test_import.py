"""The package's names: imported when they are used, and always the same things."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

import initlab

SLOW_TO_IMPORT = {"ipywidgets", "matplotlib", "optax", "sklearn", "xarray"}


def run(code: str) -> str:
    """What a fresh Python prints."""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout


def test_importing_initlab_imports_nothing_that_is_slow():
    loaded = run("import sys, initlab; print(*sys.modules)").split()
    assert "jax" in loaded
    assert not SLOW_TO_IMPORT & set(loaded)


@pytest.mark.parametrize("name", initlab.__all__)
def test_every_public_name_is_found_listed_and_documented(name):
    value = getattr(initlab, name)
    assert name in dir(initlab)
    assert value.__doc__
    assert value.__name__ in (name, f"initlab.{name}")


def test_public_names_stay_what_they_are_when_all_submodules_are_imported():
    """``initlab.activations`` is a function and the name of a submodule, in whatever order."""
    modules = [module.name for module in pkgutil.walk_packages(initlab.__path__, "initlab.")]
    assert {"initlab.activations", "initlab.theory.maps"} <= set(modules)
    names = [name for name in initlab.__all__ if callable(getattr(initlab, name))]
    assert {"activations", "initializers", "explore"} <= set(names)
    for order in (modules, modules[::-1]):
        imports = "\n".join(f"import {module}" for module in order)
        wrong = run(f"{imports}\nprint(*[n for n in {names} if not callable(getattr(initlab, n))])")
        assert wrong.split() == []


def test_a_star_imports_all_of_them():
    found = {}
    exec("from initlab import *", found)
    assert {name: found[name] for name in initlab.__all__} == {
        name: getattr(initlab, name) for name in initlab.__all__
    }


def test_what_is_not_there_is_no_attribute():
    with pytest.raises(AttributeError, match="'initlab' has no attribute 'prob'"):
        initlab.prob  # noqa: B018
    with pytest.raises(ImportError, match="prob"):
        importlib.import_module("initlab.prob")
