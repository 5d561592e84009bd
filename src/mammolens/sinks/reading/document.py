"""A report of a signed reading for the referring doctor: as data, as a page and as a PDF.

Page and PDF lay out the same data. The page holds its pictures and its style itself, runs no script
and loads nothing. Its style is allowed by its hash (`page_policy`), so that text of a header could
do no harm even unescaped.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from mammolens._lettering import encode_rgb
from mammolens._pages import FONTS, templates, typeset
from mammolens.core import Display, Mammogram, Source
from mammolens.errors import InputError
from mammolens.preprocess import make_display
from mammolens.readings import Mark, MarkShape, SignedReading
from mammolens.sinks.reading._common import corners, tip
from mammolens.sinks.reading.words import (
    Wording,
    about_marks,
    advice,
    ai_sentences,
    assessments,
    mark_words,
    signature,
)

__all__ = [
    "Document",
    "Figure",
    "Picture",
    "Section",
    "Table",
    "draw_pictures",
    "make_document",
    "page_policy",
    "reading_page",
    "reading_pdf",
]


@dataclass(frozen=True)
class Table:
    """A small table; its first row names the columns."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """A heading with sentences, and perhaps a table."""

    title: str
    lines: tuple[str, ...]
    table: Table | None = None
    is_urgent: bool = False


@dataclass(frozen=True)
class Figure:
    """A picture with its words."""

    caption: str
    png: bytes


@dataclass(frozen=True)
class Document:
    """Everything that a report shows, in the order of the page."""

    title: str
    notice: str
    banner: str
    warning: str
    language: str
    direction: str
    page_word: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    figures_title: str
    figures: tuple[Figure, ...]
    signature: str


def make_document(reading: SignedReading, say: Wording) -> Document:
    """Put a signed reading into the words of a language."""
    return Document(
        title=say("title"),
        notice=say("notice"),
        banner=reading.banner,
        warning=say("behind") if reading.is_behind else "",
        language=say.language,
        direction=say.direction,
        page_word=say("page"),
        facts=tuple((name, value) for name, value in _facts(reading, say) if value),
        sections=tuple(_sections(reading, say)),
        figures_title=say("section.images"),
        figures=tuple(_figure(picture, say) for picture in draw_pictures(reading)),
        signature=signature(reading, say),
    )


def _facts(reading: SignedReading, say: Wording) -> list[tuple[str, str]]:
    ref, header = reading.images[0].ref, reading.images[0].header
    views = [say.view(one.ref.laterality, one.ref.view_position) for one in reading.images]
    return [
        (say("fact.patient"), _name(header.patient_name)),
        (say("fact.patient_id"), ref.patient_id or ""),
        (say("fact.birth_date"), say.date(header.patient_birth_date)),
        (say("fact.accession"), header.accession_number or ""),
        (say("fact.study_date"), say.date(header.study_date)),
        (say("fact.site"), reading.observer.organisation or ""),
        (say("fact.referrer"), _name(header.referring_physician_name)),
        (say("fact.images"), ", ".join(views)),
        (say("fact.reader"), reading.observer.name),
        (say("fact.signed"), say.day(reading.signed)),
    ]


def _sections(reading: SignedReading, say: Wording) -> list[Section]:
    answer = reading.answer
    found = []
    if answer.urgent:
        lines = tuple(answer.urgent.splitlines())
        found.append(Section(say("section.urgent"), lines, is_urgent=True))
    head = tuple(say(f"column.{name}") for name in ("breast", "birads", "meaning", "density"))
    table = Table(head, tuple(assessments(reading, say)))
    found.append(Section(say("section.assessment"), (), table))
    found.append(Section(say("section.recommendation"), tuple(advice(reading, say))))
    marked = tuple(
        (str(number), _view_of(reading, mark.image, say), mark_words(mark, say))
        for number, mark in enumerate(answer.findings, start=1)
    )
    head = tuple(say(f"column.{name}") for name in ("number", "view", "finding"))
    marks = Table(head, marked) if marked else None
    found.append(Section(say("section.findings"), tuple(about_marks(reading, say)), marks))
    if answer.comment:
        found.append(Section(say("section.comment"), tuple(answer.comment.splitlines())))
    if reading.additions:
        lines = tuple(
            f"{say.day(one.created)}, {one.author}: {one.text}" for one in reading.additions
        )
        found.append(Section(say("section.addenda"), lines))
    found.append(Section(say("section.ai"), tuple(ai_sentences(reading, say))))
    return found


def _view_of(reading: SignedReading, uid: str, say: Wording) -> str:
    source = reading.source(uid)
    return say.view(source.ref.laterality, source.ref.view_position) if source else ""


def _figure(picture: Picture, say: Wording) -> Figure:
    view = say.view(picture.source.ref.laterality, picture.source.ref.view_position)
    numbers = ", ".join(map(str, picture.numbers))
    key = "picture.marked" if numbers else "picture.plain"
    return Figure(say(key, view=view, numbers=numbers), picture.png)


def _name(dicom: str | None) -> str:
    """Turn the first group of a DICOM person name into one that people read.

    Examples
    --------
    >>> _name("Doe^Jane^Q^Dr=X")
    'Dr Jane Q Doe'
    """
    group = (dicom or "").split("=")[0]
    family, given, middle, prefix, suffix = [*group.split("^"), *([""] * 5)][:5]
    return " ".join(filter(None, (prefix, given, middle, family, suffix)))


LONGEST_PX: Final = 900
"""As large as a preview: enough to see where a mark is, not to read from."""
_INK: Final = (255, 214, 0)
_EDGE: Final = (0, 0, 0)


@dataclass(frozen=True)
class Picture:
    """A view as PNG, and the numbers of the marks on it."""

    source: Source
    png: bytes
    numbers: tuple[int, ...]


def draw_pictures(reading: SignedReading) -> Iterator[Picture]:
    """Draw every picture of a reading that was decoded and shows something."""
    for source in reading.images:
        mammogram = reading.pictures.get(str(source.ref.sop_instance_uid))
        if mammogram is None:
            continue
        try:
            display = make_display(mammogram, mammogram.photometric, LONGEST_PX)
        except InputError:
            continue
        marks = reading.marks_on(source)
        picture = _drawn(display, mammogram, marks)
        yield Picture(source, encode_rgb(picture), tuple(number for number, _ in marks))


def _drawn(
    display: Display, mammogram: Mammogram, marks: list[tuple[int, Mark]]
) -> npt.NDArray[np.uint8]:
    picture = np.repeat(display.pixels[..., None], 3, axis=2)
    down, across = display.scale
    assert mammogram.pixels.ndim == 2
    for number, mark in marks:
        for ink, width in ((_EDGE, 4), (_INK, 2)):
            _draw(picture, mark, (across, down), ink, width)
            _number(picture, number, mark, (across, down), ink, width)
    return picture


def _draw(
    picture: npt.NDArray[np.uint8],
    mark: Mark,
    scale: tuple[float, float],
    ink: tuple[int, int, int],
    width: int,
) -> None:
    points = [_place(point, scale) for point in mark.points_source_px]
    if mark.shape is MarkShape.ELLIPSE:
        left, top, right, bottom = corners(mark)
        middle = _place(((left + right) / 2, (top + bottom) / 2), scale)
        axes = round((right - left) / 2 * scale[0]), round((bottom - top) / 2 * scale[1])
        cv2.ellipse(picture, middle, axes, 0, 0, 360, ink, width, cv2.LINE_AA)
    elif mark.shape is MarkShape.ARROW:
        cv2.arrowedLine(picture, points[0], points[1], ink, width, cv2.LINE_AA, tipLength=0.2)
    elif mark.shape is MarkShape.LENGTH:
        cv2.line(picture, points[0], points[1], ink, width, cv2.LINE_AA)
    elif mark.shape is MarkShape.POINT:
        cv2.circle(picture, points[0], 8, ink, width, cv2.LINE_AA)


def _number(
    picture: npt.NDArray[np.uint8],
    number: int,
    mark: Mark,
    scale: tuple[float, float],
    ink: tuple[int, int, int],
    width: int,
) -> None:
    """Write the number beside a mark, within the picture."""
    _, _, right, bottom = corners(mark)
    beside = {MarkShape.ELLIPSE: (right, bottom), MarkShape.ARROW: mark.points_source_px[0]}
    x, y = _place(beside.get(mark.shape, tip(mark)), scale)
    rows, columns = picture.shape[:2]
    at = min(max(x + 10, 4), columns - 34), min(max(y + 10, 24), rows - 6)
    cv2.putText(picture, str(number), at, cv2.FONT_HERSHEY_SIMPLEX, 0.8, ink, width, cv2.LINE_AA)


def _place(point: tuple[float, float], scale: tuple[float, float]) -> tuple[int, int]:
    return round(point[0] * scale[0]), round(point[1] * scale[1])


_HERE: Final = "mammolens.sinks.reading"


def reading_page(reading: SignedReading, say: Wording) -> bytes:
    """Give the report of a reading as an HTML page (UTF-8)."""
    from markupsafe import Markup

    document = make_document(reading, say)
    figures = [
        {"caption": one.caption, "data": base64.b64encode(one.png).decode("ascii")}
        for one in document.figures
    ]
    page = templates(_HERE).get_template("report.html")
    made = page.render(document=document, figures=figures, style=Markup(_style()))
    return made.encode("utf-8")


def reading_pdf(reading: SignedReading, say: Wording) -> bytes:
    """Give the report of a reading as a tagged PDF.

    Raises
    ------
    ImportError
        The extra ``report`` is not installed.
    """
    document = make_document(reading, say)
    files = {f"{number}.png": one.png for number, one in enumerate(document.figures)}
    template = (resources.files(_HERE) / "report.typ").read_bytes()
    return typeset(template, _data(document), files)


def page_policy() -> str:
    """Give the Content-Security-Policy that the page needs: its own style and pictures alone."""
    hashed = base64.b64encode(hashlib.sha256(_style().encode("utf-8")).digest()).decode("ascii")
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{hashed}'; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'; sandbox"
    )


def _data(document: Document) -> dict[str, Any]:
    values = asdict(document) | {"fonts": FONTS}
    values["figures"] = [
        {"file": f"{number}.png", "caption": one.caption}
        for number, one in enumerate(document.figures)
    ]
    return values


def _style() -> str:
    return (resources.files(_HERE) / "report.css").read_text("utf-8")
