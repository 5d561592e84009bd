"""What readers of data sets share: finding files in a tree, and saying what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from mammolens.core import Caution, Laterality, ViewPosition
from mammolens.data.manifest import Manifest, Record
from mammolens.errors import InvalidManifest
from mammolens.images.names import IMAGE_SUFFIXES

__all__ = [
    "counted",
    "find_file",
    "finish",
    "images_under",
    "laterality_of",
    "view_of",
]

_SIDES = {
    "L": Laterality.LEFT,
    "LEFT": Laterality.LEFT,
    "R": Laterality.RIGHT,
    "RIGHT": Laterality.RIGHT,
}


def find_file(root: Path, *names: str) -> Path:
    """Find a file by its name (case and ``-_`` against spaces do not matter), the nearest first.

    Raises
    ------
    InvalidManifest
        There is none.
    """
    wanted = {_plain(name) for name in names}
    found = [p for p in root.rglob("*") if _plain(p.name) in wanted and p.is_file()]
    if not found:
        raise InvalidManifest(
            f"there is no {' or '.join(names)} here",
            source=str(root),
            remedy="Give the folder that the data set was unpacked to, its tables included",
        )
    return min(found, key=lambda path: (len(path.parts), str(path)))


def images_under(root: Path) -> list[Path]:
    """List the pictures under `root` by their suffix, sorted; hidden files are passed over."""
    return sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not path.name.startswith(".")
        and "__MACOSX" not in path.parts
        and path.is_file()
    )


def laterality_of(text: str) -> Laterality | None:
    """Read a side from a file's name; another word is ``None``."""
    return _SIDES.get(text.strip().upper())


def view_of(text: str) -> ViewPosition | None:
    """Read a view position from a file's name; another word is ``None``."""
    return ViewPosition.__members__.get(text.strip().upper())


def counted(name: str, what: str, items: Sequence[object]) -> tuple[Caution, ...]:
    """One caution that counts items and names the first three, or none if there are none.

    Examples
    --------
    >>> str(counted("no_image", "listed images are not here", ["a", "b", "c", "d"])[0])
    'no_image: 4 listed images are not here: a, b, c …'
    """
    if not items:
        return ()
    first = ", ".join(str(item) for item in items[:3])
    return (Caution(name, f"{len(items)} {what}: {first}{' …' if len(items) > 3 else ''}"),)


def finish(records: Iterable[Record], cautions: Iterable[Caution], root: Path) -> Manifest:
    """Make the manifest; a tree without any image of the source is refused.

    Raises
    ------
    InvalidManifest
        No image was found.
    """
    kept = tuple(records)
    if not kept:
        raise InvalidManifest(
            "none of the images is here",
            source=str(root),
            remedy="See docs/reference/data-sources.md for the layout that this source is read in",
        )
    return Manifest.of(kept, cautions)


def _plain(name: str) -> str:
    return name.casefold().replace("-", " ").replace("_", " ")
