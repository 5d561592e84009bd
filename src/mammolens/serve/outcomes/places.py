"""Where a biopsy lies in the views of an exam, and which findings of the AI lie there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mammolens.core import Box, Laterality, ViewPosition
from mammolens.outcomes.report_links import BreastInView, Place, findings_in, region_of
from mammolens.serve.record import INSTANCES, PICTURES, Role
from mammolens.serve.viewer import unpack
from mammolens.serve.worklist import overlay_of

__all__ = ["ViewPlace", "places_of", "several_findings"]


@dataclass(frozen=True)
class ViewPlace:
    """The region of a biopsy in one image, and the numbers of the AI's findings in it."""

    sop_instance_uid: str
    view: str
    region_source_px: Box
    findings: tuple[int, ...]


def places_of(
    connection: sa.Connection, exam_id: int, values: Mapping[str, Any]
) -> list[ViewPlace]:
    """Give the region of an outcome in each view of its breast.

    Parameters
    ----------
    values
        Laterality, clock, distance_cm and quadrant of the outcome.

    Returns
    -------
    list
        Empty if the report states no place, or the breast was not found in the pictures.
    """
    side = values.get("laterality")
    distance = values.get("distance_cm")
    place = Place(values.get("clock"), distance and distance * 10.0, values.get("quadrant"))
    if side is None:
        return []
    overlay = overlay_of(connection, exam_id) or {}
    found = {one["sopInstanceUid"]: one["findings"] for one in overlay.get("images", ())}
    asked = (
        sa.select(INSTANCES.c.sop_instance_uid, INSTANCES.c.view, PICTURES.c.facts)
        .join(PICTURES, PICTURES.c.instance_id == INSTANCES.c.id)
        .where(
            INSTANCES.c.exam_id == exam_id,
            INSTANCES.c.role == Role.INPUT.value,
            INSTANCES.c.view.in_([f"{side}CC", f"{side}MLO"]),
            PICTURES.c.facts.is_not(None),
        )
        .order_by(INSTANCES.c.id)
    )
    places = []
    for row in connection.execute(asked):
        breast = _breast(unpack(row.facts), Laterality(side), ViewPosition(row.view[1:]))
        region = region_of(place, breast) if breast else None
        if region is not None:
            boxes = [tuple(one["box"]) for one in found.get(row.sop_instance_uid, ())]
            inside = tuple(findings_in(region, boxes))
            places.append(ViewPlace(row.sop_instance_uid, row.view, region, inside))
    return places


def several_findings(connection: sa.Connection, exam_id: int, values: Mapping[str, Any]) -> bool:
    """Say whether more than one finding of a view may be the one that was sampled."""
    return any(len(one.findings) > 1 for one in places_of(connection, exam_id, values))


def _breast(facts: Mapping[str, Any], side: Laterality, view: ViewPosition) -> BreastInView | None:
    """Describe the breast of a picture; ``None`` if it was not found, or the picture is turned."""
    box, edge = facts.get("breastBox"), facts.get("orientation", {}).get("chestWallEdge")
    if box is None or edge not in ("left", "right"):
        return None
    spacing = facts.get("spacing", {})
    imager, calibrated = spacing.get("imager"), spacing.get("calibrated")
    mm = calibrated[0] if calibrated else None
    if mm is None and imager:
        mm = imager[0] / (spacing.get("magnification") or 1.0)
    return BreastInView(view, side, tuple(box), edge == "right", mm)
