"""The door for photographs of films: a photograph becomes a DICOM object, or is refused.

The picture is decoded, checked and straightened in a process of its own, which a manipulated file
may crash or delay without harm to the node. The object is a Secondary Capture of modality MG whose
Image Type says that it is a photograph of a film, so its exam is never ``low``. Its identifiers
follow from the site, the patient, the date and the file: sent again, it is the same object.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from mammolens.core import Laterality, Mammogram, ViewPosition
from mammolens.errors import BadPhotograph, InputError, NotAnImage
from mammolens.images import read_photograph
from mammolens.images.film_photograph import IMAGE_TYPE
from mammolens.photograph import check_view, film_mammogram, straighten
from mammolens.serve.holdings import NodeState
from mammolens.serve.intake import receive
from mammolens.serve.people import Refusal, Refused
from mammolens.serve.record import audit
from mammolens.serve.settings import IntakeSettings
from mammolens.serve.uploads.consents import Consent
from mammolens.serve.uploads.patients import contradiction

__all__ = ["PhotographFacts", "make_object", "read_facts", "take_photograph", "unpack_facts"]

MOST_S: Final = 60.0
"""Longest time for one photograph; one of 12 megapixels takes 1 to 2 s."""
REFUSED_EXIT: Final = 3
_LONGEST_ID: Final = 64
_BITS: Final = 12
FIRST_DAY: Final = date(1900, 1, 1)
"""No X-ray film of a breast is older: the first were made in 1913 (A. Salomon)."""
AHEAD: Final = timedelta(hours=14)
"""Where a day begins first, UTC+14: "today" at the sender may be tomorrow by UTC."""
_VIEW_CODES: Final = {
    "CC": ("399162004", "cranio-caudal"),
    "MLO": ("399368009", "medio-lateral oblique"),
}
"""SNOMED CT codes of PS3.16 CID 4014."""


@dataclass(frozen=True)
class PhotographFacts:
    """What a person says of a photograph: a view such as RCC, the patient ID, the films' date
    (YYYYMMDD)."""

    view: str
    patient_id: str
    study_date: str

    def pack(self) -> str:
        """Give the text for the database."""
        return json.dumps(asdict(self))

    @property
    def slot(self) -> tuple[Laterality, ViewPosition]:
        """Side and view."""
        return Laterality(self.view[0]), ViewPosition(self.view[1:])


def read_facts(
    given: Mapping[str, str], intake: IntakeSettings, consent: Consent | None = None
) -> PhotographFacts | None:
    """Read what the metadata of an upload say of a photograph; ``None`` if it is none.

    Raises
    ------
    Refused
        The settings do not allow films; side, view, patient or date are missing or impossible: they
        are never guessed; the date is in the future or before 1900; or the patient is another than
        the one who gave the consent.
    """
    day = _day(given["examDate"]) if "examDate" in given else None  # Refuses it for any upload.
    if "photograph" not in given:
        return None
    if not intake.film:
        raise Refused(Refusal.NO_FILM)
    view, patient = given["photograph"].strip().upper(), given.get("patient", "").strip()
    wrong = []
    if not re.fullmatch("[RL](CC|MLO)", view):
        wrong.append("photograph")
    if not patient or len(patient) > _LONGEST_ID or not patient.isprintable() or "\\" in patient:
        wrong.append("patient")
    if day is None:
        wrong.append("examDate")
    if wrong or day is None:
        raise Refused(Refusal.INCOMPLETE, fields=wrong)
    if consent is not None and contradiction(consent, patient, None, None) is not None:
        raise Refused(Refusal.OTHER_PATIENT, fields=["patient"])
    return PhotographFacts(view, patient, day.strftime("%Y%m%d"))


def _day(text: str) -> date | None:
    """Read a date (YYYY-MM-DD); ``None`` if it is none.

    Raises
    ------
    Refused
        No exam was made on this day.
    """
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    if not FIRST_DAY <= day <= (datetime.now(UTC) + AHEAD).date():
        raise Refused(Refusal.EXAM_DATE, fields=["examDate"])
    return day


def unpack_facts(text: str) -> PhotographFacts:
    """Read what `PhotographFacts.pack` wrote."""
    return PhotographFacts(**json.loads(text))


def make_object(path: Path, facts: PhotographFacts, site: str) -> bytes:
    """Make the DICOM object of a photograph, in a process of its own.

    Raises
    ------
    BadPhotograph
        It fails the check; `faults` are the reasons.
    InputError
        It cannot be read.
    """
    order = json.dumps({"path": str(path), "facts": asdict(facts), "site": site})
    command = [sys.executable, "-m", "mammolens.serve.uploads.photographs"]
    try:
        done = subprocess.run(
            command, input=order.encode(), capture_output=True, timeout=MOST_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise NotAnImage("the photograph takes too long to decode") from error
    if done.returncode == REFUSED_EXIT:
        answer = json.loads(done.stdout)
        if answer["faults"]:
            raise BadPhotograph(answer["message"], faults=tuple(answer["faults"]))
        raise NotAnImage(answer["message"])
    if done.returncode != 0:
        raise NotAnImage("the photograph cannot be decoded")
    return done.stdout


def take_photograph(
    state: NodeState, path: Path, facts: PhotographFacts, sender: str, site: str, _member: object
) -> tuple[str, int | None]:
    """Receive a photograph at `path`; gives its role and its exam.

    Raises
    ------
    InputError
        It is refused, see `make_object`.
    """
    try:
        made = make_object(path, facts, site)
    except InputError as error:
        detail = {"error": type(error).__name__}
        audit.note_refusal(state.database, sender, "rejected", detail)
        raise
    receipt = receive(state, made, sender, site)
    return receipt.role.value, receipt.exam_id


def _convert(path: Path, facts: PhotographFacts, site: str) -> bytes:
    photograph = read_photograph(path)
    film = straighten(photograph.rgb, "photograph")
    mammogram = film_mammogram(film, "photograph", photograph.digest, *facts.slot)
    check_view(mammogram)
    return _file_bytes(_data_set(mammogram, facts, site))


def _data_set(mammogram: Mammogram, facts: PhotographFacts, site: str) -> Dataset:
    side, view = (part.value for part in facts.slot)
    rows, columns = mammogram.pixels.shape
    study = site, facts.patient_id, facts.study_date
    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 192"
    data.ImageType = ["DERIVED", "SECONDARY", IMAGE_TYPE]
    data.SOPClassUID = SecondaryCaptureImageStorage
    data.SOPInstanceUID = _uid(*study, facts.view, mammogram.ref.digest)
    data.StudyInstanceUID, data.SeriesInstanceUID = _uid(*study), _uid(*study, "series")
    data.StudyDate, data.StudyTime, data.StudyID, data.AccessionNumber = study[2], "", "", ""
    data.Modality, data.ConversionType = "MG", "DF"
    data.PatientName, data.PatientID = "", facts.patient_id
    data.PatientBirthDate, data.PatientSex, data.ReferringPhysicianName = "", "", ""
    data.SeriesNumber, data.InstanceNumber = 1, None
    data.DerivationDescription = "Photograph of a film on a light box, straightened by mammolens"
    data.BurnedInAnnotation = "YES"  # labels on a film name its patient
    data.BodyPartExamined, data.ImageLaterality, data.ViewPosition = "BREAST", side, view
    code = Dataset()
    code.CodeValue, code.CodeMeaning = _VIEW_CODES[view]
    code.CodingSchemeDesignator, code.ViewModifierCodeSequence = "SCT", []
    data.ViewCodeSequence, data.PatientOrientation = [code], []
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows, data.Columns, data.PixelRepresentation = rows, columns, 0
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, _BITS, _BITS - 1
    data.WindowCenter, data.WindowWidth = 1 << (_BITS - 1), 1 << _BITS
    data.PixelData = mammogram.pixels.astype("<u2").tobytes()
    return data


def _uid(*named: object) -> str:
    digest = hashlib.sha256(repr(named).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def _file_bytes(data: Dataset) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = data.SOPClassUID
    meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta = meta
    stream = BytesIO()
    data.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _main() -> int:
    order = json.load(sys.stdin)
    try:
        made = _convert(Path(order["path"]), PhotographFacts(**order["facts"]), order["site"])
    except InputError as error:
        faults = error.faults if isinstance(error, BadPhotograph) else ()
        sys.stdout.write(json.dumps({"message": error.message, "faults": faults}))
        return REFUSED_EXIT
    sys.stdout.buffer.write(made)
    return 0


if __name__ == "__main__":
    raise SystemExit(_main())
