"""The tables of the drift monitor, and of the messages that tell people of what waits for them.

An *observation* is what the monitor takes from one result or one decision of readers. A *monitor*
has the state of one group of exams, and an *alarm* is a change that it found. An *alert* is one
message to one address, which is sent until it arrives.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import sqlalchemy as sa

from mammolens.serve.record.table_parts import UtcTime, numbered_table, one_of, partial_index
from mammolens.serve.record.tables import work_columns

__all__ = ["ALARMS", "ALERTS", "MONITORS", "OBSERVATIONS", "AlertKind", "Channel"]


class Channel(str, Enum):
    """How a message reaches people."""

    MAIL = "mail"
    WEBHOOK = "webhook"


class AlertKind(str, Enum):
    """What a message says."""

    DRIFT = "drift"
    """The monitor has found a change."""
    NOTICE = "notice"
    """An urgent finding waits to be acknowledged."""
    REMINDER = "reminder"
    """It still waits."""


OBSERVATIONS: Final = numbered_table(
    "observations",
    sa.Column("source", sa.String(32), nullable=False, unique=True),
    sa.Column("exam_id", sa.ForeignKey("exams.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("site_id", sa.ForeignKey("sites.id")),
    sa.Column("machine", sa.String(120), nullable=False),
    sa.Column("software", sa.String(120), nullable=False),
    sa.Column("model", sa.String(200), nullable=False),
    sa.Column("measures", sa.Text, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("taken", sa.Boolean, nullable=False),
    partial_index(
        "ix_observations_waiting", sa.column("taken").is_(sa.false()), "id", unique=False
    ),
    sa.Index("ix_observations_site", "site_id", "id"),
    sa.Index("ix_observations_machine", "site_id", "machine", "id"),
    sa.Index("ix_observations_software", "site_id", "software", "id"),
)
"""`source` is ``result:N`` or ``round:N``, so that each counts once. `measures` is JSON, a number
for each name. `taken` says that the monitors have seen it."""

MONITORS: Final = numbered_table(
    "monitors",
    sa.Column("site_id", sa.ForeignKey("sites.id"), index=True),
    sa.Column("partition", sa.String(16), nullable=False),
    sa.Column("name", sa.String(120), nullable=False),
    sa.Column("key", sa.String(160), nullable=False, unique=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("muted_until", UtcTime),
    sa.Column("changed_at", UtcTime, nullable=False),
)
"""One group: the exams of a site, or those of one of its machines or of one software version.
`state` is JSON."""

ALARMS: Final = numbered_table(
    "alarms",
    sa.Column("monitor_id", sa.ForeignKey("monitors.id"), nullable=False, index=True),
    sa.Column("measure", sa.String(32), nullable=False),
    sa.Column("direction", sa.String(16), nullable=False),
    sa.Column("since", sa.Integer, nullable=False),
    sa.Column("n_before", sa.Integer, nullable=False),
    sa.Column("n_after", sa.Integer, nullable=False),
    sa.Column("mean_before", sa.Float, nullable=False),
    sa.Column("mean_after", sa.Float, nullable=False),
    sa.Column("raised_at", UtcTime, nullable=False),
    sa.Column("acknowledged_by", sa.ForeignKey("people.id")),
    sa.Column("acknowledged_at", UtcTime),
    sa.Column("ended_by", sa.ForeignKey("people.id")),
    sa.Column("ended_at", UtcTime),
    sa.CheckConstraint(
        "(acknowledged_by IS NULL) = (acknowledged_at IS NULL)", name="acknowledged"
    ),
)
"""`since` is the number of the observation with which the change began. An alarm ends when its
monitor is restarted."""

ALERTS: Final = numbered_table(
    "alerts",
    sa.Column("channel", sa.String(16), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("person_id", sa.ForeignKey("people.id")),
    sa.Column("site_id", sa.ForeignKey("sites.id")),
    sa.Column("notice_id", sa.Integer),
    sa.Column("total", sa.Integer, nullable=False),
    *work_columns(),
    one_of("channel", Channel),
    one_of("kind", AlertKind),
    sa.CheckConstraint("(channel = 'mail') = (person_id IS NOT NULL)", name="recipient"),
    sa.Index("ix_alerts_ready", "state", "not_before"),
)
"""A message holds a count and a kind, and never anything of a patient. `notice_id` has no foreign
key: the notice may be deleted with its exam while a message waits."""
