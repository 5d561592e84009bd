"""Exams looked up by the identifiers that a hospital knows, whether identity is taken off or not.

Where it is, the tables hold pseudonyms of patients and studies, which follow from the identifiers
that are asked for; accession numbers stand nowhere but in the sealed identities, which are opened
one by one. Nothing that is shown bears more identity than the tables do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final

from mammolens.errors import ConfigError, InputError, StorageError
from mammolens.images import ImageFile, identify
from mammolens.serve.holdings import NodeState, count_sealed, exams_with_accession, open_seal
from mammolens.serve.record import (
    ExamFilter,
    ExamRow,
    ExamState,
    ExamStory,
    Role,
    find_exams,
    read_exam,
)

__all__ = ["ExamAnswer", "ExamReport", "look_up", "report_exam"]

_WITHHELD: Final = frozenset({"token", "sealed", "malignancy", "tumour", "previous", "hash"})
"""Columns that are not shown: secrets of work, chains, and scores, which need their prevalence."""


@dataclass(frozen=True)
class ExamAnswer:
    """The exams that fit a question, the newest first, and what the asker must know of them."""

    rows: tuple[ExamRow, ...]
    n_found: int
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Give everything as plain values."""
        rows = [_plain(vars(row)) for row in self.rows]
        return {"n_found": self.n_found, "exams": rows, "notes": list(self.notes)}


@dataclass(frozen=True)
class ExamReport:
    """Everything known of one exam.

    `reasons` say in words why an object of this digest was refused at reception; `not_analysed`
    is what the newest result says of each input that it could not use (``None``: no file says).
    """

    story: ExamStory
    reasons: Mapping[str, str]
    not_analysed: tuple[Mapping[str, str], ...] | None
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Give everything as plain values."""
        parts = {
            name: [_shown(row) for row in part] if isinstance(part, tuple) else _plain(vars(part))
            for name, part in vars(self.story).items()
        }
        exam = parts.pop("row")
        for row in parts["instances"]:
            row["refusal"] = self.reasons.get(row["digest"])
        missed = _plain(self.not_analysed)
        return {"exam": exam, **parts, "not_analysed": missed, "notes": list(self.notes)}


def look_up(
    state: NodeState,
    patient_id: str | None = None,
    accession_number: str | None = None,
    study_instance_uid: str | None = None,
    standing: str | None = None,
    limit: int | None = None,
) -> ExamAnswer:
    """Find the exams that fit all that is given.

    Parameters
    ----------
    standing
        Name of an `ExamState`.
    limit
        Most rows that are given; `ExamAnswer.n_found` counts all.

    Raises
    ------
    ConfigError
        There is no such state.
    StorageError
        The database cannot be used, or identities are sealed with a key that is not there.
    """
    patient, accession, study = (
        given.strip() if given and given.strip() else None
        for given in (patient_id, accession_number, study_instance_uid)
    )
    patients = [patient] if patient else []
    studies = [study] if study else []
    bearers: frozenset[int] = frozenset()
    seal = open_seal(state.database, state.settings.intake.deidentify)
    if seal is not None:
        patients += [seal.pseudonyms.person(patient)] if patient else []
        studies += [seal.pseudonyms.uid(study)] if study else []
        if accession:
            bearers = exams_with_accession(state.database, seal, accession)
    asked = ExamFilter(
        patient_ids=tuple(patients),
        accession_number=accession,
        accession_exams=bearers,
        study_instance_uids=tuple(studies),
        state=_named(standing) if standing else None,
    )
    found = find_exams(state.database, asked, limit)
    return ExamAnswer(found.rows, found.n_found, _notes(state))


def report_exam(state: NodeState, exam_id: int) -> ExamReport:
    """Tell everything about one exam; what its files no longer tell is left out.

    Raises
    ------
    ConfigError
        There is no exam of this number.
    StorageError
        The database cannot be used.
    """
    story = read_exam(state.database, exam_id)
    refused = [row for row in story.instances if row["role"] == Role.REFUSED.value]
    reasons = {row["digest"]: _reason(state, row["digest"]) for row in refused}
    return ExamReport(story, reasons, _not_analysed(state, story), _notes(state))


def _named(standing: str) -> ExamState:
    names = [state.value for state in ExamState]
    given = standing.strip().lower().replace("-", "_")
    if given not in names:
        raise ConfigError(
            f"an exam is in no state {standing!r}",
            keyword="state",
            remedy=f"Give one of {', '.join(names)}",
        )
    return ExamState(given)


def _notes(state: NodeState) -> tuple[str, ...]:
    sealed = count_sealed(state.database)
    if state.settings.intake.deidentify is not None:
        return (
            "identity is taken off at reception: patients and studies are looked up, and shown, by"
            f" their pseudonyms; an accession number by opening {sealed} sealed identities",
        )
    if sealed:
        return (
            f"{sealed} objects were received with their identity taken off, and the settings have"
            " no key (intake.deidentify.key): their exams cannot be found by patient, accession"
            " number or study",
        )
    return ()


def _reason(state: NodeState, digest: str) -> str:
    """Say why a kept object is not an input, as its header tells."""
    try:
        refusal = identify(ImageFile(state.received.path(digest))).refusal
    except (InputError, OSError) as error:
        return error.message if isinstance(error, InputError) else "the file cannot be read"
    if refusal is None:
        return "digitised or computed radiography, which is read only if intake.film says so"
    return refusal.message


def _not_analysed(state: NodeState, story: ExamStory) -> tuple[Mapping[str, str], ...] | None:
    """Read from the newest result, if it was written as JSON, which inputs it could not use."""
    made = [f for f in story.files if f["sink"] == "json" and f["revision"] == story.row.revision]
    if not made:
        return None
    names = {row["digest"]: row["sop_instance_uid"] for row in story.instances}
    try:
        (exam,) = json.loads(state.results.read(made[0]["digest"]))["exams"]
        missed = [(item["path"], item["error"], item["message"]) for item in exam["unreadable"]]
    except (StorageError, ValueError, KeyError):
        return None
    return tuple(
        {
            "object": names.get(path, path),
            "error": error,
            "message": message.removeprefix(f"{path}: "),
        }
        for path, error, message in missed
    )


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = _plain({k: v for k, v in row.items() if k not in _WITHHELD})
    if isinstance(shown.get("detail"), str):
        shown["detail"] = json.loads(shown["detail"])
    return shown


def _plain(value: Any) -> Any:
    """Turn enums, times, tuples and mappings into what JSON can say."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value
