"""Watched folders under attack: no single entry stops a look, and nothing is written over."""

from __future__ import annotations

import errno
import json
import os
import resource
import socket
import stat
import subprocess
import threading
import time
from pathlib import Path

import pytest

from mammolens.errors import ConfigError
from mammolens.serve.commands import run_node
from mammolens.serve.holdings import NodeState, Store
from mammolens.serve.intake import watch as watch_module
from mammolens.serve.intake import watched_files, watching
from mammolens.serve.intake.watch import AGAIN_S, Watch
from mammolens.serve.record import AUDIT, INSTANCES
from mammolens.serve.settings import NodeSettings

pytestmark = pytest.mark.slow

LONG = "n" * 245


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
        watch={"folders": {"scans": folder}, "settle_s": 5, "patience_s": 60, "poll_s": 0.05},
    )
    stores = (Store(settings.data / name) for name in ("received", "results"))
    return Watch(NodeState(settings, database, *stores), "scans", folder)


def names(folder) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def settle(watch) -> int:
    return watch.look(0) + watch.look(5)


@pytest.mark.parametrize("length", [230, 241, 245, 255])
def test_a_long_name_stops_nothing(watch, folder, mammogram, rows, length):
    (folder / ("a" * length)).write_text("no picture")
    (folder / ("b" * length)).write_bytes(mammogram(0))
    (folder / "z.dcm").write_bytes(mammogram(1))
    assert settle(watch) == 3
    assert len(rows(INSTANCES)) == 2
    assert names(folder / "done")[-1] == "z.dcm"
    refused = names(folder / "refused")
    assert [name.endswith(".reason.txt") for name in refused] == [False, True]
    assert refused[1] == f"{refused[0]}.reason.txt"
    assert watch.state.notices.all() == ()


@pytest.mark.parametrize(
    "name", [b"\xff\xfe.dcm", b"two\nlines.dcm", "ä ß.dcm".encode(), b"-rf *.dcm", b"..dcm.."]
)
def test_an_odd_name_is_a_name(watch, folder, mammogram, rows, name):
    path = Path(os.fsdecode(os.fsencode(folder) + b"/" + name))
    path.write_bytes(mammogram(0))
    (folder / "z.dcm").write_bytes(mammogram(1))
    hidden = name.startswith(b".")
    assert settle(watch) == 2 - hidden
    assert len(rows(INSTANCES)) == 2 - hidden
    assert (folder / "done" / path.name).exists() is not hidden


