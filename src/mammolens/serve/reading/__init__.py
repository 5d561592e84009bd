"""Reading: what people answer about exams, when they see the AI, and what follows from it.

Nothing here knows of HTTP. A reading goes from draft to locked to signed (`opening`, `answering`,
`signing`); `visibility` says who sees the AI, `insight` who sees whose answer.
"""

from __future__ import annotations

from mammolens.serve.reading.answering import (
    Keep,
    lock_answer,
    look_again,
    revise_answer,
    save_draft,
)
from mammolens.serve.reading.follow_ups import (
    Notice,
    Recall,
    acknowledge,
    close_recall,
    list_notices,
    list_recalls,
    notify,
)
from mammolens.serve.reading.gathering import Pixels, gather_reading
from mammolens.serve.reading.insight import list_readings, read_dispute, visible_reading
from mammolens.serve.reading.opening import begin_arbitration, begin_reading
from mammolens.serve.reading.opinions import (
    Opinion,
    ask_opinion,
    end_opinion,
    list_opinions,
    list_readers,
)
from mammolens.serve.reading.readers_table import AnswerKind, ReaderKind, readers_table
from mammolens.serve.reading.records import (
    Addendum,
    Reading,
    ReadingStatus,
    reader_id,
    reader_name,
    reading_status,
)
from mammolens.serve.reading.signing import add_addendum, sign_reading
from mammolens.serve.reading.visibility import (
    ai_is_visible,
    category_is_visible,
    exams_with_visible_ai,
    exams_with_visible_category,
    is_past,
    may_see_ai,
    note_ai_shown,
)

__all__ = [
    "Addendum",
    "AnswerKind",
    "Keep",
    "Notice",
    "Opinion",
    "Pixels",
    "ReaderKind",
    "Reading",
    "ReadingStatus",
    "Recall",
    "acknowledge",
    "add_addendum",
    "ai_is_visible",
    "ask_opinion",
    "begin_arbitration",
    "begin_reading",
    "category_is_visible",
    "close_recall",
    "end_opinion",
    "exams_with_visible_ai",
    "exams_with_visible_category",
    "gather_reading",
    "is_past",
    "list_notices",
    "list_opinions",
    "list_readers",
    "list_readings",
    "list_recalls",
    "lock_answer",
    "look_again",
    "may_see_ai",
    "note_ai_shown",
    "notify",
    "read_dispute",
    "reader_id",
    "reader_name",
    "readers_table",
    "reading_status",
    "revise_answer",
    "save_draft",
    "sign_reading",
    "visible_reading",
]
