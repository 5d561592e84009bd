"""The words of messages, in the language of the site: a count and a link, nothing of a patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mammolens.serve.record import AlertKind

__all__ = ["Message", "message_of"]


@dataclass(frozen=True)
class Message:
    """A message: its kind, its count, where to look (empty: unknown), and its words."""

    kind: AlertKind
    count: int
    link: str
    subject: str
    text: str


_PAGES: Final = {
    AlertKind.DRIFT: "/#/monitor",
    AlertKind.NOTICE: "/#/notices",
    AlertKind.REMINDER: "/#/notices",
}
_WORDS: Final = {
    "en": {
        AlertKind.DRIFT: (
            "The drift monitor has found a change",
            "The drift monitor has raised {count} new alarms. Sign in to see what has changed"
            " and since when.",
        ),
        AlertKind.NOTICE: (
            "An urgent notice waits for you",
            "An urgent notice waits for you. Sign in to read it and to acknowledge it.",
        ),
        AlertKind.REMINDER: (
            "Reminder: an urgent notice still waits",
            "Nobody has acknowledged an urgent notice yet. Sign in to read it and to"
            " acknowledge it.",
        ),
        "end": "This message has no patient data. Research use only, not a medical device.",
    },
    "de": {
        AlertKind.DRIFT: (
            "Der Drift-Monitor hat eine Veränderung gefunden",
            "Der Drift-Monitor hat {count} neue Alarme ausgelöst. Melden Sie sich an, um zu sehen,"
            " was sich seit wann verändert hat.",
        ),
        AlertKind.NOTICE: (
            "Eine dringende Mitteilung wartet auf Sie",
            "Eine dringende Mitteilung wartet auf Sie. Melden Sie sich an, um sie zu lesen und zu"
            " bestätigen.",
        ),
        AlertKind.REMINDER: (
            "Erinnerung: eine dringende Mitteilung wartet noch",
            "Eine dringende Mitteilung wurde noch nicht bestätigt. Melden Sie sich an, um sie zu"
            " lesen und zu bestätigen.",
        ),
        "end": "Diese Nachricht enthält keine Patientendaten. Nur für die Forschung, kein"
        " Medizinprodukt.",
    },
}


def message_of(kind: AlertKind, count: int, address: str, language: str) -> Message:
    """Write a message.

    Parameters
    ----------
    address
        Address of the web application; empty: the message has no link.

    Examples
    --------
    >>> message_of(AlertKind.NOTICE, 1, "https://a.example/", "en").link
    'https://a.example/#/notices'
    """
    words = _WORDS.get(language, _WORDS["en"])
    subject, sentence = words[kind]
    link = f"{address.rstrip('/')}{_PAGES[kind]}" if address else ""
    parts = [sentence.format(count=count), link, str(words["end"])]
    return Message(kind, count, link, f"mammolens: {subject}", "\n\n".join(filter(None, parts)))
