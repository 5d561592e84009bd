"""What a sink gets and gives: facts of the run, and named files with their DICOM identifiers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mammolens import DISCLAIMER
from mammolens.errors import ConfigError

if TYPE_CHECKING:
    from datetime import datetime

    from mammolens.core import ModelId


@dataclass(frozen=True)
class TriageThreshold:
    """The P(malignant) that separates two categories, at the run's prevalence.

    `name` is the category that it limits: ``low`` is below the threshold, ``high`` is at or above
    it. `sensitivity` and `specificity` are those of validation, ``None`` if unknown.
    """

    name: str
    threshold: float
    sensitivity: float | None = None
    specificity: float | None = None


@dataclass(frozen=True)
class RunInfo:
    """Facts about a run that are the same for all its exams.

    `created` has a time zone. `prevalence` is the share of malignant breasts that the probabilities
    are valid for; `prevalence_stated` is true if the site gave it. If it is false, the prevalence
    is that of the data that the model was calibrated on, and results for a PACS or RIS never show a
    percentage without it. `model_summary` describes the training data and the weaknesses of the
    model in one or two sentences. P(tumour) is shown only if `tumour_vouched` is true; otherwise it
    is in ``results.json`` only. A run of one exam may revise an earlier result: `revision` counts
    from 1, and `supersedes` lists the earlier DICOM objects as (sink, series, SOP class, SOP
    instance UID).
    """

    created: datetime
    model: ModelId
    prevalence: float
    thresholds: tuple[TriageThreshold, ...] = ()
    model_summary: str = ""
    disclaimer: str = DISCLAIMER
    revision: int = 1
    supersedes: tuple[tuple[str, str, str, str], ...] = ()
    prevalence_stated: bool = False
    tumour_vouched: bool = False

    def __post_init__(self) -> None:
        if self.created.tzinfo is None:
            raise ConfigError("the time of a run needs its time zone", keyword="created")
        if not 0.0 < self.prevalence < 1.0:
            raise ConfigError(
                f"a prevalence of {self.prevalence} is not a share between 0 and 1",
                keyword="prevalence",
                remedy="Give the share of malignant breasts, such as 0.005",
            )


@dataclass(frozen=True)
class DicomIds:
    """The identifiers by which others refer to a DICOM object."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str


@dataclass(frozen=True)
class Artefact:
    """One file of a result.

    Attributes
    ----------
    name
        Name of the file. A function that makes the files of one exam gives a name that is unique
        within the exam, such as ``RCC.dcm``; the run makes it unique among all exams.
    media_type
        Such as ``application/dicom``.
    content
        The bytes, or, for large files, a function that gives them piece by piece.
    dicom
        Identifiers of the object, if the file is a DICOM object.
    exam
        Patient ID and Study Instance UID, for the index of its folder.
    shows
        Further cells of its row in that index (`Sink.index`).
    """

    name: str
    media_type: str
    content: bytes | Callable[[], Iterable[bytes]]
    dicom: DicomIds | None = None
    exam: tuple[str, str] = ("", "")
    shows: tuple[str, ...] = ()

    def pieces(self) -> Iterator[bytes]:
        """Give the content piece by piece."""
        if isinstance(self.content, bytes):
            yield self.content
        else:
            yield from self.content()

    def read(self) -> bytes:
        """Give the whole content.

        Examples
        --------
        >>> Artefact("a.txt", "text/plain", lambda: [b"one ", b"two"]).read()
        b'one two'
        """
        return b"".join(self.pieces())
