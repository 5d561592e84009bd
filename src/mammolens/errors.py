"""Every exception that mammolens raises on purpose.

::

    MammolensError
      InputError      MissingInput, NotAnImage, UnsupportedImage, MissingAttribute, NotAMammogram,
                      IncompleteExam, NotAWholeView, BadRegion, BadPhotograph
      DataError       InvalidManifest, PatientLeak, UnreadableReport
      ConfigError
      ModelError      BadModelPackage, ContractMismatch
      DeliveryError   (a destination refused a result or cannot be reached; it is tried again)
      StorageError    (a folder or file is full or cannot be written)
      JobUnfinished   (a job on a cluster stopped before its end; the same command continues it)

`status.py` maps every leaf to an exit code, an HTTP status and a DIMSE status.
"""

from __future__ import annotations

__all__ = [
    "BadModelPackage",
    "BadPhotograph",
    "BadRegion",
    "ConfigError",
    "ContractMismatch",
    "DataError",
    "DeliveryError",
    "IncompleteExam",
    "InputError",
    "InvalidManifest",
    "JobUnfinished",
    "MammolensError",
    "MissingAttribute",
    "MissingInput",
    "ModelError",
    "NotAMammogram",
    "NotAWholeView",
    "NotAnImage",
    "PatientLeak",
    "StorageError",
    "UnreadableReport",
    "UnsupportedImage",
]


class MammolensError(Exception):
    """Base of all errors: it says what happened, where, and what to do.

    Parameters
    ----------
    message
        The cause: one sentence without a full stop.
    source
        The file, archive member or setting with the fault.
    keyword
        The DICOM keyword or configuration key with the fault, if there is one.
    remedy
        What the reader can do: one sentence without a full stop.

    Examples
    --------
    >>> str(NotAnImage("the file is empty", source="a.dcm", remedy="Copy it again"))
    'a.dcm: the file is empty. Copy it again.'
    """

    def __init__(
        self,
        message: str,
        *,
        source: str | None = None,
        keyword: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.message, self.source, self.keyword, self.remedy = message, source, keyword, remedy
        text = f"{message} [{keyword}]" if keyword else message
        text = f"{source}: {text}" if source else text
        super().__init__(f"{text}. {remedy}." if remedy else text)


class InputError(MammolensError):
    """The caller's images cannot be used."""


class MissingInput(InputError):
    """A path that was given does not exist."""


class NotAnImage(InputError):
    """The bytes are not a picture: empty, truncated, text, or too damaged to decode."""


class UnsupportedImage(InputError):
    """A picture whose transfer syntax, depth, size or number of frames is not supported."""


class MissingAttribute(InputError):
    """An attribute that is needed to read or score the image is missing or empty."""


class NotAMammogram(InputError):
    """An intact picture of something else: CT, chest film, screenshot, FOR PROCESSING data."""


class NotAWholeView(InputError):
    """A mammogram of a part of a breast, or a magnified one; the model needs whole breasts."""


class IncompleteExam(InputError):
    """No image of the exam could be analysed, or fewer images than the model needs."""


class BadRegion(InputError):
    """A marked box is empty, too small, or outside its image."""


class BadPhotograph(InputError):
    """A photograph of a film that cannot be used; `faults` are its reasons, one word each."""

    def __init__(self, message: str, *, faults: tuple[str, ...] = (), **facts: str | None) -> None:
        self.faults = faults
        super().__init__(message, **facts)


class DataError(MammolensError):
    """A table of training or evaluation data has faults."""


class InvalidManifest(DataError):
    """A manifest or table has missing columns, impossible values or missing files."""


class PatientLeak(DataError):
    """One patient is in more than one part of a split."""


class UnreadableReport(DataError):
    """A pathology report cannot be read or trusted; the message never has text of the report."""


class ConfigError(MammolensError):
    """A setting is unknown, out of range or contradicts another."""


class ModelError(MammolensError):
    """A model cannot be used."""


class BadModelPackage(ModelError):
    """The model package is missing, damaged, or its digest does not match its card."""


class ContractMismatch(ModelError):
    """The graph and the card of a model disagree, or the card and the input."""


class DeliveryError(MammolensError):
    """A destination refused a result or cannot be reached."""


class StorageError(MammolensError):
    """A folder or file, such as a cache or a report, is full or cannot be written."""


class JobUnfinished(MammolensError):
    """A job on a cluster stopped before its end; what is done is kept, and it can go on."""
