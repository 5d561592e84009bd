"""Delivery of results: files are sent by the routes until they arrive, or until a person looks."""

from __future__ import annotations

from mammolens.serve.delivery.dead_letters import dead_letter_lines, read_dead
from mammolens.serve.delivery.outbox import revive_deliveries
from mammolens.serve.delivery.sending import deliver, delivering
from mammolens.serve.delivery.transports import Target, open_transport, parse_target

__all__ = [
    "Target",
    "dead_letter_lines",
    "deliver",
    "delivering",
    "open_transport",
    "parse_target",
    "read_dead",
    "revive_deliveries",
]
