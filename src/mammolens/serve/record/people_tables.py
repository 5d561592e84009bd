"""The tables of people: who may sign in, with which roles at which site, and by which session.

No secret that opens something is kept as it is: of a password there is an Argon2 hash, of the
secret of a session or of an API token a SHA-256 (both have 256 random bits). The secret of a second
factor has to be kept, since codes are made of it.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import sqlalchemy as sa

from mammolens.serve.record.tables import METADATA
from mammolens.serve.record.utc import UtcTime

__all__ = [
    "API_TOKENS",
    "PEOPLE",
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


def _one_of(column: str, kinds: type[Enum], name: str) -> sa.CheckConstraint:
    listed = ", ".join(f"'{kind.value}'" for kind in kinds)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=name)


SITES: Final = sa.Table(
    "sites",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("key", sa.String(64), nullable=False, unique=True),
    sa.Column("name", sa.String(128), nullable=False, unique=True),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("reading_mode", sa.String(16), nullable=False, server_default="second_reader"),
    sa.Column("exam_order", sa.String(16), nullable=False, server_default="reception"),
    sa.Column("double_reading", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("language", sa.String(8), nullable=False, server_default="en"),
    sa.Column("notice_mail", sa.Boolean, nullable=False, server_default=sa.false()),
    _one_of("reading_mode", ReadingMode, "reading_mode"),
    _one_of("exam_order", ExamOrder, "exam_order"),
    sqlite_autoincrement=True,
)
"""`key` is how the settings call a site, and never changes; `name` is what people read. How exams
are read there: readers answer before the AI is shown unless an administrator says otherwise.
`notice_mail` says that an urgent finding is also announced by e-mail."""

PEOPLE: Final = sa.Table(
    "people",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
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
    sa.Column("email", sa.String(254)),
    sa.CheckConstraint("name = lower(name)", name="name"),
    sa.CheckConstraint("password_until IS NULL OR password_hash IS NOT NULL", name="password"),
    sa.CheckConstraint("subject IS NULL OR password_hash IS NULL", name="method"),
    sqlite_autoincrement=True,
)
"""`password_until` is set for a one-time password, which must be replaced before that time.
Without `password_hash` the person comes by the OpenID Connect provider, and `subject` is a SHA-256
of who that says they are. `totp_offered` becomes `totp_secret` with the first code; `totp_step` is
the time step of the last code that was taken, so that each counts once."""

ROLES: Final = sa.Table(
    "roles",
    METADATA,
    sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
    sa.Column("site_id", sa.ForeignKey("sites.id"), nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.PrimaryKeyConstraint("person_id", "site_id", "role"),
    _one_of("role", PersonRole, "role"),
)
sa.Index("ix_roles_site_id", ROLES.c.site_id)

SESSIONS: Final = sa.Table(
    "sessions",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
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
    _one_of("method", SignInMethod, "method"),
    sqlite_autoincrement=True,
)
sa.Index("ix_sessions_person_id", SESSIONS.c.person_id)

API_TOKENS: Final = sa.Table(
    "api_tokens",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("expires_at", UtcTime, nullable=False),
    sa.Column("used_at", UtcTime),
    sa.Column("revoked_at", UtcTime),
    sqlite_autoincrement=True,
)
sa.Index("ix_api_tokens_person_id", API_TOKENS.c.person_id)
