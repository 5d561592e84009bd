"""Idempotency-Key: what is sent twice counts once, also at the same moment."""

from __future__ import annotations

import threading

import sqlalchemy as sa

from mammolens.serve.record import ADDENDA, READINGS, REPEATS, UPLOADS

KEY = "phone-0123456789abcdef"
ANSWER = {"assessments": {"left": {"birads": "4"}}, "recall": True}
READER = "north-reader"


def count(stage, table) -> int:
    with stage.database.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def actions(stage, name: str) -> int:
    asked = sa.text("SELECT count(*) FROM audit WHERE action = :name")
    with stage.database.read() as connection:
        return connection.execute(asked, {"name": name}).scalar_one()


def sign(stage, key: str | None = KEY, if_match: str = '"2"', who: str = READER):
    headers = {"if_match": if_match} | ({"idempotency_key": key} if key else {})
    place = f"/readings/{stage.cast.things['reading_id']}/sign"
    return stage.ask(who, "POST", place, **headers)


def test_a_signature_that_comes_twice_counts_once_and_hears_the_same(stage):
    before = actions(stage, "reading_signed")
    first, second = sign(stage), sign(stage)
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == second.json()
    assert first.headers["etag"] == second.headers["etag"]
    assert actions(stage, "reading_signed") == before + 1


def test_without_a_key_the_second_one_is_refused(stage):
    assert sign(stage, None).status_code == 200
    assert sign(stage, None).status_code == 409


def test_another_request_with_the_same_key_is_refused(stage):
    assert sign(stage).status_code == 200
    for other in (sign(stage, if_match='"3"'), addendum(stage, "More", KEY)):
        assert (other.status_code, other.json()["code"]) == (422, "key_reused")


def test_a_key_is_of_one_person(stage):
    assert sign(stage).status_code == 200
    assert sign(stage, who="south-reader").status_code == 404


def test_what_was_refused_may_be_asked_for_again_with_the_same_key(stage):
    assert sign(stage, if_match='"9"').status_code == 412
    assert sign(stage).status_code == 200


def test_keys_that_are_none_are_refused(stage):
    for key in ("short", "x" * 65, "with spaces and more"):
        assert sign(stage, key).status_code == 422


def addendum(stage, text: str, key: str, reading: str = "signed_id"):
    place = f"/readings/{stage.cast.things[reading]}/addenda"
    return stage.ask(READER, "POST", place, {"text": text}, idempotency_key=key)


def test_an_addendum_that_comes_twice_is_added_once(stage):
    first, second = (addendum(stage, "One word", KEY) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    other = addendum(stage, "Another word", KEY)
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    assert count(stage, ADDENDA) == 1


def test_two_at_the_same_moment_count_once(stage):
    start = threading.Barrier(2)
    heard: list[tuple[int, str]] = []

    def send() -> None:
        start.wait()
        done = addendum(stage, "One word", KEY)
        heard.append((done.status_code, done.text))

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [status for status, _ in heard] == [201, 201]
    assert heard[0] == heard[1]
    assert count(stage, ADDENDA) == 1
    assert count(stage, REPEATS) == 1


def test_a_draft_that_comes_twice_is_saved_once(stage):
    place = f"/readings/{stage.cast.things['reading_id']}"
    sent = {"if_match": '"2"', "idempotency_key": KEY}
    first, second = (stage.ask(READER, "PUT", place, ANSWER, **sent) for _ in range(2))
    assert first.json() == second.json()
    assert first.json()["etag"] == '"3"'
    edition = sa.select(READINGS.c.edition).where(READINGS.c.id == stage.cast.things["reading_id"])
    with stage.database.read() as connection:
        assert connection.execute(edition).scalar_one() == 3


def test_an_upload_that_is_begun_twice_is_one(stage):
    tus = {"tus_resumable": "1.0.0", "upload_length": "5", "idempotency_key": KEY}
    first, second = (stage.ask("north-uploader", "POST", "/uploads", **tus) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.headers["location"] == second.headers["location"]
    assert count(stage, UPLOADS) == 1
    other = stage.ask("north-uploader", "POST", "/uploads", **(tus | {"upload_length": "6"}))
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")
