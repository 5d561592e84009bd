"""A signed reading as a FHIR R4 transaction Bundle: a DiagnosticReport that names who signed it.

The report is final; with addenda it is appended, and a second opinion or a report that no longer
covers every image is preliminary. The patient is referred to by identifier; no name is written.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

from mammolens.core import Laterality
from mammolens.readings import SignedReading
from mammolens.sinks import Artefact
from mammolens.sinks._dicom_codes import Code
from mammolens.sinks._fhir_parts import (
    HL7,
    SITES,
    STUDY_REPORT,
    Json,
    coding,
    concept,
    imaging_study,
    known,
    reference,
    study_day,
    subject,
)
from mammolens.sinks._messages import ExamIdentity, identity_of
from mammolens.sinks.reading import codes as birads
from mammolens.sinks.reading.words import Wording, ai_sentences, mark_words, signature
from mammolens.wording import DISCLAIMER

__all__ = ["reading_bundle", "reading_fhir"]


def reading_fhir(reading: SignedReading, say: Wording) -> Artefact:
    """Give the bundle of a reading as a file."""
    text = json.dumps(reading_bundle(reading, say), ensure_ascii=False, indent=1, allow_nan=False)
    data = text.encode("utf-8", "replace") + b"\n"
    return Artefact("reading.json", "application/fhir+json", data)


def reading_bundle(reading: SignedReading, say: Wording) -> Json:
    """Make the transaction Bundle of a reading.

    Raises
    ------
    MissingAttribute, UnsupportedImage
        If patient or study are unknown, or there are several.

    Source: FHIR R4 (4.0.1), diagnosticreport.html.
    """
    writer = _Writer(reading, say, identity_of(reading.images, reading.images))
    return {
        "resourceType": "Bundle",
        "id": writer.uuid("Bundle"),
        "type": "transaction",
        "timestamp": writer.signed,
        "entry": list(writer.entries()),
    }


class _Writer:
    """Makes the entries of the bundle of one reading."""

    def __init__(self, reading: SignedReading, say: Wording, identity: ExamIdentity) -> None:
        self._reading, self._say, self._identity = reading, say, identity
        self.signed = reading.signed.isoformat(timespec="seconds")
        self._status = "final"
        if reading.additions:
            self._status = "appended"
        if reading.is_behind or reading.role == "opinion":
            self._status = "preliminary"

    def uuid(self, *what: str) -> str:
        """Give the UUID of a resource of the reading."""
        parts = self._identity.study_instance_uid, self._reading.id, *what
        return str(uuid.uuid5(uuid.NAMESPACE_OID, repr(parts)))

    def entries(self) -> Iterator[Json]:
        """Give every entry; an entry comes after the entries that it refers to."""
        yield self._put("Practitioner", self._practitioner())
        uid = f"urn:dicom:uid|urn:oid:{self._identity.study_instance_uid}"
        yield {
            "fullUrl": f"urn:uuid:{self.uuid('ImagingStudy')}",
            "resource": {"resourceType": "ImagingStudy"} | known(imaging_study(self._identity)),
            "request": {
                "method": "POST",
                "url": "ImagingStudy",
                "ifNoneExist": f"identifier={uid}",
            },
        }
        said = list(self._observations())
        yield from said
        yield self._put("DiagnosticReport", self._report([reference(entry) for entry in said]))

    def _put(self, kind: str, content: Json, *what: str) -> Json:
        name = self.uuid(kind, *what)
        return {
            "fullUrl": f"urn:uuid:{name}",
            "resource": {"resourceType": kind, "id": name} | known(content),
            "request": {"method": "PUT", "url": f"{kind}/{name}"},
        }

    def _link(self, kind: str) -> Json:
        return {"reference": f"urn:uuid:{self.uuid(kind)}"}

    def _practitioner(self) -> Json:
        observer = self._reading.observer
        identifier = {"system": "urn:mammolens:accounts", "value": observer.account}
        return {"identifier": [identifier], "name": [{"text": observer.name}]}

    def _observations(self) -> Iterator[Json]:
        answer = self._reading.answer
        for side, category, density in answer.breasts():
            if category is not None:
                value = birads.ASSESSMENTS[category]
                yield self._observed(birads.ASSESSMENT, value, side, "birads")
            if density is not None:
                value = birads.COMPOSITIONS[density]
                yield self._observed(birads.COMPOSITION, value, side, "density")
        recall = birads.YES if answer.recall else birads.NO
        yield self._observed(birads.RECALL, recall, None, "recall")
        for number, mark in enumerate(answer.findings, start=1):
            words = f"{number}: {mark_words(mark, self._say)}"
            said = self._said(birads.finding_code(mark.descriptors), self._reading.side_of(mark))
            yield self._put("Observation", said | {"valueString": words}, f"mark {number}")

    def _observed(self, name: Code, value: Code, side: Laterality | None, what: str) -> Json:
        said = self._said(name, side) | {"valueCodeableConcept": concept(value)}
        return self._put("Observation", said, what, side.value if side else "")

    def _said(self, name: Code, side: Laterality | None) -> Json:
        status = "final" if self._status == "appended" else self._status
        return {
            "status": status,
            "category": [{"coding": [coding((f"{HL7}observation-category", "imaging", ""))]}],
            "code": concept(name),
            "subject": subject(self._identity),
            "effectiveDateTime": study_day(self._identity),
            "issued": self.signed,
            "performer": [self._link("Practitioner")],
            "bodySite": {"coding": [coding(SITES[side])]},
            "derivedFrom": [self._link("ImagingStudy")],
        }

    def _report(self, results: list[Json]) -> Json:
        reading, answer = self._reading, self._reading.answer
        words = [
            *birads.status_words(reading),
            answer.comment,
            answer.urgent,
            *ai_sentences(reading, self._say),
            *(f"{one.author}: {one.text}" for one in reading.additions),
            signature(reading, self._say),
            f"{DISCLAIMER}.",
        ]
        coded = [answer.assessments.right.birads, answer.assessments.left.birads]
        return {
            "status": self._status,
            "category": [{"coding": [coding((f"{HL7}v2-0074", "RAD", "Radiology"))]}],
            "code": {"coding": [coding(STUDY_REPORT)], "text": "Mammography"},
            "subject": subject(self._identity),
            "effectiveDateTime": study_day(self._identity),
            "issued": self.signed,
            "performer": [self._link("Practitioner")],
            "resultsInterpreter": [self._link("Practitioner")],
            "result": results,
            "imagingStudy": [self._link("ImagingStudy")],
            "conclusion": " ".join(filter(None, words)),
            "conclusionCode": [concept(birads.ASSESSMENTS[one]) for one in coded if one],
        }
