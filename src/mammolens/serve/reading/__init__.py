"""Reading: what people answer about exams, when they see the AI, and what follows from it.

Nothing here knows of HTTP.
"""

from __future__ import annotations

from mammolens.serve.reading.status import (
    ReadingStatus,
    reader_id,
    reader_name,
    reading_status,
)
from mammolens.serve.reading.visibility import (
    ai_is_visible,
    category_is_visible,
    exams_with_visible_ai,
    exams_with_visible_category,
    may_see_ai,
    note_ai_shown,
)

__all__ = [
    "ReadingStatus",
    "ai_is_visible",
    "category_is_visible",
    "exams_with_visible_ai",
    "exams_with_visible_category",
    "may_see_ai",
    "note_ai_shown",
    "reader_id",
    "reader_name",
    "reading_status",
]
