"""A backup is the node at one instant; what is not whole is refused, and nothing is overwritten."""

from __future__ import annotations

import json
import re
import shutil
import threading

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from mammolens.cli import app
from mammolens.errors import ConfigError, StorageError
from mammolens.serve.holdings import back_up, open_state, restore
from mammolens.serve.holdings.backup import verify_backup
from mammolens.serve.intake import receive
from mammolens.serve.record import AUDIT, FILES, INSTANCES
from mammolens.serve.record.tables import METADATA

from ..in_process import work_once


@pytest.fixture
def node(state, clock, send_views):
    """A node with an exam, its result, and a note of something else."""
    send_views(state, range(4))
    send_views(state, [0], SOPClassUID="1.2.840.10008.5.1.4.1.1.2", SOPInstanceUID="1.9")
    clock.turn(61)
    assert work_once(state) == 1
    return state


@pytest.fixture
def elsewhere(request, node, tmp_path, url):
    """Settings of another, empty place of the same kind."""
    other = tmp_path / "other" / "node.sqlite"
    database = f"sqlite:///{other}"
    if not url.startswith("sqlite"):
        database = request.getfixturevalue("cluster").new_database()
    return node.settings.model_copy(update={"data": tmp_path / "other-data", "database": database})


@pytest.fixture
def here(node, url):
    """The node's settings as they would stand in its file."""
    settings = node.settings.model_copy(update={"database": url})
    return type(node)(settings, node.database, node.received, node.results)


def all_rows(database) -> dict[str, list[tuple[object, ...]]]:
    with database.read() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(sa.select(table))]
            for table in METADATA.sorted_tables
        }


def test_everything_comes_back(here, elsewhere, tmp_path):
    report = back_up(here, tmp_path / "backup")
    assert (report.received, report.results) == (4 + 4, 1)  # films and their previews
    assert verify_backup(tmp_path / "backup") == report
    assert not list(tmp_path.glob("*.partial"))
    assert restore(elsewhere, tmp_path / "backup") == report
    with open_state(elsewhere) as state:
        assert all_rows(state.database) == all_rows(here.database)
        with state.database.read() as connection:
            for table, store in ((INSTANCES, state.received), (FILES, state.results)):
                for row in connection.execute(sa.select(table)):
                    if getattr(row, "role", "") != "ignored":
                        assert store.read(row.digest)


def test_a_backup_is_taken_while_the_node_receives(here, tmp_path, mammogram):
    stop, received = threading.Event(), []

    def go_on() -> None:
        number = 10
        while not stop.is_set():
            data = mammogram(number, StudyInstanceUID="1.2.9", picture=number)
            receive(here, data, "dimse:X")
            received.append(number)
            number += 1

    sender = threading.Thread(target=go_on)
    sender.start()
    try:
        reports = [back_up(here, tmp_path / str(n)) for n in range(3)]
    finally:
        stop.set()
        sender.join()
    assert len(received) > 0
    assert reports[0].received >= 4
    assert [r.received for r in reports] == sorted(r.received for r in reports)


def test_a_target_that_is_not_empty_is_refused(here, elsewhere, tmp_path, url):
    back_up(here, tmp_path / "backup")
    with pytest.raises(ConfigError, match="exists already"):
        back_up(here, tmp_path / "backup")
    with pytest.raises(ConfigError, match="not empty"):
        restore(here.settings, tmp_path / "backup")
    used = elsewhere.model_copy(update={"database": url})
    with pytest.raises(ConfigError, match=r"exists already|not empty"):
        restore(used, tmp_path / "backup")


def change(kind: str, folder) -> None:
    file = next((folder / "received").glob("??/*"))
    if kind == "file":
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
    elif kind == "missing":
        file.unlink()
    elif kind == "database":
        (database,) = folder.glob("node.*")
        with database.open("r+b") as stream:
            stream.seek(-1, 2)
            stream.write(b"?")
    elif kind == "manifest":
        (folder / "manifest.json").unlink()
    else:
        told = json.loads((folder / "manifest.json").read_text())
        told["audit_head"] = told["audit_head"][:-1] + "x"
        (folder / "manifest.json").write_text(json.dumps(told))


@pytest.mark.parametrize("kind", ["file", "missing", "database", "manifest"])
def test_a_backup_that_is_not_whole_is_not_restored(here, elsewhere, tmp_path, kind):
    back_up(here, tmp_path / "backup")
    change(kind, tmp_path / "backup")
    with pytest.raises(StorageError, match="not complete"):
        restore(elsewhere, tmp_path / "backup")
    assert not elsewhere.data.exists()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_trail_that_is_not_that_of_the_backup_is_found(here, tmp_path):
    back_up(here, tmp_path / "backup")
    change("head", tmp_path / "backup")
    with pytest.raises(StorageError, match="audit trail"):
        verify_backup(tmp_path / "backup")


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_no_backup_is_made_of_a_node_that_has_lost_a_file(here, tmp_path):
    shutil.rmtree(here.received.folder)
    with pytest.raises(StorageError, match="deleted"):
        back_up(here, tmp_path / "backup")
    assert not list(tmp_path.glob("backup*"))


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_another_kind_of_database_is_refused(here, elsewhere, tmp_path):
    back_up(here, tmp_path / "backup")
    other = elsewhere.model_copy(update={"database": "postgresql://node@127.0.0.1/x"})
    with pytest.raises(ConfigError, match="same kind"):
        restore(other, tmp_path / "backup")


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_the_restored_node_goes_on_with_its_trail(here, elsewhere, tmp_path, mammogram):
    back_up(here, tmp_path / "backup")
    restore(elsewhere, tmp_path / "backup")
    with open_state(elsewhere) as state:
        before = len(all_rows(state.database)["audit"])
        receipt = receive(state, mammogram(0), "dimse:X")
        assert receipt.repeated
        with state.database.read() as connection:
            assert len(connection.execute(sa.select(AUDIT)).all()) == before + 1


@pytest.mark.usefixtures("kept_logging")
def test_the_doors(tmp_path, package, mammogram):
    for name in ("here", "there"):
        lines = [f'data = "{tmp_path / name}"', f'model = "{package}"', "[intake]"]
        lines += ["min_free_mb = 0", "[retention]", "exams_days = 1"]
        (tmp_path / f"{name}.toml").write_text("\n".join(lines), "utf-8")
    (tmp_path / "view.dcm").write_bytes(mammogram(0))

    def call(*words: str, name: str = "here") -> str:
        done = CliRunner().invoke(app, ["node", *words, "--config", str(tmp_path / f"{name}.toml")])
        assert done.exit_code == 0, done.output
        return done.output

    call("add", str(tmp_path / "view.dcm"))
    assert "nothing is due" in call("expire", "--dry-run")
    head = call("status").rpartition("audit ")[2].split()[-1]
    assert head in call("backup", str(tmp_path / "backup"))
    assert "1 objects" in call("restore", str(tmp_path / "backup"), name="there")
    assert head in call("verify", "--head", head, name="there")
    told = [re.sub(r"waits for \d+ s", "waits", call("status", name=n)) for n in ("here", "there")]
    assert told[0] == told[1]
