"""Signing in: every step, what is refused alike, and what counts once."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import partial

import pyotp
import pytest
import sqlalchemy as sa

from mammolens.serve.people import (
    Origin,
    Refusal,
    Refused,
    Stage,
    close_account,
    end_session,
    find_session,
    list_sessions,
    offer_second_factor,
    renew_administrator,
    sign_in,
)
from mammolens.serve.record import AUDIT, PEOPLE, SESSIONS

HERE = Origin("10.1.2.3", "a browser")
PASSWORD = "a calm grey morning"


def refused(call) -> Refusal:
    with pytest.raises(Refused) as caught:
        call()
    return caught.value.why


def actions(rows) -> list[str]:
    return [row.action for row in rows(AUDIT)]


def test_the_first_sign_in_asks_for_a_password_and_a_second_factor(house, rows):
    secret, session = house.enrol("admin")
    assert find_session(house.database, house.settings, secret) == session
    assert session.person.has_second_factor
    assert not session.person.must_change_password
    assert actions(rows) == [
        "person_invited",
        "password_changed",
        "signed_in",
        "second_factor_set",
    ]
    assert {row.actor for row in rows(AUDIT)} == {"cli", "person:admin"}


def test_the_next_sign_in_asks_for_a_code_alone(house):
    house.enrol("admin")
    secret, session = house.sign_ins.give_password("Admin ", PASSWORD, HERE)
    assert session.stage is Stage.CODE
    house.clock.turn(30)
    _, session = house.sign_ins.give_code(session, secret, house.code("admin"), HERE)
    assert session.stage is Stage.OPEN


def test_nothing_that_opens_an_account_is_kept(house, rows):
    secret, _ = house.enrol("admin")
    kept = repr([*rows(PEOPLE), *rows(SESSIONS), *rows(AUDIT)])
    for known in (secret, PASSWORD, house.one_time["admin"]):
        assert known not in kept


def test_what_is_wrong_is_said_alike(house):
    house.enrol("admin")
    house.invited("late")
    house.invited("closed")
    close_account(house.database, house.person("admin"), house.person("closed").id)
    house.clock.turn(8 * 86400)
    tries = [
        ("nobody", PASSWORD),
        ("admin", "wrong"),
        ("closed", house.one_time["closed"]),
        ("late", house.one_time["late"]),
        ("", ""),
        ("admin\N{NULL}", PASSWORD) if house.database.is_sqlite else ("admin ' --", PASSWORD),
    ]
    for name, password in tries:
        call = partial(house.sign_ins.give_password, name, password, HERE)
        assert refused(call) is Refusal.SIGN_IN, name


def test_a_one_time_password_stays_late_when_the_clock_goes_back(house):
    house.invited("late")
    call = partial(house.sign_ins.give_password, "late", house.one_time["late"], HERE)
    house.clock.turn(8 * 86400)
    assert refused(call) is Refusal.SIGN_IN
    house.clock.turn(-8 * 86400)
    assert refused(call) is Refusal.SIGN_IN


def test_failures_are_in_the_trail_without_what_was_typed(house, rows):
    refused(partial(house.sign_ins.give_password, "my password", "x", HERE))
    (row,) = [row for row in rows(AUDIT) if row.action == "sign_in_refused"]
    assert json.loads(row.detail) == {"host": "10.1.2.3", "reason": "password"}


def test_a_code_counts_once(house):
    house.enrol("admin")
    house.clock.turn(30)
    code = house.code("admin")
    for expected in ("open", Refusal.CODE):
        secret, session = house.sign_ins.give_password("admin", PASSWORD, HERE)
        call = partial(house.sign_ins.give_code, session, secret, code, HERE)
        assert (call()[1].stage.value if expected == "open" else refused(call)) == expected


def test_an_account_that_is_closed_meanwhile_gets_no_session(house, monkeypatch, rows):
    house.invited("alice")
    compare = sign_in.is_password

    def slow(known, password):
        good = compare(known, password)
        close_account(house.database, house.person("admin"), house.person("alice").id)
        return good

    monkeypatch.setattr(sign_in, "is_password", slow)
    call = partial(house.sign_ins.give_password, "alice", house.one_time["alice"], HERE)
    assert refused(call) is Refusal.SIGN_IN
    assert rows(SESSIONS) == []


def test_a_clock_that_goes_back_reopens_no_code(house):
    house.enrol("admin")
    house.clock.turn(30)
    code = house.code("admin")
    house.sign_in("admin")
    house.clock.turn(-30)
    secret, session = house.sign_ins.give_password("admin", PASSWORD, HERE)
    assert refused(partial(house.sign_ins.give_code, session, secret, code, HERE)) is Refusal.CODE


def test_of_two_requests_with_one_code_one_passes(house, at_once):
    house.enrol("admin")
    house.clock.turn(30)
    code, calls = house.code("admin"), []
    for _ in range(4):
        secret, session = house.sign_ins.give_password("admin", PASSWORD, HERE)
        calls.append(partial(house.sign_ins.give_code, session, secret, code, HERE))
    assert at_once(*calls) == ["code", "code", "code", "done"]


def test_of_two_requests_of_one_session_one_gets_its_next_secret(house, at_once):
    secret, session = house.sign_ins.give_password("admin", house.one_time["admin"], HERE)
    change = house.sign_ins.change_password
    calls = [
        partial(change, session, secret, None, f"a calm {word}", HERE)
        for word in ("grey morning", "red evening")
    ]
    # The second finds the session changed while it worked, or already at its next step.
    assert at_once(*calls) in (["changed", "done"], ["done", "stage"])


@pytest.mark.parametrize("steps", [-2, 2])
def test_a_code_of_another_time_is_wrong(house, steps):
    house.enrol("admin")
    house.clock.turn(300)
    secret, session = house.sign_ins.give_password("admin", PASSWORD, HERE)
    moment = house.clock.now + timedelta(seconds=30 * steps)
    code = pyotp.TOTP(house.secrets["admin"]).at(moment)
    call = partial(house.sign_ins.give_code, session, secret, code, HERE)
    assert refused(call) is Refusal.CODE


def test_wrong_codes_end_the_session_and_then_stop(house):
    house.enrol("admin")
    tries = []
    for _ in range(3):
        secret, session = house.sign_ins.give_password("admin", PASSWORD, HERE)
        for _ in range(5):
            call = partial(house.sign_ins.give_code, session, secret, "000000", HERE)
            tries.append(refused(call).value)
        assert find_session(house.database, house.settings, secret) is None or len(tries) > 10
    assert tries == ["code"] * 10 + ["too_many"] * 5
    house.clock.turn(900)
    assert house.sign_in("admin")


def test_each_step_has_another_secret(house):
    first, session = house.sign_ins.give_password("admin", house.one_time["admin"], HERE)
    second, session = house.sign_ins.change_password(session, first, None, PASSWORD, HERE)
    assert find_session(house.database, house.settings, first) is None
    offer = offer_second_factor(house.database, session)
    code = pyotp.TOTP(offer.secret).at(house.clock.now)
    third, session = house.sign_ins.give_code(session, second, code, HERE)
    assert find_session(house.database, house.settings, second) is None
    found = find_session(house.database, house.settings, third)
    assert found is not None
    assert found.csrf_token == session.csrf_token


def test_steps_have_an_order(house):
    secret, session = house.sign_ins.give_password("admin", house.one_time["admin"], HERE)
    assert refused(partial(offer_second_factor, house.database, session)) is Refusal.STAGE
    call = partial(house.sign_ins.give_code, session, secret, "000000", HERE)
    assert refused(call) is Refusal.STAGE
    house.enrol("admin")
    secret, session = house.sign_ins.give_password("admin", PASSWORD, HERE)
    call = partial(house.sign_ins.change_password, session, secret, PASSWORD, "x" * 20, HERE)
    assert refused(call) is Refusal.STAGE


def test_a_new_password_must_be_new_and_not_plain(house):
    house.enrol("admin")
    secret, session = house.sign_in("admin")
    change = house.sign_ins.change_password
    for new in (PASSWORD, "short", "aaaaaaaaaaaaaaaaa", "the admin's words", "password12345"):
        call = partial(change, session, secret, PASSWORD, new, HERE)
        assert refused(call) is Refusal.WEAK_PASSWORD, new
    call = partial(change, session, secret, "wrong", "quite another word", HERE)
    assert refused(call) is Refusal.SIGN_IN
    change(session, secret, PASSWORD, "quite another word", HERE)
    house.sign_in("admin", "quite another word")


def test_a_new_password_ends_the_other_sessions(house):
    house.enrol("admin")
    other, _ = house.sign_in("admin")
    secret, session = house.sign_in("admin")
    mine, _ = house.sign_ins.change_password(session, secret, PASSWORD, "quite new words", HERE)
    assert find_session(house.database, house.settings, other) is None
    assert find_session(house.database, house.settings, mine) is not None


def test_a_session_ends_at_its_hour_and_stays_ended(house):
    secret, _ = house.enrol("admin")
    for _ in range(12 * 60 // 30):
        house.clock.turn(30 * 60 - 1)
        assert find_session(house.database, house.settings, secret) is not None
    house.clock.turn(60)
    assert find_session(house.database, house.settings, secret) is None
    house.clock.turn(-3600)
    assert find_session(house.database, house.settings, secret) is None


def test_a_session_ends_without_requests(house):
    secret, _ = house.enrol("admin")
    house.clock.turn(3599)
    assert find_session(house.database, house.settings, secret) is not None
    house.clock.turn(3601)
    assert find_session(house.database, house.settings, secret) is None


@pytest.mark.parametrize("back", [60, 3600, 365 * 86400])
def test_a_clock_that_goes_back_prolongs_no_session(house, back):
    secret, _ = house.enrol("admin")
    house.clock.turn(120)
    assert find_session(house.database, house.settings, secret) is not None
    house.clock.turn(-back)
    assert find_session(house.database, house.settings, secret) is None
    house.clock.turn(back)
    assert find_session(house.database, house.settings, secret) is None


def test_a_sign_in_that_is_not_finished_ends_soon(house):
    secret, _ = house.sign_ins.give_password("admin", house.one_time["admin"], HERE)
    house.clock.turn(15 * 60)
    assert find_session(house.database, house.settings, secret) is None


def test_sessions_are_listed_and_ended_by_their_person_alone(house):
    house.enrol("admin")
    house.invited("alice")
    secret, session = house.enrol("alice")
    listed = list_sessions(house.database, house.settings, session.person.id)
    assert [(note.id, note.address, note.agent) for note in listed] == [
        (session.id, HERE.address, HERE.agent)
    ]
    admin = house.person("admin")
    call = partial(end_session, house.database, admin, session.id)
    assert refused(call) is Refusal.UNKNOWN
    end_session(house.database, session.person, session.id)
    assert find_session(house.database, house.settings, secret) is None


@pytest.mark.slow
def test_a_person_has_so_many_sessions(house):
    first, _ = house.sign_ins.give_password("admin", house.one_time["admin"], HERE)
    for _ in range(20):
        last, _ = house.sign_ins.give_password("admin", house.one_time["admin"], HERE)
    assert find_session(house.database, house.settings, first) is None
    assert find_session(house.database, house.settings, last) is not None


@pytest.mark.slow
def test_who_knows_the_password_alone_ends_no_open_session(house):
    secret, _ = house.enrol("admin")
    for _ in range(25):
        house.sign_ins.give_password("admin", PASSWORD, HERE)
    assert find_session(house.database, house.settings, secret) is not None
    for _ in range(20):
        last, _ = house.sign_in("admin")
    assert find_session(house.database, house.settings, secret) is None
    assert find_session(house.database, house.settings, last) is not None


def test_sessions_of_long_ago_are_forgotten(house, rows):
    house.sign_ins.give_password("admin", house.one_time["admin"], HERE)
    renew_administrator(house.database, house.settings, "admin")
    house.clock.turn(40 * 86400)
    again = renew_administrator(house.database, house.settings, "admin")
    house.sign_ins.give_password("admin", again.password, HERE)
    assert len(rows(SESSIONS)) == 1


def test_many_attempts_are_refused_whether_there_is_an_account_or_not(house):
    house.enrol("admin")
    told = {}
    for name in ("admin", "nobody"):
        told[name] = []
        for _ in range(12):
            try:
                house.sign_ins.spend_attempt(name, HERE)
                house.sign_ins.give_password(name, "wrong", HERE)
            except Refused as found:
                told[name].append((found.why, found.retry_after_s))
    assert told["admin"] == told["nobody"]
    assert [why for why, _ in told["admin"]] == [Refusal.SIGN_IN] * 10 + [Refusal.TOO_MANY] * 2


def test_a_flood_of_failures_writes_few_rows(house, rows):
    for number in range(60):
        house.sign_ins.note_failure(Origin(f"10.0.0.{number % 3}"), "too_many")
    assert 10 < actions(rows).count("sign_in_refused") <= 30


def test_the_database_refuses_two_kinds_of_account_in_one(house):
    odd = PEOPLE.update().values(subject="0" * 64)
    with pytest.raises(sa.exc.IntegrityError), house.database.write() as connection:
        connection.execute(odd)


def test_by_the_provider_comes_who_was_invited_for_it(house, at_once):
    from mammolens.serve.people import invite

    admin = house.person("admin")
    invite(house.database, house.settings, admin, "alice", "Alice", {}, by_provider=True)
    come = house.sign_ins.come_by_provider
    for subject, name in (("a" * 64, "nobody"), ("a" * 64, "admin"), ("a" * 64, "")):
        assert refused(partial(come, subject, name, HERE)) is Refusal.SIGN_IN
    calls = [partial(come, letter * 64, "Alice", HERE) for letter in "bc"]
    assert at_once(*calls) == ["done", "sign_in"]
    bound = "b" if refused_or_none(partial(come, "b" * 64, "", HERE)) is None else "c"
    other = "c" if bound == "b" else "b"
    _, session = come(bound * 64, "a name that changed", HERE)
    assert (session.stage, session.person.name) == (Stage.OPEN, "alice")
    assert refused(partial(come, other * 64, "alice", HERE)) is Refusal.SIGN_IN
    assert refused(partial(house.sign_ins.give_password, "alice", "", HERE)) is Refusal.SIGN_IN
    close_account(house.database, admin, session.person.id)
    assert refused(partial(come, bound * 64, "alice", HERE)) is Refusal.SIGN_IN


def refused_or_none(call) -> Refusal | None:
    try:
        call()
    except Refused as found:
        return found.why
    return None
