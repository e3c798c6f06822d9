"""What property tests are made of: how many examples, a watchdog, a count, and the examples.

A property is a function that ``holds`` turns into two tests: a few examples, the same each time,
for every run of the tests, and many for the nightly ones. Widths and shapes of batches are few,
since each is a program of its own; all else that a slider moves costs no compilation.
"""

import contextlib
import dataclasses
import linecache
import signal
import threading
import traceback

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from initlab import Convolutional, Recurrent, Residual, Setting, Transformer, data
from initlab.activations import ACTIVATIONS
from initlab.architectures import convolutional, recurrent, residual, transformer
from initlab.initializers import INITIALIZERS
from initlab.setting import DTYPES, MAX_DEPTH
from tests.told import COUNTS

SECONDS = 240  # that one example may take, compiling included, before it counts as hanging

#: names of the nightly tests that were run to their end
DONE = set()
#: names of all nightly tests
NIGHTLY = set()

_checks = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)
_both = {
    "database": None,
    "deadline": None,  # ``watched`` has one
    "suppress_health_check": _checks,
    "phases": (Phase.generate, Phase.shrink),
}
settings.register_profile("ci", **_both, derandomize=True)
settings.register_profile("nightly", **_both, print_blob=True)


class Hangs(BaseException):
    """An example took longer than ``SECONDS``; no ``except Exception`` catches it."""


