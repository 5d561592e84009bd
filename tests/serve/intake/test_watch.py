"""Watched folders: what appears is received once, when it is whole, and moved."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from mammolens.errors import ConfigError, StorageError
from mammolens.serve.holdings import NodeState, Store
from mammolens.serve.holdings import store as store_module
from mammolens.serve.intake import watching
from mammolens.serve.intake.watch import Watch
from mammolens.serve.record import AUDIT, EXAMS, INSTANCES, open_database
from mammolens.serve.settings import NodeSettings


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "in"
    made.mkdir()
    return made


@pytest.fixture
def watch(tmp_path, database, folder):
    settings = NodeSettings(
        data=tmp_path / "node",
        intake={"min_free_mb": 0, "max_mb": 4},
        watch={"folders": {"scans": folder}, "settle_s": 5, "patience_s": 60},
    )
    stores = (Store(settings.data / name) for name in ("received", "results"))
    return Watch(NodeState(settings, database, *stores), "scans", folder)


def names(folder) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_a_file_is_received_when_it_has_settled(watch, folder, mammogram, rows):
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "view.dcm").write_bytes(mammogram(0))
    assert [watch.look(now) for now in (0, 4.9)] == [0, 0]
    assert rows(INSTANCES) == []
    assert watch.look(5) == 1
    assert names(folder) == ["done/a/b/view.dcm"]
    assert (folder / "done/a/b/view.dcm").read_bytes() == mammogram(0)
    (row,) = rows(INSTANCES)
    assert (row.role, row.sender) == ("input", "folder:scans")
    assert [watch.look(now) for now in (10, 20)] == [0, 0]
    assert len(rows(AUDIT)) == 1


def test_a_file_that_grows_is_waited_for(watch, folder, mammogram, rows):
    content, path = mammogram(0), folder / "view.dcm"
    for number, end in enumerate(range(0, len(content), len(content) // 4)):
        path.write_bytes(content[:end])
        assert watch.look(number * 4) == 0
    path.write_bytes(content)
    assert [watch.look(now) for now in (40, 44)] == [0, 0]
    assert watch.look(45) == 1
    assert [r.size for r in rows(INSTANCES)] == [len(content)]


def test_a_file_that_was_cut_is_waited_for_and_then_refused(watch, folder, mammogram, rows):
    path = folder / "view.dcm"
    path.write_bytes(mammogram(0)[:-100])
    assert [watch.look(now) for now in (0, 5, 59)] == [0, 0, 0]
    path.write_bytes(mammogram(0))
    assert [watch.look(now) for now in (60, 65)] == [0, 1]
    (folder / "other.dcm").write_bytes(mammogram(1)[:-100])
    assert [watch.look(now) for now in (100, 130, 160)] == [0, 0, 1]
    assert names(folder / "refused") == ["other.dcm", "other.dcm.reason.txt"]
    assert len(rows(INSTANCES)) == 1


def test_compressed_files_are_held_to_the_same(watch, folder, mammogram, make_dicom):
    whole = mammogram(0, make_dicom.RLE)
    (folder / "whole.dcm").write_bytes(whole)
    (folder / "cut.dcm").write_bytes(whole[:-60])
    assert [watch.look(now) for now in (0, 5)] == [0, 1]
    assert names(folder) == ["cut.dcm", "done/whole.dcm"]


def test_a_file_that_changes_while_it_is_read_is_left(watch, folder, mammogram, rows, monkeypatch):
    path = folder / "view.dcm"
    path.write_bytes(mammogram(0))
    watch.look(0)
    write = store_module.Draft.write

    def write_and_change(draft, piece):
        write(draft, piece)
        os.utime(path, (1, 1))

    monkeypatch.setattr(store_module.Draft, "write", write_and_change)
    assert watch.look(5) == 0
    monkeypatch.undo()
    assert rows(INSTANCES) == []
    assert [watch.look(now) for now in (6, 11)] == [0, 1]


def test_what_is_no_dicom_is_refused_with_its_reason(watch, folder, mammogram):
    (folder / "sub").mkdir()
    (folder / "sub/notes.txt").write_text("not a picture")
    (folder / "huge.dcm").write_bytes(mammogram(0) + bytes(5 << 20))
    watch.look(0)
    assert watch.look(5) == 2
    refused = folder / "refused"
    assert names(refused) == [
        "huge.dcm",
        "huge.dcm.reason.txt",
        "sub/notes.txt",
        "sub/notes.txt.reason.txt",
    ]
    assert (refused / "sub/notes.txt.reason.txt").read_text().startswith("NotAnImage: ")
    assert "larger than 4 MiB" in (refused / "huge.dcm.reason.txt").read_text()


def test_unfinished_names_and_links_are_passed_over(watch, folder, mammogram, tmp_path):
    for name in ("a.dcm.part", ".hidden", "b.tmp", "c.filepart", "d~"):
        (folder / name).write_bytes(mammogram(0))
    (tmp_path / "secret").write_bytes(mammogram(1))
    (folder / "link.dcm").symlink_to(tmp_path / "secret")
    (folder / "loop").symlink_to(folder)
    assert [watch.look(now) for now in (0, 5)] == [0, 0]
    (folder / "a.dcm.part").rename(folder / "a.dcm")
    assert [watch.look(now) for now in (6, 11)] == [0, 1]
    assert names(folder / "done") == ["a.dcm"]
    assert (folder / "link.dcm").is_symlink()


def test_nothing_in_done_is_written_over(watch, folder, mammogram):
    for number in range(3):
        (folder / "view.dcm").write_bytes(mammogram(number))
        watch.look(number * 10)
        watch.look(number * 10 + 5)
    assert names(folder / "done") == ["view.dcm", "view.dcm.1", "view.dcm.2"]
    assert (folder / "done/view.dcm.1").read_bytes() == mammogram(1)


def test_a_full_disk_loses_nothing(watch, folder, mammogram, monkeypatch, rows):
    (folder / "view.dcm").write_bytes(mammogram(0))
    watch.look(0)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store_module.os, "fsync", full)
    with pytest.raises(StorageError):
        watch.look(5)
    monkeypatch.undo()
    assert names(folder) == ["view.dcm"]
    assert watch.look(6) == 1
    assert len(rows(INSTANCES)) == 1


def test_a_folder_is_watched_by_one_node(watch, tmp_path):
    with (
        watching(watch.state),
        pytest.raises(ConfigError, match=r"another node.*watch\.folders\.scans"),
        watching(watch.state),
    ):
        pass
    gone = watch.state.settings.model_copy(
        update={
            "watch": watch.state.settings.watch.model_copy(
                update={"folders": {"x": tmp_path / "no"}}
            )
        }
    )
    with (
        pytest.raises(ConfigError, match="cannot be watched"),
        watching(NodeState(gone, watch.state.database, watch.state.received, watch.state.results)),
    ):
        pass


CHILD = """
import json, os, signal, sys, threading
from mammolens.serve.intake import watch
from mammolens.serve.settings import NodeSettings
from mammolens.serve.holdings import open_state

