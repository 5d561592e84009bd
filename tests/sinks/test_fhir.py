"""The FHIR bundle: valid, stable, preliminary, and silent about what is not known."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fhir_rules import check_bundle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mammolens.core import (
    ImageRef,
    ObjectKind,
    Scores,
    Source,
    SourceHeader,
    TriageCategory,
    Unreadable,
)
from mammolens.errors import MissingAttribute
from mammolens.sinks.fhir import exam_bundle

GOLDEN = Path(__file__).parent.parent / "golden"
Json = dict[str, Any]


@pytest.fixture(autouse=True)
def fixed_version(monkeypatch):
    for module in ("fhir", "_messages"):
        monkeypatch.setattr(f"mammolens.sinks.{module}.__version__", "0.0.0")


@pytest.fixture
def two_views(study):
    return study.exam(study.image("R", "CC", (120.0, 200.0, 168.0, 248.0)), study.image("R", "MLO"))


def golden(name: str, text: str) -> None:
    """Compare with a kept text; one that is not there is written, to be looked at and kept."""
    path = GOLDEN / name
    if not path.is_file():
        path.write_text(text, "utf-8")
        pytest.fail(f"{name} was not there and is made anew: look at it")
    assert text == path.read_text("utf-8")


def resources(bundle: Json, kind: str) -> list[Json]:
    found = [entry["resource"] for entry in bundle["entry"]]
    return [resource for resource in found if resource["resourceType"] == kind]


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from leaves(item)
    else:
        yield value


def validate(bundle: Json) -> None:
    """An independent reading by the Pydantic models of fhir.resources."""
    models = pytest.importorskip("fhir.resources.R4B", reason="pip install fhir.resources")
    models.get_fhir_model_class("Bundle").model_validate(bundle)
    for entry in bundle["entry"]:
        resource = entry["resource"]
        models.get_fhir_model_class(resource["resourceType"]).model_validate(resource)


class Server:
    """As much of a FHIR server as a transaction needs (http.html#transaction)."""

    def __init__(self) -> None:
        self.kept: dict[str, Json] = {}

    def post(self, bundle: Json) -> None:
        places = {entry["fullUrl"]: self._place(entry) for entry in bundle["entry"]}
        for entry in bundle["entry"]:
            if entry["request"]["method"] == "PUT" or places[entry["fullUrl"]] not in self.kept:
                text = json.dumps(entry["resource"])
                for url, place in places.items():
                    text = text.replace(f'"reference": "{url}"', f'"reference": "{place}"')
                self.kept[places[entry["fullUrl"]]] = json.loads(text)

    def _place(self, entry: Json) -> str:
        request = entry["request"]
        if request["method"] == "PUT":
            return str(request["url"])
        system, _, value = request["ifNoneExist"].removeprefix("identifier=").partition("|")
        for place, resource in self.kept.items():
            for identifier in resource.get("identifier", []):
                if (identifier.get("system"), identifier["value"]) == (system, value):
                    return place
        return f"{request['url']}/{len(self.kept)}-{value[-12:]}"


def test_bundles_of_every_kind_of_exam_are_valid(study, two_views):
    exam = study.exam()
    unsided = replace(exam.images[0], ref=replace(exam.images[0].ref, laterality=None))
    for prediction in (
        exam,
        two_views,
        study.failed(),
        replace(exam, category=TriageCategory.LOW),
        replace(exam, images=(unsided,), breasts=(replace(exam.breasts[0], laterality=None),)),
    ):
        bundle = exam_bundle(prediction, study.bench.run)
        assert check_bundle(bundle) == []
        validate(bundle)


shares = st.floats(0, 1, allow_nan=False)


@given(shares, shares, st.booleans(), st.sampled_from(list(TriageCategory)[:3]))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_probability_makes_a_sound_bundle(study, malignant, breast, stated, category):
    exam_scores, breast_scores = (Scores(1 - share, 0.0, share) for share in (malignant, breast))
    exam = study.exam()
    breasts = tuple(replace(each, scores=breast_scores) for each in exam.breasts)
    exam = replace(exam, scores=exam_scores, breasts=breasts, category=category)
    bundle = exam_bundle(exam, replace(study.bench.run, prevalence_stated=stated))
    assert check_bundle(bundle) == []


def test_a_two_view_exam_says_what_is_kept(study, two_views):
    text = json.dumps(exam_bundle(two_views, study.bench.run), ensure_ascii=False, indent=1)
    golden("fhir-two-views.json", text + "\n")


def test_a_failed_exam_says_what_is_kept(study):
    text = json.dumps(exam_bundle(study.failed(), study.bench.run), ensure_ascii=False, indent=1)
    golden("fhir-failed.json", text + "\n")


def test_the_category_and_its_threshold_come_first(study, two_views):
    middle = replace(two_views, category=TriageCategory.INTERMEDIATE)
    for exam, told in ((study.exam(), 1), (middle, 2)):
        for stated in (True, False):
            run = replace(study.bench.run, prevalence_stated=stated)
            bundle = exam_bundle(exam, run)
            first = resources(bundle, "Observation")[0]
            assert first["valueCodeableConcept"]["text"] == exam.category.value
            thresholds = [part["valueString"] for part in first["component"]]
            assert thresholds[-1] == (
                "upper threshold: sensitivity not known, specificity 90% in validation"
            )
            assert len(thresholds) == told
            (report,) = resources(bundle, "DiagnosticReport")
            assert report["result"][0]["reference"].endswith(first["id"])
            conclusion = report["conclusion"]
            assert conclusion.index("specificity 90%") < conclusion.index("Probability of")


def test_without_a_stated_prevalence_no_percentage_stands_alone(study, two_views):
    run = replace(study.bench.run, prevalence_stated=False)
    for exam in (study.exam(), two_views):
        bundle = exam_bundle(exam, run)
        validate(bundle)
        assert not [leaf for leaf in leaves(bundle) if isinstance(leaf, int | float)]
        observations = resources(bundle, "Observation")[1:]
        said = [o["valueString"] for o in observations]
        assert said[0] == (
            "50% for a prevalence of 0.6% among breasts, that of the model's own data"
        )
        (risk,) = resources(bundle, "RiskAssessment")
        assert risk["prediction"][0]["rationale"] == said[0]
        assert risk["prediction"][0]["qualitativeRisk"]["text"] == "high"


def test_any_tumour_is_not_spoken_of(study):
    text = json.dumps(exam_bundle(study.exam(), study.bench.run))
    assert "tumour" not in text.lower()


def test_images_without_a_score_are_listed_as_images_and_documents_are_not(study):
    image = study.image("L", "MLO")
    ref = replace(image.ref, sop_instance_uid="1.2.840.99.1.9")
    refused = {
        ObjectKind.MAMMOGRAM: "1.2.840.10008.5.1.4.1.1.1.2",
        ObjectKind.DOCUMENT: "1.2.840.10008.5.1.4.1.1.88.50",
        ObjectKind.OTHER_IMAGE: "1.2.840.10008.5.1.4.1.1.6.1",
    }
    for kind, sop_class in refused.items():
        source = Source(ref, replace(image.header, sop_class_uid=sop_class))
        item = Unreadable("in/x.dcm", "UnsupportedImage", "no", source, kind)
        bundle = exam_bundle(study.exam(unreadable=(item,)), study.bench.run)
        validate(bundle)
        (imaging,) = resources(bundle, "ImagingStudy")
        listed = [i for series in imaging["series"] for i in series["instance"]]
        titles = {i["uid"]: i.get("title") for i in listed}
        told = titles.get("1.2.840.99.1.9")
        conclusion = resources(bundle, "DiagnosticReport")[0]["conclusion"]
        if kind is ObjectKind.MAMMOGRAM:
            assert told == "not analysed: LMLO (stored in a form that is not read)"
            assert "Not analysed: 1 of 5 images: LMLO (stored" in conclusion
        else:
            assert told is None
            assert "ot analysed" not in conclusion


def test_probabilities_are_percentages_that_state_their_prevalence(study):
    exam = study.exam()
    observations = resources(exam_bundle(exam, study.bench.run), "Observation")[1:]
    assert [o["valueQuantity"]["value"] for o in observations] == [50.0, 50.0, 4.0]
    assert [o["bodySite"]["coding"][0]["code"] for o in observations] == [
        "76752008",
        "73056007",
        "80248007",
    ]
    for observation in observations:
        assert observation["code"]["coding"][0]["code"] == "111047"
        assert observation["component"][0]["valueQuantity"]["value"] == 0.6
    (risk,) = resources(exam_bundle(exam, study.bench.run), "RiskAssessment")
    assert risk["prediction"][0]["probabilityDecimal"] == 0.5
    assert "prevalence of 0.6% among breasts" in risk["prediction"][0]["rationale"]


def test_a_failed_exam_has_no_number_and_never_reads_as_normal(study):
    bundle = exam_bundle(study.failed(), study.bench.run)
    assert not [leaf for leaf in leaves(bundle) if isinstance(leaf, int | float)]
    (observation,) = resources(bundle, "Observation")
    assert observation["dataAbsentReason"]["coding"][0]["code"] == "error"
    assert resources(bundle, "RiskAssessment") == []
    (report,) = resources(bundle, "DiagnosticReport")
    assert report["conclusion"].startswith("Failed, not interpretable: ")
    assert "not normal" in report["conclusion"]
    (task,) = resources(bundle, "Task")
    assert task["priority"] == "urgent"


def test_a_failed_exam_names_the_images_that_were_refused(study):
    image = study.image("R", "CC")
    source = Source(image.ref, image.header)
    refused = Unreadable("in/RCC.dcm", "NotAMammogram", "FOR PROCESSING", source)
    bundle = exam_bundle(study.failed(unreadable=(refused,)), study.bench.run)
    validate(bundle)
    (imaging,) = resources(bundle, "ImagingStudy")
    assert imaging["series"][0]["instance"][0]["uid"] == image.ref.sop_instance_uid
    assert imaging["identifier"][1]["value"] == "A77"


@pytest.mark.parametrize(
    ("category", "priority"),
    [("high", "urgent"), ("intermediate", "routine"), ("low", "routine")],
)
def test_the_priority_follows_the_category(study, category, priority):
    exam = study.exam(category=TriageCategory(category))
    (task,) = resources(exam_bundle(exam, study.bench.run), "Task")
    assert (task["priority"], task["status"], task["intent"]) == (priority, "requested", "proposal")


def test_no_name_or_birth_date_is_written(study):
    text = json.dumps(exam_bundle(study.exam(), study.bench.run))
    for secret in ("Doe", "Jane", "19601231", "1960-12-31", "Erring"):
        assert secret not in text


def test_a_repeat_doubles_nothing_and_keeps_the_hospital_s_own_state(study):
    server, run = Server(), study.bench.run
    server.post(exam_bundle(study.exam(), run))
    (task,) = (place for place in server.kept if place.startswith("Task/"))
    server.kept[task]["status"] = "completed"
    first = set(server.kept)
    later = replace(run, created=run.created.replace(year=2027))
    server.post(exam_bundle(study.exam(), later))
    assert set(server.kept) == first
    assert server.kept[task]["status"] == "completed"
    references = [r["reference"] for r in _references(list(server.kept.values()))]
    assert references
    assert set(references) <= first


def test_a_revision_overwrites_the_report_and_asks_anew(study, two_views):
    server, run = Server(), study.bench.run
    low = replace(two_views, category=TriageCategory.LOW)
    server.post(exam_bundle(low, run))
    server.post(exam_bundle(study.exam(), run))
    kinds = [place.partition("/")[0] for place in server.kept]
    assert kinds.count("DiagnosticReport") == 1
    assert kinds.count("Observation") == 4
    assert sorted(r["priority"] for p, r in server.kept.items() if p.startswith("Task")) == [
        "routine",
        "urgent",
    ]


def test_exams_share_a_device_and_nothing_else(study):
    one = exam_bundle(study.exam(), study.bench.run)
    image = study.image()
    other_ref = replace(image.ref, patient_id="P2")
    other = exam_bundle(study.exam(replace(image, ref=other_ref)), study.bench.run)
    shared = {e["fullUrl"] for e in one["entry"]} & {e["fullUrl"] for e in other["entry"]}
    assert shared == {one["entry"][0]["fullUrl"]}
    assert one["entry"][0]["resource"]["resourceType"] == "Device"


@pytest.mark.parametrize("text", ["a|b^c&d~e\\f", "山田\n太郎", 'q"u{ote', "caf\udce9", "x" * 300])
def test_hostile_identifiers_stay_one_value(study, text):
    image = study.image()
    exam = study.exam(replace(image, ref=replace(image.ref, patient_id=text)))
    study.bench.write([exam], "fhir")
    (path,) = (study.bench.out / "fhir").glob("*.json")
    bundle = json.loads(path.read_text("utf-8"))
    assert check_bundle(bundle) == []
    (report,) = resources(bundle, "DiagnosticReport")
    assert report["subject"]["identifier"]["value"] == text.replace("\udce9", "?")


def test_impossible_dates_are_left_out(study):
    image = study.image()
    bad = replace(image.header, study_date="20260231", study_time="soon")
    bundle = exam_bundle(study.exam(replace(image, header=bad)), study.bench.run)
    validate(bundle)
    assert "started" not in resources(bundle, "ImagingStudy")[0]


@pytest.mark.parametrize("lack", ["PatientID", "StudyInstanceUID"])
def test_an_exam_of_nobody_is_refused_by_name(study, lack):
    nobody = {"patient_id": None} if lack == "PatientID" else {"study_instance_uid": None}
    image = study.image()
    exam = study.exam(replace(image, ref=replace(image.ref, **nobody)), **nobody)
    with pytest.raises(MissingAttribute, match=lack):
        exam_bundle(exam, study.bench.run)
    summary = study.bench.write([exam, study.exam()], "fhir", "hl7", "csv")
    assert [refusal.partition(":")[0] for refusal in summary.refusals] == ["fhir", "hl7"]
    assert len(list((study.bench.out / "fhir").glob("*.json"))) == 1


def test_an_exam_of_several_studies_is_refused(study):
    one, other = study.image("R", "CC"), study.image("L", "CC")
    elsewhere = replace(other, ref=replace(other.ref, study_instance_uid="1.2.840.99.2"))
    summary = study.bench.write([study.exam(one, elsewhere)], "fhir", "hl7", "dicom-ko")
    assert len(summary.refusals) == 3
    assert all("several patients or studies" in refusal for refusal in summary.refusals)


def test_a_picture_exam_is_refused(study):
    image = replace(study.image(), ref=ImageRef("film.png"), header=SourceHeader())
    exam = study.exam(image, patient_id=None, study_instance_uid=None)
    with pytest.raises(MissingAttribute, match=r"film\.png"):
        exam_bundle(exam, study.bench.run)


def test_general_models_let_a_status_pass_that_ours_refuses(study):
    models = pytest.importorskip("fhir.resources.R4B", reason="pip install fhir.resources")
    bundle = exam_bundle(study.exam(), study.bench.run)
    resources(bundle, "Observation")[0]["status"] = "bogus"
    validate(bundle)
    assert models is not None
    assert check_bundle(bundle) == ["Observation.status is 'bogus', none of preliminary"]


def _set(kind: str, **elements: Any) -> Callable[[Json], None]:
    return lambda bundle: resources(bundle, kind)[0].update(elements)


def _drop(kind: str, element: str) -> Callable[[Json], None]:
    return lambda bundle: resources(bundle, kind)[0].pop(element) and None


def _remove(kind: str) -> Callable[[Json], None]:
    def act(bundle: Json) -> None:
        bundle["entry"] = [e for e in bundle["entry"] if e["resource"]["resourceType"] != kind]

    return act


def _drop_from_probability(element: str) -> Callable[[Json], None]:
    return lambda bundle: resources(bundle, "Observation")[1].pop(element) and None


def _request(number: int, **elements: Any) -> Callable[[Json], None]:
    return lambda bundle: bundle["entry"][number]["request"].update(elements)


MUTATIONS: list[tuple[Callable[[Json], None], str]] = [
    (lambda bundle: bundle.update(type="batch"), "not a transaction"),
    (_set("DiagnosticReport", status="final"), "DiagnosticReport.status is 'final'"),
    (_set("RiskAssessment", status="registered"), "RiskAssessment.status"),
    (_set("ImagingStudy", status="preliminary"), "ImagingStudy.status"),
    (_set("Device", status="on"), "Device.status"),
    (_set("Task", priority="high"), "Task.priority is 'high'"),
    (_set("Task", intent="wish"), "Task.intent"),
    (_set("Task", status="done"), "Task.status"),
    (_drop("Observation", "code"), "Observation.code is missing"),
    (_drop("Observation", "subject"), "Observation.subject is missing"),
    (_drop("DiagnosticReport", "conclusion"), "DiagnosticReport.conclusion is missing"),
    (_drop_from_probability("valueQuantity"), "both a value and a reason for none, or neither"),
    (_drop_from_probability("component"), "a percentage stands without its prevalence"),
    (_set("Observation", valueQuantity={"value": 5}), "or two values"),
    (_set("Observation", dataAbsentReason={"text": "x"}), "both a value and a reason"),
    (_set("Observation", valueQuantity={"value": 870.0}), "of 870.0 is no percentage"),
    (_set("Observation", valueQuantity={"value": "87"}), "of 87 is no percentage"),
    (_set("RiskAssessment", prediction=[{"probabilityDecimal": 87}]), "is no share"),
    (_set("Observation", issued="2026-03-01"), "is no moment with its time zone"),
    (_set("Observation", effectiveDateTime="20260228"), "is no date"),
    (_set("Observation", note=[{"text": ""}]), "is empty"),
    (_set("Observation", device={"reference": "Device/1"}), "leads to no entry"),
    (_remove("Device"), "there are 0 of Device, not one"),
    (_remove("Task"), "there are 0 of Task"),
    (_remove("RiskAssessment"), "there are 0 of RiskAssessment"),
    (_remove("Observation"), "there is no Observation"),
    (lambda bundle: bundle["entry"].append(bundle["entry"][0]), "a fullUrl stands twice"),
    (_request(0, url="Device/else"), "which is not its id"),
    (_request(0, method="POST"), "would be made again by a repeat"),
    (_request(1, ifNoneExist=""), "would be made again by a repeat"),
    (_set("Device", resourceType="Patient"), "'Patient' is no kind that is written"),
    (_set("Device", id="a b"), "Device.id is no id"),
]


@pytest.mark.parametrize(("act", "fault"), MUTATIONS, ids=[fault for _, fault in MUTATIONS])
def test_the_checker_finds_every_fault(study, act, fault):
    bundle = copy.deepcopy(exam_bundle(study.exam(), study.bench.run))
    act(bundle)
    assert any(fault in found for found in check_bundle(bundle)), check_bundle(bundle)


@pytest.mark.parametrize(
    ("act", "fault"),
    [
        (_set("Task", priority="routine"), "a failed exam is routine"),
        (
            lambda b: b["entry"].append(
                {
                    "fullUrl": "urn:uuid:1",
                    "resource": {"resourceType": "RiskAssessment", "id": "1"},
                    "request": {"method": "PUT", "url": "RiskAssessment/1"},
                }
            ),
            "a failed exam carries a number",
        ),
        (_set("Observation", component=[{}]), "an Observation without a value has components"),
    ],
)
def test_the_checker_knows_what_a_failed_exam_may_not_say(study, act, fault):
    bundle = exam_bundle(study.failed(), study.bench.run)
    act(bundle)
    assert any(fault in found for found in check_bundle(bundle))


def _references(value: Any) -> Iterator[Json]:
    if isinstance(value, dict):
        if "reference" in value:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _references(item)


def test_a_report_in_place_of_an_earlier_one_is_still_preliminary(study):
    """FHIR R4: amended and corrected are "subsequent to being final"."""
    second = replace(study.bench.run, revision=2)
    for prediction in (study.exam(), study.failed()):
        bundle = exam_bundle(prediction, second)
        kinds = {e["resource"]["resourceType"]: e["resource"] for e in bundle["entry"]}
        report = kinds["DiagnosticReport"]
        assert report["status"] == "preliminary"
        assert "Result 2 of this exam, in place of result 1" in report["conclusion"]
        assert kinds["Observation"]["status"] == "preliminary"
