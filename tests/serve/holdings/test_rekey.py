"""A new key: everything is sealed anew, whatever ends whenever, and nobody is renamed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading

import pydicom
import pytest
import sqlalchemy as sa

from mammolens.errors import ConfigError, StorageError
from mammolens.serve.delivery import deliver
from mammolens.serve.holdings import consent_about, open_state, rekey
from mammolens.serve.holdings.store import sweep
from mammolens.serve.record import (
    AUDIT,
    CONSENTS,
    EXAMS,
    FILES,
    IDENTITIES,
    KEYRING,
    PEOPLE,
    STEPS,
    ensure_site,
    steps,
)
from mammolens.serve.record.audit import verify
from mammolens.serve.settings import NodeSettings

from ..in_process import work_once

OLD, NEW, NEWER = ("o" * 32, "n" * 32, "w" * 32)


@pytest.fixture
def values(tmp_path, package, url):
    for name in ("hospital", "memory"):
        (tmp_path / name).mkdir()
    route = {"name": "a", "to": str(tmp_path / "hospital"), "sinks": ["dicom-cad-sr", "hl7"]}
    return {
        "data": str(tmp_path / "node"),
        "database": url,
        "model": str(package),
        "intake": {"min_free_mb": 0},
        "exams": {"quiet_time_s": 0.01},
        "jobs": {"backoff_s": 0.01, "max_attempts": 1},
        "routes": [route],
        "scratch": str(tmp_path / "memory"),
    }


def keyed(values, key: str, *old_keys: str) -> NodeSettings:
    hidden = {"key": key, "old_keys": old_keys, "scratch": values["scratch"]}
    intake = {**values["intake"], "deidentify": hidden}
    given = {k: v for k, v in values.items() if k != "scratch"}
    return NodeSettings(**given | {"intake": intake})


@pytest.fixture
def send(send_views):
    def send(settings: NodeSettings, *numbers: int) -> list[bool]:
        tags = {"PatientID": "P-4711", "BurnedInAnnotation": "NO"}
        with open_state(settings) as state:
            return [receipt.repeated for receipt in send_views(state, numbers, **tags)]

    return send


@pytest.fixture
def worked(values, send):
    """A node with an exam, a result and a step, sealed with the old key."""
    settings = keyed(values, OLD)
    send(settings, 0, 1, 2, 3)
    with open_state(settings) as state:
        assert work_once(state) == 1
        steps.enter(state.database, "ris", ["1.2.1"], 1)
        (step,) = steps.hold(state.database, "ris", "w", settings.jobs)
        work = state.results.seal.close_work({"study": "1.2.77"}, "1.2.1")
        step = steps.save(state.database, step, "waiting", work)
        steps.put_back(state.database, step, 0)
        _enter_consent(state)
    return values


def _enter_consent(state) -> None:
    said = state.results.seal.close_work({"name": "Jane Doe"}, consent_about("c" * 20))
    with state.database.write() as connection:
        now = state.database.now(connection)
        site = ensure_site(state.database, connection, "north")
        person = {"name": "worker", "display_name": "Worker", "is_administrator": False}
        person |= {"totp_step": 0, "created_at": now}
        made = connection.execute(PEOPLE.insert().values(person).returning(PEOPLE.c.id))
        row = {"id": "c" * 20, "site_id": site, "person_id": made.scalar_one()}
        row |= {"text_version": "1", "text_digest": "0" * 64, "language": "en"}
        row |= {"said": json.dumps(said).encode(), "given_at": now, "created_at": now}
        connection.execute(CONSENTS.insert().values(row))


def read_all(settings: NodeSettings) -> list[object]:
    """Everything that is sealed, opened; a key that does not fit raises."""
    with open_state(settings) as state, state.database.read() as connection:
        seal = state.results.seal
        told: list[object] = [
            json.loads(seal.open(row.sealed, row.digest.encode()))["ref"]
            for row in connection.execute(sa.select(IDENTITIES).order_by(IDENTITIES.c.digest))
        ]
        for row in connection.execute(sa.select(STEPS)):
            told.append(seal.open_work(json.loads(row.work), row.sop_instance_uid))
        for row in connection.execute(sa.select(CONSENTS)):
            told.append(seal.open_work(json.loads(row.said), consent_about(row.id)))
        told += [
            state.results.read(row.digest)
            for row in connection.execute(sa.select(FILES).order_by(FILES.c.id))
        ]
        assert {path.name for path in state.results.folder.glob("??/*")} >= {
            *connection.execute(sa.select(FILES.c.digest)).scalars()
        }
        assert verify(connection).sound
        return [*told, seal.pseudonyms]


@pytest.mark.slow
def test_everything_opens_with_the_new_key_alone(worked, send, tmp_path):
    before = read_all(keyed(worked, OLD))
    with open_state(keyed(worked, NEW, OLD)) as state:
        done = rekey(state)
        assert (done.identities, done.steps, done.consents) == (4, 1, 1)
        assert done.files == len(before) - 7 > 1
        assert rekey(state) == type(done)(0, 0, 0)
    assert read_all(keyed(worked, NEW)) == before
    with pytest.raises(StorageError), open_state(keyed(worked, OLD)):
        pass
    assert send(keyed(worked, NEW), 0, 1, 2, 3) == [True] * 4
    with open_state(keyed(worked, NEW)) as state:
        assert deliver(state, threading.Event(), once=True) == 2
        with state.database.read() as connection:
            assert len(connection.execute(sa.select(EXAMS)).all()) == 1
            rows = connection.execute(sa.select(AUDIT.c.detail).where(AUDIT.c.action == "rekeyed"))
            assert [json.loads(row)["identities"] for row in rows.scalars()] == [4, 0]
        kept = len(list(state.results.folder.glob("??/*")))
        assert sweep(state.database, state.results, age_s=-1) == done.files == kept - done.files
    (report,) = (tmp_path / "hospital").rglob("*.dcm")
    assert pydicom.dcmread(report).PatientID == "P-4711"


def test_a_node_works_on_with_both_keys_before_during_and_after(worked, send):
    both = keyed(worked, NEW, OLD)
    assert send(both, 0) == [True]
    assert send(both, 4) == [False]
    with open_state(both) as state:
        assert work_once(state) == 1
        assert rekey(state).identities == 4
        with state.database.read() as connection:
            assert connection.execute(sa.select(sa.func.count()).select_from(EXAMS)).scalar() == 1
    assert send(keyed(worked, NEWER, NEW), 4) == [True]


def test_the_first_start_with_old_keys_takes_pseudonyms_from_the_oldest(values, send):
    send(keyed(values, OLD), 0)
    settings = keyed(values, NEW, OLD)
    with open_state(settings) as state, state.database.write() as connection:
        connection.execute(KEYRING.delete())
    assert send(settings, 0) == [True]


def test_what_opens_with_no_key_stops_it_and_the_old_key_is_still_needed(worked):
    with open_state(keyed(worked, NEW, OLD)) as state:
        with state.database.write() as connection:
            broken = connection.execute(sa.select(IDENTITIES.c.digest)).scalars().first()
            connection.execute(
                IDENTITIES.update().where(IDENTITIES.c.digest == broken).values(sealed=b"x")
            )
        with pytest.raises(StorageError, match="cannot be opened"):
            rekey(state)
    with open_state(keyed(worked, OLD)):
        pass


def test_no_key_can_be_read_off_a_seal(worked):
    with open_state(keyed(worked, NEW, OLD)) as state:
        seal = state.results.seal
        secrets = [seal.pseudonyms.key, *(key.key for key in seal.keys)]
        assert not any(repr(secret) in repr(state) for secret in secrets)


def test_without_de_identification_there_is_nothing_to_seal(values):
    given = {k: v for k, v in values.items() if k != "scratch"}
    with open_state(NodeSettings(**given)) as state, pytest.raises(ConfigError, match="sealed"):
        rekey(state)


CHILD = """
import json, os, signal, sys
from mammolens.serve.holdings import open_state, encryption, rekey as _, store
from mammolens.serve.settings import NodeSettings

