"""The consent of a patient, which comes with the images that a community health worker sends.

Each file of an exam brings the same consent, so that no image is without one whatever gets lost.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from mammolens.serve.holdings import NodeState, consent_about
from mammolens.serve.people import Person, Refusal, Refused, visible_exam
from mammolens.serve.record import CONSENTS, PEOPLE, UPLOADS, audit

__all__ = [
    "Consent",
    "KeptConsent",
    "enter_consent",
    "find_consent",
    "forget_consents",
    "list_consents",
]

KEPT: Final = timedelta(days=30)
"""How long a consent waits for its first image, as the results of an upload do."""
AHEAD: Final = timedelta(minutes=10)
"""Clocks of phones are not exact; a consent of later than this is a mistake."""


@dataclass(frozen=True)
class Consent:
    """What a patient agreed to: the text by its version and SHA-256, who the patient is, and when.

    `name`, `patient_id` and `birth_year` are as the health worker typed them.
    """

    id: str
    text_version: str
    text_digest: str
    language: str
    name: str
    patient_id: str
    birth_year: int
    given_at: datetime


@dataclass(frozen=True)
class KeptConsent:
    """A consent, the name of the health worker who asked for it, and the time of its arrival."""

    consent: Consent
    person_name: str
    created_at: datetime


def enter_consent(
    state: NodeState, connection: sa.Connection, person: Person, site_id: int, given: Consent
) -> None:
    """Keep a consent in the transaction that begins an upload; one that is there already stays.

    Raises
    ------
    Refused
        It was given in the future, or its name stands for another consent.
    """
    database, now = state.database, state.database.now(connection)
    if given.given_at > now + AHEAD:
        raise Refused(Refusal.CONSENT, fields=["given_at"])
    known = connection.execute(sa.select(CONSENTS).where(CONSENTS.c.id == given.id)).one_or_none()
    if known is not None:
        same = known.person_id == person.id and known.site_id == site_id
        if not same or _opened(state, known) != given:
            raise Refused(Refusal.KEY_REUSED)
        return
    row = {
        "id": given.id,
        "site_id": site_id,
        "person_id": person.id,
        "text_version": given.text_version,
        "text_digest": given.text_digest,
        "language": given.language,
        "said": _sealed(state, given),
        "given_at": given.given_at,
        "created_at": now,
    }
    connection.execute(CONSENTS.insert().values(row))
    detail: audit.Detail = {"site": site_id, "consent": given.id[:8], "text": given.text_version}
    audit.append(database, connection, person.actor, "consent_entered", None, detail)


def find_consent(state: NodeState, consent_id: str) -> Consent:
    """Give a consent that was entered.

    Raises
    ------
    StorageError
        Identity is encrypted with another key.
    """
    with state.database.read() as connection:
        row = connection.execute(sa.select(CONSENTS).where(CONSENTS.c.id == consent_id)).one()
    return _opened(state, row)


def list_consents(state: NodeState, person: Person, exam_id: int) -> list[KeptConsent]:
    """List the consents that came with the images of an exam; the look is audited.

    Raises
    ------
    Refused
        The person may not know of the exam.
    StorageError
        Identity is encrypted with another key.
    """
    database = state.database
    asked = (
        sa.select(CONSENTS, PEOPLE.c.display_name)
        .join(PEOPLE, PEOPLE.c.id == CONSENTS.c.person_id)
        .where(CONSENTS.c.exam_id == exam_id)
        .order_by(CONSENTS.c.created_at, CONSENTS.c.id)
    )
    with database.write() as connection:
        visible_exam(connection, person, exam_id)
        rows = connection.execute(asked).all()
        if rows:
            audit.append(database, connection, person.actor, "consents_seen", exam_id)
    return [KeptConsent(_opened(state, row), row.display_name, row.created_at) for row in rows]


def forget_consents(connection: sa.Connection, now: datetime) -> None:
    """Delete consents whose images never came."""
    used = sa.select(UPLOADS.c.id).where(UPLOADS.c.consent_id == CONSENTS.c.id).exists()
    alone = CONSENTS.c.exam_id.is_(None), CONSENTS.c.created_at < now - KEPT, ~used
    connection.execute(CONSENTS.delete().where(*alone))


def _sealed(state: NodeState, given: Consent) -> bytes:
    said = {"name": given.name, "patient_id": given.patient_id, "birth_year": given.birth_year}
    seal = state.results.seal
    return json.dumps(
        said if seal is None else seal.close_work(said, consent_about(given.id))
    ).encode()


def _opened(state: NodeState, row: sa.Row[Any]) -> Consent:
    said, seal = json.loads(row.said), state.results.seal
    if seal is not None:
        said = seal.open_work(said, consent_about(row.id))
    return Consent(
        row.id,
        row.text_version,
        row.text_digest,
        row.language,
        said.get("name", ""),
        said.get("patient_id", ""),
        said.get("birth_year", 0),
        row.given_at,
    )
