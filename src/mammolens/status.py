"""The status of each error: exit code of the process, HTTP status and DIMSE status.

DIMSE statuses follow PS3.4 table B.2-1 (C-STORE): A7xx out of resources, A9xx data set does not
match the SOP class, Cxxx cannot understand, 0110 processing failure.
"""

from __future__ import annotations

from typing import NamedTuple

from mammolens import errors

__all__ = ["EXIT_INCOMPLETE", "EXIT_OK", "EXIT_USAGE", "STATUS", "Status", "status_of"]

EXIT_OK = 0
EXIT_USAGE = 2
EXIT_INCOMPLETE = 3
"""Some inputs were unreadable or some exams failed; all others were analysed."""

EXIT_UNFINISHED = 4
"""A job on a cluster stopped before its end: run the same command to continue it."""


class Status(NamedTuple):
    """Exit code of the process, HTTP status, DIMSE status."""

    exit_code: int
    http: int
    dimse: int


UNEXPECTED = Status(1, 500, 0x0110)

STATUS: dict[type[errors.MammolensError], Status] = {
    errors.MissingInput: Status(EXIT_USAGE, 404, 0xC005),
    errors.NotAnImage: Status(EXIT_INCOMPLETE, 422, 0xC000),
    errors.UnsupportedImage: Status(EXIT_INCOMPLETE, 415, 0xC001),
    errors.MissingAttribute: Status(EXIT_INCOMPLETE, 422, 0xA900),
    errors.NotAMammogram: Status(EXIT_INCOMPLETE, 422, 0xA901),
    errors.IncompleteExam: Status(EXIT_INCOMPLETE, 422, 0xC002),
    errors.NotAWholeView: Status(EXIT_INCOMPLETE, 422, 0xC004),
    errors.BadRegion: Status(EXIT_USAGE, 422, 0xC003),
    errors.BadPhotograph: Status(EXIT_INCOMPLETE, 422, 0xC006),
    errors.InvalidManifest: Status(EXIT_USAGE, 422, 0x0110),
    errors.PatientLeak: Status(EXIT_USAGE, 409, 0x0110),
    errors.UnreadableReport: Status(EXIT_INCOMPLETE, 422, 0x0110),
    errors.ConfigError: Status(EXIT_USAGE, 400, 0x0110),
    errors.BadModelPackage: Status(1, 503, 0xA700),
    errors.ContractMismatch: Status(1, 503, 0xA701),
    errors.DeliveryError: Status(1, 502, 0xA702),
    errors.StorageError: Status(1, 507, 0xA703),
    errors.JobUnfinished: Status(EXIT_UNFINISHED, 503, 0xA704),
}


def status_of(error: BaseException) -> Status:
    """Give the status of an exception. An unexpected exception is HTTP 500, never 400.

    Examples
    --------
    >>> status_of(errors.ConfigError("x")).exit_code
    2
    >>> status_of(ValueError("x")).http
    500
    """
    return STATUS.get(type(error), UNEXPECTED)  # type: ignore[arg-type]
