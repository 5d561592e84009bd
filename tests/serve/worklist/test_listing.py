"""The worklist: its order, its pages, and that nothing of it tells what is hidden."""

from __future__ import annotations

import itertools
import random
from datetime import timedelta

import pytest
import sqlalchemy as sa

from mammolens.serve.people import find_person
from mammolens.serve.record import (
    EXAMS,
    JOBS,
    PRIORS,
    READINGS,
    ROUNDS,
    SITES,
    PersonRole,
    Verdict,
    doubt_verdict,
    enter_verdict,
)
from mammolens.serve.worklist import ExamStatus, ListOrder, Question, list_exams
from mammolens.serve.worklist.rows import exam_status, has_status

from ..house import House

VIEWS = ("RCC", "LCC", "RMLO", "LMLO")
CATEGORIES = ("low", "intermediate", "withheld", "failed", "high", None)


class Site:
    """A site with a reader, and exams in front of them."""

    def __init__(self, database, clock) -> None:
        self.house, self.database, self.clock = House(database, clock), database, clock
        self.id = self.house.site("north")
        self.reader = self.house.invited("reader", {self.id: {PersonRole.READER}})
        self.count = 0

    def set(self, **values) -> None:
        with self.database.write() as connection:
            connection.execute(SITES.update().where(SITES.c.id == self.id).values(**values))

    def exam(self, category=None, doubts=(), minutes=None, **values) -> int:
        self.count += 1
        at = self.clock.now + timedelta(minutes=self.count if minutes is None else minutes)
        row = {"study_instance_uid": f"1.2.{self.count}", "identity": f"{self.count:064x}"}
        row |= {"first_received_at": at, "last_received_at": at, "version": 1}
        row |= {"queued_version": 1, "four_views": True, "site_id": self.id} | values
        with self.database.write() as connection:
            made = connection.execute(EXAMS.insert().values(**row).returning(EXAMS.c.id))
            number = int(made.scalar_one())
            if category is not None:
                score = None if category == "failed" else 0.5
                verdict = Verdict(category, 1, "m 1", score, 0.01, doubts)
                enter_verdict(connection, number, verdict)
        return number

    def list(self, person=None, after=None, **asked):
        with self.database.read() as connection:
            who = find_person(connection, (person or self.reader).id)
            return list_exams(connection, who, Question(**asked), VIEWS, after)

    def ids(self, **asked) -> list[int]:
        return [row.id for row in self.list(**asked).rows]


@pytest.fixture
def site(database, clock) -> Site:
    return Site(database, clock)


def test_the_order_is_that_of_reading(site):
    site.set(reading_mode="concurrent")
    low, intermediate, withheld, failed, high, waiting = (site.exam(c) for c in CATEGORIES)
    doubted = site.exam("intermediate", [("not_validated", "?")])
    later = site.exam("high")
    order = [high, later, failed, withheld, waiting, doubted, intermediate, low]
    assert site.ids() == order
    assert site.ids(order=ListOrder.RECEIVED) == sorted(order, reverse=True)
    first = site.exam("high", minutes=-5)
    assert site.ids()[0] == first


@pytest.mark.parametrize(
    ("mode", "order", "by_triage"),
    [
        ("second_reader", "reception", False),
        ("second_reader", "triage", True),
        ("triage_only", "reception", True),
        ("concurrent", "reception", True),
    ],
)
def test_each_site_has_its_order(site, mode, order, by_triage):
    site.set(reading_mode=mode, exam_order=order)
    ids = [site.exam(category) for category in CATEGORIES]
    low, intermediate, withheld, failed, high, waiting = ids
    triage = [high, failed, withheld, waiting, intermediate, low]
    assert site.ids() == (triage if by_triage else ids)


def test_what_is_hidden_takes_part_in_no_filter_and_no_count(site):
    site.set(reading_mode="second_reader")
    for category in CATEGORIES:
        site.exam(category, [("doubt", "?")] if category == "withheld" else ())
    for category in CATEGORIES[:-1]:
        assert site.list(categories=(category,)).total == 0
    assert site.list(doubt=True).total == site.list(doubt=False).total == 0
    assert site.list().total == 6
    for row in site.list().rows:
        assert (row.ai, row.ai_hidden) == (None, True)
    site.set(reading_mode="concurrent")
    assert [site.list(categories=(c,)).total for c in CATEGORIES[:-1]] == [1] * 5
    assert (site.list(doubt=True).total, site.list(doubt=False).total) == (1, 4)


def test_in_triage_alone_there_is_a_category_and_no_score(site):
    site.set(reading_mode="triage_only")
    site.exam("high")
    (row,) = site.list().rows
    assert (row.ai.category, row.ai.score, row.ai.score_text) == ("high", None, None)
    assert row.ai_hidden is True


