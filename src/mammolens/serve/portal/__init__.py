"""The portal: HTTP for people and their programs, under one address, below the page itself.

`add_portal` puts it into the application of the node; who calls and what a stranger may call is
settled by the guards there, before a route is looked for. Routes parse, call one function of the
room that knows, and render; what is refused there becomes a problem in one place.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse

from mammolens import DISCLAIMER, __version__
from mammolens.serve.portal import (
    audit_trail,
    clinical,
    events,
    exams,
    follow_ups,
    me,
    model_package,
    monitor,
    outcomes,
    people,
    reading_reports,
    readings,
    shares,
    sign_in,
    uploads,
)
from mammolens.serve.portal.caller import (
    API,
    DICOMWEB,
    Caller,
    CallerNow,
    Portal,
    open_portal,
    reads_objects,
)
from mammolens.serve.portal.pages import add_pages, find_page
from mammolens.serve.portal.problems import PROBLEMS, Problem, handle_problems, make_problem

__all__ = [
    "API",
    "DICOMWEB",
    "Caller",
    "Portal",
    "add_portal",
    "find_page",
    "handle_problems",
    "make_problem",
    "open_portal",
    "reads_objects",
]

ROUTERS = (
    sign_in.strangers,
    sign_in.router,
    people.router,
    people.sites,
    me.tokens,
    me.devices,
    exams.router,
    exams.patients,
    clinical.router,
    uploads.router,
    events.router,
    me.router,
    audit_trail.router,
    readings.router,
    follow_ups.router,
    follow_ups.follow_ups,
    reading_reports.router,
    shares.router,
    uploads.consents,
    model_package.router,
    monitor.router,
    outcomes.router,
)


def add_portal(app: FastAPI, portal: Portal, page: Path | None) -> Mapping[str, frozenset[str]]:
    """Add every route for people; gives the addresses that a stranger may call, with methods.

    Parameters
    ----------
    page
        Folder of the built front end; ``None``: it is not built.
    """
    app.state.portal = portal
    api = APIRouter(prefix=API, responses=PROBLEMS)
    for router in ROUTERS:
        api.include_router(router)
    app.include_router(api)

    @app.get(f"{API}/openapi.json", include_in_schema=False)
    def show_openapi(_caller: CallerNow) -> JSONResponse:
        """Give the OpenAPI document of the API."""
        return JSONResponse(_openapi(app))

    open_paths = {**sign_in.OPEN_TO_STRANGERS, **shares.OPEN_TO_STRANGERS}
    strangers = {f"{API}{path}": methods for path, methods in open_paths.items()}
    return {**strangers, **add_pages(app, page)}


def _openapi(app: FastAPI) -> dict[str, object]:
    made = get_openapi(
        title="mammolens",
        version=__version__,
        openapi_version="3.1.0",
        description=DISCLAIMER,
        routes=app.routes,
    )
    # What machines call is not of the API.
    made["paths"] = {path: ways for path, ways in made["paths"].items() if path.startswith(API)}
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= {**problem.pop("$defs", {}), "Problem": problem}
    made["components"]["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": "mammolens"},
    }
    made["security"] = [{"token": []}, {"session": []}]
    return dict(made)
