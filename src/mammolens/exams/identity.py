"""Identity of the patient of an image: one rule for files and for objects that the node receives.

Images of one study belong to one exam only if PatientID, name and birth date agree. If PatientID is
a placeholder and there is no name with a birth date, then the study date, accession number, age and
acquisition date must agree too. The reason: some anonymisers give all patients of a trial the same
study UID.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Final

from mammolens.core import Caution, ImageRef, Source, SourceHeader

__all__ = ["identity_cautions", "identity_of", "is_placeholder", "plain_name"]

_PLACEHOLDER: Final = re.compile(
    r"(?:anon(?:ym\w*)?|removed|unknown|none|null|na|nan|nil|noid|nopatientid|deid\w*|redacted|"
    r"hidden|blank|empty|patient|test|dummy|0+|9{4,}|x+)",
    re.IGNORECASE,
)
"""IDs that anonymisers and operators write when there is no ID, compared without punctuation.

Chosen by hand; not measured.
"""


def is_placeholder(patient_id: str | None) -> bool:
    """Return whether a PatientID does not identify a patient.

    Examples
    --------
    >>> [is_placeholder(text) for text in (None, "", "ANONYMOUS", "000000", "P_0", "4711")]
    [True, True, True, True, False, False]
    """
    bare = re.sub(r"[\W_]+", "", patient_id or "")
    return not bare or _PLACEHOLDER.fullmatch(bare) is not None


def plain_name(name: str | None) -> str:
    """Normalise a person name: first representation, lower case, single spaces.

    Examples
    --------
    >>> plain_name("DOE^Jane^^^"), plain_name("Doe^Jane=王^小东")
    ('doe jane', 'doe jane')
    """
    first = unicodedata.normalize("NFKC", name or "").partition("=")[0]
    return " ".join(first.replace("^", " ").casefold().split())


def identity_of(ref: ImageRef, header: SourceHeader) -> tuple[str | None, ...]:
    """Give the values that identify the patient of an image.

    Images of one study whose values differ belong to different exams.
    """
    name, birth_date = plain_name(header.patient_name), header.patient_birth_date
    patient = (ref.patient_id, name, birth_date)
    if not is_placeholder(ref.patient_id) or (birth_date and not is_placeholder(name)):
        return patient
    study = (header.study_date, header.accession_number, header.patient_age, ref.acquisition_date)
    return (*patient, *study)


def identity_cautions(sources: Sequence[Source]) -> list[Caution]:
    """Compare attributes of the images of one exam; each attribute that differs is a doubt.

    Parameters
    ----------
    sources
        The headers of the images of one exam.
    """
    attributes: dict[str, Callable[[Source], str | None]] = {
        "PatientSex": lambda s: s.header.patient_sex,
        "StudyDate": lambda s: s.header.study_date,
        "AccessionNumber": lambda s: s.header.accession_number,
        "IssuerOfPatientID": lambda s: s.header.issuer_of_patient_id,
    }
    if all(is_placeholder(source.ref.patient_id) for source in sources):
        attributes["DeviceSerialNumber"] = lambda s: s.header.device_serial_number
        attributes["InstitutionName"] = lambda s: s.header.institution_name
    differing = [
        keyword
        for keyword, read in attributes.items()
        if len({value for source in sources if (value := read(source))}) > 1
    ]
    return [
        Caution(
            "identity_disagrees",
            f"the images of this exam have different values of {keyword}: they may show several"
            " patients",
            doubt=True,
        )
        for keyword in differing
    ]
