import re
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits

from initlab import Batch, data

TWO = np.ones((2, 3))


@pytest.mark.parametrize(
    ("error", "inputs", "labels", "classes", "message"),
    [
        (ValueError, np.ones(3), [0], None, "not an array of shape (3,); the nearest is inputs.re"),
        (ValueError, np.ones((2, 8, 8)), [0, 0], None, "nearest is inputs.reshape(2, -1)"),
        (ValueError, np.float32(1), [0], None, "not an array of shape ()"),
        (ValueError, np.ones((0, 3)), [], None, "the batch is empty: inputs have shape (0, 3)"),
        (ValueError, np.ones((2, 0)), [0, 0], None, "the batch is empty"),
        (ValueError, [[1.0, 2.0], [3.0, np.nan]], [0, 0], None, "example 1 has nan in feature 1"),
        (ValueError, [[1.0, -np.inf]], [0], None, "example 0 has -inf in feature 1"),
        (ValueError, [[1e300]], [0], None, "finite in float32, but example 0 has inf"),
        (TypeError, [["a"]], [0], None, "inputs must be real numbers"),
        (TypeError, [[1j]], [0], None, "not an array of complex128"),
        (TypeError, [[None]], [0], None, "not an array of object"),
        (TypeError, TWO, [0.0, 1.0], None, "labels must be whole numbers, not an array of float64"),
        (ValueError, TWO, [0], None, "labels must be [2], one for each example, not (1,)"),
        (ValueError, TWO, [[0, 1]], None, "not (1, 2)"),
        (ValueError, TWO, [-1, 0], None, "labels must be from 0 to 0, not -1"),
        (ValueError, TWO, [0, 3], 3, "labels must be from 0 to 2, not 3"),
        (ValueError, TWO, [0, 0], 0, "classes must be a whole number from 1"),
        (ValueError, TWO, [0, 0], 2.5, "not 2.5; the nearest is 2"),
        (TypeError, TWO, [0, 0], "two", "classes must be a whole number"),
    ],
)
def test_a_wrong_batch_is_an_error_that_says_what_is_wrong(error, inputs, labels, classes, message):
    with warnings.catch_warnings(), pytest.raises(error, match=re.escape(message)):
        warnings.simplefilter("error")  # the error is all there is to say
        Batch(inputs, labels, classes)


def test_a_batch_keeps_its_own_float32_and_int32():
    inputs = np.arange(6).reshape(2, 3)
    batch = Batch(inputs, np.array([0, 4], np.uint8))
    assert (batch.inputs.dtype, batch.labels.dtype) == (np.float32, np.int32)
    assert (batch.classes, len(batch)) == (5, 2)
    inputs[:] = 7
    np.testing.assert_array_equal(batch.inputs, [[0, 1, 2], [3, 4, 5]])
    for array in (batch.inputs, batch.labels):  # digits() gives the same one to all
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_all_digits_have_mean_0_and_second_moment_1():
    inputs = data.digits(data.DIGITS).inputs.astype(np.float64)
    # each pixel is one of 17 values, rounded to float32 by at most 2^-24 of at most 2
    assert abs(inputs.mean()) < 2**-23
    assert abs((inputs**2).mean() - 1) < 2**-22


def test_digits_are_scikit_learns_images_with_their_labels():
    """Source: ``sklearn.datasets.load_digits``. One brightness and one contrast for all pixels."""
    images, labels = load_digits(return_X_y=True)
    batch = data.digits(300, seed=5)
    low, high = batch.inputs.min(), batch.inputs.max()
    pixels = (batch.inputs - low) / (high - low) * 16
    np.testing.assert_allclose(pixels, pixels.round(), atol=1e-5)
    found = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    assert len(found) == len(images)
    drawn = [found[image.tobytes()] for image in pixels.round().astype(np.float64)]
    np.testing.assert_array_equal(batch.labels, drawn)
    assert batch.classes == 10


def test_digits_do_not_repeat_and_a_larger_batch_begins_with_the_smaller():
    everything = data.digits(data.DIGITS)
    assert len(np.unique(everything.inputs, axis=0)) == data.DIGITS
    np.testing.assert_array_equal(data.digits(32).inputs, everything.inputs[:32])
    np.testing.assert_array_equal(data.digits(32).labels, everything.labels[:32])
    assert not np.array_equal(data.digits(32, seed=1).inputs, data.digits(32).inputs)


@pytest.mark.parametrize("size", [0, 1798, 2.5, -1])
def test_there_are_1797_digits(size):
    with pytest.raises(ValueError, match="size must be a whole number from 1 to 1797"):
        data.digits(size)


