"""People and sites: for administrators of sites or of everything.

People are invited, given roles at sites, closed. Sites are listed for those who work there.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field, StringConstraints

from mammolens.serve import people
from mammolens.serve.people import Person
from mammolens.serve.portal.caller import CallerNow, PortalNow, SessionNow
from mammolens.serve.portal.forms import (
    Id,
    Language,
    PersonView,
    RoleView,
    SiteView,
    view_person,
    view_site,
)
from mammolens.serve.portal.sign_in import Ended
from mammolens.serve.record import ExamOrder, Form, Line, PersonRole, ReadingMode

__all__ = ["router", "sites"]

router = APIRouter(prefix="/people", tags=["people"])


class Invitation(Form):
    """Who is invited, and with which roles."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    display_name: Line
    roles: list[RoleView] = Field([], max_length=200)
    by_provider: bool = Field(False, description="signs in at the OpenID Connect provider")


class InvitedView(BaseModel):
    """A person whose account begins or begins again; the password is shown this once."""

    person: PersonView
    one_time_password: str | None


class NewName(Form):
    """How a person is called in lists and reports."""

    display_name: Line


class Roles(Form):
    """All roles of a person at a site."""

    roles: list[PersonRole] = Field(max_length=10)


class Activity(Form):
    """Whether an account is open."""

    active: bool


class Administration(Form):
    """Whether a person administers the whole installation."""

    administrator: bool


@router.get("")
def list_people(caller: CallerNow, portal: PortalNow) -> list[PersonView]:
    """List the people of the sites that the caller looks after, and themselves."""
    found = people.list_people(portal.state.database, caller.person)
    return [_view(caller.person, person) for person in found]


@router.post("", status_code=201)
def invite(form: Invitation, caller: SessionNow, portal: PortalNow) -> InvitedView:
    """Begin an account; the one-time password is in this answer and never again."""
    roles: dict[int, set[PersonRole]] = defaultdict(set)
    for given in form.roles:
        roles[given.site].add(given.role)
    state = portal.state
    invited = people.invite(
        state.database,
        state.settings.people,
        caller.person,
        form.name,
        form.display_name,
        {site: frozenset(names) for site, names in roles.items()},
        by_provider=form.by_provider,
    )
    return InvitedView(
        person=_view(caller.person, invited.person), one_time_password=invited.password
    )


@router.get("/{person_id}")
def show_person(person_id: Id, caller: CallerNow, portal: PortalNow) -> PersonView:
    """Show one person."""
    person = people.read_person(portal.state.database, caller.person, person_id)
    return _view(caller.person, person)


@router.patch("/{person_id}")
def rename(person_id: Id, form: NewName, caller: SessionNow, portal: PortalNow) -> PersonView:
    """Change how a person is called."""
    database, asking = portal.state.database, caller.person
    person = people.set_display_name(database, asking, person_id, form.display_name)
    return _view(asking, person)


@router.put("/{person_id}/sites/{site_id}")
def set_roles(
    person_id: Id, site_id: Id, form: Roles, caller: SessionNow, portal: PortalNow
) -> PersonView:
    """Give a person these roles at a site, and no others there."""
    database, asking = portal.state.database, caller.person
    person = people.set_roles(database, asking, person_id, site_id, frozenset(form.roles))
    return _view(asking, person)


@router.put("/{person_id}/administrator")
def set_administrator(
    person_id: Id, form: Administration, caller: SessionNow, portal: PortalNow
) -> PersonView:
    """Let a person administer the whole installation, or no longer."""
    database, asking = portal.state.database, caller.person
    person = people.set_administrator(database, asking, person_id, form.administrator)
    return _view(asking, person)


@router.put("/{person_id}/active")
def set_active(person_id: Id, form: Activity, caller: SessionNow, portal: PortalNow) -> PersonView:
    """Close an account, with all its sessions and API tokens, or open it again."""
    change = people.open_account if form.active else people.close_account
    return _view(caller.person, change(portal.state.database, caller.person, person_id))


@router.post("/{person_id}/password")
def renew_password(person_id: Id, caller: SessionNow, portal: PortalNow) -> InvitedView:
    """Let an account begin again, with a one-time password and without a second factor."""
    state = portal.state
    renewed = people.renew_password(state.database, state.settings.people, caller.person, person_id)
    return InvitedView(
        person=_view(caller.person, renewed.person), one_time_password=renewed.password
    )


@router.delete("/{person_id}/sessions")
def end_sessions(person_id: Id, caller: SessionNow, portal: PortalNow) -> Ended:
    """End all sessions of a person."""
    ended = people.end_sessions_of(portal.state.database, caller.person, person_id)
    return Ended(ended=ended)


def _view(asking: Person, person: Person) -> PersonView:
    """Hide at which other sites a person works from who looks after one."""
    if asking.is_administrator or asking.id == person.id:
        return view_person(person)
    return view_person(person, asking.sites_as(PersonRole.ADMINISTRATOR))


sites = APIRouter(prefix="/sites", tags=["sites"])


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


@sites.get("")
def list_sites(caller: CallerNow, portal: PortalNow) -> list[SiteView]:
    """List the sites where the caller has a role."""
    return [view_site(site) for site in people.list_sites(portal.state.database, caller.person)]


@sites.post("", status_code=201)
def make_site(form: NewSite, caller: SessionNow, portal: PortalNow) -> SiteView:
    """Make a site."""
    return view_site(people.make_site(portal.state.database, caller.person, form.key, form.name))


@sites.get("/{site_id}")
def show_site(site_id: Id, caller: CallerNow, portal: PortalNow) -> SiteView:
    """Show one site."""
    return view_site(people.read_site(portal.state.database, caller.person, site_id))


@sites.patch("/{site_id}")
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
