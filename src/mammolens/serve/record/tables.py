"""The tables of the node. Their constraints guarantee the rules, whatever the code does.

An *instance* is one received object. An *exam* is one patient identity in one study. A *job* is one
analysis of one version of an exam, and a *result* is its outcome. A *file* is one file of a result,
and a *delivery* sends one file by one route. Times are UTC. ``migrations`` makes exactly these
tables.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import sqlalchemy as sa
from sqlalchemy.schema import SchemaItem

from mammolens.serve.record.table_parts import (
    METADATA,
    UtcTime,
    numbered_table,
    one_of,
    partial_index,
    since,
)

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
    "UNKNOWN_RANK",
    "Role",
    "WorkState",
    "work_columns",
]


UNKNOWN_RANK: Final = 2
"""Place of an exam of which nothing is known yet, or whose category must not show: beside those
whose category was withheld. A lower number is read sooner."""


class Role(str, Enum):
    """Role of a received object in its exam."""

    INPUT = "input"
    """A mammogram, the first object with its SOP Instance UID."""
    COPY = "copy"
    """Same SOP Instance UID and pixels, other bytes: stored, but not analysed."""
    RIVAL = "rival"
    """Same SOP Instance UID, other pixels: stored, and the result has a caution."""
    REFUSED = "refused"
    """Mammography of a kind that is not read (FOR PROCESSING, tomosynthesis): only listed."""
    IGNORED = "ignored"
    """Anything else, also our own results: entered, but not stored, and part of no exam."""


class WorkState(str, Enum):
    """State of a job, a delivery or a procedure step."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    DEAD = "dead"
    """Given up; a person can queue it again."""


def work_columns() -> tuple[SchemaItem, ...]:
    """Columns of all leased work: the holder, the end of the lease, the number of attempts."""
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
        one_of("state", WorkState),
        sa.CheckConstraint(
            "(state = 'running') = (token IS NOT NULL)"
            " AND (state = 'running') = (lease_until IS NOT NULL)",
            name="held",
        ),
        sa.CheckConstraint(
            "(state IN ('done', 'dead')) = (finished_at IS NOT NULL)", name="finished"
        ),
    )


_WORKLIST: Final[tuple[SchemaItem, ...]] = (
    sa.Column("patient_name", sa.String(256)),
    sa.Column("birth_date", sa.String(10)),
    sa.Column("sex", sa.String(16)),
    sa.Column("age_years", sa.Float),
    sa.Column("study_date", sa.String(10)),
    sa.Column("patient_key", sa.String(64)),
    sa.Column("search_text", sa.Text),
    sa.Column("views", sa.String(64)),
    sa.Column("banner", sa.String(200)),
    sa.Column("rank", sa.Integer, nullable=False, server_default=str(UNKNOWN_RANK)),
    sa.Column("category", sa.String(16)),
    sa.Column("score", sa.Float),
    sa.Column("prevalence", sa.Float),
    sa.Column("doubts", sa.Text),
    sa.Column("failure", sa.Text),
    sa.Column("model", sa.String(200)),
    sa.Column("revision", sa.Integer),
    sa.Index("ix_exams_triage", "rank", "first_received_at", "id", "site_id"),
    sa.Index("ix_exams_received", "first_received_at", "id", "site_id"),
    sa.Index("ix_exams_patient_key", "site_id", "patient_key"),
    sa.Index("ix_exams_patient_name", "patient_name", "id"),
)
"""What a worklist shows, an index for each of its orders, and one for the exams of a patient."""

