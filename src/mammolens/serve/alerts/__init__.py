"""Messages that tell people of what waits for them, by e-mail and webhook.

A message is a row of the database, entered in the same transaction as what it is about, and sent
until it arrives. It has a count and a link, and never anything of a patient. Whatever happens to a
mail server, analysis goes on.
"""

from __future__ import annotations

from mammolens.serve.alerts.loop import repeating
from mammolens.serve.alerts.outbox import announce_drift, announce_notice
from mammolens.serve.alerts.sending import alerting, send_due

__all__ = ["alerting", "announce_drift", "announce_notice", "repeating", "send_due"]
