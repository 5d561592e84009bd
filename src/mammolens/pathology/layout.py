"""Divide a report into sentences; each knows its section and the specimens it names.

A section begins at a title such as ``DIAGNOSIS:``. A specimen label is a letter or number at the
beginning of a line: ``A. Left breast, core biopsy``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from mammolens.pathology.text import correct, logical_lines, tidy

__all__ = ["LONGEST_SENTENCE", "Section", "Sentence", "divide"]

LONGEST_SENTENCE: Final = 1200
"""Characters. Longer sentences are cut at a space, so that the work for each one is bounded."""


class Section(str, Enum):
    """What a part of a report is about."""

    BODY = "body"
    HISTORY = "history"
    SPECIMEN = "specimen"
    GROSS = "gross"
    MICRO = "microscopic"
    DIAGNOSIS = "diagnosis"
    SYNOPTIC = "synoptic"
    MARKERS = "markers"
    COMMENT = "comment"
    ADDENDUM = "addendum"
    FROZEN = "frozen section"
    OTHER = "other"
    """Signatures, methods, legends: never about the tissue."""


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


_WORD: Final = r"(?:[a-z/&()' -]{0,40})"
_TITLES: Final = tuple(
    (section, re.compile(pattern))
    for section, pattern in (
        (
            Section.HISTORY,
            r"(?:pertinent |relevant |brief )?(?:clinical|pre ?-?operative|radiolog[a-z]*|imaging|"
            r"mammogra[a-z]*|ultrasound)(?: (?:history|details?|information|info|data|indications?|"
            r"notes?|summary|diagnosis|findings|question|context|background|hx|impression|dx|"
            r"features|and|&|history)){0,4}|(?:past |medical |family |previous |relevant )*history"
            r"(?: of [a-z ]{0,40})?|hx|indications?(?: for.{0,30})?|reason for.{0,30}|clinically|"
            r"request(?: details| form)?|(?:previous|prior|past) (?:histology|biops[a-z]*|"
            r"reports?|pathology|specimens?|diagnosis|material|procedures?)|referral.{0,20}|"
            r"pre ?-?op(?:erative)? (?:dx|diagnosis)",
        ),
        (Section.FROZEN, r"(?:frozen|intra ?-?operative)(?: .{0,40})?"),
        (
            Section.ADDENDUM,
            r"(?:addend[a-z]*|supplement[a-z]*|amend[a-z]*|correct(?:ed|ion)|revised|"
            r"further report|additional report)(?: .{0,40})?",
        ),
        (
            Section.GROSS,
            r"(?:gross|macro(?:scop[a-z]*)?)(?: (?:descriptions?|exam[a-z]*|findings|"
            r"appearances?|report|pathology))?",
        ),
        (
            Section.SYNOPTIC,
            r"synoptic(?: .{0,40})?|.{0,40}(?:template|data ?set|proforma|checklist|"
            r"case summary|cancer summary|cancer protocol|tumou?r summary|reporting form)",
        ),
        (
            Section.DIAGNOSIS,
            r"(?:(?:final|path[a-z]*|histo[a-z]*|surgical|microscopic|anatomic(?:al)?|cyto[a-z]*|"
            r"tissue|overall|main|principal|revised|and)[ /]?){0,4}(?:diagnos[ei]s|dx|"
            r"conclusions?|interpretation|opinion|impression|summary)(?: (?:and|&) .{0,20})?|"
            r"results?|final report|bottom line|diagnos[ei]s .{0,12}",
        ),
        (
            Section.MICRO,
            r"(?:micro(?:scop[a-z]*)?|histo(?:logy|logical|patholog[a-z]*)?|cytolog[a-z]*)"
            r"(?: (?:descriptions?|exam[a-z]*|findings|appearances?|report|features))?",
        ),
        (
            Section.MARKERS,
            r"(?:bio ?-?markers?|(?:hormone )?receptors?|immuno[a-z]*|ihc|ancillary|"
            r"special stains?|prognostic|predictive|breast biomarkers?|hormone)"
            r"(?: .{0,40})?",
        ),
        (
            Section.SPECIMEN,
            r"(?:nature|source|type|site)(?: of| and)? .{0,20}(?:specimens?|tissue|biopsy|sample)"
            r"|specimens?(?: ?\(s\))?(?: .{0,24})?|tissues? .{0,20}|material .{0,20}|"
            r"procedures?(?: .{0,20})?|operation.{0,20}|samples?(?: .{0,20})?|parts? submitted",
        ),
        (Section.COMMENT, r"(?:diagnostic )?(?:comments?|notes?|remarks?|discussion)"),
        (
            Section.OTHER,
            r"(?:electronically |e-?)?(?:signed|sign-?out).{0,40}|(?:reporting |consultant )?"
            r"pathologist.{0,30}|report(?:ed)? by|verified by|authori[sz]ed.{0,20}|methods?|"
            r"methodology.{0,20}|disclaimer|references?|scoring.{0,30}|legend|definitions?|key|"
            r"end of report|copy to|cc",
        ),
    )
)
_LONGEST_TITLE: Final = 60
_PREFIX: Final = re.compile(r"^[\s*=#_>-]*(?:\d{1,2}[.)]\s)?")
_NAME: Final = r"(?:[A-Ha-h]\d?|\d{1,2}|I{1,3}|IV)"
_LABEL: Final = re.compile(
    rf"^[-*#\s(\[]*(?:(specimen|spec|sample|part|jar|pot|container|biopsy|site)s?\.?\s*(?:no\.?|"
    rf"number|#)?\s*)?[(\[#]?({_NAME})(?:\s?(?:,|&|and|-|to)\s?({_NAME}))?[)\]]?"
    rf"\s{{0,2}}(?:[.:)\]-]|(?<=[)\]]))+(?:\s|$)",
    re.IGNORECASE,
)
_BARE_LABEL: Final = re.compile(
    rf"^(?:specimen|part|jar|pot)\s+#?\(?({_NAME})\)?(?=\s|$|,)", re.IGNORECASE
)
_PLACE: Final = re.compile(
    r"breast|axill|node|core|biops|excision|ectomy|nipple|margin|cavity|\bleft\b|\bright\b|"
    r"\blt\b|\brt\b|quadrant|o'? ?clock|skin|aspirat|\bfna|\bwle\b|sentinel|\bsln|tissue"
)
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
    lines = [part for line in logical_lines(tidy(text)) for part in _listed(line)]
    known = _labels(lines)
    sentences: list[Sentence] = []
    section, spoken = Section.BODY, False
    names: tuple[str, ...] = ()
    requests: set[int] = set()
    for number, line in enumerate(lines):
        if not line:
            if section in (Section.OTHER, Section.HISTORY) and spoken:
                section = Section.BODY
            continue
        titled, rest = _title(line)
        here = section
        if titled is not None:
            section, here, rest = _move(section, titled, line, rest)
            if here is Section.HISTORY and rest:
                requests.add(number)
            names, spoken = (names, spoken) if here is not titled else ((), False)
        called, rest = _called(rest, known)
        names = called or names
        for position, part in enumerate(_sentences(rest)):
            low, spoken = correct(_lower(part)), True
            sentences.append(Sentence(part, low, here, names, number, position == 0))
    if requests and not any(one.section in _FINDINGS for one in sentences):
        return [_released(one, requests) for one in sentences]
    return sentences


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


_IN_LINE: Final = re.compile(r"(?:^|(?<=[\s:;,]))\(?([A-H]|[1-9])[.):]\)?\s+(?=[A-Za-z]{2})")


def _listed(line: str) -> Iterator[str]:
    """Divide a line that lists specimens: "1. Right breast core. 2. Left breast core"."""
    marks = [
        m for m in _IN_LINE.finditer(line, 0, 2000) if _PLACE.search(line[m.end() :][:40].lower())
    ]
    codes = [ord(m[1]) for m in marks]
    if len(marks) < 2 or codes != list(range(codes[0], codes[0] + len(codes))):
        yield line
        return
    begin = 0
    for mark in marks[1:]:
        yield line[begin : mark.start()].strip()
        begin = mark.start()
    yield line[begin:].strip()


def _move(section: Section, titled: Section, line: str, rest: str) -> tuple[Section, Section, str]:
    """Give the section after a title, the section of its line, and the text of its line."""
    if titled is Section.SPECIMEN and rest:
        if section in (Section.SYNOPTIC, Section.ADDENDUM, Section.DIAGNOSIS, Section.MARKERS):
            return section, section, line  # A row such as "Specimen type: core" within a form.
        ends = section in (Section.HISTORY, Section.SPECIMEN, Section.OTHER)
        return (Section.BODY if ends else section), titled, rest
    if section is Section.ADDENDUM and titled not in _LEAVES_ADDENDUM:
        return section, section, rest
    return titled, titled, rest


_LEAVES_ADDENDUM: Final = (Section.OTHER, Section.HISTORY, Section.GROSS, Section.ADDENDUM)
"""Titles that end an addendum; a diagnosis or a comment within it belongs to it."""


def _lower(text: str) -> str:
    """Lower case with the same number of characters."""
    low = text.lower()
    return low if len(low) == len(text) else "".join(c.lower()[:1] for c in text)


def _title(line: str) -> tuple[Section | None, str]:
    """Give the section that a line begins, and the rest of the line."""
    if (label := _LABEL.match(line)) and label[1] and label[2]:
        return None, line
    start = _PREFIX.match(line)
    begin = start.end() if start else 0
    colon = line.find(":", begin, begin + _LONGEST_TITLE)
    if colon < 0:
        if len(line) > _LONGEST_TITLE:
            return None, line
        words, rest = line[begin:].strip(" *=-_."), ""
        dash = words.find(" - ")
        if dash > 0 and words[:dash].isupper():
            words, rest = words[:dash], words[dash + 3 :]
        elif not _looks_like_title(words):
            return None, line
    else:
        words, rest = line[begin:colon].strip(" *=-_"), line[colon + 1 :].strip()
    low = " ".join(words.lower().split())
    for section, pattern in _TITLES:
        if pattern.fullmatch(low):
            return section, rest
    return None, line


def _looks_like_title(words: str) -> bool:
    return words.isupper() or (len(words.split()) <= 4 and words[:1].isupper())


def _labels(lines: Sequence[str]) -> frozenset[str]:
    """Find which letters and numbers name specimens, and do not only number a list."""
    found: dict[str, bool] = {}
    section: Section | None = Section.BODY
    for line in lines:
        titled, rest = _title(line)
        section = titled or section
        if section in (Section.HISTORY, Section.OTHER):
            continue
        if bare := _BARE_LABEL.match(rest):
            found[bare[1].upper()] = True
        elif match := _LABEL.match(rest):
            after = rest[match.end() :].lower()[:100]
            head = re.split(r"[.:]", after, maxsplit=1)[0]
            placed = bool(match[1]) or bool(_PLACE.search(head))
            if section in (Section.GROSS, Section.MICRO) and not match[1]:
                placed = False
            for name in _names(match):
                found[name] = found.get(name, False) or placed
    named = frozenset(name for name, placed in found.items() if placed)
    numbers = [name for name in named if name.isdigit() or name in ("I", "II", "III", "IV")]
    return named if len(numbers) != 1 or len(named) > 1 else named - frozenset(numbers)


def _names(match: re.Match[str]) -> tuple[str, ...]:
    first, second = match[2].upper(), (match[3] or "").upper()
    if not second:
        return (first,)
    if len(first) == len(second) == 1 and first < second and ord(second) - ord(first) < 8:
        joined = re.search(r"-|to", match[0][match.start(2) : match.end(3)])
        if joined:
            return tuple(chr(code) for code in range(ord(first), ord(second) + 1))
    return (first, second)


def _called(line: str, known: frozenset[str]) -> tuple[tuple[str, ...], str]:
    """Give the specimens that a line is about, and the line without its label."""
    if match := _LABEL.match(line):
        names = tuple(name for name in _names(match) if name in known)
        if names:
            return names, line[match.end() :].strip()
    if (bare := _BARE_LABEL.match(line)) and bare[1].upper() in known:
        return (bare[1].upper(),), line[bare.end() :].strip(" ,:-")
    return (), line


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
