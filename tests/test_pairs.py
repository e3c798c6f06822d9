"""Initializers against activations: what the cells say, and the words for them."""

import pytest

from initlab import plot_table


def test_the_table_says_what_it_shows():
    figure = plot_table(6, 16, ("zeros", "xavier_normal"), ("linear", "tanh"))
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert len(texts) == 4
    assert texts[:2] == ["none", "none"]
    assert all(text.endswith("✓") for text in texts[2:])
    assert "2 of 4 are healthy" in figure.alternative_text
    assert "glorot_normal with linear" in figure.alternative_text


def test_far_ratios_become_a_sign():
    figure = plot_table(100, 16, ("normal",), ("sigmoid",))
    assert figure.axes[0].texts[0].get_text() == "< -20"


def test_a_table_of_nothing_and_unknown_names_are_refused():
    with pytest.raises(ValueError, match="at least"):
        plot_table(initializers=())
    with pytest.raises(ValueError, match="did you mean 'tanh'"):
        plot_table(activations=("tahn",))
