"""Synthetic data: the name of the demonstration's data set, and the warning on all its figures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

__all__ = ["DEMO_DATASET", "synthetic_warnings"]

DEMO_DATASET: Final = "synthetic-demo"
_MARK: Final = "synthetic"


def synthetic_warnings(datasets: Iterable[str]) -> list[str]:
    """Give the warning that every page, report and terminal must show with synthetic data.

    Parameters
    ----------
    datasets
        Names of data sets. A data set is synthetic if its name begins with ``synthetic``.

    Returns
    -------
    list of str
        One warning, or an empty list if no data set is synthetic.

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
        f"WARNING: SYNTHETIC data ({', '.join(named)}): there are no patients; a program made the "
        "pictures and labels. These figures mean nothing clinically; they only show how the "
        "commands work"
    ]
