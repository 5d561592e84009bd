"""For which site a person uploads."""

from __future__ import annotations

import sqlalchemy as sa

from mammolens.serve.people import Person, Refusal, Refused
from mammolens.serve.record import SITES, PersonRole

__all__ = ["upload_site"]


def upload_site(connection: sa.Connection, person: Person, given: str | None) -> int:
    """Find the site; one where the person does not upload is refused like one that is not there.

    Raises
    ------
    Refused
    """
    allowed = person.sites_as(PersonRole.UPLOADER)
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
