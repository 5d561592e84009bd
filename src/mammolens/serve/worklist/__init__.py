"""The worklist: which exams a person sees, in which order, and everything that is shown of one.

Whatever could tell what the AI says of an exam asks `mammolens.serve.reading` first: also order,
filter, search and counts. Nothing here knows of HTTP.
"""

from __future__ import annotations

from mammolens.serve.worklist.audit_list import AuditEntry, AuditQuestion, list_audit
from mammolens.serve.worklist.events import Event, EventReader, Happening
from mammolens.serve.worklist.exams import (
    ArtefactNote,
    list_artefacts,
    list_patient_exams,
    note_listed,
    overlay_of,
    prior_ids,
    read_ai_beside,
    read_artefact,
    read_exam,
    read_overlay,
    read_preview,
)
from mammolens.serve.worklist.listing import ListOrder, Page, Place, Question, list_exams
from mammolens.serve.worklist.preferences import Preference, read_preference, save_preference
from mammolens.serve.worklist.quality import read_quality
from mammolens.serve.worklist.rows import AiSummary, ExamRow, ExamStatus, read_rows
from mammolens.serve.worklist.viewing import Addresses, view_exam

__all__ = [
    "Addresses",
    "AiSummary",
    "ArtefactNote",
    "AuditEntry",
    "AuditQuestion",
    "Event",
    "EventReader",
    "ExamRow",
    "ExamStatus",
    "Happening",
    "ListOrder",
    "Page",
    "Place",
    "Preference",
    "Question",
    "list_artefacts",
    "list_audit",
    "list_exams",
    "list_patient_exams",
    "note_listed",
    "overlay_of",
    "prior_ids",
    "read_ai_beside",
    "read_artefact",
    "read_exam",
    "read_overlay",
    "read_preference",
    "read_preview",
    "read_quality",
    "read_rows",
    "save_preference",
    "view_exam",
]
