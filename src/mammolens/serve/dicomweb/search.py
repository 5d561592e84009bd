"""QIDO-RS: studies, series and instances that a viewer may know of and that fit a query.

Exams are gone through from the newest to the oldest, some at a time, and only as far as the answer
needs. What the AI made of an exam is not counted for those who may not see it.

Source: PS3.18 10.6 (Search transaction).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, Final

import sqlalchemy as sa

from mammolens.serve.dicomweb.attributes import Level, attributes_of
from mammolens.serve.dicomweb.finding import Viewer, first_of_uid, may_know, shown_headers
from mammolens.serve.dicomweb.json_model import CHARSET, UTF_8, Attributes
from mammolens.serve.dicomweb.matching import Criterion, Query, fits
from mammolens.serve.record import EXAMS, HEADERS, Database

__all__ = ["Found", "search"]

EXAMS_AT_A_TIME: Final = 100
Address = Callable[[str, str | None, str | None], str]
"""Gives the address of a study, series or instance by its UIDs."""


@dataclass(frozen=True)
class Found:
    """Rows of the answer, and whether there are more."""

    rows: tuple[Attributes, ...]
    has_more: bool


def search(
    database: Database, viewer: Viewer, query: Query, uids: Sequence[str], address: Address
) -> Found:
    """Answer a query.

    Parameters
    ----------
    uids
        Study, and series, within which is searched.

    Raises
    ------
    StorageError
        The database is away.
    """
    with database.read() as connection:
        rows = _rows(connection, viewer, query, uids, address)
        found = list(islice(rows, query.offset, query.offset + query.limit + 1))
    return Found(tuple(found[: query.limit]), len(found) > query.limit)


def _rows(
    connection: sa.Connection,
    viewer: Viewer,
    query: Query,
    uids: Sequence[str],
    address: Address,
) -> Iterator[Attributes]:
    for exams in _exams(connection, viewer, query, uids):
        headers = shown_headers(connection, viewer, list(exams))
        for exam_id, listed in groupby(headers, key=lambda row: int(row.exam_id)):
            kept = list(first_of_uid(listed))
            for row in _of_exam(exams[exam_id], kept, query, uids, address):
                if all(fits(criterion, row) for criterion in query.criteria):
                    yield _asked_for(row, query, uids)


def _exams(
    connection: sa.Connection, viewer: Viewer, query: Query, uids: Sequence[str]
) -> Iterator[dict[int, str]]:
    """Give the study of each exam that may fit, by its number, some at a time, newest first."""
    asked = sa.select(EXAMS.c.id, EXAMS.c.study_instance_uid).where(may_know(viewer))
    if uids:
        asked = asked.where(EXAMS.c.study_instance_uid == uids[0])
    for criterion in query.criteria:
        condition = _condition(criterion)
        if condition is not None:
            asked = asked.where(condition)
    before = None
    while True:
        some = asked if before is None else asked.where(EXAMS.c.id < before)
        rows = connection.execute(some.order_by(EXAMS.c.id.desc()).limit(EXAMS_AT_A_TIME)).all()
        if not rows:
            return
        yield {row.id: row.study_instance_uid for row in rows}
        before = rows[-1].id


def _condition(criterion: Criterion) -> sa.ColumnElement[bool] | None:
    """Give what the database can already leave out; every row is compared again afterwards."""
    value = criterion.value
    listed = value.replace("\\", ",").split(",")
    has = sa.select(HEADERS.c.id).where(HEADERS.c.exam_id == EXAMS.c.id)
    match criterion.attribute.keyword:
        case "StudyInstanceUID":
            return EXAMS.c.study_instance_uid.in_(listed)
        case "SeriesInstanceUID":
            return has.where(HEADERS.c.series_instance_uid.in_(listed)).exists()
        case "SOPInstanceUID":
            return has.where(HEADERS.c.sop_instance_uid.in_(listed)).exists()
        case "StudyDate":
            first, dash, last = value.partition("-")
            date = HEADERS.c.study_date
            has = has.where(date >= first) if first else has
            last = last if dash else first
            return (has.where(date <= last) if last else has).exists()
    return None


def _of_exam(
    study: str, headers: list[sa.Row[Any]], query: Query, uids: Sequence[str], address: Address
) -> Iterator[Attributes]:
    """Give the rows of one exam at the level of the query, with everything that is known."""
    if not headers:
        return
    parsed = [(row, json.loads(row.attributes)) for row in headers]
    of_study = _study(study, parsed, address)
    if query.level is Level.STUDY:
        yield of_study
        return
    by_series: dict[str, list[tuple[sa.Row[Any], Attributes]]] = {}
    for item in parsed:
        by_series.setdefault(item[0].series_instance_uid, []).append(item)
    for uid, items in by_series.items():
        if len(uids) > 1 and uid != uids[1]:
            continue
        of_series = of_study | _series(study, uid, items, address)
        if query.level is Level.SERIES:
            yield of_series
            continue
        for row, attributes in items:
            yield of_series | _instance(study, row, attributes, address)


def _study(study: str, items: list[tuple[sa.Row[Any], Attributes]], address: Address) -> Attributes:
    # Results of the AI repeat what the first image says.
    found = _level(items[0][1], Level.STUDY)
    modalities = sorted({row.modality for row, _ in items if row.modality})
    return found | {
        CHARSET: UTF_8,
        "00080056": {"vr": "CS", "Value": ["ONLINE"]},
        "00080061": {"vr": "CS", "Value": modalities},
        "00081190": {"vr": "UR", "Value": [address(study, None, None)]},
        "0020000D": {"vr": "UI", "Value": [study]},
        "00201206": {"vr": "IS", "Value": [len({row.series_instance_uid for row, _ in items})]},
        "00201208": {"vr": "IS", "Value": [len(items)]},
    }


def _series(
    study: str, uid: str, items: list[tuple[sa.Row[Any], Attributes]], address: Address
) -> Attributes:
    return _level(items[0][1], Level.SERIES) | {
        "0020000E": {"vr": "UI", "Value": [uid]},
        "00081190": {"vr": "UR", "Value": [address(study, uid, None)]},
        "00201209": {"vr": "IS", "Value": [len(items)]},
    }


def _instance(study: str, row: sa.Row[Any], attributes: Attributes, address: Address) -> Attributes:
    series, uid = row.series_instance_uid, row.sop_instance_uid
    found = _level(attributes, Level.INSTANCE) | {
        "00080016": {"vr": "UI", "Value": [row.sop_class_uid]},
        "00080018": {"vr": "UI", "Value": [uid]},
        "00081190": {"vr": "UR", "Value": [address(study, series, uid)]},
    }
    if row.transfer_syntax_uid:
        found["00083002"] = {"vr": "UI", "Value": [row.transfer_syntax_uid]}
    return found


def _level(attributes: Attributes, level: Level) -> Attributes:
    tags = attributes_of(level)
    return {tag: value for tag, value in attributes.items() if tag in tags}


def _asked_for(row: Attributes, query: Query, uids: Sequence[str]) -> Attributes:
    """Give what the standard wants at this level, and what was asked for beside it."""
    levels = [query.level]
    if query.level is not Level.STUDY and not uids:
        levels.append(Level.STUDY)
    if query.level is Level.INSTANCE and len(uids) < 2:
        levels.append(Level.SERIES)
    usual = {CHARSET, "0020000D"}
    if query.level is Level.INSTANCE:
        usual.add("0020000E")
    for level in levels:
        usual |= {tag for tag, found in attributes_of(level).items() if found.is_usual}
    wanted = usual | query.included if query.included is not None else row.keys()
    return dict(sorted(((t, v) for t, v in row.items() if t in wanted), key=itemgetter(0)))
