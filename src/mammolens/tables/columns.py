"""Match the header of a table with the columns that a reader knows.

Upper case, spaces, hyphens and underscores are ignored. A known column that occurs twice is
refused. A misspelt column name is refused too: if it were ignored, all its labels would silently be
unknown.
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
"""Similarity (difflib) from which on an unknown column counts as misspelt. ``maligant`` and
``malignent`` are above it; ``density_pct`` compared with ``density`` is below it."""
_LIKELY: Final = 0.6
"""Similarity from which on a name is suggested for a missing column."""
_SHOWN: Final = 12
_COPY: Final = re.compile(r"(.+)\.\d+")
"""pandas calls the second column of one name ``name.1``."""


def plain(name: str) -> str:
    """Give the name of a column in lower case, without spaces and punctuation.

    Examples
    --------
    >>> plain(" Patient-ID "), plain("Pathology Classification/ Follow up")
    ('patientid', 'pathologyclassificationfollowup')
    """
    return re.sub(r"[\W_]+", "", name.casefold())


@dataclass(frozen=True)
class Known:
    """The columns that a reader uses.

    `needed` columns must be in the table, `optional` ones may be. `meant` maps other words that
    people use (as `plain` names) to an optional column.
    """

    needed: tuple[str, ...]
    optional: tuple[str, ...]
    meant: Mapping[str, str]
    by_plain: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        names = {plain(name): name for name in (*self.needed, *self.optional)}
        assert len(names) == len(self.needed) + len(self.optional), "two columns are alike"
        object.__setattr__(self, "by_plain", names)

    def score(self, cells: Sequence[str]) -> tuple[bool, int]:
        """Return whether these cells name every needed column, and the number of known ones."""
        found = {self.by_plain[p] for cell in cells if (p := plain(cell)) in self.by_plain}
        return set(self.needed) <= found, len(found)

    def positions(self, cells: Sequence[str], line: int, path: Path, remedy: str) -> dict[str, int]:
        """Find the index of each known column in the header `cells`.

        Raises
        ------
        InvalidManifest
            If a needed column is missing, a known one occurs twice, or one is misspelt.
        """
        found: dict[str, int] = {}
        unknown: list[str] = []
        for index, cell in enumerate(cells):
            name = self.by_plain.get(plain(cell))
            copy = _COPY.fullmatch(cell.strip()) if name is None else None
            name = name or (self.by_plain.get(plain(copy[1])) if copy else None)
            if name is None:
                unknown.append(cell.strip())
            elif name in found or copy:
                raise InvalidManifest(
                    f"line {line} names the column {name} twice; it is unknown which one is right",
                    source=str(path),
                    keyword=name,
                    remedy="Keep one of the two columns",
                )
            else:
                found[name] = index
        self._refuse_missing(found, unknown, cells, line, path, remedy)
        self._refuse_misspelt(found, unknown, line, path)
        return found

    def _refuse_missing(
        self,
        found: Mapping[str, int],
        unknown: Sequence[str],
        cells: Sequence[str],
        line: int,
        path: Path,
        remedy: str,
    ) -> None:
        missing = [name for name in self.needed if name not in found]
        if not missing:
            return
        named = [name + self._hint(name, unknown) for name in missing]
        shown = ", ".join(cell.strip() or "(no name)" for cell in cells[:_SHOWN])
        more = " …" if len(cells) > _SHOWN else ""
        raise InvalidManifest(
            f"columns are missing: {', '.join(named)}. Line {line} reads: {shown[:300]}{more}",
            source=str(path),
            remedy=remedy,
        )

    def _hint(self, name: str, unknown: Sequence[str]) -> str:
        near = [column for column in unknown if self._guess(column, (name,), _LIKELY)]
        return f" (is {near[0]!r} meant?)" if near else ""

    def _refuse_misspelt(
        self, found: Mapping[str, int], unknown: Sequence[str], line: int, path: Path
    ) -> None:
        missing = [name for name in self.optional if name not in found]
        for column in unknown:
            if name := self._guess(column, missing, _MISSPELT):
                raise InvalidManifest(
                    f"line {line} names a column {column!r}, which is not known; {name} is the "
                    "nearest known name",
                    source=str(path),
                    keyword=column,
                    remedy=f"Rename it to {name} if that is meant; if not, rename or delete it",
                )

    def _guess(self, column: str, among: Sequence[str], cutoff: float) -> str | None:
        """Give the one of the columns `among` that an unknown column may mean."""
        word = plain(column)
        if (name := self.meant.get(word)) in among:
            return name
        names = {plain(name): name for name in among}
        near = nearest(word, names, cutoff)
        return names[near] if near else None
