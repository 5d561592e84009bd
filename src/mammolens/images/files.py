"""Find the files in paths, folders and zip archives that may be mammograms.

Nothing is decoded, and nothing is extracted to disk. Paths that cannot be opened are listed, so
that one bad path does not stop the others.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mammolens.core import Unreadable
from mammolens.errors import NotAnImage, UnsupportedImage
from mammolens.images import archives
from mammolens.images.limits import MAX_BYTES

__all__ = ["ImageFile", "find_files", "too_large", "walk_files"]

TABLE_SUFFIXES = (".csv", ".ics", ".json", ".overlay", ".tsv", ".xls", ".xlsx", ".xml")
TEXT_SUFFIXES = (".htm", ".html", ".ini", ".log", ".md", ".pdf", ".py", ".toml", ".txt", ".yml")
COMPANION_SUFFIXES = frozenset(TABLE_SUFFIXES + TEXT_SUFFIXES)
COMPANION_NAMES = frozenset({"dicomdir", "thumbs.db", "desktop.ini", "license", "readme", "notice"})


@dataclass(frozen=True)
class ImageFile:
    """A file that may be a mammogram: a path, or a member of a zip archive at that path."""

    path: Path
    member: str | None = None

    @property
    def name(self) -> str:
        """The path, or ``archive.zip!member``.

        Examples
        --------
        >>> ImageFile(Path("exams.zip"), "a/1.dcm").name
        'exams.zip!a/1.dcm'
        """
        return str(self.path) if self.member is None else f"{self.path}!{self.member}"

    def read_bytes(self) -> bytes:
        """Read the whole file, at most `limits.MAX_BYTES`.

        Raises
        ------
        NotAnImage
            If the file is missing, empty, or cannot be read.
        UnsupportedImage
            If it is larger than the limit, or packed by a method that is not supported.
        """
        if self.member is not None:
            data = archives.read_member(self.path, self.member, self.name)
        else:
            data = _read_path(self.path)
        return self._checked(data)

    def read_head(self, count: int) -> bytes:
        """Read only the first `count` bytes.

        Raises
        ------
        NotAnImage, UnsupportedImage
            As `read_bytes`.
        """
        if self.member is not None:
            return self.read_bytes()[:count]
        return self._checked(_read_path(self.path, count))

    def _checked(self, data: bytes) -> bytes:
        if not data:
            raise NotAnImage(
                "the file is empty", source=self.name, remedy="Copy or export it again"
            )
        return data


def _read_path(path: Path, count: int = -1) -> bytes:
    try:
        if not path.is_file():
            raise NotAnImage(_absence(path), source=str(path), remedy="Check the path")
        size = path.stat().st_size
        # A read with a limit would allocate the limit, so the size is checked first.
        if size <= MAX_BYTES:
            with path.open("rb") as stream:
                data = stream.read(count)
    except OSError as error:
        raise NotAnImage(
            f"the file cannot be read ({error.strerror})",
            source=str(path),
            remedy="Check the path and its permissions",
        ) from error
    if size > MAX_BYTES:
        raise too_large(str(path))
    return data


def too_large(source: str) -> UnsupportedImage:
    """Make the error for a file that is larger than `MAX_BYTES`."""
    return UnsupportedImage(
        f"the file is larger than {MAX_BYTES >> 20} MiB",
        source=source,
        remedy="Send single 2D images",
    )


def find_files(paths: Iterable[Path]) -> tuple[list[ImageFile], list[Unreadable]]:
    """List the files under `paths` that may be mammograms, sorted within each folder.

    Folders are searched recursively. Hidden files and files that are not images by their names
    (tables, notes, ``DICOMDIR``) are skipped in folders, but not if they are given as a path. Zip
    archives are searched too, also in folders.

    Parameters
    ----------
    paths
        Files, folders and zip archives.

    Returns
    -------
    tuple
        The files, each once, and the missing paths, unreadable folders and unsafe archives.
    """
    files: dict[ImageFile, None] = {}
    unreadable: list[Unreadable] = []
    owners: dict[Path, Path] = {}
    for found in walk_files(paths):
        if isinstance(found, Unreadable):
            unreadable.append(found)
        elif owners.setdefault(found.path.resolve(), found.path) == found.path:
            files[found] = None
    return list(files), unreadable


def walk_files(paths: Iterable[Path]) -> Iterator[ImageFile | Unreadable]:
    """Give what `find_files` lists, one at a time; a file with several paths is repeated."""
    for path in paths:
        unreadable: list[Unreadable] = []
        for candidate in _candidates(Path(path), unreadable):
            if _is_archive(candidate):
                members, refused = archives.list_members(candidate)
                yield from refused
                yield from (ImageFile(candidate, m) for m in members if not _is_companion(Path(m)))
            else:
                yield ImageFile(candidate)
        yield from unreadable


def _candidates(path: Path, unreadable: list[Unreadable]) -> Iterator[Path]:
    if path.is_dir():
        yield from _walk(path, unreadable)
    elif path.is_file():
        yield path
    else:
        unreadable.append(Unreadable.of(NotAnImage(_absence(path), source=str(path))))


def _absence(path: Path) -> str:
    return "this is not a file that can be read" if path.exists() else "there is no such file"


def _walk(folder: Path, unreadable: list[Unreadable]) -> Iterator[Path]:
    def note(error: OSError) -> None:
        reason = NotAnImage(
            f"the folder cannot be read ({error.strerror})", source=str(error.filename)
        )
        unreadable.append(Unreadable.of(reason))

    for root, folders, names in os.walk(folder, onerror=note):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "__MACOSX")
        for name in sorted(names):
            path = Path(root, name)
            if not _is_companion(Path(name)) and path.is_file():
                yield path


def _is_companion(path: Path) -> bool:
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return (
        hidden or path.suffix.lower() in COMPANION_SUFFIXES or path.name.lower() in COMPANION_NAMES
    )


def _is_archive(path: Path) -> bool:
    if path.suffix.lower() == ".zip":
        return True
    try:
        with path.open("rb") as stream:
            return stream.read(4) == b"PK\x03\x04" and zipfile.is_zipfile(path)
    except OSError:
        return False
