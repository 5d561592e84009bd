"""A prediction that can be looked at, in a notebook or in a browser."""

from __future__ import annotations

import base64
import html
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from mammolens import DISCLAIMER
from mammolens.api.frames import Rows, to_frame
from mammolens.core import Prediction as _Result
from mammolens.render import hanging
from mammolens.sinks.results_json import exam_record
from mammolens.wording import CATEGORY_WORDS, percent, printable

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Prediction"]

_PAGE: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>mammolens</title></head>'
    '<body style="font-family:sans-serif">{}</body></html>'
)


@dataclass(frozen=True)
class Prediction(_Result):
    """One exam's result, with ways to look at it; all fields are those of `core.Prediction`.

    In a notebook it shows itself: its category, its probabilities and its views with what the
    model points at.
    """

    def to_dict(self) -> dict[str, Any]:
        """Give the exam as it stands in ``results.json``: plain values, ready for JSON."""
        return exam_record(self)

    def to_frame(self, rows: Rows = "exam") -> pd.DataFrame:
        """Give the exam as a table; see `to_frame` of the module."""
        return to_frame([self], rows)

    def picture(self) -> npt.NDArray[np.uint8]:
        """Draw the views as they hang, with outlines and boxes: uint8 RGB (rows, columns, 3)."""
        return hanging(self)

    def show(self) -> None:
        """Show the exam in the notebook that runs, or else in the web browser of this computer."""
        if _in_notebook():
            from IPython.display import HTML, display

            display(HTML(self._repr_html_()))
            return
        with NamedTemporaryFile("w", suffix=".html", delete=False, encoding="utf-8") as page:
            page.write(_PAGE.format(self._repr_html_()))
        webbrowser.open(Path(page.name).as_uri())

    def _repr_html_(self) -> str:
        said = [f"Exam {self.patient_id or 'without patient ID'}: {CATEGORY_WORDS[self.category]}"]
        if self.scores is not None:
            said.append(f"P(malignant) {percent(self.scores.malignant)}")
        notes = [f"{item.path}: {item.message}" for item in self.unreadable]
        notes += [str(caution) for caution in self.cautions]
        listed = "".join(f"<li>{_escaped(note)}</li>" for note in notes)
        encoded = cv2.imencode(".jpg", np.ascontiguousarray(self.picture()[..., ::-1]))[1]
        picture = base64.b64encode(encoded.tobytes()).decode("ascii")
        return (
            f"<p><b>{_escaped(', '.join(said))}</b></p>"
            f'<img style="max-width:100%" alt="The views of the exam as they hang" '
            f'src="data:image/jpeg;base64,{picture}">'
            f"<ul>{listed}</ul><p>{_escaped(DISCLAIMER)}</p>"
        )


def _escaped(text: str) -> str:
    return html.escape(printable(text))


def _in_notebook() -> bool:
    try:
        from IPython import get_ipython
    except ModuleNotFoundError:
        return False
    return get_ipython() is not None
