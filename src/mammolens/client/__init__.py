"""A small client of the web application: send exams, wait for results, read what people answered.

::

    from mammolens.client import Client

    with Client("https://mammolens.clinic.example", token="mlp_...") as client:
        sent = client.upload("exam.zip")
        for exam_id in client.wait_for_upload(sent.id).exam_ids:
            exam = client.wait_for_result(exam_id)
            print(exam.status, exam.ai and exam.ai.category)

An API token is made by a person in the application, under their account, and may do what that
person may. Needs httpx: ``pip install 'mammolens[client]'``.
"""

from __future__ import annotations

from mammolens.client.connection import ApiError, NotAnswered
from mammolens.client.forms import (
    AiSummary,
    Artefact,
    Exam,
    ExamPage,
    Member,
    Named,
    Patient,
    Reading,
    Upload,
    UploadResult,
)
from mammolens.client.resources import Client

__all__ = [
    "AiSummary",
    "ApiError",
    "Artefact",
    "Client",
    "Exam",
    "ExamPage",
    "Member",
    "Named",
    "NotAnswered",
    "Patient",
    "Reading",
    "Upload",
    "UploadResult",
]
