"""The quality of pictures in words and lines: what the table, the page and FHIR share."""

from __future__ import annotations

from collections.abc import Iterator

from mammolens.core import Criterion, ImagePrediction, MarkKind, Prediction, Standing
from mammolens.render import box_to_display
from mammolens.sinks._worklist import images_in_order
from mammolens.wording import view_in_exam


def criterion_name(criterion: Criterion) -> str:
    """Give the name of a criterion as it is written for people."""
    return criterion.name.replace("_", " ")


def judged_views(prediction: Prediction) -> Iterator[tuple[str, tuple[Criterion, ...]]]:
    """Give the exam (``"exam"``) and each view with its criteria, if it has any."""
    if prediction.quality:
        yield "exam", prediction.quality
    for image in images_in_order(prediction):
        if image.quality is not None:
            yield view_in_exam(image, prediction), image.quality.criteria


def poor_words(prediction: Prediction) -> list[str]:
    """Name what is poor, in one text for the exam and each view, such as ``RCC: sharpness``."""
    found = []
    for view, criteria in judged_views(prediction):
        poor = [criterion_name(one) for one in criteria if one.standing is Standing.POOR]
        if poor:
            found.append(f"{view}: {', '.join(poor)}")
    return found


def mark_lines(
    image: ImagePrediction, shape: tuple[int, int], mirrored: bool
) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    """Give the marks of the poor criteria of a view as lines for a picture of it.

    Parameters
    ----------
    shape, mirrored
        Rows and columns of the picture, and whether it is mirrored to hang.

    Yields
    ------
    The name of the criterion, and the points (x, y) of a line; a box is a closed line.
    """
    source = image.geometry.source_shape
    for criterion in image.quality.poor if image.quality else ():
        for mark in criterion.marks:
            points = []
            for row, column in mark.points:
                y, x, _, _ = box_to_display((row, column, row, column), source, shape, mirrored)
                points.append((x, y))
            if mark.kind is MarkKind.BOX:
                (x0, y0), (x1, y1) = points
                points = [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]
            elif mark.kind is MarkKind.POINT:
                (x, y), arm = points[0], shape[0] / 60
                points = [(x - arm, y - arm), (x + arm, y + arm), (x, y), (x - arm, y + arm)]
                points.append((x + arm, y - arm))
            yield criterion_name(criterion), points
