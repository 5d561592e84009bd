"""The second factor: codes of six digits that change every 30 seconds (TOTP).

A code counts once. The account keeps the time step of the last one that was taken, and takes only a
later one, by one statement in the database: of two requests with the same code one passes, and a
clock that goes back makes no old code good again.

Source: RFC 6238.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pyotp
import sqlalchemy as sa
from pyotp.utils import strings_equal

from mammolens.serve.people.person import Person
from mammolens.serve.people.refusals import Refusal, Refused, change_one
from mammolens.serve.people.sessions import Session, Stage
from mammolens.serve.record import PEOPLE, Database

__all__ = ["Offer", "offer_second_factor", "take_code"]

STEP_S: Final = 30
SKEW: Final = 1
"""Steps by which the clock of a telephone may differ, before and after."""
ISSUER: Final = "mammolens"


@dataclass(frozen=True)
class Offer:
    """A second factor to set up: its secret to type, and the same as an address for a QR code.

    Its first code puts it in force.
    """

    secret: str
    uri: str


def offer_second_factor(database: Database, session: Session) -> Offer:
    """Make a secret for an account that has none; it counts from its first code on.

    Raises
    ------
    Refused
        The session waits for something else.
    """
    if session.stage is not Stage.SECOND_FACTOR:
        raise Refused(Refusal.STAGE)
    secret = pyotp.random_base32()
    none = sa.and_(PEOPLE.c.id == session.person.id, PEOPLE.c.totp_secret.is_(None))
    with database.write() as connection:
        offer = PEOPLE.update().where(none).values(totp_offered=secret)
        change_one(connection, offer, Refusal.STAGE)
    uri = pyotp.TOTP(secret).provisioning_uri(name=session.person.name, issuer_name=ISSUER)
    return Offer(secret, uri)


def take_code(connection: sa.Connection, person: Person, code: str, now: datetime) -> bool:
    """Take a code of an account if it is right and was not used; say whether it was taken.

    The first code of a secret that was offered makes it the account's.
    """
    this = PEOPLE.c.id == person.id
    row = connection.execute(sa.select(PEOPLE).where(this).with_for_update()).one()
    secret = row.totp_secret or row.totp_offered
    step = None if secret is None else _matching_step(secret, code, now, row.totp_step)
    if step is None:
        return False
    taken = connection.execute(
        PEOPLE.update()
        .where(this, PEOPLE.c.totp_step < step)
        .values(totp_step=step, totp_secret=secret, totp_offered=None)
    )
    return taken.rowcount == 1


def _matching_step(secret: str, code: str, now: datetime, last: int) -> int | None:
    present = int(now.timestamp()) // STEP_S
    totp = pyotp.TOTP(secret)
    found = None
    for step in range(present - SKEW, present + SKEW + 1):
        if step > last and strings_equal(totp.generate_otp(step), code):
            found = step  # the loop goes on, so that each code takes as long
    return found
