"""Why a photograph of a film cannot be used, and what the person can do."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final

from mammolens.errors import BadPhotograph

__all__ = ["Fault", "refusal"]


class Fault(str, Enum):
    """One reason to refuse a photograph. The page has its own words for each value."""

    EDGES_NOT_FOUND = "edges_not_found"
    SEVERAL_FILMS = "several_films"
    NOT_A_FILM = "not_a_film"
    PERSPECTIVE = "perspective"
    LOW_RESOLUTION = "low_resolution"
    BLURRED = "blurred"
    GLARE = "glare"


_WORDS: Final = {
    Fault.EDGES_NOT_FOUND: (
        "the four edges of a film were not found",
        "Lay the whole film on the lit box, with light on all four sides",
    ),
    Fault.SEVERAL_FILMS: (
        "the photograph shows more than one film",
        "Take one photograph for each film, and cover the other films or take them away",
    ),
    Fault.NOT_A_FILM: (
        "the picture does not look like a mammographic film on a light box",
        "Photograph only mammograms, upright, with the light box switched on",
    ),
    Fault.PERSPECTIVE: (
        "the photograph was taken at too steep an angle",
        "Hold the phone parallel to the film, in front of its middle",
    ),
    Fault.LOW_RESOLUTION: (
        "the film has too few pixels",
        "Go nearer until the film nearly fills the picture, and do not use the digital zoom",
    ),
    Fault.BLURRED: (
        "the photograph is not sharp",
        "Tap on the film to focus, hold the phone still, and clean its lens",
    ),
    Fault.GLARE: (
        "light is reflected on the film",
        "Darken the room, switch the flash off, and move until no reflection is seen",
    ),
}


def refusal(faults: Sequence[Fault], source: str | None = None) -> BadPhotograph:
    """Make the error for a photograph with these faults.

    Examples
    --------
    >>> print(refusal([Fault.BLURRED], "a.jpg"))
    a.jpg: the photograph is not sharp. Tap on the film to focus, hold the phone still, and clean \
its lens.
    """
    return BadPhotograph(
        "; ".join(_WORDS[fault][0] for fault in faults),
        source=source,
        remedy=". ".join(_WORDS[fault][1] for fault in faults),
        faults=tuple(fault.value for fault in faults),
    )
