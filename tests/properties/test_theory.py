"""Theory's maps and predictions against SciPy's quadrature, and sweeps against single probes."""

import numpy as np
from hypothesis import strategies as st
from scipy import integrate

import initlab
from initlab import Setting, data, predict, probe, sweep, theory
from initlab.sweeps.grid import grid_of
from tests.properties.reference import FUNCTIONS
from tests.properties.strategies import ACTIVATION_NAMES, activations, holds

#: of SciPy's adaptive rule, asked for 1e-10, and of a kinked function's table
TOLERANCE = 1e-6
BATCH = data.gaussian(12, 16, 3)
variances = st.one_of(st.floats(0.01, 10), st.floats(-6, 4).map(lambda power: 10.0**power))


def gaussian_mean(function, q: float) -> float:
    """E[f(sqrt(q) z)] by adaptive quadrature, each sign by itself, since relu has a kink."""
    root = np.sqrt(q)
    return sum(
        integrate.quad(
            lambda z: function(np.float64(root * z)) * np.exp(-z * z / 2) / np.sqrt(2 * np.pi),
            *ends,
            epsabs=0,
            epsrel=1e-10,
            limit=400,
            points=[sign * width / max(root, 1.0) for width in (0.01, 0.1, 1.0, 3.0, 10.0)],
        )[0]
        for sign, ends in ((-1, (-12.0, 0.0)), (1, (0.0, 12.0)))
    )


@holds(nightly=300, ci=20, activation=activations, q=variances, weight=variances, bias=variances)
def test_the_variance_map_is_an_integral(activation, q, weight, bias):
    """Source: SciPy's adaptive quadrature of NumPy's function."""
    phi, _, _ = FUNCTIONS[activation]
    expected = weight * gaussian_mean(lambda z: phi(z) ** 2, q) + bias
    found = theory.variance_map(activation, q, weight, bias)
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE)


@holds(nightly=300, ci=20, activation=activations, q=variances, weight=variances)
def test_chi_is_an_integral(activation, q, weight):
    """Source: SciPy's adaptive quadrature of NumPy's slope."""
    _, slope, _ = FUNCTIONS[activation]
    expected = weight * gaussian_mean(lambda z: slope(z) ** 2, q)
    np.testing.assert_allclose(theory.chi(activation, q, weight), expected, rtol=TOLERANCE)


@holds(
    nightly=200,
    ci=8,
    activation=activations,
    initializer=st.sampled_from(("lecun_normal", "he_uniform", "glorot_normal", "uniform")),
    gain=st.floats(0.2, 3),
    bias=st.floats(0, 1),
    depth=st.integers(1, 6),
)
def test_a_prediction_is_the_map_again_and_again(activation, initializer, gain, bias, depth):
    """Source: SciPy's quadrature, layer by layer, of a batch whose examples are all of length 1.

    Fans are 16 and 8; variances are the textbook's. Between points of the prediction's table
    straight lines are drawn, which costs it up to 1e-4.
    """
    setting = Setting(depth, 8, activation, initializer, gain=gain, bias_std=bias)
    signs = data.Batch(np.sign(BATCH.inputs), BATCH.labels, BATCH.classes)
    found = predict(setting, signs).preactivation_second_moment
    phi, _, _ = FUNCTIONS[activation]
    moment = 1.0
    for layer, q in enumerate(found):
        fan_in = 16 if layer == 0 else 8
        variance = {
            "lecun_normal": 1 / fan_in,
            "he_uniform": 2 / fan_in,
            "glorot_normal": 2 / (fan_in + 8),
            "uniform": 0.05**2 / 3,
        }[initializer]
        expected = fan_in * variance * gain**2 * moment + bias**2
        np.testing.assert_allclose(q, expected, rtol=1e-3)
        moment = gaussian_mean(lambda z: phi(z) ** 2, expected)


@holds(nightly=300, ci=10, activation=activations, weight=variances, bias=variances)
def test_a_fixed_point_stays(activation, weight, bias):
    """Source: the map itself, by SciPy: what it leads to, it leads to again."""
    q, c = theory.fixed_point(activation, weight, bias)
    assert q >= 0 and (np.isnan(c) or -1e-9 <= c <= 1 + 1e-9)
    if 1e-6 < q < 1e6:
        phi, _, _ = FUNCTIONS[activation]
        again = weight * gaussian_mean(lambda z: phi(z) ** 2, q) + bias
        np.testing.assert_allclose(again, q, rtol=1e-5)
    limits = theory.limits(activation, weight, bias)
    assert limits.phase in ("ordered", "critical", "chaotic")


points = st.fixed_dictionaries(
    {
        "depth": st.lists(st.integers(1, 9), min_size=1, max_size=2, unique=True),
        "gain": st.lists(st.floats(0.1, 4), min_size=1, max_size=2, unique=True),
        "seed": st.lists(st.integers(0, 9), min_size=1, max_size=2, unique=True),
        "activation": st.lists(
            st.sampled_from(ACTIVATION_NAMES), min_size=1, max_size=2, unique=True
        ),
    }
)


@holds(nightly=60, ci=2, axes=points)
def test_a_sweeps_point_is_its_probe(axes):
    """Source: ``probe`` of the point's setting.

    Points are computed together, so that sums are rounded otherwise, and what that grows to in a
    chaotic network is what a gradient grows by.
    """
    found = sweep(BATCH, width=8, progress=False, chunk=8, **axes)
    grid = grid_of(width=8, **axes)
    for index in range(len(grid)):
        setting = grid.setting(index)
        point = found.sel({name: getattr(setting, name) for name in axes})
        signals = probe(setting, BATCH)
        size = np.sqrt(signals.gradient_second_moment)
        grown = np.max(size[0] / np.where(size > 0, size, np.inf), initial=1.0)
        room = 1e-4 + 1e-5 * grown
        ours = signals.activation_second_moment
        theirs = point.activation_second_moment.values
        np.testing.assert_allclose(theirs[: len(ours)], ours, rtol=room)
        assert np.isnan(theirs[len(ours) :]).all()
        np.testing.assert_allclose(float(point.loss), signals.loss, rtol=room)
        assert int(point.first_overflow) == -1


@holds(
    nightly=100,
    ci=4,
    setting=st.builds(
        Setting, activation=activations, gain=variances.map(lambda gain: min(gain, 1e6))
    ),
    deviations=st.floats(0, 5),
)
def test_a_band_holds_its_median(setting, deviations):
    """Source: a log-normal's median lies below its mean; a wider band holds a narrower one."""
    prediction = initlab.predict(setting, BATCH)
    for field in ("activation_second_moment", "gradient_second_moment"):
        low, high = prediction.band(field, deviations)
        lower, higher = prediction.band(field, deviations + 1)
        known = np.isfinite(high) & np.isfinite(higher)
        assert (low[known] <= high[known]).all()
        assert (lower[known] <= low[known]).all() and (high[known] <= higher[known]).all()
