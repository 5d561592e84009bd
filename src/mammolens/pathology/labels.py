"""Recognise the letters and numbers that name the specimens of a report: ``A.``, ``Specimen 2``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

__all__ = [
    "BARE",
    "LABEL",
    "PLACE",
    "called",
    "described_twice",
    "known_labels",
    "listed",
    "missing_labels",
    "plain_label",
]

_NAME: Final = r"(?:[A-Ha-h]\d?|[LR][1-9A]|\d{1,2}|I{1,3}|IV)"
_KEYWORD: Final = (
    r"(?:specimen|spec|sample|part|jar|pot|vial|container|biopsy|bx|site|dx|diagnosis)"
)
LABEL: Final = re.compile(
    rf"^[-*#\s(\[]*(?:({_KEYWORD})s?\.?\s*(?:no\.?|"
    rf"number|#)?\s*)?[(\[#]?({_NAME})(?:\s?(?:,|&|and|-|to)\s?({_NAME}))?[)\]]?"
    rf"\s{{0,2}}(?:[.:)\]/=-]|(?<=[)\]]))+(?:\s|$)",
    re.IGNORECASE,
)
"""A label with a sign behind it: group 1 is the word before it, groups 2 and 3 are the names."""
BARE: Final = re.compile(
    rf"^{_KEYWORD}\s+(?:no\.?\s?)?#?\(?({_NAME})\)?(?=\s|$|,|;)(?!\s?(?:mm|cm|of|x)\b)",
    re.IGNORECASE,
)
_SIDED: Final = re.compile(
    r"^((?:I{1,3}|IV)(?=[ ,]{1,3}(?i:left|right|lt|rt|breast|axilla\w*|sentinel)\b)|"
    r"[LR][1-9A](?=\s{1,3}(?i:left|right|lt|rt)\b)|"
    r"[A-H](?=[ ,]{1,2}(?:(?i:left|right|lt|rt|breast|axilla\w*|sentinel)|[LRlr])\b)|"
    r"[1-9](?=[ ,]{1,2}(?:(?i:left|right|lt|rt)|[LRlr])\b))[ ,]{1,3}"
)
"""A label without a sign: "B R 9 o'clock". "A" may be the article: others must confirm it."""
PLACE: Final = re.compile(
    r"breast|axill|node|core|biops|excision|ectomy|nipple|margin|cavity|\bleft\b|\bright\b|"
    r"\blt\b|\brt\b|quadrant|o'? ?clock|skin|aspirat|\bfna|\bwle\b|sentinel|\bsln|tissue|"
    r"\bshav|\b[lr] ?(?:[ul][oi]q\b|\d|br\b)|\bclearance|\b[ul][oi]q\b"
)
_ROW: Final = re.compile(
    r"^(?:all |surgical |resection |excision |the )*margins?$|\bnot (?:sampled|taken|received|"
    r"submitted|applicable)\b|\bnone\b"
)
"""The beginning of a numbered finding; it names no specimen, though it names a place."""
_SIDE_FIRST: Final = re.compile(
    r"^\W*(?:wle|sln[bs]?|snb|mastectomy|lumpectomy|sentinel|axilla\w*|(?:\w+ )?shave)\b|"
    r"^\W*(?:\w+ ){0,2}?(?:left|right|lt|rt|l|r)\b(?! (?:breast|side) (?:was|is|has))"
)
_ORDINAL: Final = re.compile(
    rf"^(?:the )?(first|second|third|fourth|fifth)(?: {_KEYWORD})(?=[\s:,.(-]|$)"
    rf"|^{_KEYWORD} (one|two|three|four|five)\b",
    re.IGNORECASE,
)
_NUMBER_SIGN: Final = re.compile(r"^(?:#|(?:no|nr)\.?) ?([1-9])(?![\w/.]\d|\d)", re.IGNORECASE)
_BOLD: Final = re.compile(r"^\*{1,2}([^*]{1,16})\*{1,2}")
_NUMBERS: Final = {
    **{word: n for n, word in enumerate(("first", "second", "third", "fourth", "fifth"), 1)},
    **{word: n for n, word in enumerate(("one", "two", "three", "four", "five", "six"), 1)},
}
_CALLED: Final = re.compile(r"\b(?:specimen|sample|pot|jar|part|container) ?#?([a-h]|[1-9])\b")
_WORDED: Final = re.compile(
    r"\b(specimen|pot|jar|part) (one|two|three|four|five|six)\b", re.IGNORECASE
)
_ANNOUNCED: Final = re.compile(
    r"\b(?:(two|three|four|five|six|[2-6])(?: separate| labelled| labeled| different)?|x ?([2-6])) "
    r"(?:pots|vials|jars|containers|specimens|sites|parts|samples)\b|"
    r"\b(?:lumps|nodules|lesions|excisions)\b[^.:]{0,40}? x ?([2-6])\b"
)
_SEQUENCES: Final = ("ABCDEFGH", "123456789", ("I", "II", "III", "IV"))


def plain_label(line: str) -> str:
    """Write a label in words as a number: "Second specimen: cyst" is "Specimen 2: cyst".

    Examples
    --------
    >>> plain_label("First biopsy, left breast"), plain_label("Specimen two: DCIS")
    ('Specimen 1, left breast', 'Specimen 2: DCIS')
    """
    line = _BOLD.sub(r"\1", line)
    line = _WORDED.sub(lambda found: f"{found[1]} {_NUMBERS[found[2].lower()]}", line)
    match = _ORDINAL.match(line)
    if not match:
        return _NUMBER_SIGN.sub(r"Specimen \1:", line)
    return f"Specimen {_NUMBERS[(match[1] or match[2]).lower()]}{line[match.end() :]}"


_IN_LINE: Final = re.compile(
    rf"(?:^|(?<=[\s:;,]))(?:(?i:{_KEYWORD}) (?:(?i:no\.?) )?)?[(\[#]*"
    r"([A-Ha-h]|[1-9]|[iI]{1,3}|[iI][vV])[\].):,/]{1,2}\s+(?=[A-Za-z]{2}|[LRlr] )"
    rf"|(?:^|(?<=[:;,.] ))(?:(?i:{_KEYWORD}) #?([A-H]|[1-9]))\s?[-=]?\s(?=\(?[A-Za-z]{{2}})"
    r"|(?:^|(?<=[:;,.] ))([A-H]|[1-9])\s?[-=]?\s(?=[A-Za-z]{2})"
)


_BEGINS: Final = re.compile(r"(?:^|[.;:,]\s+|\s[(\[#]+)[^\s(]{0,12}\s?\(?\w{1,4}\W{1,4}$")
"""A known label begins a clause; "grade 2. ER" has none."""


def listed(line: str, known: frozenset[str] = frozenset()) -> Iterator[str]:
    """Divide a line that lists specimens, and separate the words before its first label.

    Each label is followed by a place, or is one of `known`.

    Examples
    --------
    >>> list(listed("Specimens: (i) right breast core (ii) left breast core"))
    ['Specimens:', '(i) right breast core', '(ii) left breast core']
    """
    marks = [
        m
        for m in _IN_LINE.finditer(line, 0, 2000)
        if ((m[1] or m[2] or m[3]).upper() in known and _BEGINS.search(line[: m.end()]))
        or PLACE.search(line[m.end() :][:40].lower())
    ]
    names = [(m[1] or m[2] or m[3]).upper() for m in marks]
    if len(marks) < 2 or not _is_sequence(names):
        yield line
        return
    begin = 0
    for mark in marks:
        if line[begin : mark.start()].strip():
            yield line[begin : mark.start()].strip()
        begin = mark.start()
    yield line[begin:].strip()


def _is_sequence(names: Sequence[str]) -> bool:
    """Whether labels follow each other without a gap, from any letter or number."""
    for sequence in _SEQUENCES:
        places = [sequence.index(name) if name in sequence else -9 for name in names]
        if places == list(range(places[0], places[0] + len(places))) and places[0] >= 0:
            return True
    return False


def known_labels(lines: Iterable[tuple[str, bool]]) -> frozenset[str]:
    """Find which letters and numbers name specimens, and do not only number a list.

    Parameters
    ----------
    lines
        Each line without its title, and whether it stands in a description (gross or microscopic),
        where a number alone is no label unless a side follows it.
    """
    found: dict[str, bool] = {}  # label → whether it certainly names a specimen
    sided: dict[str, None] = {}
    announced = 0
    called_so: set[str] = set()
    for line, describes in lines:
        low = line.lower()
        called_so.update(name.upper() for name in _CALLED.findall(low))
        if count := _ANNOUNCED.search(low):
            word = count[1] or count[2] or count[3]
            announced = max(announced, int(word) if word.isdigit() else _NUMBERS[word])
        if bare := BARE.match(line):
            found[bare[1].upper()] = True
        elif match := LABEL.match(line):
            head = re.split(r"[.:]", low[match.end() : match.end() + 100], maxsplit=1)[0]
            wanted = _SIDE_FIRST if describes else PLACE
            placed = bool(match[1]) or bool(wanted.search(head) and not _ROW.search(head))
            for name in _names(match):
                found[name] = found.get(name, False) or placed
        elif alone := _SIDED.match(line):
            sided.setdefault(alone[1])
    if len(called_so) > 1 and _is_sequence(sorted(called_so)) and called_so <= found.keys():
        found |= dict.fromkeys(called_so, True)
    found |= dict.fromkeys((name for name in sided if name[0] in "LR"), True)
    together = list(dict.fromkeys([*(name for name, placed in found.items() if placed), *sided]))
    if len(together) > 1 and _is_sequence(sorted(together)):
        found |= dict.fromkeys(sided, True)
    if announced and announced == len(found) and _is_sequence(list(found)):
        found = dict.fromkeys(found, True)
    counted = [name for name in found if name.isdigit()]
    if not found.get("1", True) and 2 * sum(found[name] for name in counted) <= len(counted):
        found |= dict.fromkeys(counted, False)  # It is a numbered list of findings.
    named = frozenset(name for name, placed in found.items() if placed)
    numbers = [name for name in named if name.isdigit() or name in ("I", "II", "III", "IV")]
    # A single number numbers a list; a single letter names a specimen.
    return named if len(numbers) != 1 or len(named) > 1 else named - frozenset(numbers)


_BRACKETED: Final = re.compile(r"(?:^|(?<=\s))\(([1-9]|[a-hA-H])\)\s")


def described_twice(lines: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Find the labels of parts that the gross description and a later section list alike.

    Parameters
    ----------
    lines
        Each line without its title, and the name of its section.

    Examples
    --------
    >>> sorted(described_twice([("(1) 42 g (2) 9 g", "gross"), ("1. DCIS", "microscopic"),
    ...                         ("2. Benign", "microscopic")]))
    ['1', '2']
    """
    found: dict[str, dict[str, None]] = {}
    for line, section in lines:
        inside = _BRACKETED.findall(line[:4000])
        match = LABEL.match(line)
        names = inside if len(inside) > 1 else [match[2]] if match and not match[3] else []
        found.setdefault(section, {}).update(dict.fromkeys(name.upper() for name in names))
    gross = list(found.get("gross", ()))
    if len(gross) < 2 or gross[0] not in ("1", "A", "I") or not _is_sequence(gross):
        return frozenset()
    again = any(list(found.get(one, ())) == gross for one in ("microscopic", "diagnosis", "body"))
    return frozenset(gross) if again else frozenset()


