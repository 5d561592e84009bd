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

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
    BundleWriter,
    Json,
    coding,
    concept,
    fhir_file,
    quantity,
    reference,
    subject,
)
from mammolens.sinks._messages import conclusion, exam_identity, message_id, model_id
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
    yield fhir_file("bundle.json", exam_bundle(prediction, run))


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
    now = run.created.isoformat(timespec="seconds")
    return _Writer(exam_identity(prediction), now, prediction, run).bundle()


@dataclass(frozen=True)
class _Writer(BundleWriter):
    """Makes the entries of one exam's bundle."""

    prediction: Prediction
    run: RunInfo

    def uuid(self, *what: str) -> str:
        """Give the UUID of a resource of the exam; all exams share the device."""
        model = self.prediction.model
        if what == ("Device",):
            return str(model_id(model))
        return str(message_id(self.identity, model, *what))

    def entries(self) -> Iterator[Json]:
        """Give every entry; an entry comes after the entries that it refers to."""
        yield self.put("Device", self._device())
        yield self.create_study()
        scores = self.prediction.scores
        exam = self.put("Observation", self._observation(None, scores), "exam")
        observations = [exam]
        if scores is not None:
            observations.insert(0, self.put("Observation", self._triage(), "triage"))
        for number, breast in enumerate(self.prediction.breasts):
            said = self._observation(breast.laterality, breast.scores)
            which = breast.laterality.value if breast.laterality else f"unknown {number}"
            observations.append(self.put("Observation", said, which))
        observations += self._densities()
        if self.prediction.clinical:
            observations.append(self.put("Observation", self._clinical(), "clinical"))
        for view, criteria in judged_views(self.prediction):
            observations.append(self.put("Observation", self._quality(view, criteria), view))
        yield from observations
        results = [reference(entry) for entry in observations]
        if scores is not None:
            yield self.put("RiskAssessment", self._risk(scores, reference(exam)))
        report = self.put("DiagnosticReport", self._report(results))
        yield report
        task_key = "Task", self.prediction.category.value
        name = f"urn:uuid:{self.uuid(*task_key)}"
        task = self._task(name, reference(report))
        yield self.create(task_key, f"urn:ietf:rfc:3986|{name}", task)

    def _device(self) -> Json:
        model = self.prediction.model
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
                "valueCodeableConcept": {"text": self.prediction.category.value},
                "component": [
                    {"code": code, "valueString": words}
                    for words in category_thresholds(self.prediction, self.run)
                ],
            },
        )

    def _observation(self, side: Laterality | None, scores: Scores | None) -> Json:
        """Make the Observation of the probability of cancer, of the exam or a breast."""
        absent = {"coding": [coding((f"{HL7}data-absent-reason", "error", "Error"))]}
        said: Json = {"dataAbsentReason": absent | {"text": "failed, not interpretable"}}
        if scores is not None and self.run.prevalence_stated:
            share = round(100.0 * self.prediction.prevalence, 6)
            said = {
                "valueQuantity": quantity(round(percentage(scores.malignant), 2)),
                "component": [{"code": {"text": _PREVALENCE}, "valueQuantity": quantity(share)}],
            }
        elif scores is not None:
            words = probability_words(scores.malignant, self.prediction, self.run)
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
        stated = [(None, self.prediction.density)]
        stated += [(one.laterality, one.density) for one in self.prediction.breasts]
        for side, density in stated:
            if density is not None and density.category is not None:
                value = {"valueCodeableConcept": concept(COMPOSITIONS[density.category])}
                said = self._observed(concept(COMPOSITION), side, value, DENSITY_CAUTION)
                which = side.value if side else "exam"
                yield self.put("Observation", said, f"density {which}")

    def _clinical(self) -> Json:
        """Make the Observation of what was known of the patient: each item with source and date.

        It repeats what other systems stated, for the reader of this result; it is no new fact.
        """
        parts = [
            {"code": {"text": ITEMS[item.name].title}, "valueString": item_words(item)}
            for item in self.prediction.clinical
        ]
        added = [
            {"code": {"text": f"Added to the log-odds: {one.name}"}, "valueString": words}
            for one, words in zip(
                self.prediction.fusion.contributions if self.prediction.fusion else (),
                contribution_words(self.prediction.fusion),
                strict=True,
            )
        ]
        text = "Clinical data known to the software"
        return self._observed({"text": text}, None, {"component": [*parts, *added]})

    def _observed(self, code: Json, side: Laterality | None, said: Json, *notes: str) -> Json:
        device = self.link("Device")
        notes = (DISCLAIMER, *notes)
        return self.observation("preliminary", code, side, said, device=device, notes=notes)

    def _risk(self, scores: Scores, basis: Json) -> Json:
        prediction, run = self.prediction, self.run
        share: Json = {"rationale": probability_words(scores.malignant, prediction, run)}
        if run.prevalence_stated:
            share = {
                "probabilityDecimal": round(percentage(scores.malignant) / 100.0, 4),
                "rationale": f"Share, 0 to 1, {prevalence_words(prediction, run)}",
            }
        return {
            "status": "preliminary",
            "subject": subject(self.identity),
            "occurrenceDateTime": self.issued,
            "performer": self.link("Device"),
            "basis": [self.link("ImagingStudy"), basis],
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
        words = " ".join(conclusion(self.prediction, self.run))
        title = "Mammography, AI second reader"
        return self.report("preliminary", title, results, words)

    def _task(self, name: str, report: Json) -> Json:
        return {
            "identifier": [{"system": "urn:ietf:rfc:3986", "value": name}],
            "status": "requested",
            "intent": "proposal",
            "priority": _PRIORITIES[self.prediction.category],
            "code": {"text": "Read the mammogram"},
            "description": " ".join(conclusion(self.prediction, self.run)),
            "focus": self.link("ImagingStudy"),
            "for": subject(self.identity),
            "authoredOn": self.issued,
            "requester": self.link("Device"),
            "input": [{"type": {"text": "AI report"}, "valueReference": report}],
        }
