"""What the catalogue's pages say of an entry, measured: its verdicts, and the network shown."""

import functools
import math
import re

import initlab
from initlab.activations import ACTIVATIONS
from initlab.failures import gradient_ratio
from initlab.initializers import INITIALIZERS
from initlab.laws import Initializer

DEPTH, WIDTH = 30, 64
SMALL_DEPTH, SMALL_WIDTH = 10, 16  # of starts whose fit takes long


@functools.cache
def _probed(start: str, activation: str) -> initlab.Signals:
    quick = INITIALIZERS[start].quick
    depth, width = (DEPTH, WIDTH) if quick else (SMALL_DEPTH, SMALL_WIDTH)
    return initlab.probe(initlab.Setting(depth, width, activation, start))


def _diagnosed(start: str, activation: str) -> initlab.Diagnosis:
    return initlab.diagnose(_probed(start, activation))


def verdicts(start: Initializer) -> dict[str, str]:
    """Activation -> what the diagnosis says of the start with it; one alone if a fit takes long."""
    names = ACTIVATIONS if start.quick else [made_for(start)]
    return {name: str(_diagnosed(start.name, name)) for name in names}


def healthy(start: Initializer, activation: str) -> bool:
    """Whether a start is found healthy with an activation; False if its fit takes too long."""
    return start.quick and _diagnosed(start.name, activation).healthy


def shown(start: Initializer) -> initlab.Signals:
    """The signals of the start with the activation that it is made for."""
    return _probed(start.name, made_for(start))


def made_for(start: Initializer) -> str:
    """The activation that a start is made for: as its entry says, or as is measured.

    An entry may name it in the words on when to use it, or name another entry ("as he_normal").
    Linear ones do not count: they show nothing that others do not.
    """
    words = re.findall(r"\w+", start.when)
    curved = [name for name in ACTIVATIONS if name != "linear"]
    named = [word for word in words if word in curved]
    if named:
        return named[0]
    like = [word for word in words if word in INITIALIZERS and word != start.name]
    if like:
        return made_for(INITIALIZERS[like[0]])
    if not start.quick:
        return "tanh"

    def rank(name: str) -> tuple[bool, float]:
        ratio = gradient_ratio(_probed(start.name, name))
        distance = abs(math.log10(ratio)) if 0 < ratio < math.inf else math.inf
        return not _diagnosed(start.name, name).healthy, distance

    return min(curved, key=rank)
