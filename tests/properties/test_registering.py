"""What may be registered: any name, and functions that do as they like. Errors leave nothing."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st

import initlab
from initlab.activations import ACTIVATIONS
from initlab.initializers import INITIALIZERS
from tests.properties.strategies import holds, is_deliberate


def raises(kind):
    def function(*arguments):
        raise kind("as it likes")

    return function


class Odd:
    """Claims to be an array."""

    shape, dtype, ndim = (7,), np.dtype("float32"), 1


FUNCTIONS = {
    "raises": raises(ValueError),
    "raises KeyError": raises(KeyError),
    "recurses": raises(RecursionError),
    "asserts": raises(AssertionError),
    "stops": raises(StopIteration),
    "prints nothing": lambda *_: None,
    "one number": lambda *_: 1.0,
    "itself": lambda *arguments: arguments,
    "odd": lambda *_: Odd(),
    "a list": lambda *arguments: [0.0],
    "strings": lambda *_: np.array(["a"] * 7),
    "objects": lambda *_: np.array([None] * 7),
    "another shape": lambda z, *_: jnp.zeros((1, 1)),
    "bools": lambda z, *_: jnp.zeros((7,), bool),
    "NaN": lambda z, *rest: jnp.full(rest[0] if rest else z.shape, jnp.nan),
    "looks at values": lambda z, *_: z if z.sum() > 0 else -z,
    "a type": type,
    "a method": "tanh".join,
    "needs more": lambda a, b, c, d: a,
    "generator": lambda *_: (x for x in ()),
}
VARIANCES = {
    "none": None,
    "zero": lambda *_: 0.0,
    "negative": lambda *_: -1.0,
    "NaN": lambda *_: float("nan"),
    "infinite": lambda *_: float("inf"),
    "a string": lambda *_: "1",
    "an array": lambda *_: np.ones(3),
    "raises": raises(OverflowError),
    "wrong": lambda fan_in, fan_out: 7.0,
}
names = st.one_of(
    st.sampled_from(["mine", "ключ", "tanh", "he_normal", "xavier_normal", "", " ", "a b", "1a"]),
    st.sampled_from(["<b>", "$x$", "\0", "a" * 65, "a" * 64, "class", "_", "__init__", "\ud800"]),
    st.text(max_size=8),
)


def refused(register, *arguments, **options):
    """Whether it was refused, in words and without a trace."""
    before = [list(ACTIVATIONS), list(INITIALIZERS)]
    try:
        entry = register(*arguments, **options)
    except (TypeError, ValueError) as error:
        assert is_deliberate(error) and 10 < len(str(error)) < 1000
        assert [list(ACTIVATIONS), list(INITIALIZERS)] == before
        return True
    catalogue = ACTIVATIONS if register is initlab.register_activation else INITIALIZERS
    assert catalogue[entry.name] is entry
    catalogue.remove(entry.name)
    assert [list(ACTIVATIONS), list(INITIALIZERS)] == before
    return False


@holds(nightly=150, ci=10, counts="hostile", name=names, kind=st.sampled_from(sorted(FUNCTIONS)))
def test_a_hostile_function_is_refused(name, kind):
    """None of these is an activation or draws weights."""
    assert refused(initlab.register_activation, name, FUNCTIONS[kind])
    assert refused(initlab.register_initializer, name, FUNCTIONS[kind])


@holds(nightly=100, ci=4, counts="hostile", name=names)
def test_a_name_is_an_identifier_that_is_free(name):
    """Source: Python's own rule, and the catalogues."""
    fine = name.isidentifier() and len(name) <= 64
    assert refused(initlab.register_activation, name, jnp.tanh) != (
        fine and name not in ACTIVATIONS
    )


@holds(nightly=60, ci=4, counts="hostile", kind=st.sampled_from(sorted(VARIANCES)))
def test_a_variance_is_a_positive_number_and_right(kind):
    """Source: standard normal draws have variance 1, none of those."""

    def normal(key, shape, dtype):
        return jax.random.normal(key, shape, dtype)

    was_refused = refused(initlab.register_initializer, "mine", normal, variance=VARIANCES[kind])
    assert was_refused == (kind != "none")


def test_a_variance_that_fails_at_another_width_is_named():
    """Source: the shapes that it was tried on have 64 and 16 inputs, and 8 are asked for."""

    def normal(key, shape, dtype):
        return jax.random.normal(key, shape, dtype)

    initlab.register_initializer(
        "mine", normal, variance=lambda fan_in, _: 1.0 if fan_in >= 16 else -1.0
    )
    try:
        start = initlab.Setting(depth=2, width=8, initializer="mine")
        for call in (initlab.probe, initlab.weights, initlab.predict):
            try:
                call(start)
            except ValueError as error:
                assert "variance(8, " in str(error) and "returned -1.0" in str(error)
            else:
                raise AssertionError(f"{call} did not refuse a negative variance")
    finally:
        INITIALIZERS.remove("mine")
