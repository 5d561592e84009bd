"""Build the segments of HL7 v2.5.1 that all our messages share, and escape their text.

Source: HL7 v2.5.1, chapters 2 (delimiters, escapes), 3.4.2 (PID) and 7.4 (OBR, OBX).
"""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from mammolens.sinks._dicom_values import date, time
from mammolens.sinks._messages import ExamIdentity

_STUDY_REPORT: Final = "18748-4^Diagnostic imaging study^LN"
NOTE: Final = 0
"""Key of a result that is not a field of OBX: the text of the NTE that follows it."""
_ESCAPES: Final = {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"}
_LONGEST_LINE: Final = 160
"""Characters. Some receivers limit TX to the 199 of ST; the rest leaves room for escapes."""
_NAME_GROUPS: Final = "AIP"
"""Name Representation Codes of the groups of a DICOM person name (HL7 table 0465)."""


def escape(text: str) -> str:
    """Escape delimiters and control characters.

    Examples
    --------
    >>> print(escape("A|B^C&D~E\\\\F\\n"))
    A\\F\\B\\S\\C\\T\\D\\R\\E\\E\\F\\X0A\\
    """
    return "".join(_ESCAPES.get(letter) or _printable(letter) for letter in text)


def _printable(letter: str) -> str:
    code = ord(letter)
    if code < 0x20 or code == 0x7F:
        return f"\\X{code:02X}\\"
    return "\N{REPLACEMENT CHARACTER}" if 0x80 <= code < 0xA0 or 0xD800 <= code < 0xE000 else letter


def segment(name: str, fields: dict[int, str]) -> str:
    """Join a segment from its fields by number; the values are already escaped."""
    cells = [fields.get(number, "") for number in range(1, max(fields) + 1)]
    return "|".join([name, *cells])


def oru(created: datetime, speaker: str, body: Sequence[str]) -> str:
    """Make an ORU^R01 of its segments; its id is computed from them and `speaker`, the sender."""
    said = "\r".join(body).encode("utf-8", "replace")
    name = hashlib.sha256(speaker.encode() + said).hexdigest()[:20]
    return "\r".join([_msh(created, name), *body]) + "\r"


def _msh(created: datetime, name: str) -> str:
    """Make the head of a message; `name` is its id."""
    sent = created.strftime("%Y%m%d%H%M%S%z")
    fields = {3: "MAMMOLENS", 7: sent, 9: "ORU^R01^ORU_R01", 10: name, 11: "P", 12: "2.5.1"}
    cells = [fields.get(number, "") for number in range(3, 13)]
    return "|".join(["MSH", "^~\\&", *cells, "", "", "", "", "", "UNICODE UTF-8"])


def pid(identity: ExamIdentity) -> str:
    """Make the PID, which states the patient."""
    header = identity.header
    return segment(
        "PID",
        {
            1: "1",
            3: f"{escape(identity.patient_id)}^^^^MR",
            5: _name(header.patient_name),
            7: date(header.patient_birth_date),
            8: header.patient_sex if header.patient_sex in ("F", "M", "O") else "U",
        },
    )


def obr(identity: ExamIdentity, fields: dict[int, str]) -> str:
    """Make the OBR, which states the study; `fields` are those of this message, by number."""
    header, study = identity.header, identity.study_instance_uid
    accession = escape(header.accession_number or "")
    day = date(header.study_date)
    own = {
        1: "1",
        3: accession or f"{study}^^{study}^ISO",
        4: _STUDY_REPORT,
        7: day + time(header.study_time).partition(".")[0] if day else "",
        18: accession,
        24: "RAD",
    }
    return segment("OBR", own | fields)


def observations(results: Iterable[dict[int, str]], more: dict[int, str]) -> Iterator[str]:
    """Number results and make an OBX of each; the fields `more` are the same in all of them.

    A result with `NOTE` has its text in an NTE that follows.
    """
    for number, fields in enumerate(results, start=1):
        note = fields.pop(NOTE, None)
        yield segment("OBX", {1: str(number), 4: str(number)} | more | fields)
        if note is not None:
            yield segment("NTE", {1: "1", 2: "L", 3: escape(note)})


def _name(dicom_name: str | None) -> str:
    """Turn a DICOM person name into XPN: prefix and suffix change places."""
    names = []
    for kind, group in zip(_NAME_GROUPS, (dicom_name or "").split("="), strict=False):
        if group.strip("^ "):
            family, given, middle, prefix, suffix = [*group.split("^"), *([""] * 5)][:5]
            parts = map(escape, (family, given, middle, suffix, prefix))
            names.append("^".join([*parts, "", "L", kind]))
    return "~".join(names) or "^^^^^^U"


def lines(sentences: Sequence[str]) -> str:
    """Give sentences as lines: repetitions of TX are shown one below the other (HL7 2.A.78)."""
    lines = (line for sentence in sentences for line in textwrap.wrap(sentence, _LONGEST_LINE))
    return "~".join(map(escape, lines))


def result(kind: str, what: str, value: str, status: str) -> dict[int, str]:
    """Give the fields of an OBX by number: its kind, name, value and status."""
    return {2: kind, 3: what, 5: value, 11: status}
