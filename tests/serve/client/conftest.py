"""A whole service on a free port, with a worker, and a person's API token."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from mammolens.serve import people
from mammolens.serve.holdings import NodeState, open_state
from mammolens.serve.portal import open_portal
from mammolens.serve.record import SITES, PersonRole
from mammolens.serve.settings import NodeSettings
from mammolens.serve.web import serving
from mammolens.serve.work import work

from ..house import House
from ..portal.conftest import cheap_hashes

__all__ = ["cheap_hashes"]


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


class _Now:
    """The host's clock, as `House` asks for it."""

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)


def _token(state: NodeState) -> str:
    house = House(state.database, _Now(), state.settings.people)
    house.enrol("admin")
    roles = {house.site("north"): {PersonRole.UPLOADER, PersonRole.READER}}
    reader = house.invited("reader", roles)
    house.enrol("reader")
    _, token = people.make_token(state.database, state.settings.people, reader, "script", 1)
    return token
