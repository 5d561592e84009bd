"""Functions that all readers share: find files in a folder tree, and report what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

from mammolens.core import Caution, Laterality, ViewPosition
from mammolens.data.manifest import Manifest, Record
from mammolens.errors import InputError, InvalidManifest
from mammolens.images import read_facts
from mammolens.images.names import IMAGE_SUFFIXES

__all__ = [
    "Counted",
    "count_caution",
    "find_file",
    "images_under",
    "laterality_of",
    "make_manifest",
    "size_of",
    "view_of",
]

_SIDES = {
    "L": Laterality.LEFT,
    "LEFT": Laterality.LEFT,
    "R": Laterality.RIGHT,
    "RIGHT": Laterality.RIGHT,
}


def find_file(root: Path, *names: str) -> Path:
    """Find a file by its name; of several, the one nearest to `root`.

    Upper and lower case are the same, and so are ``-``, ``_`` and spaces.

    Raises
    ------
    InvalidManifest
        No file has one of these names.
    """
    plain_names = {_plain(name) for name in names}
    paths = [p for p in root.rglob("*") if _plain(p.name) in plain_names and p.is_file()]
    if not paths:
        raise InvalidManifest(
            f"this folder has no file {' or '.join(names)}",
            source=str(root),
            remedy="Give the folder of the unpacked data set, with its tables",
        )
    return min(paths, key=lambda path: (len(path.parts), str(path)))


def images_under(root: Path) -> list[Path]:
    """List the files under `root` that have the suffix of a picture, sorted; skip hidden files."""
    return sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not path.name.startswith(".")
        and "__MACOSX" not in path.parts
        and path.is_file()
    )


def size_of(path: Path) -> tuple[int, int] | None:
    """Read rows and columns of a picture; ``None`` if it cannot be read."""
    try:
        facts = read_facts(path)
    except InputError:
        return None
    return facts.rows, facts.columns


def laterality_of(text: str) -> Laterality | None:
    """Read a laterality (L, LEFT, R or RIGHT) from a part of a file name; else ``None``."""
    return _SIDES.get(text.strip().upper())


def view_of(text: str) -> ViewPosition | None:
    """Read a view position from a part of a file name; ``None`` if it is not one."""
    return ViewPosition.__members__.get(text.strip().upper())


def count_caution(name: str, what: str, items: Sequence[object]) -> tuple[Caution, ...]:
    """Make one caution that counts the items and names the first three; none for an empty list.

    Examples
    --------
    >>> str(count_caution("no_image", "listed images are missing", ["a", "b", "c", "d"])[0])
    'no_image: 4 listed images are missing: a, b, c …'
    """
    if not items:
        return ()
    first = ", ".join(str(item) for item in items[:3])
    return (Caution(name, f"{len(items)} {what}: {first}{' …' if len(items) > 3 else ''}"),)


Counted = tuple[str, str, Sequence[object]]
"""The name of a caution, what it says after the number of its items, and the items."""


def make_manifest(
    records: Iterable[Record], cautions: Iterable[Caution | Counted], root: Path
) -> Manifest:
    """Make the manifest of a source; a caution without items is left out.

    Raises
    ------
    InvalidManifest
        There are no records, because no image of the source was found.
    """
    all_records = tuple(records)
    if not all_records:
        raise InvalidManifest(
            "this folder has none of the source's images",
            source=str(root),
            remedy="See docs/reference/data-sources.md for the folder layout of this source",
        )
    stated = ((one,) if isinstance(one, Caution) else count_caution(*one) for one in cautions)
    return Manifest.of(all_records, chain.from_iterable(stated))


def _plain(name: str) -> str:
    return name.casefold().replace("-", " ").replace("_", " ")