def test_gaussian_features_are_independent_standard_normal():
    batch = data.gaussian(4000, features=16, classes=4, seed=1)
    assert (batch.inputs.shape, batch.classes) == ((4000, 16), 4)
    x = batch.inputs.astype(np.float64)
    # over 64,000 numbers the mean errs by 1/sqrt(64000), the mean square by sqrt(2/64000)
    assert abs(x.mean()) < 4 / 64_000**0.5
    assert abs((x**2).mean() - 1) < 4 * (2 / 64_000) ** 0.5
    assert abs((x**4).mean() - 3) < 4 * (96 / 64_000) ** 0.5
    correlation = np.corrcoef(x.T)[~np.eye(16, dtype=bool)]
    assert np.abs(correlation).max() < 5 / 4000**0.5  # the largest of 120
    assert set(batch.labels) == {0, 1, 2, 3}


def test_spirals_wind_outwards_class_by_class():
    batch = data.spirals(300, classes=3, noise=0.0, seed=2)
    assert (batch.inputs.shape, batch.classes) == ((300, 2), 3)
    np.testing.assert_array_equal(np.bincount(batch.labels), [100] * 3)
    np.testing.assert_allclose(batch.inputs.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(batch.inputs.std(0), 1, rtol=1e-6)
    # without noise, five nearest neighbours vote for the right arm, and no line can
    distance = np.linalg.norm(batch.inputs[:, None] - batch.inputs, axis=2)
    nearest = batch.labels[np.argsort(distance, axis=1)[:, 1:6]]
    vote = np.array([np.bincount(row).argmax() for row in nearest])
    assert (vote == batch.labels).mean() > 0.9
    padded = np.c_[batch.inputs, np.ones(300)]
    scores = padded @ np.linalg.lstsq(padded, np.eye(3)[batch.labels], rcond=None)[0]
    assert (scores.argmax(1) == batch.labels).mean() < 0.7


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (data.gaussian, {"size": 0}),
        (data.gaussian, {"features": 0}),
        (data.gaussian, {"classes": 0}),
        (data.spirals, {"size": 1}),
        (data.spirals, {"classes": 0}),
        (data.spirals, {"noise": -1}),
        (data.spirals, {"noise": float("nan")}),
    ],
)
def test_wrong_sizes_are_named(make, arguments):
    with pytest.raises(ValueError, match=f"{next(iter(arguments))} must be"):
        make(**arguments)


@pytest.mark.parametrize(
    ("make", "kept"),
    [
        (data.digits, data._digits),
        (data.gaussian, data._gaussian),
        (data.spirals, data._spirals),
    ],
)
def test_the_same_seed_gives_the_same_batch(make, kept):
    first = make(64, seed=3).inputs
    kept.cache_clear()  # or the very same object would be compared with itself
    np.testing.assert_array_equal(make(64, seed=3).inputs, first)
    assert not np.array_equal(make(64, seed=4).inputs, first)


def test_recall_shows_symbols_and_asks_for_the_first():
    batch = data.recall(500, shown=3)
    rows = batch.inputs.reshape(500, 3, 8)
    np.testing.assert_array_equal((rows > 0).sum(axis=2), 1)
    np.testing.assert_array_equal(rows[:, 0].argmax(axis=1), batch.labels)
    assert set(batch.labels) == set(range(8)) and batch.classes == 8
    assert (batch.inputs**2).mean() == pytest.approx(1, rel=1e-6)
    assert not np.array_equal(batch.labels, data.recall(500, shown=3, seed=1).labels)


@pytest.mark.parametrize(("field", "value"), [("size", 0), ("shown", 0), ("shown", 2.5)])
def test_recall_needs_an_example_and_a_symbol(field, value):
    with pytest.raises(ValueError, match=f"{field} must be a whole number from 1 to"):
        data.recall(**{field: value})


@pytest.mark.parametrize("make", [data.gaussian, data.spirals, data.recall])
def test_arguments_are_checked_before_a_batch_is_looked_up(make):
    """What was made before is kept, and True is equal to 1 wherever it is looked up."""
    make(2, seed=1)
    with pytest.raises(TypeError, match=r"seed must be a whole number from 0 to .*, not True"):
        make(2, seed=True)
    with pytest.raises(TypeError, match=r"size must be a whole number .*, not \[2\]"):
        make([2])
    with pytest.raises(ValueError, match=r"seed must be .*, not -1; the nearest is 0"):
        make(2, seed=-1)


def test_a_batch_that_no_memory_has_room_for_is_refused():
    with pytest.raises(ValueError, match="not 100,000 x 50,000; the nearest is 2,000"):
        data.gaussian(100_000, features=50_000)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ([[1.0], [1.0, 2.0]], r"an array of real numbers, not \[\[1.0\], \[1.0, 2.0\]\]"),
        (np.ma.masked_array(np.ones((2, 2)), [[True, False], [False, False]]), "masked"),
        (np.array([[1.0, "a"], [2.0, 3.0]], object), "an array of object"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(inputs, words):
    with pytest.raises(TypeError, match=words):
        Batch(inputs, [0, 1])
