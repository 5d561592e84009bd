"""The tables of the node. Their constraints, not the code above them, keep the promises.

An *instance* is one received object, an *exam* one identity within one study, a *job* one analysis
of one version of an exam, a *result* what came of it, a *file* one piece of a result, a *delivery*
one file on its way to one route. Times are UTC. ``migrations`` makes exactly these tables.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import sqlalchemy as sa
from sqlalchemy.schema import SchemaItem

from mammolens.serve.record.utc import UtcTime
from mammolens.serve.record.worklist_columns import add_worklist_indexes, worklist_columns

__all__ = [
    "AUDIT",
    "AUDIT_HEAD",
    "COMMITMENTS",
    "DELIVERIES",
    "EXAMS",
    "FILES",
    "IDENTITIES",
    "INSTANCES",
    "JOBS",
    "KEYRING",
    "METADATA",
    "PRIORS",
    "PROCESSES",
    "RESULTS",
    "STEPS",
    "Role",
    "WorkState",
]


class Role(str, Enum):
    """What a received object is to its exam."""

    INPUT = "input"
    """A mammogram, the first of its SOP instance UID."""
    COPY = "copy"
    """The same SOP instance UID and the same pixels in other bytes: kept, passed over."""
    RIVAL = "rival"
    """The same SOP instance UID with other pixels: kept, and the result says so."""
    REFUSED = "refused"
    """Mammography of a kind that is not read (FOR PROCESSING, tomosynthesis): listed."""
    IGNORED = "ignored"
    """Anything else, our own results among it: noted, not kept, of no exam."""


class WorkState(str, Enum):
    """Where a job or a delivery stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    DEAD = "dead"
    """Given up: only a person brings it back."""


METADATA: Final = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _one_of(column: str, kinds: type[Enum], name: str) -> sa.CheckConstraint:
    listed = ", ".join(f"'{kind.value}'" for kind in kinds)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=name)


def _work_columns() -> tuple[SchemaItem, ...]:
    """What jobs and deliveries share: who holds them, until when, and how often they failed."""
    return (
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("not_before", UtcTime, nullable=False),
        sa.Column("token", sa.String(36)),
        sa.Column("worker", sa.String(128)),
        sa.Column("lease_until", UtcTime),
        sa.Column("error", sa.Text),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("finished_at", UtcTime),
        _one_of("state", WorkState, "state"),
        sa.CheckConstraint(
            "(state = 'running') = (token IS NOT NULL)"
            " AND (state = 'running') = (lease_until IS NOT NULL)",
            name="held",
        ),
        sa.CheckConstraint(
            "(state IN ('done', 'dead')) = (finished_at IS NOT NULL)", name="finished"
        ),
    )


