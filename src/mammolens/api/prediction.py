"""The prediction of the Python interface: it shows itself as a picture, or as a pandas table."""

from __future__ import annotations

import base64
import html
import webbrowser
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import numpy.typing as npt

from mammolens import DISCLAIMER
from mammolens._lettering import encode_rgb
from mammolens.core import Prediction as _Result
from mammolens.errors import ConfigError
from mammolens.render import hanging
from mammolens.sinks.results_json import exam_record
from mammolens.wording import CATEGORY_WORDS, percent, printable

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Prediction", "Rows", "to_frame"]

_PAGE: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>mammolens</title></head>'
    '<body style="font-family:sans-serif">{}</body></html>'
)


@dataclass(frozen=True)
class Prediction(_Result):
    """The result of one exam. It has the fields of `core.Prediction` and methods to show it.

    A notebook displays its category, its P(malignant), and its views with the model's outlines and
    boxes.
    """

    def to_dict(self) -> dict[str, Any]:
        """Give the exam in the form of ``results.json``: plain values, ready for JSON."""
        return exam_record(self)

    def to_frame(self, rows: Rows = "exam") -> pd.DataFrame:
        """Give the exam as a pandas table; see `mammolens.to_frame`."""
        return to_frame([self], rows)

    def picture(self) -> npt.NDArray[np.uint8]:
        """Draw the views in hanging order, with outlines and boxes: uint8 RGB (rows, cols, 3)."""
        return hanging(self)

    def show(self) -> None:
        """Show the exam in the running notebook, otherwise in the web browser of this computer."""
        if _in_notebook():
            from IPython.display import HTML, display

            display(HTML(self._repr_html_()))
            return
        with NamedTemporaryFile("w", suffix=".html", delete=False, encoding="utf-8") as page:
            page.write(_PAGE.format(self._repr_html_()))
        webbrowser.open(Path(page.name).as_uri())

    def _repr_html_(self) -> str:
        title = [f"Exam {self.patient_id or 'without patient ID'}: {CATEGORY_WORDS[self.category]}"]
        if self.scores is not None:
            title.append(f"P(malignant) {percent(self.scores.malignant)}")
        notes = [f"{item.path}: {item.message}" for item in self.unreadable]
        notes += [str(caution) for caution in self.cautions]
        items = "".join(f"<li>{_escaped(note)}</li>" for note in notes)
        picture = base64.b64encode(encode_rgb(self.picture(), ".jpg")).decode("ascii")
        return (
            f"<p><b>{_escaped(', '.join(title))}</b></p>"
            f'<img style="max-width:100%" alt="The views of the exam in hanging order" '
            f'src="data:image/jpeg;base64,{picture}">'
            f"<ul>{items}</ul><p>{_escaped(DISCLAIMER)}</p>"
        )


def _escaped(text: str) -> str:
    return html.escape(printable(text))


def _in_notebook() -> bool:
    try:
        from IPython import get_ipython
    except ModuleNotFoundError:
        return False
    return get_ipython() is not None


Rows = Literal["exam", "breast", "image", "finding"]
"""The kind of a row: one row for each of these."""


def to_frame(predictions: Iterable[_Result], rows: Rows = "exam") -> pd.DataFrame:
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
