"""Delivery: the results are sent by their routes, each route in its own loop.

If a destination is away, only its route pauses, for a time that doubles up to a limit in the
settings. If a file is refused or damaged, it becomes dead, and the next file is sent. A file is
sent at least once: without an answer, the same bytes are sent again. A file is sent only while its
lease is certainly held, so that a sender that slept cannot send an old result after a new one.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final

from mammolens.errors import DeliveryError, StorageError
from mammolens.serve import logs
from mammolens.serve.delivery.outbox import Delivery, claim_deliveries, finish_delivery
from mammolens.serve.delivery.transports import (
    Answer,
    Parcel,
    Send,
    Transport,
    Verdict,
    open_transport,
)
from mammolens.serve.exchange import MINIMUM_RATE, obeying
from mammolens.serve.holdings import OF_ONE_FILE, PATIENCE, NodeState
from mammolens.serve.record import DELIVERIES, Pulse, attempts, beating
from mammolens.serve.settings import JobSettings, RouteSettings
from mammolens.serve.threads import running

__all__ = ["deliver", "delivering"]

ROOM: Final = "delivery"
BATCH: Final = 16
LONGEST_IN_TIMEOUTS: Final = 8
"""A batch hangs if each of its files takes longer than so many time limits of its route, and longer
than its bytes take at `MINIMUM_RATE`."""
NOT_TRIED: Final = Answer(Verdict.AWAY, "not tried: the destination is away")
STOPPED: Final = "not tried: the sender was stopped"
LOST: Final = "not tried: the lease ran out"


@dataclass
class Route:
    """One route during delivery, and the recent answers of its destination.

    `broken` and `away` count such answers in a row; `asked_s` is the wait that it asked for.
    """

    state: NodeState
    settings: RouteSettings
    transport: Transport
    pulse: Pulse
    stop: threading.Event
    worker: str
    broken: int = 0
    away: int = 0
    asked_s: float = 0.0

    @property
    def max_attempts(self) -> int:
        """Attempts after which a person must look at a delivery; 0 in the settings is no limit."""
        most = self.settings.max_attempts
        return self.state.settings.jobs.max_deliveries if most is None else most or sys.maxsize

    def rules(self) -> JobSettings:
        """Give the waits between attempts, varied at random."""
        jobs, spread = self.state.settings.jobs, random.uniform(0.5, 1.0)
        waits = {
            "backoff_s": jobs.backoff_s * spread,
            "backoff_max_s": jobs.backoff_max_s * spread,
        }
        return jobs.model_copy(update=waits)

    def note(self, answer: Answer) -> Answer:
        """Record an answer of the destination; two broken ones in a row mean that it is away."""
        self.broken = self.broken + 1 if answer.verdict is Verdict.BROKEN else 0
        if self.broken > 1:
            answer = Answer(Verdict.AWAY, answer.said, answer.wait_s)
        self.away = self.away + 1 if answer.verdict is Verdict.AWAY else 0
        self.asked_s = answer.wait_s
        return answer

    def pause_s(self) -> float:
        """Give the seconds to wait before the next file; 0 if the destination answers."""
        if not self.away:
            return 0.0
        longest = self.state.settings.jobs.backoff_max_s
        return min(max(self.asked_s, attempts.wait_after(self.away, self.rules())), longest)


def deliver(state: NodeState, stop: threading.Event, *, once: bool = False) -> int:
    """Deliver by every route until `stop` is set, and return the number of files delivered.

    Parameters
    ----------
    once
        End when nothing may be sent now. Deliveries that wait after a failure are left, and so are
        routes to a destination that is away.

    Raises
    ------
    ConfigError
        A destination of the settings cannot be understood.
    """
    return _deliver_all(state, _transports(state), stop, once)


@contextlib.contextmanager
def delivering(state: NodeState, stop: threading.Event | None = None) -> Iterator[None]:
    """Deliver in threads while the block runs; its end waits for the files that are being sent.

    These files have `dimse.stop_s` from when `stop` is set. The end of the block sets it at the
    latest.

    Raises
    ------
    ConfigError
        A destination of the settings cannot be understood; nothing was begun.
    """
    routes, stop = _transports(state), stop or threading.Event()
    with running(ROOM, stop, partial(_deliver_all, state, routes, stop, False)):
        yield


def _transports(state: NodeState) -> list[tuple[RouteSettings, Transport]]:
    return [(route, open_transport(route, state.settings)) for route in state.settings.routes]


def _deliver_all(
    state: NodeState,
    routes: Sequence[tuple[RouteSettings, Transport]],
    stop: threading.Event,
    once: bool,
) -> int:
    """Run a loop for each route, each in a thread."""
    if not routes:
        if not once:
            stop.wait()
        return 0
    logs.event(ROOM, "started", count=len(routes))
    host = f"{socket.gethostname()}:{os.getpid()}"
    with (
        beating(state.database, DELIVERIES, state.settings.jobs.lease_s) as pulse,
        ThreadPoolExecutor(len(routes), "route") as pool,
    ):
        loops = [
            pool.submit(
                _deliver_by,
                Route(state, settings, transport, pulse, stop, f"{host}:{settings.name}"),
                once,
            )
            for settings, transport in routes
        ]
        delivered = sum(loop.result() for loop in loops)
    logs.event(ROOM, "ended", count=delivered)
    return delivered


def _deliver_by(route: Route, once: bool) -> int:
    """Send the deliveries of one route, until it is stopped or, if `once`, none may be sent now."""
    with obeying(route.stop, route.state.settings.dimse.stop_s):
        delivered = 0
        while not route.stop.is_set():
            n_sent, wait_s = _claim_and_send(route)
            delivered += n_sent
            if wait_s is None:
                continue
            if once:
                break
            route.stop.wait(wait_s)
        return delivered


def _claim_and_send(route: Route) -> tuple[int, float | None]:
    """Claim and send one batch; give the number of files delivered, and the seconds to wait.

    The seconds are ``None`` if more may be sent at once.
    """
    jobs, name, since = route.state.settings.jobs, route.settings.name, time.monotonic()
    try:
        batch = claim_deliveries(route.state.database, route.worker, [name], jobs, BATCH)
        n_sent = _send_batch(route, batch, since) if batch else 0
    except Exception as error:
        away = isinstance(error, StorageError)
        what = "database_away" if away else "route_failed"
        logs.event(ROOM, what, logging.ERROR, error=type(error).__name__, route=name)
        return 0, jobs.backoff_s + jobs.poll_s
    if not batch:
        return 0, jobs.poll_s
    pause_s = route.pause_s()
    if not pause_s:
        return n_sent, None
    logs.event(ROOM, "destination_away", logging.WARNING, route=name, seconds=round(pause_s, 1))
    return n_sent, pause_s + jobs.poll_s


def _send_batch(route: Route, batch: Sequence[Delivery], since: float) -> int:
    """Send the files of one result in order, and give the number of those delivered."""
    results = route.state.results
    parcels = [Parcel(d, results.path(d.digest), results.seal) for d in batch]
    longest_s = LONGEST_IN_TIMEOUTS * route.settings.timeout_s * (len(batch) + 1)
    longest_s += sum(map(_size, parcels)) / MINIMUM_RATE
    uncommitted: list[Delivery] = []
    delivered = 0
    with route.pulse.holding([d.lease for d in batch], since, longest_s):
        with route.transport.open(parcels) as send:
            away = False
            for parcel in parcels:
                if route.stop.is_set():
                    _leave(route, parcel.delivery, STOPPED)
                    continue
                if not route.pulse.holds(parcel.delivery.lease):
                    _leave(route, parcel.delivery, LOST)
                    continue
                try:
                    answer = NOT_TRIED if away else route.note(_send(send, parcel))
                except (OSError, StorageError) as error:
                    _hold(route, parcel.delivery, error)
                    continue
                away = away or answer.verdict is Verdict.AWAY
                if answer.verdict is Verdict.TAKEN and route.settings.commitment:
                    if answer.commits:
                        uncommitted.append(parcel.delivery)
                        continue
                    answer = replace(answer, said=f"{answer.said}, commitment not offered")
                delivered += _enter(route, parcel.delivery, answer)
        if uncommitted:
            for delivery, answer in _ask_commitment(route, uncommitted):
                delivered += _enter(route, delivery, answer)
    return delivered


def _size(parcel: Parcel) -> int:
    try:
        return parcel.path.stat().st_size
    except OSError:
        return 0


def _ask_commitment(route: Route, deliveries: Sequence[Delivery]) -> list[tuple[Delivery, Answer]]:
    """Ask the archive for storage commitment; files that it does not confirm are sent again."""
    from mammolens.serve.dimse import request_commitment

    references = [(str(d.sop_class_uid), str(d.sop_instance_uid)) for d in deliveries]
    try:
        outcome = request_commitment(
            route.state, route.settings.to, references, route.settings.timeout_s
        )
    except DeliveryError:
        return [(d, Answer(Verdict.LATER, "commitment cannot be asked for")) for d in deliveries]
    answers = []
    for delivery in deliveries:
        reason = outcome.failed.get(str(delivery.sop_instance_uid))
        if delivery.sop_instance_uid in outcome.kept:
            answer = Answer(Verdict.TAKEN, "C-STORE, committed")
        elif reason is not None:
            answer = Answer(Verdict.LATER, f"not committed, 0x{reason:04X}")
        else:
            answer = Answer(Verdict.LATER, "commitment not answered")
        answers.append((delivery, answer))
    return answers


def _send(send: Send, parcel: Parcel) -> Answer:
    """Send one file; any failure is about this file only.

    Raises
    ------
    OSError, StorageError
        Our own store cannot be read.
    """
    try:
        content = parcel.read()
    except FileNotFoundError:
        if next(parcel.path.parents[1].glob("??"), None) is None:
            raise  # The whole store is away.
        return Answer(Verdict.LATER, "the file is gone from the store")
    if content is None:
        return Answer(Verdict.NEVER, "the file in the store is damaged")
    try:
        return send(parcel.delivery, content)
    except Exception as error:
        kind = type(error).__name__
        number = parcel.delivery.lease.id
        logs.event(ROOM, "transport_failed", logging.ERROR, error=kind, delivery=number)
        return Answer(Verdict.LATER, f"could not be sent: {kind}")


def _enter(route: Route, delivery: Delivery, answer: Answer) -> bool:
    """Enter the answer to a file, and return whether it was delivered."""
    database = route.state.database
    fields: dict[str, str | float] = {
        "route": delivery.route,
        "delivery": delivery.lease.id,
        "exam": delivery.exam_id,
        "attempt": delivery.attempts,
        "sink": delivery.sink,
        "reason": answer.said,
    }
    match answer.verdict:
        case Verdict.TAKEN:
            held = finish_delivery(database, delivery, answer.said)
            logs.event(ROOM, "delivered" if held else "delivered_late", **fields)
            return held
        case Verdict.NEVER:
            attempts.give_up(database, delivery, answer.said)
            logs.event(ROOM, "refused", logging.WARNING, **fields)
        case Verdict.LATER | Verdict.BROKEN | Verdict.AWAY:
            attempts.retry(database, delivery, answer.said, route.rules(), route.max_attempts)
            logs.event(ROOM, "put_off", logging.WARNING, **fields)
    return False


def _hold(route: Route, delivery: Delivery, error: OSError | StorageError) -> None:
    """Postpone a file that our own store cannot read; for a single bad file, for an hour."""
    reason = "it is sealed with a key that is not there"
    if isinstance(error, OSError):
        reason = f"the file cannot be read: {type(error).__name__}"
        waited = (delivery.claimed_at or datetime.max) - (delivery.made_at or datetime.max)
        if error.errno in OF_ONE_FILE and waited > PATIENCE:
            _enter(route, delivery, Answer(Verdict.LATER, reason))
            return
    logs.event(ROOM, "store_away", logging.ERROR, route=delivery.route, delivery=delivery.lease.id)
    attempts.postpone(route.state.database, delivery, reason, route.state.settings.jobs.backoff_s)


def _leave(route: Route, delivery: Delivery, why: str) -> None:
    """Queue a file again at once that this sender did not try."""
    attempts.queue_again(route.state.database, delivery, why, wait_s=0.0)
