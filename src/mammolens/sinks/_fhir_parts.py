"""What all our FHIR R4 Bundles share: their entries, codings, the patient, the study."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from mammolens.core import Laterality
from mammolens.sinks import Artefact
from mammolens.sinks._dicom_codes import Code
from mammolens.sinks._dicom_values import date, is_uid
from mammolens.sinks._messages import ExamIdentity

__all__ = [
    "DCM",
    "HL7",
    "SCT",
    "BundleWriter",
    "Json",
    "coding",
    "concept",
    "fhir_file",
    "known",
    "quantity",
    "reference",
    "subject",
]

DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
SCT: Final = "http://snomed.info/sct"
HL7: Final = "http://terminology.hl7.org/CodeSystem/"
_STUDY_REPORT: Final = ("http://loinc.org", "18748-4", "Diagnostic imaging study")
_SITES: Final = {
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


@dataclass(frozen=True)
class BundleWriter(ABC):
    """Makes the entries of the transaction Bundle of one exam, issued at a moment."""

    identity: ExamIdentity
    issued: str

    @abstractmethod
    def uuid(self, *what: str) -> str:
        """Give the UUID of a resource by its kind and what it is about."""

    @abstractmethod
    def entries(self) -> Iterator[Json]:
        """Give every entry; an entry comes after the entries that it refers to."""

    def bundle(self) -> Json:
        """Give the Bundle with its entries (FHIR R4 4.0.1, http.html#transaction)."""
        return {
            "resourceType": "Bundle",
            "id": self.uuid("Bundle"),
            "type": "transaction",
            "timestamp": self.issued,
            "entry": list(self.entries()),
        }

    def put(self, kind: str, content: Json, *what: str) -> Json:
        """Make an entry that the server stores under our id, new or overwritten."""
        name = self.uuid(kind, *what)
        return {
            "fullUrl": f"urn:uuid:{name}",
            "resource": {"resourceType": kind, "id": name} | known(content),
            "request": {"method": "PUT", "url": f"{kind}/{name}"},
        }

    def create(self, what: tuple[str, ...], identifier: str, content: Json) -> Json:
        """Make an entry that the server creates only if it has none with this identifier."""
        return {
            "fullUrl": f"urn:uuid:{self.uuid(*what)}",
            "resource": {"resourceType": what[0]} | known(content),
            "request": {
                "method": "POST",
                "url": what[0],
                "ifNoneExist": f"identifier={identifier}",
            },
        }

    def create_study(self) -> Json:
        """Make the entry of the study, which the server keeps if it has it."""
        identifier = f"urn:dicom:uid|urn:oid:{self.identity.study_instance_uid}"
        return self.create(("ImagingStudy",), identifier, _imaging_study(self.identity))

    def link(self, *what: str) -> Json:
        """Refer to a resource of this Bundle."""
        return {"reference": f"urn:uuid:{self.uuid(*what)}"}

    def observation(
        self,
        status: str,
        code: Json,
        side: Laterality | None,
        said: Json,
        *,
        device: Json | None = None,
        notes: Sequence[str] = (),
    ) -> Json:
        """Make an Observation of the exam or a breast; `said` has what is stated."""
        return {
            "status": status,
            "category": [{"coding": [coding((f"{HL7}observation-category", "imaging", ""))]}],
            "code": code,
            "subject": subject(self.identity),
            "effectiveDateTime": _study_day(self.identity),
            "issued": self.issued,
            **known(said),
            "bodySite": {"coding": [coding(_SITES[side])]},
            "device": device,
            "derivedFrom": [self.link("ImagingStudy")],
            "note": [{"text": note} for note in notes],
        }

    def report(
        self,
        status: str,
        title: str,
        results: Sequence[Json],
        conclusion: str,
        *,
        by: Sequence[Json] = (),
        codes: Sequence[Json] = (),
    ) -> Json:
        """Make the DiagnosticReport: its conclusion, in words and in codes, and who gave it."""
        return {
            "status": status,
            "category": [{"coding": [coding((f"{HL7}v2-0074", "RAD", "Radiology"))]}],
            "code": {"coding": [coding(_STUDY_REPORT)], "text": title},
            "subject": subject(self.identity),
            "effectiveDateTime": _study_day(self.identity),
            "issued": self.issued,
            "performer": list(by),
            "resultsInterpreter": list(by),
            "result": list(results),
            "imagingStudy": [self.link("ImagingStudy")],
            "conclusion": conclusion,
            "conclusionCode": list(codes),
        }


def fhir_file(name: str, bundle: Json) -> Artefact:
    """Write a Bundle as a file."""
    text = json.dumps(bundle, ensure_ascii=False, indent=1, allow_nan=False)
    data = text.encode("utf-8", "replace") + b"\n"
    return Artefact(name, "application/fhir+json", data)


def _study_day(identity: ExamIdentity) -> str | None:
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


def _imaging_study(identity: ExamIdentity) -> Json:
    """Describe the study with its images."""
    accession = identity.header.accession_number
    kind = {"coding": [coding((f"{HL7}v2-0203", "ACSN", "Accession ID"))]}
    return {
        "identifier": [
            {"system": "urn:dicom:uid", "value": f"urn:oid:{identity.study_instance_uid}"},
            *([{"type": kind, "value": accession}] if accession else []),
        ],
        "status": "available",
        "modality": [_mammography()],
        "subject": subject(identity),
        "started": _study_day(identity),
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
                "modality": _mammography(),
                "bodySite": coding(_SITES[ref.laterality]),
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


def _mammography() -> Json:
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
