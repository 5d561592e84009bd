"""A demonstration: the sample exams, one constructed exam that is high, two sites and their people.

Nothing here is needed by a node that serves patients. What is shown is either a public sample or
says of itself, in every place where a reader looks, that it was constructed.
"""

from __future__ import annotations

from mammolens.serve.demonstration.house import invite_people, receive_studies, write_settings
from mammolens.serve.demonstration.studies import CONSTRUCTED, make_studies

__all__ = [
    "CONSTRUCTED",
    "invite_people",
    "make_studies",
    "receive_studies",
    "write_settings",
]
