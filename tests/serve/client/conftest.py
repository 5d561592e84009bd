"""A whole service on a free port, with a worker, and a person's API token."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from mammolens.serve import people
from mammolens.serve.holdings import NodeState, open_state
from mammolens.serve.portal import open_portal
from mammolens.serve.record import PEOPLE, SITES, PersonRole
from mammolens.serve.settings import NodeSettings
from mammolens.serve.web import serving
from mammolens.serve.work import work


@dataclass
class Service:
    """Where it listens, and the token of somebody who sends and reads at the site north."""

    address: str
    token: str
    state: NodeState

    def mode(self, mode: str) -> None:
        """Set how the site reads."""
        with self.state.database.write() as connection:
            connection.execute(SITES.update().values(reading_mode=mode))


@pytest.fixture
def service(tmp_path, package) -> Iterator[Service]:
    settings = NodeSettings(
        data=tmp_path / "node",
        model=str(package),
        intake={"min_free_mb": 0},
        exams={"quiet_time_s": 0.2},
        jobs={"poll_s": 0.1},
        web={"port": 0},
    )
    stop = threading.Event()
    with open_state(settings) as state:
        worker = threading.Thread(target=work, args=(state, 1, stop))
        worker.start()
        try:
            with serving(state, open_portal(state)) as port:
                yield Service(f"http://127.0.0.1:{port}", _token(state), state)
        finally:
            stop.set()
            worker.join()


def _token(state: NodeState) -> str:
    database, settings = state.database, state.settings.people
    people.first_administrator(database, settings)
    admin = _person(state, "admin")
    site = people.make_site(database, admin, "north", "North")
    roles = {site.id: frozenset({PersonRole.UPLOADER, PersonRole.READER})}
    people.invite(database, settings, admin, "reader", "A Reader", roles)
    _, token = people.make_token(database, settings, _person(state, "reader"), "script", 1)
    return token


def _person(state: NodeState, name: str) -> Any:
    from mammolens.serve.people.person import read_people

    with state.database.read() as connection:
        (found,) = read_people(connection, PEOPLE.c.name == name)
    return found
