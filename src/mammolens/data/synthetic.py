"""Made-up patients: the data set that says so, and the warning that its figures carry."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

__all__ = ["DEMO_DATASET", "synthetic_warnings"]

DEMO_DATASET: Final = "synthetic-demo"
_MARK: Final = "synthetic"


def synthetic_warnings(datasets: Iterable[str]) -> list[str]:
    """What every page, report and terminal must say of figures from made-up patients.

    Parameters
    ----------
    datasets
        Names of data sets; one that begins with ``synthetic`` is taken at its word.

    Returns
    -------
    list of str
        One warning, or none.

    Examples
    --------
    >>> synthetic_warnings(["inbreast"])
    []
    >>> synthetic_warnings(["synthetic-demo", "inbreast"])[0][:40]
    'WARNING: SYNTHETIC data (synthetic-demo)'
    """
    named = sorted({name for name in datasets if name.casefold().startswith(_MARK)})
    if not named:
        return []
    return [
        f"WARNING: SYNTHETIC data ({', '.join(named)}): there are no patients, pictures and labels "
        "were made by a program. These figures mean nothing clinically; they only show how the "
        "commands work"
    ]
