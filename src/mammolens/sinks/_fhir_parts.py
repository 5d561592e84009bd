"""Parts of FHIR R4 resources that all of ours share: codings, the patient, the study."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from mammolens.core import Laterality
from mammolens.sinks._dicom_codes import Code
from mammolens.sinks._dicom_values import date, is_uid
from mammolens.sinks._messages import ExamIdentity

__all__ = [
    "DCM",
    "HL7",
    "SCT",
    "SITES",
    "STUDY_REPORT",
    "Json",
    "coding",
    "concept",
    "imaging_study",
    "known",
    "mammography",
    "quantity",
    "reference",
    "study_day",
    "subject",
]

DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
SCT: Final = "http://snomed.info/sct"
HL7: Final = "http://terminology.hl7.org/CodeSystem/"
STUDY_REPORT: Final = ("http://loinc.org", "18748-4", "Diagnostic imaging study")
SITES: Final = {
    Laterality.LEFT: (SCT, "80248007", "Left breast structure"),
    Laterality.RIGHT: (SCT, "73056007", "Right breast structure"),
    None: (SCT, "76752008", "Breast structure"),
}
Json = dict[str, Any]
_SYSTEMS: Final = {
    "SCT": SCT,
    "DCM": DCM,
    "BI": "https://www.acr.org/birads",
    "99MAMMOLENS": "urn:mammolens:codes",
}


def study_day(identity: ExamIdentity) -> str | None:
    """Give the date of the study as FHIR writes it."""
    day = date(identity.header.study_date)
    return datetime.strptime(day, "%Y%m%d").date().isoformat() if day else None


def subject(identity: ExamIdentity) -> Json:
    """Refer to the patient by identifier; no name is written."""
    kind = {"coding": [coding((f"{HL7}v2-0203", "MR", "Medical record number"))]}
    return {
        "type": "Patient",
        "identifier": {"type": kind, "value": identity.patient_id},
    }


def imaging_study(identity: ExamIdentity) -> Json:
    """Describe the study with its images."""
    accession = identity.header.accession_number
    kind = {"coding": [coding((f"{HL7}v2-0203", "ACSN", "Accession ID"))]}
    return {
        "identifier": [
            {"system": "urn:dicom:uid", "value": f"urn:oid:{identity.study_instance_uid}"},
            *([{"type": kind, "value": accession}] if accession else []),
        ],
        "status": "available",
        "modality": [mammography()],
        "subject": subject(identity),
        "started": study_day(identity),
        "series": _series(identity),
    }


def _series(identity: ExamIdentity) -> list[Json]:
    found: dict[str, Json] = {}
    listed = [*((source, "") for source in identity.analysed), *identity.missed]
    for source, why in listed:
        ref, sop_class = source.ref, source.header.sop_class_uid
        uids = ref.series_instance_uid, ref.sop_instance_uid, sop_class
        if not all(map(is_uid, uids)):
            continue
        series = found.setdefault(
            str(ref.series_instance_uid),
            {
                "uid": ref.series_instance_uid,
                "modality": mammography(),
                "bodySite": coding(SITES[ref.laterality]),
                "instance": [],
            },
        )
        kind = {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{sop_class}"}
        title = {"title": f"not analysed: {why}"} if why else {}
        series["instance"].append({"uid": ref.sop_instance_uid, "sopClass": kind, **title})
    return list(found.values())


def known(content: Json) -> Json:
    """Leave out what is not there: FHIR has neither null nor empty lists."""
    return {key: value for key, value in content.items() if value not in (None, [])}


def reference(entry: Json) -> Json:
    """Refer to the resource of an entry."""
    return {"reference": entry["fullUrl"]}


def coding(code: tuple[str, str, str]) -> Json:
    """Give a code: its system, value and display."""
    system, value, display = code
    return known({"system": system, "code": value, "display": display or None})


def concept(code: Code) -> Json:
    """Give a code of a DICOM context group as a CodeableConcept."""
    return {"coding": [coding((_SYSTEMS[code.scheme], code.value, code.meaning))]}


def mammography() -> Json:
    """Give the modality."""
    return {"system": DCM, "code": "MG", "display": "Mammography"}


def quantity(percent_value: float) -> Json:
    """Give a percentage."""
    return {
        "value": percent_value,
        "unit": "%",
        "system": "http://unitsofmeasure.org",
        "code": "%",
    }
