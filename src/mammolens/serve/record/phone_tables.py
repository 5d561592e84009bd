"""The tables of phones: devices that keep data of a person, and answers that are given again.

A *device* is a browser that keeps exams and answers of one person, encrypted. The key of that data
is encrypted with a key that never leaves the device, and kept here: neither of the two is enough.
A *repeat* is an answer to a request that may come again after a broken line.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from mammolens.serve.record.tables import METADATA
from mammolens.serve.record.utc import UtcTime

__all__ = ["DEVICES", "REPEATS"]

DEVICES: Final = sa.Table(
    "devices",
    METADATA,
    sa.Column("id", sa.String(43), primary_key=True),
    sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
    sa.Column("agent", sa.String(200), nullable=False),
    sa.Column("wrapped_key", sa.String(256)),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("seen_at", UtcTime, nullable=False),
    sa.Column("wiped_at", UtcTime),
    sa.CheckConstraint("(wiped_at IS NULL) = (wrapped_key IS NOT NULL)", name="wiped"),
)
"""A device that was wiped stays as a row without a key, so that it hears of it."""
sa.Index("ix_devices_person_id", DEVICES.c.person_id, DEVICES.c.wiped_at)

REPEATS: Final = sa.Table(
    "repeats",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
    sa.Column("key", sa.String(64), nullable=False),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("exam_id", sa.ForeignKey("exams.id", ondelete="CASCADE")),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.UniqueConstraint("person_id", "key"),
    sqlite_autoincrement=True,
)
"""`fingerprint` is the SHA-256 of the request; `body` the answer, which goes with its exam."""
sa.Index("ix_repeats_created_at", REPEATS.c.created_at)
sa.Index("ix_repeats_exam_id", REPEATS.c.exam_id)
