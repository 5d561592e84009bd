"""A site with exams, and reports about their patients."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mammolens.serve.outcomes import given_reports, receive_reports
from mammolens.serve.record import EXAMS, ensure_site

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
INVASIVE = "Left breast, core biopsy, 3 o'clock, 4 cm from nipple: invasive ductal carcinoma."
BENIGN = "Right breast, core biopsy: fibroadenoma. B2."


def message(
    text=BENIGN,
    *,
    patient="P1",
    report="PATH-1",
    control="C1",
    status="F",
    taken="20260120",
    issued="20260125",
    born="19600203",
    charset="UNICODE UTF-8",
    kind="ORU^R01",
    accession="",
):
    """Write an ORU^R01 as a laboratory would."""
    said = text.replace("\n", "\\.br\\")
    return "\r".join(
        [
            rf"MSH|^~\&|LIS|LAB|MAMMOLENS|SITE|20260125||{kind}|{control}|P|2.5.1||||||{charset}",
            f"PID|1||{patient}^^^HOSP||Doe^Jane||{born}|F",
            f"OBR|1||{report}|60567-5^Pathology^LN|||{taken}|||||||||||{accession}"
            f"||||{issued}|||{status}",
            f"OBX|1|TX|22637-3^Diagnosis^LN|1|{said}||||||{status}",
            "",
        ]
    )


@pytest.fixture
def site(database):
    with database.write() as connection:
        return ensure_site(database, connection, "north")


@pytest.fixture
def add_exam(database, site):
    """Give a function that enters an exam of a patient; gives its number."""
    made = iter(range(1, 99))

    def add(patient="P1", day="2026-01-10", born="1960-02-03", **changes):
        number = next(made)
        row = {
            "study_instance_uid": f"1.2.{number}",
            "identity": f"{number:064x}",
            "patient_id": patient,
            "birth_date": born,
            "study_date": day,
            "first_received_at": NOW,
            "last_received_at": NOW,
            "version": 1,
            "queued_version": 1,
            "four_views": False,
            "site_id": site,
        }
        with database.write() as connection:
            made_row = EXAMS.insert().values(row | changes).returning(EXAMS.c.id)
            return int(connection.execute(made_row).scalar_one())

    return add


@pytest.fixture
def take(state, site):
    """Give a function that receives messages, as the listener does."""

    def receive(content, **options):
        data = content.encode() if isinstance(content, str) else content
        return receive_reports(state, given_reports(data, "test", NOW, **options), "mllp:x", site)

    return receive
