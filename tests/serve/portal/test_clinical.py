"""Clinical data over HTTP: who may state them, what is shown, and what they do to the result."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from mammolens.clinical.fusion import Fusion, FusionInput, write_fusion
from mammolens.errors import ConfigError
from mammolens.model import ModelPackage
from mammolens.serve.holdings.retention import _delete_exam_rows
from mammolens.serve.record import AUDIT, CLINICAL_ITEMS, EXAMS, OVERLAYS, ROLES
from mammolens.serve.viewer.packing import pack, unpack
from mammolens.serve.work import work

from ..in_process import work_once
from .test_exams import EXAM, get, send, set_site

pytestmark = pytest.mark.slow
PATH = f"/exams/{EXAM}/clinical"


@pytest.fixture
def make_stage(make_empty_stage):
    return make_empty_stage


def fusion_for(package, path, **log_odds):
    model = ModelPackage.load(package).model_id
    inputs = tuple(
        FusionInput(
            name=name,
            centre=1.0,
            scale=1.0,
            low=0.0,
            high=3.0,
            log_odds=value,
            mask_log_odds=0.0,
            n_known=30,
        )
        for name, value in log_odds.items()
    )
    fusion = Fusion(
        created=datetime(2026, 1, 1, tzinfo=UTC),
        software="t",
        model_name=model.name,
        model_version=model.version,
        model_digest=model.digest,
        inputs=inputs,
        image_slope=1.0,
        intercepts={},
        penalty=0.1,
        n_breasts=60,
        n_malignant=30,
        n_patients=30,
        fitted_on="t",
        evaluation={},
    )
    return write_fusion(fusion, path)


@pytest.fixture
def stage_with(make_stage, package, mammogram, tmp_path):
    """A portal with an exam at the site north; analysed with a fusion of density and lump if so."""

    def make(*, fused: bool):
        model = {"name": str(package)}
        if fused:
            path = fusion_for(package, tmp_path / "f.json", density=1.5, lump=2.0)
            model["fusion"] = str(path)
        stage = make_stage(model=model, sinks=["json"])
        send(stage, mammogram, "1.2.3.4", PatientAge="060Y", PatientBirthDate="")
        if fused:
            stage.clock.turn(120)
            assert work_once(stage.state) == 1
        return stage

    return make


def put(stage, who, items, status=200):
    done = stage.ask(who, "PUT", PATH, {"items": items})
    assert done.status_code == status, done.text
    return done.json()


def test_what_is_stated_is_shown_with_source_and_date(stage_with):
    stage = stage_with(fused=False)
    before = get(stage, "north-reader", PATH)
    assert [(i["name"], i["source"]) for i in before["items"]] == [("age", "DICOM header")]
    assert "density" in before["unknown"]
    items = [
        {"name": "density", "value": "heterogeneously dense", "date": "2026-01-02"},
        {"name": "lump", "value": "L", "source": "referral"},
        {"name": "pain", "value": "unknown"},
    ]
    said = put(stage, "north-uploader", items)
    shown = {i["name"]: i for i in said["items"]}
    assert shown["density"] | {} == {
        "name": "density",
        "title": "Breast density (BI-RADS)",
        "value": "c",
        "shown": "c",
        "laterality": None,
        "source": "entered in the web application",
        "date": "2026-01-02",
        "is_used": True,
    }
    assert (shown["lump"]["laterality"], shown["lump"]["source"]) == ("L", "referral")
    fields = {f["name"]: f for f in said["fields"]}
    assert (fields["density"]["stated"], fields["lump"]["stated"]) == ("c", "L")
    assert fields["age"] == {"name": "age", "unit": "years", "choices": [], "stated": None}
    assert fields["density"]["choices"] == ["a", "b", "c", "d"]
    assert "pain" in said["unknown"]
    assert "pain" not in shown
    assert said["fusion"] is None
    assert "not a medical device" in said["notice"]
    put(stage, "north-reader", [{"name": "density", "value": "b"}])
    assert {i["name"] for i in get(stage, "north-reader", PATH)["items"]} == {"age", "density"}


def test_who_neither_sends_nor_reads_may_look_and_not_state(stage_with):
    stage = stage_with(fused=False)
    assert put(stage, "north-head", [], 403)["code"] == "not_allowed"
    assert put(stage, "south-reader", [], 404)["code"] == "unknown"
    get(stage, "north-head", PATH)
    get(stage, "south-reader", PATH, 404)


@pytest.mark.parametrize(
    ("item", "code", "field"),
    [
        ({"name": "density", "value": "F"}, "wrong_data", "density"),
        ({"name": "age", "value": "732 months"}, "wrong_data", "age"),
        ({"name": "mood", "value": "1"}, "invalid", "body.items.0.name"),
        ({"name": "age", "value": "60", "date": "soon"}, "invalid", "body.items.0.date"),
    ],
)
def test_an_impossible_value_changes_nothing_and_is_not_repeated(stage_with, item, code, field):
    stage = stage_with(fused=False)
    put(stage, "north-reader", [{"name": "density", "value": "b"}])
    said = put(stage, "north-reader", [item], 422)
    assert said["code"] == code
    assert said["errors"][0]["field"] == field
    assert said["errors"][0]["detail"]
    assert item["value"] not in json.dumps(said)
    shown = {i["name"] for i in get(stage, "north-reader", PATH)["items"]}
    assert shown == {"age", "density"}


def test_a_fusion_changes_the_score_and_is_shown_only_with_the_ai(stage_with):
    stage = stage_with(fused=True)
    set_site(stage, reading_mode="concurrent")
    first = get(stage, "north-reader", f"/exams/{EXAM}")
    none = get(stage, "north-reader", PATH)["fusion"]
    assert none["contributions"] == []
    assert none["missing"] == ["density", "lump"]
    put(
        stage, "north-uploader", [{"name": "density", "value": "d"}, {"name": "lump", "value": "L"}]
    )
    stage.clock.turn(120)
    assert work_once(stage.state) == 1
    second = get(stage, "north-reader", f"/exams/{EXAM}")
    assert second["revision"] == first["revision"] + 1
    assert second["ai"]["score"] > first["ai"]["score"]
    fusion = get(stage, "north-reader", PATH)["fusion"]
    added = {(c["name"], c["laterality"]): c["log_odds"] for c in fusion["contributions"]}
    assert added == {("density", None): 3.0, ("lump", "L"): 0.0}
    assert fusion["images_malignancy"] == pytest.approx(none["images_malignancy"])
    files = get(stage, "north-reader", f"/exams/{EXAM}/artefacts")
    content = stage.ask("north-reader", "GET", files[0]["url"].removeprefix("/api/v1")).json()
    exam = content["exams"][0] if "exams" in content else content
    assert {i["name"] for i in exam["clinical"]} == {"age", "density", "lump"}
    set_site(stage, reading_mode="second_reader")
    hidden = get(stage, "north-reader", PATH)
    assert hidden["fusion"] is None
    assert len(hidden["items"]) == 3


def test_density_by_the_ai_is_shown_only_with_the_ai_and_beside_what_is_stated(stage_with):
    stage = stage_with(fused=False)
    set_site(stage, reading_mode="concurrent")
    put(stage, "north-uploader", [{"name": "density", "value": "b"}])
    stage.clock.turn(120)
    assert work_once(stage.state) == 1
    assert get(stage, "north-reader", PATH)["density"] is None
    breasts = [{"laterality": "R", "category": "c"}, {"laterality": "L", "category": None}]
    density = {"category": "c", "source": "tiny 1.0", "breasts": breasts}
    with stage.database.write() as connection:
        body = unpack(connection.execute(sa.select(OVERLAYS.c.body)).scalar_one())
        assert body["density"] is None
        connection.execute(OVERLAYS.update().values(body=pack(body | {"density": density})))
    shown = get(stage, "north-reader", PATH)
    assert shown["density"] == density
    stated = [i["value"] for i in shown["items"] if i["name"] == "density"]
    assert stated == ["b"]
    set_site(stage, reading_mode="second_reader")
    hidden = get(stage, "north-reader", PATH)
    assert hidden["density"] is None
    assert [i["value"] for i in hidden["items"] if i["name"] == "density"] == ["b"]


def test_without_a_fusion_nothing_is_analysed_again(stage_with):
    stage = stage_with(fused=False)
    stage.clock.turn(120)
    assert work_once(stage.state) == 1
    put(stage, "north-uploader", [{"name": "density", "value": "d"}])
    stage.clock.turn(120)
    assert work_once(stage.state) == 0


def test_an_exam_that_is_being_read_is_not_analysed_again(stage_with):
    stage = stage_with(fused=True)
    done = stage.ask("north-reader", "POST", f"/exams/{EXAM}/readings")
    assert done.status_code == 201, done.text
    put(stage, "north-uploader", [{"name": "density", "value": "d"}])
    stage.clock.turn(120)
    assert work_once(stage.state) == 0
    shown = {i["name"] for i in get(stage, "north-reader", PATH)["items"]}
    assert shown == {"age", "density"}


BUNDLE = {
    "resourceType": "Bundle",
    "entry": [
        {"resource": {"resourceType": "Patient", "id": "1", "identifier": [{"value": "P1"}]}},
        {
            "resource": {
                "resourceType": "Observation",
                "id": "d",
                "status": "final",
                "subject": {"reference": "Patient/1"},
                "code": {"text": "breast density"},
                "effectiveDateTime": "2026-01-03",
                "valueString": "c",
            }
        },
    ],
}
MESSAGE = (
    "MSH|^~\\&|RIS|A|M|B|20260101||ADT^A08|1|P|2.5.1\r"
    "PID|1||P1||X^Y\rOBX|1|ST|pain^Pain^L||R||||||F|||20260101\r"
)


def post(stage, who, data, status=200):
    stage.client.cookies.clear()
    headers = stage.headers(who) | {"content-type": "application/fhir+json"}
    done = stage.client.request("POST", "/api/v1/clinical", content=data, headers=headers)
    assert done.status_code == status, done.text
    return done.json()


def test_messages_find_the_exams_of_their_patient(stage_with):
    stage = stage_with(fused=False)
    assert post(stage, "north-uploader", json.dumps(BUNDLE)) == {"exams": [EXAM]}
    put(stage, "north-uploader", [{"name": "lump", "value": "no"}])
    items = {i["name"]: i for i in get(stage, "north-reader", PATH)["items"]}
    assert items["density"]["source"] == "message, Observation/d"
    assert items.keys() == {"age", "density", "lump"}
    assert post(stage, "north-uploader", MESSAGE) == {"exams": [EXAM]}
    items = {i["name"]: i for i in get(stage, "north-reader", PATH)["items"]}
    assert items.keys() == {"age", "density", "pain", "lump"}
    assert items["pain"]["laterality"] == "R"
    # What a message does not mention is unknown to it: it takes nothing away.
    assert post(stage, "north-uploader", MESSAGE.partition("OBX")[0]) == {"exams": [EXAM]}
    assert {i["name"] for i in get(stage, "north-reader", PATH)["items"]} == items.keys()
    post(stage, "north-uploader", MESSAGE.replace("||R||", "||L||"))
    items = {i["name"]: i for i in get(stage, "north-reader", PATH)["items"]}
    assert items["pain"]["laterality"] == "L"


def test_a_number_that_two_sites_use_joins_no_patients(stage_with):
    stage = stage_with(fused=False)
    before, south = get(stage, "north-reader", PATH)["items"], stage.cast.sites["south"]
    with stage.database.write() as connection:
        row = dict(connection.execute(sa.select(EXAMS).where(EXAMS.c.id == EXAM)).one()._mapping)
        row |= {"id": EXAM + 1, "study_instance_uid": "1.2.9", "site_id": south}
        connection.execute(EXAMS.insert().values(row))
        role = {"person_id": stage.cast.people["north-uploader"], "site_id": south}
        connection.execute(ROLES.insert().values(**role, role="uploader"))
    assert post(stage, "north-uploader", json.dumps(BUNDLE), 422)["code"] == "site"
    assert get(stage, "north-reader", PATH)["items"] == before


def test_messages_of_others_are_refused(stage_with):
    stage = stage_with(fused=False)
    assert post(stage, "south-reader", json.dumps(BUNDLE), 404)["code"] == "unknown"
    assert post(stage, "north-head", json.dumps(BUNDLE), 404)["code"] == "unknown"
    other = json.dumps(BUNDLE).replace('"Patient/1"', '"Patient/2"')
    assert post(stage, "north-uploader", other, 422)["code"] == "wrong_data"
    assert post(stage, "north-uploader", "hello", 422)["code"] == "wrong_data"
    assert post(stage, "north-uploader", json.dumps(BUNDLE).replace("P1", "P2"), 404)
    with stage.database.read() as connection:
        assert connection.execute(sa.select(CLINICAL_ITEMS)).all() == []


def test_views_and_changes_are_audited_without_values(stage_with):
    stage = stage_with(fused=False)
    put(stage, "north-uploader", [{"name": "density", "value": "c"}])
    get(stage, "north-reader", PATH)
    asked = sa.select(AUDIT.c.action, AUDIT.c.actor, AUDIT.c.detail).order_by(AUDIT.c.number)
    with stage.database.read() as connection:
        rows = [row for row in connection.execute(asked) if row.action.startswith("clinical")]
    assert [(row.action, row.actor) for row in rows] == [
        ("clinical_stated", "person:north-uploader"),
        ("clinical_viewed", "person:north-uploader"),
        ("clinical_viewed", "person:north-reader"),
    ]
    assert json.loads(rows[0].detail) == {"items": 1, "via": "person"}


def test_the_data_go_with_their_exam(stage_with):
    stage = stage_with(fused=False)
    put(stage, "north-uploader", [{"name": "density", "value": "c"}])
    with stage.database.write() as connection:
        _delete_exam_rows(connection, [EXAM])
        assert connection.execute(sa.select(CLINICAL_ITEMS)).all() == []


def test_a_worker_refuses_a_fusion_of_another_model(make_stage, package, tmp_path):
    path = fusion_for(package, tmp_path / "f.json", density=1.0)
    said = json.loads(path.read_text()) | {"model_digest": "0" * 64}
    path.write_text(json.dumps(said))
    stage = make_stage(model={"name": str(package), "fusion": str(path)}, sinks=["json"])
    with pytest.raises(ConfigError, match="fitted for"):
        work(stage.state, 1, threading.Event(), once=True)
