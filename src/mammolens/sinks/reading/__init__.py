"""What a signed reading becomes for other systems: DICOM SR and GSPS, FHIR, HL7, a report in print.

Unlike a sink's, these results are final, and name the person who signed.
"""

from __future__ import annotations

from mammolens.sinks.reading.document import (
    Document,
    make_document,
    page_policy,
    reading_page,
    reading_pdf,
)
from mammolens.sinks.reading.fhir import reading_fhir
from mammolens.sinks.reading.gsps import presentation_states
from mammolens.sinks.reading.hl7 import reading_hl7
from mammolens.sinks.reading.sr import reading_report
from mammolens.sinks.reading.words import LANGUAGES, wording

__all__ = [
    "LANGUAGES",
    "Document",
    "make_document",
    "page_policy",
    "presentation_states",
    "reading_fhir",
    "reading_hl7",
    "reading_page",
    "reading_pdf",
    "reading_report",
    "wording",
]
