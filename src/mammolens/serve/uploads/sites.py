"""For which site a person uploads."""

from __future__ import annotations

import sqlalchemy as sa

from mammolens.serve.people import Person, Refusal, Refused
from mammolens.serve.record import SITES, PersonRole

__all__ = ["may_upload", "upload_site", "upload_sites"]


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
