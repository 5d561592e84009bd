"""Divide a report into sentences; each knows its section and the specimens it names.

A section begins at a title such as ``DIAGNOSIS:``. A specimen label is a letter or number at the
beginning of a line: ``A. Left breast, core biopsy``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from mammolens.pathology.labels import called, described_twice, known_labels, listed, plain_label
from mammolens.pathology.text import correct, logical_lines, tidy, unfold
from mammolens.pathology.titles import STARTS_AGAIN, Section, after_title, title_of

__all__ = ["LONGEST_SENTENCE", "Section", "Sentence", "divide"]

LONGEST_SENTENCE: Final = 1200
"""Characters. Longer sentences are cut at a space, so that the work for each one is bounded."""


@dataclass(frozen=True)
class Sentence:
    """One sentence.

    Attributes
    ----------
    shown
        As in the report, except for white space.
    text
        In lower case, with corrected spelling; all patterns look here.
    names
        The specimens that the label of its line names, such as ("A",); () if none.
    line
        Number of its line, to keep sentences of a line together.
    starts_line
        Whether it is the first sentence of its line.
    """

    shown: str
    text: str
    section: Section
    names: tuple[str, ...]
    line: int
    starts_line: bool


_END: Final = re.compile(
    r"(?<=[.;!])\s+|(?<=[a-z)\d]\?)\s+|\s+-{2,}\s+|(?<=[.;])(?=[A-Z][A-Za-z]{2})"
)
_SHORT_FORMS: Final = re.compile(
    r"(?:\b(?:approx|dr|mr|mrs|ms|no|vs|eg|e\.g|i\.e|ie|inv|ca|fig|ref|spec|st|lt|rt|dim|max|"
    r"min|diff|hist|infilt|neg|pos|bx|resp|incl|prob|susp|carc|duct|lob|c\.w|[a-z]))\.$",
    re.IGNORECASE,
)


def divide(text: str) -> list[Sentence]:
    """Divide the text of a report into sentences.

    Examples
    --------
    >>> [(s.section.value, s.names, s.shown)
    ...  for s in divide("HISTORY: lump\\nDIAGNOSIS\\nA. Left breast, core: DCIS. Grade high.")]
    ... # doctest: +NORMALIZE_WHITESPACE
    [('history', (), 'lump'), ('diagnosis', ('A',), 'Left breast, core: DCIS.'),
     ('diagnosis', ('A',), 'Grade high.')]
    """
    lines = [
        part for line in logical_lines(unfold(tidy(text))) for part in listed(plain_label(line))
    ]
    rows = _without_question(list(_rows(lines)))
    known = known_labels(
        (row.text, row.section in (Section.GROSS, Section.MICRO))
        for row in rows
        if row.section not in (Section.HISTORY, Section.OTHER, Section.COMMENT)
    )
    known |= described_twice((row.text, row.section) for row in rows)
    sentences: list[Sentence] = []
    names: tuple[str, ...] = ()
    each = _of_each_part(rows, len(known))
    letters = frozenset(name for name in known if name.isalpha())  # A number can be a measure.
    listed_names: set[str] = set()  # Of a list of specimens; "" marks that it has begun again.
    parts = (row._replace(text=part) for row in rows for part in _listed(row, known))
    for row in parts:
        own, rest = called(row.text, known)
        section = row.section
        if section is not Section.SPECIMEN or row.begins:
            listed_names = set()
        elif listed_names.intersection(own) or "" in listed_names:
            section = Section.BODY  # The list begins again: it is the report on each specimen.
            listed_names.add("")
        listed_names.update(own)
        if not own and row.begins and not (row.text and _WITHIN.match(row.title)):
            own = _named_in(row.title, known)
            names = names if row.section in each else ()
        names = own or names
        for position, part in enumerate(_sentences(rest)):
            if position:
                inside, part = called(part, letters)
                names = inside or names
            low = correct(_lower(part))
            sentences.append(Sentence(part, low, section, names, row.line, position == 0))
    sentences = _without_first_question(sentences)
    requests = {row.line for row in rows if row.is_request}
    if requests and not any(one.section in _FINDINGS for one in sentences):
        return [_released(one, requests) for one in sentences]
    return sentences


class _Row(NamedTuple):
    """A line without its title, which is `title`.

    `begins` says that its title begins a section, `is_request` that the title and the text of a
    clinical history stand in one line.
    """

    line: int
    section: Section
    text: str
    begins: bool
    is_request: bool
    title: str = ""


_TITLED: Final = re.compile(
    r"\b(?:specimens?|parts?|jars?|pots?) ?#?([a-h]\d?|[1-9])\b|\(([a-h])\)"
)


_WITHIN: Final = re.compile(r"\W*findings\b", re.IGNORECASE)
"""A title that can be a row of one specimen."""


def _named_in(title: str, known: frozenset[str]) -> tuple[str, ...]:
    """Give the specimen that a title names: "Synoptic report (specimen C)"."""
    match = _TITLED.search(title.lower())
    name = (match[1] or match[2]).upper() if match else ""
    return (name,) if name in known else ()


def _listed(row: _Row, known: frozenset[str]) -> Iterator[str]:
    """Divide a line at known labels; a line without text still carries its title."""
    return listed(row.text, known) if row.text else iter([""])


def _without_question(rows: list[_Row]) -> list[_Row]:
    """Make a line that only asks ("?Paget's disease") part of the history.

    It is the clinical question if it is the first line, or if a diagnosis with a title follows;
    else it may be the answer.
    """
    titled = any(row.section is Section.DIAGNOSIS for row in rows)
    return [
        row._replace(section=Section.HISTORY)
        if row.section is Section.BODY
        and row.text.startswith("?")
        and (titled or (place == 0 and len(rows) > 1))
        else row
        for place, row in enumerate(rows)
    ]


def _of_each_part(rows: list[_Row], parts: int) -> tuple[Section, ...]:
    """Give the sections that every specimen has for itself: "1. … Macro: … 2. … Macro: …"."""
    found = (Section.GROSS, Section.MICRO, Section.DIAGNOSIS)
    if parts < 2:
        return ()
    several = [one for one in found if sum(r.begins for r in rows if r.section is one) >= parts]
    return found if several else ()


_ASKED: Final = re.compile(
    r"\?.*\?|^(?=.*\?).*(?:\bswelling|\blump|\bmass\b|painful|lactating|\bcalcs?\b|nodule|\b[mpu][345]\b)"
)
"""A clinical question behind the first words of a report: "lump, ?cyst ?carcinoma"."""


def _without_first_question(sentences: list[Sentence]) -> list[Sentence]:
    """Make a question in the first line part of the history, if lines with findings follow."""
    first = next((s.line for s in sentences), -1)
    if not any(s.section in _FINDINGS and s.line > first for s in sentences):
        return sentences
    return [
        replace(s, section=Section.HISTORY)
        if s.line == first
        and not s.starts_line
        and s.section is Section.BODY
        and _ASKED.search(s.text)
        else s
        for s in sentences
    ]


def _rows(lines: Iterable[str]) -> Iterator[_Row]:
    section, spoken = Section.BODY, False  # `spoken`: the section has text already.
    for number, line in enumerate(lines):
        if not line:
            if section in (Section.OTHER, Section.HISTORY) and spoken:
                section = Section.BODY
            continue
        titled, rest = title_of(line)
        if section is Section.HISTORY and spoken and STARTS_AGAIN.match(line):
            section = Section.BODY
        if titled is Section.ADDENDUM and number < _TOP and ":" not in line and _WHOLE.search(line):
            continue
        here = section
        if titled is not None:
            section, here, rest = after_title(section, titled, line, rest)
            spoken = spoken and here is not titled
        spoken = spoken or bool(rest)
        request = titled is not None and here is Section.HISTORY and bool(rest)
        begins = titled is not None and here is titled
        yield _Row(number, here, rest, begins, request, line if begins else "")


_TOP: Final = 3
"""Lines at the top, where "Corrected report" is the title of the whole report."""
_WHOLE: Final = re.compile(r"(?:correct|amend|revis|replac)\w*.{0,12}\breport\b", re.IGNORECASE)
_FINDINGS: Final = (
    Section.BODY,
    Section.MICRO,
    Section.DIAGNOSIS,
    Section.SYNOPTIC,
    Section.ADDENDUM,
)


def _released(one: Sentence, requests: set[int]) -> Sentence:
    """Take a sentence out of the history, if the history of a report never ends."""
    if one.section is not Section.HISTORY or one.line in requests:
        return one
    return replace(one, section=Section.BODY)


def _lower(text: str) -> str:
    """Lower case with the same number of characters."""
    low = text.lower()
    return low if len(low) == len(text) else "".join(c.lower()[:1] for c in text)


def _sentences(line: str) -> Iterator[str]:
    begin = 0
    for end in _END.finditer(line):
        part = line[begin : end.start()]
        if _SHORT_FORMS.search(part[-10:]) or not part.strip():
            continue
        yield from _cut(part.strip())
        begin = end.end()
    if line[begin:].strip():
        yield from _cut(line[begin:].strip())


def _cut(part: str) -> Iterator[str]:
    begin = 0
    while len(part) - begin > LONGEST_SENTENCE:
        space = part.rfind(" ", begin, begin + LONGEST_SENTENCE)
        end = space if space > begin else begin + LONGEST_SENTENCE
        yield part[begin:end]
        begin = end
    yield part[begin:].strip()
