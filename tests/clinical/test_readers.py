"""Reading clinical data: what is meant is read, and what is impossible names its place."""

import json
from datetime import date

import pytest

from mammolens.clinical.files import read_clinical, read_content
from mammolens.clinical.items import ITEMS, read_value
from mammolens.core import Laterality
from mammolens.errors import DataError, InvalidManifest, MissingInput

TODAY = date(2026, 11, 30)


def items_of(records, patient):
    return {
        (item.name, item.laterality): item.value
        for record in records
        if record.patient_id == patient
        for item in record.items
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, "c") for text in ("C", "c", "3", "heterogeneously dense", "BI-RADS c")),
        *((text, "a") for text in ("A", "1", "almost entirely fatty", "ACR A")),
        *((text, "b") for text in ("2", "scattered areas of fibroglandular density")),
        *((text, "d") for text in ("4", "extremely dense")),
    ],
)
def test_both_editions_of_density_mean_the_same_category(text, value):
    assert read_value("density", text, "t") == ((value, None),)


@pytest.mark.parametrize("text", ["III", "5", "0", "F", "dense", "25%", "e"])
def test_another_scale_of_density_is_refused(text):
    with pytest.raises(InvalidManifest, match="density"):
        read_value("density", text, "t.csv, line 2")


@pytest.mark.parametrize("name", ITEMS)
@pytest.mark.parametrize("text", ["", "unknown", "NA", "?", " - "])
def test_a_word_for_unknown_is_never_a_no(name, text):
    assert read_value(name, text, "t") == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("R", [(True, Laterality.RIGHT)]),
        ("left", [(True, Laterality.LEFT)]),
        ("both", [(True, Laterality.RIGHT), (True, Laterality.LEFT)]),
        ("yes", [(True, None)]),
        ("0", [(False, None)]),
    ],
)
def test_a_symptom_has_its_side(text, expected):
    assert list(read_value("lump", text, "t")) == expected


@pytest.mark.parametrize(
    ("name", "text", "unit", "told"),
    [
        ("age", "540 months", "", "months.*Give years"),
        ("age", "540", "mo", "'mo'.*Give years"),
        ("age", "1961", "", "15 to 110"),
        ("age", "5", "", "15 to 110"),
        ("age", "-60", "", "15 to 110"),
        ("weight", "150 lb", "", "lb.*Give kg"),
        ("weight", "150", "[lb_av]", "lb.*Give kg"),
        ("weight", "900", "", "25 to 350"),
        ("family_first_degree", "1.5", "", "whole number"),
        ("menarche_age", "2", "", "7 to 25"),
        ("lump", "maybe", "", "R, L, both"),
        ("hormone_therapy", "weekly", "", "never"),
    ],
)
def test_units_and_impossible_values_are_errors_with_place_and_remedy(name, text, unit, told):
    with pytest.raises(InvalidManifest, match=rf"t\.csv, line 7.*{told}") as found:
        read_value(name, text, "t.csv, line 7", unit)
    assert found.value.keyword == name
    assert found.value.remedy


