"""A viewer of others, OHIF, opens a study over our DICOMweb in a real browser.

The prebuilt viewer comes from npm, is checked by its digest, and is served beside the portal by the
test alone. ``MAMMOLENS_SCREENSHOTS`` names a folder in which what the browser shows is kept.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from mammolens import sample_exams
from mammolens.serve.record import AUDIT

from ..conftest import LOOPBACK, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.slow]
VERSION = "3.13.2"
DIGEST = "WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA=="
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
CONFIG = {
    "routerBasename": None,
    "extensions": [],
    "modes": [],
    "showStudyList": True,
    "maxNumberOfWebWorkers": 2,
    "showLoadingIndicator": True,
    "showWarningMessageForCrossOrigin": False,
    "showCPUFallbackMessage": False,
    "investigationalUseDialog": {"option": "never"},
    "defaultDataSourceName": "mammolens",
    "dataSources": [
        {
            "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
            "sourceName": "mammolens",
            "configuration": {
                "friendlyName": "mammolens",
                "name": "mammolens",
                "qidoRoot": "/dicom-web",
                "wadoRoot": "/dicom-web",
                "wadoUriRoot": "/dicom-web",
                "qidoSupportsIncludeField": True,
                "supportsFuzzyMatching": True,
                "supportsWildcard": True,
                "imageRendering": "wadors",
                "thumbnailRendering": "wadors",
                "enableStudyLazyLoad": True,
                "bulkDataURI": {"enabled": True},
            },
        }
    ],
}


@pytest.fixture(scope="session")
def ohif() -> Path:
    """The files of the prebuilt viewer, fetched once."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("OHIF comes by npm, which is not installed")
    folder = Path(tempfile.gettempdir()) / f"mammolens-ohif-{VERSION}"
    if not (folder / "whole").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        command = [npm, "pack", f"@ohif/app@{VERSION}", "--silent"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"npm does not have @ohif/app {VERSION}: {done.stderr[-200:]}")
        (packed,) = folder.glob("*.tgz")
        found = base64.b64encode(hashlib.sha512(packed.read_bytes()).digest()).decode()
        assert found == DIGEST, "the package is another one than was tried"
        with tarfile.open(packed) as archive:
            archive.extractall(folder, filter="data")
        packed.unlink()
        (folder / "whole").touch()
    return folder / "package" / "dist"


@pytest.fixture
def exam(archive, tmp_path) -> str:
    """Let the node receive a sample exam as one study; gives its UID."""
    sys.path.insert(0, str(LOOPBACK.parents[1] / "tests"))
    try:
        from make_exam import make_exam
    finally:
        sys.path.pop(0)
    case = next(folder for folder in sorted(sample_exams().iterdir()) if folder.is_dir())
    for path in make_exam(case, tmp_path / "exam"):
        archive.receive(path.read_bytes())
    return str(dcmread(path).StudyInstanceUID)


@pytest.fixture
def address(archive, ohif) -> Iterator[str]:
    """The portal with the viewer beside it, on a free port."""
    import uvicorn
    from starlette.responses import FileResponse, Response

    portal = archive.stage.client.app
    files = {f"/{path.relative_to(ohif).as_posix()}": path for path in ohif.rglob("*")}

    async def both(scope, receive, send) -> None:
        path = scope["path"]
        if path.startswith(("/dicom-web", "/api/")):
            await portal(scope, receive, send)
        elif path == "/app-config.js":
            text = f"window.config = {json.dumps(CONFIG)};"
            await Response(text, media_type="text/javascript")(scope, receive, send)
        elif path in files and files[path].is_file():
            kinds = {".js": "text/javascript", ".wasm": "application/wasm"}
            kind = kinds.get(files[path].suffix)
            await FileResponse(files[path], media_type=kind)(scope, receive, send)
        else:
            await FileResponse(ohif / "index.html")(scope, receive, send)

    config = uvicorn.Config(both, port=0, log_level="error", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_for(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


def test_ohif_finds_and_shows_a_study(archive, exam, address):
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    secret = archive.stage.cast.known["north-reader"].secret
    statuses: dict[str, set[int]] = {}
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS])
        context = browser.new_context(viewport={"width": 1600, "height": 1000})
        context.route(lambda url: not url.startswith((address, "blob:", "data:")), _abort)
        context.add_cookies([{"name": "mammolens", "value": secret, "url": address}])
        page = context.new_page()
        page.on("response", lambda done: _note(statuses, address, done))
        page.goto(f"{address}/")
        page.get_by_text("Sample", exact=False).first.wait_for(timeout=120_000)
        _keep(page, "ohif-list")
        page.goto(f"{address}/viewer?StudyInstanceUIDs={exam}")
        page.locator("canvas.cornerstone-canvas").first.wait_for(timeout=120_000)
        page.get_by_text("Skip all").click(timeout=30_000)
        shown = _wait_for_picture(page)
        _keep(page, "ohif-viewer")
        browser.close()
    assert shown > 20, "the viewer shows no picture"
    assert {status for found in statuses.values() for status in found} <= {200, 204}
    assert {"studies", "series", "metadata", "frames"} <= {*statuses}
    with archive.stage.database.read() as connection:
        noted = {row.action for row in connection.execute(AUDIT.select())}
    assert {"dicomweb_searched", "dicomweb_retrieved"} <= noted


def _abort(route) -> None:
    route.abort()


def _note(statuses: dict[str, set[int]], address: str, done) -> None:
    path = done.url.removeprefix(address).partition("?")[0]
    if path.startswith("/dicom-web/"):
        last = [part for part in path.split("/") if not part.isdigit() and "." not in part][-1]
        statuses.setdefault(last, set()).add(done.status)


def _wait_for_picture(page) -> float:
    """Give how much the greys of the first picture differ, once they do."""
    import cv2

    for _ in range(60):
        content = page.locator("canvas.cornerstone-canvas").first.screenshot()
        grey = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
        if grey.std() > 20:
            time.sleep(2)  # the other pictures of the step
            return float(grey.std())
        time.sleep(1)
    return float(grey.std())


def _keep(page, name: str) -> None:
    folder = os.environ.get("MAMMOLENS_SCREENSHOTS")
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"))
