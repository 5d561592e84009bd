"""A portal with a cast of people, each with a session; made once and copied for every test."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from mammolens.monitor import ExamValues
from mammolens.readings import Answer
from mammolens.serve import alarms, monitoring, people, reading
from mammolens.serve.holdings import NodeState, Store, retention
from mammolens.serve.people import Session, passwords
from mammolens.serve.portal import open_portal
from mammolens.serve.record import (
    ALARMS,
    EXAMS,
    OUTCOMES,
    REPORTS,
    SESSIONS,
    SHARES,
    SITES,
    Database,
    PersonRole,
    ReadingMode,
    SignInMethod,
    open_database,
)
from mammolens.serve.settings import NodeSettings
from mammolens.serve.web.app import build_app

from ..conftest import TurnedClock, drop_database
from ..house import HERE, House

testclient = pytest.importorskip("starlette.testclient")

NODE_TOKEN = "0123456789abcdef-token"
CAST = {
    "north-head": ("north", PersonRole.ADMINISTRATOR),
    "north-reader": ("north", PersonRole.READER),
    "north-uploader": ("north", PersonRole.UPLOADER),
    "north-arbiter": ("north", PersonRole.ARBITER),
    "north-worker": ("north", PersonRole.HEALTH_WORKER),
    "south-head": ("south", PersonRole.ADMINISTRATOR),
    "south-reader": ("south", PersonRole.READER),
}


@dataclass(frozen=True)
class Known:
    """What somebody shows: the secret of a session with its CSRF token, and an API token."""

    secret: str
    csrf: str
    session: int
    token: str = ""
    token_id: int = 0


@dataclass(frozen=True)
class Cast:
    """Who is there, by name; the numbers of people, sites, and of one of everything else."""

    url: str
    now: Any
    known: dict[str, Known]
    people: dict[str, int]
    sites: dict[str, int]
    one_time: dict[str, str]
    totp: dict[str, str]
    things: dict[str, int]


@pytest.fixture(
    scope="session", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.pacs)]
)
def cast(request, tmp_path_factory) -> Cast:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('cast') / 'node.sqlite'}"
    else:
        url = request.getfixturevalue("cluster").new_database()
    clock = TurnedClock()
    database = open_database(url, clock)
    try:
        return _gather(House(database, clock), url)
    finally:
        database.close()


def _gather(house: House, url: str) -> Cast:
    known = {"admin": _know(house, *house.enrol("admin"))}
    sites = {key: house.site(key) for key in ("north", "south")}
    for name, (key, role) in CAST.items():
        house.invited(name, {sites[key]: {role}})
        known[name] = _know(house, *house.enrol(name))
    for name in ("revoked", "expired", "stale"):
        house.clock.turn(30)
        known[name] = _know(house, *house.sign_in("admin"), tokens=False)
    people.end_session(house.database, house.person("admin"), known["revoked"].session)
    late = SESSIONS.update().where(SESSIONS.c.id == known["expired"].session)
    with house.database.write() as connection:
        connection.execute(late.values(expires_at=house.clock.now))
    house.invited("newcomer", {sites["north"]: {PersonRole.READER}})
    secret, session = house.sign_ins.give_password("newcomer", house.one_time["newcomer"], HERE)
    known["unfinished"] = _know(house, secret, session, tokens=False)
    numbers = {name: house.person(name).id for name in ("admin", "newcomer", *CAST)}
    things = _read(house, sites["north"])
    return Cast(url, house.clock.now, known, numbers, sites, house.one_time, house.secrets, things)


def _read(house: House, site: int) -> dict[str, int]:
    """Give a site two exams: a draft about one, and an answer with what follows about the other."""
    database, reader = house.database, house.person("north-reader")
    concurrent = ReadingMode.CONCURRENT
    people.set_reading(database, house.person("admin"), site, reading_mode=concurrent)
    answer = Answer.model_validate(
        {"assessments": {"left": {"birads": "4"}}, "recall": True, "urgent": "Call today"}
    )
    exams = [_exam(house, site, number) for number in (1, 2)]
    signed, draft = (reading.begin_reading(database, reader, exam)[0] for exam in exams)
    for one in (signed, draft):
        reading.save_draft(database, reader, one.id, 1, answer)
    reading.sign_reading(database, reader, signed.id, 2)
    newcomer = house.person("newcomer").id
    asked = reading.ask_opinion(database, reader, exams[1], newcomer, "A mass?")
    every = {"open_only": True, "before": None, "limit": 1}
    with database.write() as connection:
        watched = ExamValues({"score": 0.0}, "MG1", "S1", "model")
        monitoring.enter_result(database, connection, exams[0], 1, watched)
    monitoring.take_in(database, NodeSettings())
    monitor = alarms.list_monitors(database, house.person("admin"), None, 1).items[0].id
    with database.write() as connection:
        alarm = {"monitor_id": monitor, "measure": "score", "direction": "higher", "since": 1}
        alarm |= {"n_before": 0, "n_after": 1, "mean_before": 0.0, "mean_after": 0.0}
        connection.execute(ALARMS.insert().values(alarm | {"raised_at": house.clock.now}))
    return {
        "monitor_id": monitor,
        "alarm_id": 1,
        "exam_id": exams[1],
        "share_id": _share(house, exams[1], draft.id),
        "reading_id": draft.id,
        "signed_id": signed.id,
        "opinion_id": asked.id,
        "notice_id": reading.list_notices(database, reader, **every).items[0].id,
        "recall_id": reading.list_recalls(database, reader, **every).items[0].id,
        "outcome_id": _outcome(house, site, exams[1]),
    }


def _share(house: House, exam: int, reading_id: int) -> int:
    row = {"exam_id": exam, "reading_id": reading_id, "person_id": house.person("north-reader").id}
    row |= {"token_hash": "0" * 64, "code_hash": "0" * 64, "failures": 0, "openings": 0}
    times = {"created_at": house.clock.now, "expires_at": house.clock.now + timedelta(days=7)}
    with house.database.write() as connection:
        made = connection.execute(SHARES.insert().values(row | times).returning(SHARES.c.id))
        return int(made.scalar_one())


def _outcome(house: House, site: int, exam: int) -> int:
    """Enter a report and its outcome, which waits for a person."""
    text = "Left breast, core biopsy: invasive ductal carcinoma."
    unknown = ("report_id", "patient_id", "accession_number", "collected", "issued", "birth_date")
    body = dict.fromkeys(unknown) | {"source": "", "status": "FINAL", "text": text}
    report = {"site_id": site, "key": "k", "patient": "p", "digest": "d" * 64, "sender": "mllp:x"}
    report |= {"body": json.dumps(body).encode(), "received_at": house.clock.now}
    values = {"outcome": "invasive", "laterality": "L", "tissue": "breast"}
    outcome = {"key": "k", "specimen": 0, "site_id": site, "exam_id": exam, "state": "waiting"}
    outcome |= {"version": 1, "taken": "2026-01-20", "proposed": json.dumps(values)}
    outcome |= {"reasons": '[["malignant", ""]]', "candidates": "[]"}
    with house.database.write() as connection:
        made = connection.execute(REPORTS.insert().values(report).returning(REPORTS.c.id))
        outcome |= {"report_id": made.scalar_one(), "changed_at": house.clock.now}
        entered = connection.execute(OUTCOMES.insert().values(outcome).returning(OUTCOMES.c.id))
        return int(entered.scalar_one())


def _exam(house: House, site: int, number: int) -> int:
    row = {
        "study_instance_uid": f"1.2.{number}",
        "identity": f"{number:064x}",
        "first_received_at": house.clock.now,
        "last_received_at": house.clock.now,
        "version": 1,
        "queued_version": 1,
        "four_views": False,
        "site_id": site,
    }
    with house.database.write() as connection:
        made = connection.execute(EXAMS.insert().values(row).returning(EXAMS.c.id))
        return int(made.scalar_one())


def _know(house: House, secret: str, session: Session, tokens: bool = True) -> Known:
    assert session.method is SignInMethod.PASSWORD
    if not tokens:
        return Known(secret, session.csrf_token, session.id)
    made, token = people.make_token(house.database, house.settings, session.person, "script", 9)
    return Known(secret, session.csrf_token, session.id, token, made.id)


@dataclass
class Stage:
    """A portal of a test's own, in front of a copy of the cast's database."""

    cast: Cast
    client: Any
    database: Database
    clock: TurnedClock
    state: NodeState

    def headers(self, who: str) -> dict[str, str]:
        """What somebody sends to be known."""
        if who == "stranger":
            return {}
        if who == "machine":
            return {"authorization": f"Bearer {NODE_TOKEN}"}
        if who == "forged":
            return {"authorization": "Bearer mlp_" + "x" * 43}
        name, _, by_token = who.partition(" by ")
        known = self.cast.known[name]
        if by_token:
            return {"authorization": f"Bearer {known.token}"}
        return {"cookie": f"mammolens={known.secret}", "x-csrf-token": known.csrf}

    def ask(self, who: str, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Make a request as somebody; `path` is below the API."""
        sent = self.headers(who) | {k.replace("_", "-"): v for k, v in headers.items()}
        address = path if path.startswith("//") else f"/api/v1{path}"
        self.client.cookies.clear()
        return self.client.request(method, address.replace("//", "/"), json=body, headers=sent)


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch) -> None:
    """Let passwords cost little here; what they cost is the matter of other tests."""
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", cheap)