def test_what_is_no_file_is_passed_over(watch, folder, mammogram, rows, tmp_path):
    os.mkfifo(folder / "a.dcm")
    with socket.socket(socket.AF_UNIX) as listening:
        os.chdir(folder)  # the name of a socket has 108 bytes at most
        try:
            listening.bind("b.dcm")
        finally:
            os.chdir("/")
    if os.geteuid() == 0:
        os.mknod(folder / "c.dcm", 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret.dcm").write_bytes(mammogram(3))
    (folder / "d").symlink_to(tmp_path / "elsewhere")
    (folder / "e.dcm").symlink_to("e.dcm")
    (folder / "z.dcm").write_bytes(mammogram(0))
    assert settle(watch) == 1
    assert len(rows(INSTANCES)) == 1
    assert names(tmp_path / "elsewhere") == ["secret.dcm"]


@pytest.mark.parametrize("swapped", ["a pipe", "a link", "a folder"])
def test_what_is_swapped_in_for_a_listed_file_blocks_nothing(
    watch, folder, mammogram, rows, swapped, monkeypatch, tmp_path
):
    path = folder / "a.dcm"
    path.write_bytes(mammogram(0))
    (folder / "z.dcm").write_bytes(mammogram(1))
    (tmp_path / "elsewhere").write_bytes(mammogram(2))
    listed = watched_files.WatchedFiles.walk

    def walk_and_swap(*arguments):
        yield from listed(*arguments)
        if path.is_file():
            path.unlink()
            make = {
                "a pipe": lambda: os.mkfifo(path),
                "a link": lambda: path.symlink_to(tmp_path / "elsewhere"),
                "a folder": path.mkdir,
            }
            make[swapped]()

    watch.look(0)
    monkeypatch.setattr(watched_files.WatchedFiles, "walk", walk_and_swap)
    done = []
    looking = threading.Thread(target=lambda: done.append(watch.look(5)), daemon=True)
    looking.start()
    looking.join(60)
    assert done == [1]
    assert len(rows(INSTANCES)) == 1


def test_a_folder_that_is_swapped_for_a_link_leads_nowhere(watch, folder, mammogram, tmp_path):
    (folder / "a").mkdir()
    (folder / "a" / "view.dcm").write_bytes(mammogram(0))
    watch.look(0)
    others = tmp_path / "others"
    (folder / "a").rename(others)
    (folder / "a").symlink_to(others)
    assert watch.look(5) == 0
    assert names(others) == ["view.dcm"]
    (folder / "done").symlink_to(others)
    (folder / "z.dcm").write_bytes(mammogram(1))
    assert (watch.look(10), watch.look(15)) == (0, 0)
    assert names(others) == ["view.dcm"]


def test_a_deep_tree_is_looked_into_as_far_as_trees_go(watch, folder, mammogram, rows):
    handle = os.open(folder, os.O_RDONLY)
    for _ in range(1000):
        os.mkdir("deeper", dir_fd=handle)
        below = os.open("deeper", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    os.close(handle)
    near = folder / "/".join(["deeper"] * 10)
    (near / "view.dcm").write_bytes(mammogram(0))
    (folder / "z.dcm").write_bytes(mammogram(1))
    try:
        assert settle(watch) == 2
    finally:  # pytest cannot remove what is so deep
        subprocess.run(["rm", "-rf", folder / "deeper"], check=True)
    assert len(rows(INSTANCES)) == 2
    assert any("deeper than" in notice for notice in watch.state.notices.all())


def test_a_sparse_file_of_terabytes_is_refused_by_its_size(watch, folder, mammogram):
    with (folder / "huge.dcm").open("wb") as stream:
        stream.write(mammogram(0))
        try:
            stream.truncate(2 << 40)
        except OSError:
            stream.truncate(2 << 34)
    (folder / "z.dcm").write_bytes(mammogram(1))
    began = time.monotonic()
    assert settle(watch) == 2
    assert time.monotonic() - began < 30
    assert "larger than" in (folder / "refused" / "huge.dcm.reason.txt").read_text()


def test_a_file_that_grows_for_ever_holds_nothing_up(watch, folder, mammogram, rows):
    (folder / "z.dcm").write_bytes(mammogram(0))
    with (folder / "a.dcm").open("wb", buffering=0) as growing:
        for now in range(0, 40, 5):
            growing.write(bytes(1000))
            watch.look(now)
    assert len(rows(INSTANCES)) == 1
    assert (folder / "a.dcm").exists()


def test_a_file_that_grows_while_it_is_read_ends_at_its_size(watch, folder, mammogram, monkeypatch):
    path = folder / "a.dcm"
    path.write_bytes(mammogram(0))
    watch.look(0)
    read = []
    write = watch_module.Draft.write

    def write_and_grow(draft, piece):
        read.append(len(piece))
        with path.open("ab") as growing:
            growing.write(bytes(1 << 20))
        write(draft, piece)

    monkeypatch.setattr(watch_module.Draft, "write", write_and_grow)
    assert watch.look(5) == 0
    assert len(read) <= 2


def failing(error: int):
    def fail(*_, **__):
        raise OSError(error, os.strerror(error))

    return fail


@pytest.mark.parametrize("error", [errno.EROFS, errno.ENOSPC, errno.EACCES, errno.ESTALE])
def test_what_cannot_be_moved_is_received_once_and_told_once(
    watch, folder, mammogram, rows, monkeypatch, error
):
    for number in range(3):
        (folder / f"{number}.dcm").write_bytes(mammogram(number))
    (folder / "note.txt").write_text("no picture")
    received = []
    receive = watch_module.receive

    def count(*arguments):
        received.append(1)
        return receive(*arguments)

    monkeypatch.setattr(watch_module, "receive", count)
    with monkeypatch.context() as patch:
        patch.setattr(watched_files.os, "rename", failing(error))
        for now in range(0, 300, 5):
            assert watch.look(now) == 0
    assert len(received) == 4
    assert len(rows(INSTANCES)) == 3
    told = [json.loads(row.detail) for row in rows(AUDIT) if row.action == "set_aside"]
    assert [(d["files"], d["error"]) for d in told] == [
        (4, f"cannot be moved ({os.strerror(error)})")
    ]
    (notice,) = watch.state.notices.all()
    assert notice.startswith("watch.folders.scans: 4 files: cannot be moved")
    assert sum(watch.look(300 + AGAIN_S + now) for now in (0, 5)) == 4
    assert len(received) == 4
    assert names(folder / "done") == ["0.dcm", "1.dcm", "2.dcm"]
    assert names(folder / "refused") == ["note.txt", "note.txt.reason.txt"]
    assert watch.state.notices.all() == ()


@pytest.mark.parametrize("kind", ["file", "link"])
def test_done_may_be_something_else(watch, folder, mammogram, rows, kind, tmp_path):
    if kind == "file":
        (folder / "done").write_text("mine")
    else:
        (tmp_path / "elsewhere").mkdir()
        (folder / "done").symlink_to(tmp_path / "elsewhere")
    (folder / "a.dcm").write_bytes(mammogram(0))
    (folder / "note.txt").write_text("no picture")
    for now in range(0, 100, 5):
        watch.look(now)
    assert len(rows(INSTANCES)) == 1
    assert (folder / "refused" / "note.txt").exists()
    if kind == "link":
        assert names(tmp_path / "elsewhere") == []
        assert (folder / "a.dcm").exists()
        (folder / "done").unlink()
        assert watch.look(200) == 1
    else:
        assert (folder / "refused" / "done").read_text() == "mine"
    assert names(folder / "done") == ["a.dcm"]


def test_one_file_that_breaks_reception_does_not_stop_the_others(
    watch, folder, mammogram, rows, monkeypatch
):
    (folder / "a.dcm").write_bytes(mammogram(0))
    (folder / "z.dcm").write_bytes(mammogram(1))
    receive, bad = watch_module.receive, mammogram(0)

    def break_at_one(state, draft, sender):
        if draft.size == len(bad) and draft.path.read_bytes() == bad:
            raise RecursionError("Doe^Jane")
        return receive(state, draft, sender)

    monkeypatch.setattr(watch_module, "receive", break_at_one)
    assert settle(watch) == 1
    assert len(rows(INSTANCES)) == 1
    assert watch.state.notices.all() == (
        "watch.folders.scans: 1 files: cannot be received (RecursionError)",
    )
    assert "Doe" not in str(rows(AUDIT))


def test_a_file_that_comes_under_the_name_of_one_that_was_read_is_not_moved(
    watch, folder, mammogram, rows, monkeypatch
):
    path = folder / "view.dcm"
    path.write_bytes(mammogram(0))
    watch.look(0)
    receive = watch_module.receive

    def receive_and_replace(*arguments):
        told = receive(*arguments)
        (folder / ".new").write_bytes(mammogram(1))
        (folder / ".new").rename(path)
        return told

    monkeypatch.setattr(watch_module, "receive", receive_and_replace)
    watch.look(5)
    monkeypatch.undo()
    assert path.read_bytes() == mammogram(1)
    assert [watch.look(now) for now in (10, 15)] == [0, 1]
    assert len(rows(INSTANCES)) == 2


def test_a_folder_that_may_not_be_entered_is_told(watch, folder, mammogram, monkeypatch):
    (folder / "closed").mkdir()
    (folder / "z.dcm").write_bytes(mammogram(0))
    entries = watched_files.WatchedFiles._entries

    def refuse(files, below):
        if below == "closed":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return entries(files, below)

    monkeypatch.setattr(watched_files.WatchedFiles, "_entries", refuse)
    assert settle(watch) == 1
    assert watch.state.notices.all() == ("watch.folders.scans: 1 folders: Permission denied",)


def test_hard_links_are_files_of_their_own(watch, folder, mammogram, rows):
    (folder / "a.dcm").write_bytes(mammogram(0))
    (folder / "b.dcm").hardlink_to(folder / "a.dcm")
    assert settle(watch) == 2
    assert len(rows(INSTANCES)) == 1
    assert names(folder / "done") == ["a.dcm", "b.dcm"]


def test_a_stop_is_obeyed_within_a_look(watch, folder):
    for number in range(3000):
        (folder / f"{number:05d}.txt").write_text("no picture")
    with watching(watch.state):
        time.sleep(0.3)
        began = time.monotonic()
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_second_node_is_refused_before_its_ports_open(
    watch,
    tmp_path,
    monkeypatch,
    kept_logging,  # noqa: ARG001
):
    opened = []
    for module in ("dimse.listening", "web.serving", "delivery.delivering", "ups.performing"):
        monkeypatch.setattr(f"mammolens.serve.{module}", lambda *_: opened.append(1))
    second = watch.state.settings.model_copy(update={"data": tmp_path / "second"})
    with watching(watch.state), pytest.raises(ConfigError, match="another node watches"):
        run_node(second)
    assert opened == []


@pytest.mark.longest
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_many_files_cost_little(watch, folder):
    for number in range(200_000):
        os.close(os.open(f"{folder}/{number:06d}.dcm", os.O_CREAT | os.O_WRONLY, 0o600))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    watch.look(0)
    print(f"look of 200,000: {time.monotonic() - began:.2f} s")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"{grown >> 10} MiB")
    assert grown < 200 << 10