def test_a_table_is_read_with_source_and_date(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(
        "Patient ID;date;age;density;lump;source\n7.0;2025-03-01;61,5;C;L;RIS\n8;;;;;\n"
        "7;;62Y;;no;\n"
    )
    data = read_clinical([path], TODAY)
    found = items_of(data.records[:1], "7")
    assert found == {
        ("age", None): 61.5,
        ("density", None): "c",
        ("lump", Laterality.LEFT): True,
    }
    item = data.records[0].items[0]
    assert item.source == "RIS (t.csv, line 2)"
    assert item.date == date(2025, 3, 1)
    assert len(data.of_exam("7", "1.2")) == 5
    assert data.of_exam("8", None) == ()
    assert data.of_exam("9", None) is None


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("patient_id,age\n1,961\n", "line 2.*age"),
        ("patient_id,date,age\n1,2027-01-01,61\n", "line 2.*future.*date"),
        ("patient_id,date,age\n1,03/04/2020,61\n", "line 2.*date.*YYYY-MM-DD"),
        ("patient_id,birth_date,date\n1,2001-01-01,1999-01-01\n", "birth_date"),
        ("patient_id,name\n1,x\n", "no clinical data"),
        ("patient_id,densty\n1,c\n", "densty"),
        ("patient_id,hrt\n1,c\n", "hormone_therapy"),
        ("id,age\n1,61\n", "patient_id"),
        ("patient_id,age\n,61\n", "line 2.*patient_id"),
    ],
)
def test_a_fault_of_a_table_names_line_and_column(tmp_path, body, told):
    path = tmp_path / "t.csv"
    path.write_text(body)
    with pytest.raises(DataError, match=told):
        read_clinical([path], TODAY)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(MissingInput, match=r"x\.csv"):
        read_clinical([tmp_path / "x.csv"])


def about(kind, patient="Patient/1", **rest):
    subject = "patient" if kind == "FamilyMemberHistory" else "subject"
    return {"resourceType": kind, "id": "r", subject: {"reference": patient}, **rest}


def coded(*codes, text=""):
    return {"coding": [{"code": code} for code in codes], "text": text}


def bundle(*resources):
    patient = {
        "resourceType": "Patient",
        "id": "1",
        "identifier": [{"value": "anna"}],
        "birthDate": "1961-05-01",
    }
    entries = [{"resource": one} for one in (patient, *resources)]
    return json.dumps({"resourceType": "Bundle", "entry": entries}).encode()


def read(*resources):
    return items_of(read_content(bundle(*resources), "b.json", TODAY), "anna")


def test_a_bundle_is_read():
    found = read(
        about(
            "Observation",
            status="final",
            code=coded("x", text="Breast density"),
            effectiveDateTime="2025-01-02",
            valueCodeableConcept={"coding": [{"code": "c", "display": "heterogeneously dense"}]},
        ),
        about(
            "Observation",
            status="final",
            code=coded("398700009"),
            valueQuantity={"value": 12, "unit": "a"},
        ),
        about("Condition", code=coded("C50.912"), recordedDate="2019-01-01"),
        about("Condition", code=coded("Z79.890"), clinicalStatus=coded("inactive")),
        about(
            "Condition",
            code=coded("N63", text="lump"),
            bodySite=[coded("73056007")],
            verificationStatus=coded("refuted"),
        ),
        about(
            "FamilyMemberHistory",
            status="completed",
            relationship=coded("MTH"),
            condition=[{"code": coded("C50.9"), "onsetAge": {"value": 44, "code": "a"}}],
        ),
        about(
            "FamilyMemberHistory",
            status="completed",
            relationship=coded("MAUNT"),
            condition=[{"code": coded("C50.9")}],
        ),
        about(
            "QuestionnaireResponse",
            status="completed",
            authored="2025-02-02T10:00:00Z",
            item=[
                {"linkId": "1", "text": "Biopsies?", "answer": [{"valueInteger": 2}]},
                {"linkId": "atypia", "answer": [{"valueBoolean": False}]},
                {"linkId": "births"},
            ],
        ),
    )
    assert found == {
        ("birth_date", None): "1961-05-01",
        ("density", None): "c",
        ("menarche_age", None): 12.0,
        ("prior_cancer", Laterality.LEFT): True,
        ("hormone_therapy", None): "former",
        ("lump", Laterality.RIGHT): False,
        ("biopsies", None): 2.0,
        ("atypia", None): False,
        ("family_first_degree", None): 1.0,
        ("family_youngest_age", None): 44.0,
    }


