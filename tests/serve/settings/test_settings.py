"""Settings: the file, the environment, and keys that nobody knows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mammolens.errors import ConfigError
from mammolens.serve.settings import NodeSettings, load_settings


@pytest.fixture
def write(tmp_path):
    def write(text: str):
        path = tmp_path / "node.toml"
        path.write_text(text, "utf-8")
        return path

    return write


def test_the_file_is_read(write):
    settings = load_settings(
        write('data = "d"\n[jobs]\nlease_s = 5\n[[routes]]\nname = "p"\nto = "x"\nsinks = ["fhir"]')
    )
    assert settings.jobs.lease_s == 5
    assert settings.all_sinks == ("json", "fhir")
    assert settings.database_url.startswith("sqlite:////")


def test_the_environment_wins_over_the_file(write, monkeypatch):
    monkeypatch.setenv("MAMMOLENS_JOBS__LEASE_S", "7")
    monkeypatch.setenv("MAMMOLENS_MODEL", "other")
    settings = load_settings(write('model = "one"\n[jobs]\nlease_s = 5\nmax_attempts = 2'))
    assert (settings.jobs.lease_s, settings.jobs.max_attempts) == (7, 2)
    assert settings.model.name == "other"


def test_the_environment_may_name_the_file(write, monkeypatch):
    monkeypatch.setenv("MAMMOLENS_CONFIG", str(write('model = "named"')))
    assert load_settings().model.name == "named"


def test_an_unknown_key_fails_with_the_nearest(write):
    with pytest.raises(ConfigError, match=r"jobs.lease_sec.*Use 'jobs.lease_s'"):
        load_settings(write("[jobs]\nlease_sec = 5"))


def test_an_unknown_variable_fails_with_the_nearest(write, monkeypatch):
    monkeypatch.setenv("MAMMOLENS_JOBS__LEASE", "7")
    with pytest.raises(ConfigError, match="Use 'MAMMOLENS_JOBS__LEASE_S'"):
        load_settings(write(""))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[jobs]\nlease_s = 0", "jobs.lease_s"),
        ("[model]\nprevalence = 1.0", "model.prevalence"),
        ("prevalence = 1.0", "model.prevalence"),
        ("[model]\nprevalance = 0.1", "Use 'model.prevalence'"),
        ("prevalence = 0.1\n[model]\nprevalence = 0.2", "Keep model.prevalence alone"),
        ("data = [", "cannot be read"),
        ('[[routes]]\nname="a"\nto="x"\nsinks=["json"]\n' * 2, "two routes are called 'a'"),
    ],
)
def test_an_impossible_setting_is_named(write, text, said):
    with pytest.raises(ConfigError, match=said):
        load_settings(write(text))


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ('[model]\nname = "m"\nprevalence = 0.01', {}),
        ('model = "m"\nprevalence = 0.01', {}),
        ('model = "m"\nprevalence = 0.5', {"MODEL__PREVALENCE": "0.01"}),
        ('[model]\nname = "other"\nprevalence = 0.5', {"MODEL": "m", "PREVALENCE": "0.01"}),
        ('[model]\nname = "m"', {"PREVALENCE": "0.01"}),
        ("prevalence = 0.01", {"MODEL": '{"name": "m"}'}),
    ],
)
def test_the_old_names_of_model_and_prevalence_are_still_read(write, monkeypatch, text, variables):
    for name, value in variables.items():
        monkeypatch.setenv(f"MAMMOLENS_{name}", value)
    model = load_settings(write(text)).model
    assert (model.name, model.prevalence) == ("m", 0.01)


def test_an_old_and_a_new_variable_together_are_refused(write, monkeypatch):
    monkeypatch.setenv("MAMMOLENS_PREVALENCE", "0.01")
    monkeypatch.setenv("MAMMOLENS_MODEL__PREVALENCE", "0.02")
    with pytest.raises(ConfigError, match="MAMMOLENS_PREVALENCE is its old name"):
        load_settings(write(""))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.toml"):
        load_settings(tmp_path / "absent.toml")


def test_settings_do_not_change_and_do_not_show_the_password(write):
    settings = load_settings(write('database = "postgresql://node:hunter2@db/node"'))
    assert "hunter2" not in repr(settings)
    with pytest.raises(ValueError, match="frozen"):
        settings.model = "x"


def test_tokens_and_secrets_of_servers_come_from_the_environment(write, monkeypatch):
    monkeypatch.setenv("MAMMOLENS_WEB__TOKENS__PACS", "0123456789abcdef")
    monkeypatch.setenv("MAMMOLENS_SECRETS__MY_PACS", "word")
    settings = load_settings(write('[web.peers]\nMy-PACS = "https://ai@pacs.example/dicom-web"'))
    assert settings.web.tokens["pacs"].get_secret_value() == "0123456789abcdef"
    assert settings.secrets["my_pacs"].get_secret_value() == "word"
    assert "0123456789abcdef" not in repr(settings)
    with pytest.raises(ConfigError, match=r"no setting 'secrets\.my_pacs'"):
        load_settings(write(""))


def test_the_security_page_shows_the_limits_of_the_settings():
    page = (Path(__file__).parents[3] / "docs" / "reference" / "security.md").read_text("utf-8")
    shown = re.findall(r"`([a-z]+)\.([a-z_]+)` \(([\d,]+)(?: MiB| s)?\)", page)
    assert len(shown) > 4
    defaults = NodeSettings()
    for section, key, number in shown:
        default = getattr(getattr(defaults, section), key)
        assert float(number.replace(",", "")) == default, f"{section}.{key}"
    for section, key in re.findall(r"`(dimse|web|intake|jobs)\.([a-z_]+)`", page):
        assert hasattr(getattr(defaults, section), key), f"{section}.{key}"


def test_the_security_page_shows_the_limits_of_the_code():
    from mammolens.images.dicom import attributes
    from mammolens.serve.dimse import _commitment_data
    from mammolens.serve.people import api_tokens, attempts, passwords, provider, sessions, sign_in
    from mammolens.serve.record import refusals
    from mammolens.serve.web import _framing

    page = (Path(__file__).parents[3] / "docs" / "reference" / "security.md").read_text("utf-8")
    for said in (
        f"{attributes.MAX_STEPS:,} elements, {attributes.MAX_DEPTH} levels",
        f"{attributes.MAX_KEPT_BYTES >> 10} KiB in all",
        f"deflate at most {attributes.MAX_RATIO} : 1",
        f"{_commitment_data.MOST_REFERENCES:,} objects a request",
        f"{refusals.ROWS_OF_A_KIND} rows of a kind and {2 * refusals.ROWS_OF_ALL} rows in all",
        f"{_framing.MOST_HEAD_BYTES >> 10} KiB, {_framing.MOST_HEADERS} headers",
        f"{attempts.PER_ACCOUNT_AND_ADDRESS.most} in 15 minutes for an account from one address",
        f"{attempts.PER_ACCOUNT.most} from all; {attempts.PER_ADDRESS.most} in 5 minutes from an",
        f"{passwords.AT_A_TIME} at a time, {passwords.MOST_WAITING} wait",
        f"{sign_in.MOST_WRONG_CODES} wrong ones end the sign-in, {attempts.PER_CODE.most} in 15",
        f"{sessions.UNFINISHED.seconds // 60} minutes; `people.session_hours`",
        f"{sessions.MOST_OPEN} sessions a person",
        f"{api_tokens.MOST_TOKENS} a person",
        f"{provider.LONGEST_ANSWER >> 10} KiB; `oidc.timeout_s`",
    ):
        assert said in page, said


def test_senders_of_sites_must_be_known(write):
    good = """
    [dimse]
    calling = ["MG1"]
    [web.tokens]
    pacs = "0123456789abcdef"
    [watch.folders]
    scanner = "/srv/scans"
    [dimse.peers]
    archive = "dicom://PACS@10.1.0.9:104"
    [web.peers]
    vna = "https://vna.example/dicom-web"
    [sites]
    "dimse:MG1" = "north"
    "web:pacs" = "south"
    "folder:scanner" = "north"
    "pull:PACS" = "north"
    "pull:vna" = "north"
    """
    assert load_settings(write(good)).sites["web:pacs"] == "south"
    for wrong in ("dimse:MG2", "web:MG1", "folder:MG1", "pull:archive", "MG1", "dimse:", "cli:MG1"):
        with pytest.raises(ConfigError, match="no sender"):
            load_settings(write(good + f'"{wrong}" = "north"'))
    for wrong in ("North", "", "a b", "-a", "x" * 65):
        with pytest.raises(ConfigError):
            load_settings(write(good.replace('"south"', f'"{wrong}"')))
    assert load_settings(write('[sites]\n"dimse:ANY" = "north"')).sites
