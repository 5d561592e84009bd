"""From draft to signature: each mode, two readers, an arbiter, and what several do at once."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from mammolens.readings import Answer
from mammolens.serve import reading
from mammolens.serve.people import Refused
from mammolens.serve.reading import ReadingStatus
from mammolens.serve.record import (
    EXAMS,
    JOBS,
    NOTICES,
    READINGS,
    RECALLS,
    RESULTS,
    ROUNDS,
    audit,
)

CLEAR = Answer.model_validate(
    {
        "density": {"right": "b", "left": "c"},
        "assessments": {"right": {"birads": "1"}, "left": {"birads": "2"}},
        "recall": False,
    }
)
SUSPICIOUS = Answer.model_validate(
    {"assessments": {"right": {"birads": "1"}, "left": {"birads": "4"}}, "recall": True}
)


def refused(call, *args):
    with pytest.raises(Refused) as caught:
        call(*args)
    return caught.value.why.value


def begin(clinic, exam, name="reader"):
    return reading.begin_reading(clinic.database, clinic[name], exam)[0]


def save(clinic, made, answer=CLEAR, name="reader"):
    return reading.save_draft(clinic.database, clinic[name], made.id, made.edition, answer)


def lock(clinic, made, name="reader"):
    return reading.lock_answer(clinic.database, clinic[name], made.id, made.edition)


def revise(clinic, made, changes=None, name="reader"):
    return reading.revise_answer(clinic.database, clinic[name], made.id, made.edition, changes)


def sign(clinic, made, name="reader"):
    return reading.sign_reading(clinic.database, clinic[name], made.id, made.edition)


def read(clinic, exam, answer=CLEAR, name="reader"):
    """Go through a reading in the mode of second readers, up to its signature."""
    made = save(clinic, begin(clinic, exam, name), answer, name)
    return sign(clinic, revise(clinic, lock(clinic, made, name), None, name), name)


def status(clinic, exam):
    with clinic.database.read() as connection:
        asked = sa.select(reading.reading_status()).where(EXAMS.c.id == exam)
        return ReadingStatus(connection.execute(asked).scalar_one()).value


def seen(clinic, exam, name):
    with clinic.database.read() as connection:
        return [one.id for one in reading.list_readings(connection, clinic[name], exam)]


def come(clinic, exam):
    """Let another image come."""
    with clinic.database.write() as connection:
        connection.execute(
            EXAMS.update().where(EXAMS.c.id == exam).values(version=EXAMS.c.version + 1)
        )


def analysed(clinic, exam):
    """Let the AI have a result."""
    now = clinic.house.clock.now
    with clinic.database.write() as connection:
        count = sa.select(sa.func.count()).where(JOBS.c.exam_id == exam).select_from(JOBS)
        number = connection.execute(count).scalar_one() + 1
        work = {"state": "done", "attempts": 1, "not_before": now, "created_at": now}
        job = connection.execute(
            JOBS.insert()
            .values(exam_id=exam, version=number, finished_at=now, **work)
            .returning(JOBS.c.id)
        ).scalar_one()
        before = sa.select(RESULTS.c.id).where(RESULTS.c.exam_id == exam)
        before = connection.execute(before.order_by(RESULTS.c.revision.desc())).scalars().first()
        row = {
            "exam_id": exam,
            "job_id": job,
            "revision": number,
            "supersedes": before,
            "category": "high",
            "malignancy": 0.5,
            "tumour": 0.6,
            "n_images": 4,
            "n_unreadable": 0,
            "cautions": "",
            "model_name": "m",
            "model_version": "1",
            "model_digest": "d",
            "created_at": now,
        }
        connection.execute(RESULTS.insert().values(row))


def test_an_answer_is_locked_before_the_ai_and_kept_or_changed_after_it(clinic, rows):
    exam = clinic.exam()
    analysed(clinic, exam)
    assert status(clinic, exam) == "new"
    made = begin(clinic, exam)
    assert begin(clinic, exam).id == made.id
    assert status(clinic, exam) == "in_reading"
    made = save(clinic, made)
    assert refused(sign, clinic, made) == "not_locked"
    assert refused(revise, clinic, made) == "not_locked"
    locked = lock(clinic, made)
    assert (locked.blinded, locked.first_answer) == (True, CLEAR)
    assert refused(save, clinic, locked) == "locked"
    assert refused(sign, clinic, locked) == "not_locked"
    changed = revise(clinic, locked, SUSPICIOUS)
    assert (changed.answer, changed.first_answer, changed.agreed) == (SUSPICIOUS, CLEAR, False)
    signed = sign(clinic, changed)
    assert (signed.slot.value, signed.answer, signed.first_answer) == ("first", SUSPICIOUS, CLEAR)
    assert refused(sign, clinic, signed) == "already_signed"
    assert refused(revise, clinic, signed) == "already_signed"
    assert status(clinic, exam) == "signed"
    assert [row.exam_id for row in rows(RECALLS)] == [exam]
    assert refused(begin, clinic, exam, "second") == "already_signed"
    added = reading.add_addendum(clinic.database, clinic["reader"], signed.id, "More words")
    assert [one.text for one in added.addenda] == ["More words"]
    with clinic.database.read() as connection:
        assert audit.verify(connection).sound


def test_who_was_shown_the_ai_before_is_not_called_blinded(clinic):
    exam = clinic.exam()
    with clinic.database.write() as connection:
        reading.note_ai_shown(clinic.database, connection, clinic["reader"], exam)
    assert lock(clinic, save(clinic, begin(clinic, exam))).blinded is False


@pytest.mark.parametrize("mode", ["concurrent", "triage_only"])
def test_where_nothing_is_hidden_one_signature_is_enough(clinic, mode):
    clinic.set(reading_mode=mode)
    exam = clinic.exam()
    analysed(clinic, exam)
    signed = sign(clinic, save(clinic, begin(clinic, exam)))
    assert signed.first_answer == signed.answer == CLEAR
    assert signed.blinded is (mode == "triage_only")


def test_what_must_be_said_is_named(clinic):
    exam = clinic.exam(views=("RCC", "RMLO"))
    made = begin(clinic, exam)
    with pytest.raises(Refused) as caught:
        lock(clinic, made)
    assert caught.value.fields == ("assessments.right.birads", "recall")
    half = Answer.model_validate({"assessments": {"right": {"birads": "5"}}, "recall": False})
    made = save(clinic, made, half)
    with pytest.raises(Refused) as caught:
        lock(clinic, made)
    assert caught.value.fields == ("comment",)
    whole = half.model_copy(update={"comment": "known, under treatment"})
    assert lock(clinic, save(clinic, made, whole)).first_answer == whole


def test_a_mark_lies_on_an_image_of_the_exam(clinic):
    exam = clinic.exam()
    mark = {"image": f"1.2.{exam}.0", "shape": "point", "points_source_px": [[5, 6]]}
    made = save(clinic, begin(clinic, exam), Answer.model_validate({"findings": [mark]}))
    other = Answer.model_validate({"findings": [mark | {"image": "1.2.3"}]})
    assert refused(save, clinic, made, other) == "incomplete"


def test_two_windows_do_not_overwrite_each_other(clinic, at_once):
    made = begin(clinic, clinic.exam())
    heard = at_once(lambda: save(clinic, made), lambda: save(clinic, made, SUSPICIOUS))
    assert heard == ["done", "stale"]
    assert refused(lock, clinic, made) == "stale"


def test_of_two_who_sign_at_once_one_wins_and_the_other_is_told(clinic, at_once, rows):
    clinic.set(reading_mode="concurrent")
    for _ in range(5):
        exam = clinic.exam()
        one = save(clinic, begin(clinic, exam))
        other = save(clinic, begin(clinic, exam, "second"), SUSPICIOUS, "second")
        heard = at_once(
            lambda one=one: sign(clinic, one), lambda other=other: sign(clinic, other, "second")
        )
        assert heard == ["already_signed", "done"]
        assert status(clinic, exam) == "signed"
    assert len([row for row in rows(READINGS) if row.slot == "first"]) == 5
    assert {row.state for row in rows(ROUNDS)} == {"decided"}


def test_the_database_itself_has_room_for_one_signature(clinic, monkeypatch):
    """Were the locks to fail, the constraint would still hold."""
    from mammolens.serve.reading import signing

    clinic.set(reading_mode="concurrent", double_reading=True)
    exam = clinic.exam()
    one, other = (save(clinic, begin(clinic, exam, n), CLEAR, n) for n in ("reader", "second"))
    sign(clinic, one)
    monkeypatch.setattr(signing, "_free_slot", lambda *_: signing.ReadingSlot.FIRST)
    assert refused(sign, clinic, other, "second") == "already_signed"


def test_the_second_reader_sees_nothing_of_the_first_before_their_own_answer(clinic):
    clinic.set(double_reading=True)
    exam = clinic.exam()
    analysed(clinic, exam)
    first = read(clinic, exam)
    assert status(clinic, exam) == "read"
    assert seen(clinic, exam, "reader") == [first.id]
    for name in ("second", "third", "arbiter", "uploader", "head", "admin"):
        assert seen(clinic, exam, name) == [], name
    second = save(clinic, begin(clinic, exam, "second"), CLEAR, "second")
    assert seen(clinic, exam, "second") == [second.id]
    with clinic.database.read() as connection:
        assert not reading.may_see_ai(connection, clinic["second"], exam)
    locked = lock(clinic, second, "second")
    assert locked.blinded
    signed = sign(clinic, revise(clinic, locked, None, "second"), "second")
    assert signed.slot.value == "second"
    assert status(clinic, exam) == "signed"
    for name in ("reader", "second", "arbiter", "uploader", "head", "admin"):
        assert seen(clinic, exam, name) == [first.id, second.id], name


def test_two_readers_who_sign_at_once_are_the_first_and_the_second(clinic, at_once):
    clinic.set(reading_mode="concurrent", double_reading=True)
    exam = clinic.exam()
    one = save(clinic, begin(clinic, exam))
    other = save(clinic, begin(clinic, exam, "second"), CLEAR, "second")
    third = save(clinic, begin(clinic, exam, "third"), CLEAR, "third")
    heard = at_once(
        lambda: sign(clinic, one),
        lambda: sign(clinic, other, "second"),
        lambda: sign(clinic, third, "third"),
    )
    assert heard == ["already_signed", "done", "done"]
    assert status(clinic, exam) == "signed"


def test_an_arbiter_decides_where_two_readers_disagree(clinic, at_once, rows):
    clinic.set(double_reading=True)
    exam = clinic.exam()
    analysed(clinic, exam)
    arbitrate, show = reading.begin_arbitration, reading.read_dispute
    one = read(clinic, exam)
    assert refused(arbitrate, clinic.database, clinic["arbiter"], exam) == "stage"
    other = read(clinic, exam, SUSPICIOUS, "second")
    assert status(clinic, exam) == "arbitration"
    assert rows(RECALLS) == []
    assert refused(begin, clinic, exam, "third") == "in_arbitration"
    assert seen(clinic, exam, "third") == []
    for name in ("reader", "third", "uploader", "admin"):
        assert refused(arbitrate, clinic.database, clinic[name], exam) == "not_allowed"
        assert refused(show, clinic.database, clinic[name], exam) == "not_allowed"
    dispute = show(clinic.database, clinic["arbiter"], exam)
    assert (dispute.first.id, dispute.second.id) == (one.id, other.id)
    assert dispute.differences == ("recall", "assessments.left.birads")
    assert dispute.first.first_answer is None, "the AI is not shown yet, nor what came of it"
    made, is_new = arbitrate(clinic.database, clinic["arbiter"], exam)
    assert is_new
    with clinic.database.read() as connection:
        assert reading.may_see_ai(connection, clinic["arbiter"], exam)
    made = save(clinic, made, SUSPICIOUS, "arbiter")
    heard = at_once(*[lambda: sign(clinic, made, "arbiter")] * 2)
    assert heard in (["already_signed", "done"], ["done", "stale"])
    assert status(clinic, exam) == "signed"
    assert [row.reading_id for row in rows(RECALLS)] == [made.id]
    assert [row.recall for row in rows(ROUNDS)] == [True]


def test_who_has_read_an_exam_does_not_arbitrate_it(clinic):
    from mammolens.serve.people import set_roles
    from mammolens.serve.record import PersonRole

    clinic.set(double_reading=True)
    both = frozenset({PersonRole.READER, PersonRole.ARBITER})
    clinic.cast["third"] = set_roles(
        clinic.database, clinic["admin"], clinic["third"].id, clinic.site, both
    )
    exam = clinic.exam()
    made = begin(clinic, exam, "third")
    read(clinic, exam)
    read(clinic, exam, SUSPICIOUS, "second")
    for call in (reading.begin_arbitration, reading.read_dispute):
        assert refused(call, clinic.database, clinic["third"], exam) == "not_allowed"
    assert seen(clinic, exam, "third") == [made.id]


def test_an_exam_that_changes_while_it_is_read_is_never_silently_exchanged(clinic):
    exam = clinic.exam()
    made = save(clinic, begin(clinic, exam))
    come(clinic, exam)
    assert refused(lock, clinic, made) == "exam_changed"
    look = reading.look_again
    args = clinic.database, clinic["reader"], made.id, made.edition
    assert refused(look, *args, 1) == "exam_changed"
    made = lock(clinic, look(*args, 2))
    made = revise(clinic, made)
    analysed(clinic, exam)
    assert refused(sign, clinic, made) == "ai_changed"
    made = revise(clinic, made)
    come(clinic, exam)
    assert refused(sign, clinic, made) == "exam_changed"
    made = look(clinic.database, clinic["reader"], made.id, made.edition, 3)
    signed = sign(clinic, made)
    assert (signed.first_version, signed.exam_version) == (2, 3)


def test_images_that_come_after_the_signature_make_the_exam_new_again(clinic):
    clinic.set(double_reading=True)
    exam = clinic.exam()
    read(clinic, exam)
    come(clinic, exam)
    read(clinic, exam, CLEAR, "second")
    assert status(clinic, exam) == "new", "the first reader has not seen the newest images"
    again = begin(clinic, exam)
    assert status(clinic, exam) == "in_reading"
    assert len(seen(clinic, exam, "reader")) == 2, "their own of both rounds"
    assert again.exam_version == 2


def test_an_analysis_that_ends_while_the_exam_is_read_beside_it_is_told(clinic):
    clinic.set(reading_mode="concurrent")
    exam = clinic.exam()
    made = save(clinic, begin(clinic, exam))
    analysed(clinic, exam)
    assert refused(sign, clinic, made) == "ai_changed"
    made = reading.look_again(clinic.database, clinic["reader"], made.id, made.edition, 1)
    assert sign(clinic, made).ai_result_id is not None


def test_an_exam_of_another_site_is_unknown(clinic):
    exam = clinic.exam()
    assert refused(begin, clinic, exam, "guest") == "unknown"
    assert refused(begin, clinic, exam, "uploader") == "not_allowed"
    assert refused(begin, clinic, 999) == "unknown"
    made = begin(clinic, exam)
    for name in ("second", "guest", "admin"):
        assert refused(save, clinic, made, CLEAR, name) == "unknown"


def test_a_reader_elsewhere_gives_an_opinion_on_one_exam(clinic, rows):
    exam, other = clinic.exam(), clinic.exam()
    guest, mine = clinic["guest"], clinic["reader"]
    ask = reading.ask_opinion
    assert refused(ask, clinic.database, clinic["uploader"], exam, guest.id, "?") == "not_allowed"
    assert refused(ask, clinic.database, mine, exam, clinic["head"].id, "?") == "unknown"
    asked = ask(clinic.database, mine, exam, guest.id, "A mass?")
    assert refused(ask, clinic.database, mine, exam, guest.id, "?") == "taken"
    assert refused(begin, clinic, other, "guest") == "unknown"
    made = save(clinic, begin(clinic, exam, "guest"), SUSPICIOUS, "guest")
    assert status(clinic, exam) == "new", "an opinion decides nothing"
    own = save(clinic, begin(clinic, exam))
    signed = sign(clinic, revise(clinic, lock(clinic, made, "guest"), None, "guest"), "guest")
    assert (signed.slot, signed.role.value) == (None, "opinion")
    assert status(clinic, exam) == "in_reading"
    assert seen(clinic, exam, "reader") == [own.id], "the own answer comes first"
    own = sign(clinic, revise(clinic, lock(clinic, own)))
    assert seen(clinic, exam, "reader") == [made.id, own.id]
    assert seen(clinic, exam, "guest") == [made.id]
    page = reading.list_opinions(clinic.database, guest, before=None, limit=9)
    assert [(one.id, one.state.value) for one in page.items] == [(asked.id, "signed")]
    assert page.items[0].patient_name == f"Doe^P{exam}"
    reading.end_opinion(clinic.database, mine, asked.id)
    page = reading.list_opinions(clinic.database, guest, before=None, limit=9)
    assert page.items[0].patient_name is None
    assert refused(seen, clinic, exam, "guest") == "unknown"
    assert refused(reading.end_opinion, clinic.database, mine, asked.id) == "changed"
    assert rows(RECALLS) == []


def test_an_urgent_finding_is_acknowledged_by_the_site(clinic, at_once, rows):
    clinic.set(double_reading=True)
    exam = clinic.exam()
    urgent = SUSPICIOUS.model_copy(update={"urgent": "Please call today"})
    read(clinic, exam, urgent)
    (notice,) = rows(NOTICES)

    def listed(name):
        page = reading.list_notices(
            clinic.database, clinic[name], open_only=True, before=None, limit=5
        )
        return [one.text for one in page.items]

    for name, n in (("reader", 1), ("second", 0), ("uploader", 1), ("head", 1), ("guest", 0)):
        assert len(listed(name)) == n, name
    known = reading.acknowledge
    assert refused(known, clinic.database, clinic["reader"], notice.id) == "not_allowed"
    assert refused(known, clinic.database, clinic["guest"], notice.id) == "unknown"
    heard = at_once(
        *[lambda n=n: known(clinic.database, clinic[n], notice.id) for n in ("uploader", "head")]
    )
    assert heard == ["changed", "done"]
    assert listed("uploader") == []


def test_an_urgent_finding_can_be_told_before_the_signature_and_is_told_once(clinic, rows):
    exam = clinic.exam()
    urgent = SUSPICIOUS.model_copy(update={"urgent": "Please call today"})
    made = begin(clinic, exam)
    reading.notify(clinic.database, clinic["reader"], made.id, urgent.urgent)
    sign(clinic, revise(clinic, lock(clinic, save(clinic, made, urgent))))
    assert len(rows(NOTICES)) == 1


def test_recalls_stay_listed_until_somebody_says_what_became_of_it(clinic, at_once):
    exams = [clinic.exam() for _ in range(3)]
    for exam in exams:
        read(clinic, exam, SUSPICIOUS)

    def page(before=None, name="uploader"):
        who = clinic[name]
        return reading.list_recalls(clinic.database, who, open_only=True, before=before, limit=2)

    first = page()
    assert [one.exam_id for one in first.items] == exams[:0:-1]
    assert first.items[0].patient_name == f"Doe^P{exams[-1]}"
    assert [one.exam_id for one in page(first.next).items] == exams[:1]
    assert page(name="guest").items == ()
    number = first.items[0].id
    close = reading.close_recall
    assert refused(close, clinic.database, clinic["guest"], number, "x") == "unknown"
    heard = at_once(
        *[lambda n=n: close(clinic.database, clinic[n], number, "seen") for n in ("head", "reader")]
    )
    assert heard == ["changed", "done"]
    assert [one.exam_id for one in page().items] == exams[1::-1]


def test_colleagues_are_listed_for_those_who_read(clinic):
    listed = reading.list_readers(clinic.database, clinic["reader"], before=None, limit=50)
    assert sorted(one.name for one in listed.items) == ["guest", "second", "third"]
    with pytest.raises(Refused):
        reading.list_readers(clinic.database, clinic["uploader"], before=None, limit=50)


def test_who_lost_the_role_signs_no_more(clinic):
    from mammolens.serve.people import set_roles
    from mammolens.serve.record import PersonRole

    clinic.set(reading_mode="concurrent")
    exam = clinic.exam()
    made = save(clinic, begin(clinic, exam))
    other = frozenset({PersonRole.UPLOADER})
    clinic.cast["reader"] = set_roles(
        clinic.database, clinic["admin"], clinic["reader"].id, clinic.site, other
    )
    assert refused(sign, clinic, made) == "not_allowed"
    assert refused(save, clinic, made) == "not_allowed"
    asked = reading.ask_opinion(
        clinic.database, clinic["second"], exam, clinic["third"].id, "A mass?"
    )
    reading.end_opinion(clinic.database, clinic["second"], asked.id)


def test_readers_who_begin_at_once_read_in_one_round(clinic, at_once, rows):
    exam = clinic.exam()
    names = ("reader", "reader", "second", "third")
    assert at_once(*[lambda n=n: begin(clinic, exam, n) for n in names]) == ["done"] * 4
    assert len(rows(ROUNDS)) == 1
    assert len(rows(READINGS)) == 3


def test_an_image_that_comes_at_the_moment_of_the_signature(clinic, at_once, rows):
    clinic.set(reading_mode="concurrent")
    for _ in range(5):
        exam = clinic.exam()
        made = save(clinic, begin(clinic, exam))
        heard = at_once(lambda made=made: sign(clinic, made), lambda exam=exam: come(clinic, exam))
        assert heard in (["done", "done"], ["done", "exam_changed"])
        assert status(clinic, exam) == ("new" if heard == ["done", "done"] else "in_reading")
    assert {row.exam_version for row in rows(READINGS)} == {1}


def test_two_windows_ask_for_one_opinion(clinic, at_once, rows):
    exam = clinic.exam()
    asked = [
        lambda n=n: reading.ask_opinion(clinic.database, clinic[n], exam, clinic["guest"].id, "?")
        for n in ("reader", "second")
    ]
    assert at_once(*asked) == ["done", "taken"]
    made = [lambda: begin(clinic, exam, "guest")] * 2
    assert at_once(*made) in (["done", "done"], ["done", "taken"])
    assert len(rows(READINGS)) == 1
