"""Feature maps against the network's own measures, and their picture."""

import numpy as np
import pytest

import initlab
from initlab import Convolutional, Residual, data
from initlab.features import feature_maps

pytestmark = pytest.mark.numerics

SETTING = Convolutional(depth=9, width=4, activation="tanh")


def test_they_are_what_is_measured():
    batch = data.digits(3)
    maps = np.stack([feature_maps(SETTING, batch, example) for example in range(3)])
    moments = (maps**2).mean(axis=(0, 2, 3, 4))
    measured = initlab.probe(SETTING, batch).activation_second_moment[1:]
    np.testing.assert_allclose(moments, measured, rtol=1e-4)


def test_delta_kernels_leave_an_image_where_it_is():
    """Each position has its own, so a map is the image times one number a channel."""
    setting = SETTING.replace(activation="linear", initializer="delta_orthogonal")
    image = data.digits(1).inputs.reshape(8, 8)
    for channel in feature_maps(setting, data.digits(1))[-1].transpose(2, 0, 1):
        factor = (channel * image).sum() / (image**2).sum()
        np.testing.assert_allclose(channel, factor * image, atol=1e-5)


def test_the_picture_has_words():
    figure = initlab.plot_features(SETTING, channels=3)
    assert "3 of 4 channels" in figure.alternative_text
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert len(shown) == 3 * 7 + 1
    assert figure.axes[1].get_title().startswith("layer 1\n")


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"setting": Residual()}, TypeError, "Convolutional"),
        ({"example": 32}, ValueError, "from 0 to 31, not 32; the nearest is 31"),
        ({"channels": 0}, ValueError, "channels must be"),
    ],
    ids=str,
)
def test_a_wrong_choice_is_named(change, error, words):
    with pytest.raises(error, match=words):
        initlab.plot_features(**({"setting": SETTING} | change))
