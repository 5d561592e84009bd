"""Photographs of the films of one exam, each with the side and view that a person gave."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mammolens.analysis.exam import AnalysisOptions, analyze_exam
from mammolens.core import (
    Caution,
    ImageRef,
    Mammogram,
    ObjectKind,
    Prediction,
    Source,
    SourceHeader,
    Unreadable,
)
from mammolens.errors import ConfigError, InputError
from mammolens.exams import View, make_exam, parse_views
from mammolens.images import read_photograph
from mammolens.model import ModelPackage
from mammolens.photograph import film_mammogram, straighten

__all__ = ["GivenPhotograph", "analyze_photographs", "parse_photographs"]

_STRAIGHTENED = Caution(
    "film_straightened", "positions in results are in the straightened film, not in the photograph"
)


@dataclass(frozen=True)
class GivenPhotograph:
    """A photograph of one film, and what a person says that it shows."""

    path: Path
    view: View


def parse_photographs(texts: Sequence[str]) -> tuple[GivenPhotograph, ...]:
    """Read photographs as ``VIEW=FILE``.

    Raises
    ------
    ConfigError
        A text has another form, its view is not known, or a file is named twice.

    Examples
    --------
    >>> parse_photographs(["RCC=right.jpg"])[0].path.name
    'right.jpg'
    """
    given = []
    for text in texts:
        view, sign, path = text.partition("=")
        if not sign or not path:
            raise ConfigError(
                f"{text!r} does not say which view the photograph shows",
                keyword="photograph",
                remedy="Give the view and the file, such as RCC=right_cc.jpg",
            )
        given.append(GivenPhotograph(Path(path), parse_views([view])[0]))
    if len({one.path.resolve() for one in given}) < len(given):
        raise ConfigError(
            "one photograph is given for two views",
            keyword="photograph",
            remedy="Give one photograph for each film",
        )
    return tuple(given)


def analyze_photographs(
    photographs: Sequence[GivenPhotograph],
    model: ModelPackage,
    options: AnalysisOptions,
) -> Prediction:
    """Analyse photographs of the films of one exam. The result is never ``low``.

    A photograph that fails the check of its quality is listed in the result as an image that was
    not analysed, with every reason.
    """
    began = time.monotonic()
    films: list[Mammogram] = []
    refused: list[Unreadable] = []
    for given in photographs:
        source, (side, view) = str(given.path), given.view
        try:
            photograph = read_photograph(given.path)
            film = straighten(photograph.rgb, source)
        except InputError as error:
            header = Source(ImageRef(source, laterality=side, view_position=view), SourceHeader())
            refused.append(Unreadable.of(error, source, header, ObjectKind.MAMMOGRAM))
            continue
        films.append(film_mammogram(film, source, photograph.digest, side, view))
    exam = make_exam(films, None, None, [_STRAIGHTENED])
    return analyze_exam(exam, model, options, unreadable=refused, began=began)
