"""Exams as lines of text: a table of many exams, or the report of one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from pydicom.uid import UID

from mammolens.core import TriageCategory
from mammolens.serve.lookup.exams import ExamAnswer, ExamRow
from mammolens.serve.lookup.report import ExamReport, Row
from mammolens.serve.record import Role, WorkState
from mammolens.wording import CATEGORY_WORDS, printable

__all__ = ["exam_lines", "report_lines"]

_HEADINGS: Final = (
    *("ID", "STATE", "CATEGORY", "PATIENT", "ACCESSION", "LAST RECEIVED", "VIEWS"),
    *("REFUSED", "DELIVERIES", "STUDY"),
)
_UNKNOWN: Final = "-"
_SHOWN_ABOVE: Final = frozenset({"study_instance_uid", "digest", "job"})
"""Details of the audit trail that the report shows before it."""


def exam_lines(answer: ExamAnswer) -> list[str]:
    """Write exams as a table, and the number of exams that it leaves out."""
    if not answer.rows:
        return ["no exam fits"]
    table = _table([_HEADINGS, *(_cells(row) for row in answer.rows)])
    more = answer.n_found - len(answer.rows)
    return [*table, *([f"{more} more: raise --limit, or ask more closely"] if more else [])]


def report_lines(report: ExamReport) -> list[str]:
    """List the received objects of one exam, its results and their deliveries."""
    row = report.exam
    who = f"patient {_known(row.patient_id)}, accession number {_known(row.accession_number)}"
    category = f", {_category(row.category)}" if row.category else ""
    return [
        f"exam {row.id}: {row.state.value}{category}",
        f"  {who}",
        f"  study {row.study_instance_uid}",
        f"  received from {_time(row.first_received_at)} to {_time(row.last_received_at)}",
        *_part("came", map(_instance, _of_roles(report.instances, Role.INPUT, Role.COPY))),
        *_part(
            "refused",
            (
                _instance(i, report.reasons.get(i["digest"]))
                for i in _of_roles(report.instances, Role.REFUSED, Role.RIVAL)
            ),
        ),
        *_part("passed over", map(_passed_over, report.passed_over)),
        *_part("analyses", map(_job, report.jobs)),
        *_part("results", map(_result, report.results)),
        *_part("not analysed, says the newest result", map(_missed, report.not_analysed or ())),
        *_part("deliveries", map(_delivery, report.deliveries)),
        *_part("audit trail", map(_trail, report.trail)),
    ]


def _cells(row: ExamRow) -> tuple[str, ...]:
    refused = row.received[Role.REFUSED.value] + row.received[Role.RIVAL.value]
    deliveries = "; ".join(
        f"{route} {', '.join(f'{number} {state}' for state, number in counts.items())}"
        for route, counts in row.deliveries.items()
    )
    return (
        str(row.id),
        row.state.value,
        row.category.value if row.category else _UNKNOWN,
        _known(row.patient_id),
        _known(row.accession_number),
        _time(row.last_received_at),
        " ".join(row.views) or f"{row.received[Role.INPUT.value]} images",
        str(refused),
        deliveries or _UNKNOWN,
        row.study_instance_uid,
    )


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _part(title: str, lines: Iterable[str]) -> Iterator[str]:
    shown = list(lines)
    if shown:
        yield f"{title}:"
        yield from (f"  {printable(line)}" for line in shown)


def _of_roles(instances: Iterable[Row], *roles: Role) -> Iterator[Row]:
    wanted = {role.value for role in roles}
    return (instance for instance in instances if instance["role"] in wanted)


def _instance(row: Row, why: str | None = None) -> str:
    what = _class(row["sop_class_uid"])
    role = "" if row["role"] in (Role.INPUT.value, Role.REFUSED.value) else f" ({row['role']})"
    reason = ": ".join(part for part in (row["reason"], why) if part)
    return (
        f"{row['view'] or 'no standard view'}{role}  {row['sop_instance_uid']}  {what}"
        f"  {_time(row['received_at'])} from {row['sender']}{f'  {reason}' if reason else ''}"
    )


def _passed_over(row: Row) -> str:
    why = {"own_result": "a result of this node", "other_class": "not a mammogram by its SOP class"}
    reason = why.get(str(row.get("reason")), row.get("reason"))
    what = _class(str(row.get("sop_class_uid")))
    where = f"{_time(row['at'])} from {row['actor']}"
    return f"{row.get('sop_instance_uid')}  {what}  {where}  {reason}"


def _job(row: Row) -> str:
    ended = f", {_time(row['finished_at'])}" if row["finished_at"] else ""
    error = f": {row['error']}" if row["error"] else ""
    return f"version {row['version']}  {row['state']}{ended}, {_attempts(row)}{error}"


def _result(row: Row) -> str:
    cautions = ", ".join(row["cautions"].split())
    return (
        f"result {row['revision']}  {_category(TriageCategory(row['category']))}"
        f"  {_time(row['created_at'])}  images analysed: {row['n_images']},"
        f" objects not: {row['n_unreadable']}  {row['model_name']} {row['model_version']}"
        f"{f'  cautions: {cautions}' if cautions else ''}"
    )


def _missed(item: Mapping[str, str]) -> str:
    return f"{item['object']}  {item['error']}: {item['message']}"


def _delivery(row: Row) -> str:
    when = f"{_time(row['finished_at'])}, " if row["finished_at"] else ""
    overtaken = "; a later result has overtaken it" if row["overtaken"] else ""
    waits = row["state"] == WorkState.QUEUED.value and row["attempts"]
    again = f", again after {_time(row['not_before'])}" if waits else ""
    error = f"  last error: {row['error']}" if row["error"] else ""
    return (
        f"{row['route']}  {row['sink']} of result {row['revision']}  {row['state']}"
        f" ({when}{_attempts(row)}{again}{overtaken}; delivery {row['id']}){error}"
    )


def _trail(row: Row) -> str:
    detail = json.loads(row["detail"])
    shown = (
        f"{key}={value}"
        for key, value in detail.items()
        if value is not None and key not in _SHOWN_ABOVE
    )
    line = f"{row['number']}  {_time(row['at'])}  {row['actor']}  {row['action']}"
    return "  ".join([line, *shown])


def _attempts(row: Row) -> str:
    return f"{row['attempts']} attempt{'s' * (row['attempts'] != 1)}"


def _category(category: TriageCategory) -> str:
    failed = category is TriageCategory.FAILED
    return CATEGORY_WORDS[category] if failed else f"category {category.value}"


def _class(uid: str) -> str:
    name = UID(uid).name
    return name if name != uid else f"SOP class {uid}"


def _known(text: str | None) -> str:
    return printable(text) if text else _UNKNOWN


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}Z"
