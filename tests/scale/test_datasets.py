"""A data set whose headers workers read gives the same table."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from mammolens.data.sources import build_source
from mammolens.errors import InputError, InvalidManifest, StorageError
from mammolens.images import ImageFile, identify, reader
from mammolens.scale import datasets
from mammolens.scale.headers import keeping_headers


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
    table = tmp_path / "table.csv"
    found, written = datasets.build_with_workers("folder", tmp_path, {}, table, "local:1")
    assert written[0] == table
    assert not list(tmp_path.glob(".*"))
    assert found.records == plain.records
    assert found.cautions == plain.cautions


@pytest.mark.usefixtures("here")
def test_headers_are_forgotten_afterwards(make_dicom, tmp_path, monkeypatch):
    path = make_dicom.save(tmp_path / "normal" / "1.dcm")
    datasets.build_with_workers("folder", tmp_path, {}, tmp_path / "table.csv", "local:1")
    with pytest.raises(AssertionError, match="read already"):
        identify(ImageFile(path))
    monkeypatch.undo()


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InvalidManifest, match="does not exist"):
        datasets.build_with_workers(
            "folder", tmp_path / "nowhere", {}, tmp_path / "table.csv", "local:1"
        )


def test_kept_headers_are_what_was_read(make_dicom, tmp_path):
    """Also errors, and not of files that have changed."""
    good = make_dicom.save(tmp_path / "good.dcm", PatientID="Müller", SOPInstanceUID="1.2.3")
    (tmp_path / "bad.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 40)
    paths = [good, tmp_path / "bad.dcm"]
    found = datasets.read_headers(paths)
    with keeping_headers(tmp_path / "table.csv") as kept:
        kept.add(found)
        again = {name: value for path in paths for name, value in kept.of(path).items()}
        assert again["identify", good] == found["identify", good]
        assert again.keys() == found.keys()
        for name, value in found.items():
            assert type(again[name]) is type(value)
            assert str(again[name]) == str(value)
        assert any(isinstance(value, InputError) for value in again.values())
        good.write_bytes(good.read_bytes() + b"\0")
        assert kept.of(good) == {}
    assert not list(tmp_path.glob(".*.headers"))


def test_a_build_that_fails_keeps_its_headers_for_this_account_alone(make_dicom, tmp_path):
    path = make_dicom.save(tmp_path / "1.dcm")
    with pytest.raises(InvalidManifest), keeping_headers(tmp_path / "table.csv") as kept:  # noqa: PT012
        kept.add(datasets.read_headers([path]))
        raise InvalidManifest("the table has a fault")
    (file,) = tmp_path.glob(".*.headers")
    assert file.stat().st_mode & 0o777 == 0o600
    with keeping_headers(tmp_path / "table.csv") as kept:
        assert len(kept.of(path)) == 2


def test_a_damaged_file_of_headers_says_what_to_do(tmp_path):
    (tmp_path / ".table.csv.headers").write_bytes(b"no database" * 100)
    with (
        pytest.raises(StorageError, match="delete it to begin again"),
        keeping_headers(tmp_path / "table.csv"),
    ):
        pass
