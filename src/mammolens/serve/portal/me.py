"""What a person saves for themselves: filters of the worklist, and settings of the page."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body

from mammolens.serve.portal.caller import CallerNow, PortalNow, SessionNow
from mammolens.serve.worklist import Preference, read_preference, save_preference

__all__ = ["router"]

router = APIRouter(prefix="/me", tags=["me"])
Saved = Annotated[dict[str, Any] | list[Any], Body()]


@router.get("/filters")
def show_filters(caller: CallerNow, portal: PortalNow) -> Any:
    """Give the saved filters; `null`: there are none."""
    return read_preference(portal.state.database, caller.person, Preference.FILTERS)


@router.put("/filters", status_code=204)
def save_filters(content: Saved, caller: SessionNow, portal: PortalNow) -> None:
    """Save filters in the place of those before."""
    save_preference(portal.state.database, caller.person, Preference.FILTERS, content)


@router.get("/settings")
def show_settings(caller: CallerNow, portal: PortalNow) -> Any:
    """Give the settings of the page; `null`: there are none."""
    return read_preference(portal.state.database, caller.person, Preference.SETTINGS)


@router.put("/settings", status_code=204)
def save_settings(content: Saved, caller: SessionNow, portal: PortalNow) -> None:
    """Save settings in the place of those before."""
    save_preference(portal.state.database, caller.person, Preference.SETTINGS, content)
