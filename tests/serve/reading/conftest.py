"""People of two sites, exams in front of them, and what several of them do at the same moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from mammolens.serve.people import Person
from mammolens.serve.record import EXAMS, INSTANCES, SITES, Database, PersonRole

from ..house import House

VIEWS = ("RCC", "LCC", "RMLO", "LMLO")
PEOPLE = {
    "reader": {PersonRole.READER},
    "second": {PersonRole.READER},
    "third": {PersonRole.READER},
    "arbiter": {PersonRole.ARBITER},
    "uploader": {PersonRole.UPLOADER},
    "head": {PersonRole.ADMINISTRATOR},
}


@dataclass
class Clinic:
    """A site with people of every role, another site, and exams."""

    house: House
    site: int
    elsewhere: int
    cast: dict[str, Person] = field(default_factory=dict)
    exams: int = 0

    @property
    def database(self) -> Database:
        return self.house.database

    def __getitem__(self, name: str) -> Person:
        return self.cast[name]

    def exam(self, site: int | None = 0, views: tuple[str, ...] = VIEWS) -> int:
        """Receive an exam; `site` 0 is this one."""
        self.exams += 1
        now = self.house.clock.now
        with self.database.write() as connection:
            made = connection.execute(
                EXAMS.insert()
                .values(
                    study_instance_uid=f"1.2.{self.exams}",
                    identity=f"{self.exams:064x}",
                    patient_id=f"P{self.exams}",
                    patient_name=f"Doe^P{self.exams}",
                    accession_number=f"A{self.exams}",
                    first_received_at=now,
                    last_received_at=now,
                    version=1,
                    queued_version=1,
                    four_views=True,
                    site_id=self.site if site == 0 else site,
                )
                .returning(EXAMS.c.id)
            )
            exam_id = int(made.scalar_one())
            for number, view in enumerate(views):
                connection.execute(INSTANCES.insert().values(self.instance(exam_id, number, view)))
        return exam_id

    def instance(self, exam_id: int, number: int, view: str) -> dict[str, Any]:
        """Give the row of an image."""
        return {
            "sop_instance_uid": f"1.2.{exam_id}.{number}",
            "sop_class_uid": "1.2.840.10008.5.1.4.1.1.1.2",
            "series_instance_uid": f"1.2.{exam_id}.9",
            "digest": f"{exam_id:032x}{number:032x}",
            "size": 1,
            "role": "input",
            "view": view,
            "exam_id": exam_id,
            "exam_version": 1,
            "sender": "dimse:X",
            "received_at": self.house.clock.now,
        }

    def set(self, **values: Any) -> None:
        """Change how the site reads."""
        with self.database.write() as connection:
            connection.execute(SITES.update().where(SITES.c.id == self.site).values(values))


@pytest.fixture
def clinic(database: Database, clock: Any) -> Clinic:
    house = House(database, clock)
    made = Clinic(house, house.site("north"), house.site("south"))
    for name, roles in PEOPLE.items():
        made.cast[name] = house.invited(name, {made.site: roles})
    made.cast["guest"] = house.invited("guest", {made.elsewhere: {PersonRole.READER}})
    made.cast["admin"] = house.person("admin")
    return made
