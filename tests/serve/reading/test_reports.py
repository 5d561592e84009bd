"""Signed readings of received exams: who gets which report, and the readers' table in the bench."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from mammolens.core import TriageCategory
from mammolens.data.manifest import Manifest
from mammolens.serve import reading
from mammolens.serve.holdings import expire
from mammolens.serve.people import Refused, set_reading
from mammolens.serve.reading import AnswerKind, Pixels, ReaderKind, gather_reading
from mammolens.serve.record import (
    AUDIT,
    EXAMS,
    INSTANCES,
    READINGS,
    ROUNDS,
    PersonRole,
    ReadingMode,
)
from mammolens.serve.settings import DeidentifySettings, RetentionSettings
from mammolens.sinks.reading import (
    presentation_states,
    reading_fhir,
    reading_hl7,
    reading_page,
    reading_report,
    wording,
)

from ..house import House
from .test_reading import CLEAR, SUSPICIOUS, Answer, analysed


@pytest.fixture
def house(state, clock) -> House:
    return House(state.database, clock)


class Ward:
    """A site that has received one exam, and its people."""

    def __init__(self, house, state, send_views) -> None:
        self.house, self.state, self.database = house, state, state.database
        self.site = house.site("north")
        roles = {
            "reader": PersonRole.READER,
            "second": PersonRole.READER,
            "arbiter": PersonRole.ARBITER,
            "uploader": PersonRole.UPLOADER,
            "head": PersonRole.ADMINISTRATOR,
        }
        self.cast = {n: house.invited(n, {self.site: {role}}) for n, role in roles.items()}
        self.cast["admin"] = house.person("admin")
        header = {"PatientID": "P1", "PatientName": "Doe^Jane", "BurnedInAnnotation": "NO"}
        send_views(state, range(4), **header)
        with self.database.write() as connection:
            connection.execute(EXAMS.update().values(site_id=self.site))
            self.exam = connection.execute(EXAMS.select()).one().id

    def __getitem__(self, name):
        return self.cast[name]

    def read(self, name="reader", answer=CLEAR, changes=None):
        database, person = self.database, self[name]
        made, _ = reading.begin_reading(database, person, self.exam)
        made = reading.save_draft(database, person, made.id, made.edition, answer)
        made = reading.lock_answer(database, person, made.id, made.edition)
        made = reading.revise_answer(database, person, made.id, made.edition, changes)
        return reading.sign_reading(database, person, made.id, made.edition)

    def gather(self, name, made, pixels=Pixels.NONE):
        return gather_reading(self.state, self[name], made.id, "test", pixels)


@pytest.fixture
def ward(house, state, send_views) -> Ward:
    return Ward(house, state, send_views)


def marked(uid: str = "1.2.3.4.1") -> Answer:
    mark = {"image": uid, "shape": "ellipse", "points_source_px": [[10, 10], [30, 50]]}
    return Answer.model_validate(SUSPICIOUS.model_dump() | {"findings": [mark]})


def test_a_reading_becomes_every_kind_of_report(ward):
    analysed(ward, ward.exam)
    made = ward.read(answer=marked())
    found = ward.gather("reader", made, Pixels.ALL)
    assert (found.role, found.observer.name, found.is_behind) == ("first", "reader", False)
    assert found.observer.organisation == "North"
    assert found.ai.category is TriageCategory.HIGH
    assert (found.blinded, found.agreed) == (True, True)
    assert len(found.images) == len(found.pictures) == 4
    assert found.images[0].header.patient_name == "Doe^Jane"
    views = [f"{one.ref.laterality.value}{one.ref.view_position.value}" for one in found.images]
    assert views == ["RCC", "LCC", "RMLO", "LMLO"]
    page = reading_page(found, wording("de")).decode()
    assert "Jane Doe" in page
    assert page.count("data:image/png") == 4
    assert len(list(presentation_states(ward.gather("reader", made, Pixels.MARKED)))) == 1
    for make in (reading_report, lambda x: reading_fhir(x, wording("en"))):
        assert make(found).read()
    assert b"Doe" in reading_hl7(found, wording("en")).read()


def test_who_may_not_see_the_ai_gets_a_report_without_it(ward):
    analysed(ward, ward.exam)
    made = ward.read(changes=marked())
    for name, sees in (("reader", True), ("uploader", True), ("head", True), ("second", False)):
        found = ward.gather(name, made)
        assert (found.ai is not None, found.agreed is not None) == (sees, sees), name
        assert (found.first_answer is not None, found.ai_shown) == (sees, sees), name


def test_where_the_ai_only_orders_the_list_no_report_shows_it(ward):
    mode = ReadingMode.TRIAGE_ONLY
    set_reading(ward.database, ward["admin"], ward.site, reading_mode=mode)
    analysed(ward, ward.exam)
    made, _ = reading.begin_reading(ward.database, ward["reader"], ward.exam)
    made = reading.save_draft(ward.database, ward["reader"], made.id, 1, CLEAR)
    made = reading.sign_reading(ward.database, ward["reader"], made.id, 2)
    assert ward.gather("reader", made).ai is None


def test_there_is_no_report_of_what_is_not_signed_or_not_theirs(ward):
    made, _ = reading.begin_reading(ward.database, ward["reader"], ward.exam)
    for name, why in (("reader", "stage"), ("uploader", "unknown"), ("admin", "unknown")):
        with pytest.raises(Refused) as caught:
            ward.gather(name, made)
        assert caught.value.why.value == why


def test_a_report_says_that_it_does_not_stand(ward, rows):
    set_reading(ward.database, ward["admin"], ward.site, double_reading=True)
    first = ward.read()
    assert ward.gather("reader", first).is_behind, "a second reader is awaited"
    second = ward.read("second")
    assert not ward.gather("reader", first).is_behind
    with ward.database.write() as connection:
        connection.execute(EXAMS.update().values(version=EXAMS.c.version + 1))
    assert ward.gather("second", second).is_behind
    assert "report_made" in {row.action for row in rows(AUDIT)}


def table(ward, which=ReaderKind.STANDING, answer=AnswerKind.FINAL, person="head"):
    text = reading.readers_table(
        ward.database, ward[person], ward.site, which, answer, lambda uid, _: f"images/{uid}.dcm"
    )
    return text, list(csv.DictReader(io.StringIO(text)))


def test_the_table_is_read_by_the_bench(ward, tmp_path):
    ward.read(changes=SUSPICIOUS)
    text, rows = table(ward)
    file = tmp_path / "readings.csv"
    file.write_text(text, "utf-8")
    records = Manifest.read(file).records
    assert [(r.laterality.value, r.birads) for r in records] == [
        ("R", "1"),
        ("L", "4"),
        ("R", "1"),
        ("L", "4"),
    ]
    assert {(r.dataset, r.patient_id, r.malignant) for r in records} == {("north", "P1", None)}
    assert {(row["reader"], row["without_ai"], row["kept_after_ai"]) for row in rows} == {
        ("reader", "1", "0")
    }
    _, before = table(ward, answer=AnswerKind.FIRST)
    assert [row["birads"] for row in before] == ["1", "2", "1", "2"]
    assert [row["density"] for row in before] == ["b", "c", "b", "c"]
    with pytest.raises(Refused):
        table(ward, person="reader")


def test_the_table_has_one_answer_of_an_image(ward):
    set_reading(ward.database, ward["admin"], ward.site, double_reading=True)
    ward.read()
    assert table(ward)[1] == [], "the exam is not decided yet"
    ward.read("second", SUSPICIOUS)
    assert table(ward)[1] == []
    made, _ = reading.begin_arbitration(ward.database, ward["arbiter"], ward.exam)
    made = reading.save_draft(ward.database, ward["arbiter"], made.id, 1, SUSPICIOUS)
    reading.sign_reading(ward.database, ward["arbiter"], made.id, 2)
    for which, name in (("first", "reader"), ("second", "second"), ("standing", "arbiter")):
        found = table(ward, ReaderKind(which))[1]
        assert {row["reader"] for row in found} == {name}
        assert len(found) == 4


def test_identity_that_was_taken_off_comes_back_in_reports(
    house, state, send_views, tmp_path, rows
):
    hidden = DeidentifySettings(key="k" * 32, scratch=tmp_path / "scratch")
    settings = state.settings.model_copy(
        update={"intake": state.settings.intake.model_copy(update={"deidentify": hidden})}
    )
    ward = Ward(house, replace(state, settings=settings), send_views)
    pseudonym = rows(INSTANCES)[1].sop_instance_uid
    assert pseudonym != "1.2.3.4.1"
    made = ward.read(answer=marked(pseudonym))
    found = ward.gather("reader", made, Pixels.MARKED)
    (mark,) = found.answer.findings
    assert mark.image == "1.2.3.4.1"
    assert [*found.pictures] == ["1.2.3.4.1"]
    assert {one.header.patient_name for one in found.images} == {"Doe^Jane"}
    assert {one.ref.patient_id for one in found.images} == {"P1"}


def test_exams_in_the_hands_of_people_are_not_expired(ward, clock, rows):
    settings = ward.state.settings.model_copy(update={"retention": RetentionSettings(exams_days=1)})
    state = replace(ward.state, settings=settings)
    with ward.database.write() as connection:
        connection.execute(EXAMS.update().values(queued_version=EXAMS.c.version))
    clock.turn(3 * 86400)
    made, _ = reading.begin_reading(ward.database, ward["reader"], ward.exam)
    expire(state, clock_is_right=True)
    assert len(rows(READINGS)) == 1
    ward.read(answer=SUSPICIOUS)
    expire(state, clock_is_right=True)
    assert len(rows(EXAMS)) == 1, "a patient waits to be called back"
    recalls = reading.list_recalls(
        ward.database, ward["head"], open_only=True, before=None, limit=1
    )
    reading.close_recall(ward.database, ward["head"], recalls.items[0].id, "seen")
    expire(state, clock_is_right=True)
    assert rows(EXAMS) == rows(READINGS) == rows(ROUNDS) == []
    assert made.id == 1


def test_an_arbiter_takes_over_the_marks_of_whom_they_agree_with(ward):
    set_reading(ward.database, ward["admin"], ward.site, double_reading=True)
    first = ward.read(answer=marked())
    clear = CLEAR.model_copy(update={"findings": marked("1.2.3.4.0").findings})
    ward.read("second", clear)
    arbiter = ward["arbiter"]
    made, _ = reading.begin_arbitration(ward.database, arbiter, ward.exam)
    made = reading.save_draft(ward.database, arbiter, made.id, 1, SUSPICIOUS)
    made = reading.sign_reading(ward.database, arbiter, made.id, 2)
    found = ward.gather("head", made, Pixels.MARKED)
    assert [mark.image for mark in found.answer.findings] == ["1.2.3.4.1"]
    assert found.marked_by.name == "reader"
    assert found.marks_left_out == ("second",)
    page = reading_page(found, wording("en")).decode()
    assert "Marked by reader, with whose assessment the arbiter agrees." in page
    assert "Marks of second are in their own reports." in page
    assert ward.gather("head", first).marks_left_out == ("second",)
