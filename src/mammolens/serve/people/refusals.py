"""Why something is refused to a person: one word, which the page puts into their language."""

from __future__ import annotations

from enum import Enum

__all__ = ["Refusal", "Refused"]


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
    AI_LOCKED = "ai_locked"
    """What the AI says of the exam is not shown to this person now."""
    LAST_ADMINISTRATOR = "last_administrator"
    """Nobody would be left to administer the installation."""
    TOO_MUCH = "too_much"
    """There are as many as there may be."""
    TOO_LARGE = "too_large"
    """It is longer than it may be, or than it was said to be."""
    SITE = "site"
    """It must be said for which site this is."""
    OFFSET = "offset"
    """The upload has reached another place, where it goes on."""
    IN_USE = "in_use"
    """Somebody else is at it just now."""
    CURSOR = "cursor"
    """The place in a list is of another session, or was changed: the list begins again."""
    PROVIDER = "provider"
    """The OpenID Connect provider is away, or what it says cannot be trusted."""


class Refused(Exception):
    """A person's wish is refused.

    Parameters
    ----------
    why
        The reason.
    retry_after_s
        After how many seconds another attempt makes sense, if that is known.
    """

    def __init__(self, why: Refusal, retry_after_s: int | None = None) -> None:
        super().__init__(why.value)
        self.why, self.retry_after_s = why, retry_after_s