EXAMS: Final = numbered_table(
    "exams",
    sa.Column("study_instance_uid", sa.String(64), nullable=False),
    sa.Column("identity", sa.String(64), nullable=False),
    sa.Column("patient_id", sa.String(64)),
    sa.Column("accession_number", sa.String(64)),
    sa.Column("first_received_at", UtcTime, nullable=False),
    sa.Column("last_received_at", UtcTime, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("queued_version", sa.Integer, nullable=False),
    sa.Column("four_views", sa.Boolean, nullable=False),
    since("v0006", sa.Column("site_id", sa.ForeignKey("sites.id"), index=True)),
    *(since("v0008", part) for part in _WORKLIST),
    since("v0014", sa.Column("machine", sa.String(128))),
    sa.UniqueConstraint("study_instance_uid", "identity"),
    sa.CheckConstraint("queued_version <= version", name="versions"),
)
"""`identity` is the SHA-256 of the patient's identity in the header. `version` counts the changes
that a result must include, and `queued_version` is the version of the newest job. `site_id` is the
site of the first sender; if it is empty, only administrators of the whole installation see the
exam.

The columns from `patient_name` on are what a worklist shows, finds and orders by. They repeat what
headers and results say, so that a list of ten thousand exams is one query: intake fills those of
the header, the worker those of the newest result. Where identity is taken off, they hold what is
left of it. What the AI says (`rank`, and `category` to `revision`) may be shown only to whom
`mammolens.serve.reading` allows it.

`birth_date` and `study_date` are YYYY-MM-DD; `patient_key` is equal for exams that certainly are of
one patient within one site; `search_text` is folded text to search in, and ``NULL`` until a header
was looked at; `views` are the standard views that are there, such as ``RCC LMLO``; `banner` must be
visible wherever the exam is; `score` is P(malignant) of the exam at `prevalence`; `doubts` is JSON,
a list of [name, text]."""

INSTANCES: Final = numbered_table(
    "instances",
    sa.Column("sop_instance_uid", sa.String(64), nullable=False),
    sa.Column("sop_class_uid", sa.String(64), nullable=False),
    sa.Column("series_instance_uid", sa.String(64)),
    sa.Column("digest", sa.String(64), nullable=False, index=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("reason", sa.String(64)),
    sa.Column("view", sa.String(8)),
    sa.Column("exam_id", sa.ForeignKey("exams.id")),
    sa.Column("exam_version", sa.Integer),
    sa.Column("sender", sa.String(128), nullable=False),
    sa.Column("received_at", UtcTime, nullable=False),
    sa.UniqueConstraint("sop_instance_uid", "digest"),
    one_of("role", Role),
    sa.CheckConstraint("(role = 'ignored') = (exam_id IS NULL)", name="exam"),
    sa.CheckConstraint("(exam_id IS NULL) = (exam_version IS NULL)", name="version"),
    partial_index(
        "uq_instances_first", sa.column("role") == Role.INPUT.value, "exam_id", "sop_instance_uid"
    ),
    since("v0008", sa.Index("ix_instances_exam_id", "exam_id", "role")),
)
"""`digest` is the SHA-256 of the bytes, and their name in the store. `view` is RCC, LCC, RMLO or
LMLO. `exam_version` is the first version of the exam with this object."""


IDENTITIES: Final = sa.Table(
    "identities",
    METADATA,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)
"""The identity that de-identification removed from the object of this digest, encrypted."""

KEYRING: Final = sa.Table(
    "keyring",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.CheckConstraint("id = 1", name="one"),
)
"""The key from which pseudonyms are computed, encrypted. It stays when the keys change."""

JOBS: Final = numbered_table(
    "jobs",
    sa.Column("exam_id", sa.ForeignKey("exams.id"), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    *work_columns(),
    sa.UniqueConstraint("exam_id", "version"),
    sa.Index("ix_jobs_ready", "state", "not_before"),
    partial_index("uq_jobs_open", sa.column("finished_at").is_(None), "exam_id"),
)

RESULTS: Final = numbered_table(
    "results",
    sa.Column("exam_id", sa.ForeignKey("exams.id"), nullable=False),
    sa.Column("job_id", sa.ForeignKey("jobs.id"), nullable=False, unique=True),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("supersedes", sa.ForeignKey("results.id"), unique=True),
    sa.Column("category", sa.String(16), nullable=False),
    sa.Column("malignancy", sa.Float),
    sa.Column("tumour", sa.Float),
    since("v0014", sa.Column("breasts", sa.Text)),
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
)
"""`cautions` are the names of the cautions, and of sinks that refused or failed, one a line.
`breasts` is JSON, P(malignant) by laterality; empty for results of an earlier version."""

FILES: Final = numbered_table(
    "files",
    sa.Column("result_id", sa.ForeignKey("results.id"), nullable=False),
    sa.Column("sink", sa.String(64), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False, index=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("sop_class_uid", sa.String(64)),
    sa.Column("sop_instance_uid", sa.String(64), index=True),
    sa.UniqueConstraint("result_id", "sink", "name"),
)

DELIVERIES: Final = numbered_table(
    "deliveries",
    sa.Column("file_id", sa.ForeignKey("files.id"), nullable=False),
    sa.Column("exam_id", sa.ForeignKey("exams.id"), nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("route", sa.String(64), nullable=False),
    *work_columns(),
    sa.UniqueConstraint("file_id", "route"),
    sa.Index("ix_deliveries_ready", "state", "route", "not_before"),
)

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
"""The last row of the trail. Writers wait for its lock; it shows if later rows were removed."""

COMMITMENTS: Final = numbered_table(
    "commitments",
    sa.Column("transaction_uid", sa.String(64), nullable=False, unique=True),
    sa.Column("peer", sa.String(16), nullable=False),
    sa.Column("asked_at", UtcTime, nullable=False),
    sa.Column("answered_at", UtcTime),
    sa.Column("answer", sa.Text),
    sa.CheckConstraint("(answered_at IS NULL) = (answer IS NULL)", name="answered"),
)
"""Requests for storage commitment; another process may receive the `answer` (JSON)."""

PRIORS: Final = numbered_table(
    "priors",
    sa.Column("study_instance_uid", sa.String(64), nullable=False, unique=True),
    sa.Column("asked_at", UtcTime, nullable=False),
)
"""Studies that were fetched for comparison: received like others, but not analysed."""

PROCESSES: Final = numbered_table(
    "processes",
    sa.Column("name", sa.String(128), nullable=False, unique=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("seen_at", UtcTime, nullable=False),
)

STEPS: Final = numbered_table(
    "steps",
    sa.Column("server", sa.String(64), nullable=False),
    sa.Column("sop_instance_uid", sa.String(64), nullable=False),
    sa.Column("transaction_uid", sa.String(64), nullable=False),
    sa.Column("phase", sa.String(16), nullable=False),
    sa.Column("work", sa.Text),
    sa.Column("cancel_asked", sa.Boolean, nullable=False),
    *work_columns(),
    sa.UniqueConstraint("server", "sop_instance_uid"),
)
"""Procedure steps (UPS) that this node claims. `work` (JSON) has their inputs, then the results."""
