"""The sender of messages: each is claimed, sent by its channel, and tried again if that is away."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from mammolens.errors import ConfigError
from mammolens.serve import logs
from mammolens.serve.alerts.channels import post_message, send_mail
from mammolens.serve.alerts.loop import repeating
from mammolens.serve.alerts.outbox import enter_reminder, still_waits
from mammolens.serve.alerts.words import message_of
from mammolens.serve.holdings import NodeState
from mammolens.serve.record import (
    ALERTS,
    PEOPLE,
    ROLES,
    SITES,
    AlertKind,
    Channel,
    Pulse,
    WorkState,
    attempts,
    audit,
    beating,
    leases,
)
from mammolens.serve.settings import JobSettings, NodeSettings

__all__ = ["alerting", "send_due"]

ROOM: Final = "alerts"
LONGEST_IN_TIMEOUTS: Final = 8  # Longest time of an attempt, in timeouts of its channel.
NOT_NEEDED: Final = "not needed any more"


@dataclass(frozen=True)
class _Outcome:
    """What became of an attempt: it arrived, or why not, and whether another one makes sense."""

    arrived: bool
    reason: str
    again: bool = True


@contextlib.contextmanager
def alerting(state: NodeState, stop: threading.Event) -> Iterator[None]:
    """Send messages while the block runs."""
    jobs = state.settings.jobs
    with (
        beating(state.database, ALERTS, jobs.lease_s) as pulse,
        repeating(ROOM, lambda: send_due(state, pulse), stop, jobs.poll_s),
    ):
        yield


def send_due(state: NodeState, pulse: Pulse | None = None) -> bool:
    """Try one message that is due; ``False`` if none is.

    Raises
    ------
    StorageError
        The database cannot be used.
    """
    database, settings = state.database, state.settings
    began = time.monotonic()
    worker = f"{socket.gethostname()}:{os.getpid()}"
    claimed = leases.claim(database, ALERTS, worker, _with_long_waits(settings), _find_ready)
    for claim in claimed:
        longest_s = LONGEST_IN_TIMEOUTS * _timeout_s(settings)
        with contextlib.ExitStack() as held:
            if pulse is not None:
                held.enter_context(pulse.holding([claim.lease], began, longest_s))
            outcome = _try(state, claim.row, claim.at)
        _enter(state, claim, outcome)
    return bool(claimed)


def _with_long_waits(settings: NodeSettings) -> JobSettings:
    """Let waits of messages be as long as their settings say (`leases` shortens longer ones)."""
    longest = 60.0 * max(settings.alerts.reminder_minutes, settings.monitor.gather_minutes)
    jobs = settings.jobs
    return jobs.model_copy(update={"backoff_max_s": max(jobs.backoff_max_s, longest)})


def _timeout_s(settings: NodeSettings) -> float:
    alerts = settings.alerts
    return max([one.timeout_s for one in (alerts.mail, alerts.webhook) if one] or [1.0])


def _find_ready(connection: sa.Connection, ready: sa.ColumnElement[bool]) -> Sequence[sa.Row[Any]]:
    asked = sa.select(ALERTS).where(ready).order_by(ALERTS.c.not_before, ALERTS.c.id).limit(1)
    return connection.execute(asked.with_for_update(skip_locked=True)).all()


def _try(state: NodeState, row: sa.Row[Any], now: datetime) -> _Outcome:
    alerts = state.settings.alerts
    kind = AlertKind(row.kind)
    with state.database.read() as connection:
        if kind is not AlertKind.DRIFT and not still_waits(connection, row.notice_id):
            return _Outcome(True, NOT_NEEDED)
        to = _address(connection, row.person_id)
        language = _language(connection, row)
    message = message_of(kind, row.total, alerts.address, language)
    try:
        if row.channel == Channel.MAIL.value:
            if alerts.mail is None:
                return _Outcome(False, "the settings name no mail server", again=False)
            if to is None:
                return _Outcome(False, "the person has no address any more", again=False)
            send_mail(alerts.mail, to, message)
            return _Outcome(True, "mail")
        if alerts.webhook is None:
            return _Outcome(False, "the settings name no webhook", again=False)
        status = post_message(alerts.webhook, message, row.id, now)
        return _Outcome(200 <= status < 300, f"HTTP {status}")
    except (OSError, ConfigError) as error:
        return _Outcome(False, type(error).__name__)


def _address(connection: sa.Connection, person_id: int | None) -> str | None:
    asked = sa.select(PEOPLE.c.email).where(
        PEOPLE.c.id == person_id, PEOPLE.c.disabled_at.is_(None)
    )
    return connection.execute(asked).scalar_one_or_none()


def _language(connection: sa.Connection, row: sa.Row[Any]) -> str:
    """Give the language of the site, or of the first one where the person works."""
    asked = sa.select(SITES.c.language).order_by(SITES.c.id).limit(1)
    if row.site_id is not None:
        asked = asked.where(SITES.c.id == row.site_id)
    else:
        mine = sa.select(ROLES.c.site_id).where(ROLES.c.person_id == row.person_id)
        asked = asked.where(SITES.c.id.in_(mine))
    return connection.execute(asked).scalar_one_or_none() or "en"


def _enter(state: NodeState, claim: leases.Claim, outcome: _Outcome) -> None:
    """Enter what became of an attempt, with its row in the audit trail."""
    database, settings, row = state.database, state.settings, claim.row
    tried = row.attempts + 1
    detail: audit.Detail = {
        "alert": row.id,
        "attempt": tried,
        "channel": row.channel,
        "count": row.total,
        "kind": row.kind,
        "person": row.person_id,
        "said": outcome.reason,
    }
    given_up = not outcome.arrived and (not outcome.again or tried >= settings.alerts.max_attempts)
    with database.write() as connection:
        if outcome.arrived:
            action = "alert_sent"
            held = leases.settle(database, connection, ALERTS, claim.lease)
            if held and row.kind == AlertKind.NOTICE.value and outcome.reason != NOT_NEEDED:
                enter_reminder(database, connection, row, settings.alerts.reminder_minutes)
        elif given_up:
            action = "alert_given_up"
            ended = {
                **leases.FREE,
                "state": WorkState.DEAD.value,
                "error": outcome.reason,
                "finished_at": database.now(connection),
            }
            held = leases.change(connection, ALERTS, claim.lease, **ended)
        else:
            action = "alert_put_off"
            wait_s = attempts.wait_after(tried, settings.jobs)
            held = leases.release(
                database, connection, ALERTS, claim.lease, wait_s, error=outcome.reason
            )
        if held:
            audit.append(database, connection, "alerts", action, None, detail)
    level = logging.INFO if outcome.arrived else logging.WARNING
    logs.event(ROOM, action, level, reason=outcome.reason, attempt=tried, route=row.channel)
