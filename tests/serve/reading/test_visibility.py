"""Who sees what the AI says, mode by mode: the rule that every route asks."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from mammolens.serve import reading
from mammolens.serve.people import visible_exams
from mammolens.serve.record import (
    AI_VIEWS,
    EXAMS,
    OPINIONS,
    READINGS,
    ROUNDS,
    SITES,
    PersonRole,
)

WHO = ("reader", "second", "arbiter", "uploader", "head", "admin", "guest", "asked")
TABLE = {
    # mode, what happened: who of WHO sees the AI
    ("concurrent", "nothing"): "y y y y y y n y",
    ("concurrent", "began"): "y y y y y y n y",
    ("concurrent", "locked"): "y y y y y y n y",
    ("concurrent", "decided"): "y y y y y y n y",
    ("second_reader", "nothing"): "n n n n y y n n",
    ("second_reader", "began"): "n n n n y y n n",
    ("second_reader", "locked"): "y n n n y y n n",
    ("second_reader", "decided"): "y n n y y y n n",
    ("triage_only", "nothing"): "n n n n y y n n",
    ("triage_only", "locked"): "n n n n y y n n",
    ("triage_only", "decided"): "n n n n y y n n",
}


def begin(clinic, exam, name, mode, state="draft", **values):
    now = clinic.house.clock.now
    locked = {
        "locked_at": now,
        "first_answer": "{}",
        "first_version": 1,
        "blinded": True,
    }
    with clinic.database.write() as connection:
        round_ = sa.select(ROUNDS.c.id).where(ROUNDS.c.exam_id == exam).limit(1)
        number = connection.execute(round_).scalar_one_or_none()
        if number is None:
            made = ROUNDS.insert().values(
                exam_id=exam, number=1, is_double=False, state="open", opened_at=now
            )
            number = connection.execute(made.returning(ROUNDS.c.id)).scalar_one()
        row = {
            "exam_id": exam,
            "round_id": number,
            "person_id": clinic[name].id,
            "role": "reader",
            "state": state,
            "mode": mode,
            "exam_version": 1,
            "edition": 1,
            "answer": "{}",
            "created_at": now,
            "changed_at": now,
        }
        connection.execute(
            READINGS.insert().values(row | (locked if state == "locked" else {}) | values)
        )


def decide(clinic, exam):
    with clinic.database.write() as connection:
        decided = {"state": "decided", "version": 1, "decided_at": clinic.house.clock.now}
        connection.execute(ROUNDS.update().where(ROUNDS.c.exam_id == exam).values(decided))


def ask_opinion(clinic, exam, name, **values):
    with clinic.database.write() as connection:
        row = {
            "exam_id": exam,
            "person_id": clinic[name].id,
            "asked_by": clinic["reader"].id,
            "question": "?",
            "created_at": clinic.house.clock.now,
        }
        connection.execute(OPINIONS.insert().values(row | values))


def sees(clinic, name, exam):
    with clinic.database.read() as connection:
        return reading.may_see_ai(connection, clinic[name], exam)


@pytest.mark.parametrize(("mode", "happened"), TABLE)
def test_each_person_sees_the_ai_when_the_mode_lets_them(clinic, mode, happened):
    clinic.set(reading_mode=mode)
    exam, other = clinic.exam(), clinic.exam()
    clinic.cast["asked"] = clinic.house.invited("asked", {clinic.elsewhere: set()})
    ask_opinion(clinic, exam, "asked")
    if happened != "nothing":
        begin(clinic, exam, "reader", mode, "draft" if happened == "began" else "locked")
    if happened == "decided":
        decide(clinic, exam)
    heard = " ".join("y" if sees(clinic, name, exam) else "n" for name in WHO)
    assert heard == TABLE[mode, happened]
    worker = {clinic.site: {PersonRole.HEALTH_WORKER, PersonRole.UPLOADER}}
    clinic.cast["worker"] = clinic.house.invited("worker", worker)
    assert not sees(clinic, "worker", exam)
    with clinic.database.read() as connection:
        shown = reading.exams_with_visible_category(connection, clinic["worker"], [exam])
    assert shown == set()
    assert not sees(clinic, "asked", other)
    with clinic.database.read() as connection:
        found = reading.exams_with_visible_ai(connection, clinic["reader"], [exam, other, 999])
        category = reading.exams_with_visible_category(connection, clinic["reader"], [exam, 999])
    assert found == {number for number in (exam, other) if sees(clinic, "reader", number)}
    assert category == ({exam} if mode == "triage_only" else found - {other})


def test_a_reading_begun_blinded_stays_so_whatever_the_site_is_set_to(clinic):
    exam = clinic.exam()
    begin(clinic, exam, "reader", "second_reader")
    clinic.set(reading_mode="concurrent")
    assert not sees(clinic, "reader", exam)
    assert sees(clinic, "second", exam)


def test_a_reading_begun_blinded_hides_the_category_too(clinic):
    exam = clinic.exam()
    begin(clinic, exam, "reader", "second_reader")
    clinic.set(reading_mode="triage_only")
    with clinic.database.read() as connection:
        seen = [
            reading.exams_with_visible_category(connection, clinic[name], [exam])
            for name in ("reader", "second")
        ]
    assert seen == [set(), {exam}]


def test_who_must_read_again_is_blinded_again(clinic):
    clinic.set(reading_mode="second_reader")
    exam = clinic.exam()
    begin(clinic, exam, "reader", "second_reader", "locked")
    decide(clinic, exam)
    assert sees(clinic, "reader", exam)
    with clinic.database.write() as connection:
        connection.execute(EXAMS.update().values(version=2))
    assert not sees(clinic, "reader", exam)
    now = clinic.house.clock.now
    with clinic.database.write() as connection:
        opened = {"number": 2, "is_double": False, "state": "open", "opened_at": now}
        made = ROUNDS.insert().values(exam_id=exam, **opened).returning(ROUNDS.c.id)
        number = connection.execute(made).scalar_one()
    assert not sees(clinic, "reader", exam)
    begin(clinic, exam, "reader", "second_reader", round_id=number)
    assert not sees(clinic, "reader", exam)
    with clinic.database.write() as connection:
        locked = {"state": "locked", "locked_at": now, "first_answer": "{}"}
        locked |= {"first_version": 2, "blinded": False}
        connection.execute(READINGS.update().values(locked))
    assert sees(clinic, "reader", exam)


def test_an_exam_without_a_site_is_read_by_nobody(clinic):
    exam = clinic.exam(site=None)
    assert [name for name in WHO[:-1] if sees(clinic, name, exam)] == ["admin"]


def test_an_administrator_who_also_reads_is_blinded_as_a_reader(clinic):
    from mammolens.serve.people import set_roles
    from mammolens.serve.record import PersonRole

    exam = clinic.exam()
    both = frozenset({PersonRole.READER, PersonRole.ADMINISTRATOR})
    for name in ("head", "admin"):
        person = set_roles(clinic.database, clinic["admin"], clinic[name].id, clinic.site, both)
        clinic.cast[name] = person
        assert not sees(clinic, name, exam)


def test_an_opinion_that_ended_gives_no_sight(clinic):
    exam = clinic.exam()
    clinic.set(reading_mode="concurrent")
    ask_opinion(clinic, exam, "guest")
    assert sees(clinic, "guest", exam)
    with clinic.database.write() as connection:
        connection.execute(OPINIONS.update().values(ended_at=clinic.house.clock.now))
    assert not sees(clinic, "guest", exam)


def test_who_was_shown_the_ai_is_noted_once(clinic, rows):
    exam = clinic.exam()
    for _ in range(2):
        with clinic.database.write() as connection:
            reading.note_ai_shown(clinic.database, connection, clinic["head"], exam)
    assert len(rows(AI_VIEWS)) == 1


def test_the_rules_hold_whatever_else_a_list_joins(clinic):
    exam = clinic.exam()
    joined = EXAMS.join(SITES, SITES.c.id == EXAMS.c.site_id).outerjoin(
        ROUNDS, ROUNDS.c.exam_id == EXAMS.c.id
    )
    asked = sa.select(
        EXAMS.c.id,
        reading.ai_is_visible(clinic["reader"]),
        reading.category_is_visible(clinic["head"]),
        reading.reading_status(),
        reading.reader_id(),
        reading.reader_name(),
    ).select_from(joined.outerjoin(READINGS, READINGS.c.exam_id == EXAMS.c.id))
    with clinic.database.read() as connection:
        (row,) = connection.execute(asked.where(visible_exams(clinic["reader"]))).all()
    assert (row[0], bool(row[1]), bool(row[2])) == (exam, False, True)
    assert tuple(row[3:]) == ("new", None, None)
