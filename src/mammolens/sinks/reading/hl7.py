"""A signed reading as an HL7 v2.5.1 ORU^R01 message that names the person who signed (OBR-32).

Results are final (F); those of a second opinion, or of a reading that no longer covers every image,
are preliminary (P). The id of the message follows from its content.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mammolens import __version__
from mammolens.core import Laterality
from mammolens.readings import SignedReading
from mammolens.sinks import Artefact
from mammolens.sinks._dicom_codes import Code
from mammolens.sinks._hl7_segments import (
    escape,
    lines,
    obr,
    observations,
    oru,
    pid,
    result,
    segment,
)
from mammolens.sinks._messages import identity_of
from mammolens.sinks.reading import codes as birads
from mammolens.sinks.reading.words import Wording, advice, ai_sentences, mark_words, signature
from mammolens.wording import DISCLAIMER

__all__ = ["reading_hl7", "reading_message"]

_SYSTEMS: Final = {"SCT": "SCT", "DCM": "DCM", "BI": "L", "99MAMMOLENS": "99MAMMOLENS"}
"""HL7 table 0396; BI-RADS itself is not in it."""


def reading_hl7(reading: SignedReading, say: Wording) -> Artefact:
    """Give the message of a reading as a file."""
    data = reading_message(reading, say).encode("utf-8")
    return Artefact("reading.hl7", "x-application/hl7-v2+er7", data)


def reading_message(reading: SignedReading, say: Wording) -> str:
    """Make the ORU^R01 of a reading.

    Raises
    ------
    MissingAttribute, UnsupportedImage
        If patient or study are unknown, or there are several.

    Source: HL7 v2.5.1, chapters 2, 3.4.2 (PID) and 7.4 (OBR, OBX).
    """
    identity = identity_of(reading.images, reading.images)
    status = "P" if reading.is_behind or reading.role == "opinion" else "F"
    signed = reading.signed.strftime("%Y%m%d%H%M%S%z")
    account, name = escape(reading.observer.account), escape(reading.observer.name)
    body = [
        pid(identity),
        obr(identity, {22: signed, 25: status, 32: f"{account}&{name}"}),
        *observations(_results(reading, say, status), {14: signed, 16: f"{account}^{name}"}),
        segment("NTE", {1: "1", 2: "L", 3: escape(DISCLAIMER)}),
    ]
    return oru(reading.signed, f"{__version__} ", body)  # the id depends on this text: keep it


def _results(reading: SignedReading, say: Wording, status: str) -> Iterator[dict[int, str]]:
    answer = reading.answer
    for laterality, category, density in answer.breasts():
        side = "right" if laterality is Laterality.RIGHT else "left"
        if category is not None:
            value = _coded(birads.ASSESSMENTS[category])
            yield result("CWE", _named(birads.ASSESSMENT, side), value, status)
        if density is not None:
            value = _coded(birads.COMPOSITIONS[density])
            yield result("CWE", _named(birads.COMPOSITION, side), value, status)
    recall = birads.YES if answer.recall else birads.NO
    yield result("CWE", _coded(birads.RECALL), _coded(recall), status)
    for number, mark in enumerate(answer.findings, start=1):
        name = _coded(birads.finding_code(mark.descriptors))
        yield result("TX", name, lines([f"{number}: {mark_words(mark, say)}"]), status)
    texts = {
        "STANDING": birads.status_words(reading),
        "RECOMMENDATION": advice(reading, say),
        "COMMENT": answer.comment.splitlines(),
        "URGENT": answer.urgent.splitlines(),
        "AI": ai_sentences(reading, say),
        "ADDENDUM": [f"{one.author}: {one.text}" for one in reading.additions],
        "SIGNATURE": [signature(reading, say)],
    }
    for key, sentences in texts.items():
        if any(sentences):
            name = f"{key}^{key.capitalize()}^99MAMMOLENS"
            yield result("TX", name, lines(sentences), status)


def _coded(code: Code) -> str:
    return f"{escape(code.value)}^{escape(code.meaning)}^{_SYSTEMS[code.scheme]}"


def _named(code: Code, side: str) -> str:
    """Name an observation of one breast: its code, and ours with the side."""
    key = f"{code.value}.{side.upper()}"
    return f"{_coded(code)}^{key}^{escape(code.meaning)}, {side} breast^99MAMMOLENS"
