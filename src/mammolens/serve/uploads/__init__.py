"""Uploads: exams that a person sends in over HTTP, in pieces that may come again after a break.

An upload is a file of the node's own until it is whole; then each file in it is received as any
other, and what became of it is kept. Nothing here knows of HTTP.
"""

from __future__ import annotations

from mammolens.serve.uploads.coming import (
    Progress,
    Upload,
    Writer,
    begin_upload,
    cancel_upload,
    find_upload,
    list_progress,
    list_uploads,
    open_writer,
)
from mammolens.serve.uploads.consents import Consent, KeptConsent, list_consents
from mammolens.serve.uploads.photographs import read_facts
from mammolens.serve.uploads.receiving import (
    Receiver,
    UploadResult,
    read_result,
)

__all__ = [
    "Consent",
    "KeptConsent",
    "Progress",
    "Receiver",
    "Upload",
    "UploadResult",
    "Writer",
    "begin_upload",
    "cancel_upload",
    "find_upload",
    "list_consents",
    "list_progress",
    "list_uploads",
    "open_writer",
    "read_facts",
    "read_result",
]
