"""The OpenAPI document, and whatever Schemathesis makes of it: no fault, no undocumented answer.

Each operation has a share of a bounded time, which ``MAMMOLENS_FUZZ_S`` sets.
"""

from __future__ import annotations

import os
import time
from typing import Any

import hypothesis
import jsonschema
import pytest
from hypothesis import HealthCheck

from mammolens.serve.portal import API

BOUNDED_S = float(os.environ.get("MAMMOLENS_FUZZ_S", "80"))
MOST_EXAMPLES = 20
LEAST_S = 0.2
EVERY_KIND = ("admin", "north-reader")


def document(stage) -> dict[str, Any]:
    return stage.ask("admin", "GET", "/openapi.json").json()


def operations(found: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, ways in found["paths"].items()
        for method, operation in ways.items()
        if method != "parameters"
    ]


def test_the_document_is_valid_and_complete(stage):
    found = document(stage)
    assert found["openapi"].startswith("3.1")
    assert "not a medical device" in found["info"]["description"]
    listed = operations(found)
    names = [operation["operationId"] for _, _, operation in listed]
    assert len(names) == len({*names})
    for path, method, operation in listed:
        assert path.startswith(f"{API}/"), path
        assert operation.get("summary"), (method, path)
        assert operation.get("description") or operation["summary"], (method, path)
        assert operation.get("tags"), (method, path)
        problem = operation["responses"]["404"]["content"]["application/problem+json"]
        assert problem["schema"] == {"$ref": "#/components/schemas/Problem"}
    for name, schema in found["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema.get("description") or schema.get("title"), name


def test_the_document_is_for_those_who_are_known(stage):
    assert stage.ask("stranger", "GET", "/openapi.json").status_code == 401
    assert stage.ask("machine", "GET", "/openapi.json").status_code == 403


@pytest.mark.slow
@pytest.mark.parametrize("who", EVERY_KIND)
def test_whatever_is_sent_is_no_fault_and_every_answer_is_documented(make_stage, who):
    schemathesis = pytest.importorskip("schemathesis")
    stage = make_stage()
    octets = "application/octet-stream"
    schemathesis.serializer.alias("application/offset+octet-stream", octets)
    schema = schemathesis.openapi.from_dict(document(stage))
    found = [one.ok() for one in schema.get_all_operations()]
    assert len(found) == len(operations(document(stage)))
    # A stream of events has no end that could be waited for; its own tests read it.
    found = [one for one in found if one.path != f"{API}/events"]
    share_s = max(BOUNDED_S / len(EVERY_KIND) / len(found), LEAST_S)
    sent, faults = 0, dict[str, str]()
    for operation in found:
        sent += _try(stage, who, operation, share_s, faults)
        if operation.method != "get":  # it may have ended the session, or closed the account
            stage.database.close()
            stage = make_stage()
    assert not faults, "\n".join(faults.values())
    print(sent, "requests to", len(found), "operations")
    assert sent > 2 * len(found)


def _try(stage, who: str, operation: Any, share_s: float, faults: dict[str, str]) -> int:
    """Send what Hypothesis makes of an operation until its time is over; gives how many.

    Parameters
    ----------
    faults
        One of each kind is entered. They are not raised: what was sent changes what is there, so
        that the same request may find something else.
    """
    until, count = time.monotonic() + share_s, 0
    known = {**stage.cast.things, "person_id": stage.cast.people["newcomer"]}
    known |= {"site_id": stage.cast.sites["north"]}
    known |= {"session_id": stage.cast.known[who].session}
    validators: dict[str, Any] = {}

    @hypothesis.settings(
        max_examples=MOST_EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=[*HealthCheck],
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    )
    @hypothesis.given(case=operation.as_strategy(), is_known=hypothesis.strategies.booleans())
    def send(case: Any, is_known: bool) -> None:
        nonlocal count
        if time.monotonic() > until:
            return
        count += 1
        if is_known:
            case.path_parameters = {
                name: known.get(name, value) for name, value in (case.path_parameters or {}).items()
            }
        given = case.as_transport_kwargs(base_url="http://127.0.0.1")
        headers = {
            name: value
            for name, value in (given.get("headers") or {}).items()
            if name.lower() not in ("cookie", "x-csrf-token", "authorization", "host")
        }
        stage.client.cookies.clear()
        place = f"{case.method} {case.operation.path}"
        said = f"{place} as {given['url']} {given.get('params')} {given.get('json')!r:.300}: "
        try:
            done = stage.client.request(
                case.method,
                given["url"].removeprefix("http://127.0.0.1"),
                params=given.get("params"),
                headers={**headers, **stage.headers(who)},
                **_body(given),
            )
        except Exception as error:
            faults.setdefault(f"{place} {type(error)}", said + repr(error)[:500])
            return
        wrong = _objection(case, done, validators)
        if wrong is not None:
            faults.setdefault(f"{place} {wrong[:40]}", said + wrong)

    send()
    return count


def _body(given: dict[str, Any]) -> dict[str, Any]:
    if given.get("json") is not None:
        return {"json": given["json"]}
    data = given.get("data")
    return {"content": data if isinstance(data, bytes) else str(data).encode()} if data else {}


def _objection(case: Any, done: Any, validators: dict[str, Any]) -> str | None:
    """Compare an answer with what the document says of it; gives what is wrong."""
    raw = case.operation.schema.raw_schema
    operation = raw["paths"][case.operation.path][case.method.lower()]
    status = str(done.status_code)
    if done.status_code >= 500 and done.status_code not in (502, 503):
        return f"{status}: {done.text[:200]}"
    if status not in operation["responses"]:
        return f"{status} is not documented: {done.text[:200]}"
    kind = done.headers.get("content-type", "").partition(";")[0]
    if done.status_code >= 400 and kind != "application/problem+json" and done.content:
        return f"{status} is no problem document"
    if not done.content or kind not in ("application/json", "application/problem+json"):
        return None
    content = operation["responses"][status].get("content", {})
    if kind not in content:
        return f"{status} gives {kind}, which is not documented"
    if status not in validators:
        whole = {**content[kind]["schema"], "components": raw["components"]}
        validators[status] = jsonschema.Draft202012Validator(whole)
    found = next(validators[status].iter_errors(done.json()), None)
    return None if found is None else f"{status} is not as documented: {found.message[:200]}"
