"""Problem details: how every refusal and every fault is said over HTTP, in one place.

`code` is a word that programs and the page go by; the page puts it into the reader's language.
Nothing that was sent is repeated: it may be a password or name a patient.

Source: RFC 9457.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException as StarletteHTTPException

from mammolens.errors import DataError, StorageError
from mammolens.serve.people import Refusal, Refused

__all__ = ["PROBLEMS", "Problem", "handle_problems", "make_problem"]

MEDIA_TYPE: Final = "application/problem+json"
AGAIN_S: Final = "30"
_BY_STATUS: Final[Mapping[int, tuple[Refusal, ...]]] = {
    401: (
        Refusal.SIGN_IN,
        Refusal.CODE,
    ),
    403: (
        Refusal.NOT_ALLOWED,
        Refusal.AI_LOCKED,
    ),
    404: (Refusal.UNKNOWN,),
    409: (
        Refusal.STAGE,
        Refusal.TAKEN,
        Refusal.CHANGED,
        Refusal.LAST_ADMINISTRATOR,
        Refusal.NO_OUTCOMES,
        Refusal.OFFSET,
        Refusal.REPEATED,
        Refusal.LOCKED,
        Refusal.NOT_LOCKED,
        Refusal.ALREADY_SIGNED,
        Refusal.IN_ARBITRATION,
        Refusal.EXAM_CHANGED,
        Refusal.AI_CHANGED,
    ),
    410: (Refusal.WIPED,),
    412: (Refusal.STALE,),
    413: (Refusal.TOO_LARGE,),
    422: (
        Refusal.WEAK_PASSWORD,
        Refusal.NAME,
        Refusal.TOO_MUCH,
        Refusal.NO_FILM,
        Refusal.SITE,
        Refusal.KEY_REUSED,
        Refusal.CURSOR,
        Refusal.INCOMPLETE,
        Refusal.CONSENT,
        Refusal.EXAM_DATE,
        Refusal.OTHER_PATIENT,
    ),
    423: (
        Refusal.IN_USE,
        Refusal.SHARE_LOCKED,
    ),
    429: (Refusal.TOO_MANY,),
    502: (Refusal.PROVIDER,),
    503: (Refusal.BUSY,),
}
STATUSES: Final[Mapping[Refusal, int]] = {
    refusal: status for status, refusals in _BY_STATUS.items() for refusal in refusals
}
MOST_ERRORS: Final = 20


class FieldProblem(BaseModel):
    """What is wrong with one field of a request."""

    field: str
    detail: str


class Problem(BaseModel):
    """A refusal or a fault, as RFC 9457 gives it."""

    type: str = Field("about:blank", description="nothing more than the status tells")
    title: str
    status: int
    code: str = Field(description="word that programs go by")
    detail: str
    errors: list[FieldProblem] | None = None


PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    status: {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for status in (
        *(400, 401, 403, 404, 408, 409, 410, 412, 413, 415, 421, 422, 423, 428, 429),
        *(501, 502, 503),
    )
}
"""What any route of the API may answer beside its success, for the OpenAPI document."""


def make_problem(
    status: int,
    detail: str,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[FieldProblem] | None = None,
) -> Response:
    """Make the answer that says what is wrong.

    Examples
    --------
    >>> make_problem(404, "there is none").body.decode()[22:]
    '"title":"Not Found","status":404,"code":"not_found","detail":"there is none"}'
    """
    title = HTTPStatus(status).phrase
    code = code or title.lower().replace(" ", "_").replace("-", "_")
    found = list(errors) if errors else None
    problem = Problem(title=title, status=status, code=code, detail=detail, errors=found)
    said = problem.model_dump(exclude_none=True)
    return JSONResponse(said, status, dict(headers or {}), MEDIA_TYPE)


def handle_problems(app: FastAPI) -> None:
    """Let an application say everything that goes wrong as a problem."""
    app.add_exception_handler(StarletteHTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(DataError, _wrong_data)
    app.add_exception_handler(StorageError, _away)
    app.add_exception_handler(Exception, _unforeseen)


async def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    detail = str(error.detail)
    code = detail if detail.isidentifier() else None
    headers = getattr(error, "headers", None)
    return make_problem(error.status_code, detail, code, headers)


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        FieldProblem(
            field=".".join(str(part) for part in found["loc"][:8])[:200],
            detail=str(found["msg"])[:200],
        )
        for found in error.errors()[:MOST_ERRORS]
    ]
    return make_problem(422, "the request cannot be understood", "invalid", errors=errors)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    again = error.retry_after_s
    headers = {"Retry-After": str(again)} if again is not None else {}
    status = STATUSES[error.why]
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    errors = [FieldProblem(field=name, detail=error.why.value) for name in error.fields]
    return make_problem(status, error.why.value, error.why.value, headers, errors)


async def _wrong_data(_request: Request, error: Exception) -> Response:
    """Name the place and the remedy; the value itself is not repeated."""
    assert isinstance(error, DataError)
    found = [FieldProblem(field=error.keyword or "", detail=error.remedy or "")]
    return make_problem(422, "the data cannot be used", "wrong_data", errors=found)


async def _away(_request: Request, _error: Exception) -> Response:
    return make_problem(503, "the database or the disk is away", "away", {"Retry-After": AGAIN_S})


async def _unforeseen(_request: Request, _error: Exception) -> Response:
    return make_problem(500, "an unforeseen fault, which stands in the log", "fault")
