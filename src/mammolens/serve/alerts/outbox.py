"""The queue of messages: who gets which, and when.

What belongs together becomes one message: alarms of the monitor wait for `monitor.gather_minutes`,
and those that come meanwhile are counted in the message that waits already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from mammolens.serve.record import (
    ALERTS,
    NOTICES,
    PEOPLE,
    ROLES,
    SITES,
    AlertKind,
    Channel,
    Database,
    PersonRole,
    WorkState,
)
from mammolens.serve.settings import NodeSettings

__all__ = ["announce_drift", "announce_notice", "enter_reminder", "still_waits"]


def announce_drift(
    database: Database,
    connection: sa.Connection,
    settings: NodeSettings,
    site_id: int | None,
    count: int,
) -> None:
    """Tell those who look after a site, within a write transaction, that the monitor alarmed."""
    wait_s = 60.0 * settings.monitor.gather_minutes
    if settings.alerts.mail is not None:
        of_site = _with_role(site_id, [PersonRole.ADMINISTRATOR])
        for person_id in _people(connection, sa.or_(PEOPLE.c.is_administrator, of_site)):
            _gather(database, connection, Channel.MAIL, person_id, count, wait_s)
    if settings.alerts.webhook is not None:
        _gather(database, connection, Channel.WEBHOOK, None, count, wait_s)


def announce_notice(
    database: Database,
    connection: sa.Connection,
    notice_id: int,
    site_id: int | None,
    giver_id: int,
) -> None:
    """Tell those who may acknowledge an urgent finding, if its site wants e-mail.

    They are the people of the site who send exams in or look after it, except who gave the notice.
    """
    wants = sa.select(SITES.c.notice_mail).where(SITES.c.id == site_id)
    if not connection.execute(wants).scalar_one_or_none():
        return
    asked = _with_role(site_id, [PersonRole.UPLOADER, PersonRole.ADMINISTRATOR])
    for person_id in _people(connection, asked, PEOPLE.c.id != giver_id):
        about = {"person_id": person_id, "site_id": site_id, "notice_id": notice_id}
        _enter(database, connection, Channel.MAIL, AlertKind.NOTICE, 0.0, about)


def enter_reminder(
    database: Database, connection: sa.Connection, sent: sa.Row[Any], minutes: float
) -> None:
    """Let the same person be reminded of a notice, unless it is acknowledged until then."""
    about = {name: getattr(sent, name) for name in ("person_id", "site_id", "notice_id")}
    _enter(database, connection, Channel.MAIL, AlertKind.REMINDER, 60.0 * minutes, about)


def still_waits(connection: sa.Connection, notice_id: int | None) -> bool:
    """Whether a notice is there and nobody has acknowledged it."""
    asked = sa.select(NOTICES.c.id).where(
        NOTICES.c.id == notice_id, NOTICES.c.acknowledged_at.is_(None)
    )
    return connection.execute(asked).first() is not None


def _with_role(site_id: int | None, roles: Iterable[PersonRole]) -> sa.ColumnElement[bool]:
    return (
        sa.select(ROLES.c.person_id)
        .where(
            ROLES.c.person_id == PEOPLE.c.id,
            ROLES.c.site_id == site_id,
            ROLES.c.role.in_([role.value for role in roles]),
        )
        .exists()
    )


def _people(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> list[int]:
    """Find people with an open account and an address."""
    has_address = sa.and_(PEOPLE.c.disabled_at.is_(None), PEOPLE.c.email.is_not(None))
    asked = sa.select(PEOPLE.c.id).where(has_address, *where).order_by(PEOPLE.c.id)
    return list(connection.execute(asked).scalars())


def _gather(
    database: Database,
    connection: sa.Connection,
    channel: Channel,
    person_id: int | None,
    count: int,
    wait_s: float,
) -> None:
    """Count alarms in the message that waits for its first attempt, or enter one."""
    waiting = sa.select(sa.func.max(ALERTS.c.id)).where(
        ALERTS.c.channel == channel.value,
        ALERTS.c.kind == AlertKind.DRIFT.value,
        ALERTS.c.person_id.is_not_distinct_from(person_id),
        ALERTS.c.state == WorkState.QUEUED.value,
        ALERTS.c.attempts == 0,
    )
    # The state is asked for again: a sender may have taken the message meanwhile.
    added = connection.execute(
        ALERTS.update()
        .where(ALERTS.c.id == waiting.scalar_subquery(), ALERTS.c.state == WorkState.QUEUED.value)
        .values(total=ALERTS.c.total + count)
    )
    if not added.rowcount:
        about = {"person_id": person_id}
        _enter(database, connection, channel, AlertKind.DRIFT, wait_s, about, count)


def _enter(
    database: Database,
    connection: sa.Connection,
    channel: Channel,
    kind: AlertKind,
    wait_s: float,
    about: Mapping[str, int | None],
    count: int = 1,
) -> None:
    now = database.now(connection)
    row = {
        **about,
        "channel": channel.value,
        "kind": kind.value,
        "total": count,
        "state": WorkState.QUEUED.value,
        "attempts": 0,
        "not_before": now + timedelta(seconds=wait_s),
        "created_at": now,
    }
    connection.execute(ALERTS.insert().values(row))
