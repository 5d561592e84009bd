"""Photographs of mammographic films on a light box: from a phone's picture to a straight grey film.

`straighten` finds the film, checks the photograph and gives a `Film`, or raises `BadPhotograph`
with every fault that it found. `film_mammogram` makes a `Mammogram` of a film; its side and view
are those that a person gave. It always carries a doubt, so an exam with it is never ``low``.

The parts: `light` (how the light box shines), `edges` (where the film lies), `sharpness`,
`straightening` (all of them in order), `faults` (the reasons in words). Pure: arrays in, arrays
out. A photograph comes here only if a person says that it is one; nothing is guessed.
"""

from mammolens.photograph.faults import Fault, refusal
from mammolens.photograph.mammogram import check_view, film_mammogram, refuse_photographed
from mammolens.photograph.straightening import Film, straighten

__all__ = [
    "Fault",
    "Film",
    "check_view",
    "film_mammogram",
    "refusal",
    "refuse_photographed",
    "straighten",
]