@pytest.fixture(autouse=True)
def no_page(monkeypatch) -> None:
    """Let no front end be built, whatever lies in the checkout."""
    monkeypatch.setattr("mammolens.serve.web.app.find_page", lambda: None)


@pytest.fixture
def make_stage(cast, tmp_path) -> Iterator[Callable[..., Stage]]:
    made: list[tuple[str, Database]] = []

    def make(url: str | None = None, **changes: Any) -> Stage:
        clock = TurnedClock()
        clock.now = cast.now
        url = url or _copy(cast.url, tmp_path)
        database = open_database(url, clock)
        made.append((url, database))
        web = {"tokens": {"pacs": NODE_TOKEN}} | changes.get("web", {})
        changes["web"] = {"retrievers": tuple(web["tokens"])} | web
        changes["intake"] = {"min_free_mb": 0} | changes.get("intake", {})
        settings = NodeSettings(data=tmp_path / "node", **changes)
        stores = (Store(settings.data / name) for name in ("received", "results"))
        state = NodeState(settings, database, *stores)
        app = build_app(state, open_portal(state))
        client = testclient.TestClient(app, "http://127.0.0.1", follow_redirects=False)
        return Stage(cast, client, database, clock, state)

    yield make
    for url, database in made:
        database.close()
        if not url.startswith("sqlite"):
            drop_database(url)


@pytest.fixture
def make_empty_stage(make_stage) -> Callable[..., Stage]:
    """Give a function that makes a portal without exams, at whose sites the AI is hidden first."""

    def make(**changes: Any) -> Stage:
        stage = make_stage(**changes)
        with stage.database.write() as connection:
            ids = list(connection.execute(sa.select(EXAMS.c.id)).scalars())
            retention._delete_exam_rows(connection, ids)
            mode = ReadingMode.SECOND_READER.value
            connection.execute(SITES.update().values(reading_mode=mode))
        return stage

    return make


@pytest.fixture
def stage(make_stage) -> Stage:
    return make_stage()


def _copy(url: str, folder: Path) -> str:
    name = f"copy_{uuid.uuid4().hex}"
    if url.startswith("sqlite"):
        file = folder / f"{name}.sqlite"
        shutil.copy(url.removeprefix("sqlite:///"), file)
        return f"sqlite:///{file}"
    engine = sa.create_engine(url.rpartition("/")[0] + "/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        template = url.rpartition("/")[2]
        connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template}")
    engine.dispose()
    return f"{url.rpartition('/')[0]}/{name}"
