"""Search in folders and archives: all files that may be images, without the unsafe ones."""

from __future__ import annotations

import os
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from mammolens.errors import InvalidManifest, NotAnImage, UnsupportedImage
from mammolens.images import ImageFile, find_files, identify, read_image
from mammolens.tables.decoding import read_bytes


def test_folders_are_searched_sorted_without_companions(tmp_path) -> None:
    wanted = ["a/1.dcm", "a/2", "b/c/3.png", "z.pgm"]
    passed_over = [
        ".hidden/x.dcm",
        "a/.x.dcm",
        "DICOMDIR",
        "notes.TXT",
        "t.csv",
        "a/t.xml",
        "r.json",
    ]
    for name in wanted + passed_over:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    files, unreadable = find_files([tmp_path])
    assert [f.path.relative_to(tmp_path).as_posix() for f in files] == [
        "z.pgm",
        "a/1.dcm",
        "a/2",
        "b/c/3.png",
    ]
    assert unreadable == []


def test_an_explicit_file_is_never_passed_over(tmp_path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    files, unreadable = find_files([path])
    assert files == [ImageFile(path)]
    assert unreadable == []
    with pytest.raises(NotAnImage, match="neither DICOM"):
        identify(files[0])


def test_what_is_missing_is_listed_and_the_others_found(tmp_path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"x")
    files, unreadable = find_files([tmp_path / "gone", tmp_path / "a.dcm", tmp_path])
    assert files == [ImageFile(tmp_path / "a.dcm")]
    assert [(u.path, u.error) for u in unreadable] == [(str(tmp_path / "gone"), "NotAnImage")]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes_and_loops_do_not_hang(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "a.dcm").write_bytes(b"x")
    files, unreadable = find_files([tmp_path, tmp_path / "pipe"])
    assert files == [ImageFile(tmp_path / "a.dcm")]
    assert [u.path for u in unreadable] == [str(tmp_path / "pipe")]
    with pytest.raises(NotAnImage):
        ImageFile(tmp_path / "pipe").read_bytes()


def pack(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_archives_are_read_in_memory(make_dicom, tmp_path) -> None:
    data = make_dicom.file_bytes(make_dicom.dataset())
    picture = b"P5 80 96 255\n" + make_dicom.picture(bits=8).tobytes()
    path = pack(
        tmp_path / "exams.zip",
        {"p/b.dcm": data, "p/R_CC.pgm": picture, "p/t.csv": b"x", "__MACOSX/._b.dcm": b"x"},
    )
    before = set(tmp_path.rglob("*"))
    files, unreadable = find_files([tmp_path])
    assert [f.name for f in files] == [f"{path}!p/R_CC.pgm", f"{path}!p/b.dcm"]
    assert unreadable == []
    assert [read_image(f).ref.path for f in files] == [f.name for f in files]
    assert identify(files[1]).ref.patient_id == "P1"
    assert set(tmp_path.rglob("*")) == before


def test_an_explicit_archive_of_any_name_is_found(tmp_path) -> None:
    path = pack(tmp_path / "upload", {"a.dcm": b"x"})
    assert find_files([path]) == ([ImageFile(path, "a.dcm")], [])


@pytest.mark.parametrize(
    "name", ["../a.dcm", "/etc/a.dcm", "p/../../a.dcm", "..\\a.dcm", "C:\\a.dcm", "\\\\host\\a.dcm"]
)
def test_paths_that_lead_out_are_refused(tmp_path, name: str) -> None:
    path = pack(tmp_path / "a.zip", {name: b"x", "good.dcm": b"x"})
    files, unreadable = find_files([path])
    assert files == [ImageFile(path, "good.dcm")]
    assert [u.error for u in unreadable] == ["UnsupportedImage"]
    assert "leads out" in unreadable[0].message
    member = zipfile.ZipFile(path).namelist()[0]
    with pytest.raises(UnsupportedImage, match="leads out"):
        ImageFile(path, member).read_bytes()


def test_a_zip_bomb_is_refused_by_its_ratio(tmp_path) -> None:
    path = pack(tmp_path / "a.zip", {"bomb.dcm": bytes(64 << 20), "good.dcm": b"x"})
    files, unreadable = find_files([path])
    assert files == [ImageFile(path, "good.dcm")]
    assert "zip bomb" in unreadable[0].message
    with pytest.raises(UnsupportedImage, match="zip bomb"):
        ImageFile(path, "bomb.dcm").read_bytes()


def test_archives_are_limited_in_count_and_size(tmp_path, monkeypatch) -> None:
    path = pack(tmp_path / "a.zip", {f"{n}.dcm": b"xy" for n in range(5)})
    monkeypatch.setattr("mammolens.images.archives.MAX_MEMBERS", 4)
    files, unreadable = find_files([path])
    assert files == []
    assert "has 5 files" in unreadable[0].message
    monkeypatch.setattr("mammolens.images.archives.MAX_MEMBERS", 5)
    monkeypatch.setattr("mammolens.images.archives.MAX_TOTAL_BYTES", 9)
    assert find_files([path])[0] == []
    monkeypatch.setattr("mammolens.images.archives.MAX_TOTAL_BYTES", 10)
    assert len(find_files([path])[0]) == 5
    monkeypatch.setattr("mammolens.images.archives.MAX_BYTES", 1)
    assert len(find_files([path])[1]) == 5


def test_a_member_that_lies_about_its_size_is_refused(tmp_path) -> None:
    path = pack(tmp_path / "a.zip", {"a.dcm": bytes(50_000)})
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = struct.pack("<I", 100)
    path.write_bytes(data)
    with pytest.raises(NotAnImage, match="damaged"):
        ImageFile(path, "a.dcm").read_bytes()


def test_nested_and_encrypted_members_are_refused(tmp_path) -> None:
    path = pack(tmp_path / "a.zip", {"inner.zip": b"x", "inner.tar.gz": b"x", "secret.dcm": b"x"})
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 8] |= 1
    path.write_bytes(data)
    files, unreadable = find_files([path])
    assert files == []
    words = " ".join(u.message for u in unreadable)
    assert words.count("archive within an archive") == 2
    assert "encrypted" in words


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 nothing", b"no zip at all"])
def test_broken_archives_are_listed(tmp_path, data: bytes) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    files, unreadable = find_files([tmp_path])
    assert files == []
    assert [u.path for u in unreadable] == [str(path)]


def test_a_damaged_member_is_an_input_error(tmp_path, make_dicom) -> None:
    path = pack(tmp_path / "a.zip", {"a.dcm": make_dicom.file_bytes(make_dicom.dataset())})
    data = bytearray(path.read_bytes())
    data[200:260] = bytes(60)
    path.write_bytes(data)
    (file,), _ = find_files([path])
    with pytest.raises(NotAnImage, match="damaged"):
        read_image(file)
    with pytest.raises(NotAnImage, match="no such member"):
        read_image(ImageFile(path, "b.dcm"))


def directory(entries: int, announced: int) -> bytes:
    """An archive with only a directory, whose end record announces `announced` entries."""
    entry = b"PK\x01\x02" + b"\0" * 42
    end = struct.pack(
        "<4s4H2LH", b"PK\x05\x06", 0, 0, announced, announced, entries * len(entry), 0, 0
    )
    return entry * entries + end


@pytest.mark.parametrize("entries", [300_000, 500_000])
def test_a_directory_of_very_many_entries_is_not_parsed(tmp_path, entries) -> None:
    path = tmp_path / "many.zip"
    path.write_bytes(directory(entries, 1))
    tracemalloc.start()
    try:
        files, (refused,) = find_files([path])
        with pytest.raises(UnsupportedImage, match="is not read"):
            ImageFile(path, "a.dcm").read_bytes()
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()
    assert (files, refused.error) == ([], "UnsupportedImage")


def test_members_that_overlap_are_refused(tmp_path) -> None:
    path = pack(tmp_path / "a.zip", {"1.dcm": os.urandom(5000)})
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    entry = bytes(data[at:end])
    entries = [entry.replace(b"1.dcm", b"%d.dcm" % n) for n in range(4)]
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 4, 4, 4 * len(entry), at, 0)
    path.write_bytes(bytes(data[:at]) + b"".join(entries) + tail)
    files, (refused,) = find_files([path])
    assert (files, refused.error) == ([], "UnsupportedImage")
    assert "overlap" in refused.message


def test_a_sparse_archive_or_table_is_refused_by_its_size(tmp_path) -> None:
    for name in ("a.zip", "a.csv"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(2 << 40)
    _, (refused,) = find_files([tmp_path / "a.zip"])
    assert refused.error == "UnsupportedImage"
    with pytest.raises(InvalidManifest, match="more than"):
        read_bytes(tmp_path / "a.csv")


def test_members_without_a_name_do_not_stop_the_look(tmp_path) -> None:
    (tmp_path / "a.zip").write_bytes(directory(3, 3))
    files, (refused,) = find_files([tmp_path / "a.zip"])
    assert (files, refused.error) == ([], "NotAnImage")
