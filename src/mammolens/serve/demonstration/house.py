"""The settings, two sites with their people, and the studies that come to them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mammolens import DISCLAIMER
from mammolens.errors import StorageError
from mammolens.extras import missing_modules
from mammolens.serve.demonstration.studies import Study, make_studies
from mammolens.serve.holdings import NodeState
from mammolens.serve.intake import receive
from mammolens.serve.people import (
    Invited,
    first_administrator,
    invite,
    make_site,
    set_reading,
)
from mammolens.serve.record import ExamOrder, PersonRole

__all__ = ["SENDER", "invite_people", "receive_studies", "write_settings"]

SENDER: Final = "folder:demonstration"
SITES: Final = {"north": "North Clinic (demonstration)", "south": "South Clinic (demonstration)"}
PEOPLE: Final = {
    "north.reader": ("Nora North", {"north": {PersonRole.READER, PersonRole.UPLOADER}}),
    "south.reader": (
        "Sam South",
        {"south": {PersonRole.READER, PersonRole.UPLOADER}, "north": {PersonRole.READER}},
    ),
    "arbiter": ("Ada Arbiter", {"north": {PersonRole.ARBITER}, "south": {PersonRole.ARBITER}}),
}
"""The reader of South is the second reader of North, as a teleradiologist is.

North reads every exam twice, in the order of the AI's category; South once, as exams come."""


def write_settings(folder: Path) -> Path:
    """Write ``node.toml`` into a folder if none is there; gives its path.

    Raises
    ------
    StorageError
        The folder cannot be written to.
    """
    path = folder / "node.toml"
    if path.is_file():
        return path
    sinks = ["json", "html", "overlay", "fhir", "hl7"]
    if not missing_modules("dicom"):
        sinks += ["dicom-cad-sr", "dicom-sr", "dicom-pr", "dicom-sc"]
    lines = (
        f"# A demonstration of mammolens. {DISCLAIMER}",
        "# All settings with their meaning: mammolens node init",
        f"data = {json.dumps(str(folder.resolve() / 'data'), ensure_ascii=False)}",
        f"sinks = {json.dumps(sinks)}",
        "",
        "[intake]",
        "film = true  # the sample exams are digitised films",
        "",
        "[dimse]",
        "port = 0  # DICOM listens on any free port; a node that receives needs a fixed one",
        "",
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines), "utf-8")
    except OSError as error:
        raise StorageError(
            f"the settings cannot be written ({error.strerror})",
            source=str(path),
            remedy="Give a folder that may be written to",
        ) from error
    return path


def invite_people(state: NodeState) -> list[Invited]:
    """Make sites and accounts in a node that has none; gives the one-time passwords.

    Returns
    -------
    list of Invited
        Empty if the node has people already: nothing was done then.
    """
    database, settings = state.database, state.settings.people
    first = first_administrator(database, settings)
    if first is None:
        return []
    made = {key: make_site(database, first.person, key, name) for key, name in SITES.items()}
    north = made["north"].id
    set_reading(database, first.person, north, exam_order=ExamOrder.TRIAGE, double_reading=True)
    invited = [first]
    for name, (display_name, roles) in PEOPLE.items():
        given = {made[key].id: frozenset(held) for key, held in roles.items()}
        invited.append(invite(database, settings, first.person, name, display_name, given))
    return invited


def receive_studies(state: NodeState) -> Iterator[tuple[Study, bool]]:
    """Receive the studies; for each gives whether it is new. What was received stays as it is.

    Raises
    ------
    ConfigError
        The sample exams are not installed.
    StorageError
        The disk is full or the database is away.
    """
    for study in make_studies():
        receipts = [receive(state, content, SENDER, study.site) for content in study.files()]
        yield study, not all(receipt.repeated for receipt in receipts)
