"""Read the files of a package that is built in, a folder, or a zip.

Sizes are limited, names that point outside the package are refused, and nothing is unpickled.
"""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Callable
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

from mammolens.errors import BadModelPackage

__all__ = [
    "CARD_FILE",
    "DEFAULT_MODEL",
    "LESION_MODEL",
    "Reader",
    "list_models",
    "open_package",
    "read_optional",
]

CARD_FILE = "card.json"
DEFAULT_MODEL = "mammolens-2"
LESION_MODEL = "mammolens-lesion-1"
MAX_BYTES = 256 * 2**20
"""Largest file that is read."""

Reader = Callable[[str], bytes]
"""A function: the name of a file in a package → its bytes."""


def list_models() -> tuple[str, ...]:
    """List the names of the built-in packages, sorted."""
    root = files("mammolens") / "models"
    if not root.is_dir():
        return ()
    return tuple(sorted(entry.name for entry in root.iterdir() if (entry / CARD_FILE).is_file()))


def open_package(path_or_name: str | Path) -> tuple[str, Reader]:
    """Find a package.

    Parameters
    ----------
    path_or_name
        The name of a built-in package, or a folder or a zip file. A `Path` always means a file or
        folder, never a name.

    Returns
    -------
    str, Reader
        A name for messages, and a function that reads the package's files.

    Raises
    ------
    BadModelPackage
        If no package has that name, or the zip is damaged or unsafe.
    """
    if isinstance(path_or_name, str) and path_or_name in list_models():
        return path_or_name, _folder_reader(files("mammolens") / "models" / path_or_name)
    path = Path(path_or_name)
    if path.is_dir():
        return str(path), _folder_reader(path)
    if path.is_file():
        return str(path), _zip_reader(path)
    known = ", ".join(list_models()) or "none"
    raise BadModelPackage(
        "no built-in model, folder or zip has this name",
        source=str(path_or_name),
        remedy=f"Built-in models: {known}; or give the path of a model package",
    )


def read_optional(read: Reader, name: str) -> bytes | None:
    """Read a file that a package need not have; ``None`` if it has none."""
    try:
        return read(name)
    except BadModelPackage as error:
        if isinstance(error.__cause__, FileNotFoundError | KeyError):
            return None
        raise


def _folder_reader(folder: Path | Traversable) -> Reader:
    def read(member: str) -> bytes:
        try:
            with (folder / member).open("rb") as stream:
                data: bytes = stream.read(MAX_BYTES + 1)
        except OSError as error:
            raise _unreadable(f"{folder}/{member}", error) from error
        return _check_size(data, f"{folder}/{member}")

    return read


def _zip_reader(path: Path) -> Reader:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [_safe_name(info, path) for info in archive.infolist()]
    except (OSError, zipfile.BadZipFile) as error:
        raise _unreadable(str(path), error) from error
    cards = [PurePosixPath(name) for name in names if PurePosixPath(name).name == CARD_FILE]
    if len(cards) != 1:
        raise BadModelPackage(
            f"it has {len(cards)} files named {CARD_FILE}, but must have one",
            source=str(path),
            remedy="Zip the folder of one model package",
        )
    root = cards[0].parent

    def read(member: str) -> bytes:
        source = f"{path}!{member}"
        try:
            with zipfile.ZipFile(path) as archive, archive.open(str(root / member)) as stream:
                data = stream.read(MAX_BYTES + 1)
        except KeyError as error:
            raise _unreadable(source, FileNotFoundError("no such member")) from error
        except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
            raise _unreadable(source, error) from error
        return _check_size(data, source)

    return read


def _safe_name(info: zipfile.ZipInfo, path: Path) -> str:
    pure = PurePosixPath(info.filename.replace("\\", "/"))
    link = stat.S_ISLNK(info.external_attr >> 16)
    if pure.is_absolute() or ".." in pure.parts or ":" in info.filename or link:
        raise BadModelPackage(
            f"the file {info.filename!r} points outside the package",
            source=str(path),
            remedy="Do not use this file; get the model package from its source again",
        )
    return info.filename


def _check_size(data: bytes, source: str) -> bytes:
    if len(data) > MAX_BYTES:
        raise BadModelPackage(
            f"it is larger than {MAX_BYTES // 2**20} MiB",
            source=source,
            remedy="A model package holds a card and one graph of a few megabytes",
        )
    return data


def _unreadable(source: str, error: Exception) -> BadModelPackage:
    return BadModelPackage(
        f"it cannot be read: {error}",
        source=source,
        remedy=f"A model package is a folder or zip with {CARD_FILE} and the graph that it names",
    )
