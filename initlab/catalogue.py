"""Names to entries, in the order of teaching, with helpful errors for names that are not there."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, TypeVar

from initlab.checking import short


def nearest(name: str, known: Iterable[str]) -> str:
    """``": did you mean 'x'?"`` for the known name closest to ``name``; empty if none is close."""
    close = difflib.get_close_matches(name.lower(), known, n=1)
    return f": did you mean {close[0]!r}?" if close else ""


class Named(Protocol):
    """What has a name."""

    @property
    def name(self) -> str:
        """By which it is found."""
        ...


Entry = TypeVar("Entry", bound=Named)


class Catalogue(Mapping[str, Entry]):
    """A read-only mapping from name to entry that grows by :meth:`add` alone.

    A synonym finds the entry it stands for but is not listed. ``kind`` is the word that errors
    use for an entry ("activation").
    """

    def __init__(self, kind: str):
        self.kind = kind
        self._entries: dict[str, Entry] = {}
        self._synonyms: dict[str, str] = {}

    def add(self, entry: Entry, synonyms: tuple[str, ...] = ()) -> None:
        """Append an entry, which has a ``name``. Raises ValueError if a name is taken."""
        for name in (entry.name, *synonyms):
            if name in self._entries or name in self._synonyms:
                raise ValueError(f"{self.kind} {name!r} is registered already; choose another name")
        self._entries[entry.name] = entry
        self._synonyms |= dict.fromkeys(synonyms, entry.name)

    def remove(self, name: str) -> None:
        """Drop an entry and its synonyms; what a test or a reader registered can be taken back."""
        name = self.canonical(name)
        del self._entries[name]
        self._synonyms = {k: v for k, v in self._synonyms.items() if v != name}

    def canonical(self, name: object) -> str:
        """The entry's own name. TypeError if not a string, ValueError if unknown."""
        if not isinstance(name, str):
            raise TypeError(
                f"{self.kind} must be a name such as {next(iter(self))!r}, not {short(name)}"
            )
        name = self._synonyms.get(name, str(name))  # a plain one, whatever NumPy made of it
        if name not in self._entries:
            known = [*self._entries, *self._synonyms]
            raise ValueError(
                f"unknown {self.kind} {short(name)}{nearest(name, known) or '.'}"
                f" Known are: {', '.join(self._entries)}"
            )
        return name

    def synonyms(self, name: str) -> list[str]:
        """The other names that an entry is found by."""
        name = self.canonical(name)
        return [synonym for synonym, meant in self._synonyms.items() if meant == name]

    def __getitem__(self, name: str) -> Entry:
        return self._entries[self.canonical(name)]

    def __contains__(self, name: object) -> bool:
        return name in self._entries or name in self._synonyms

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
