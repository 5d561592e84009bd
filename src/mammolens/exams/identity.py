"""Whose exam an image is: one rule for files on a disk and for objects that a node receives.

Images of one study are one exam only if everything that identifies the patient agrees. Where the
patient's ID is a placeholder and no name with a birth date stands beside it, study date, accession
number, age and acquisition date must agree too: anonymisers give whole trials one study UID.
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
"""IDs that anonymisers and operators write when they have none; punctuation does not count."""


def is_placeholder(patient_id: str | None) -> bool:
    """Whether a PatientID identifies nobody.

    Examples
    --------
    >>> [is_placeholder(text) for text in (None, "", "ANONYMOUS", "000000", "P_0", "4711")]
    [True, True, True, True, False, False]
    """
    bare = re.sub(r"[\W_]+", "", patient_id or "")
    return not bare or _PLACEHOLDER.fullmatch(bare) is not None


def plain_name(name: str | None) -> str:
    """Bring a person name to one spelling: its first representation, small, single blanks.

    Examples
    --------
    >>> plain_name("DOE^Jane^^^"), plain_name("Doe^Jane=王^小东")
    ('doe jane', 'doe jane')
    """
    first = unicodedata.normalize("NFKC", name or "").partition("=")[0]
    return " ".join(first.replace("^", " ").casefold().split())


def identity_of(ref: ImageRef, header: SourceHeader) -> tuple[str | None, ...]:
    """Say who the patient of an image is; images of one study with other identities are apart."""
    name, born = plain_name(header.patient_name), header.patient_birth_date
    who = (ref.patient_id, name, born)
    if not is_placeholder(ref.patient_id) or (born and not is_placeholder(name)):
        return who
    beside = (header.study_date, header.accession_number, header.patient_age, ref.acquisition_date)
    return (*who, *beside)


def identity_cautions(sources: Sequence[Source]) -> list[Caution]:
    """Name what identifies an exam and does not agree between its images; each is a doubt.

    Parameters
    ----------
    sources
        The images of one exam, as their headers tell of them.
    """
    facts: dict[str, Callable[[Source], str | None]] = {
        "PatientSex": lambda s: s.header.patient_sex,
        "StudyDate": lambda s: s.header.study_date,
        "AccessionNumber": lambda s: s.header.accession_number,
        "IssuerOfPatientID": lambda s: s.header.issuer_of_patient_id,
    }
    if all(is_placeholder(source.ref.patient_id) for source in sources):
        facts["DeviceSerialNumber"] = lambda s: s.header.device_serial_number
        facts["InstitutionName"] = lambda s: s.header.institution_name
    apart = [
        keyword
        for keyword, fact in facts.items()
        if len({value for source in sources if (value := fact(source))}) > 1
    ]
    return [
        Caution(
            "identity_disagrees",
            f"the images of this exam do not agree in {keyword}: they may be of several patients",
            doubt=True,
        )
        for keyword in apart
    ]
