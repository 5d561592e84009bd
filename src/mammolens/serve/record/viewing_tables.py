"""The tables of looking at exams: pictures for the viewer, uploads, and what a person has set.

A *picture* is what the viewer needs of one received object before its full pixels; a worker makes
it as soon as the object is there. An *overlay* is what the AI says of one result, as the viewer
draws it. An *upload* comes in pieces over HTTP, and a *member* is one file in it.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import sqlalchemy as sa

from mammolens.serve.record.tables import METADATA
from mammolens.serve.record.utc import UtcTime

__all__ = [
    "OVERLAYS",
    "PICTURES",
    "PREFERENCES",
    "UPLOADS",
    "UPLOAD_MEMBERS",
    "PictureState",
    "UploadState",
]


class PictureState(str, Enum):
    """Where a picture stands."""

    WAITING = "waiting"
    MADE = "made"
    FAILED = "failed"
    """The object cannot be shown; `facts` say why, as far as that is known."""


class UploadState(str, Enum):
    """Where an upload stands."""

    COMING = "coming"
    """Pieces are missing."""
    WHOLE = "whole"
    """Every byte is there, and its files are being received."""
    DONE = "done"
    """The result of each file is known."""


def _one_of(column: str, kinds: type[Enum], name: str) -> sa.CheckConstraint:
    listed = ", ".join(f"'{kind.value}'" for kind in kinds)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=name)


PICTURES: Final = sa.Table(
    "pictures",
    METADATA,
    sa.Column("instance_id", sa.ForeignKey("instances.id"), primary_key=True, autoincrement=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("not_before", UtcTime, nullable=False),
    sa.Column("digest", sa.String(64)),
    sa.Column("rows", sa.Integer),
    sa.Column("columns", sa.Integer),
    sa.Column("facts", sa.LargeBinary),
    _one_of("state", PictureState, "state"),
    sa.CheckConstraint("(state = 'made') = (digest IS NOT NULL)", name="made"),
)
"""`digest` is the preview's (JPEG) in the store of received objects, `rows` × `columns` its size;
`facts` is compressed JSON of what the viewer has to know of the object."""
sa.Index("ix_pictures_ready", PICTURES.c.state, PICTURES.c.not_before)
sa.Index("ix_pictures_digest", PICTURES.c.digest)

OVERLAYS: Final = sa.Table(
    "overlays",
    METADATA,
    sa.Column("result_id", sa.ForeignKey("results.id"), primary_key=True, autoincrement=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
"""`body` is compressed JSON: outlines, maps and scores of the pictures."""

UPLOADS: Final = sa.Table(
    "uploads",
    METADATA,
    sa.Column("id", sa.String(43), primary_key=True),
    sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
    sa.Column("site_id", sa.ForeignKey("sites.id"), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("length", sa.BigInteger, nullable=False),
    sa.Column("received", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("problem", sa.String(64)),
    sa.Column("photograph", sa.Text),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("changed_at", UtcTime, nullable=False),
    sa.Column("consent_id", sa.String(64)),
    _one_of("state", UploadState, "state"),
    sa.CheckConstraint("received >= 0 AND received <= length", name="received"),
    sa.CheckConstraint("state = 'coming' OR received = length", name="whole"),
)
"""`received` bytes are on the disk for good; `problem` says why nothing in it could be used;
`photograph` is JSON, what a person said of a photograph of a film. `consent_id` names the patient's
consent that came with the file, if one did."""
sa.Index("ix_uploads_person_id", UPLOADS.c.person_id, UPLOADS.c.state)
sa.Index("ix_uploads_state", UPLOADS.c.state, UPLOADS.c.changed_at)

UPLOAD_MEMBERS: Final = sa.Table(
    "upload_members",
    METADATA,
    sa.Column("upload_id", sa.ForeignKey("uploads.id"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("outcome", sa.String(32), nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("exam_id", sa.Integer),
    sa.PrimaryKeyConstraint("upload_id", "number"),
)
"""`outcome` is the role of what was received, or ``rejected``; an exam that was deleted stays named
by its number."""

PREFERENCES: Final = sa.Table(
    "preferences",
    METADATA,
    sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
    sa.Column("name", sa.String(16), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("changed_at", UtcTime, nullable=False),
    sa.PrimaryKeyConstraint("person_id", "name"),
)
"""What a person has saved for themselves: ``filters`` of the worklist, ``settings`` of the page."""
