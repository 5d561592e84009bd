"""Sites: listed for those who work there, made and renamed by administrators."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import StringConstraints

from mammolens.serve import people
from mammolens.serve.portal.caller import CallerNow, PortalNow, SessionNow
from mammolens.serve.portal.forms import Form, Id, Language, Line, SiteView, view_site
from mammolens.serve.record import ExamOrder, ReadingMode

__all__ = ["router"]

router = APIRouter(prefix="/sites", tags=["sites"])


class NewSite(Form):
    """A site: how the settings call it, for good, and how people do."""

    key: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    name: Line


class SiteChanges(Form):
    """How people call a site, and how exams are read there; what is left out stays."""

    name: Line | None = None
    reading_mode: ReadingMode | None = None
    order: ExamOrder | None = None
    double_reading: bool | None = None
    language: Language | None = None
    notice_mail: bool | None = None


@router.get("")
def list_sites(caller: CallerNow, portal: PortalNow) -> list[SiteView]:
    """List the sites where the caller has a role."""
    return [view_site(site) for site in people.list_sites(portal.state.database, caller.person)]


@router.post("", status_code=201)
def make_site(form: NewSite, caller: SessionNow, portal: PortalNow) -> SiteView:
    """Make a site."""
    return view_site(people.make_site(portal.state.database, caller.person, form.key, form.name))


@router.get("/{site_id}")
def show_site(site_id: Id, caller: CallerNow, portal: PortalNow) -> SiteView:
    """Show one site."""
    return view_site(people.read_site(portal.state.database, caller.person, site_id))


@router.patch("/{site_id}")
def change_site(site_id: Id, form: SiteChanges, caller: SessionNow, portal: PortalNow) -> SiteView:
    """Change how people call a site, and how exams are read there."""
    database = portal.state.database
    if form.name is not None:
        people.rename_site(database, caller.person, site_id, form.name)
    return view_site(
        people.set_reading(
            database,
            caller.person,
            site_id,
            reading_mode=form.reading_mode,
            exam_order=form.order,
            double_reading=form.double_reading,
            language=form.language,
            notice_mail=form.notice_mail,
        )
    )
