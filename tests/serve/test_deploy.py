"""What stands in ``deploy/`` is what the node understands, and what its host takes."""

from __future__ import annotations

import re
import shutil
import subprocess
import venv
from importlib.metadata import version
from pathlib import Path

import pytest

from mammolens.serve.delivery.transports import open_transport
from mammolens.serve.settings import load_settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())


def test_the_example_of_settings_is_taken():
    settings = load_settings(DEPLOY / "node.toml")
    assert settings.retention.exams_days == 90
    for route in settings.routes:
        open_transport(route, settings)


def test_every_section_that_is_commented_out_is_taken_too(tmp_path, monkeypatch):
    text = (DEPLOY / "node.toml").read_text("utf-8")
    keys = re.sub(r"^# (\[|[a-z_]+ = )", r"\1", text, flags=re.MULTILINE)
    (tmp_path / "node.toml").write_text(keys, "utf-8")
    monkeypatch.setenv("MAMMOLENS_INTAKE__DEIDENTIFY__KEY", "k" * 44)
    settings = load_settings(tmp_path / "node.toml")
    assert settings.intake.deidentify is not None
    assert settings.intake.deidentify.clean_models == ("Selenia Dimensions",)
    assert settings.dimse.certificate is not None
    assert "kkkk" not in repr(settings)


def test_a_key_in_the_environment_turns_de_identification_on(monkeypatch):
    monkeypatch.setenv("MAMMOLENS_INTAKE__DEIDENTIFY__KEY", "k" * 44)
    assert load_settings(DEPLOY / "node.toml").intake.deidentify is not None


def test_the_tests_run_with_the_versions_that_are_published():
    text = (ROOT / "constraints-node.txt").read_text("utf-8")
    pins = dict(re.findall(r"^([a-z0-9-]+)==(\S+)$", text, re.MULTILINE))
    assert {"pydicom", "pynetdicom", "sqlalchemy", "uvicorn", "onnxruntime"} <= {*pins}
    assert "://" not in text
    assert {name: version(name).partition("+")[0] for name in pins} == pins


def test_units_call_commands_that_exist():
    from typer.testing import CliRunner

    from mammolens.cli import app

    for unit in UNITS:
        for words in re.findall(r"^ExecStart=\S+ (.*)$", unit.read_text("utf-8"), re.MULTILINE):
            command = words.partition(" --")[0].split()
            assert CliRunner().invoke(app, [*command, "--help"]).exit_code == 0


@pytest.fixture
def systemd(tmp_path) -> Path:
    """The units, with a program that is there."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    for unit in UNITS:
        text = unit.read_text("utf-8").replace("/opt/mammolens/bin/mammolens", "/bin/true")
        text = re.sub(r"^(User|Group)=.*$", r"\1=daemon", text, flags=re.MULTILINE)
        (tmp_path / unit.name).write_text(text.replace("Group=daemon", "Group=nogroup"), "utf-8")
    return tmp_path


def test_systemd_takes_the_units(systemd):
    units = [str(systemd / unit.name) for unit in UNITS]
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if "mammolens" in line]
    assert (done.returncode, said) == (0, [])


def test_the_services_are_closed_in(systemd):
    for unit in UNITS:
        if unit.suffix != ".service":
            continue
        command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager"]
        done = subprocess.run(
            [*command, str(systemd / unit.name)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-600:] + done.stderr


@pytest.mark.slow
@pytest.mark.longest
def test_the_steps_of_the_container_work_in_a_clean_place(tmp_path):
    text = (DEPLOY / "Containerfile").read_text("utf-8")
    steps = [step for step in re.findall(r"^RUN (.*)$", text, re.MULTILINE) if "pip" in step]
    assert len(steps) == 2
    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv" / "bin"
    for step in steps:
        here = step.replace("/wheels", str(tmp_path / "wheels")).replace("/source", str(ROOT))
        here = here.replace("python -m", f"{programs}/python -m", 1)
        done = subprocess.run(["sh", "-c", here], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
    environment = {"MAMMOLENS_DATA": str(tmp_path / "data"), "PATH": str(programs)}
    for words in (["deliver", "--once"], ["node", "status"]):
        command = [programs / "mammolens", *words, "--config", DEPLOY / "node.toml"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert "exams       0" in done.stdout
    listed = subprocess.run(
        [programs / "python", "-m", "pip", "list"], capture_output=True, text=True, check=True
    )
    assert "torch" not in listed.stdout
