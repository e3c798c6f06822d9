"""What colours are judged by, against what others computed."""

import numpy as np
import pytest

from tests.color_vision import ciecam02, contrast, distance, linear, luminance, seen, turned

WHITE, BLACK = np.ones(3), np.zeros(3)


def test_ciecam02_has_the_values_of_its_worked_example():
    """Case 1 of Fairchild, Color Appearance Models, table 16.4, in all the digits it gives."""
    white = np.array([95.05, 100.0, 108.88])
    lightness, colorfulness, hue = ciecam02([19.01, 20.0, 21.78], white, 318.31, 20.0)
    assert (round(lightness, 2), round(colorfulness, 2), round(hue, 1)) == (41.73, 0.11, 219.0)


def test_a_distance_is_that_of_another_program():
    """colorspacious' documentation has 55.3372; its white and matrices have other last digits."""
    assert distance([1, 0.5, 0.5], [0.5, 1, 0.5]) == pytest.approx(55.3372, abs=0.01)


def test_contrast_is_that_of_wcag():
    assert contrast(WHITE, BLACK) == pytest.approx(21)
    grey = np.full(3, 0x76 / 255)  # the lightest grey that WebAIM lets pass on white, at 4.54
    assert contrast(grey, WHITE) == pytest.approx(4.54, abs=0.005)
    assert luminance([1, 0, 0]) == pytest.approx(0.2126)


@pytest.mark.parametrize("vision", ["protanopia", "deuteranopia", "tritanopia"])
def test_dichromats_see_greys_as_they_are_and_have_two_dimensions_left(vision):
    grey = np.linspace(0, 1, 5)[:, None] * np.ones(3)
    np.testing.assert_allclose(seen(grey, vision), grey, atol=1e-5)  # rows of 6 digits
    colors = np.random.default_rng(0).uniform(0.3, 0.7, (100, 3))
    light = linear(seen(colors, vision))
    spread = np.linalg.svd(light - light.mean(axis=0))[1]
    assert spread[2] < 0.15 * spread[0]  # flat, but for what the model of tritanopia leaves: 0.124


def test_red_and_green_are_hard_to_tell_apart_for_those_who_lack_a_cone():
    red, green = np.array([0.8, 0.25, 0.2]), np.array([0.45, 0.5, 0.1])
    assert distance(red, green, "deuteranopia") < distance(red, green) / 3
    assert distance(red, green, "tritanopia") > distance(red, green) / 2


def test_a_turned_page_is_dark_and_keeps_greys_grey():
    np.testing.assert_allclose(turned(WHITE), 0.07)
    np.testing.assert_allclose(turned(BLACK), 0.93)
