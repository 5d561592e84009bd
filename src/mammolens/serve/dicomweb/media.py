"""Media types: those of a header Content-Type, and the choice by a header Accept.

Source: PS3.18 8.7 (media types), tables 8.7.3-2 to 8.7.3-5 (defaults of transfer syntaxes).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.request import parse_http_list

from mammolens.serve.dicomweb.finding import FoundObject

__all__ = [
    "ANY",
    "BIG_ENDIAN",
    "DEFLATED",
    "DICOM",
    "EXPLICIT",
    "HTJ2K",
    "IMPLICIT",
    "JSON",
    "OCTETS",
    "RELATED",
    "FrameWay",
    "MediaType",
    "Wish",
    "accepts",
    "choose_frame_way",
    "choose_syntax",
    "parse_media_type",
    "read_wishes",
]

DICOM: Final = "application/dicom"
JSON: Final = "application/dicom+json"
OCTETS: Final = "application/octet-stream"
RELATED: Final = "multipart/related"
ANY: Final = "*"
IMPLICIT: Final = "1.2.840.10008.1.2"
EXPLICIT: Final = "1.2.840.10008.1.2.1"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
HTJ2K: Final = "1.2.840.10008.1.2.4.201"
NATIVE: Final = frozenset((IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN))
_JPEG: Final = "1.2.840.10008.1.2.4."
FRAME_MEDIA: Final[Mapping[str, str]] = {
    "1.2.840.10008.1.2.5": "image/dicom-rle",
    **dict.fromkeys((f"{_JPEG}{n}" for n in (50, 51, 57, 70)), "image/jpeg"),
    **dict.fromkeys((f"{_JPEG}{n}" for n in (80, 81)), "image/jls"),
    **dict.fromkeys((f"{_JPEG}{n}" for n in (90, 91)), "image/jp2"),
    **dict.fromkeys((f"{_JPEG}{n}" for n in (92, 93)), "image/jpx"),
    **dict.fromkeys((f"{_JPEG}{n}" for n in (201, 202, 203)), "image/jphc"),
}
"""Media types of compressed frames by their transfer syntax (PS3.18 table 8.7.3-5)."""
LONGEST_ACCEPT: Final = 4096
MOST_RANGES: Final = 64
LONGEST_VALUE: Final = 1024
MOST_PARAMETERS: Final = 16
_TOKEN: Final = re.compile(r"[\w!#$&^.+*-]+/[\w!#$&^.+*-]+", re.ASCII)
# Values without quotes may hold what RFC 2045 wants quoted: many send type=application/dicom.
_PARAMETER: Final = re.compile(
    r""";[ \t]*(?:([\w!#$%&'*+.^`|~-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*)))?[ \t]*""", re.ASCII
)
_QUALITY: Final = re.compile(r"[01](\.[0-9]{0,3})?")


@dataclass(frozen=True)
class MediaType:
    """A media type and its parameters, names in small letters."""

    name: str
    parameters: Mapping[str, str]


def parse_media_type(text: str) -> MediaType | None:
    """Read a header ``Content-Type`` in linear time; ``None`` where it is not valid.

    A parameter that is given twice makes it invalid: two programs would choose differently.

    Examples
    --------
    >>> parse_media_type('multipart/related; type="application/dicom"; boundary=x').parameters
    {'type': 'application/dicom', 'boundary': 'x'}
    """
    name, _, _ = text.partition(";")
    if len(text) > LONGEST_VALUE or not _TOKEN.fullmatch(name.strip(" \t")):
        return None
    at, parameters = len(name), dict[str, str]()
    while at < len(text):
        found = _PARAMETER.match(text, at)
        if found is None or len(parameters) > MOST_PARAMETERS:
            return None
        at = found.end()
        key, quoted, plain = found.groups()
        if key is None:
            continue
        if key.lower() in parameters:
            return None
        parameters[key.lower()] = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
    return MediaType(name.strip(" \t").lower(), parameters)


@dataclass(frozen=True)
class Wish:
    """A form that a client takes; `media` and `syntax` may be ``*``, no `syntax` is the default."""

    media: str
    syntax: str | None
    is_multipart: bool


@dataclass(frozen=True)
class FrameWay:
    """How frames are given: `is_stored`, else decoded, and encoded again if `syntax` is HTJ2K."""

    media: str
    syntax: str
    is_stored: bool
    is_multipart: bool


def read_wishes(accept: str) -> tuple[Wish, ...]:
    """Read a header ``Accept``: what a client takes, the best first; what is not valid is left out.

    Examples
    --------
    >>> read_wishes('image/png;q=0.2, multipart/related; type="image/jls"')[0]
    Wish(media='image/jls', syntax=None, is_multipart=True)
    """
    if len(accept) > LONGEST_ACCEPT:
        return ()
    found: list[tuple[float, Wish]] = []
    for part in parse_http_list(accept):
        media = parse_media_type(part)
        if media is None or len(found) >= MOST_RANGES:
            continue
        quality = media.parameters.get("q", "1")
        weight = float(quality) if _QUALITY.fullmatch(quality) else 0.0
        if weight <= 0:
            continue
        syntax = media.parameters.get("transfer-syntax")
        is_multipart = media.name in (RELATED, "multipart/*", "*/*")
        name = media.name
        if is_multipart:
            name = media.parameters.get("type", "*/*").lower()
        found.append((weight, Wish(name, syntax, is_multipart)))
    return tuple(wish for _, wish in sorted(found, key=lambda item: -item[0]))


def accepts(wish: Wish, media: str) -> bool:
    """Return whether a wish takes a media type.

    Examples
    --------
    >>> accepts(Wish("image/*", None, False), "image/png")
    True
    """
    return wish.media in (media, "*/*", f"{media.partition('/')[0]}/*")


def choose_syntax(wishes: tuple[Wish, ...], found: FoundObject) -> str | None:
    """Choose the transfer syntax in which an object is given; ``None``: in none that is wanted.

    Without a wish for one it is Explicit VR Little Endian (PS3.18 8.7.3.2).
    """
    stored = found.transfer_syntax_uid
    for wish in wishes:
        if not accepts(wish, DICOM):
            continue
        wanted = wish.syntax or EXPLICIT
        if wanted in (ANY, stored):
            return stored
        if wanted == EXPLICIT and found.can_decode:
            return EXPLICIT
        if wanted == HTJ2K and found.can_decode and found.frames:
            return HTJ2K
    return None


def choose_frame_way(
    wishes: tuple[Wish, ...], found: FoundObject, is_grey: bool
) -> FrameWay | None:
    """Choose the form in which frames are given; ``None``: none of the forms that are wanted.

    Parameters
    ----------
    is_grey
        Whether a frame is a grey picture of 8 or 16 bits, which can be encoded as HTJ2K.
    """
    stored = found.transfer_syntax_uid
    packed = FRAME_MEDIA.get(stored)
    for wish in wishes:
        many, wanted = wish.is_multipart, wish.syntax
        if accepts(wish, OCTETS) and stored not in NATIVE and wanted in (ANY, stored):
            return FrameWay(OCTETS, stored, True, many)
        if accepts(wish, OCTETS) and found.can_decode and wanted in (None, ANY, EXPLICIT, IMPLICIT):
            return FrameWay(OCTETS, EXPLICIT, False, many)
        if packed is not None and accepts(wish, packed) and wanted in (None, ANY, stored):
            return FrameWay(packed, stored, True, many)
        is_packing = found.can_decode and is_grey and accepts(wish, "image/jphc")
        if is_packing and wanted in (None, ANY, HTJ2K):
            return FrameWay("image/jphc", HTJ2K, False, many)
    return None
