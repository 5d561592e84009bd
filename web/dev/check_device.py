"""The analysis on the device in Chromium, with the network cut after loading, against mammolens.

    npm run build:device
    python web/dev/golden_device.py GOLDEN films
    python web/dev/check_device.py GOLDEN        # needs playwright and /usr/bin/chromium

The page is served under the policy of the application (no inline script, WebAssembly allowed).
After the model was loaded, every request is refused and counted: a single one fails the check.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Request, sync_playwright

BUILT = Path(__file__).parents[1] / "dist-device"
POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; worker-src 'self'"
)
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
MOST = 0.0005
PATIENCE_S = 240


class Handler(SimpleHTTPRequestHandler):
    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def main() -> None:
    golden = Path(sys.argv[1])
    expected = json.loads((golden / "expected.json").read_text("utf-8"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(BUILT)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True)
        page = context.new_page()
        page.on("console", lambda message: print("console:", message.text))
        page.goto(f"http://127.0.0.1:{server.server_port}/index.html")
        _wait(page, lambda text: text == "ready")
        asked: list[str] = []

        def note(request: Request) -> None:
            if not request.url.startswith(("blob:", "data:")):
                asked.append(request.url)

        context.on("request", note)
        context.set_offline(True)
        for name, case in expected.items():
            films = sorted(str(path) for path in Path(case["folder"]).glob("*"))
            page.set_input_files("input", films)
            found = json.loads(_wait(page, lambda text: text.startswith("{")))
            _compare(name, found, case)
            page.evaluate("document.querySelector('pre').textContent = ''")
        browser.close()
    if asked:
        raise SystemExit(f"the analysis asked for {asked}")
    print("no request after loading")


def _wait(page: Page, is_there: Any) -> str:
    """Poll: the policy forbids the page functions of `wait_for_function`."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        text = str(page.evaluate("document.querySelector('pre').textContent"))
        if text.startswith("failed"):
            raise SystemExit(text)
        if is_there(text):
            return text
        time.sleep(0.2)
    raise SystemExit("the page took too long")


def _compare(name: str, found: dict[str, Any], case: dict[str, Any]) -> None:
    [mine], [theirs] = found["exams"], case["exams"]
    own = [mine["scores"][key] for key in ("normal", "benign", "malignant")]
    most = max(abs(a - b) for a, b in zip(own, theirs["scores"], strict=True))
    cautions = [[c["name"], c["message"], c["doubt"]] for c in mine["cautions"]]
    print(f"{name}: {mine['category']}, largest difference {most:.1e}, {found['milliseconds']} ms")
    if mine["category"] != theirs["category"] or most > MOST or cautions != theirs["cautions"]:
        raise SystemExit(f"{name}: {mine} is not {theirs}")


if __name__ == "__main__":
    main()
