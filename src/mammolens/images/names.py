"""Read patient, side and view from file names: conventions of public data sets, and L_CC tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from mammolens.core import Laterality, ViewPosition
from mammolens.images.descriptions import read_description
from mammolens.images.vocabulary import VIEW_TOPICS, Topic

__all__ = ["IMAGE_SUFFIXES", "NameFacts", "read_name"]


@dataclass(frozen=True)
class NameFacts:
    """Facts from a file name; ``None`` is unknown.

    `convention` names the data set, or is ``plain``. Images with the same `case` belong to one
    exam. `topics` are further words about the view in a plain name.
    """

    convention: str
    patient_id: str | None = None
    case: str | None = None
    laterality: Laterality | None = None
    view_position: ViewPosition | None = None
    image_id: str | None = None
    topics: frozenset[Topic] = frozenset()


CBIS = re.compile(
    r"(?:Mass|Calc)-(?:Training|Test)_(?P<patient>P_\d{5})_(?P<side>LEFT|RIGHT)_(?P<view>CC|MLO)"
)
DDSM = re.compile(
    r"(?P<patient>[A-D][_-]\d{4})[_-]\d[._](?P<side>LEFT|RIGHT)[_.](?P<view>CC|MLO)", re.IGNORECASE
)
INBREAST = re.compile(
    r"(?P<image>\d{8})_(?P<patient>[0-9a-f]{16})_MG_(?P<side>[LR])_(?P<view>CC|MLO|ML)_ANON"
)
RSNA = re.compile(r"(?P<patient>\d{1,6})_(?P<image>\d{4,12})")
MIAS = re.compile(r"mdb(?P<number>\d{3})(?:\D.*)?")
SIDES = {side: Laterality(side[0]) for side in ("L", "R", "LEFT", "RIGHT")}
PLAIN_VIEWS = ("CC", "MLO", "ML", "LM", "LMO", "XCCL", "XCCM")
JOINED = re.compile(rf"([LR])({'|'.join(sorted(PLAIN_VIEWS, key=len, reverse=True))})")


def read_name(name: str) -> NameFacts:
    """Read patient, side and view from a path (or ``archive.zip!member``).

    A CBIS-DDSM name may be the name of a folder; the others must be the last part of the path. A
    side or view that the name does not state clearly is ``None``.

    Examples
    --------
    >>> facts = read_name("20586908_6c613a14b80a8591_MG_R_CC_ANON.dcm")
    >>> facts.patient_id, facts.laterality.value, facts.view_position.value
    ('6c613a14b80a8591', 'R', 'CC')
    >>> read_name("Mass-Training_P_00001_LEFT_CC_1.png").case
    'P_00001'
    >>> read_name("scan.png").laterality
    """
    path = PurePosixPath(name.replace("\\", "/").rpartition("!")[2])
    cbis = list(CBIS.finditer(str(path)))
    if cbis:
        return _sided("cbis", cbis[-1], cbis[-1]["patient"])
    stem = path.stem if path.suffix.lower() in IMAGE_SUFFIXES else path.name
    if match := INBREAST.match(stem):
        facts = _sided("inbreast", match, match["patient"])
        # INbreast writes ML for its mediolateral oblique views.
        view = ViewPosition.MLO if match["view"] == "ML" else facts.view_position
        return NameFacts(
            "inbreast", match["patient"], match["patient"], facts.laterality, view, match["image"]
        )
    if match := DDSM.match(stem):
        return _sided("ddsm", match, match["patient"].upper().replace("-", "_"))
    if match := MIAS.fullmatch(stem):
        # MIAS has pairs of MLO films of one patient, odd and even numbers. The name does not show
        # which film is the left one.
        pair = f"mias{(int(match['number']) + 1) // 2:03d}"
        return NameFacts("mias", pair, pair, None, ViewPosition.MLO, match[0][:6])
    if len(path.parts) > 2 and path.parts[-3].startswith(("train_images", "test_images")):
        return NameFacts("rsna", path.parts[-2], path.parts[-2], image_id=stem)
    if match := RSNA.fullmatch(stem):
        return NameFacts("rsna", match["patient"], match["patient"], image_id=match["image"])
    return _plain(stem)


IMAGE_SUFFIXES = frozenset(
    [".dcm", ".dicom", ".ima", ".png", ".jpg", ".jpeg", ".jp2", ".tif", ".tiff", ".pgm", ".ljpeg"]
)


def _sided(convention: str, match: re.Match[str], patient: str) -> NameFacts:
    side = SIDES[match["side"].upper()]
    return NameFacts(convention, patient, patient, side, ViewPosition(match["view"].upper()))


def _plain(stem: str) -> NameFacts:
    """Read sides and views that are separate tokens; two different sides give no side."""
    sides: set[Laterality] = set()
    views: set[ViewPosition] = set()
    rest: list[str] = []
    lone_letter = False
    for token in re.split(r"[^A-Za-z0-9]+", stem):
        upper = token.upper()
        if upper in SIDES:
            sides.add(SIDES[upper])
            lone_letter = lone_letter or len(upper) == 1
        elif upper in PLAIN_VIEWS:
            views.add(ViewPosition(upper))
        elif joined := JOINED.fullmatch(upper):
            sides.add(SIDES[joined[1]])
            views.add(ViewPosition(joined[2]))
        else:
            rest.append(token)
    view = views.pop() if len(views) == 1 else None
    side = sides.pop() if len(sides) == 1 else None
    if lone_letter and view is None:
        side = None
    case = "_".join(rest) if side is not None and view is not None else None
    # Other topics, such as "test", are too uncertain in a file name.
    topics = read_description(stem).topics & VIEW_TOPICS
    return NameFacts("plain", None, case, side, view, stem, topics)
