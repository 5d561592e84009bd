"""Read pathology reports from HL7 v2 messages ORU^R01, alone or in a batch.

Source: HL7 v2.5.1, chapters 2 (delimiters, escapes, MSH-18) and 7 (OBR, OBX, SPM); tables 0085,
0123 and 0211.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from mammolens.errors import UnreadableReport
from mammolens.pathology.reports import (
    SECTION_OF_LOINC,
    PathologyReport,
    ReportStatus,
    day_of,
    identifier,
    moment,
)

__all__ = ["component", "is_hl7", "messages", "read_hl7", "split_message", "unescape"]

_CHARSETS: Final = {
    "": "utf-8",
    "ASCII": "ascii",
    "UNICODE UTF-8": "utf-8",
    "UNICODE": "utf-8",
    "UTF-8": "utf-8",
    "UNICODE UTF-16": "utf-16",
    **{f"8859/{n}": f"iso8859-{n}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
    "GB 18030-2000": "gb18030",
    "BIG-5": "big5",
    "ISO IR6": "ascii",
    "ISO IR100": "iso8859-1",
}
"""HL7 table 0211 → codec; without MSH-18, ASCII by the standard, and UTF-8 is accepted."""
_STATUS: Final = {
    **dict.fromkeys(("O", "I", "S", "A", "P", "R", "N", "U", "M", "B"), ReportStatus.PRELIMINARY),
    **dict.fromkeys(("", "F"), ReportStatus.FINAL),
    "C": ReportStatus.CORRECTED,
    **dict.fromkeys(("X", "D", "W", "Y", "Z"), ReportStatus.WITHDRAWN),
}
_GONE: Final = frozenset(("D", "W", "X", "N"))
"""OBX-11: deleted, wrong patient, cannot be obtained, not asked."""
_ESCAPE: Final = re.compile(r"\\([^\\\r\n]{0,80})\\")
_SEGMENT: Final = re.compile(r"[A-Z][A-Z0-9]{2}(?=\||$)")


def is_hl7(data: bytes) -> bool:
    """Return whether bytes are a message or a batch of HL7 v2."""
    return data.lstrip(b"\x0b\r\n \xef\xbb\xbf")[:4] in (b"MSH|", b"FHS|", b"BHS|")


def unescape(text: str, separators: str = "|^~\\&") -> str:
    r"""Replace the escapes of HL7 by the letters that they stand for.

    Examples
    --------
    >>> unescape(r"5 \T\ 6\.br\size \X3C\ 2\E\\H\bold\N\ ")
    '5 & 6\nsize < 2\\bold '
    """
    whole = (separators + "|^~\\&"[len(separators) :])[:5]
    letters = dict(zip("FSRET", whole, strict=True))

    def letter(match: re.Match[str]) -> str:
        code = match[1]
        if code in letters:
            return letters[code]
        if code in ("H", "N"):
            return ""
        if code.startswith("X") and len(code) % 2:
            try:
                return bytes.fromhex(code[1:]).decode("utf-8", "replace")
            except ValueError:
                return " "
        if code.startswith("."):
            return "\n" if code[1:3] in ("br", "sp", "ce") else ""
        return " "

    return _ESCAPE.sub(letter, text)


@dataclass
class _Order:
    """An OBR with what follows it."""

    fields: Sequence[str]
    patient: str
    birth_date: str
    results: list[Sequence[str]] = field(default_factory=list)
    specimens: list[Sequence[str]] = field(default_factory=list)


def read_hl7(data: bytes, source: str) -> Iterator[PathologyReport | UnreadableReport]:
    """Read the reports of a file; a message with a fault gives its error in its place."""
    for message, where in messages(data, source):
        try:
            yield from _read_message(message, where)
        except UnreadableReport as error:
            yield error


def messages(data: bytes, source: str) -> Iterator[tuple[bytes, str]]:
    """Give the messages of a file, each with its name in errors."""
    starts = [m.start() for m in re.finditer(rb"(?:^|(?<=[\r\n\x0b]))MSH\|", data)]
    ends = [*starts[1:], len(data)]
    for number, (begin, end) in enumerate(zip(starts, ends, strict=True), start=1):
        yield data[begin:end], f"{source}, message {number}" if len(starts) > 1 else source


def split_message(data: bytes, source: str) -> tuple[list[list[str]], str]:
    """Divide a message into segments of fields, still with escapes; and give its separators.

    Raises
    ------
    UnreadableReport
        If its character set is not known, or is not that of the bytes.
    """
    return _segments(_decoded(data, source))


def _read_message(data: bytes, source: str) -> Iterator[PathologyReport]:
    segments, separators = split_message(data, source)
    head = segments[0]
    kind = _at(head, 8).split(separators[1])[:2]
    if kind != ["ORU", "R01"]:
        raise UnreadableReport(
            "the message is not an ORU^R01", source=source, keyword="MSH-9",
            remedy="Send results of pathology as ORU^R01",
        )  # fmt: skip
    orders: dict[str, _Order] = {}
    patient, born, current = "", "", None
    for fields in segments[1:]:
        if fields[0] == "PID":
            patient, current = component(fields, 3, separators), None
            born = component(fields, 7, separators)
        elif fields[0] == "OBR":
            number = component(fields, 3, separators) or component(fields, 2, separators)
            key = f"{patient}\n{number or len(orders)}"
            current = orders.setdefault(key, _Order(fields, patient, born))
        elif fields[0] == "OBX" and current is not None:
            current.results.append(fields)
        elif fields[0] == "SPM" and current is not None:
            current.specimens.append(fields)
        elif fields[0] == "NTE" and current is not None:
            current.results.append(["OBX", "", "TX", "^Comment", "", _at(fields, 3)])
    if not orders:
        raise UnreadableReport(
            "the message has no OBR", source=source, remedy="Send each report with its OBR"
        )
    for order in orders.values():
        yield _report(order, separators, source)


def _decoded(data: bytes, source: str) -> str:
    """Decode a message by the character set of its MSH-18."""
    head = data.split(b"\r", 1)[0].split(b"\n", 1)[0]
    named = head.split(b"|")[17:18]
    name = (named[0] if named else b"").split(b"~")[0].decode("ascii", "replace").strip().upper()
    codec = _CHARSETS.get(name)
    if codec is None:
        raise UnreadableReport(
            "the character set is not known", source=source, keyword="MSH-18",
            remedy="Send UNICODE UTF-8 or 8859/1",
        )  # fmt: skip
    try:
        return data.rstrip(b"\x1c\r\n").decode(codec)
    except UnicodeDecodeError:
        raise UnreadableReport(
            "the bytes are not in the character set of the message",
            source=source,
            keyword="MSH-18",
            remedy="Name the character set in MSH-18; Latin-1 is 8859/1",
        ) from None


def _segments(text: str) -> tuple[list[list[str]], str]:
    """Divide a message; a line that is no segment continues the one before it."""
    rows: list[list[str]] = []
    for line in re.split(r"\r\n|\r|\n", text):
        if _SEGMENT.match(line):
            rows.append([line])
        elif rows and line.strip("\x0b\x1c "):
            rows[-1].append(line)
    separators = rows[0][0][3:4] + rows[0][0][4:8].split("|")[0]
    whole = (separators + "|^~\\&"[len(separators) :])[:5]
    return ["\\.br\\".join(parts).split(whole[0]) for parts in rows], whole


def _at(fields: Sequence[str], number: int) -> str:
    return fields[number] if number < len(fields) else ""


def component(fields: Sequence[str], number: int, separators: str, place: int = 0) -> str:
    """Give a component of the first repetition of a field, without escapes; "" if it is missing."""
    parts = _at(fields, number).split(separators[2])[0].split(separators[1])
    return unescape(parts[place], separators).strip() if place < len(parts) else ""


def _report(order: _Order, separators: str, source: str) -> PathologyReport:
    fields = order.fields
    status = _STATUS.get(_at(fields, 25).strip().upper())
    if status is None:
        raise UnreadableReport(
            "the status of the report is not known", source=source, keyword="OBR-25",
            remedy="Send a status of HL7 table 0123",
        )  # fmt: skip
    number = component(fields, 3, separators) or component(fields, 2, separators)
    kept: dict[tuple[str, ...], Sequence[str]] = {}
    for place, result in enumerate(order.results):
        state = _at(result, 11).strip().upper()
        sub = _at(result, 4) or (str(place) if state != "C" else _at(result, 1))
        key = (_at(result, 3), sub)
        if state in _GONE:
            kept.pop(key, None)
            continue
        if state == "C" and status is ReportStatus.FINAL:
            status = ReportStatus.CORRECTED
        kept[key] = result
    text = _text(kept.values(), order.specimens, separators)
    only_pdf = not text.strip() and any(_at(r, 2) in ("ED", "RP") for r in order.results)
    if status is not ReportStatus.WITHDRAWN and not text.strip():
        raise UnreadableReport(
            "the report is an attached document" if only_pdf else "the report has no text",
            source=source,
            keyword="OBX-5",
            remedy="Send the text of the report in OBX segments of type TX or FT",
        )
    accession = component(fields, 18, separators) or number
    return PathologyReport(
        source,
        identifier(number, source, "OBR-3"),
        identifier(order.patient, source, "PID-3"),
        identifier(accession, source, "OBR-18"),
        day_of(component(fields, 7, separators)),
        moment(component(fields, 22, separators)),
        status,
        text,
        day_of(order.birth_date),
    )


def _text(
    results: Iterable[Sequence[str]],
    specimens: Sequence[Sequence[str]],
    separators: str,
) -> str:
    """Make the text of a report from its results: parts with titles, single values as rows."""
    lines: list[str] = []
    for fields in specimens:
        parts = [_named(_at(fields, n), separators) for n in (7, 4, 8, 9)]
        lines.append("Specimen: " + ", ".join(part for part in parts if part))
    last = None
    for result in results:
        if _at(result, 2) in ("ED", "RP"):
            continue
        code = _at(result, 3).split(separators[1])
        title = SECTION_OF_LOINC.get(code[0])
        name = unescape(code[1] if len(code) > 1 else code[0], separators)
        values = _at(result, 5).split(separators[2])
        coded = _at(result, 2) in ("CE", "CWE", "CNE")
        shown = "\n".join(
            _named(v, separators) if coded else unescape(v, separators) for v in values
        )
        if title is None and ("\n" in shown or len(shown) > 120 or _at(result, 2) in ("TX", "FT")):
            title = name
        if title is None:
            unit = _named(_at(result, 6), separators)
            lines.append(f"{name}: {shown} {unit}".rstrip())
            last = None
            continue
        if title and title != last:
            lines += ["", f"{title.upper()}:"]
        last = title
        lines.append(shown)
    return "\n".join(lines)


def _named(value: str, separators: str) -> str:
    """Give the words of a coded value."""
    parts = value.split(separators[1])
    return unescape(parts[1] if len(parts) > 1 and parts[1] else parts[0], separators)
