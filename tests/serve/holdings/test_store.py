"""The store: whole files or none, a full disk, and what a sweep may take."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mammolens.errors import StorageError
from mammolens.serve.holdings import Store
from mammolens.serve.holdings.store import sweep
from mammolens.serve.intake import receive
from mammolens.serve.record import INSTANCES
from mammolens.serve.settings import IntakeSettings

SMALL = IntakeSettings(min_free_mb=0)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def make_old(path: Path) -> None:
    os.utime(path, (1, 1))


def test_a_file_lies_under_its_digest(tmp_path):
    store = Store(tmp_path / "a" / "b")
    stored = store.put(b"content")
    assert stored.digest == hashlib.sha256(b"content").hexdigest()
    assert (stored.size, store.read(stored.digest)) == (7, b"content")
    (tmp_path / "source").write_bytes(b"content")
    assert store.put((tmp_path / "source").read_bytes()) == stored
    assert names(store.folder) == [stored.digest]


def test_a_file_is_flushed_before_it_is_named_and_its_folder_after(tmp_path, monkeypatch):
    store, acts = Store(tmp_path), []
    store.put(b"first")
    fsync, replace = os.fsync, Path.replace

    def note_fsync(handle):
        acts.append("folder" if Path(f"/proc/self/fd/{handle}").is_dir() else "file")
        fsync(handle)

    def note_replace(self, target):
        acts.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", note_replace)
    store.put(b"first")
    assert acts == ["file", "rename", "folder"]


def test_a_damaged_file_is_healed_by_sending_again(tmp_path):
    store = Store(tmp_path)
    stored = store.put(b"content")
    store.path(stored.digest).write_bytes(b"con")
    store.put(b"content")
    assert store.read(stored.digest) == b"content"


def test_what_is_gone_is_named(tmp_path):
    with pytest.raises(StorageError, match="cannot be read"):
        Store(tmp_path).read("0" * 64)


def test_reception_leaves_room_on_the_disk(tmp_path):
    with pytest.raises(StorageError, match="the disk is full"):
        Store(tmp_path, min_free=1 << 60).put(b"content")
    assert names(tmp_path) == []


FILL = """
import resource, signal, sys
from pathlib import Path
from mammolens.errors import StorageError
from mammolens.serve.record import open_database
from mammolens.serve.intake import receive
from mammolens.serve.settings import NodeSettings
from mammolens.serve.holdings import NodeState, Store

folder, database = Path(sys.argv[1]), open_database(sys.argv[2])
settings = NodeSettings(data=folder.parent, intake={"min_free_mb": 0})
state = NodeState(settings, database, Store(folder), Store(folder.parent / "results"))
data = Path(sys.argv[3]).read_bytes()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), resource.RLIM_INFINITY))
try:
    receive(state, data, "dimse:X")
except StorageError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.parametrize("limit", [4096, 20_000], ids=["the file", "the database"])
def test_a_full_disk_acknowledges_nothing(tmp_path, database, state, url, mammogram, rows, limit):
    """A limit of the system on file sizes stands for the full disk; the object has 17 kB."""
    if limit > 4096 and not database.is_sqlite:
        return  # a server has a disk of its own, which no limit here fills
    source = tmp_path / "source"
    source.write_bytes(mammogram())
    assert 4096 < source.stat().st_size < 20_000
    folder = tmp_path / "received"
    done = subprocess.run(
        [sys.executable, "-c", FILL, folder, url, source, str(limit)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "full" in done.stdout or "cannot be used" in done.stdout
    assert rows(INSTANCES) == []
    if limit == 4096:
        assert names(folder) == []
    receipt = receive(replace(state, received=Store(folder)), source.read_bytes(), "dimse:X")
    assert not receipt.repeated
    assert names(folder) == [receipt.digest]


def test_a_sweep_takes_old_orphans_only(state, mammogram):
    store = state.received
    kept = receive(state, mammogram(), "dimse:X")
    old, young = store.put(b"old"), store.put(b"young")
    partial = store.folder / "partial" / "left"
    partial.write_bytes(b"half")
    for path in (store.path(kept.digest), store.path(old.digest), partial):
        make_old(path)
    assert sweep(state.database, store) == 2
    assert names(store.folder) == sorted([kept.digest, young.digest])


def test_a_sweep_between_file_and_row_is_noticed(state, mammogram, monkeypatch, rows):
    put = Store.put

    def put_and_lose(self, content):
        stored = put(self, content)
        make_old(self.path(stored.digest))
        assert sweep(state.database, self) == 1
        return stored

    monkeypatch.setattr(Store, "put", put_and_lose)
    with pytest.raises(StorageError, match="swept away"):
        receive(state, mammogram(), "dimse:X")
    assert rows(INSTANCES) == []


def test_an_ignored_object_protects_no_file(state, mammogram, make_dicom):
    data = mammogram(SOPClassUID=make_dicom.CT, Modality="CT")
    receive(state, data, "dimse:X")
    stored = state.received.put(data)
    make_old(state.received.path(stored.digest))
    assert sweep(state.database, state.received) == 1
