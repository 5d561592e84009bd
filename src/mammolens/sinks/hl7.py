"""``hl7/``: an HL7 v2.5.1 ORU^R01 message per exam, for systems that speak nothing newer.

The text is UTF-8 (MSH-18); carriage returns separate the segments. Every result has the status P
(preliminary), also one that replaces an earlier result: C would mean that the earlier one was final
(tables 0085, 0123). A failed exam has X (no result can be obtained) and no number. The triage
category and its threshold come first. A probability is a number only if the site has stated its
prevalence; if not, it is a sentence with the prevalence of the model's own data. The message's id
is computed from its content, so that a receiver recognises a repeat.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mammolens import __version__
from mammolens.clinical import item_words
from mammolens.core import Prediction, Scores
from mammolens.sinks import Artefact, RunInfo
from mammolens.sinks._density import DENSITY_CAUTION
from mammolens.sinks._dicom_codes import COMPOSITION, COMPOSITIONS, Code
from mammolens.sinks._hl7_segments import (
    NOTE,
    escape,
    lines,
    obr,
    observations,
    oru,
    pid,
    result,
    segment,
)
from mammolens.sinks._messages import (
    FAILED_WORDS,
    ExamIdentity,
    conclusion,
    exam_identity,
)
from mammolens.sinks._statements import (
    BREAST_NAMES,
    category_thresholds,
    percentage,
    probability_words,
)
from mammolens.wording import DISCLAIMER

__all__ = ["escape", "messages", "oru_message"]

_OURS: Final = "99MAMMOLENS"


def messages(prediction: Prediction, run: RunInfo) -> Iterator[Artefact]:
    """Give the message of an exam as a file."""
    data = oru_message(prediction, run).encode("utf-8")
    yield Artefact("message.hl7", "x-application/hl7-v2+er7", data)


def oru_message(prediction: Prediction, run: RunInfo) -> str:
    """Make the ORU^R01 of an exam.

    Raises
    ------
    MissingAttribute, UnsupportedImage
        If patient or study are unknown, or there are several.

    Source: HL7 v2.5.1, chapters 2 (delimiters, escapes), 3.4.2 (PID) and 7.4 (OBR, OBX).
    """
    identity = exam_identity(prediction)
    model = prediction.model
    body = [
        pid(identity),
        obr(identity, {25: "I" if prediction.scores is None else "P"}),
        *observations(
            _results(prediction, identity, run),
            {18: f"{escape(model.name)} {escape(model.version)}"},
        ),
        segment("NTE", {1: "1", 2: "L", 3: escape(DISCLAIMER)}),
    ]
    return oru(run.created, f"{run.model.digest} {__version__} ", body)


def _results(
    prediction: Prediction, identity: ExamIdentity, run: RunInfo
) -> Iterator[dict[int, str]]:
    """Give the fields of each OBX: name, value and status of an observation."""
    study = identity.study_instance_uid
    yield result("ST", "110180^Study Instance UID^DCM", study, "P")
    category = prediction.category.value
    value = f"{category.upper()}^{category}^{_OURS}"
    yield result("CWE", _ours("TRIAGE", "Triage category"), value, "P")
    thresholds = category_thresholds(prediction, run)
    if thresholds:
        what = _ours("THRESHOLD", "Threshold of the triage category")
        yield result("TX", what, lines(thresholds), "P")
    scores = prediction.scores
    if scores is None:
        yield result("NM", _probability("EXAM", "exam"), "", "X")
        yield result("TX", _ours("FAILURE", "Why there is no result"), escape(FAILED_WORDS), "P")
    else:
        yield _stated(_probability("EXAM", "exam"), scores, prediction, run)
        for breast in prediction.breasts:
            key = breast.laterality.value if breast.laterality else "UNKNOWN"
            name = _probability(key, BREAST_NAMES[breast.laterality])
            yield _stated(name, breast.scores, prediction, run)
    if scores is not None and run.prevalence_stated:
        what = "Share of malignant breasts that the probabilities stand for"
        yield _number(_ours("PREVALENCE", what), 100.0 * prediction.prevalence)
    density = prediction.density
    if density is not None and density.category is not None:
        value = _coded(COMPOSITIONS[density.category])
        yield result("CWE", _coded(COMPOSITION), value, "P") | {NOTE: DENSITY_CAUTION}
    if prediction.clinical:
        what = _ours("CLINICAL", "Clinical data known to the software")
        yield result("TX", what, lines([item_words(item) for item in prediction.clinical]), "P")
    for source, why in identity.missed:
        reason = " ".join(filter(None, (why, source.ref.sop_instance_uid)))
        what = _ours("NOT_ANALYSED", "Image that was not analysed")
        yield result("TX", what, lines([reason]), "P")
    if run.revision > 1:
        what = "Number of this result of the exam"
        yield result("NM", _ours("REVISION", what), str(run.revision), "P")
        what = "Number of the result that it stands in place of"
        yield result("NM", _ours("SUPERSEDES", what), str(run.revision - 1), "P")
    words = lines(conclusion(prediction, run))
    yield result("TX", _ours("CONCLUSION", "Conclusion of the software"), words, "P")


def _stated(what: str, scores: Scores, prediction: Prediction, run: RunInfo) -> dict[int, str]:
    """Give a probability as a number, or in words if the site has not stated its prevalence."""
    if run.prevalence_stated:
        return _number(what, round(percentage(scores.malignant), 2))
    words = probability_words(scores.malignant, prediction, run)
    return result("ST", what, escape(words), "P")


def _probability(key: str, what: str) -> str:
    return f"111047^Probability of cancer^DCM^{key}^Probability of cancer, {what}^{_OURS}"


def _coded(code: Code) -> str:
    return f"{code.value}^{escape(code.meaning)}^{code.scheme}"


def _ours(key: str, what: str) -> str:
    return f"{key}^{what}^{_OURS}"


def _number(what: str, percent_value: float) -> dict[int, str]:
    value = f"{percent_value:.6f}".rstrip("0").rstrip(".")
    return result("NM", what, value, "P") | {6: "%^Percent^UCUM"}
