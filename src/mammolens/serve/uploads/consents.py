"""Who may send images to which site, and the consent of the patient that health workers send along.

Each file of an exam brings the same consent, so that no image is without one whatever gets lost.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import sqlalchemy as sa
from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from mammolens.serve.holdings import NodeState, consent_about
from mammolens.serve.people import Person, Refusal, Refused, visible_exam
from mammolens.serve.record import (
    CONSENTS,
    PEOPLE,
    SITES,
    UPLOADS,
    Form,
    Line,
    PersonRole,
    audit,
    from_row,
)

__all__ = [
    "Consent",
    "KeptConsent",
    "enter_consent",
    "find_consent",
    "forget_consents",
    "list_consents",
    "may_upload",
    "upload_site",
    "upload_sites",
]

KEPT: Final = timedelta(days=30)
"""How long a consent waits for its first image, as the results of an upload do."""
AHEAD: Final = timedelta(minutes=10)
"""Clocks of phones are not exact; a consent of later than this is a mistake."""


class Consent(Form):
    """What a patient agreed to; `text_digest` is the SHA-256 of the text that was shown.

    `name`, `patient_id` and `birth_year` are as the health worker typed them.
    """

    id: str = Field(pattern=r"^[A-Za-z0-9_-]{16,64}$")
    text_version: str = Field(pattern=r"^[A-Za-z0-9._-]{1,16}$")
    text_digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    language: str = Field(pattern=r"^[a-z]{2,8}$")
    name: Line
    patient_id: Annotated[Line, StringConstraints(max_length=64)]
    birth_year: int = Field(ge=1900, le=2100)
    given_at: Annotated[AwareDatetime, AfterValidator(lambda time: time.astimezone(UTC))]


@dataclass(frozen=True)
class KeptConsent:
    """A consent of a patient, which health worker asked for it, and when it arrived."""

    name: str
    patient_id: str
    birth_year: int
    text_version: str
    text_digest: str
    language: str
    given_at: datetime
    asked_by: str
    received_at: datetime


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
        kept = {**known._mapping, **_opened(state, known)}
        if not same or any(kept[name] != value for name, value in given):
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
    stated = {name: value for name, value in row._mapping.items() if name in Consent.model_fields}
    return Consent(**stated, **_opened(state, row))


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
    return [
        from_row(
            KeptConsent,
            row,
            **_opened(state, row),
            asked_by=row.display_name,
            received_at=row.created_at,
        )
        for row in rows
    ]


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


def _opened(state: NodeState, row: sa.Row[Any]) -> dict[str, Any]:
    """Give what names the patient in a consent, by the fields of `Consent`."""
    said, seal = json.loads(row.said), state.results.seal
    if seal is not None:
        said = seal.open_work(said, consent_about(row.id))
    return {"name": "", "patient_id": "", "birth_year": 0, **said}


def upload_sites(person: Person) -> frozenset[int]:
    """Give the sites to which a person may send exams."""
    return person.sites_as(PersonRole.UPLOADER) | person.sites_as(PersonRole.HEALTH_WORKER)


def may_upload(person: Person, site_id: int, *, has_consent: bool) -> bool:
    """Whether a person may send an exam to a site; health workers only with a consent."""
    if person.may(PersonRole.UPLOADER, site_id):
        return True
    return has_consent and person.may(PersonRole.HEALTH_WORKER, site_id)


def upload_site(connection: sa.Connection, person: Person, given: str | None) -> int:
    """Find the site; one where the person does not upload is refused like one that is not there.

    Raises
    ------
    Refused
    """
    allowed = upload_sites(person)
    if not allowed:
        raise Refused(Refusal.NOT_ALLOWED)
    if given is None:
        if len(allowed) > 1:
            raise Refused(Refusal.SITE)
        return next(iter(allowed))
    rows = connection.execute(sa.select(SITES.c.id, SITES.c.key).where(SITES.c.id.in_(allowed)))
    for row in rows:
        if given in (row.key, str(row.id)):
            return int(row.id)
    raise Refused(Refusal.NOT_ALLOWED)
