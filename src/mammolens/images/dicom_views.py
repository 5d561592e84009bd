"""Which breast and which view: tags first, then codes, orientation, names and tables.

Every source but the first is a named caution; what none of them states stays unknown.
"""

from __future__ import annotations

from pathlib import Path

from mammolens.core import Caution, Laterality, ViewPosition
from mammolens.images.dicom_values import Tags
from mammolens.images.names import NameFacts, read_name
from mammolens.images.tables import TableRow, look_up

__all__ = ["VIEW_CODES", "SideAndView", "name_cautions", "of_dicom", "of_name"]

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
"""CID 4014 in SNOMED CT and in the SNOMED RT that it replaced (PS3.16)."""

SideAndView = tuple[Laterality | None, ViewPosition | None]


def of_dicom(tags: Tags, path: Path | None) -> SideAndView:
    """Find side and view of a DICOM image; `path` is ``None`` inside archives."""
    names = read_name(tags.source), read_name(tags.text("PatientID") or "")
    facts = next((f for f in names if f.laterality or f.view_position), names[0])
    row = look_up(path, *_listed_as(path, facts)) if path is not None else None
    side = _tagged_side(tags) or _fallback_side(tags, facts, row)
    view = _tagged_view(tags, facts) or _fallback_view(tags, facts, row)
    tags.cautions += _table_fault((side, view), row)
    if facts.laterality is not None and side is not facts.laterality:
        tags.caution(
            "laterality_disagrees", "the file name and the DICOM header name different breasts"
        )
    return side, view


def of_name(source: str, path: Path | None) -> tuple[SideAndView, NameFacts, TableRow | None]:
    """Find side and view of a picture without a header."""
    facts = read_name(source)
    row = look_up(path, *_listed_as(path, facts)) if path is not None else None
    side = facts.laterality or (row.laterality if row else None)
    view = facts.view_position or (row.view_position if row else None)
    return (side, view), facts, row


def name_cautions(pair: SideAndView, facts: NameFacts, row: TableRow | None) -> tuple[Caution, ...]:
    """Say where the side and view of `of_name` came from, or that they are unknown."""
    tags = _table_fault(pair, row)
    for word, value, named in (
        ("laterality", pair[0], facts.laterality),
        ("view", pair[1], facts.view_position),
    ):
        if value is None:
            tags.append(Caution(f"{word}_unknown", UNKNOWN[word]))
        else:
            tags.append(_source(word, "name" if named is not None else "table", value.value))
    return tuple(tags)


UNKNOWN = {
    "laterality": "neither header nor name says which breast this is",
    "view": "neither header nor name says which view this is",
}


def _listed_as(path: Path, facts: NameFacts) -> tuple[str, ...]:
    return (path.stem, facts.image_id) if facts.image_id else (path.stem,)


def _tagged_side(tags: Tags) -> Laterality | None:
    for keyword in ("ImageLaterality", "Laterality"):
        value = tags.code(keyword)
        if value in ("L", "R"):
            if keyword == "Laterality":
                tags.caution(
                    "laterality_from_series", "ImageLaterality is absent; Laterality was taken"
                )
            return Laterality(value)
        if value is not None:
            tags.caution("laterality_unusable", f"{keyword} says neither L nor R")
    return None


def _fallback_side(tags: Tags, facts: NameFacts, row: TableRow | None) -> Laterality | None:
    for origin, side in (("name", facts.laterality), ("table", row.laterality if row else None)):
        if side is not None:
            tags.cautions.append(_source("laterality", origin, side.value))
            return side
    tags.caution("laterality_unknown", UNKNOWN["laterality"])
    return None


def _tagged_view(tags: Tags, facts: NameFacts) -> ViewPosition | None:
    value = tags.code("ViewPosition")
    if value == "ML" and facts.convention == "inbreast":
        tags.caution("view_from_name", "ViewPosition ML means MLO in INbreast")
        return ViewPosition.MLO
    if value is not None and value in ViewPosition.__members__:
        return ViewPosition(value)
    if value is not None:
        tags.caution("view_unusable", "ViewPosition is no view that is known")
    for item in tags.items("ViewCodeSequence"):
        code = Tags(item, tags.source).code("CodeValue")
        if code is not None and code in VIEW_CODES:
            view = VIEW_CODES[code]
            tags.caution("view_from_code", f"the view code means {view.value}; no ViewPosition")
            return view
    return None


def _fallback_view(tags: Tags, facts: NameFacts, row: TableRow | None) -> ViewPosition | None:
    orientation = tags.code("PatientOrientation")
    if orientation in ("CC", "MLO"):
        tags.caution("view_from_orientation", "PatientOrientation holds the view, as in CBIS-DDSM")
        return ViewPosition(orientation)
    for origin, view in (
        ("name", facts.view_position),
        ("table", row.view_position if row else None),
    ):
        if view is not None:
            tags.cautions.append(_source("view", origin, view.value))
            return view
    tags.caution("view_unknown", UNKNOWN["view"])
    return None


def _table_fault(pair: SideAndView, row: TableRow | None) -> list[Caution]:
    """Say why a table beside the images was not believed, where it would have been needed."""
    if row is None or row.fault is None or None not in pair:
        return []
    return [Caution("table_faulty", f"a table beside the images is not used: {row.fault}")]


def _source(word: str, origin: str, value: str) -> Caution:
    where = "the file name" if origin == "name" else "a table beside the images"
    return Caution(f"{word}_from_{origin}", f"{word} {value} was taken from {where}")