left = int(sys.argv[2])
real = {"close": encryption._close, "put": store.Store.put, "require": store.Store.require}

def counted(name):
    def call(*arguments, **named):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real[name](*arguments, **named)
    return call

with open_state(NodeSettings(**json.loads(sys.argv[1]))) as state:
    encryption._close = counted("close")
    store.Store.put = counted("put")
    store.Store.require = counted("require")
    _(state)
"""


@pytest.mark.slow
@pytest.mark.longest
def test_killed_anywhere_it_is_run_again_and_nothing_is_lost(worked):
    before = read_all(keyed(worked, OLD))
    plain = json.dumps(
        json.loads(keyed(worked, NEW, OLD).model_dump_json())
        | {"intake": {"min_free_mb": 0, "deidentify": hidden(worked)}, "secrets": {}}
    )
    survived = False
    for acts in range(40):
        done = subprocess.run(
            [sys.executable, "-c", CHILD, plain, str(acts)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=os.environ,
        )
        survived = done.returncode == 0
        assert survived or done.returncode == -signal.SIGKILL, done.stderr
        assert read_all(keyed(worked, NEW, OLD)) == before
        if survived:
            break
    assert survived
    assert acts > 3
    assert read_all(keyed(worked, NEW)) == before


def hidden(values) -> dict[str, object]:
    return {"key": NEW, "old_keys": [OLD], "scratch": values["scratch"]}


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_one_identity_that_was_changed_keeps_none_of_the_others_from_the_new_key(worked):
    with open_state(keyed(worked, NEW, OLD)) as state:
        with state.database.write() as connection:
            first = connection.execute(sa.select(IDENTITIES)).first()
            broken = first.sealed[:-1] + bytes([first.sealed[-1] ^ 1])
            which = IDENTITIES.c.digest == first.digest
            connection.execute(IDENTITIES.update().where(which).values(sealed=broken))
        with pytest.raises(StorageError, match="1 identities cannot be opened"):
            rekey(state)
        seal = state.results.seal
        with state.database.read() as connection:
            current = [seal.is_current(r.sealed) for r in connection.execute(sa.select(IDENTITIES))]
            assert sorted(current) == [False, True, True, True]
            keyring = connection.execute(sa.select(KEYRING.c.sealed)).scalar_one()
            assert not seal.is_current(keyring)
