"""A data set whose headers workers read gives the same table."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from mammolens.data.sources import build_source
from mammolens.errors import InvalidManifest
from mammolens.images import ImageFile, identify, reader
from mammolens.scale import datasets


@pytest.fixture
def here(monkeypatch):
    """Workers that are this process; the second reading of a header fails the test."""

    class Here:
        @staticmethod
        def run(make, tasks, name=None):  # noqa: ARG004
            yield from map(make, tasks)
            monkeypatch.setattr(reader, "describe_dicom", _never)

    @contextmanager
    def opened(address, tls=None):  # noqa: ARG001
        yield Here()

    monkeypatch.setattr(datasets, "open_cluster", opened)


def _never(*_):
    raise AssertionError("this header was read already")


@pytest.mark.usefixtures("here")
def test_the_table_is_the_same_and_no_header_is_read_twice(make_dicom, tmp_path):
    for number in range(5):
        place = tmp_path / ("malignant" if number % 2 else "normal") / f"{number}.dcm"
        make_dicom.save(place, PatientID=f"P{number}", SOPInstanceUID=f"1.2.{number}")
    (tmp_path / "normal" / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 40)
    plain = build_source("folder", tmp_path)
    found = datasets.build_with_workers("folder", tmp_path, {}, "local:1")
    assert found.records == plain.records
    assert found.cautions == plain.cautions


@pytest.mark.usefixtures("here")
def test_headers_are_forgotten_afterwards(make_dicom, tmp_path, monkeypatch):
    path = make_dicom.save(tmp_path / "normal" / "1.dcm")
    datasets.build_with_workers("folder", tmp_path, {}, "local:1")
    with pytest.raises(AssertionError, match="read already"):
        identify(ImageFile(path))
    monkeypatch.undo()


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InvalidManifest, match="does not exist"):
        datasets.build_with_workers("folder", tmp_path / "nowhere", {}, "local:1")
