"""Find laterality and view position of an image.

All sources are read in a fixed order: attributes, codes, descriptions, file name, table. The first
source with a value is used, with a caution if it is not the attribute for this purpose. A later
source with another value is a doubt. If no source has a value, it stays unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

from mammolens.core import Caution, Laterality, ViewPosition
from mammolens.images.descriptions import (
    read_description,
    read_laterality,
    read_view_position,
)
from mammolens.images.dicom.tags import Tags
from mammolens.images.names import NameFacts, TableRow, look_up, read_name

__all__ = [
    "DESCRIPTIONS",
    "VIEW_CODES",
    "SideAndView",
    "dicom_side_and_view",
    "name_cautions",
    "named_side_and_view",
]

VIEW_CODES = {
    "399162004": ViewPosition.CC,
    "399368009": ViewPosition.MLO,
    "399260004": ViewPosition.ML,
    "399352003": ViewPosition.LM,
    "399099002": ViewPosition.LMO,
    "399192008": ViewPosition.XCCL,
    "399101009": ViewPosition.XCCM,
    "399196006": ViewPosition.FB,
    "399188001": ViewPosition.SIO,
    "441555000": ViewPosition.ISO,
    "R-10242": ViewPosition.CC,
    "R-10226": ViewPosition.MLO,
    "R-10224": ViewPosition.ML,
    "R-10228": ViewPosition.LM,
    "R-10230": ViewPosition.LMO,
    "R-1024A": ViewPosition.XCCL,
    "Y-X1770": ViewPosition.XCCL,
    "R-1024B": ViewPosition.XCCM,
    "Y-X1771": ViewPosition.XCCM,
    "R-10244": ViewPosition.FB,
    "R-102D0": ViewPosition.SIO,
    "R-40AAA": ViewPosition.ISO,
}
"""CID 4014 in SNOMED CT and in SNOMED RT, which it replaced (PS3.16)."""
DESCRIPTIONS: Final = ("SeriesDescription", "ProtocolName")
"""Texts of a series that may name side and view. Texts of a study are about all of its images."""

SideAndView = tuple[Laterality | None, ViewPosition | None]
"""Laterality and view position; ``None`` is unknown."""


def dicom_side_and_view(tags: Tags, path: Path | None) -> SideAndView:
    """Find side and view of a DICOM image; cautions are added to `tags`.

    Parameters
    ----------
    tags
        The data set.
    path
        The file, to find a table in the same folder; ``None`` inside archives.
    """
    names = read_name(tags.source), read_name(tags.text("PatientID") or "")
    facts = next((f for f in names if f.laterality or f.view_position), names[0])
    row = look_up(path, *_listed_as(path, facts)) if path is not None else None
    view = _chosen(tags, "view", tuple(_view_claims(tags, facts, row)))
    side = _chosen(tags, "laterality", tuple(_side_claims(tags, facts, row, view)))
    _check_orientation(tags, view)
    tags.cautions.extend(_modified_by_name(names[0]))
    tags.cautions += _table_fault((side, view), row)
    return side, view


def named_side_and_view(
    source: str, path: Path | None
) -> tuple[SideAndView, NameFacts, TableRow | None]:
    """Find side and view of a picture without a header, from its name and from a table.

    Returns
    -------
    tuple
        Side and view, the facts of the name, and the row of the table if there is one.
    """
    facts = read_name(source)
    row = look_up(path, *_listed_as(path, facts)) if path is not None else None
    side = facts.laterality or (row.laterality if row else None)
    view = facts.view_position or (row.view_position if row else None)
    return (side, view), facts, row


def name_cautions(pair: SideAndView, facts: NameFacts, row: TableRow | None) -> tuple[Caution, ...]:
    """Make the cautions about the result of `named_side_and_view`: its sources, or unknown."""
    cautions = _table_fault(pair, row)
    for word, value, named in (
        ("laterality", pair[0], facts.laterality),
        ("view", pair[1], facts.view_position),
    ):
        if value is None:
            cautions.append(Caution(f"{word}_unknown", UNKNOWN[word]))
        else:
            cautions.append(_source(word, "name" if named is not None else "table", value.value))
    return (*cautions, *_modified_by_name(facts))


def _modified_by_name(facts: NameFacts) -> tuple[Caution, ...]:
    return tuple(
        Caution("view_modified", f"the file name says that this is {topic}", doubt=True)
        for topic in sorted(topic.value for topic in facts.topics)
    )


UNKNOWN = {
    "laterality": "neither header nor name says which breast this is",
    "view": "neither header nor name says which view this is",
}


def _listed_as(path: Path, facts: NameFacts) -> tuple[str, ...]:
    return (path.stem, facts.image_id) if facts.image_id else (path.stem,)


def _table_fault(pair: SideAndView, row: TableRow | None) -> list[Caution]:
    """Make a caution if side or view is unknown and the table has a fault."""
    if row is None or row.fault is None or None not in pair:
        return []
    return [Caution("table_faulty", f"a table beside the images was not used: {row.fault}")]


def _source(word: str, origin: str, value: str) -> Caution:
    return Caution(f"{word}_from_{origin}", f"{word} {value} was read from {_PLACES[origin]}")


_PLACES: Final = {
    "name": "the file name",
    "table": "a table beside the images",
    "series": "Laterality, because ImageLaterality is missing",
    "region": "the anatomic region",
    "description": "the description of the series",
    "position": "the label of the view",
    "code": "ViewCodeSequence, because ViewPosition is missing",
    "orientation": "PatientOrientation, where CBIS-DDSM writes the view",
}
_T = TypeVar("_T", bound=Laterality | ViewPosition)


@dataclass(frozen=True)
class _Claim(Generic[_T]):
    """The value of one source.

    If the value is used, `origin` is the end of the caution's name; an empty `origin` gives no
    caution. If `only_contradicts` is true, the value is compared but never used.
    """

    source: str
    value: _T
    origin: str = ""
    only_contradicts: bool = False


def _chosen(tags: Tags, word: str, claims: Sequence[_Claim[_T]]) -> _T | None:
    taken = next((claim for claim in claims if not claim.only_contradicts), None)
    if taken is None:
        tags.caution(f"{word}_unknown", UNKNOWN[word])
        return None
    if taken.origin:
        tags.cautions.append(_source(word, taken.origin, taken.value.value))
    others = [c for c in claims if c.value is not taken.value and not _is_vaguer(c, taken)]
    if others:
        values = ", ".join(f"{claim.source} says {claim.value.value}" for claim in (taken, *others))
        tags.doubt(f"{word}_disagrees", f"{values}: {taken.value.value} was used")
    return taken.value


_PLAINER: Final = {
    **dict.fromkeys((ViewPosition.XCCL, ViewPosition.XCCM, ViewPosition.FB), ViewPosition.CC),
    **dict.fromkeys((ViewPosition.LMO, ViewPosition.SIO, ViewPosition.ISO), ViewPosition.MLO),
}
"""A description or a file name may use the more general view for these views."""


def _is_vaguer(claim: _Claim[_T], taken: _Claim[_T]) -> bool:
    plainer = _PLAINER.get(taken.value) if isinstance(taken.value, ViewPosition) else None
    return claim.origin in ("description", "name") and claim.value is plainer


def _view_claims(
    tags: Tags, facts: NameFacts, row: TableRow | None
) -> Iterator[_Claim[ViewPosition]]:
    for value in tags.texts("ViewPosition"):
        found = read_view_position(value)
        if found.view_position is ViewPosition.ML and facts.convention == "inbreast":
            tags.caution("view_from_name", "ViewPosition ML means MLO in INbreast")
            yield _Claim("ViewPosition", ViewPosition.MLO)
        elif found.view_position is not None:
            yield _Claim("ViewPosition", found.view_position)
        elif not found.topics:
            tags.doubt("view_unusable", "ViewPosition is not a known view")
    for code, _, meaning in tags.codes("ViewCodeSequence"):
        views = (VIEW_CODES.get(code.upper()), read_description(meaning).view_position)
        for view in dict.fromkeys(views):
            if view is not None:
                yield _Claim("ViewCodeSequence", view, "code")
    view = read_view_position(tags.clinical_view() or "").view_position
    if view is not None:
        yield _Claim("Clinical View", view, "code")
    if tags.code("PatientOrientation") in ("CC", "MLO"):
        view = ViewPosition(tags.code("PatientOrientation"))
        yield _Claim("PatientOrientation", view, "orientation")
    for keyword in DESCRIPTIONS:
        view = read_description(tags.text(keyword) or "").view_position
        if view is not None:
            yield _Claim(keyword, view, "description")
    if facts.view_position is not None:
        yield _Claim("the file name", facts.view_position, "name")
    if row is not None and row.view_position is not None:
        yield _Claim("the table", row.view_position, "table")


_SIDE_CODES: Final = {
    **dict.fromkeys(("7771000", "G-A101", "80248007", "T-04030"), Laterality.LEFT),
    **dict.fromkeys(("24028007", "G-A100", "73056007", "T-04020"), Laterality.RIGHT),
}
"""Left and right (PS3.16 CID 244), left and right breast, in SNOMED CT and SNOMED RT."""
_REGIONS: Final = {
    "AnatomicRegionSequence": "AnatomicRegionModifierSequence",
    "PrimaryAnatomicStructureSequence": "PrimaryAnatomicStructureModifierSequence",
}


def _side_claims(
    tags: Tags, facts: NameFacts, row: TableRow | None, view: ViewPosition | None
) -> Iterator[_Claim[Laterality]]:
    for keyword, origin in (("ImageLaterality", ""), ("Laterality", "series")):
        value = " ".join(tags.texts(keyword))
        side = read_laterality(value)
        if side is not None:
            yield _Claim(keyword, side, origin)
        elif keyword == "ImageLaterality" and _names_both(value):
            tags.doubt("laterality_unusable", "ImageLaterality says that both breasts are shown")
        elif value:
            tags.caution("laterality_unusable", f"{keyword} is neither L nor R")
    for keyword, modifiers in _REGIONS.items():
        nested = (item.codes(modifiers) for item in tags.inner(keyword))
        for code, _, meaning in (*tags.codes(keyword), *(c for codes in nested for c in codes)):
            found = (_SIDE_CODES.get(code.upper()), read_description(meaning).laterality)
            for side in dict.fromkeys(found):
                if side is not None:
                    yield _Claim(keyword, side, "region")
    for value in (*tags.texts("ViewPosition"), tags.clinical_view() or ""):
        side = read_view_position(value).laterality
        if side is not None:
            yield _Claim("the label of the view", side, "position")
    for keyword in DESCRIPTIONS:
        side = read_description(tags.text(keyword) or "").laterality
        if side is not None:
            yield _Claim(keyword, side, "description")
    side = _side_by_orientation(tags, view)
    if side is not None:
        yield _Claim("PatientOrientation", side, only_contradicts=True)
    if facts.laterality is not None:
        yield _Claim("the file name", facts.laterality, "name")
    if row is not None and row.laterality is not None:
        yield _Claim("the table", row.laterality, "table")


def _names_both(laterality: str) -> bool:
    return laterality.upper().startswith("B") or len(set(laterality.upper()) & set("LR")) == 2


_MEDIAL_BELOW: Final = frozenset(
    ViewPosition[name] for name in ("CC", "XCCL", "XCCM", "FB", "MLO", "LMO")
)


def _side_by_orientation(tags: Tags, view: ViewPosition | None) -> Laterality | None:
    """Find the breast from PatientOrientation, if the picture hangs in the usual way.

    Then the lateral side of the breast is at the top, and the columns run towards the middle of the
    body: to the patient's right for a left breast (PS3.3 C.7.6.1.1.1). A picture that is turned
    upside down looks like the other breast, so this value is only compared, never used.
    """
    directions = tags.texts("PatientOrientation")
    if view not in _MEDIAL_BELOW or len(directions) != 2 or directions[0][0] not in "AP":
        return None
    down = directions[1].upper()
    if ("L" in down) is ("R" in down) or not set(down) <= set("LRHF"):
        return None
    towards_left = ("L" in down) is not ("H" in down)  # turned round if it runs to the head
    return Laterality.RIGHT if towards_left else Laterality.LEFT


def _check_orientation(tags: Tags, view: ViewPosition | None) -> None:
    """Add a caution or doubt if PatientOrientation does not fit the view."""
    directions = tags.texts("PatientOrientation")
    if len(directions) != 2 or directions[0][0].upper() not in "AP":
        return
    down = set(directions[1].upper())
    if view in (ViewPosition.CC, ViewPosition.XCCL, ViewPosition.XCCM) and down & set("HF"):
        tags.doubt(
            "view_disagrees",
            f"the view is {view.value}, but PatientOrientation is for an oblique or lateral view",
        )
    elif (
        view in (ViewPosition.MLO, ViewPosition.ML, ViewPosition.LM)
        and down
        and not (down & set("HF"))
    ):
        tags.caution(
            "orientation_disagrees",
            f"the view is {view.value}, but PatientOrientation names neither head nor foot",
        )