@pytest.mark.parametrize(
    ("resource", "told"),
    [
        (about("Condition", "Patient/2", code=coded("C50.912")), "another|not in the file"),
        (about("Observation", "", code=coded(text="age"), valueInteger=61), "not in the file"),
        (
            about(
                "Observation", code=coded(text="age"), valueQuantity={"value": 732, "code": "mo"}
            ),
            "'mo'.*Give years",
        ),
        (
            about(
                "Observation", code=coded(text="weight"), valueQuantity={"value": 9, "unit": "lb"}
            ),
            "lb",
        ),
        (
            about(
                "Observation",
                code=coded(text="age"),
                valueInteger=61,
                effectiveDateTime="2031-01-01",
            ),
            "future",
        ),
        (about("Observation", code=coded(text="density"), valueString="F"), "density"),
        (about("Condition", code="C50"), "another type"),
    ],
)
def test_a_fault_of_a_bundle_names_its_resource(resource, told):
    with pytest.raises(InvalidManifest, match=rf"b\.json, {resource['resourceType']}/r.*({told})"):
        read(resource)


def test_withdrawn_resources_and_relatives_without_the_illness_say_nothing():
    found = read(
        about("Observation", status="entered-in-error", code=coded(text="age"), valueInteger=61),
        about("Condition", code=coded("C50.912"), verificationStatus=coded("entered-in-error")),
        about("FamilyMemberHistory", status="completed", relationship=coded("SIS")),
        about("Observation", status="final", code=coded(text="density")),
    )
    assert found == {("birth_date", None): "1961-05-01"}


@pytest.mark.parametrize("data", [b"{", b"[1]", b'{"resourceType": "Bundle"}', b"hello", b"\xff"])
def test_what_is_no_message_is_refused(data):
    with pytest.raises(DataError, match=r"b\.json"):
        read_content(data, "b.json", TODAY)


MESSAGE = (
    "MSH|^~\\&|RIS|A|M|B|20250101||{kind}|1|P|2.5.1\r"
    "PID|1||anna^^^A||X^Y||19610501|F\r"
    "OBR|1|||MG|||20250103\r"
    "OBX|1|ST|DENS^Breast density^L||heterogeneously dense||||||F\r"
    "OBX|2|NM|8302-2^Height^LN||{height}|{unit}|||||F|||20240101\r"
    "OBX|3|CWE|LUMP^Lump^L||L^Left||||||F\r"
    "OBX|4|NM|30525-0^Age^LN||99|a|||||W\r"
    "OBX|5|NM|other^Potassium^L||4|mmol|||||F\r"
)


def test_a_message_is_read():
    text = MESSAGE.format(kind="ORU^R01", height=165, unit="cm")
    records = read_content(text.encode(), "m.hl7", TODAY)
    assert items_of(records, "anna") == {
        ("birth_date", None): "1961-05-01",
        ("density", None): "c",
        ("height", None): 165.0,
        ("lump", Laterality.LEFT): True,
    }
    assert [item.date for item in records[0].items] == [
        None,
        date(2025, 1, 3),
        date(2024, 1, 1),
        date(2025, 1, 3),
    ]


def test_a_birth_date_as_an_observation_is_passed_over():
    text = MESSAGE.format(kind="ORU^R01", height=165, unit="cm")
    dated = text + "OBX|6|DT|DOB^Date of birth^L||19610501||||||F\r"
    assert read_content(dated.encode(), "m.hl7", TODAY) == read_content(
        text.encode(), "m.hl7", TODAY
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (MESSAGE.format(kind="ORU^R01", height=65, unit="in"), "'in'.*height.*Give cm"),
        (MESSAGE.format(kind="ORM^O01", height=165, unit="cm"), "MSH-9"),
        (MESSAGE.format(kind="ADT^A08", height=165, unit="cm").replace("anna^^^A", ""), "PID-3"),
        (MESSAGE.format(kind="ADT^A08", height=165, unit="cm").replace("1961", "2061"), "future"),
    ],
)
def test_a_fault_of_a_message_names_its_field(text, told):
    with pytest.raises(DataError, match=told):
        read_content(text.encode(), "m.hl7", TODAY)
