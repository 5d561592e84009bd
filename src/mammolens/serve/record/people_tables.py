"""The tables of people: who may sign in, with which roles at which site, and by which session.

No secret that opens something is kept as it is: of a password there is an Argon2 hash, of the
secret of a session or of an API token a SHA-256 (both have 256 random bits). The secret of a second
factor has to be kept, since codes are made of it.

A *device* is a browser that keeps exams and answers of one person, encrypted. The key of that data
is encrypted with a key that never leaves the device, and kept here: neither of the two is enough.
A *repeat* is an answer to a request that may come again after a broken line.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import sqlalchemy as sa

from mammolens.serve.record.table_parts import METADATA, UtcTime, numbered_table, one_of, since

__all__ = [
    "API_TOKENS",
    "DEVICES",
    "PEOPLE",
    "REPEATS",
    "ROLES",
    "SESSIONS",
    "SITES",
    "ExamOrder",
    "PersonRole",
    "ReadingMode",
    "SignInMethod",
]


class PersonRole(str, Enum):
    """What a person does at a site."""

    UPLOADER = "uploader"
    """Sends exams in, and sees how they are dealt with."""
    READER = "reader"
    """Reads exams."""
    ARBITER = "arbiter"
    """Decides where two readers disagree."""
    ADMINISTRATOR = "administrator"
    """Invites people to the site and gives roles there."""
    HEALTH_WORKER = "health_worker"
    """Examines patients in the community: sends exams with the patient's consent by a guided page,
    and is never shown what the AI says."""


class SignInMethod(str, Enum):
    """How the person of a session was recognised."""

    PASSWORD = "password"
    PROVIDER = "provider"
    """By an OpenID Connect provider, which also asks for the second factor."""


class ReadingMode(str, Enum):
    """When readers of a site see what the AI says of an exam."""

    CONCURRENT = "concurrent"
    """At once, beside the images."""
    SECOND_READER = "second_reader"
    """After their own first answer was locked."""
    TRIAGE_ONLY = "triage_only"
    """Never: it orders the worklist and marks nothing."""


class ExamOrder(str, Enum):
    """How the worklist of a site begins."""

    RECEPTION = "reception"
    TRIAGE = "triage"
    """What the AI finds urgent comes first; readers are partly unblinded by their place in it."""


SITES: Final = numbered_table(
    "sites",
    sa.Column("key", sa.String(64), nullable=False, unique=True),
    sa.Column("name", sa.String(128), nullable=False, unique=True),
    sa.Column("created_at", UtcTime, nullable=False),
    since(
        "v0007",
        sa.Column("reading_mode", sa.String(16), nullable=False, server_default="second_reader"),
    ),
    since(
        "v0007", sa.Column("exam_order", sa.String(16), nullable=False, server_default="reception")
    ),
    since(
        "v0007", sa.Column("double_reading", sa.Boolean, nullable=False, server_default=sa.false())
    ),
    since("v0007", sa.Column("language", sa.String(8), nullable=False, server_default="en")),
    since("v0013", sa.Column("notice_mail", sa.Boolean, nullable=False, server_default=sa.false())),
    since("v0007", one_of("reading_mode", ReadingMode)),
    since("v0007", one_of("exam_order", ExamOrder)),
)
"""`key` is how the settings call a site, and never changes; `name` is what people read. How exams
are read there: readers answer before the AI is shown unless an administrator says otherwise.
`notice_mail` says that an urgent finding is also announced by e-mail."""

PEOPLE: Final = numbered_table(
    "people",
    sa.Column("name", sa.String(64), nullable=False, unique=True),
    sa.Column("display_name", sa.String(128), nullable=False),
    sa.Column("is_administrator", sa.Boolean, nullable=False),
    sa.Column("subject", sa.String(64), unique=True),
    sa.Column("password_hash", sa.String(255)),
    sa.Column("password_until", UtcTime),
    sa.Column("totp_secret", sa.String(64)),
    sa.Column("totp_offered", sa.String(64)),
    sa.Column("totp_step", sa.BigInteger, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("disabled_at", UtcTime),
    since("v0013", sa.Column("email", sa.String(254))),
    sa.CheckConstraint("name = lower(name)", name="name"),
    sa.CheckConstraint("password_until IS NULL OR password_hash IS NOT NULL", name="password"),
    sa.CheckConstraint("subject IS NULL OR password_hash IS NULL", name="method"),
)
"""`password_until` is set for a one-time password, which must be replaced before that time.
Without `password_hash` the person comes by the OpenID Connect provider, and `subject` is the
SHA-256 of the identifier that the provider gives. `totp_offered` becomes `totp_secret` with the
first code; `totp_step` is the time step of the last code that was taken, so that each counts
once."""

ROLES: Final = sa.Table(
    "roles",
    METADATA,
    sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
    sa.Column("site_id", sa.ForeignKey("sites.id"), nullable=False, index=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.PrimaryKeyConstraint("person_id", "site_id", "role"),
    one_of("role", PersonRole),
)

SESSIONS: Final = numbered_table(
    "sessions",
    sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False, index=True),
    sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("method", sa.String(16), nullable=False),
    sa.Column("code_passed", sa.Boolean, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("seen_at", UtcTime, nullable=False),
    sa.Column("expires_at", UtcTime, nullable=False),
    sa.Column("ended_at", UtcTime),
    sa.Column("address", sa.String(64), nullable=False),
    sa.Column("agent", sa.String(200), nullable=False),
    one_of("method", SignInMethod),
)

API_TOKENS: Final = numbered_table(
    "api_tokens",
    sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False, index=True),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("expires_at", UtcTime, nullable=False),
    sa.Column("used_at", UtcTime),
    sa.Column("revoked_at", UtcTime),
)

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
    sa.Index("ix_devices_person_id", "person_id", "wiped_at"),
)
"""A device that was wiped stays as a row without a key, so that it hears of it."""

REPEATS: Final = numbered_table(
    "repeats",
    sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
    sa.Column("key", sa.String(64), nullable=False),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("exam_id", sa.ForeignKey("exams.id", ondelete="CASCADE"), index=True),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False, index=True),
    sa.UniqueConstraint("person_id", "key"),
)
"""`fingerprint` is the SHA-256 of the request; `body` the answer, which goes with its exam."""
