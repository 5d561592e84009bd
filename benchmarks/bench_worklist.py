"""Time of the worklist over 10,000 generated exams, for each filter and way of reading.

    python benchmarks/bench_worklist.py [sqlite:///FILE or postgresql://…] [RUNS]

The database is made if it holds no exam. Times are of the processor of this process (SQLite works
in it) and of the wall, 95th percentile of the runs.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from mammolens.serve.people import Person
from mammolens.serve.record import (
    EXAMS,
    INSTANCES,
    PEOPLE,
    READINGS,
    ROUNDS,
    SITES,
    Database,
    PersonRole,
    Verdict,
    fold,
    open_database,
)
from mammolens.serve.worklist import ExamStatus, ListOrder, Page, Place, Question, list_exams

EXAM_COUNT = 10_000
SITE_COUNT, PERSON_COUNT = 5, 20
NOW = datetime(2026, 3, 1, tzinfo=UTC)
VIEWS = ("RCC", "LCC", "RMLO", "LMLO")
CATEGORIES = {"high": 3, "failed": 1, "withheld": 10, "intermediate": 30, "low": 50, None: 6}
OPEN = tuple(status for status in ExamStatus if status is not ExamStatus.SIGNED)
QUESTIONS = {
    "all": Question(),
    "not signed": Question(status=OPEN),
    "new": Question(status=(ExamStatus.NEW,)),
    "words": Question(words="muller 12"),
    "high": Question(categories=("high",)),
    "reader": Question(reader=1),
    "received": Question(order=ListOrder.RECEIVED),
    "by name": Question(order=ListOrder.PATIENT),
}
MODES = {
    "concurrent": ["concurrent"] * SITE_COUNT,
    "second reader": ["second_reader"] * SITE_COUNT,
    "both": ["second_reader", *["concurrent"] * (SITE_COUNT - 1)],
}


def main() -> None:
    url = sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{tempfile.mkdtemp()}/node.sqlite"
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    database = open_database(url)
    with database.read() as connection:
        is_empty = connection.execute(sa.select(EXAMS.c.id).limit(1)).first() is None
    if is_empty:
        _fill(database, random.Random(1))
    roles = {site: frozenset({PersonRole.READER}) for site in (1, 2, 3)}
    people = {
        "reader": Person(1, "p1", "P", False, True, False, False, True, NOW, roles),
        "administrator": Person(2, "p2", "P", True, True, False, False, True, NOW, {}),
    }
    print("sites, who, question, exams; first page, next pages: CPU and wall, ms")
    for mode, modes in MODES.items():
        with database.write() as connection:
            for site, one in enumerate(modes, start=1):
                this = SITES.update().where(SITES.c.id == site)
                connection.execute(this.values(reading_mode=one))
        for who, person in people.items():
            for name, question in QUESTIONS.items():
                total, first, later = _time(database, person, question, runs)
                print(f"{mode:14} {who:14} {name:11} {total:6}  {first}  {later}", flush=True)


def _time(
    database: Database, person: Person, question: Question, runs: int
) -> tuple[int, str, str]:
    first, later = [], []
    page: Page | None = None
    for _ in range(runs):
        page = _page(database, person, question, None, first)
    assert page is not None
    total, after = page.total, page.next
    while after is not None and len(later) < runs:
        after = _page(database, person, question, after, later).next
    return total, _say(first), _say(later)


def _page(
    database: Database,
    person: Person,
    question: Question,
    after: Place | None,
    times: list[tuple[float, float]],
) -> Page:
    cpu, wall = time.process_time(), time.perf_counter()
    with database.read() as connection:
        page = list_exams(connection, person, question, VIEWS, after)
    times.append((time.process_time() - cpu, time.perf_counter() - wall))
    return page


def _say(times: list[tuple[float, float]]) -> str:
    if not times:
        return "   –      –"
    columns = (sorted(column) for column in zip(*times, strict=True))
    return " ".join(f"{1000 * column[int(0.95 * len(column))]:6.1f}" for column in columns)


def _fill(database: Database, rng: random.Random) -> None:
    with database.write() as connection:
        numbers = range(1, EXAM_COUNT + 1)
        sites = [
            {"id": n, "key": f"s{n}", "name": f"Site {n}", "created_at": NOW}
            for n in range(1, SITE_COUNT + 1)
        ]
        people = [
            {"id": n, "name": f"p{n}", "display_name": f"P {n}", "is_administrator": False}
            | {"totp_step": 0, "created_at": NOW}
            for n in range(1, PERSON_COUNT + 1)
        ]
        connection.execute(SITES.insert(), sites)
        connection.execute(PEOPLE.insert(), people)
        connection.execute(EXAMS.insert(), [_exam(number, rng) for number in numbers])
        images = [_image(number, n, view) for number in numbers for n, view in enumerate(VIEWS)]
        connection.execute(INSTANCES.insert(), images)
        for number in numbers:
            if rng.random() < 0.6:
                _read(connection, number, rng)


def _exam(number: int, rng: random.Random) -> dict[str, Any]:
    at = NOW - timedelta(minutes=rng.randrange(500_000))
    category = rng.choices([*CATEGORIES], [*CATEGORIES.values()])[0]
    surname = rng.choice(["Muller", "Maier", "Schmidt", "Smith", "Jones"])
    name = f"{surname}{rng.randrange(3000)}^{rng.choice(['Anne', 'Eva', 'Mia'])}"
    patient, accession = f"P{number // 2}", f"A{number}"
    rank = 2 if category is None else Verdict(category, 1, "m").rank
    has_score = category not in (None, "failed")
    return {
        "id": number,
        "study_instance_uid": f"1.2.{number}",
        "identity": f"{number:064x}",
        "patient_id": patient,
        "accession_number": accession,
        "first_received_at": at,
        "last_received_at": at,
        "version": 4,
        "queued_version": 4,
        "four_views": True,
        "site_id": rng.randrange(1, SITE_COUNT + 1),
        "patient_name": name,
        "birth_date": "1960-01-01",
        "study_date": at.date().isoformat(),
        "patient_key": f"{number // 2:064x}",
        "search_text": fold(f"{name} {patient} {accession} {at.date()}"),
        "views": " ".join(VIEWS),
        "rank": rank,
        "category": category,
        "score": rng.random() if has_score else None,
        "prevalence": 0.01,
        "doubts": "[]",
        "model": "m 1",
        "revision": 1,
    }


def _image(exam: int, number: int, view: str) -> dict[str, Any]:
    return {
        "sop_instance_uid": f"1.2.{exam}.{number}",
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.1.2",
        "digest": f"{exam:032x}{number:032x}",
        "size": 1,
        "role": "input",
        "view": view,
        "exam_id": exam,
        "exam_version": 1,
        "sender": "dimse:MG1",
        "received_at": NOW,
    }


def _read(connection: sa.Connection, exam: int, rng: random.Random) -> None:
    decided = rng.random() < 0.9
    at = NOW if decided else None
    one = {"id": exam, "exam_id": exam, "number": 1, "is_double": False, "opened_at": NOW}
    one |= {"state": "decided" if decided else "open", "version": 4 if decided else None}
    connection.execute(ROUNDS.insert().values(**one, decided_at=at))
    row = {"exam_id": exam, "round_id": exam, "person_id": rng.randrange(1, PERSON_COUNT + 1)}
    row |= {"role": "reader", "mode": "second_reader", "exam_version": 4, "edition": 1}
    row |= {"state": "signed" if decided else "draft", "slot": "first" if decided else None}
    row |= {"answer": "{}", "created_at": NOW, "changed_at": NOW, "locked_at": at, "signed_at": at}
    if decided:
        row |= {"first_answer": "{}", "first_version": 4, "blinded": True}
    connection.execute(READINGS.insert().values(**row))


if __name__ == "__main__":
    main()
