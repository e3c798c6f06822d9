"""Settings of all kinds: what is written is read again, and what is wrong is named."""

import dataclasses
import pickle
import re

import numpy as np
import pytest
from hypothesis import strategies as st

import initlab
from initlab import Setting
from initlab.activations import ACTIVATIONS
from initlab.catalogue import nearest
from initlab.initializers import INITIALIZERS
from initlab.setting import DTYPES
from tests.properties.strategies import any_kind, holds

KINDS = ("Setting", "Residual", "Recurrent", "Convolutional", "Transformer")
SPACE = {name: getattr(initlab, name) for name in KINDS}


@holds(nightly=3000, ci=60, setting=any_kind)
def test_a_setting_is_what_it_says(setting):
    """Source: identity, through each of the ways in which a setting is written and read."""
    fields = dataclasses.asdict(setting)
    copies = (
        eval(repr(setting), dict(SPACE)),
        type(setting)(**fields),
        type(setting)(**setting.changes()),
        setting.replace(),
        setting.replace(**fields),
        pickle.loads(pickle.dumps(setting)),
    )
    for copy in copies:
        assert copy == setting and hash(copy) == hash(setting) and repr(copy) == repr(setting)
    assert {setting: 1}[copies[0]] == 1
    assert setting.describe().endswith(".")
    assert setting.depth >= 1


@holds(nightly=500, ci=20, setting=any_kind, other=any_kind)
def test_settings_are_equal_if_their_fields_are(setting, other):
    """Source: the fields, compared as tuples."""
    pair = [(type(one), tuple(dataclasses.asdict(one).items())) for one in (setting, other)]
    assert (setting == other) == (pair[0] == pair[1])


NUMPY = {int: (np.int64, np.uint32, np.float64), float: (np.float64,), str: (np.str_,)}


@holds(nightly=500, ci=20, setting=any_kind, chance=st.randoms(use_true_random=False))
def test_numpys_scalars_become_plain_ones(setting, chance):
    """Source: the types of the same setting made of plain values."""
    scalars = {
        name: chance.choice(NUMPY[type(value)])(value)
        for name, value in dataclasses.asdict(setting).items()
    }
    made = type(setting)(**scalars)
    assert made == setting and repr(made) == repr(setting)
    for name, value in dataclasses.asdict(setting).items():
        assert type(getattr(made, name)) is type(value)


@st.composite
def misspelt(draw, names):
    """A name with one letter dropped, doubled, or two swapped; in capitals; with a space."""
    name = draw(st.sampled_from(sorted(names)))
    place = draw(st.integers(1, len(name) - 2))
    wrong = draw(
        st.sampled_from(
            [
                name[:place] + name[place + 1 :],
                name[:place] + name[place] + name[place:],
                name[: place - 1] + name[place] + name[place - 1] + name[place + 1 :],
                name.upper(),
                name.replace("_", " ").capitalize(),
                f" {name}",
            ]
        )
    )
    return name, wrong


CATALOGUES = {
    "activation": [*ACTIVATIONS],
    "initializer": [*INITIALIZERS, "xavier_normal", "kaiming_uniform"],
    "dtype": [*DTYPES],
}


@holds(
    nightly=300, ci=20, counts="hostile", field=st.sampled_from(sorted(CATALOGUES)), data=st.data()
)
def test_a_misspelt_name_is_met_with_the_nearest(field, data):
    """Source: the name that was misspelt, or one of which the misspelling is as near."""
    known = CATALOGUES[field]
    name, wrong = data.draw(misspelt(known))
    if wrong in known:
        return
    with pytest.raises(ValueError, match=re.escape(repr(wrong))) as caught:
        Setting(**{field: wrong})
    meant = re.search(r"did you mean '(\w+)'", str(caught.value))
    assert meant is not None, caught.value
    assert meant[1] == name or distance(meant[1], wrong.lower()) <= distance(name, wrong.lower())
    assert "Known are: " in str(caught.value)


def distance(one: str, other: str) -> int:
    """Levenshtein's: letters to insert, to drop or to change."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row, last = [i], row
        for j, b in enumerate(other, 1):
            row.append(min(last[j] + 1, row[-1] + 1, last[j - 1] + (a != b)))
    return row[-1]


def test_a_name_like_none_has_no_nearest():
    assert nearest("<script>", list(ACTIVATIONS)) == ""