def test_what_was_begun_unseen_is_not_told_by_its_place(site):
    site.set(reading_mode="concurrent")
    low, high, intermediate = (site.exam(c) for c in ("low", "high", "intermediate"))
    assert site.ids() == [high, intermediate, low]
    begin(site, low, "draft", mode="second_reader")
    assert site.ids() == [high, low, intermediate]


def begin(site, exam, state, mode="concurrent", round_state="open", version=None):
    """Enter a round with a reading."""
    now, decided = site.clock.now, round_state == "decided"
    with site.database.write() as connection:
        one = {"exam_id": exam, "number": 1, "is_double": False, "state": round_state}
        one |= {"version": version, "opened_at": now, "decided_at": now if decided else None}
        number = connection.execute(ROUNDS.insert().values(**one).returning(ROUNDS.c.id)).scalar()
        if state is None:
            return
        signed = state == "signed"
        row = {"exam_id": exam, "round_id": number, "person_id": site.reader.id}
        row |= {"role": "reader", "state": state, "slot": "first" if signed else None}
        row |= {"mode": mode, "exam_version": 1, "edition": 1, "answer": "{}"}
        row |= {"created_at": now, "changed_at": now}
        if signed:
            row |= {"first_answer": "{}", "first_version": 1, "blinded": True}
            row |= {"locked_at": now, "signed_at": now}
        connection.execute(READINGS.insert().values(**row))


def test_sets_of_statuses_agree_with_the_status_of_a_row(site):
    makes = [
        lambda _exam: None,
        lambda exam: begin(site, exam, None),
        lambda exam: begin(site, exam, "draft"),
        lambda exam: begin(site, exam, "signed"),
        lambda exam: begin(site, exam, "signed", round_state="disputed"),
        lambda exam: begin(site, exam, "signed", round_state="decided", version=1),
        lambda exam: begin(site, exam, "signed", round_state="decided", version=0),
    ]
    for make, category, runs in itertools.product(makes, (None, "low"), (False, True)):
        exam = site.exam(category)
        make(exam)
        if runs:
            job = {"exam_id": exam, "version": 1, "state": "running", "attempts": 1}
            job |= {"not_before": site.clock.now, "created_at": site.clock.now}
            job |= {"token": "t", "worker": "w", "lease_until": site.clock.now}
            with site.database.write() as connection:
                connection.execute(JOBS.insert().values(**job))
    with site.database.read() as connection:
        rows = connection.execute(sa.select(EXAMS.c.id, exam_status().label("status"))).all()
        assert {row.status for row in rows} == {status.value for status in ExamStatus}
        for size in range(1, len(ExamStatus)):
            for wanted in itertools.combinations(ExamStatus, size):
                found = connection.execute(sa.select(EXAMS.c.id).where(has_status(wanted)))
                assert {*found.scalars()} == {r.id for r in rows if r.status in {*wanted}}


@pytest.mark.parametrize("order", ListOrder)
@pytest.mark.parametrize("mode", ["concurrent", "second_reader"])
def test_every_exam_is_on_one_page(site, order, mode):
    site.set(reading_mode=mode)
    rng = random.Random(7)
    for _ in range(60):
        name = rng.choice(["A", "B", None])
        site.exam(rng.choice(CATEGORIES), minutes=rng.randrange(6), patient_name=name)
    seen, after = [], None
    while True:
        page = site.list(after=after, order=order, limit=7)
        assert page.total == 60
        seen += [row.id for row in page.rows]
        after = page.next
        if after is None:
            break
    assert len(seen) == len({*seen}) == 60
    assert seen == site.ids(order=order, limit=200)


def test_priors_that_were_fetched_are_not_on_the_list(site):
    site.exam("low")
    with site.database.write() as connection:
        prior = {"study_instance_uid": "1.2.1", "asked_at": site.clock.now}
        connection.execute(PRIORS.insert().values(**prior))
    assert site.ids() == []


def test_a_reader_of_another_site_sees_nothing(site):
    site.exam("high")
    other = site.house.invited("other", {site.house.site("south"): {PersonRole.READER}})
    assert site.list(other).total == 0
    assert site.list(site.house.person("admin")).total == 1


@pytest.mark.parametrize(
    ("category", "shown"),
    [("low", "withheld"), ("intermediate", "intermediate"), ("high", "high"), ("failed", "failed")],
)
def test_nothing_is_low_while_newer_images_wait_for_their_analysis(site, category, shown):
    site.set(reading_mode="concurrent")
    before, other = site.exam(category), site.exam("low")
    for _ in range(2):
        with site.database.write() as connection:
            doubt_verdict(connection, EXAMS.c.id == before)
    rows = site.list().rows
    assert [row.id for row in rows] == [before, other]
    said = rows[0].ai
    assert said.category == shown
    (doubt,) = said.doubts
    assert "not analysed yet" in doubt
    assert site.list(categories=["low"]).total == 1
    with site.database.write() as connection:
        enter_verdict(connection, before, Verdict("low", 2, "m 1", 0.1, 0.01))
    assert site.list().rows[0].ai.doubts == ()
