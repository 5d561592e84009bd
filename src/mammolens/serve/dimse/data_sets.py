"""Data sets of DICOM messages: made from keywords, and the status of an answer."""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset

from mammolens.errors import DeliveryError

__all__ = ["data_set", "status_code"]


def data_set(**elements: Any) -> Dataset:
    """Make a data set, or an item of a sequence, from elements by their DICOM keywords.

    Examples
    --------
    >>> data_set(PatientID="P1").PatientID
    'P1'
    """
    data = Dataset()
    for keyword, value in elements.items():
        setattr(data, keyword, value)
    return data


def status_code(status: Dataset) -> int:
    """Give the status of an answer.

    Raises
    ------
    DeliveryError
        The answer has no status: the peer was silent or hung up.
    """
    if "Status" not in status:
        raise DeliveryError("the peer does not answer", remedy="Try again later")
    return int(status.Status)
