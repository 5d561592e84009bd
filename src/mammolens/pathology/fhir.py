"""Read pathology reports from FHIR R4 in JSON: DiagnosticReport with its Observation and Specimen.

Source: https://hl7.org/fhir/R4/diagnosticreport.html. R5 changed the meaning of elements that are
read here (Specimen.collection.bodySite), so resources of R5 are refused.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mammolens.errors import UnreadableReport
from mammolens.pathology.reports import (
    SECTION_OF_LOINC,
    PathologyReport,
    ReportStatus,
    day_of,
    identifier,
    moment,
)

__all__ = ["is_json", "number_of", "read_fhir", "read_resources"]

_STATUS: Final = {
    **dict.fromkeys(("registered", "partial", "preliminary"), ReportStatus.PRELIMINARY),
    "final": ReportStatus.FINAL,
    "appended": ReportStatus.ADDENDUM,
    **dict.fromkeys(("amended", "corrected"), ReportStatus.CORRECTED),
    **dict.fromkeys(("cancelled", "entered-in-error"), ReportStatus.WITHDRAWN),
}
_R5_ONLY: Final = {
    "DiagnosticReport": ("supportingInfo", "composition", "note", "procedure", "relatesTo"),
    "Observation": ("triggeredBy", "bodyStructure", "instantiatesCanonical"),
    "Specimen": ("combined", "role", "feature"),
}
_DEEPEST: Final = 60
"""Nesting of a resource. FHIR's own resources stay below 20."""
_TAG: Final = re.compile(r"<[^<>]{0,2000}>")

Resource = Mapping[str, Any]


def is_json(data: bytes) -> bool:
    """Return whether bytes begin like a JSON document."""
    return data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")


def read_fhir(data: bytes, source: str) -> Iterator[PathologyReport | UnreadableReport]:
    """Read the reports of a JSON file: a resource, a Bundle, a list, or a resource in each line.

    A report with a fault gives its error in its place.

    Raises
    ------
    UnreadableReport
        If the file is not JSON, or no DiagnosticReport is in it.
    """
    resources = list(read_resources(data, source))
    known: dict[str, Resource] = {}
    for url, resource in resources:
        if url:
            known[url] = resource
        known[f"{resource.get('resourceType')}/{resource.get('id')}"] = resource
    reports = [one for _, one in resources if one.get("resourceType") == "DiagnosticReport"]
    if not reports:
        raise UnreadableReport(
            "the file has no DiagnosticReport",
            source=source,
            remedy="Export the reports as FHIR R4 DiagnosticReport",
        )
    for number, resource in enumerate(reports, start=1):
        where = f"{source}, report {number}" if len(reports) > 1 else source
        try:
            yield _report(resource, known, where)
        except UnreadableReport as error:
            yield error
        except (AttributeError, TypeError, ValueError, KeyError, IndexError):
            yield UnreadableReport(
                "an element has another type than in FHIR R4", source=where,
                remedy="Validate the resource against FHIR R4",
            )  # fmt: skip


def read_resources(data: bytes, source: str) -> Iterator[tuple[str, Resource]]:
    """Give the resources of a JSON file, each with its full URL or "".

    Raises
    ------
    UnreadableReport
        If the file is not FHIR R4 in JSON.
    """
    try:
        text = data.decode("utf-8-sig")
        try:
            roots = [json.loads(text)]
        except json.JSONDecodeError:
            roots = [json.loads(line) for line in text.split("\n") if line.strip()]
    except (ValueError, RecursionError):
        raise UnreadableReport(
            "the file is not JSON in UTF-8, or is nested too deeply",
            source=source,
            remedy="Export FHIR R4 as JSON or NDJSON",
        ) from None
    for root in roots:
        for one in root if isinstance(root, list) else [root]:
            yield from _unpacked("", one, source, 0)


def _unpacked(url: str, one: Any, source: str, depth: int) -> Iterator[tuple[str, Resource]]:
    if not isinstance(one, dict) or depth > _DEEPEST:
        raise UnreadableReport(
            "the file is not a FHIR resource", source=source, remedy="Export FHIR R4 as JSON"
        )
    _refuse_r5(one, source)
    if one.get("resourceType") != "Bundle":
        yield url, one
        return
    for entry in one.get("entry", ()):
        if isinstance(entry, dict) and isinstance(entry.get("resource"), dict):
            yield from _unpacked(
                str(entry.get("fullUrl", "")), entry["resource"], source, depth + 1
            )


def _refuse_r5(one: Resource, source: str) -> None:
    kind = str(one.get("resourceType"))
    collection = one.get("collection")
    site = collection.get("bodySite") if isinstance(collection, dict) else None
    meta = one.get("meta")
    profiles = meta.get("profile", ()) if isinstance(meta, dict) else ()
    found = [name for name in _R5_ONLY.get(kind, ()) if name in one]
    if isinstance(site, dict) and ("concept" in site or "reference" in site):
        found.append("collection.bodySite")
    if any("/5.0" in str(profile) or "/r5/" in str(profile).lower() for profile in profiles):
        found.append("meta.profile")
    if found:
        raise UnreadableReport(
            "the resource is of FHIR R5", source=source, keyword=f"{kind}.{found[0]}",
            remedy="Export FHIR R4 (4.0.1)",
        )  # fmt: skip


