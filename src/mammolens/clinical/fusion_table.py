"""The table from which a fusion is fitted: one breast in each row, with its image score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mammolens.clinical.files import read_item_table, read_items
from mammolens.clinical.fusion import INPUTS, encode
from mammolens.clinical.items import BIRTH_DATE
from mammolens.clinical.records import choose_items, known_value
from mammolens.errors import InvalidManifest
from mammolens.metrics import log_odds

__all__ = ["FusionTable", "read_fusion_table"]

FloatArray = npt.NDArray[np.float64]

NEEDED = ("patient_id", "malignant")
SCORES = ("image_log_odds", "image_probability")


@dataclass(frozen=True)
class FusionTable:
    """Breasts with labels, image scores and inputs.

    Attributes
    ----------
    labels
        (n,), bool.
    image
        (n,), log-odds of malignancy of the images alone.
    values
        (n, d), encoded inputs; NaN is unknown.
    names
        d names of inputs.
    datasets, patients
        n each. A patient is named with the data set.
    """

    labels: npt.NDArray[np.bool_]
    image: FloatArray
    values: FloatArray
    names: tuple[str, ...]
    datasets: npt.NDArray[np.str_]
    patients: npt.NDArray[np.str_]

    def rows(self, chosen: npt.NDArray[np.bool_]) -> FusionTable:
        """Give the rows for which `chosen` holds."""
        return FusionTable(
            self.labels[chosen],
            self.image[chosen],
            self.values[chosen],
            self.names,
            self.datasets[chosen],
            self.patients[chosen],
        )

    def only(self, names: Sequence[str]) -> FusionTable:
        """Give the table with some of its inputs."""
        columns = [self.names.index(name) for name in names]
        return replace(self, values=self.values[:, columns], names=tuple(names))


def read_fusion_table(path: Path, today: date, inputs: Sequence[str] = ()) -> FusionTable:
    """Read a table of breasts.

    Parameters
    ----------
    path
        CSV or Excel with ``patient_id``, ``malignant``, ``image_log_odds`` or
        ``image_probability``, columns of clinical data, and perhaps ``dataset`` and ``laterality``.
    inputs
        Names of the inputs; by default those of `INPUTS` that the table has.

    Raises
    ------
    InvalidManifest
        The table has a fault, an input is not in it, or nothing can be fitted. Rows whose label is
        unknown are left out.
    """
    table = read_item_table(path, NEEDED, (*SCORES, "dataset", "laterality"))
    score = next((name for name in SCORES if name in table.columns), None)
    if score is None:
        raise InvalidManifest(
            "the table has no image score",
            source=str(path),
            remedy="Name the column image_log_odds or image_probability, of the images alone",
        )
    has_age = BIRTH_DATE in table.columns
    present = [name for name in INPUTS if name in table.columns or (name == "age" and has_age)]
    names = tuple(inputs) or tuple(present)
    absent = [name for name in names if name not in present]
    if absent:
        raise InvalidManifest(
            f"the table has no input {', '.join(absent)}",
            source=str(path),
            keyword="inputs",
            remedy=f"It has {', '.join(present) or 'none'}",
        )
    kept = [row for row in table.rows if row.flag("malignant") is not None]
    labels, image, values, datasets, patients = [], [], [], [], []
    for row in kept:
        number = row.number(score)
        if number is None or (score == SCORES[1] and not 0 <= number <= 1):
            raise row.wrong(score, "a score of the images; a breast without one belongs not here")
        dataset = row.text("dataset") or "table"
        side = row.laterality("laterality")
        items, _ = choose_items(read_items(row, today), None)
        found = [known_value(items, name, side) for name in names]
        labels.append(bool(row.flag("malignant")))
        image.append(number if score == SCORES[0] else float(log_odds(number)))
        values.append(
            [np.nan if v is None else encode(n, v) for n, v in zip(names, found, strict=True)]
        )
        datasets.append(dataset)
        patients.append(f"{dataset}/{row.identifier('patient_id')}")
    if len(set(labels)) < 2:
        raise InvalidManifest(
            "the labels are of one class, or there are none",
            source=str(path),
            keyword="malignant",
            remedy="Give malignant and other breasts",
        )
    return FusionTable(
        np.array(labels, bool),
        np.array(image, np.float64),
        np.array(values, np.float64).reshape(len(labels), len(names)),
        names,
        np.array(datasets, np.str_),
        np.array(patients, np.str_),
    )
