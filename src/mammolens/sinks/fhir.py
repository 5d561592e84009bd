"""``fhir/``: a transaction Bundle (FHIR R4, JSON) per exam, ready to be posted to a server.

It has a DiagnosticReport, Observations (triage category; probability of the exam and each breast),
a RiskAssessment, an ImagingStudy, a Device, and a Task whose priority orders the worklist. A
probability is a number with its prevalence only if the site has stated its prevalence; if not, it
is a sentence with the prevalence of the model's data. Everything is preliminary, also a report that
replaces an earlier one: "amended" would mean that the earlier one was final. Ids are computed from
patient, study and model, so a repeat overwrites the earlier resources. Study and Task are created
only if the server does not have them, so that the hospital's own state is kept. The patient is
referred to by identifier; no name is written. A failed exam has an Observation without a value and
no RiskAssessment.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final

from mammolens import __version__
from mammolens.clinical import ITEMS, item_words
from mammolens.core import Criterion, Density, Laterality, Prediction, Scores, TriageCategory
from mammolens.sinks import Artefact, RunInfo
from mammolens.sinks._clinical import contribution_words
from mammolens.sinks._density import DENSITY_CAUTION
from mammolens.sinks._dicom_codes import COMPOSITION, COMPOSITIONS
from mammolens.sinks._fhir_parts import (
    DCM,
    HL7,
    SCT,
    SITES,
    STUDY_REPORT,
    Json,
    coding,
    concept,
    imaging_study,
    known,
    quantity,
    reference,
    study_day,
    subject,
)
from mammolens.sinks._messages import (
    ExamIdentity,
    conclusion,
    exam_identity,
    message_id,
    model_id,
)
from mammolens.sinks._statements import (
    category_thresholds,
    criterion_name,
    judged_views,
    percentage,
    prevalence_words,
    probability_words,
)
from mammolens.wording import DISCLAIMER

__all__ = ["bundles", "exam_bundle"]

_PROBABILITY: Final = (DCM, "111047", "Probability of cancer")
_CANCER: Final = (SCT, "254837009", "Malignant neoplasm of breast")
_PRIORITIES: Final = {
    TriageCategory.FAILED: "urgent",
    TriageCategory.HIGH: "urgent",
    TriageCategory.INTERMEDIATE: "routine",
    TriageCategory.LOW: "routine",
}

_PREVALENCE: Final = "Share of malignant breasts that it stands for"
"""Name of the component that gives the prevalence beside every percentage."""


def bundles(prediction: Prediction, run: RunInfo) -> Iterator[Artefact]:
    """Give the bundle of an exam as a file."""
    text = json.dumps(exam_bundle(prediction, run), ensure_ascii=False, indent=1, allow_nan=False)
    data = text.encode("utf-8", "replace") + b"\n"
    yield Artefact("bundle.json", "application/fhir+json", data)


def exam_bundle(prediction: Prediction, run: RunInfo) -> Json:
    """Make the transaction Bundle of an exam.

    Raises
    ------
    MissingAttribute, UnsupportedImage
        If patient or study are unknown, or there are several.

    Source: FHIR R4 (4.0.1), http.html#transaction.

    Notes
    -----
    Where the site has stated its prevalence, percentages are `valueQuantity` with the prevalence
    as a component, and `RiskAssessment.prediction.probabilityDecimal` is a share, 0–1.
    """
    writer = _Writer(prediction, run, exam_identity(prediction))
    return {
        "resourceType": "Bundle",
        "id": writer.uuid("Bundle"),
        "type": "transaction",
        "timestamp": writer.now,
        "entry": list(writer.entries()),
    }


class _Writer:
    """Makes the entries of one exam's bundle."""

    def __init__(self, prediction: Prediction, run: RunInfo, identity: ExamIdentity) -> None:
        self._prediction, self._run, self._identity = prediction, run, identity
        self.now = run.created.isoformat(timespec="seconds")
        self._day = study_day(identity)

    def uuid(self, *what: str) -> str:
        """Give the UUID of a resource of the exam; all exams share the device."""
        model = self._prediction.model
        if what == ("Device",):
            return str(model_id(model))
        return str(message_id(self._identity, model, *what))

    def entries(self) -> Iterator[Json]:
        """Give every entry; an entry comes after the entries that it refers to."""
        yield self._put("Device", self._device())
        study_uid = f"urn:oid:{self._identity.study_instance_uid}"
        yield self._create(
            ("ImagingStudy",), f"urn:dicom:uid|{study_uid}", imaging_study(self._identity)
        )
        scores = self._prediction.scores
        exam = self._put("Observation", self._observation(None, scores), "exam")
        observations = [exam]
        if scores is not None:
            observations.insert(0, self._put("Observation", self._triage(), "triage"))
        for number, breast in enumerate(self._prediction.breasts):
            said = self._observation(breast.laterality, breast.scores)
            which = breast.laterality.value if breast.laterality else f"unknown {number}"
            observations.append(self._put("Observation", said, which))
        observations += self._densities()
        if self._prediction.clinical:
            observations.append(self._put("Observation", self._clinical(), "clinical"))
        for view, criteria in judged_views(self._prediction):
            observations.append(self._put("Observation", self._quality(view, criteria), view))
        yield from observations
        results = [reference(entry) for entry in observations]
        if scores is not None:
            yield self._put("RiskAssessment", self._risk(scores, reference(exam)))
        report = self._put("DiagnosticReport", self._report(results))
        yield report
        task_key = "Task", self._prediction.category.value
        name = f"urn:uuid:{self.uuid(*task_key)}"
        task = self._task(name, reference(report))
        yield self._create(task_key, f"urn:ietf:rfc:3986|{name}", task)

    def _put(self, kind: str, content: Json, *what: str) -> Json:
        """Make an entry that the server stores under our id, new or overwritten."""
        name = self.uuid(kind, *what)
        return {
            "fullUrl": f"urn:uuid:{name}",
            "resource": {"resourceType": kind, "id": name} | known(content),
            "request": {"method": "PUT", "url": f"{kind}/{name}"},
        }

    def _create(self, what: tuple[str, ...], identifier: str, content: Json) -> Json:
        """Make an entry that the server creates only if it has none with this identifier."""
        return {
            "fullUrl": f"urn:uuid:{self.uuid(*what)}",
            "resource": {"resourceType": what[0]} | known(content),
            "request": {
                "method": "POST",
                "url": what[0],
                "ifNoneExist": f"identifier={identifier}",
            },
        }

    def _link(self, *what: str) -> Json:
        return {"reference": f"urn:uuid:{self.uuid(*what)}"}

    def _device(self) -> Json:
        model = self._prediction.model
        return {
            "identifier": [{"type": {"text": "SHA-256 of the model"}, "value": model.digest}],
            "status": "active",
            "manufacturer": "mammolens",
            "deviceName": [{"name": model.name, "type": "model-name"}],
            "type": {"text": "AI software for mammograms"},
            "version": [
                {"type": {"text": "model"}, "value": model.version},
                {"type": {"text": "mammolens"}, "value": __version__},
            ],
            "note": [{"text": DISCLAIMER}],
        }

    def _triage(self) -> Json:
        """Make the first Observation: the category, and its thresholds with their validation."""
        code = {"text": "Threshold of the triage category"}
        return self._observed(
            {"text": "AI triage category"},
            None,
            {
                "valueCodeableConcept": {"text": self._prediction.category.value},
                "component": [
                    {"code": code, "valueString": words}
                    for words in category_thresholds(self._prediction, self._run)
                ],
            },
        )

    def _observation(self, side: Laterality | None, scores: Scores | None) -> Json:
        """Make the Observation of the probability of cancer, of the exam or a breast."""
        absent = {"coding": [coding((f"{HL7}data-absent-reason", "error", "Error"))]}
        said: Json = {"dataAbsentReason": absent | {"text": "failed, not interpretable"}}
        if scores is not None and self._run.prevalence_stated:
            share = round(100.0 * self._prediction.prevalence, 6)
            said = {
                "valueQuantity": quantity(round(percentage(scores.malignant), 2)),
                "component": [{"code": {"text": _PREVALENCE}, "valueQuantity": quantity(share)}],
            }
        elif scores is not None:
            words = probability_words(scores.malignant, self._prediction, self._run)
            said = {"valueString": words}
        return self._observed({"coding": [coding(_PROBABILITY)]}, side, said)

    def _quality(self, view: str, criteria: Sequence[Criterion]) -> Json:
        """Make the Observation of the quality of a view or of the exam, a component a criterion."""
        components = [
            {
                "code": {"text": criterion_name(one)},
                "valueString": f"{one.standing.value.replace('_', ' ')}: {one.reason}",
            }
            for one in criteria
        ]
        said: Json = {"component": components}
        return self._observed({"text": f"Quality of the mammogram, {view}"}, None, said)

    def _densities(self) -> Iterator[Json]:
        """Make the Observation of the density of the exam and of each breast, where it is known."""
        stated: list[tuple[Laterality | None, Density | None]]
        stated = [(None, self._prediction.density)]
        stated += [(one.laterality, one.density) for one in self._prediction.breasts]
        for side, density in stated:
            if density is not None and density.category is not None:
                value = concept(COMPOSITIONS[density.category])
                said = self._observed(concept(COMPOSITION), side, {"valueCodeableConcept": value})
                said["note"].append({"text": DENSITY_CAUTION})
                which = side.value if side else "exam"
                yield self._put("Observation", said, f"density {which}")

    def _clinical(self) -> Json:
        """Make the Observation of what was known of the patient: each item with source and date.

        It repeats what other systems stated, for the reader of this result; it is no new fact.
        """
        parts = [
            {"code": {"text": ITEMS[item.name].title}, "valueString": item_words(item)}
            for item in self._prediction.clinical
        ]
        added = [
            {"code": {"text": f"Added to the log-odds: {one.name}"}, "valueString": words}
            for one, words in zip(
                self._prediction.fusion.contributions if self._prediction.fusion else (),
                contribution_words(self._prediction.fusion),
                strict=True,
            )
        ]
        text = "Clinical data known to the software"
        return self._observed({"text": text}, None, {"component": [*parts, *added]})

    def _observed(self, code: Json, side: Laterality | None, said: Json) -> Json:
        return {
            "status": "preliminary",
            "category": [{"coding": [coding((f"{HL7}observation-category", "imaging", ""))]}],
            "code": code,
            "subject": subject(self._identity),
            "effectiveDateTime": self._day,
            "issued": self.now,
            **known(said),
            "bodySite": {"coding": [coding(SITES[side])]},
            "device": self._link("Device"),
            "derivedFrom": [self._link("ImagingStudy")],
            "note": [{"text": DISCLAIMER}],
        }

    def _risk(self, scores: Scores, basis: Json) -> Json:
        prediction, run = self._prediction, self._run
        share: Json = {"rationale": probability_words(scores.malignant, prediction, run)}
        if run.prevalence_stated:
            share = {
                "probabilityDecimal": round(percentage(scores.malignant) / 100.0, 4),
                "rationale": f"Share, 0 to 1, {prevalence_words(prediction, run)}",
            }
        return {
            "status": "preliminary",
            "subject": subject(self._identity),
            "occurrenceDateTime": self.now,
            "performer": self._link("Device"),
            "basis": [self._link("ImagingStudy"), basis],
            "prediction": [
                {
                    "outcome": {"coding": [coding(_CANCER)]},
                    "qualitativeRisk": {"text": prediction.category.value},
                    **share,
                }
            ],
            "note": [{"text": DISCLAIMER}],
        }

    def _report(self, results: Sequence[Json]) -> Json:
        return {
            "status": "preliminary",
            "category": [{"coding": [coding((f"{HL7}v2-0074", "RAD", "Radiology"))]}],
            "code": {"coding": [coding(STUDY_REPORT)], "text": "Mammography, AI second reader"},
            "subject": subject(self._identity),
            "effectiveDateTime": self._day,
            "issued": self.now,
            "result": list(results),
            "imagingStudy": [self._link("ImagingStudy")],
            "conclusion": " ".join(conclusion(self._prediction, self._run)),
        }

    def _task(self, name: str, report: Json) -> Json:
        return {
            "identifier": [{"system": "urn:ietf:rfc:3986", "value": name}],
            "status": "requested",
            "intent": "proposal",
            "priority": _PRIORITIES[self._prediction.category],
            "code": {"text": "Read the mammogram"},
            "description": " ".join(conclusion(self._prediction, self._run)),
            "focus": self._link("ImagingStudy"),
            "for": subject(self._identity),
            "authoredOn": self.now,
            "requester": self._link("Device"),
            "input": [{"type": {"text": "AI report"}, "valueReference": report}],
        }
