"""Accounts, sites and API tokens: who may change what, and what happens once."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import pytest
import sqlalchemy as sa

from mammolens.serve import people
from mammolens.serve.intake import receive
from mammolens.serve.people import Person, Refusal, Refused
from mammolens.serve.people.passwords import is_password
from mammolens.serve.record import API_TOKENS, AUDIT, EXAMS, PEOPLE, SITES, PersonRole, ensure_site

from ..house import House

READER, ADMINISTRATOR = PersonRole.READER, PersonRole.ADMINISTRATOR


def refused(call) -> Refusal:
    with pytest.raises(Refused) as caught:
        call()
    return caught.value.why


def of(*roles: PersonRole) -> frozenset[PersonRole]:
    return frozenset(roles)


@pytest.fixture
def two_sites(house):
    """Two sites with an administrator and a reader each."""
    north, south = house.site("north"), house.site("south")
    for key, site in (("north", north), ("south", south)):
        house.invited(f"{key}-head", {site: {ADMINISTRATOR}})
        house.invited(f"{key}-reader", {site: {READER}})
    return north, south


def test_the_first_administrator_is_made_once(database, at_once):
    from mammolens.serve.settings import PeopleSettings

    made = []

    def make() -> None:
        made.append(people.first_administrator(database, PeopleSettings()))

    at_once(make, make, make)
    assert sum(one is not None for one in made) == 1
    assert people.first_administrator(database, PeopleSettings()) is None


@pytest.mark.parametrize("name", ["", "ab", "a b c", "é" * 5, "x" * 65, "-abc", "a\nbcd", "a/../b"])
def test_an_account_has_a_plain_name(house, name):
    assert refused(partial(house.invited, name)) is Refusal.NAME


def test_a_name_is_taken_once(house, at_once):
    calls = [partial(house.invited, name) for name in ("alice", "ALICE")]
    assert at_once(*calls) == ["done", "taken"]


def test_who_looks_after_a_site_sees_and_invites_its_people_alone(house, two_sites):
    north, south = two_sites
    head = house.person("north-head")
    names = [person.name for person in people.list_people(house.database, head)]
    assert names == ["north-head", "north-reader"]
    ask = partial(people.invite, house.database, house.settings, head)
    assert ask("new", "New", {north: of(READER)}).person.roles == {north: of(READER)}
    for roles in ({}, {north: of()}, {south: of(READER)}, {north: of(READER), south: of(READER)}):
        assert refused(partial(ask, "other", "Other", roles)) is Refusal.NOT_ALLOWED
    reader = house.person("north-reader")
    invite = partial(people.invite, house.database, house.settings, reader)
    assert refused(partial(invite, "other", "Other", {north: of(READER)})) is Refusal.NOT_ALLOWED


def test_people_of_another_site_are_as_if_they_were_not(house, two_sites):
    north, south = two_sites
    head, other = house.person("north-head"), house.person("south-reader")
    for number in (other.id, 4711):
        changes = [
            partial(people.read_person, house.database, head, number),
            partial(people.set_display_name, house.database, head, number, "x"),
            partial(people.set_roles, house.database, head, number, north, of(READER)),
            partial(people.set_roles, house.database, head, number, south, of(READER)),
            partial(people.set_administrator, house.database, head, number, True),
            partial(people.close_account, house.database, head, number),
            partial(people.open_account, house.database, head, number),
            partial(people.renew_password, house.database, house.settings, head, number),
            partial(people.end_sessions_of, house.database, head, number),
        ]
        assert [refused(change) for change in changes] == [Refusal.UNKNOWN] * len(changes)


def test_who_works_elsewhere_too_is_closed_by_the_installation_alone(house, two_sites):
    north, south = two_sites
    admin, head = house.person("admin"), house.person("north-head")
    both = house.invited("both", {north: {READER}, south: {READER}})
    change = partial(people.close_account, house.database)
    assert refused(partial(change, head, both.id)) is Refusal.NOT_ALLOWED
    people.set_roles(house.database, head, both.id, north, of())
    assert refused(partial(change, head, both.id)) is Refusal.UNKNOWN
    assert not change(admin, both.id).is_active


def test_roles_are_given_at_ones_own_site(house, two_sites):
    north, south = two_sites
    head, reader = house.person("north-head"), house.person("north-reader")
    change = partial(people.set_roles, house.database, head, reader.id)
    assert change(north, of(READER, PersonRole.ARBITER)).roles[north] == {
        READER,
        PersonRole.ARBITER,
    }
    for site in (south, 4711):
        assert refused(partial(change, site, of(READER))) is Refusal.UNKNOWN
    assert (
        refused(partial(people.set_administrator, house.database, head, reader.id, True))
        is Refusal.NOT_ALLOWED
    )
    mine = partial(people.set_roles, house.database, reader, reader.id, north)
    assert refused(partial(mine, of(ADMINISTRATOR))) is Refusal.UNKNOWN


def test_the_last_administrator_stays(house):
    admin = house.person("admin")
    for call in (
        partial(people.set_administrator, house.database, admin, admin.id, False),
        partial(people.close_account, house.database, admin, admin.id),
    ):
        assert refused(call) is Refusal.LAST_ADMINISTRATOR
    assert house.person("admin").is_administrator


def test_two_administrators_cannot_dismiss_each_other(house, at_once):
    house.invited("second")
    people.set_administrator(house.database, house.person("admin"), house.person("second").id, True)
    first, second = house.person("admin"), house.person("second")
    change = partial(people.set_administrator, house.database)
    told = at_once(
        partial(change, first, second.id, False), partial(change, second, first.id, False)
    )
    assert told in (["done", "not_allowed"], ["done", "last_administrator"])
    left = [name for name in ("admin", "second") if house.person(name).is_administrator]
    assert len(left) == 1


def test_a_closed_account_has_nothing_left_at_once(house):
    house.invited("alice")
    secret, session = house.enrol("alice")
    _, token = people.make_token(house.database, house.settings, session.person, "script", 9)
    admin = house.person("admin")
    people.close_account(house.database, admin, session.person.id)
    assert people.find_session(house.database, house.settings, secret) is None
    assert people.find_by_token(house.database, token) is None
    people.open_account(house.database, admin, session.person.id)
    assert people.find_session(house.database, house.settings, secret) is None
    assert people.find_by_token(house.database, token) is None
    assert house.sign_in("alice")


def test_an_account_that_begins_again_keeps_nothing(house):
    house.invited("alice")
    secret, session = house.enrol("alice")
    _, token = people.make_token(house.database, house.settings, session.person, "script", 9)
    admin = house.person("admin")
    again = people.renew_password(house.database, house.settings, admin, session.person.id)
    assert people.find_session(house.database, house.settings, secret) is None
    assert people.find_by_token(house.database, token) is None
    assert not again.person.has_second_factor
    house.one_time["alice"] = again.password
    house.clock.turn(30)
    house.enrol("alice")


def test_the_command_line_lets_an_administrator_in(house):
    house.enrol("admin")
    people.invite(
        house.database, house.settings, house.person("admin"), "bob", "Bob", {}, by_provider=True
    )
    for name in ("admin", "bob", "newcomer"):
        made = people.renew_administrator(house.database, house.settings, name)
        assert made.person.is_administrator
        assert made.person.is_active
        house.one_time[name] = made.password
        house.clock.turn(30)
        house.enrol(name)


def test_changes_are_in_the_trail_with_who_made_them(house, two_sites, rows):
    north, _ = two_sites
    head, reader = house.person("north-head"), house.person("north-reader")
    before = len(rows(AUDIT))
    people.set_display_name(house.database, head, reader.id, "Dr Reader")
    people.set_roles(house.database, head, reader.id, north, of(READER))
    people.close_account(house.database, head, reader.id)
    people.open_account(house.database, head, reader.id)
    people.renew_password(house.database, house.settings, head, reader.id)
    people.rename_site(house.database, head, north, "North Hospital")
    made = rows(AUDIT)[before:]
    assert {row.actor for row in made} == {"person:north-head"}
    assert [row.action for row in made] == [
        "person_renamed",
        "roles_changed",
        "account_closed",
        "account_opened",
        "password_renewed",
        "site_renamed",
    ]
    assert json.loads(made[1].detail) == {"person": "north-reader", "roles": f"{north}: reader"}


def test_a_token_is_kept_as_its_hash_and_ends_when_it_is_revoked(house, rows):
    house.enrol("admin")
    admin = house.person("admin")
    made, secret = people.make_token(house.database, house.settings, admin, "script", 9)
    assert secret not in repr([*rows(API_TOKENS), *rows(AUDIT)])
    assert people.find_by_token(house.database, secret).name == "admin"
    assert people.list_tokens(house.database, admin)[0].used_at == house.clock.now
    house.invited("alice")
    other = partial(people.revoke_token, house.database, house.person("alice"), made.id)
    assert refused(other) is Refusal.UNKNOWN
    people.revoke_token(house.database, admin, made.id)
    assert people.find_by_token(house.database, secret) is None
    assert people.list_tokens(house.database, admin) == []
    again = partial(people.revoke_token, house.database, admin, made.id)
    assert refused(again) is Refusal.UNKNOWN


def test_a_token_ends_at_its_day_and_stays_ended(house):
    house.enrol("admin")
    _, secret = people.make_token(house.database, house.settings, house.person("admin"), "x", 1)
    house.clock.turn(86400)
    assert people.find_by_token(house.database, secret) is None
    house.clock.turn(-86400)
    assert people.find_by_token(house.database, secret) is None


def test_tokens_have_limits(house):
    house.enrol("admin")
    make = partial(people.make_token, house.database, house.settings, house.person("admin"), "x")
    for days in (0, 366):
        assert refused(partial(make, days)) is Refusal.TOO_MUCH
    for _ in range(50):
        make(1)
    assert refused(partial(make, 1)) is Refusal.TOO_MUCH
    for secret in ("", "mlp_", "mlp_" + "x" * 43, "xyz"):
        assert people.find_by_token(house.database, secret) is None


def test_a_token_waits_for_a_finished_sign_in(house):
    house.invited("alice")
    _, secret = people.make_token(house.database, house.settings, house.person("alice"), "x", 1)
    assert people.find_by_token(house.database, secret) is None


def test_sites_have_a_key_for_good_and_a_name(house, two_sites, at_once):
    north, south = two_sites
    admin, head = house.person("admin"), house.person("north-head")
    make = partial(people.make_site, house.database, admin)
    assert refused(partial(make, "north", "Another")) is Refusal.TAKEN
    assert refused(partial(make, "another", "North")) is Refusal.TAKEN
    assert refused(partial(make, "No Key", "Another")) is Refusal.NAME
    assert refused(partial(people.make_site, house.database, head, "x", "X")) is Refusal.NOT_ALLOWED
    rename = partial(people.rename_site, house.database)
    assert rename(head, north, "North Hospital").key == "north"
    assert refused(partial(rename, head, north, "South")) is Refusal.TAKEN
    assert refused(partial(rename, head, south, "Mine")) is Refusal.UNKNOWN
    reader = house.person("north-reader")
    assert refused(partial(rename, reader, north, "Mine")) is Refusal.NOT_ALLOWED
    assert [site.id for site in people.list_sites(house.database, head)] == [north]
    assert {site.id for site in people.list_sites(house.database, admin)} == {north, south}
    assert at_once(*(partial(rename, admin, site, "One") for site in two_sites)) == [
        "done",
        "taken",
    ]


def test_a_site_of_the_settings_is_made_when_it_is_needed(house, rows):
    house.site("north")
    people.make_site(house.database, house.person("admin"), "other", "south")
    with house.database.write() as connection:
        numbers = [ensure_site(house.database, connection, key) for key in ("north", "south")]
    with house.database.write() as connection:
        assert ensure_site(house.database, connection, "south") == numbers[1]
    assert [(row.key, row.name) for row in rows(SITES)] == [
        ("north", "North"),
        ("other", "south"),
        ("south", "south (settings)"),
    ]


@pytest.fixture
def send(house, state, mammogram):
    def send(number: int, site: str | None, study: str = "1.2.3"):
        content = mammogram(number, StudyInstanceUID=study)
        sites = {"dimse:MG1": site} if site else {}
        of_site = state.settings.model_copy(update={"sites": sites})
        node = replace(state, database=house.database, settings=of_site)
        return receive(node, content, "dimse:MG1").exam_id

    return send


def test_an_exam_keeps_the_site_of_its_first_sender(two_sites, send, rows):
    north, _ = two_sites
    exam = send(0, "north")
    assert send(1, "south") == send(2, None) == send(3, "north") == exam
    (row,) = rows(EXAMS)
    assert row.site_id == north
    told = [json.loads(row.detail).get("sent_by_site", "-") for row in rows(AUDIT)[-4:]]
    assert told == ["-", "south", None, "-"]


@pytest.mark.usefixtures("two_sites")
def test_an_exam_is_seen_at_its_site_alone(house, send):
    exams = {"north": send(0, "north", "1.1"), None: send(1, None, "1.2")}

    def seen(person: Person) -> list[int]:
        with house.database.read() as connection:
            asked = sa.select(EXAMS.c.id).where(people.visible_exams(person))
            listed = list(connection.execute(asked.order_by(EXAMS.c.id)).scalars())
            for number in (*exams.values(), 4711):
                if number in listed:
                    assert people.visible_exam(connection, person, number).id == number
                else:
                    call = partial(people.visible_exam, connection, person, number)
                    assert refused(call) is Refusal.UNKNOWN
        return listed

    assert seen(house.person("admin")) == sorted(exams.values())
    assert seen(house.person("north-reader")) == [exams["north"]]
    assert seen(house.person("south-reader")) == []
    assert seen(house.invited("nowhere")) == []


def test_an_exam_is_given_a_site_by_the_installation_and_as_it_was_seen(
    house, two_sites, send, at_once
):
    north, south = two_sites
    admin, head = house.person("admin"), house.person("north-head")
    exam = send(0, None)
    assign = partial(people.assign_exam, house.database)
    assert refused(partial(assign, head, exam, None, north)) is Refusal.UNKNOWN
    calls = [partial(assign, admin, exam, None, site) for site in two_sites]
    assert at_once(*calls) == ["changed", "done"]
    assign(admin, exam, house_site(house, exam), north)
    assert refused(partial(assign, head, exam, north, south)) is Refusal.NOT_ALLOWED
    assert refused(partial(assign, admin, exam, north, 4711)) is Refusal.UNKNOWN
    assign(admin, exam, north, None)


def house_site(house, exam: int) -> int | None:
    with house.database.read() as connection:
        return connection.execute(sa.select(EXAMS.c.site_id).where(EXAMS.c.id == exam)).scalar_one()


def test_no_hash_is_not_a_password_and_damage_is_not_one(database, clock):
    house = House(database, clock)
    assert not is_password(None, "anything")
    assert not is_password("not a hash", "anything")
    with house.database.read() as connection:
        known = connection.execute(sa.select(PEOPLE.c.password_hash)).scalar_one()
    assert known.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert is_password(known, house.one_time["admin"])
