"""Clinical data of exams: stated by people in the web application, or by FHIR and HL7 messages.

The worker shows them in every result, and adds them to the scores if the settings name a fusion.
"""

from __future__ import annotations

from mammolens.serve.clinical.items import (
    Known,
    Statement,
    items_of,
    read_known,
    receive_message,
    state_items,
)

__all__ = ["Known", "Statement", "items_of", "read_known", "receive_message", "state_items"]
