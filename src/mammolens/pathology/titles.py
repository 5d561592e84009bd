"""Recognise the titles of a report's sections, such as ``DIAGNOSIS:``."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from mammolens.pathology.labels import BARE, LABEL, PLACE
from mammolens.pathology.text import correct

__all__ = ["STARTS_AGAIN", "TELLING", "Section", "after_title", "title_of"]


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


TELLING: Final = frozenset(
    (
        *(Section.DIAGNOSIS, Section.SYNOPTIC, Section.BODY, Section.MICRO, Section.MARKERS),
        *(Section.COMMENT, Section.ADDENDUM),
    )
)
"""Sections that say what was found in the tissue."""

_TITLES: Final = tuple(
    (section, re.compile(pattern))
    for section, pattern in (
        (
            Section.HISTORY,
            r"(?:pertinent |relevant |brief )?(?:clin(?:ical)?|pre ?-?operative|radiolog[a-z]*|"
            r"imaging|mammogra[a-z]*|ultrasound)(?: (?:history|details?|information|info|data|"
            r"indications?|"
            r"notes?|summary|diagnosis|findings|question|context|background|hx|impression|dx|"
            r"features|and|&|history)){0,4}|(?:past |medical |family |previous |relevant )*history"
            r"(?: of [a-z ]{0,40})?|hx|indications?(?: for.{0,30})?|reason for.{0,30}|clinically|"
            r"request(?: details| form)?|(?:previous|prior|past) (?:histology|biops[a-z]*|"
            r"reports?|pathology|specimens?|diagnosis|material|procedures?|cases?)(?: .{0,12})?|"
            r"referral.{0,20}|(?:post|pre)[- ]?(?:op\w*|procedure) (?:dx|diagnosis)|"
            r"(?:outside|original|initial|provisional|preliminary|earlier) (?:.{1,20} )?"
            r"(?:reports?|diagnosis|biops[a-z]*|slides?|histology|findings)|"
            r"pre ?-?op(?:erative)? (?:dx|diagnosis)|background(?: (?:history|information))?",
        ),
        (Section.FROZEN, r"(?:frozen|intra ?-?operative)(?: .{0,40})?"),
        (
            Section.ADDENDUM,
            r"(?:addend[a-z]*|supplement[a-z]*|amend[a-z]*|correct(?:ed|ion)|revised|"
            r"further report|additional report)(?: .{0,40})?",
        ),
        (
            Section.GROSS,
            r"(?:gross|g/e|macro(?:scop[a-z]*)?)(?: (?:descriptions?|exam[a-z]*|findings|"
            r"appearances?|report|pathology))?",
        ),
        (
            Section.SYNOPTIC,
            r"(?:.{1,20} )?synoptic(?: .{0,40})?|.{0,40}(?:template|data ?set|proforma|checklist|"
            r"case summary|cancer summary|cancer protocol|tumou?r summary|reporting form)",
        ),
        (
            Section.DIAGNOSIS,
            r"(?:(?:final|path[a-z]*|histo[a-z]*|surgical|microscopic|anatomic(?:al)?|cyto[a-z]*|"
            r"tissue|overall|main|principal|revised|and)[ /]?){0,4}(?:diagnos[ei]s|dx|"
            r"conclusions?|interpretation|opinion|impression|summary)(?: (?:and|&) .{0,20})?|"
            r"(?:final |permanent |paraffin )*\(?(?:paraffin|permanent)\)?(?: sections?)?|"
            r"imp|concl|h\.?p\.?e\.? (?:impression|diagnosis)|"
            r"(?:final|path[a-z]*|histo[a-z]*) (?:category|classification)|(?:final )?reports?|"
            r"results?|bottom line|diagnos[ei]s .{0,12}",
        ),
        (
            Section.MICRO,
            r"findings|(?:m/e|micro(?:scop[a-z]*)?|histo(?:logy|logical|patholog[a-z]*)?|cytolog[a-z]*)"
            r"(?: (?:descriptions?|exam[a-z]*|findings|appearances?|report|features))?",
        ),
        (
            Section.MARKERS,
            r"(?:(?:bio ?-?|predictive |tumou?r )?markers?|(?:hormone )?receptors?|immuno[a-z]*|"
            r"ihc|ancillary|"
            r"special stains?|prognostic|predictive|breast biomarkers?|hormone)"
            r"(?: .{0,40})?",
        ),
        (
            Section.SPECIMEN,
            r"(?:nature|source|type|site)(?: of| and)? .{0,20}(?:specimens?|tissue|biopsy|sample)"
            r"|sp|specimens?(?: ?\(s\))?(?: .{0,24})?|tissues? .{0,20}|material .{0,20}|"
            r"procedures?(?: .{0,20})?|operation.{0,20}|samples?(?: .{0,20})?|parts? submitted",
        ),
        (Section.COMMENT, r"(?:diagnostic )?(?:comments?|notes?|remarks?|discussion)"),
        (
            Section.OTHER,
            r"(?:electronically |e-?)?(?:signed|sign-?out).{0,40}|(?:reporting |consultant )?"
            r"pathologist(?!'?s report).{0,30}|report(?:ed)? by|verified by|authori[sz]ed.{0,20}|"
            r"(?:technical |assay )?(?:methods?|methodology|limits|limitations?|"
            r"controls?)(?: .{0,24})?|"
            r"technical .{0,20}|disclaimer|references?|scoring.{0,30}|legend|definitions?|key|"
            r"end of report|copy to|cc",
        ),
    )
)
_LONGEST_TITLE: Final = 60
_BRACKET: Final = re.compile(r"\s\([^()]{1,40}\)$")
_PREFIX: Final = re.compile(r"^[\s*=#_>-]*(?:\d{1,2}[.)]\s)?")


def title_of(line: str) -> tuple[Section | None, str]:
    """Give the section that a line begins, and the rest of the line."""
    if (label := LABEL.match(line)) and label[1] and label[2]:
        is_diagnosis = label[1].lower() in ("dx", "diagnosis")
        return (Section.DIAGNOSIS if is_diagnosis else None), line
    if BARE.match(line) and line.partition(":")[2].strip():
        return None, line  # "Specimen 3 (left axilla): benign" is a specimen.
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
        elif not _looks_like_title(_BRACKET.sub("", words)):
            return None, line
    else:
        words, rest = line[begin:colon].strip(" *=-_"), line[colon + 1 :].strip()
    low = correct(" ".join(words.lower().split()))
    short = _BRACKET.sub("", low)
    for section, pattern in _TITLES:
        is_short = short != low and section is not Section.SPECIMEN
        if pattern.fullmatch(low) or (is_short and pattern.fullmatch(short)):
            if section is Section.SPECIMEN and colon < 0 and PLACE.search(low):
                return section, words  # "Operation left mastectomy": a row, not only a title.
            return section, rest
    return None, line


def _looks_like_title(words: str) -> bool:
    several = len(words.split())
    return words.isupper() or (several <= 4 and (words[:1].isupper() or several > 1))


def after_title(
    section: Section, titled: Section, line: str, rest: str
) -> tuple[Section, Section, str]:
    """Give the section after a title, the section of its line, and the text of its line."""
    if titled is Section.SPECIMEN and rest:
        if section in (Section.SYNOPTIC, Section.ADDENDUM, Section.DIAGNOSIS, Section.MARKERS):
            return section, section, line  # A row such as "Specimen type: core" within a form.
        ends = section in (Section.HISTORY, Section.SPECIMEN, Section.OTHER)
        return (Section.BODY if ends else section), titled, rest
    if section is Section.ADDENDUM and titled not in _LEAVES_ADDENDUM:
        return section, section, rest
    if titled is Section.OTHER and _SAMPLING.search(rest.lower()):
        return section, Section.SPECIMEN, rest  # "Method: FNA" says how it was sampled.
    if titled is Section.MARKERS and rest and _BEFORE.search(line.partition(":")[0]):
        return section, Section.HISTORY, rest  # "Receptors on prior core: …".
    if titled is Section.HISTORY and _BACKGROUND.match(line) and section in _FOUND:
        return section, section, line  # "Background: fibrocystic change" is a finding.
    if titled is Section.OTHER and rest and _SIGNED.match(line):
        return section, titled, rest  # Who reported it is one row, also at the top.
    if titled is Section.HISTORY and rest and _EARLIER.match(line):
        return section, titled, rest  # One row of a form: "Previous histology: …".
    if titled is Section.SYNOPTIC and _KNOWN_CASE.search(rest.lower()):
        return Section.HISTORY, Section.HISTORY, rest
    return titled, titled, rest


_KNOWN_CASE: Final = re.compile(r"\bk/?c/?o\b|\bknown (?:case|to have)\b|\bh/o\b|\bhistory of\b")
"""Words of a patient's summary; "case summary" is also the title of a form of findings."""