def _report(one: Resource, known: Mapping[str, Resource], source: str) -> PathologyReport:
    status = _STATUS.get(one.get("status", ""))
    if status is None:
        raise UnreadableReport(
            "the status of the report is not known", source=source, keyword="status",
            remedy="Give a status of FHIR R4",
        )  # fmt: skip
    inside = {f"#{part.get('id')}": part for part in one.get("contained", ())}

    def find(reference: Any) -> Resource:
        name = str((reference or {}).get("reference", ""))
        tail = "/".join(name.split("/")[-2:])
        return inside.get(name) or known.get(name) or known.get(tail) or {}

    subject = str((one.get("subject") or {}).get("reference", ""))
    lines = [_specimen(find(reference)) for reference in one.get("specimen", ())]
    for reference in one.get("result", ()):
        observed = find(reference)
        other = str((observed.get("subject") or {}).get("reference", "")) or subject
        if other.split("/")[-1] != subject.split("/")[-1]:
            raise UnreadableReport(
                "a result belongs to another patient", source=source, keyword="result",
                remedy="Correct the subject of the Observation",
            )  # fmt: skip
        lines += _observation(observed)
    lines += _attached(one, source)
    if one.get("conclusion"):
        lines += ["", "DIAGNOSIS:", str(one["conclusion"])]
    lines += [_words(code) for code in one.get("conclusionCode", ())]
    text = "\n".join(line for line in lines if line is not None)
    if not text.strip() and status is not ReportStatus.WITHDRAWN:
        raise UnreadableReport(
            "the report has no text", source=source, keyword="conclusion",
            remedy="Give a conclusion, results or a presentedForm of type text/plain",
        )  # fmt: skip
    collected = one.get("effectiveDateTime") or (one.get("effectivePeriod") or {}).get("start")
    accession = next(
        (
            str((find(reference).get("accessionIdentifier") or {}).get("value", ""))
            for reference in one.get("specimen", ())
        ),
        "",
    )
    number = number_of(one)
    return PathologyReport(
        source,
        identifier(number, source, "identifier"),
        identifier(_patient(one, find), source, "subject"),
        identifier(accession or number, source, "accessionIdentifier"),
        day_of(collected),
        moment(one.get("issued")),
        status,
        text,
        day_of(find(one.get("subject") or {}).get("birthDate")),
    )


def number_of(one: Resource) -> str:
    """Give the first identifier of a resource, or else its id."""
    numbers = (str(i.get("value") or "") for i in one.get("identifier", ()))
    return next(filter(None, numbers), "") or str(one.get("id", ""))


def _patient(one: Resource, find: Any) -> str:
    """Give the patient's identifier: that of the reference, of the resource, or the id."""
    subject = one.get("subject") or {}
    named = (subject.get("identifier") or {}).get("value")
    numbers = [i.get("value") for i in find(subject).get("identifier", ())]
    return str(named or next(filter(None, numbers), "") or subject.get("reference", "")).split("/")[
        -1
    ]


def _words(concept: Any) -> str:
    concept = concept or {}
    shown = [str(c.get("display", "")) for c in concept.get("coding", ())]
    return str(concept.get("text") or next(filter(None, shown), ""))


def _specimen(one: Resource) -> str:
    taken = one.get("collection") or {}
    parts = [_words(one.get("type")), _words(taken.get("bodySite")), _words(taken.get("method"))]
    named = [part for part in parts if part]
    return f"Specimen: {', '.join(named)}" if named else ""


def _observation(one: Resource) -> Iterator[str]:
    if one.get("status") in ("entered-in-error", "cancelled"):
        return
    codes = [str(c.get("code", "")) for c in (one.get("code") or {}).get("coding", ())]
    title = next((SECTION_OF_LOINC[c] for c in codes if c in SECTION_OF_LOINC), None)
    for part in (one, *one.get("component", ())):
        value = _shown(part)
        name = _words(part.get("code"))
        if value and title is not None:
            yield f"\n{title}:\n{value}" if title else value
        elif value and ("\n" in value or len(value) > 120):
            yield f"\n{name.upper()}:\n{value}"
        elif value:
            yield f"{name}: {value}"
    for note in one.get("note", ()):
        yield f"Comment: {note.get('text', '')}"


def _shown(part: Resource) -> str:
    if part.get("valueString"):
        return str(part["valueString"])
    if part.get("valueCodeableConcept"):
        return _words(part["valueCodeableConcept"])
    if part.get("valueQuantity"):
        quantity = part["valueQuantity"]
        unit = quantity.get("unit") or quantity.get("code") or ""
        return f"{quantity.get('comparator', '')}{quantity.get('value', '')} {unit}".strip()
    for name in ("valueInteger", "valueBoolean"):
        if name in part:
            value = part[name]
            return (
                {True: "present", False: "absent"}[value]
                if value is True or value is False
                else str(value)
            )
    return ""


def _attached(one: Resource, source: str) -> list[str]:
    """Give the text of attached forms; refuse a document if the report has no other text."""
    lines: list[str] = []
    refused = ""
    for form in one.get("presentedForm", ()):
        kind, _, options = str(form.get("contentType", "")).lower().partition(";")
        if kind.strip() not in ("text/plain", "text/html") or not form.get("data"):
            refused = "a PDF" if "pdf" in kind else "not text"
            continue
        codec = options.partition("charset=")[2].strip() or "utf-8"
        try:
            text = base64.b64decode(form["data"], validate=False).decode(codec)
        except (ValueError, LookupError):
            raise UnreadableReport(
                "the attached text is not in its character set", source=source,
                keyword="presentedForm", remedy="Attach text/plain; charset=utf-8",
            ) from None  # fmt: skip
        if kind.strip() == "text/html":
            text = html.unescape(_TAG.sub("\n", text))
        lines.append(text)
    if refused and not lines and not one.get("conclusion") and not one.get("result"):
        raise UnreadableReport(
            f"the attached document is {refused}", source=source, keyword="presentedForm",
            remedy="Attach the text of the report as text/plain",
        )  # fmt: skip
    return lines
