"""A report of a signed reading for the referring doctor, as data: page and print lay it out."""

from __future__ import annotations

from dataclasses import dataclass

from mammolens.readings import SignedReading
from mammolens.sinks.reading.pictures import Picture, draw_pictures
from mammolens.sinks.reading.sentences import (
    about_marks,
    advice,
    ai_sentences,
    assessments,
    mark_words,
    signature,
)
from mammolens.sinks.reading.words import Wording

__all__ = ["Document", "Figure", "Section", "Table", "make_document"]


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
