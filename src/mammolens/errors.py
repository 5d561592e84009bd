"""Every exception that mammolens raises on purpose.

::

    MammolensError
      InputError      MissingInput, NotAnImage, UnsupportedImage, MissingAttribute, NotAMammogram,
                      IncompleteExam, NotAWholeView, BadRegion
      DataError       InvalidManifest, PatientLeak
      ConfigError
      ModelError      BadModelPackage, ContractMismatch
      DeliveryError   (a sink's destination refused or is away; retried)
      StorageError    (a working folder is full or cannot be written)

`status.py` maps every leaf to an exit code, an HTTP status and a DIMSE status.
"""

from __future__ import annotations

__all__ = [
    "BadModelPackage",
    "BadRegion",
    "ConfigError",
    "ContractMismatch",
    "DataError",
    "DeliveryError",
    "IncompleteExam",
    "InputError",
    "InvalidManifest",
    "MammolensError",
    "MissingAttribute",
    "MissingInput",
    "ModelError",
    "NotAMammogram",
    "NotAWholeView",
    "NotAnImage",
    "PatientLeak",
    "StorageError",
    "UnsupportedImage",
]


class MammolensError(Exception):
    """What went wrong, where, and what to do about it.

    Parameters
    ----------
    message
        The cause, one sentence without a final full stop.
    source
        The file (or archive member, or setting) that it is about.
    keyword
        The DICOM keyword (or configuration key) at fault, if there is one.
    remedy
        What the reader can do, one sentence without a final full stop.

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
    """The bytes are no picture: empty, truncated, text, or damaged beyond decoding."""


class UnsupportedImage(InputError):
    """A picture of a form that is not read: transfer syntax, colour, several frames, size."""


class MissingAttribute(InputError):
    """An attribute without which the image cannot be placed or scored is absent or empty."""


class NotAMammogram(InputError):
    """A sound picture of something else: CT, chest film, screenshot, FOR PROCESSING data."""


class NotAWholeView(InputError):
    """A mammogram of a part of a breast, or magnified: of no use to a model of whole breasts."""


class IncompleteExam(InputError):
    """An exam of which nothing could be analysed, or less than the model needs."""


class BadRegion(InputError):
    """A marked box is empty, too small, or outside its image."""


class DataError(MammolensError):
    """A table of training or evaluation data cannot be trusted."""


class InvalidManifest(DataError):
    """The manifest has missing columns, impossible values or missing files."""


class PatientLeak(DataError):
    """One patient stands on both sides of a split."""


class ConfigError(MammolensError):
    """A setting is unknown, out of range or contradicts another."""


class ModelError(MammolensError):
    """A model cannot be used."""


class BadModelPackage(ModelError):
    """The model package is missing, damaged, or its digest does not match its card."""


class ContractMismatch(ModelError):
    """Graph and card, or card and input, disagree."""


class DeliveryError(MammolensError):
    """A destination refused a result or is away."""


class StorageError(MammolensError):
    """A working folder, such as a cache or a run's, is full or cannot be written."""
