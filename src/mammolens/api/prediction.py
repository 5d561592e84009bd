"""The prediction of the Python interface: the result of an exam that shows itself as a picture."""

from __future__ import annotations

import base64
import html
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mammolens import DISCLAIMER
from mammolens._lettering import encode_rgb
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
