"""Predictions as pandas tables: one row for each exam, breast, image or finding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, Literal

from mammolens.core import Prediction
from mammolens.errors import ConfigError
from mammolens.sinks.results_json import exam_record

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Rows", "to_frame"]

Rows = Literal["exam", "breast", "image", "finding"]
"""The kind of a row: one row for each of these."""


def to_frame(predictions: Iterable[Prediction], rows: Rows = "exam") -> pd.DataFrame:
    """Make a pandas table of predictions. Unknown values are missing (NaN), never 0.

    The only probability in the table is P(malignant), in the column ``malignancy``, because the
    figures on a model's card describe this one. `Prediction.to_dict` has all probabilities.

    Parameters
    ----------
    rows
        The kind of the rows: exam, breast, image or finding.

    Raises
    ------
    ConfigError
        pandas is not installed, or `rows` is not one of the four kinds.
    """
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise ConfigError(
            "a table needs pandas", keyword="to_frame", remedy="Run: pip install pandas"
        ) from error
    if rows not in _ROWS:
        raise ConfigError(
            f"{rows!r} is not a kind of row",
            keyword="rows",
            remedy=f"Use one of {', '.join(_ROWS)}",
        )
    records = [row for one in predictions for row in _ROWS[rows](exam_record(one))]
    left_out = ("tumour", "normal", "benign")
    return pd.DataFrame([{k: v for k, v in row.items() if k not in left_out} for row in records])


def _exam_rows(exam: dict[str, Any]) -> Iterator[dict[str, Any]]:
    lists = ("breasts", "images", "unreadable", "warnings")
    row = {key: value for key, value in exam.items() if key not in lists}
    yield {
        **row,
        "n_images": len(exam["images"]),
        "n_unreadable": len(exam["unreadable"]),
        "warnings": "; ".join(exam["warnings"]),
    }


def _breast_rows(exam: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for breast in exam["breasts"]:
        yield {**_exam_columns(exam), **breast}


def _image_rows(exam: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a row for each image; an unreadable image has its error and no score."""
    for image in exam["images"]:
        own = {key: value for key, value in image.items() if key not in ("findings", "warnings")}
        warnings = "; ".join(image["warnings"])
        yield {
            **_exam_columns(exam),
            **own,
            "n_findings": len(image["findings"]),
            "warnings": warnings,
        }
    for item in exam["unreadable"]:
        yield {
            **_exam_columns(exam),
            "path": item["path"],
            "error": f"{item['error']}: {item['message']}",
        }


def _finding_rows(exam: dict[str, Any]) -> Iterator[dict[str, Any]]:
    edges = ("row0", "col0", "row1", "col1")
    for image in exam["images"]:
        where = {key: image[key] for key in ("path", "laterality", "view_position")}
        for finding in image["findings"]:
            box = dict(zip(edges, finding["box_source_px"], strict=True))
            yield {**_exam_columns(exam), **where, **box, "strength": finding["score"]}


_ROWS: Final = {
    "exam": _exam_rows,
    "breast": _breast_rows,
    "image": _image_rows,
    "finding": _finding_rows,
}


def _exam_columns(exam: dict[str, Any]) -> dict[str, Any]:
    return {key: exam[key] for key in ("patient_id", "study_instance_uid", "category")}
