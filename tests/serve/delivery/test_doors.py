"""Destinations as the settings name them, and the commands."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from mammolens.cli import app
from mammolens.errors import ConfigError
from mammolens.serve.delivery.transports import open_transport
from mammolens.serve.settings import NodeSettings, load_settings


def target(to: str, sinks=("fhir",), secrets=None, peers=None, **route):
    settings = NodeSettings(
        routes=[{"name": "My-Route", "to": to, "sinks": sinks, **route}],
        secrets=secrets or {},
        dimse={"peers": peers or {}},
    )
    return open_transport(settings.routes[0], settings).target


def test_destinations_are_taken_apart():
    found = target("fhir+https://ehr.test/base/r4/", timeout_s=3)
    assert (found.host, found.port, found.path) == ("ehr.test", 443, "/base/r4")
    assert (found.timeout_s, found.tls_name, found.authorization) == (3, "ehr.test", None)
    assert target("stow+http://[::1]:8042", ["dicom-sc"]).port == 8042
    assert target("mllp://ris.test", ["hl7"]).port == 2575
    assert target("mllps://ris.test:1", ["hl7"]).tls is not None
    assert target("out/results", ["json"]).path == "out/results"
    assert target("file:///srv/my%20share", ["json"]).path == "/srv/my share"
    assert target("archive", ["dicom-sc"], peers={"archive": "dicom://A@h:104"}).peer.port == 104


def test_secrets_go_into_the_header_and_nowhere_else():
    bearer = target("fhir+https://h/b", secrets={"my_route": "s3cret"})
    basic = target("fhir+http://127.0.0.1/b", secrets={"my_route": "s3cret"}, user="ann")
    assert bearer.authorization == "Bearer s3cret"
    assert basic.authorization == "Basic YW5uOnMzY3JldA=="
    assert "s3cret" not in repr(bearer) + repr(basic)
    assert "s3cret" not in repr(NodeSettings(secrets={"a": "s3cret"}))


@pytest.mark.parametrize(
    ("to", "more", "said"),
    [
        ("ftp://h/x", {}, "no way to send to ftp://"),
        ("fhir+https:///x", {}, "lacks its host"),
        ("fhir+https://u:p@h/x", {}, "user or password in the address"),
        ("fhir+https://h:x/x", {}, "cannot be understood"),
        ("fhir+https://h/x?a=b", {}, "must end with its path"),
        ("fhir+https://h/x", {"sinks": ["hl7"]}, "fhir cannot send the files of the sink 'hl7'"),
        ("mllp://h", {"sinks": ["json"]}, "mllp cannot send"),
        ("dicom://A@h:1", {"sinks": ["fhir"]}, "dimse cannot send"),
        ("dicom://h:1", {"sinks": ["dicom-sc"]}, "not the address of a DICOM node"),
        ("fhir+http://ehr.test/b", {"secrets": {"my_route": "x"}}, "sent in the clear"),
        ("fhir+https://h/b", {"secrets": {"my_route": "x\n"}}, "not a bearer token"),
        ("fhir+https://h/b", {"user": "ann"}, "no password"),
        ("mllp://h", {"sinks": ["hl7"], "secrets": {"my_route": "x"}}, "uses no secret"),
        ("fhir+https://h/b", {"ca": "absent.pem"}, "certificates cannot be used"),
        ("fhir+https://h/b", {"commitment": True}, "over DIMSE only"),
    ],
)
def test_what_cannot_be_used_is_named(to, more, said):
    with pytest.raises(ConfigError, match=said):
        target(to, **more)


def test_secrets_come_from_the_environment(tmp_path, monkeypatch):
    path = tmp_path / "node.toml"
    path.write_text('[[routes]]\nname = "My-EHR"\nto = "fhir+https://h/b"\nsinks = ["fhir"]\n')
    monkeypatch.setenv("MAMMOLENS_SECRETS__MY_EHR", "s3cret")
    settings = load_settings(path)
    assert open_transport(settings.routes[0], settings).target.authorization == "Bearer s3cret"
    monkeypatch.setenv("MAMMOLENS_SECRETS__MY_EH", "s3cret")
    with pytest.raises(ConfigError, match=r"no setting 'secrets.my_eh'.*Use 'secrets.my_ehr'"):
        load_settings(path)


def test_the_commands_send_list_and_send_again(make_node, tmp_path):
    (tmp_path / "share").mkdir()
    node = make_node({"name": "a", "to": str(tmp_path / "share"), "sinks": ["json"]})
    node.enter({("json", "bad"): b"bad", ("json", "good"): b"good"})
    bad = node.state.results.put(b"bad")
    node.state.results.path(bad.digest).write_bytes(b"dab")
    settings = tmp_path / "node.toml"
    settings.write_text(
        f'data = "{tmp_path / "node"}"\ndatabase = "{node.state.settings.database}"\n'
        f'[[routes]]\nname = "a"\nto = "{tmp_path / "share"}"\nsinks = ["json"]\n'
    )

    def run(*arguments: str):
        return CliRunner().invoke(app, [*arguments, "--config", str(settings)])

    assert run("deliver", "--once").exit_code == 0
    (letter,) = json.loads(run("node", "dead", "--json").stdout)
    assert (letter["route"], letter["error"]) == ("a", "the file in the store is damaged")
    assert "1 attempts: the file in the store is damaged" in run("node", "dead").stdout
    node.state.results.path(bad.digest).write_bytes(b"bad")
    assert isinstance(run("node", "resend").exception, ConfigError)
    assert run("node", "resend", "99").exit_code == 1
    assert "queued again: 1" in run("node", "resend", str(letter["id"])).stdout
    assert run("deliver", "--once").exit_code == 0
    assert node.states() == ["done", "done"]
    assert "queued again: 0" in run("node", "resend", "--all").stdout
    assert run("node", "dead").stdout == "no dead letters\n"
