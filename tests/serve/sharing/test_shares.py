"""Links to signed reports: who makes one, what opens it, what ends it, and what the trail says."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa

from mammolens.serve import reading, sharing
from mammolens.serve.people import Refused, close_account
from mammolens.serve.record import AI_VIEWS, AUDIT, SHARES, PersonRole

from ..house import House
from ..reading.test_reading import analysed
from ..reading.test_reports import Ward

HOST = "10.0.0.9"


@pytest.fixture
def house(state, clock) -> House:
    return House(state.database, clock)


@pytest.fixture
def ward(house, state, send_views) -> Ward:
    return Ward(house, state, send_views)


def why(act, *arguments) -> str:
    with pytest.raises(Refused) as caught:
        act(*arguments)
    return caught.value.why.value


def opened(ward, made, code=None, token=None):
    return sharing.open_share(ward.state, token or made.token, code or made.code, HOST)


def shared(ward, name="reader"):
    signed = ward.read()
    return signed, sharing.make_share(ward.state, ward[name], ward.exam, signed.id)


def row_of(ward):
    with ward.database.read() as connection:
        return connection.execute(sa.select(SHARES)).one()


def test_link_and_code_open_the_report_of_one_reading(ward, rows):
    signed, made = shared(ward)
    found = opened(ward, made)
    assert (found.id, len(found.pictures)) == (signed.id, 4)
    assert found.images[0].header.patient_name == "Doe^Jane"
    spaced = f" {made.code[:4]} {made.code[4:]} "
    assert opened(ward, made, spaced).id == signed.id
    kept = row_of(ward)
    assert (kept.openings, kept.failures) == (2, 0)
    assert made.token not in str(kept)
    assert made.code not in str(kept)
    trail = [(row.actor, row.action) for row in rows(AUDIT)]
    assert trail.count((f"share:{made.share.id}", "share_opened")) == 2
    assert ("person:reader", "share_made") in trail


def test_five_wrong_codes_lock_it_for_good(ward, rows):
    _, made = shared(ward)
    wrong = "0" * 8 if made.code != "0" * 8 else "1" * 8
    heard = [why(opened, ward, made, wrong) for _ in range(6)]
    assert heard == ["code"] * 4 + ["share_locked"] * 2
    assert why(opened, ward, made) == "share_locked"
    assert sharing.list_shares(ward.database, ward["reader"], ward.exam)[0].failures == 5
    assert [row.action for row in rows(AUDIT)].count("share_refused") == 7


def test_a_right_code_does_not_give_wrong_ones_back(ward):
    _, made = shared(ward)
    for _ in range(4):
        assert why(opened, ward, made, "nothing") == "code"
    opened(ward, made)
    assert why(opened, ward, made, "nothing") == "share_locked"


def test_many_guesses_at_the_same_moment_are_five(ward):
    _, made = shared(ward)
    start, heard = threading.Barrier(12), []

    def guess() -> None:
        start.wait()
        heard.append(why(opened, ward, made, "nothing"))

    threads = [threading.Thread(target=guess) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard.count("code") == 4
    assert row_of(ward).failures == 5


def test_it_expires_also_by_a_clock_that_goes_back(ward, clock):
    _, made = shared(ward)
    clock.turn(timedelta(days=7).total_seconds() - 1)
    opened(ward, made)
    clock.turn(1)
    assert why(opened, ward, made) == "unknown"
    clock.turn(-3600)
    assert why(opened, ward, made) == "unknown"


def test_what_was_revoked_is_like_what_never_was(ward):
    _, made = shared(ward)
    sharing.revoke_share(ward.database, ward["uploader"], ward.exam, made.share.id)
    assert why(opened, ward, made) == "unknown"
    assert why(opened, ward, made, made.code, "x" * 43) == "unknown"
    again = (ward.database, ward["uploader"], ward.exam, made.share.id)
    assert why(sharing.revoke_share, *again) == "unknown"


def test_a_code_opens_its_own_link_alone(ward):
    signed, first = shared(ward)
    second = sharing.make_share(ward.state, ward["reader"], ward.exam, signed.id)
    assert why(opened, ward, first, second.code) == "code"


def test_only_who_may_see_a_signed_reading_shares_it(ward):
    make, list_, revoke = sharing.make_share, sharing.list_shares, sharing.revoke_share
    draft, _ = reading.begin_reading(ward.database, ward["second"], ward.exam)
    assert why(make, ward.state, ward["second"], ward.exam, draft.id) == "stage"
    assert why(make, ward.state, ward["reader"], ward.exam, draft.id) == "unknown"
    elsewhere = ward.house.site("south")
    stranger = ward.house.invited("stranger", {elsewhere: {PersonRole.READER}})
    signed, made = shared(ward)
    assert why(make, ward.state, stranger, ward.exam, signed.id) == "unknown"
    assert why(list_, ward.database, stranger, ward.exam) == "unknown"
    assert why(revoke, ward.database, stranger, ward.exam, made.share.id) == "unknown"
    assert why(make, ward.state, ward["reader"], ward.exam + 1, signed.id) == "unknown"


def test_it_ends_with_the_account_of_whoever_made_it(ward):
    _, made = shared(ward)
    close_account(ward.database, ward["admin"], ward["reader"].id)
    assert why(opened, ward, made) == "unknown"


def test_a_link_shows_no_more_than_its_maker_may_see_and_blinds_nobody(ward):
    worker = ward.house.invited("worker", {ward.site: {PersonRole.HEALTH_WORKER}})
    ward.cast["worker"] = worker
    analysed(ward, ward.exam)
    signed = ward.read()
    by_worker = sharing.make_share(ward.state, worker, ward.exam, signed.id)
    assert opened(ward, by_worker).ai is None
    by_head = sharing.make_share(ward.state, ward["head"], ward.exam, signed.id)
    assert opened(ward, by_head).ai is not None
    shown = sa.select(AI_VIEWS).where(AI_VIEWS.c.person_id == ward["head"].id)
    with ward.database.read() as connection:
        assert connection.execute(shown).all() == []


def test_an_exam_has_so_many_links(ward):
    signed, _ = shared(ward)
    make = (ward.state, ward["reader"], ward.exam, signed.id)
    for _ in range(19):
        sharing.make_share(*make)
    assert why(sharing.make_share, *make) == "too_much"
