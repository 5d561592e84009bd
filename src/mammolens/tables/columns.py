"""The header of a table: which column is which known one, and what a name may have meant.

Upper case, spaces, hyphens and underscores do not matter. A doubled known column is refused, and
so is a column that looks like a known one that is absent: were it passed over, its labels would
be unknown without a word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mammolens.errors import InvalidManifest
from mammolens.spelling import nearest

__all__ = ["Known", "plain"]

_MISSPELT: Final = 0.85
"""Similarity (difflib) from which an unknown column is taken for a misspelt one. ``maligant`` and
``malignent`` are above it, ``density_pct`` against ``density`` is below."""
_LIKELY: Final = 0.6
"""Similarity from which a name is proposed for a needed column that is missing."""
_SHOWN: Final = 12
_COPY: Final = re.compile(r"(.+)\.\d+")
"""pandas calls the second column of one name ``name.1``."""


def plain(name: str) -> str:
    """A column's name without case, spaces and punctuation.

    Examples
    --------
    >>> plain(" Patient-ID "), plain("Pathology Classification/ Follow up")
    ('patientid', 'pathologyclassificationfollowup')
    """
    return re.sub(r"[\W_]+", "", name.casefold())


@dataclass(frozen=True)
class Known:
    """The columns that a reader uses: `needed`, `optional`, and other words that may be `meant`
    (plain name → column)."""

    needed: tuple[str, ...]
    optional: tuple[str, ...]
    meant: Mapping[str, str]
    by_plain: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        names = {plain(name): name for name in (*self.needed, *self.optional)}
        assert len(names) == len(self.needed) + len(self.optional), "two columns are alike"
        object.__setattr__(self, "by_plain", names)

    def score(self, cells: Sequence[str]) -> tuple[bool, int]:
        """Whether these cells name every needed column, and how many known ones."""
        found = {self.by_plain[p] for cell in cells if (p := plain(cell)) in self.by_plain}
        return set(self.needed) <= found, len(found)

    def positions(self, cells: Sequence[str], line: int, path: Path, remedy: str) -> dict[str, int]:
        """Where each known column stands.

        Raises
        ------
        InvalidManifest
            A needed column is missing, a known one is there twice, or one is misspelt.
        """
        found: dict[str, int] = {}
        strangers: list[str] = []
        for index, cell in enumerate(cells):
            name = self.by_plain.get(plain(cell))
            copy = _COPY.fullmatch(cell.strip()) if name is None else None
            name = name or (self.by_plain.get(plain(copy[1])) if copy else None)
            if name is None:
                strangers.append(cell.strip())
            elif name in found or copy:
                raise InvalidManifest(
                    f"line {line} names the column {name} twice: which one is meant is unknown",
                    source=str(path),
                    keyword=name,
                    remedy="Keep one of the two columns",
                )
            else:
                found[name] = index
        self._refuse_missing(found, strangers, cells, line, path, remedy)
        self._refuse_misspelt(found, strangers, line, path)
        return found

    def _refuse_missing(
        self,
        found: Mapping[str, int],
        strangers: Sequence[str],
        cells: Sequence[str],
        line: int,
        path: Path,
        remedy: str,
    ) -> None:
        missing = [name for name in self.needed if name not in found]
        if not missing:
            return
        named = [name + self._hint(name, strangers) for name in missing]
        shown = ", ".join(cell.strip() or "(no name)" for cell in cells[:_SHOWN])
        more = " …" if len(cells) > _SHOWN else ""
        raise InvalidManifest(
            f"columns are missing: {', '.join(named)}. Line {line} reads: {shown[:300]}{more}",
            source=str(path),
            remedy=remedy,
        )

    def _hint(self, name: str, strangers: Sequence[str]) -> str:
        near = [s for s in strangers if self._guess(s, (name,), _LIKELY)]
        return f" (is {near[0]!r} meant?)" if near else ""

    def _refuse_misspelt(
        self, found: Mapping[str, int], strangers: Sequence[str], line: int, path: Path
    ) -> None:
        absent = [name for name in self.optional if name not in found]
        for stranger in strangers:
            if name := self._guess(stranger, absent, _MISSPELT):
                raise InvalidManifest(
                    f"line {line} names a column {stranger!r}, which is not known; {name} is the "
                    "nearest known name",
                    source=str(path),
                    keyword=stranger,
                    remedy=f"Call it {name} if that is meant; if not, rename it or leave it out",
                )

    def _guess(self, stranger: str, among: Sequence[str], cutoff: float) -> str | None:
        word = plain(stranger)
        if (name := self.meant.get(word)) in among:
            return name
        names = {plain(name): name for name in among}
        near = nearest(word, names, cutoff)
        return names[near] if near else None
