"""A signed reading as a FHIR R4 transaction Bundle: a DiagnosticReport that names who signed it.

The report is final; with addenda it is appended, and a second opinion or a report that no longer
covers every image is preliminary. The patient is referred to by identifier; no name is written.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from mammolens.core import Laterality
from mammolens.readings import SignedReading
from mammolens.sinks import Artefact
from mammolens.sinks._dicom_codes import Code
from mammolens.sinks._fhir_parts import BundleWriter, Json, concept, fhir_file, reference
from mammolens.sinks._messages import identity_of
from mammolens.sinks.reading import codes as birads
from mammolens.sinks.reading.words import Wording, ai_sentences, mark_words, signature
from mammolens.wording import DISCLAIMER

__all__ = ["reading_bundle", "reading_fhir"]


def reading_fhir(reading: SignedReading, say: Wording) -> Artefact:
    """Give the bundle of a reading as a file."""
    return fhir_file("reading.json", reading_bundle(reading, say))


def reading_bundle(reading: SignedReading, say: Wording) -> Json:
    """Make the transaction Bundle of a reading.

    Raises
    ------
    MissingAttribute, UnsupportedImage
        If patient or study are unknown, or there are several.

    Source: FHIR R4 (4.0.1), diagnosticreport.html.
    """
    identity = identity_of(reading.images, reading.images)
    return _Writer(identity, reading.signed.isoformat(timespec="seconds"), reading, say).bundle()


@dataclass(frozen=True)
class _Writer(BundleWriter):
    """Makes the entries of the bundle of one reading."""

    reading: SignedReading
    say: Wording

    @property
    def status(self) -> str:
        """Status of the report; a second opinion, or a report that lacks images, is preliminary."""
        if self.reading.is_behind or self.reading.role == "opinion":
            return "preliminary"
        return "appended" if self.reading.additions else "final"

    def uuid(self, *what: str) -> str:
        """Give the UUID of a resource of the reading."""
        parts = self.identity.study_instance_uid, self.reading.id, *what
        return str(uuid.uuid5(uuid.NAMESPACE_OID, repr(parts)))

    def entries(self) -> Iterator[Json]:
        """Give every entry; an entry comes after the entries that it refers to."""
        yield self.put("Practitioner", self._practitioner())
        yield self.create_study()
        said = list(self._observations())
        yield from said
        yield self.put("DiagnosticReport", self._report([reference(entry) for entry in said]))

    def _practitioner(self) -> Json:
        observer = self.reading.observer
        identifier = {"system": "urn:mammolens:accounts", "value": observer.account}
        return {"identifier": [identifier], "name": [{"text": observer.name}]}

    def _observations(self) -> Iterator[Json]:
        answer = self.reading.answer
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
            words = f"{number}: {mark_words(mark, self.say)}"
            said = self._said(birads.finding_code(mark.descriptors), self.reading.side_of(mark))
            yield self.put("Observation", said | {"valueString": words}, f"mark {number}")

    def _observed(self, name: Code, value: Code, side: Laterality | None, what: str) -> Json:
        said = self._said(name, side) | {"valueCodeableConcept": concept(value)}
        return self.put("Observation", said, what, side.value if side else "")

    def _said(self, name: Code, side: Laterality | None) -> Json:
        status = "final" if self.status == "appended" else self.status
        by = {"performer": [self.link("Practitioner")]}
        return self.observation(status, concept(name), side, by)

    def _report(self, results: list[Json]) -> Json:
        reading, answer = self.reading, self.reading.answer
        words = [
            *birads.status_words(reading),
            answer.comment,
            answer.urgent,
            *ai_sentences(reading, self.say),
            *(f"{one.author}: {one.text}" for one in reading.additions),
            signature(reading, self.say),
            f"{DISCLAIMER}.",
        ]
        coded = [answer.assessments.right.birads, answer.assessments.left.birads]
        return self.report(
            self.status,
            "Mammography",
            results,
            " ".join(filter(None, words)),
            by=[self.link("Practitioner")],
            codes=[concept(birads.ASSESSMENTS[one]) for one in coded if one],
        )
