"""The tables of looking at exams: pictures for the viewer, uploads, and what a person has set.

A *picture* is what the viewer needs of one received object before its full pixels; a worker makes
it as soon as the object is there. An *overlay* is what the AI says of one result, as the viewer
draws it. An *upload* comes in pieces over HTTP, and a *member* is one file in it. A *consent* is
what a patient agreed to before a health worker sent the images. A *header* is what DICOMweb is
asked for, taken from an object when it is first needed: it repeats what its object says, may be
made again at any time, and goes with its object. Objects without identity give headers without
identity.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import sqlalchemy as sa

from mammolens.serve.record.table_parts import METADATA, UtcTime, numbered_table, one_of, since

__all__ = [
    "CONSENTS",
    "HEADERS",
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


PICTURES: Final = sa.Table(
    "pictures",
    METADATA,
    sa.Column("instance_id", sa.ForeignKey("instances.id"), primary_key=True, autoincrement=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("not_before", UtcTime, nullable=False),
    sa.Column("digest", sa.String(64), index=True),
    sa.Column("rows", sa.Integer),
    sa.Column("columns", sa.Integer),
    sa.Column("facts", sa.LargeBinary),
    one_of("state", PictureState),
    sa.CheckConstraint("(state = 'made') = (digest IS NOT NULL)", name="made"),
    sa.Index("ix_pictures_ready", "state", "not_before"),
)
"""`digest` is the preview's (JPEG) in the store of received objects, `rows` × `columns` its size;
`facts` is compressed JSON of what the viewer has to know of the object."""

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
    since("v0015", sa.Column("photograph", sa.Text)),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("changed_at", UtcTime, nullable=False),
    since("v0011", sa.Column("consent_id", sa.String(64))),
    one_of("state", UploadState),
    sa.CheckConstraint("received >= 0 AND received <= length", name="received"),
    sa.CheckConstraint("state = 'coming' OR received = length", name="whole"),
    sa.Index("ix_uploads_person_id", "person_id", "state"),
    sa.Index("ix_uploads_state", "state", "changed_at"),
)
"""`received` bytes are on the disk for good; `problem` says why nothing in it could be used;
`photograph` is JSON, what a person said of a photograph of a film. `consent_id` names the patient's
consent that came with the file, if one did."""

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

CONSENTS: Final = sa.Table(
    "consents",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("exam_id", sa.ForeignKey("exams.id", ondelete="CASCADE"), index=True),
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

HEADERS: Final = numbered_table(
    "headers",
    sa.Column("exam_id", sa.ForeignKey("exams.id", ondelete="CASCADE"), nullable=False),
    sa.Column("instance_id", sa.ForeignKey("instances.id", ondelete="CASCADE"), unique=True),
    sa.Column("file_id", sa.ForeignKey("files.id", ondelete="CASCADE"), unique=True),
    sa.Column("series_instance_uid", sa.String(64), nullable=False),
    sa.Column("sop_instance_uid", sa.String(64), nullable=False, index=True),
    sa.Column("sop_class_uid", sa.String(64), nullable=False),
    sa.Column("transfer_syntax_uid", sa.String(64), nullable=False),
    sa.Column("modality", sa.String(16)),
    sa.Column("study_date", sa.String(8)),
    sa.Column("frames", sa.Integer, nullable=False),
    sa.Column("can_decode", sa.Boolean, nullable=False),
    sa.Column("attributes", sa.Text, nullable=False),
    sa.CheckConstraint("(instance_id IS NULL) <> (file_id IS NULL)", name="object"),
    sa.Index("ix_headers_exam", "exam_id", "id"),
)
"""Of a received object (`instance_id`) or of one of our results (`file_id`); `attributes` is in the
DICOM JSON Model, and holds what can be searched for. `frames` is 0 where there is no picture,
`can_decode` says whether the frames can be given uncompressed."""