_SIGNED: Final = re.compile(
    r"\W*(?:(?:reporting |consultant )?pathologist|(?:electronically )?signed|reported? by|"
    r"verified|authori[sz]ed|copy to|cc)\b",
    re.IGNORECASE,
)
_EARLIER: Final = re.compile(r"\W*(?:previous|prior|original|outside|earlier)\b", re.IGNORECASE)
STARTS_AGAIN: Final = re.compile(
    r"^\W*(?:1|A)\s?[.):-]\s(?=[^.]{0,60}?\d ?x ?\d+ ?(?:x ?\d+ ?)?[mc]m)"
)
"""A specimen with its measures; it ends a clinical history of one line."""
_SAMPLING: Final = re.compile(r"^\W*(?:fnab?c?|fine[- ]needle|aspirat|core|tru-?cut|vacuum|vab)\b")
_BEFORE: Final = re.compile(r"\b(?:previous|prior|earlier|outside)\b", re.IGNORECASE)
_BACKGROUND: Final = re.compile(r"\W*background\b", re.IGNORECASE)
_FOUND: Final = (Section.MICRO, Section.DIAGNOSIS, Section.SYNOPTIC, Section.COMMENT, Section.GROSS)

_LEAVES_ADDENDUM: Final = (Section.OTHER, Section.HISTORY, Section.GROSS, Section.ADDENDUM)
"""Titles that end an addendum; a diagnosis or a comment within it belongs to it."""