def missing_labels(names: Iterable[str]) -> tuple[str, ...]:
    """Name the labels before and between the labels that were read.

    Examples
    --------
    >>> missing_labels(["A", "C"]), missing_labels(["2", "3"]), missing_labels(["A1", "B"])
    (('B',), ('1',), ())
    """
    used = list(names)
    for sequence in _SEQUENCES:
        places = [sequence.index(name) for name in used if name in sequence]
        if used and len(places) == len(used):
            return tuple(name for name in sequence[: max(places)] if name not in used)
    return ()


def _names(match: re.Match[str]) -> tuple[str, ...]:
    """Give the labels of a match of `LABEL`; "A-C" and "A to C" are three."""
    first, second = match[2].upper(), (match[3] or "").upper()
    if not second:
        return (first,)
    if len(first) == len(second) == 1 and first < second and ord(second) - ord(first) < 8:
        joined = re.search(r"-|to", match[0][match.start(2) : match.end(3)])
        if joined:
            return tuple(chr(code) for code in range(ord(first), ord(second) + 1))
    return (first, second)


_ALONE: Final = re.compile(rf"^({_NAME})\s{{1,3}}(?=[A-Z\d])")
"""A label without a sign, once it is known: "II  Lymph nodes"."""
_SAYS: Final = re.compile(
    r"^(?:(?:The )?(?:specimen|biopsy|part|core) )?([A-H]|[1-9])"
    r"(?= (?:shows?|showed|is|was|has|contains?|"
    r"contained|consists|reveals?|revealed)\b)"
)


def called(line: str, known: frozenset[str]) -> tuple[tuple[str, ...], str]:
    """Give the specimens that a line is about, and the line without its label."""
    if match := LABEL.match(line):
        names = tuple(name for name in _names(match) if name in known)
        if names:
            return names, line[match.end() :].strip()
    for pattern in (BARE, _SIDED, _SAYS, _ALONE):
        if (bare := pattern.match(line)) and bare[1].upper() in known:
            return (bare[1].upper(),), line[bare.end() :].strip(" ,:-")
    return (), line