point = sys.argv[1]

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

if point == "received":
    watch.Watch._move = die
elif point == "moved":
    real = watch.Watch._move
    watch.Watch._move = lambda *a: (real(*a), die())
elif point == "copied":
    watch.receive = die
with open_state(NodeSettings(**json.loads(sys.argv[2]))) as state, watch.watching(state):
    threading.Event().wait()
"""


@pytest.mark.slow
@pytest.mark.longest
def test_killed_at_any_point_each_file_is_received_once(tmp_path, folder, mammogram):
    settings = {
        "data": str(tmp_path / "node"),
        "intake": {"min_free_mb": 0},
        "watch": {"folders": {"scans": str(folder)}, "settle_s": 0.05, "poll_s": 0.02},
    }
    for number in range(4):
        (folder / f"{number}.dcm").write_bytes(mammogram(number))
    (folder / "note.txt").write_text("no picture")
    for point in ("copied", "received", "moved"):
        child = [sys.executable, "-c", CHILD, point, json.dumps(settings)]
        done = subprocess.run(child, timeout=60, check=False)
        assert done.returncode == -signal.SIGKILL
    last = subprocess.Popen([sys.executable, "-c", CHILD, "none", json.dumps(settings)])
    until = time.monotonic() + 60
    while len(names(folder / "done")) < 4 or not (folder / "refused/note.txt").exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    last.kill()
    last.wait()
    database = open_database(f"sqlite:///{tmp_path / 'node' / 'node.sqlite'}")
    with database.read() as connection:
        found = connection.execute(INSTANCES.select()).all()
        assert len(connection.execute(EXAMS.select()).all()) == 1
    database.close()
    assert sorted(r.sop_instance_uid for r in found) == [f"1.2.3.4.{n}" for n in range(4)]
    assert names(folder / "done") == [f"{n}.dcm" for n in range(4)]
