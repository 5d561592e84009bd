"""Why something is refused to a person: one word, which the page puts into their language."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

import sqlalchemy as sa

__all__ = ["Refusal", "Refused", "change_one", "one_row"]


class Refusal(str, Enum):
    """Reasons; none of them says whether an account exists to somebody who may not know."""

    SIGN_IN = "sign_in"
    """Name or password is wrong, or the account is closed."""
    CODE = "code"
    """The code is wrong, was used before, or its time is over."""
    TOO_MANY = "too_many"
    """Too many attempts of this account or address."""
    BUSY = "busy"
    """Too many sign-ins at the same moment."""
    STAGE = "stage"
    """Another step of the sign-in comes first."""
    WEAK_PASSWORD = "weak_password"
    """The password is too short, too plain, or the one that must be replaced."""
    NAME = "name"
    """An account or a site cannot have this name."""
    TAKEN = "taken"
    """Another account or site has this name."""
    CHANGED = "changed"
    """Somebody else has changed it in the meantime."""
    UNKNOWN = "unknown"
    """It does not exist, or this person may not know of it."""
    NOT_ALLOWED = "not_allowed"
    """This person may not do that."""
    LAST_ADMINISTRATOR = "last_administrator"
    """Nobody would be left to administer the installation."""
    TOO_MUCH = "too_much"
    """There are as many as there may be."""
    NO_OUTCOMES = "no_outcomes"
    """No exam of the site has a known outcome, so that no figure can be given."""
    TOO_LARGE = "too_large"
    """It is longer than it may be, or than it was said to be."""
    NO_FILM = "no_film"
    """The settings of this node do not allow films, nor photographs of them."""
    SITE = "site"
    """It must be said for which site this is."""
    OFFSET = "offset"
    """The upload has reached another place, where it goes on."""
    IN_USE = "in_use"
    """Another request writes or reads the same upload now."""
    KEY_REUSED = "key_reused"
    """The Idempotency-Key was used before for something else."""
    REPEATED = "repeated"
    """The same request is being answered at this moment."""
    WIPED = "wiped"
    """What this device keeps has to be deleted."""
    CURSOR = "cursor"
    """The place in a list is of another session, or was changed: the list begins again."""
    PROVIDER = "provider"
    """The OpenID Connect provider is away, or what it says cannot be trusted."""
    AI_LOCKED = "ai_locked"
    """The AI of this exam is not shown to this person yet."""
    STALE = "stale"
    """The reading was changed since this person loaded it, in another window perhaps."""
    LOCKED = "locked"
    """The answer is locked: it can be revised after the AI was shown, and no more be edited."""
    NOT_LOCKED = "not_locked"
    """The first answer must be locked before, and kept or changed with the AI in sight."""
    INCOMPLETE = "incomplete"
    """Something must still be said; the fields are named."""
    ALREADY_SIGNED = "already_signed"
    """Somebody has signed this exam before; or this reading is signed, and takes addenda only."""
    IN_ARBITRATION = "in_arbitration"
    """Two readers disagree: an arbiter decides who has not read the exam."""
    EXAM_CHANGED = "exam_changed"
    """Images came while it was read: look at the exam again."""
    SHARE_LOCKED = "share_locked"
    """Too many wrong codes were given for this link; it opens no more."""
    OTHER_PATIENT = "other_patient"
    """The consent was given by another patient than the one of the images."""
    EXAM_DATE = "exam_date"
    """An exam cannot have been made on this day: it is not over yet, or long before mammography."""
    CONSENT = "consent"
    """A health worker sends images with the patient's consent alone."""
    AI_CHANGED = "ai_changed"
    """The AI has a result that this person has not seen: look at it again."""


class Refused(Exception):
    """A person's wish is refused.

    Parameters
    ----------
    why
        The reason.
    retry_after_s
        After how many seconds another attempt makes sense, if that is known.
    fields
        What it is about, by the names of the form.
    """

    def __init__(
        self, why: Refusal, retry_after_s: int | None = None, fields: Sequence[str] = ()
    ) -> None:
        super().__init__(why.value)
        self.why, self.retry_after_s, self.fields = why, retry_after_s, tuple(fields)


def one_row(
    connection: sa.Connection, asked: sa.Select[Any], why: Refusal = Refusal.UNKNOWN
) -> sa.Row[Any]:
    """Read the one row that is asked for.

    Raises
    ------
    Refused
        There is none.
    """
    row = connection.execute(asked).one_or_none()
    if row is None:
        raise Refused(why)
    return row


def change_one(
    connection: sa.Connection, change: sa.Update, why: Refusal = Refusal.CHANGED
) -> None:
    """Change the one row that is still as the condition of the change says.

    Raises
    ------
    Refused
        There is none: another request was faster, or nothing has this number.
    """
    if connection.execute(change).rowcount != 1:
        raise Refused(why)
