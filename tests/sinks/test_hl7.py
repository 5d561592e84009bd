"""The HL7 v2 message: two parsers read it, nothing leaves its field, no failure is a result."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mammolens.core import (
    BreastPrediction,
    Caution,
    ObjectKind,
    Prediction,
    Scores,
    Source,
    TriageCategory,
    Unreadable,
)
from mammolens.sinks.hl7 import escape, oru_message

GOLDEN = Path(__file__).parent.parent / "golden"
HOSTILE = [
    "a|b^c&d~e\\f",
    "line\r\nOBX|9|NM|x||100|%",
    "山田太郎",
    "caf\udce9\x85",
    "\x1b[31m",
    "^",
]


@pytest.fixture(autouse=True)
def fixed_version(monkeypatch):
    monkeypatch.setattr("mammolens.sinks.hl7.__version__", "0.0.0")


def golden(name: str, text: str) -> None:
    """Compare with a kept text; one that is not there is written, to be looked at and kept."""
    path = GOLDEN / name
    if not path.is_file():
        path.write_text(text, "utf-8")
        pytest.fail(f"{name} was not there and is made anew: look at it")
    assert text == path.read_text("utf-8")


def validate(message: str) -> None:
    """The strict reading of hl7apy, which knows the segments and lengths of version 2.5.1."""
    pytest.importorskip("hl7apy", reason="pip install hl7apy")
    from hl7apy.consts import VALIDATION_LEVEL
    from hl7apy.parser import parse_message

    parsed = parse_message(message, validation_level=VALIDATION_LEVEL.STRICT)
    assert parsed.validate()


def segments(message: str, name: str) -> list[list[str]]:
    rows = [row.split("|") for row in message.split("\r")]
    return [row for row in rows if row[0] == name]


def of(study, patient_id: str, name: str | None = None) -> Prediction:
    image = study.image()
    header = replace(image.header, patient_name=name or image.header.patient_name)
    ref = replace(image.ref, patient_id=patient_id)
    return study.exam(replace(image, ref=ref, header=header))


def test_messages_of_every_kind_of_exam_are_valid(study):
    two = study.exam(study.image("L", "CC"), study.image("L", "MLO"))
    exam = study.exam()
    bare = replace(exam.images[0].header, accession_number=None, patient_name=None, study_date=None)
    nameless = study.exam(replace(exam.images[0], header=bare))
    low = replace(exam, category=TriageCategory.LOW)
    for prediction in (exam, two, study.failed(), nameless, low):
        validate(oru_message(prediction, study.bench.run))


def test_an_exam_says_what_is_kept(study):
    golden("oru-exam.txt", oru_message(study.exam(), study.bench.run).replace("\r", "\n"))


def test_a_failed_exam_says_what_is_kept(study):
    golden("oru-failed.txt", oru_message(study.failed(), study.bench.run).replace("\r", "\n"))


def test_a_failed_exam_has_no_number_and_never_reads_as_normal(study):
    message = oru_message(study.failed(), study.bench.run)
    (numeric,) = [row for row in segments(message, "OBX") if row[2] == "NM"]
    assert (numeric[5], numeric[11]) == ("", "X")
    assert segments(message, "OBR")[0][25] == "I"
    assert "Failed, not interpretable" in message
    assert "FAILED^failed^99MAMMOLENS" in message


def test_every_result_is_preliminary_and_states_its_prevalence(study):
    message = oru_message(study.exam(), study.bench.run)
    rows = segments(message, "OBX")
    assert {row[11] for row in rows} == {"P"}
    assert segments(message, "OBR")[0][25] == "P"
    numbers = {row[3].split("^")[3 if row[3].startswith("111047") else 0]: row for row in rows}
    assert numbers["EXAM"][5:7] == ["50", "%^Percent^UCUM"]
    assert (numbers["R"][5], numbers["L"][5], numbers["PREVALENCE"][5]) == ("50", "4", "0.6")
    assert [row[1] for row in rows] == [str(n) for n in range(1, len(rows) + 1)]


def test_the_category_and_its_threshold_come_first(study):
    for stated in (True, False):
        run = replace(study.bench.run, prevalence_stated=stated)
        rows = segments(oru_message(study.exam(), run), "OBX")
        assert [row[3].split("^")[0] for row in rows[:4]] == [
            "110180",
            "TRIAGE",
            "THRESHOLD",
            "111047",
        ]
        assert rows[2][5] == "upper threshold: sensitivity not known, specificity 90% in validation"


def test_without_a_stated_prevalence_no_percentage_stands_alone(study):
    run = replace(study.bench.run, prevalence_stated=False)
    message = oru_message(study.exam(), run)
    validate(message)
    rows = segments(message, "OBX")
    assert [row for row in rows if row[2] == "NM"] == []
    probabilities = [row for row in rows if row[3].startswith("111047")]
    for row, share in zip(probabilities, ("50%", "50%", "4.0%"), strict=True):
        told = "for a prevalence of 0.6% among breasts, that of the model's own data"
        assert row[5] == f"{share} {told}"
    (conclusion,) = [row[5] for row in rows if row[3].startswith("CONCLUSION")]
    lines = conclusion.split("~")
    assert lines[0].startswith("AI triage: high (upper threshold: ")
    assert [line for line in lines if "50%" in line] == [
        "Probability of malignancy 50% for a prevalence of 0.6% among breasts, that of the"
        " model's own data."
    ]


def test_long_words_are_broken_into_lines(study):
    caution = Caution("low_withheld", "not called low, because " + "of this and that; " * 30)
    message = oru_message(study.exam(cautions=(caution,)), study.bench.run)
    validate(message)
    (conclusion,) = [row[5] for row in segments(message, "OBX") if row[3].startswith("CONCLUSION")]
    assert max(map(len, conclusion.split("~"))) <= 199
    assert "Not called low, because of this" in conclusion


def test_images_without_a_score_are_named_and_documents_are_not(study):
    image = study.image("L", "MLO")
    items = tuple(
        Unreadable(
            "in/x.dcm",
            "UnsupportedImage",
            "in/x.dcm: no",
            Source(
                replace(image.ref, sop_instance_uid=f"1.2.840.99.1.{number}"),
                replace(image.header, sop_class_uid=f"1.2.840.10008.5.1.4.1.1.{end}"),
            ),
            kind,
        )
        for number, (end, kind) in enumerate(
            [
                ("1.2", ObjectKind.MAMMOGRAM),
                ("11.1", ObjectKind.DOCUMENT),
                ("13.1.3", ObjectKind.STACK),
            ],
            start=70,
        )
    )
    message = oru_message(study.exam(unreadable=items), study.bench.run)
    validate(message)
    rows = segments(message, "OBX")
    assert [row[5] for row in rows if row[3].startswith("NOT_ANALYSED")] == [
        "LMLO (stored in a form that is not read) 1.2.840.99.1.70",
        "LMLO (tomosynthesis) 1.2.840.99.1.72",
    ]
    (conclusion,) = [row[5] for row in rows if row[3].startswith("CONCLUSION")]
    assert "Not analysed: 1 of 5 images: LMLO (stored in a form that is not read)." in conclusion
    assert "Passed over: 1 tomosynthesis." in conclusion


def test_rounding_makes_nothing_certain(study):
    tiny = Scores(0.99997, 0.0, 0.00003)
    exam = study.exam(
        scores=tiny, breasts=(BreastPrediction(None, Scores(0.0, 0.0, 1.0)),), prevalence=0.00002
    )
    rows = segments(oru_message(exam, study.bench.run), "OBX")
    assert [row[5] for row in rows if row[2] == "NM"] == ["0.01", "99.99", "0.002"]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_breaks_out_of_its_field(study, text):
    plain = oru_message(of(study, "P1"), study.bench.run)
    message = oru_message(of(study, text, f"{text.replace('^', '')}^Given"), study.bench.run)
    assert [row.split("|")[0] for row in message.split("\r")] == [
        row.split("|")[0] for row in plain.split("\r")
    ]
    assert all(letter.isprintable() for letter in message.replace("\r", ""))
    validate(message)


@pytest.mark.parametrize("text", [t for t in HOSTILE if t.isprintable()])
def test_another_parser_reads_back_what_was_meant(study, text):
    hl7 = pytest.importorskip("hl7", reason="pip install hl7")
    parsed = hl7.parse(oru_message(of(study, text), study.bench.run))
    identifier = str(parsed.segment("PID")(3)[0][0])
    assert parsed.unescape(identifier) == text


def test_names_change_from_dicom_order_to_that_of_hl7(study):
    name = "Yamada^Tarou^M^Dr^Jr=山田^太郎=やまだ^たろう"
    (pid,) = segments(oru_message(of(study, "P1", name), study.bench.run), "PID")
    assert pid[5].split("~") == [
        "Yamada^Tarou^M^Jr^Dr^^L^A",
        "山田^太郎^^^^^L^I",
        "やまだ^たろう^^^^^L^P",
    ]
    ideographic = oru_message(of(study, "P1", "=山田^太郎"), study.bench.run)
    assert segments(ideographic, "PID")[0][5] == "山田^太郎^^^^^L^I"


def test_the_encoding_is_stated_and_kept(study):
    study.bench.write([of(study, "P1", "山田^太郎")], "hl7")
    (path,) = (study.bench.out / "hl7").glob("*.hl7")
    data = path.read_bytes()
    assert segments(data.decode("utf-8"), "MSH")[0][17] == "UNICODE UTF-8"
    assert b"\n" not in data
    assert data.endswith(b"\r")


def test_the_id_of_a_message_follows_from_what_it_says(study):
    def name(prediction: Prediction, year: int = 2026) -> str:
        run = replace(study.bench.run, created=study.bench.run.created.replace(year=year))
        return segments(oru_message(prediction, run), "MSH")[0][9]

    first = name(study.exam())
    assert first == name(study.exam(), year=2027)
    assert len(first) == 20
    others = [study.failed(), of(study, "P2"), study.exam(prevalence=0.1)]
    assert len({first, *map(name, others)}) == 4


def test_escapes():
    assert escape("plain 山") == "plain 山"
    assert escape("\r\n\x7f") == "\\X0D\\\\X0A\\\\X7F\\"
    assert escape("\x85\udce9") == "\N{REPLACEMENT CHARACTER}" * 2


def test_a_later_result_is_preliminary_too_and_names_the_one_before(study):
    """Table 0085: C "is a correction and thus replaces a final result"; none was final."""
    second = replace(study.bench.run, revision=2)
    for prediction in (study.exam(), study.failed()):
        said = oru_message(prediction, second)
        validate(said)
        failed = prediction.scores is None
        assert segments(said, "OBR")[0][25] == ("I" if failed else "P")
        statuses = {row[3].split("^")[0]: row[11] for row in segments(said, "OBX")}
        assert statuses.pop("111047") == ("X" if failed else "P")
        assert {*statuses.values()} == {"P"}
        told = {row[3].split("^")[0]: row[5] for row in segments(said, "OBX")}
        assert (told["REVISION"], told["SUPERSEDES"]) == ("2", "1")


def test_a_result_that_comes_back_to_an_earlier_one_is_no_repeat_of_it(study):
    """A receiver that knows a repeat by MSH-10 must not keep the one in between."""
    runs = [replace(study.bench.run, revision=number) for number in (1, 2, 3)]
    names = [segments(oru_message(study.exam(), run), "MSH")[0][9] for run in runs]
    assert len({*names}) == 3
