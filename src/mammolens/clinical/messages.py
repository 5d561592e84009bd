"""Read clinical data from messages: FHIR R4 in JSON, and ADT and ORU messages of HL7 v2.

Of FHIR, Patient, Observation, Condition, FamilyMemberHistory and QuestionnaireResponse are read.
Every resource must name a patient of the file; a resource of another patient is refused. Of HL7,
the segments PID and OBX are read.

Source: https://hl7.org/fhir/R4/; HL7 v2.5.1, 3.4.2 (PID) and 7.4.2 (OBX).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Final

from mammolens.clinical.codes import condition_of_code, is_breast_cancer, item_of_code
from mammolens.clinical.items import BIRTH_DATE, ITEMS, Kind, is_value, read_value
from mammolens.clinical.records import ClinicalRecord, read_day
from mammolens.core import ClinicalItem, Laterality
from mammolens.errors import InvalidManifest
from mammolens.pathology.fhir import number_of, read_resources
from mammolens.pathology.hl7 import component, messages, split_message

__all__ = ["read_bundle", "read_messages"]

Resource = Mapping[str, Any]
_NOT_STATED: Final = frozenset(("entered-in-error", "cancelled", "registered", "in-progress"))
_ABSENT: Final = frozenset(("refuted", "entered-in-error"))
_FIRST_DEGREE: Final = frozenset(
    ("MTH", "NMTH", "FTH", "NFTH", "PRN", "NPRN", "SIS", "NSIS", "TWINSIS", "BRO", "NBRO")
) | frozenset(("TWINBRO", "SIB", "NSIB", "DAU", "DAUC", "SON", "SONC", "CHILD", "NCHILD"))
"""Parents, full siblings and children of HL7 v3 RoleCode; half-siblings share half as much."""
_SIDES: Final = {
    **dict.fromkeys(("80248007", "7771000", "l", "left", "left breast"), Laterality.LEFT),
    **dict.fromkeys(("73056007", "24028007", "r", "right", "right breast"), Laterality.RIGHT),
}
"""SNOMED CT codes of left and right breast and of the qualifiers, and plain words."""


def read_bundle(data: bytes, source: str, today: date) -> Iterator[ClinicalRecord]:
    """Read the records of a JSON file: a resource, a Bundle, a list, or one resource in each line.

    Raises
    ------
    DataError
        The file is not FHIR R4, has no Patient, a resource belongs to another patient, or a value
        is impossible.
    """
    resources = list(read_resources(data, source))
    names: dict[str, str] = {}
    found: dict[str, list[ClinicalItem]] = {}
    for url, one in resources:
        if one.get("resourceType") == "Patient":
            patient = number_of(one)
            names |= {key: patient for key in (url, f"Patient/{one.get('id')}", patient) if key}
            found.setdefault(patient, [])
    if not found:
        raise InvalidManifest(
            "the file has no Patient",
            source=source,
            keyword="Patient",
            remedy="Put the Patient into the Bundle",
        )
    relatives: dict[str, list[tuple[Resource, str]]] = {}
    for _, one in resources:
        kind = str(one.get("resourceType"))
        if kind not in _READERS and kind not in ("Patient", "FamilyMemberHistory"):
            continue
        where = f"{source}, {kind}/{one.get('id', '?')}"
        try:
            patient = number_of(one) if kind == "Patient" else _patient_of(one, names, where)
            if kind == "Patient":
                if born := read_day(str(one.get("birthDate") or ""), where, "birthDate", today):
                    found[patient].append(ClinicalItem(BIRTH_DATE, born.isoformat(), where))
            elif kind == "FamilyMemberHistory":
                relatives.setdefault(patient, []).append((one, where))
            else:
                found[patient] += _READERS[kind](one, where, today)
        except (AttributeError, TypeError, KeyError, IndexError, ValueError):
            raise InvalidManifest(
                "an element has another type than in FHIR R4",
                source=where,
                remedy="Validate the resource against FHIR R4",
            ) from None
    for patient, histories in relatives.items():
        found[patient] += _family(histories, today)
    for patient, items in found.items():
        yield ClinicalRecord(patient, tuple(items))


def _patient_of(one: Resource, names: Mapping[str, str], source: str) -> str:
    subject = one.get("subject") or one.get("patient") or {}
    reference = str(subject.get("reference", ""))
    stated = str((subject.get("identifier") or {}).get("value") or "")
    short = "/".join(reference.split("/")[-2:])
    for key in (reference, short, stated):
        if key in names:
            return names[key]
    raise InvalidManifest(
        "the resource belongs to a patient who is not in the file",
        source=source,
        keyword="subject",
        remedy="Give a Bundle of one patient with all its resources",
    )


def _observation(one: Resource, source: str, today: date) -> Iterator[ClinicalItem]:
    if one.get("status") in _NOT_STATED:
        return
    day = _day(one, source, today, "effectiveDateTime", "effectivePeriod", "issued")
    for part in (one, *one.get("component", ())):
        name = item_of_code(_codes(part.get("code")))
        if name is None or name == BIRTH_DATE:
            continue
        side = _side(part.get("bodySite") or one.get("bodySite"))
        for text, unit in _values(name, part):
            yield from _items(name, text, unit, source, day, side)


def _condition(one: Resource, source: str, today: date) -> Iterator[ClinicalItem]:
    verified = {code.lower() for code in _codes(one.get("verificationStatus"))}
    found = condition_of_code(_codes(one.get("code")))
    if found is None or "entered-in-error" in verified:
        return
    name, side = found
    side = side or next(filter(None, map(_side, one.get("bodySite", ()))), None)
    day = _day(one, source, today, "recordedDate", "onsetDateTime", "onsetPeriod")
    value: bool | str = not verified & _ABSENT
    if ITEMS[name].kind is Kind.WORD:
        inactive = {"inactive", "remission", "resolved"} & set(_codes(one.get("clinicalStatus")))
        value = "never" if value is False else "former" if inactive else "current"
    yield ClinicalItem(name, value, source, day, side)


def _answers(one: Resource, source: str, today: date) -> Iterator[ClinicalItem]:
    if one.get("status") in _NOT_STATED:
        return
    day = _day(one, source, today, "authored")
    waiting = list(one.get("item", ()))
    while waiting:
        item = waiting.pop(0)
        waiting += item.get("item", ())
        name = item_of_code((str(item.get("linkId", "")), str(item.get("text", "")).rstrip("?: ")))
        for answer in item.get("answer", ()):
            waiting += answer.get("item", ())
            if name is not None and name != BIRTH_DATE:
                for text, unit in _values(name, answer):
                    yield from _items(name, text, unit, source, day, None)


def _family(histories: list[tuple[Resource, str]], today: date) -> Iterator[ClinicalItem]:
    """Count the first-degree relatives with breast cancer; a history without it says nothing."""
    affected: list[str] = []
    days: list[date] = []
    youngest: tuple[float, str] | None = None
    for one, source in histories:
        kin = {code.upper() for code in _codes(one.get("relationship"))}
        if one.get("status") in _NOT_STATED or not kin & _FIRST_DEGREE:
            continue
        illnesses = [c for c in one.get("condition", ()) if is_breast_cancer(_codes(c.get("code")))]
        if not illnesses:
            continue
        affected.append(source)
        if day := _day(one, source, today, "date"):
            days.append(day)
        for illness in illnesses:
            onset = illness.get("onsetAge") or {}
            unit = str(onset.get("unit") or onset.get("code") or "")
            for value, _ in read_value(
                "family_youngest_age", str(onset.get("value", "")), source, unit
            ):
                if youngest is None or float(value) < youngest[0]:
                    youngest = float(value), source
    if affected:
        day = max(days, default=None)
        yield ClinicalItem("family_first_degree", float(len(affected)), affected[0], day)
        if youngest is not None:
            yield ClinicalItem("family_youngest_age", youngest[0], youngest[1], day)


_READERS: Final = {
    "Observation": _observation,
    "Condition": _condition,
    "QuestionnaireResponse": _answers,
}


def _items(
    name: str, text: str, unit: str, source: str, day: date | None, stated: Laterality | None
) -> Iterator[ClinicalItem]:
    for value, side in read_value(name, text, source, unit):
        yield ClinicalItem(name, value, source, day, side or stated)


def _codes(concept: Any) -> list[str]:
    """Give the codes, displays and the text of a CodeableConcept."""
    concept = concept or {}
    codings = concept.get("coding", ())
    words = [str(c.get(key) or "") for key in ("code", "display") for c in codings]
    return [word for word in (*words, str(concept.get("text") or "")) if word]


def _side(concept: Any) -> Laterality | None:
    return next((_SIDES[word] for c in _codes(concept) if (word := c.lower()) in _SIDES), None)


def _values(name: str, part: Resource) -> Iterator[tuple[str, str]]:
    """Give the texts and units of a value; no value is unknown."""
    for key in ("valueQuantity", "valueAge"):
        if quantity := part.get(key):
            if quantity.get("comparator"):
                continue
            unit = str(quantity.get("unit") or quantity.get("code") or "")
            yield str(quantity.get("value", "")), unit
    for key in ("valueInteger", "valueDecimal", "valueString"):
        if part.get(key) is not None:
            yield str(part[key]), ""
    if isinstance(part.get("valueBoolean"), bool):
        yield ("yes" if part["valueBoolean"] else "no"), ""
    for concept in (part.get("valueCodeableConcept"), {"coding": [part.get("valueCoding") or {}]}):
        if words := _codes(concept):
            yield next((word for word in words if is_value(name, word)), words[-1]), ""


def _day(one: Resource, source: str, today: date, *keys: str) -> date | None:
    for key in keys:
        value = one.get(key)
        text = str((value or {}).get("start", "")) if key.endswith("Period") else str(value or "")
        if day := read_day(text, source, key, today):
            return day
    return None


_KINDS: Final = ("ADT", "ORU")
_GONE: Final = frozenset(("D", "W", "X", "N", "I", "O"))
"""OBX-11: deleted, wrong patient, cannot be obtained, not asked, still waited for."""


def read_messages(data: bytes, source: str, today: date) -> Iterator[ClinicalRecord]:
    """Read the records of a file; each PID begins a patient.

    Raises
    ------
    DataError
        A message is of another kind, names no patient, or a value is impossible.
    """
    for message, where in messages(data, source):
        yield from _read_message(message, where, today)


def _read_message(data: bytes, source: str, today: date) -> Iterator[ClinicalRecord]:
    segments, separators = split_message(data, source)
    kind = component(segments[0], 8, separators)
    if kind not in _KINDS:
        raise InvalidManifest(
            f"the message is of the kind {kind[:10]!r}",
            source=source,
            keyword="MSH-9",
            remedy="Send ADT or ORU",
        )
    patient, items, observed = "", list[ClinicalItem](), None
    for fields in segments[1:]:
        if fields[0] == "PID":
            if patient and items:
                yield ClinicalRecord(patient, tuple(items))
            patient, items, observed = component(fields, 3, separators), [], None
            if not patient:
                raise InvalidManifest(
                    "the message names no patient",
                    source=source,
                    keyword="PID-3",
                    remedy="Send the patient identifier",
                )
            if born := read_day(component(fields, 7, separators), source, "PID-7", today):
                items.append(ClinicalItem(BIRTH_DATE, born.isoformat(), source))
        elif fields[0] == "OBR":
            observed = read_day(component(fields, 7, separators), source, "OBR-7", today)
        elif fields[0] == "OBX" and component(fields, 11, separators).upper() not in _GONE:
            named = [component(fields, 3, separators, place) for place in (0, 1, 3, 4)]
            name = item_of_code(named)
            if name is None:
                continue
            if not patient:
                raise InvalidManifest(
                    "an OBX stands before the PID, so its patient is unknown",
                    source=source,
                    keyword="OBX",
                    remedy="Send the PID first",
                )
            stated = component(fields, 14, separators)
            day = read_day(stated, source, "OBX-14", today) or observed
            coded = component(fields, 2, separators) in ("CE", "CWE", "CNE")
            words = component(fields, 5, separators, 1) if coded else ""
            text, unit = words or component(fields, 5, separators), component(fields, 6, separators)
            for value, side in read_value(name, text, f"{source}, OBX", unit):
                items.append(ClinicalItem(name, value, source, day, side))
    if patient:
        yield ClinicalRecord(patient, tuple(items))
