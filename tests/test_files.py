"""Files get their name when they are whole, whatever ends the writing."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammolens.errors import StorageError
from mammolens.files import partial_path, storage, whole_file, whole_text, write_whole


def test_a_file_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.csv"
    path.parent.mkdir()
    with whole_text(path) as stream:
        stream.write("é\r\n")
        stream.flush()
        assert not path.exists()
        assert partial_path(path).read_bytes() == "é\r\n".encode()
    assert path.read_bytes() == "é\r\n".encode()
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("fault", [ValueError("x"), KeyboardInterrupt(), OSError(28, "full")])
def test_what_ends_the_writing_early_leaves_the_file_before(
    tmp_path: Path, fault: BaseException
) -> None:
    path = write_whole(tmp_path / "a", "before")
    with pytest.raises(type(fault)):
        _write_half(path, fault)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_is_one_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file stands where a folder is needed")
    target = tmp_path / "folder" / "a"
    with (
        pytest.raises(StorageError, match=r"the report cannot be written: .*Make room") as caught,
        storage(target, "the report", keyword="--out"),
    ):
        write_whole(target, "x")
    assert caught.value.source == str(target)
    assert caught.value.keyword == "--out"


def _write_half(path: Path, fault: BaseException) -> None:
    with whole_file(path) as stream:
        stream.write(b"half")
        raise fault
