import dataclasses

import pytest

from initlab.catalogue import Catalogue, nearest


@dataclasses.dataclass(frozen=True)
class Fruit:
    name: str


@pytest.fixture
def fruits():
    catalogue = Catalogue("fruit")
    catalogue.add(Fruit("pear"))
    catalogue.add(Fruit("apple"), ("pomme", "apfel"))
    return catalogue


def test_entries_are_found_by_name_and_synonym_and_listed_in_order(fruits):
    assert list(fruits) == ["pear", "apple"]
    assert len(fruits) == 2
    assert fruits["pomme"] is fruits["apple"]
    assert fruits.canonical("apfel") == "apple"
    assert fruits.synonyms("apple") == fruits.synonyms("pomme") == ["pomme", "apfel"]
    assert "pomme" in fruits and "plum" not in fruits


@pytest.mark.parametrize("taken", ["apple", "pomme"])
def test_a_name_is_given_once(fruits, taken):
    with pytest.raises(ValueError, match=f"fruit '{taken}' is registered already"):
        fruits.add(Fruit(taken))
    with pytest.raises(ValueError, match=f"fruit '{taken}' is registered already"):
        fruits.add(Fruit("plum"), (taken,))
    assert "plum" not in fruits


@pytest.mark.parametrize("name", ["apple", "pomme"])
def test_an_entry_is_removed_with_all_its_names(fruits, name):
    fruits.remove(name)
    assert list(fruits) == ["pear"]
    assert not {"apple", "pomme", "apfel"} & set(fruits)
    fruits.add(Fruit("pomme"))


def test_an_unknown_name_is_met_with_the_nearest(fruits):
    with pytest.raises(ValueError, match=r"unknown fruit 'aple': did you mean 'apple'\? Known"):
        fruits["aple"]
    with pytest.raises(ValueError, match=r"unknown fruit 'zzz'\. Known are: pear, apple$"):
        fruits["zzz"]
    with pytest.raises(TypeError, match="fruit must be a name such as 'pear', not 3"):
        fruits[3]
    assert nearest("PEAR", ["pear"]) == ": did you mean 'pear'?"
    assert nearest("zzz", ["pear"]) == ""
