"""Forms of the API that several resources share: people, sites and short texts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypedDict, cast

from fastapi import Depends, Path, Query, Response
from pydantic import BaseModel, Field

from mammolens.serve.people import Person, Site
from mammolens.serve.record import MOST_ID, ExamOrder, Form, Number, PersonRole, ReadingMode
from mammolens.sinks.reading import LANGUAGES

__all__ = [
    "Id",
    "Language",
    "PagingNow",
    "PersonView",
    "SiteView",
    "download",
    "file_of",
    "view_person",
    "view_site",
]

Language = Literal["en", "de", "hi", "ar"]
Id = Annotated[int, Path(ge=1, le=MOST_ID)]


def file_of(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """Say in the OpenAPI document that a route answers with a file."""
    content = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in media_types}
    return {200: {"content": content, "description": "the file"}}


def download(content: bytes, media_type: str, name: str) -> Response:
    """Answer with a file that the browser keeps under a name."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=media_type, headers=headers)


class RoleView(Form):
    """A role of a person at a site."""

    site: Number
    role: PersonRole


class Paging(TypedDict):
    """Which page of a list is asked for."""

    before: int | None
    limit: int


def _paging(
    before: Annotated[Number | None, Query(description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Paging:
    return Paging(before=before, limit=limit)


PagingNow = Annotated[Paging, Depends(_paging)]


class PersonView(BaseModel):
    """A person as others see them."""

    id: int
    name: str
    display_name: str
    is_administrator: bool
    is_active: bool
    by_provider: bool
    must_change_password: bool
    has_second_factor: bool
    created_at: datetime
    roles: list[RoleView]


class SiteView(BaseModel):
    """A site as people see it."""

    id: int
    key: str
    name: str
    created_at: datetime
    reading_mode: ReadingMode
    order: ExamOrder = Field(description="triage partly unblinds readers of the second-reader mode")
    double_reading: bool
    language: Language = Field(description="of the reports to referrers")
    notice_mail: bool = Field(description="whether urgent findings are announced by e-mail")


def view_person(person: Person, sites: frozenset[int] | None = None) -> PersonView:
    """Make the JSON of a person; with `sites` only the roles there."""
    role_views = [
        RoleView(site=site, role=role)
        for site, roles in sorted(person.roles.items())
        for role in sorted(roles)
        if sites is None or site in sites
    ]
    return PersonView(**{**vars(person), "roles": role_views})


def view_site(site: Site) -> SiteView:
    """Make the JSON of a site."""
    language = cast(Language, site.language) if site.language in LANGUAGES else "en"
    return SiteView(**{**vars(site), "order": site.exam_order, "language": language})