EXAMS: Final = sa.Table(
    "exams",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("study_instance_uid", sa.String(64), nullable=False),
    sa.Column("identity", sa.String(64), nullable=False),
    sa.Column("patient_id", sa.String(64)),
    sa.Column("accession_number", sa.String(64)),
    sa.Column("first_received_at", UtcTime, nullable=False),
    sa.Column("last_received_at", UtcTime, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("queued_version", sa.Integer, nullable=False),
    sa.Column("four_views", sa.Boolean, nullable=False),
    sa.Column("site_id", sa.ForeignKey("sites.id"), index=True),
    *worklist_columns(),
    sa.UniqueConstraint("study_instance_uid", "identity"),
    sa.CheckConstraint("queued_version <= version", name="versions"),
    sqlite_autoincrement=True,
)
"""`identity` is a SHA-256 of who the header says the patient is; `version` counts the changes that
a result must take in, `queued_version` those that a job was made for; `site_id` is the site of who
sent it first, and without one only administrators of the whole installation see it. The other
columns are what a worklist shows (`worklist_columns`)."""
add_worklist_indexes(EXAMS)

INSTANCES: Final = sa.Table(
    "instances",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("sop_instance_uid", sa.String(64), nullable=False),
    sa.Column("sop_class_uid", sa.String(64), nullable=False),
    sa.Column("series_instance_uid", sa.String(64)),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("reason", sa.String(64)),
    sa.Column("view", sa.String(8)),
    sa.Column("exam_id", sa.ForeignKey("exams.id")),
    sa.Column("exam_version", sa.Integer),
    sa.Column("sender", sa.String(128), nullable=False),
    sa.Column("received_at", UtcTime, nullable=False),
    sa.UniqueConstraint("sop_instance_uid", "digest"),
    _one_of("role", Role, "role"),
    sa.CheckConstraint("(role = 'ignored') = (exam_id IS NULL)", name="exam"),
    sa.CheckConstraint("(exam_id IS NULL) = (exam_version IS NULL)", name="version"),
    sqlite_autoincrement=True,
)
"""`digest` is the SHA-256 of the bytes and their name in the store; `view` is one of RCC, LCC,
RMLO, LMLO; `exam_version` is the first version of the exam that holds the object."""

sa.Index(
    "uq_instances_first",
    INSTANCES.c.exam_id,
    INSTANCES.c.sop_instance_uid,
    unique=True,
    sqlite_where=INSTANCES.c.role == Role.INPUT.value,
    postgresql_where=INSTANCES.c.role == Role.INPUT.value,
)
sa.Index("ix_instances_digest", INSTANCES.c.digest)

IDENTITIES: Final = sa.Table(
    "identities",
    METADATA,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)
"""Sealed: what de-identification took from the object of this digest."""

KEYRING: Final = sa.Table(
    "keyring",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.CheckConstraint("id = 1", name="one"),
)
"""Sealed: the key that pseudonyms follow from, which outlasts the keys that seal."""

JOBS: Final = sa.Table(
    "jobs",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("exam_id", sa.ForeignKey("exams.id"), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    *_work_columns(),
    sa.UniqueConstraint("exam_id", "version"),
    sqlite_autoincrement=True,
)
sa.Index("ix_jobs_ready", JOBS.c.state, JOBS.c.not_before)
sa.Index(
    "uq_jobs_open",
    JOBS.c.exam_id,
    unique=True,
    sqlite_where=JOBS.c.finished_at.is_(None),
    postgresql_where=JOBS.c.finished_at.is_(None),
)

RESULTS: Final = sa.Table(
    "results",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("exam_id", sa.ForeignKey("exams.id"), nullable=False),
    sa.Column("job_id", sa.ForeignKey("jobs.id"), nullable=False, unique=True),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("supersedes", sa.ForeignKey("results.id"), unique=True),
    sa.Column("category", sa.String(16), nullable=False),
    sa.Column("malignancy", sa.Float),
    sa.Column("tumour", sa.Float),
    sa.Column("n_images", sa.Integer, nullable=False),
    sa.Column("n_unreadable", sa.Integer, nullable=False),
    sa.Column("cautions", sa.Text, nullable=False),
    sa.Column("model_name", sa.String(128), nullable=False),
    sa.Column("model_version", sa.String(64), nullable=False),
    sa.Column("model_digest", sa.String(64), nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.UniqueConstraint("exam_id", "revision"),
    sa.CheckConstraint("(revision = 1) = (supersedes IS NULL)", name="supersedes"),
    sa.CheckConstraint("(category = 'failed') = (malignancy IS NULL)", name="failed"),
    sqlite_autoincrement=True,
)
"""`cautions` are the names of the result's cautions and of what a sink refused, one a line."""

FILES: Final = sa.Table(
    "files",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("result_id", sa.ForeignKey("results.id"), nullable=False),
    sa.Column("sink", sa.String(64), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("sop_class_uid", sa.String(64)),
    sa.Column("sop_instance_uid", sa.String(64)),
    sa.UniqueConstraint("result_id", "sink", "name"),
    sqlite_autoincrement=True,
)
sa.Index("ix_files_digest", FILES.c.digest)
sa.Index("ix_files_sop_instance_uid", FILES.c.sop_instance_uid)

DELIVERIES: Final = sa.Table(
    "deliveries",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("file_id", sa.ForeignKey("files.id"), nullable=False),
    sa.Column("exam_id", sa.ForeignKey("exams.id"), nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("route", sa.String(64), nullable=False),
    *_work_columns(),
    sa.UniqueConstraint("file_id", "route"),
    sqlite_autoincrement=True,
)
sa.Index("ix_deliveries_ready", DELIVERIES.c.state, DELIVERIES.c.route, DELIVERIES.c.not_before)

AUDIT: Final = sa.Table(
    "audit",
    METADATA,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("actor", sa.String(128), nullable=False),
    sa.Column("action", sa.String(32), nullable=False),
    sa.Column("exam_id", sa.Integer),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("previous", sa.String(64), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),
)
"""`detail` is canonical JSON; no row is ever changed or removed (triggers refuse it)."""

AUDIT_HEAD: Final = sa.Table(
    "audit_head",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("length", sa.Integer, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.CheckConstraint("id = 1", name="one"),
)
"""The last row of the trail; its lock puts writers in line, and it betrays a cut tail."""

COMMITMENTS: Final = sa.Table(
    "commitments",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("transaction_uid", sa.String(64), nullable=False, unique=True),
    sa.Column("peer", sa.String(16), nullable=False),
    sa.Column("asked_at", UtcTime, nullable=False),
    sa.Column("answered_at", UtcTime),
    sa.Column("answer", sa.Text),
    sa.CheckConstraint("(answered_at IS NULL) = (answer IS NULL)", name="answered"),
    sqlite_autoincrement=True,
)
"""What an archive was asked to keep safe; its `answer`, JSON, may come to another process."""

PRIORS: Final = sa.Table(
    "priors",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("study_instance_uid", sa.String(64), nullable=False, unique=True),
    sa.Column("asked_at", UtcTime, nullable=False),
    sqlite_autoincrement=True,
)
"""Studies that were fetched to compare with: received as any other, but not analysed."""

PROCESSES: Final = sa.Table(
    "processes",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(128), nullable=False, unique=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("seen_at", UtcTime, nullable=False),
    sqlite_autoincrement=True,
)

STEPS: Final = sa.Table(
    "steps",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("server", sa.String(64), nullable=False),
    sa.Column("sop_instance_uid", sa.String(64), nullable=False),
    sa.Column("transaction_uid", sa.String(64), nullable=False),
    sa.Column("phase", sa.String(16), nullable=False),
    sa.Column("work", sa.Text),
    sa.Column("cancel_asked", sa.Boolean, nullable=False),
    *_work_columns(),
    sa.UniqueConstraint("server", "sop_instance_uid"),
    sqlite_autoincrement=True,
)
"""Procedure steps (UPS) of a server that are ours; `work` (JSON): what is asked, or the results."""
