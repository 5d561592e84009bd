"""The rules of FHIR R4 that our bundles must keep, and general validators let pass.

Code sets of status, priority and the like, elements that must be there, references that must lead
to an entry, ids that must agree, and our own rule that a failed exam carries no number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["check_bundle"]

PREVALENCE: Final = "Share of malignant breasts that it stands for"
"""Name of the component that gives the prevalence beside every percentage."""
_VALUES: Final = frozenset({"valueQuantity", "valueString", "valueCodeableConcept"})

_RULES: Final[Mapping[str, Mapping[str, frozenset[str] | None]]] = {
    "Device": {
        "status": frozenset({"active", "inactive", "entered-in-error", "unknown"}),
        "identifier": None,
    },
    "ImagingStudy": {
        "status": frozenset({"registered", "available", "cancelled", "entered-in-error"}),
        "subject": None,
        "identifier": None,
    },
    "Observation": {
        "status": frozenset({"preliminary"}),
        "code": None,
        "subject": None,
        "device": None,
    },
    "RiskAssessment": {
        "status": frozenset({"preliminary"}),
        "subject": None,
        "prediction": None,
    },
    "DiagnosticReport": {
        "status": frozenset({"preliminary"}),
        "code": None,
        "subject": None,
        "result": None,
        "conclusion": None,
    },
    "Task": {
        "status": frozenset({"requested"}),
        "intent": frozenset({"proposal", "plan", "order"}),
        "priority": frozenset({"routine", "urgent", "asap", "stat"}),
        "focus": None,
    },
}
"""Elements that each kind must have, and the codes allowed where they are codes.

Where FHIR allows more (a final Observation), ours must say that no person has looked at it yet.
"""

_ONCE: Final = ("Device", "ImagingStudy", "DiagnosticReport", "Task")
_ID: Final = re.compile(r"[A-Za-z0-9.-]{1,64}")
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_MOMENTS: Final = frozenset({"issued", "timestamp", "authoredOn", "occurrenceDateTime"})
_DATES: Final = frozenset({"effectiveDateTime", "started"})


def check_bundle(bundle: Mapping[str, Any]) -> list[str]:
    """List what is wrong with one of our bundles; nothing if it is sound.

    Examples
    --------
    >>> check_bundle({"resourceType": "Bundle", "type": "batch", "entry": []})[0]
    "Bundle.type is 'batch', not a transaction"
    """
    entries = [entry for entry in bundle.get("entry", []) if isinstance(entry, Mapping)]
    return [
        *_check_frame(bundle, entries),
        *(fault for entry in entries for fault in _check_entry(entry)),
        *_check_references(entries),
        *_check_meaning(entries),
    ]


def _check_frame(bundle: Mapping[str, Any], entries: list[Mapping[str, Any]]) -> Iterator[str]:
    if bundle.get("type") != "transaction":
        yield f"Bundle.type is {bundle.get('type')!r}, not a transaction"
    kinds = [entry.get("resource", {}).get("resourceType") for entry in entries]
    for kind in _ONCE:
        if kinds.count(kind) != 1:
            yield f"there are {kinds.count(kind)} of {kind}, not one"
    if "Observation" not in kinds:
        yield "there is no Observation"
    urls = [entry.get("fullUrl") for entry in entries]
    if len(set(urls)) != len(urls):
        yield "a fullUrl stands twice"


def _check_entry(entry: Mapping[str, Any]) -> Iterator[str]:
    resource, request = entry.get("resource", {}), entry.get("request", {})
    kind = resource.get("resourceType")
    if kind not in _RULES:
        yield f"{kind!r} is no kind that is written"
        return
    for element, codes in _RULES[kind].items():
        value = resource.get(element)
        if not value:
            yield f"{kind}.{element} is missing"
        elif codes is not None and value not in codes:
            yield f"{kind}.{element} is {value!r}, none of {', '.join(sorted(codes))}"
    method, url = request.get("method"), request.get("url")
    if method == "PUT":
        if not _ID.fullmatch(str(resource.get("id"))):
            yield f"{kind}.id is no id"
        if url != f"{kind}/{resource.get('id')}":
            yield f"{kind} is put to {url!r}, which is not its id"
    elif method != "POST" or url != kind or not request.get("ifNoneExist"):
        yield f"{kind} would be made again by a repeat: {method} {url}"
    for path, value in _leaves(resource, str(kind)):
        yield from _check_value(path, value)


def _check_value(path: str, value: Any) -> Iterator[str]:
    name = re.split(r"[.\[]", path)[-1] if not path.endswith("]") else ""
    if value is None or value == "":
        yield f"{path} is empty"
    elif name in _MOMENTS and not _MOMENT.fullmatch(str(value)):
        yield f"{path} is no moment with its time zone"
    elif name in _DATES and not _DATE.fullmatch(str(value)):
        yield f"{path} is no date"
    elif path.endswith("valueQuantity.value") and not _within(value, 100):
        yield f"{path} of {value} is no percentage"
    elif name == "probabilityDecimal" and not _within(value, 1):
        yield f"{path} of {value} is no share"


def _within(value: Any, most: float) -> bool:
    return isinstance(value, int | float) and 0 <= value <= most


def _check_references(entries: list[Mapping[str, Any]]) -> Iterator[str]:
    known = {entry.get("fullUrl") for entry in entries}
    for entry in entries:
        for path, value in _leaves(entry.get("resource", {}), "resource"):
            if path.endswith(".reference") and value not in known:
                yield f"{path} leads to no entry"


def _check_meaning(entries: list[Mapping[str, Any]]) -> Iterator[str]:
    resources = [entry.get("resource", {}) for entry in entries]
    observations = [r for r in resources if r.get("resourceType") == "Observation"]
    for observation in observations:
        valued = len(_VALUES & {*observation})
        if valued + ("dataAbsentReason" in observation) != 1:
            yield "an Observation has both a value and a reason for none, or neither, or two values"
        if not valued and "component" in observation:
            yield "an Observation without a value has components"
        named = [part.get("code", {}).get("text") for part in observation.get("component", ())]
        if "valueQuantity" in observation and PREVALENCE not in named:
            yield "a percentage stands without its prevalence"
    failed = any("dataAbsentReason" in observation for observation in observations)
    scored = [r for r in resources if r.get("resourceType") == "RiskAssessment"]
    if failed and (scored or len(observations) > 1):
        yield "a failed exam carries a number"
    if not failed and len(scored) != 1:
        yield f"there are {len(scored)} of RiskAssessment, not one"
    shares = [p for r in scored for p in r.get("prediction", ()) if "probabilityDecimal" in p]
    if shares and not any("valueQuantity" in observation for observation in observations):
        yield "a share stands without its prevalence"
    priorities = [r.get("priority") for r in resources if r.get("resourceType") == "Task"]
    if failed and "routine" in priorities:
        yield "a failed exam is routine"


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}")
    elif isinstance(value, list):
        if not value:
            yield path, None
        for number, item in enumerate(value):
            yield from _leaves(item, f"{path}[{number}]")
    else:
        yield path, value
