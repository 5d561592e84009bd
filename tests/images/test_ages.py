"""Ages in many spellings, compared with birth and study dates, and one age for an exam."""

from __future__ import annotations

import pytest

from mammolens.core import ImageRef, SourceHeader
from mammolens.images import ImageFile, identify
from mammolens.images.ages import exam_age, read_age

DATES = {"PatientBirthDate": "19600101", "StudyDate": "20200301"}


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("045Y", 45),
        ("45Y", 45),
        ("045y", 45),
        ("45", 45),
        (" 45 Y", 45),
        ("540M", 45),
        ("45 years", 45),
        ("45 Jahre", 45),
        ("45,5", 45.5),
        ("90+Y", 90),
        ("91Y+", 91),
        (">89Y", 89),
        *(
            (text, None)
            for text in ("000Y", "999Y", "-45Y", "0710", "", "Y", "old", "045D", "12:30")
        ),
    ],
)
def test_spellings(text, years) -> None:
    assert read_age(text) == (None if years is None else pytest.approx(years))


@pytest.fixture
def age(make_dicom, tmp_path):
    def read(**given) -> tuple[float | None, dict[str, bool]]:
        info = identify(ImageFile(make_dicom.save(tmp_path / "a.dcm", PatientSex="F", **given)))
        notes = {c.name: c.doubt for c in info.cautions if c.name.startswith("age")}
        return info.ref.age_years and round(info.ref.age_years, 1), notes

    return read


def test_an_age_that_agrees_is_taken_as_it_is(age) -> None:
    assert age(PatientAge="060Y", **DATES) == (60, {})
    assert age(PatientAge="059Y", **DATES) == (59, {})
    assert age(PatientAge="045Y") == (45, {})
    assert age() == (None, {})


@pytest.mark.parametrize("written", ["071Y", "030Y", "009Y"])
def test_the_studys_own_arithmetic_decides(age, written) -> None:
    assert age(PatientAge=written, **DATES) == (60.2, {"age_disagrees": True})


@pytest.mark.parametrize("written", ["000Y", "999Y", None])
def test_dates_stand_in_for_an_unusable_age(age, written) -> None:
    assert age(PatientAge=written, **DATES) == (60.2, {"age_from_birth_date": False})


@pytest.mark.parametrize(
    "dates",
    [
        {"PatientBirthDate": "19000101", "StudyDate": "20200301"},
        {"PatientBirthDate": "20210101", "StudyDate": "20200301"},
        {"PatientBirthDate": "19600101"},
        {"StudyDate": "20200301"},
    ],
)
def test_dates_that_cannot_be_decide_nothing(age, dates) -> None:
    assert age(PatientAge="071Y", **dates) == (71, {})
    assert age(PatientAge="999Y", **dates) == (None, {"age_unusable": False})


def image(years: float | None, **header: str) -> tuple[ImageRef, SourceHeader]:
    return ImageRef("a.dcm", age_years=years), SourceHeader(**header)


def test_an_exam_has_one_age() -> None:
    dates = {"patient_birth_date": "19600101", "study_date": "20200301"}
    assert exam_age([]) == (None, None)
    assert exam_age([image(None), image(45)]) == (45, None)
    assert exam_age([image(45), image(46)]) == (45, None)
    years, note = exam_age([image(30, **dates), image(85)])
    assert years == pytest.approx(60.2, abs=0.1)
    assert (note.name, note.doubt) == ("age_disagrees", True)
    years, note = exam_age([image(30), image(85)])
    assert years is None
    assert (note.name, note.doubt) == ("age_disagrees", True)
    other = {"patient_birth_date": "19900101", "study_date": "20200301"}
    assert exam_age([image(30, **other), image(60, **dates)])[0] is None
