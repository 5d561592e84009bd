"""Exams over HTTP: the worklist, the viewer's exam, the AI where it may be seen, and its files."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import sqlalchemy as sa

from mammolens.serve.intake import receive
from mammolens.serve.record import AUDIT, EXAMS, PICTURES, ROLES, SITES, PersonRole, audit
from mammolens.serve.work.pictures import claim_pictures

from ..in_process import work_once

EXAM = 3
"""Number of the first exam that is sent: the cast had two."""


@pytest.fixture
def make_stage(make_empty_stage):
    return make_empty_stage


@pytest.fixture
def reading(make_stage, package, mammogram):
    """A portal with one analysed exam at the site north."""
    stage = make_stage(model={"name": str(package)}, sinks=["json", "html"])
    send(stage, mammogram, "1.2.3.4")
    stage.clock.turn(120)
    assert work_once(stage.state) == 1
    return stage


def send(stage, mammogram, study, numbers=range(4), site="north", **tags):
    who = {"PatientName": "Müller^Anne", "PatientID": "P1", "PatientBirthDate": "19600201"}
    tags = {**who, "StudyDate": "20260228", **tags}
    for number in numbers:
        uid = f"{study}.{number}"
        data = mammogram(
            number,
            StudyInstanceUID=study,
            SOPInstanceUID=uid,
            SeriesInstanceUID=f"{study}.9",
            **tags,
        )
        state = stage.state
        receive(state, data, "dimse:X", site)


def set_site(stage, **values):
    with stage.database.write() as connection:
        north = SITES.c.key == "north"
        connection.execute(SITES.update().where(north).values(**values))


def get(stage, who, path, status=200):
    done = stage.ask(who, "GET", path)
    assert done.status_code == status, done.text
    return done.json()


def test_a_reader_sees_the_exam_and_not_what_the_ai_says(reading):
    page = get(reading, "north-reader", "/exams")
    assert (page["total"], page["next"]) == (1, None)
    (row,) = page["items"]
    assert row["ai"] is None
    assert row["ai_hidden"] is True
    assert row["patient"]["name"] == "Müller^Anne"
    assert row["patient"]["birth_date"] == "1960-02-01"
    assert row["views"] == ["RCC", "LCC", "RMLO", "LMLO"]
    assert (row["complete"], row["status"]) == (True, "new")
    assert get(reading, "north-reader", f"/exams/{EXAM}/viewer")["ai"] == {"state": "withheld"}
    for path in (
        f"/exams/{EXAM}/ai",
        f"/exams/{EXAM}/artefacts",
        f"/exams/{EXAM}/artefacts/json/x.json",
    ):
        assert get(reading, "north-reader", path, 403)["code"] == "ai_locked"


def test_whom_the_site_shows_the_ai_gets_it_everywhere(reading):
    set_site(reading, reading_mode="concurrent")
    (row,) = get(reading, "north-reader", "/exams")["items"]
    assert row["ai"]["category"] in ("high", "withheld", "intermediate", "low")
    assert "for a prevalence of" in row["ai"]["score_text"]
    exam = get(reading, "north-reader", f"/exams/{EXAM}/viewer")
    assert exam["ai"]["state"] == "available"
    assert exam["ai"] == get(reading, "north-reader", f"/exams/{EXAM}/ai")
    assert {i["sopInstanceUid"] for i in exam["ai"]["images"]} == {
        i["sopInstanceUid"] for i in exam["images"]
    }
    kinds = {one["sink"]: one for one in get(reading, "north-reader", f"/exams/{EXAM}/artefacts")}
    assert set(kinds) == {"json", "html"}
    done = reading.ask("north-reader", "GET", kinds["html"]["url"].removeprefix("/api/v1"))
    assert done.status_code == 200
    assert done.headers["content-type"].startswith("text/html")
    assert done.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in done.headers["content-security-policy"]


def test_a_blinded_reader_sees_the_quality_and_nothing_of_the_ai_in_it(reading):
    quality = get(reading, "north-reader", f"/exams/{EXAM}/quality")
    assert quality["ready"] is True
    assert quality["exam"][0]["name"] == "completeness"
    images = {(one["laterality"], one["view_position"]): one for one in quality["images"]}
    assert set(images) == {("R", "CC"), ("L", "CC"), ("R", "MLO"), ("L", "MLO")}
    names = {one["name"] for one in images["R", "CC"]["criteria"]}
    assert {"sharpness", "motion", "exposure", "clipping", "cut_off", "nipple"} <= names
    text = str(quality).lower()
    assert not any(word in text for word in ("malign", "score", "category", "prevalence"))
    exam = get(reading, "north-reader", f"/exams/{EXAM}/viewer")
    assert all("quality" not in image for image in exam["images"])
    assert get(reading, "south-head", f"/exams/{EXAM}/quality", 404)["code"]


def test_the_quality_is_not_ready_before_the_previews_are(make_stage, mammogram, package):
    stage = make_stage(model={"name": str(package)}, sinks=["json"])
    send(stage, mammogram, "1.2.3.5", numbers=range(2))
    quality = get(stage, "north-reader", f"/exams/{EXAM}/quality")
    assert quality["ready"] is False
    assert quality["exam"] == []
    assert [one["criteria"] for one in quality["images"]] == [None, None]


def test_the_viewer_gets_all_that_its_contract_names(reading):
    exam = get(reading, "north-reader", f"/exams/{EXAM}/viewer")
    assert exam["id"] == str(EXAM)
    assert exam["refused"] == exam["priors"] == []
    assert len(exam["images"]) == 4
    image = exam["images"][0]
    assert image["framesUrl"] == (
        "/dicom-web/studies/1.2.3.4/series/1.2.3.4.9/instances/1.2.3.4.0/frames"
    )
    assert image["orientation"]["chestWallEdge"] in ("left", "right")
    assert image["voi"][0]["kind"] in ("window", "tone")
    preview = image["preview"]
    done = reading.ask("north-reader", "GET", preview["url"].removeprefix("/api/v1"))
    shown = cv2.imdecode(np.frombuffer(done.content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert shown.shape == (preview["rows"], preview["columns"])
    assert max(shown.shape) <= 900


def test_an_image_that_is_not_prepared_yet_is_named(make_stage, mammogram, package):
    stage = make_stage(model={"name": str(package)})
    send(stage, mammogram, "1.2.3.4", [0])
    exam = get(stage, "north-reader", f"/exams/{EXAM}/viewer")
    assert exam["images"] == []
    (missing,) = exam["refused"]
    assert (missing["laterality"], missing["viewPosition"]) == ("R", "CC")
    assert "views are missing" in exam["doubts"][0]
    row = get(stage, "north-reader", f"/exams/{EXAM}")
    assert (row["status"], row["complete"], row["ai"]) == ("waiting", False, None)


def test_another_site_hears_what_it_hears_of_nothing(reading):
    for path in ("", "/viewer", "/ai", "/artefacts", "/previews/1.2.3.4.0", "/artefacts/json/a"):
        there = reading.ask("south-head", "GET", f"/exams/{EXAM}{path}")
        nothing = reading.ask("south-head", "GET", f"/exams/99{path}")
        assert there.status_code == nothing.status_code == 404
        assert there.json() == nothing.json()
    assert get(reading, "south-head", "/exams")["total"] == 0


def test_priors_are_those_of_the_same_patient_and_site(reading, mammogram):
    def sent(study, site="north", **tags):
        send(reading, mammogram, study, [0], site, **tags)

    sent("1.2.5", StudyDate="20200101")
    sent("1.2.6", "south", StudyDate="20200101")
    sent("1.2.7", PatientBirthDate="19700101", StudyDate="20200101")
    sent("1.2.8", PatientName="Maier^Anne", StudyDate="20210101")
    exam = get(reading, "north-reader", f"/exams/{EXAM}/viewer")
    assert [p["date"] for p in exam["priors"]] == ["2021-01-01", "2020-01-01"]
    row = get(reading, "north-reader", f"/exams/{EXAM}")
    assert row["has_priors"] is True
    listed = get(reading, "north-reader", f"/patients/{row['patient']['key']}/exams")
    assert [one["study_instance_uid"] for one in listed] == ["1.2.3.4", "1.2.8", "1.2.5"]
    get(reading, "south-head", f"/patients/{row['patient']['key']}/exams", 404)


def test_patients_whom_nothing_identifies_are_not_joined(reading, mammogram):
    for study in ("1.2.5", "1.2.6"):
        send(reading, mammogram, study, [0], PatientID="ANONYMOUS", PatientName="")
    rows = get(reading, "north-reader", "/exams?sort=received")["items"]
    assert len({row["patient"]["key"] for row in rows}) == 3
    assert not any(row["has_priors"] for row in rows)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("muller", 1),
        ("Müller anne", 1),
        ("ann mul", 1),
        ("P1 north", 1),
        ("maier", 0),
        ("%", 0),
        ("_", 0),
        ("2026-02", 1),
    ],
)
def test_words_are_looked_for_everywhere(reading, words, found):
    assert get(reading, "north-reader", f"/exams?q={words}")["total"] == found


def test_what_is_looked_at_is_noted(reading):
    set_site(reading, reading_mode="concurrent")
    fetched = get(reading, "north-reader", f"/exams/{EXAM}/viewer?ahead=true")
    assert fetched["ai"] == {"state": "withheld"}
    viewed = get(reading, "north-reader", f"/exams/{EXAM}/viewer")
    assert viewed["images"] == fetched["images"]
    get(reading, "north-reader", f"/exams/{EXAM}/ai")
    with reading.database.read() as connection:
        rows = connection.execute(sa.select(AUDIT).order_by(AUDIT.c.number)).all()
    seen = [
        row.action for row in rows if row.actor == "person:north-reader" and row.exam_id == EXAM
    ]
    assert seen == ["exam_fetched_ahead", "ai_shown", "exam_viewed", "ai_viewed"]


def test_an_administrator_gives_an_exam_a_site(reading):
    south = reading.cast.sites["south"]
    for who, status in (("north-head", 403), ("south-head", 404)):
        assert (
            reading.ask(who, "PUT", f"/exams/{EXAM}/site", {"site_id": south}).status_code == status
        )
    stale = {"site_id": south, "before": south}
    assert reading.ask("admin", "PUT", f"/exams/{EXAM}/site", stale).json()["code"] == "changed"
    moved = reading.ask("admin", "PUT", f"/exams/{EXAM}/site", {"site_id": south}).json()
    assert moved["site"]["id"] == south
    get(reading, "north-reader", f"/exams/{EXAM}", 404)


def test_what_a_person_saves_is_theirs(stage):
    saved = [{"name": "mine", "status": ["new"]}]
    assert stage.ask("north-reader", "GET", "/me/filters").json() is None
    assert stage.ask("north-reader", "PUT", "/me/filters", saved).status_code == 204
    assert stage.ask("north-reader", "PUT", "/me/filters", saved * 2).status_code == 204
    assert stage.ask("north-reader", "GET", "/me/filters").json() == saved * 2
    assert stage.ask("north-head", "GET", "/me/filters").json() is None
    large = {"x": "y" * 40000}
    assert stage.ask("north-reader", "PUT", "/me/settings", large).status_code == 422


def test_the_trail_is_read_and_verified_by_administrators(reading):
    assert stage_code(reading, "north-head", "/audit") == 403
    page = reading.ask("admin", "GET", "/audit?limit=5").json()
    assert len(page["items"]) == 5
    more = reading.ask("admin", "GET", f"/audit?limit=500&cursor={page['next']}").json()
    numbers = [row["number"] for row in page["items"] + more["items"]]
    assert numbers == sorted(numbers, reverse=True)
    assert numbers[-1] == 1
    only = reading.ask("admin", "GET", "/audit?exam=3&action=finished").json()["items"]
    assert [row["detail"]["revision"] for row in only] == [1]
    assert reading.ask("admin", "GET", "/audit/verification").json()["sound"] is True


def stage_code(stage, who, path):
    return stage.ask(who, "GET", path).status_code


def test_an_administrator_who_reads_does_not_learn_the_category_from_the_trail(reading):
    person, north = reading.cast.people["admin"], reading.cast.sites["north"]
    with reading.database.write() as connection:
        said = {"recall": True, "about": "recall", "agreed": True, "version": 1}
        audit.append(reading.database, connection, "person:other", "exam_decided", 3, said)
        role = {"person_id": person, "site_id": north, "role": PersonRole.READER.value}
        connection.execute(ROLES.insert().values(**role))
    (told,) = reading.ask("admin", "GET", "/audit?exam=3&action=exam_decided").json()["items"]
    assert told["detail"] == {"version": 1}
    (row,) = reading.ask("admin", "GET", "/audit?action=finished").json()["items"]
    assert row["detail"]["revision"] == 1
    assert "category" not in row["detail"]


def test_a_picture_that_kills_its_worker_is_not_made_for_ever(make_stage, mammogram, package):
    stage = make_stage(model={"name": str(package)})
    send(stage, mammogram, "1.2.3.4", [0])
    for _ in range(2):
        assert len(claim_pictures(stage.database)) == 1
        assert claim_pictures(stage.database) == []
        stage.clock.turn(400)
    assert claim_pictures(stage.database) == []
    with stage.database.read() as connection:
        assert connection.execute(sa.select(PICTURES.c.state)).scalar_one() == "failed"
    (missing,) = get(stage, "north-reader", f"/exams/{EXAM}/viewer")["refused"]
    assert missing["reason"] == "it cannot be opened"


def test_exams_of_an_older_node_are_described_by_the_worker(make_stage, mammogram, package):
    stage = make_stage(model={"name": str(package)})
    send(stage, mammogram, "1.2.3.4", [0])
    with stage.database.write() as connection:
        unknown = {"patient_name": None, "search_text": None, "patient_key": None}
        connection.execute(EXAMS.update().values(**unknown))
    work_once(stage.state)
    assert get(stage, "north-reader", f"/exams/{EXAM}")["patient"]["name"] == "Müller^Anne"


def test_previews_are_made_of_what_is_refused_too(make_stage, make_dicom, package):
    stage = make_stage(model={"name": str(package)})
    made = make_dicom.dataset(
        pixels=make_dicom.picture(seed=1), PresentationIntentType="FOR PROCESSING"
    )
    data = make_dicom.file_bytes(made, make_dicom.EXPLICIT)
    state = stage.state
    receive(state, data, "dimse:X", "north")
    work_once(state)
    (image,) = get(stage, "north-reader", f"/exams/{EXAM}/viewer")["images"]
    assert image["labels"] == ["for processing", "not analysed"]


def test_a_cursor_is_of_its_session_and_says_nothing(make_stage, mammogram):
    stage = make_stage()
    for study in ("1.2.5", "1.2.6", "1.2.7"):
        send(stage, mammogram, study, [0], PatientID=study)
    page = get(stage, "north-reader", "/exams?limit=1")
    cursor = page["next"]
    later = get(stage, "north-reader", f"/exams?limit=1&cursor={cursor}")
    assert later["total"] == 3
    assert later["items"][0]["id"] == page["items"][0]["id"] + 1
    again = get(stage, "north-reader", "/exams?limit=1")["next"]
    assert again != cursor  # the same place is never written twice alike
    bent = ("A" if cursor[20] != "A" else "B").join((cursor[:20], cursor[21:]))
    for who, given in (("north-head", cursor), ("north-reader", bent), ("north-reader", "x")):
        assert get(stage, who, f"/exams?cursor={given}", 422)["code"] == "cursor"
    other = f"/exams?sort=received&cursor={cursor}"
    assert get(stage, "north-reader", other, 422)["code"] == "cursor"
