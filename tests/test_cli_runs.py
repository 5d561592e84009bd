"""The doors to several runs: what they refuse, they refuse by name and without a trace."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs the extra mammolens[train]")

from mammolens import cli


def door(monkeypatch, capsys, *words: str) -> tuple[int, str]:
    """Exit code and error output of a command line."""
    monkeypatch.setattr("sys.argv", ["mammolens", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0), capsys.readouterr().err


@pytest.mark.parametrize("command", ["ensemble", "average"])
def test_folders_without_a_finished_run_are_named(command, tmp_path, monkeypatch, capsys):
    folders = [str(tmp_path / name) for name in ("a", "b")]
    code, said = door(monkeypatch, capsys, command, *folders, "--out", str(tmp_path / "out"))
    assert code == 2
    assert "has no finished pass" in said
    code, said = door(monkeypatch, capsys, command, folders[0], "--out", str(tmp_path / "out"))
    assert code == 2
    assert "one run is not an ensemble" in said
    assert not (tmp_path / "out").exists()


def test_a_run_that_cannot_be_read_is_named(tmp_path, monkeypatch, capsys):
    words = ("crossvalidate", str(tmp_path / "no.toml"), "--out", str(tmp_path / "out"))
    code, said = door(monkeypatch, capsys, *words)
    assert code == 2
    assert "no.toml" in said
    code, _ = door(monkeypatch, capsys, *words, "--folds", "1")
    assert code == 2
    assert not (tmp_path / "out").exists()