@contextlib.contextmanager
def watched(seconds: int = SECONDS):
    """Raise ``Hangs`` if the body takes longer, where signals tell."""
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def bark(*_):
        raise Hangs(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, bark)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def is_deliberate(error: Exception) -> bool:
    """Whether it was raised by a statement of this package, and not within some other."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    statement = linecache.getline(last.filename, last.lineno).strip()
    return "/initlab/" in last.filename.replace("\\", "/") and statement.startswith("raise ")


def holds(nightly: int, ci: int = 3, counts: str = "settings", few=None, **examples):
    """A test that a property holds of generated examples: ``ci`` of them, and ``nightly``.

    ``few`` has other strategies for the first, of fewer shapes, each of which is compiled; with
    ``ci=0`` there is no first one, since that would take too long.
    """

    def decorate(property_):
        name = f"{property_.__module__}.{property_.__name__}"
        NIGHTLY.add(name)

        def counted(**arguments):
            COUNTS[counts] += 1
            with watched():
                property_(**arguments)

        counted.__name__ = property_.__name__

        def many(profile: str, count: int, examples):
            chosen = settings(settings.get_profile(profile), max_examples=count)
            return chosen(given(**examples)(counted))

        runs = {"nightly": many("nightly", nightly, examples)}
        if ci:
            runs["ci"] = many("ci", ci, examples | (few or {}))

        marks = {"ci": pytest.mark.numerics, "nightly": pytest.mark.slow}

        @pytest.mark.parametrize(
            "profile", [pytest.param(profile, marks=marks[profile]) for profile in sorted(runs)]
        )
        def test(profile):
            runs[profile]()
            if profile == "nightly":
                DONE.add(name)

        test.__name__, test.__doc__ = property_.__name__, property_.__doc__
        test.__module__, test.holds, test.examples = property_.__module__, property_, examples
        return test

    return decorate


# --- settings -----------------------------------------------------------------------------------

WIDTHS = (1, 8, 32)
ACTIVATION_NAMES = tuple(ACTIVATIONS)
#: all that is drawn, but not fitted
DRAWN = tuple(name for name, entry in INITIALIZERS.items() if entry.fitted_by is None)
FITTED = tuple(name for name, entry in INITIALIZERS.items() if entry.fitted_by is not None)

activations = st.sampled_from(ACTIVATION_NAMES)
initializers = st.sampled_from(DRAWN)
seeds = st.one_of(
    st.integers(0, 3), st.sampled_from([2**31 - 1, 2**31, 2**32 - 1]), st.integers(0, 2**32 - 1)
)
#: mostly such as one uses, and now and then 0, tiny or huge
gains = st.one_of(
    st.floats(0.1, 4.0),
    st.floats(-6, 6).map(lambda power: 10.0**power),
    st.sampled_from([0.0, 1.0, 1e6, 1e-30, 5e-324]),
)
biases = st.one_of(st.just(0.0), st.floats(0, 1), st.sampled_from([1e-20, 1e3, 1e6]))


def depths(most: int):
    """Mostly shallow ones."""
    return st.one_of(st.integers(1, min(12, most)), st.integers(1, most))


@st.composite
def dense(draw, widths=WIDTHS, dtypes=DTYPES, initializers=initializers):
    """Settings of dense networks."""
    return Setting(
        depth=draw(depths(MAX_DEPTH)),
        width=draw(st.sampled_from(widths)),
        activation=draw(activations),
        initializer=draw(initializers),
        gain=draw(gains),
        bias_std=draw(biases),
        seed=draw(seeds),
        dtype=draw(st.sampled_from(dtypes)),
    )


#: of one program, which all tests of every run share
one_program = dense(widths=(8,), dtypes=("float32",))
#: settings in which what one uses stands: gains near 1, small biases
calm = st.builds(
    Setting,
    depth=st.integers(1, 12),
    width=st.sampled_from((8, 32)),
    activation=activations,
    initializer=initializers,
    gain=st.floats(0.3, 2.0),
    bias_std=st.sampled_from([0.0, 0.0, 0.1, 1.0]),
    seed=st.integers(0, 5),
)


def _kind(kind, **fields):
    return st.builds(kind, activation=activations, seed=seeds, gain=gains, **fields)


def _or_none(kind):
    def make(**fields):
        try:
            return kind(**fields)
        except ValueError:
            return None

    return make


some_initializers = st.sampled_from(
    [name for name in DRAWN if name != "delta_orthogonal"]  # which asks for as many outputs
)
residuals = _kind(
    _or_none(Residual),
    blocks=depths(residual.MAX_BLOCKS),
    width=st.sampled_from((1, 8)),
    start=st.sampled_from(tuple(residual.STARTS)),
    normalization=st.sampled_from(tuple(residual.NORMALIZATIONS)),
    placement=st.sampled_from(residual.PLACEMENTS),
    initializer=initializers,
    branch_scale=gains,
).filter(lambda setting: setting is not None)
recurrents = _kind(
    _or_none(Recurrent),
    steps=depths(recurrent.MAX_STEPS),
    width=st.sampled_from((1, 8)),
    cell=st.sampled_from(tuple(recurrent.CELLS)),
    recurrent_initializer=initializers,
    input_initializer=initializers,
    forget_bias=st.floats(0, 10),
).filter(lambda setting: setting is not None)
convolutionals = _kind(
    _or_none(Convolutional),
    depth=depths(convolutional.MAX_LAYERS),
    width=st.sampled_from((1, 4)),
    kernel=st.sampled_from((1, 3)),
    padding=st.sampled_from(convolutional.PADDINGS),
    initializer=some_initializers,
).filter(lambda setting: setting is not None)
transformers = _kind(
    _or_none(Transformer),
    blocks=depths(transformer.MAX_BLOCKS),
    width=st.just(8),
    heads=st.sampled_from((1, 4)),
    normalization=st.sampled_from(transformer.PLACEMENTS),
    start=st.sampled_from(tuple(transformer.STARTS)),
    attention_gain=gains,
).filter(lambda setting: setting is not None)
any_kind = st.one_of(dense(), residuals, recurrents, convolutionals, transformers)


# --- batches ------------------------------------------------------------------------------------

FEATURES = 16  # 4 x 4 pixels, two steps of eight, or just so many
CLASSES = 3


@dataclasses.dataclass(frozen=True)
class Examples:
    """What a batch is made of, which reads better than its numbers."""

    kind: str
    size: int = 12
    seed: int = 0
    features: int = FEATURES
    classes: int = CLASSES

    @property
    def batch(self) -> data.Batch:
        """The batch."""
        chance = np.random.default_rng(self.seed)
        inputs = chance.standard_normal((self.size, self.features))
        scale = 10.0 ** chance.uniform(-12, 12, (self.size, 1))
        made = {
            "noise": inputs,
            "digits": np.resize(data.digits(64, self.seed).inputs, inputs.shape),
            "zeros": 0 * inputs,
            "constant": np.full_like(inputs, self.seed - 3.5),
            "like": np.repeat(inputs[:1], self.size, axis=0),
            "ones and zeros": np.float64(inputs > 0),
            "tiny": 1e-30 * inputs,
            "huge": 1e30 * inputs,
            "wide": scale * inputs,
        }[self.kind]
        labels = chance.integers(self.classes, size=self.size)
        return data.Batch(made, labels, self.classes)


KINDS = ("noise", "digits", "zeros", "constant", "like", "ones and zeros")
EXTREME = ("tiny", "huge", "wide")


def batches(sizes=(1, 12), kinds=KINDS + EXTREME):
    """Batches of few shapes: noise, pixels of digits, constant rows, and rows of any size."""
    return st.builds(
        Examples,
        kind=st.sampled_from(kinds),
        size=st.sampled_from(sizes),
        seed=st.integers(0, 5),
    )


one_shape = batches(sizes=(12,))
calm_batches = batches(sizes=(12,), kinds=("noise", "digits", "ones and zeros"))
