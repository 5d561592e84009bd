"""The tables of screening in the field: links to signed reports, and consents of patients.

A *share* lets a referring doctor read one signed report without an account. A *consent* is what a
patient agreed to before a health worker sent the images.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from mammolens.serve.record.tables import METADATA
from mammolens.serve.record.utc import UtcTime

__all__ = ["CONSENTS", "SHARES"]

SHARES: Final = sa.Table(
    "shares",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("exam_id", sa.ForeignKey("exams.id", ondelete="CASCADE"), nullable=False),
    sa.Column("reading_id", sa.ForeignKey("readings.id", ondelete="CASCADE"), nullable=False),
    sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
    sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("code_hash", sa.String(64), nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("openings", sa.Integer, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("expires_at", UtcTime, nullable=False),
    sa.Column("opened_at", UtcTime),
    sa.Column("revoked_at", UtcTime),
    sqlite_autoincrement=True,
)
"""`token_hash` is the SHA-256 of the random part of the link, `code_hash` that of token and code
together: whoever reads this table can open nothing. `failures` counts wrong codes."""
sa.Index("ix_shares_exam_id", SHARES.c.exam_id)
sa.Index("ix_shares_reading_id", SHARES.c.reading_id)

CONSENTS: Final = sa.Table(
    "consents",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("exam_id", sa.ForeignKey("exams.id", ondelete="CASCADE")),
    sa.Column("site_id", sa.ForeignKey("sites.id"), nullable=False),
    sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
    sa.Column("text_version", sa.String(16), nullable=False),
    sa.Column("text_digest", sa.String(64), nullable=False),
    sa.Column("language", sa.String(8), nullable=False),
    sa.Column("said", sa.LargeBinary, nullable=False),
    sa.Column("given_at", UtcTime, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
)
"""`id` is made by the device, which sends the consent with each file. `exam_id` is entered with the
first image. `said` is JSON: name, patient ID and year of birth as the health worker typed them; it
is encrypted where the node takes identity off. `text_digest` is the SHA-256 of the text that the
patient was shown."""
sa.Index("ix_consents_exam_id", CONSENTS.c.exam_id)
