"""Forms of the API that several resources share: people, sites and short texts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal, cast

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from mammolens.serve.people import Person, Site
from mammolens.serve.record import ExamOrder, PersonRole, ReadingMode
from mammolens.sinks.reading import LANGUAGES

__all__ = [
    "MOST_ID",
    "Before",
    "Form",
    "Id",
    "Language",
    "Limit",
    "Line",
    "PersonView",
    "RoleView",
    "SiteView",
    "view_person",
    "view_site",
]

Language = Literal["en", "de", "hi", "ar"]
MOST_ID: Final = 2**31 - 1
"""The largest integer of the databases' columns."""
Id = Annotated[int, Path(ge=1, le=MOST_ID)]
Before = Annotated[int | None, Query(ge=1, le=MOST_ID, description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=200)]
Line = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$"
    ),
]
"""A short text of one line; control characters could forge lines of lists and reports."""


class Form(BaseModel):
    """What is sent: unknown keys are a mistake, and are named as one."""

    model_config = ConfigDict(extra="forbid")


class RoleView(BaseModel):
    """A role of a person at a site."""

    model_config = ConfigDict(extra="forbid")

    site: int = Field(ge=1, le=MOST_ID)
    role: PersonRole


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
    return PersonView(
        id=person.id,
        name=person.name,
        display_name=person.display_name,
        is_administrator=person.is_administrator,
        is_active=person.is_active,
        by_provider=person.by_provider,
        must_change_password=person.must_change_password,
        has_second_factor=person.has_second_factor,
        created_at=person.created_at,
        roles=role_views,
    )


def view_site(site: Site) -> SiteView:
    """Make the JSON of a site."""
    return SiteView(
        id=site.id,
        key=site.key,
        name=site.name,
        created_at=site.created_at,
        reading_mode=site.reading_mode,
        order=site.exam_order,
        double_reading=site.double_reading,
        language=cast(Language, site.language) if site.language in LANGUAGES else "en",
        notice_mail=site.notice_mail,
    )
