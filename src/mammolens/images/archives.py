"""Zip archives: members are read into memory, never extracted, and unsafe members are refused."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from mammolens.core import Unreadable
from mammolens.errors import InputError, NotAnImage, UnsupportedImage
from mammolens.images.limits import MAX_BYTES
from mammolens.tables.zips import MAX_ENTRIES, ZipTooLarge, open_zip

__all__ = ["list_members", "read_member"]

MAX_MEMBERS = MAX_ENTRIES
MAX_TOTAL_BYTES = 16 << 30
MAX_RATIO = 200
"""Largest ratio of unpacked to packed bytes: mammograms have 2 to 20, the most of deflate is 1,032.
"""
RATIO_COUNTS_FROM_BYTES = 8 << 20
"""Unpacked size from which on the ratio counts."""
ARCHIVE_SUFFIXES = (".zip", ".7z", ".rar", ".tar", ".tgz", ".gz", ".bz2", ".xz")
ENCRYPTED = 0x1
BROKEN_ZIP = (OSError, EOFError, ValueError, zipfile.BadZipFile, zipfile.LargeZipFile)


def list_members(path: Path) -> tuple[list[str], list[Unreadable]]:
    """List the members of a zip archive that are safe to read, sorted, and the refused ones.

    An archive is refused if it is empty, damaged, or has too many members or too much content. A
    member is refused if it is encrypted, too large, packed at a ratio that pictures do not have, is
    an archive itself, or has an absolute path or one with ``..``.
    """
    try:
        with open_zip(path) as archive:
            infos = [i for i in archive.infolist() if i.filename and not i.is_dir()]
    except ZipTooLarge as error:
        return [], [Unreadable.of(_too_large(error, str(path)))]
    except BROKEN_ZIP as error:
        return [], [
            Unreadable.of(
                NotAnImage(
                    f"the zip archive is damaged ({error})",
                    source=str(path),
                    remedy="Copy or pack it again",
                )
            )
        ]
    whole = _archive_refusal(infos, str(path))
    if whole is not None:
        return [], [Unreadable.of(whole)]
    members, refused = [], []
    for info in sorted(infos, key=lambda i: i.filename):
        reason = _member_refusal(info, f"{path}!{info.orig_filename}")
        if reason is None:
            members.append(info.filename)
        else:
            refused.append(Unreadable.of(reason))
    return members, refused


def _archive_refusal(infos: list[zipfile.ZipInfo], source: str) -> InputError | None:
    total = sum(info.file_size for info in infos)
    if not infos:
        return NotAnImage("the zip archive is empty", source=source, remedy="Pack it again")
    if len(infos) > MAX_MEMBERS or total > MAX_TOTAL_BYTES:
        return UnsupportedImage(
            f"the zip archive has {len(infos):,} files of {total >> 20:,} MiB in all",
            source=source,
            remedy=f"Pack at most {MAX_MEMBERS:,} files and {MAX_TOTAL_BYTES >> 30} GiB",
        )
    names = [info.filename for info in infos]
    if len(set(names)) < len(names):
        return UnsupportedImage(
            "the zip archive has two files of one name", source=source, remedy="Pack it again"
        )
    return None


def _member_refusal(info: zipfile.ZipInfo, source: str) -> InputError | None:
    name = info.orig_filename.replace("\\", "/")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in name.split("/"):
        return UnsupportedImage(
            "the member's path leads out of the archive",
            source=source,
            remedy="Pack the archive with plain relative paths",
        )
    if info.flag_bits & ENCRYPTED:
        return UnsupportedImage(
            "the member is encrypted", source=source, remedy="Unpack it first, and send the folder"
        )
    if info.file_size > MAX_BYTES:
        return UnsupportedImage(
            f"the member is larger than {MAX_BYTES >> 20} MiB",
            source=source,
            remedy="Send single 2D images",
        )
    ratio = info.file_size / max(info.compress_size, 1)
    if info.file_size > RATIO_COUNTS_FROM_BYTES and ratio > MAX_RATIO:
        return UnsupportedImage(
            f"the member unpacks to {ratio:.0f} times its size, as a zip bomb does",
            source=source,
            remedy="Unpack it first, and send the folder",
        )
    if name.lower().endswith(ARCHIVE_SUFFIXES):
        return UnsupportedImage(
            "an archive within an archive is not read", source=source, remedy="Unpack it first"
        )
    return None


def read_member(path: Path, member: str, source: str) -> bytes:
    """Read one member, at most as many bytes as the archive declares for it.

    Raises
    ------
    NotAnImage
        If the archive or the member is missing or damaged.
    UnsupportedImage
        If the member is unsafe (see `list_members`) or packed by a method that is not supported.
    """
    try:
        with open_zip(path) as archive:
            info = archive.getinfo(member)
            reason = _member_refusal(info, source)
            if reason is not None:
                raise reason
            with archive.open(info) as stream:
                return stream.read(MAX_BYTES)
    except ZipTooLarge as error:
        raise _too_large(error, source) from error
    except KeyError as error:
        raise NotAnImage(
            "the archive has no such member", source=source, remedy="Check its name"
        ) from error
    except (NotImplementedError, RuntimeError) as error:
        raise UnsupportedImage(
            f"the member is packed in a way that is not read ({error})",
            source=source,
            remedy="Unpack it first, and send the folder",
        ) from error
    except Exception as error:
        if isinstance(error, InputError):
            raise
        # zlib, bz2 and lzma each raise their own errors on damaged members.
        raise NotAnImage(
            f"the member is damaged ({error})", source=source, remedy="Copy or pack it again"
        ) from error


def _too_large(error: ZipTooLarge, source: str) -> UnsupportedImage:
    return UnsupportedImage(
        f"the zip archive is not read: {error}",
        source=source,
        remedy="Unpack it first, and send the folder",
    )
