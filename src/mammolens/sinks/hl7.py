"""``hl7/``: an HL7 v2.5.1 ORU^R01 message per exam, for systems that speak nothing newer.

The text is UTF-8 (MSH-18); carriage returns separate the segments. Every result has the status P
(preliminary), also one that replaces an earlier result: C would mean that the earlier one was final
(tables 0085, 0123). A failed exam has X (no result can be obtained) and no number. The triage
category and its threshold come first. A probability is a number only if the site has stated its
prevalence; if not, it is a sentence with the prevalence of the model's own data. The message's id
is computed from its content, so that a receiver recognises a repeat.
"""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from mammolens import __version__
from mammolens.core import Prediction, Scores
from mammolens.sinks import Artefact, RunInfo
from mammolens.sinks._dicom_values import date, time
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

_ESCAPES: Final = {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"}
_STUDY_REPORT: Final = "18748-4^Diagnostic imaging study^LN"
_OURS: Final = "99MAMMOLENS"
_LONGEST_LINE: Final = 160
"""Receivers that hold TX to the 199 characters of ST take it too, a few escapes included."""
_NAME_GROUPS: Final = "AIP"
"""Name Representation Codes of the groups of a DICOM person name (HL7 table 0465)."""


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
    body = [
        _pid(identity),
        _obr(prediction, identity),
        *_observations(prediction, identity, run),
    ]
    said = "\r".join(body).encode("utf-8", "replace")
    name = hashlib.sha256(f"{run.model.digest} {__version__} ".encode() + said).hexdigest()[:20]
    return "\r".join([_msh(run, name), *body]) + "\r"


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


def _segment(name: str, fields: dict[int, str]) -> str:
    """Join a segment from its fields by number; the values are already escaped."""
    cells = [fields.get(number, "") for number in range(1, max(fields) + 1)]
    return "|".join([name, *cells])


def _msh(run: RunInfo, name: str) -> str:
    sent = run.created.strftime("%Y%m%d%H%M%S%z")
    fields = {3: "MAMMOLENS", 7: sent, 9: "ORU^R01^ORU_R01", 10: name, 11: "P", 12: "2.5.1"}
    cells = [fields.get(number, "") for number in range(3, 13)]
    return "|".join(["MSH", "^~\\&", *cells, "", "", "", "", "", "UNICODE UTF-8"])


def _pid(identity: ExamIdentity) -> str:
    header = identity.header
    return _segment(
        "PID",
        {
            1: "1",
            3: f"{escape(identity.patient_id)}^^^^MR",
            5: _name(header.patient_name),
            7: date(header.patient_birth_date),
            8: header.patient_sex if header.patient_sex in ("F", "M", "O") else "U",
        },
    )


def _name(dicom_name: str | None) -> str:
    """Turn a DICOM person name into XPN: prefix and suffix change places."""
    names = []
    for kind, group in zip(_NAME_GROUPS, (dicom_name or "").split("="), strict=False):
        if group.strip("^ "):
            family, given, middle, prefix, suffix = [*group.split("^"), *([""] * 5)][:5]
            parts = map(escape, (family, given, middle, suffix, prefix))
            names.append("^".join([*parts, "", "L", kind]))
    return "~".join(names) or "^^^^^^U"


def _obr(prediction: Prediction, identity: ExamIdentity) -> str:
    header = identity.header
    accession = escape(header.accession_number or "")
    day = date(header.study_date)
    moment = day + time(header.study_time).partition(".")[0] if day else ""
    return _segment(
        "OBR",
        {
            1: "1",
            3: accession or f"{identity.study_instance_uid}^^{identity.study_instance_uid}^ISO",
            4: _STUDY_REPORT,
            7: moment,
            18: accession,
            24: "RAD",
            25: "I" if prediction.scores is None else "P",
        },
    )


def _observations(prediction: Prediction, identity: ExamIdentity, run: RunInfo) -> Iterator[str]:
    lines = list(_results(prediction, identity, run))
    for number, fields in enumerate(lines, start=1):
        equipment = f"{escape(prediction.model.name)} {escape(prediction.model.version)}"
        yield _segment("OBX", {1: str(number), 4: str(number), 18: equipment} | fields)
    yield _segment("NTE", {1: "1", 2: "L", 3: escape(DISCLAIMER)})


def _results(
    prediction: Prediction, identity: ExamIdentity, run: RunInfo
) -> Iterator[dict[int, str]]:
    """Give the fields of each OBX: name, value and status of an observation."""
    study = identity.study_instance_uid
    yield _result("ST", "110180^Study Instance UID^DCM", study, "P")
    category = prediction.category.value
    value = f"{category.upper()}^{category}^{_OURS}"
    yield _result("CWE", _ours("TRIAGE", "Triage category"), value, "P")
    thresholds = category_thresholds(prediction, run)
    if thresholds:
        what = _ours("THRESHOLD", "Threshold of the triage category")
        yield _result("TX", what, _lines(thresholds), "P")
    scores = prediction.scores
    if scores is None:
        yield _result("NM", _probability("EXAM", "exam"), "", "X")
        yield _result("TX", _ours("FAILURE", "Why there is no result"), escape(FAILED_WORDS), "P")
    else:
        yield _stated(_probability("EXAM", "exam"), scores, prediction, run)
        for breast in prediction.breasts:
            key = breast.laterality.value if breast.laterality else "UNKNOWN"
            name = _probability(key, BREAST_NAMES[breast.laterality])
            yield _stated(name, breast.scores, prediction, run)
    if scores is not None and run.prevalence_stated:
        what = "Share of malignant breasts that the probabilities stand for"
        yield _number(_ours("PREVALENCE", what), 100.0 * prediction.prevalence)
    for source, why in identity.missed:
        reason = " ".join(filter(None, (why, source.ref.sop_instance_uid)))
        what = _ours("NOT_ANALYSED", "Image that was not analysed")
        yield _result("TX", what, _lines([reason]), "P")
    if run.revision > 1:
        what = "Number of this result of the exam"
        yield _result("NM", _ours("REVISION", what), str(run.revision), "P")
        what = "Number of the result that it stands in place of"
        yield _result("NM", _ours("SUPERSEDES", what), str(run.revision - 1), "P")
    words = _lines(conclusion(prediction, run))
    yield _result("TX", _ours("CONCLUSION", "Conclusion of the software"), words, "P")


def _lines(sentences: Sequence[str]) -> str:
    """Give sentences as lines: repetitions of TX are shown one below the other (HL7 2.A.78)."""
    lines = (line for sentence in sentences for line in textwrap.wrap(sentence, _LONGEST_LINE))
    return "~".join(map(escape, lines))


def _stated(what: str, scores: Scores, prediction: Prediction, run: RunInfo) -> dict[int, str]:
    """Give a probability as a number, or in words if the site has not stated its prevalence."""
    if run.prevalence_stated:
        return _number(what, round(percentage(scores.malignant), 2))
    words = probability_words(scores.malignant, prediction, run)
    return _result("ST", what, escape(words), "P")


def _probability(key: str, what: str) -> str:
    return f"111047^Probability of cancer^DCM^{key}^Probability of cancer, {what}^{_OURS}"


def _ours(key: str, what: str) -> str:
    return f"{key}^{what}^{_OURS}"


def _number(what: str, percent_value: float) -> dict[int, str]:
    value = f"{percent_value:.6f}".rstrip("0").rstrip(".")
    return _result("NM", what, value, "P") | {6: "%^Percent^UCUM"}


def _result(kind: str, what: str, value: str, status: str) -> dict[int, str]:
    return {2: kind, 3: what, 5: value, 11: status}
