"""What a person does at the screen, in the words of the page: a browser context for each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyotp
import pytest
from PIL import Image

STEP_S = 30
DRAWN_S = 60.0
BARRIERS = """async () => {
  const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
  const found = await axe.run(document, {runOnly: {type: 'tag', values: tags}});
  // What is half scrolled away counts as small, although it is whole one line further.
  const isCut = (node) => {
    const inner = document.querySelector(node.target.at(-1));
    const box = inner.getBoundingClientRect();
    const covers = document.elementFromPoint(box.left + 4, box.bottom - 4);
    if (covers === null || inner.contains(covers)) return false;
    for (let outer = inner.parentElement; outer; outer = outer.parentElement) {
      if (outer.scrollHeight > outer.clientHeight + 1) return true;
    }
    return false;
  };
  return found.violations.flatMap((one) => one.nodes
    .filter((node) => one.id !== 'target-size' || !isCut(node))
    .map((node) => `${one.id}: ${one.help}: ${node.html.replace(/\\s+/g, ' ').slice(0, 160)}`));
}"""
BOXES = """() => [...document.querySelectorAll('.pane')].filter((it) => it.checkVisibility())
  .map((it) => it.getBoundingClientRect().toJSON())"""
DARK, BRIGHT = 24, 90
"""Greys of a background and of tissue, in a picture of the screen."""


DESK: Mapping[str, Any] = {"viewport": {"width": 1920, "height": 1080}}


class Desk:
    """The screen of one person, in English.

    `shots` is the folder of pictures, `axe` the source of axe-core, `screen` the device.
    """

    meant: tuple[str, ...] = ("status of 4",)
    """What the console calls an error although it is meant: refusals."""

    def __init__(
        self,
        browser: Any,
        address: str,
        name: str,
        shots: Path,
        axe: str,
        screen: Mapping[str, Any] = DESK,
    ) -> None:
        self.name, self.shots, self.axe, self.address = name, shots, axe, address
        self.browser = browser
        self.context = browser.new_context(base_url=address, locale="en-GB", **screen)
        self.context.set_default_timeout(30_000)
        self.secret, self.password, self.last_step = "", "", 0
        self.errors: list[str] = []
        self.strangers: list[str] = []
        self.bodies: dict[str, str] = {}
        self.open_page()

    def open_page(self) -> None:
        """Open a page, and listen to what goes wrong in it."""
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._note)
        self.page.on("request", lambda request: self._check_host(request.url))

    def _note(self, message: Any) -> None:
        if message.type == "error" and not any(one in message.text for one in self.meant):
            self.errors.append(message.text)

    def _check_host(self, url: str) -> None:
        if not url.startswith((self.address, "data:", "blob:")):
            self.strangers.append(url)

    def close(self) -> None:
        """Leave, and have no error left behind."""
        self.context.close()
        assert self.errors == []
        assert self.strangers == []

    # Signing in

    def sign_in_first(self, one_time: str, between: Callable[[str], None]) -> None:
        """Sign in with a one-time password; `between` is called at each page on the way."""
        page = self.page
        page.goto("/")
        page.get_by_label("Name", exact=True).fill(self.name)
        page.get_by_label("Password", exact=True).fill(one_time)
        between("sign-in")
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.get_by_role("heading", name="Choose a password").wait_for()
        self.password = "a quiet river, seven bridges"
        page.get_by_label("New password", exact=True).fill(self.password)
        page.get_by_label("New password, once more").fill(self.password)
        between("new-password")
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("heading", name="Set up the second factor").wait_for()
        page.get_by_role("img", name="QR code for the authenticator app").wait_for()
        page.get_by_text("Type a key instead").click()
        self.secret = page.locator(".secret code").inner_text().replace(" ", "")
        between("second-factor")
        self._give_code()

    def sign_in(self) -> None:
        """Sign in with password and code."""
        page = self.page
        page.goto("/")
        page.get_by_label("Name", exact=True).fill(self.name)
        page.get_by_label("Password", exact=True).fill(self.password)
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.get_by_role("heading", name="Second factor").wait_for()
        self._give_code()

    def come_back(self) -> None:
        """Sign in again in the dialog over the page, after the session has ended."""
        dialog = self.page.get_by_role("dialog", name="Your session has ended")
        dialog.get_by_label("Password", exact=True).fill(self.password)
        dialog.get_by_role("button", name="Sign in", exact=True).click()
        dialog.get_by_label("Code of six digits").fill(self._code())
        dialog.get_by_role("button", name="Continue").click()
        dialog.wait_for(state="hidden")

    def _give_code(self) -> None:
        self.page.get_by_label("Code of six digits").fill(self._code())
        self.page.get_by_role("button", name="Continue").click()
        self.page.get_by_role("heading", name="Worklist").wait_for()

    def _code(self) -> str:
        while (step := int(time.time()) // STEP_S) <= self.last_step:
            time.sleep(0.5)
        self.last_step = step
        return pyotp.TOTP(self.secret).at(step * STEP_S)

    # Going about

    def go(self, name: str) -> None:
        """Go to a page of the navigation."""
        self.page.get_by_role("navigation", name="Pages").get_by_role(
            "link", name=name, exact=True
        ).click()
        self.page.get_by_role("heading", name=name, exact=True, level=1).wait_for()
        self.page.locator(".busy").first.wait_for(state="detached")

    def rows(self) -> list[str]:
        """Give the rows of the worklist as text, once there are some."""
        found = self.page.locator("table.exams tbody tr")
        found.first.wait_for()
        return list(found.all_inner_texts())

    def open_exam(self, patient: str, view_count: int = 4) -> None:
        """Open the first exam of a patient from the worklist, and wait for its pictures."""
        link = self.page.get_by_role("link", name=patient).first
        self.opening(link.click, view_count)

    def opening(self, act: Callable[[], object], view_count: int = 4) -> None:
        """Do what opens an exam, and wait until so many pictures are drawn."""
        act()
        self.page.locator(".reading").wait_for()
        self.wait_drawn(view_count)

    def wait_drawn(self, count: int) -> None:
        """Wait until so many panes show a breast, by what the screen shows."""
        until, drawn = time.monotonic() + DRAWN_S, 0
        while time.monotonic() < until:
            drawn = self._drawn()
            if drawn >= count:
                time.sleep(0.5)  # the sharp picture follows the preview
                return
            time.sleep(0.3)
        raise AssertionError(f"{drawn} of {count} pictures are drawn")

    def wait_count(self, found: Any, count: int) -> None:
        """Wait until a locator finds so many elements."""
        until = time.monotonic() + DRAWN_S
        while (now := found.count()) != count:
            assert time.monotonic() < until, f"{now} instead of {count}"
            time.sleep(0.1)

    def panes(self) -> list[Any]:
        """Give the panes of the viewer that are shown."""
        return [pane for pane in self.page.locator(".pane").all() if pane.is_visible()]

    def _drawn(self) -> int:
        """Count the panes that show tissue on a dark ground, in one picture of the screen."""
        boxes = self.page.evaluate(BOXES)
        screen = np.asarray(Image.open(BytesIO(self.page.screenshot())).convert("L"))
        drawn = 0
        for box in boxes:
            top, left = round(box["y"]), round(box["x"])
            pane = screen[top : top + round(box["height"]), left : left + round(box["width"])]
            drawn += bool(np.mean(pane > BRIGHT) > 0.02 and np.mean(pane < DARK) > 0.05)
        return drawn

    def key(self, *keys: str) -> None:
        """Press keys in the viewer."""
        self.page.get_by_label("Mammography viewer").focus()
        for one in keys:
            self.page.keyboard.press(one)

    def drag(self, pane: Any, begin: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag with the left button, from and to shares of a pane's width and height."""
        box = pane.bounding_box()
        points = [
            (box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (begin, end)
        ]
        mouse = self.page.mouse
        mouse.move(*points[0])
        mouse.down()
        mouse.move(*points[1], steps=12)
        mouse.up()

    # Reading

    def answer(self, right: str, left: str, recall: bool, comment: str, density: str = "b") -> None:
        """Fill in the form of the reading."""
        panel = self.page.locator(".reading")
        for side, birads in (("right", right), ("left", left)):
            breast = panel.locator(f".breast-{side}")
            breast.get_by_role("group", name="BI-RADS").get_by_label(birads, exact=True).check()
            breast.get_by_role("group", name="Density").get_by_label(density, exact=True).check()
        said = "Yes, recall" if recall else "No"
        panel.get_by_role("group", name="Recall").get_by_label(said, exact=True).check()
        panel.get_by_label("Comment").fill(comment)
        panel.get_by_text("Draft saved").wait_for()

    def press(self, name: str, sure: bool = False) -> None:
        """Press a button of the reading; `sure`: also the one of the question that follows."""
        self.page.locator(".reading").get_by_role("button", name=name, exact=True).click()
        if sure:
            self.page.get_by_role("dialog").get_by_role("button", name=name, exact=True).click()

    # Looking

    def shot(self, title: str) -> Path:
        """Take a picture of the screen, for people to look at."""
        self.shots.mkdir(parents=True, exist_ok=True)
        path = self.shots / f"{len(list(self.shots.glob('*.png'))) + 1:02}-{title}.png"
        self.page.screenshot(path=path)
        return path

    def barriers(self) -> list[str]:
        """Say what axe-core finds wrong for people with disabilities (WCAG 2.2 AA)."""
        self.page.evaluate(self.axe)
        return list(self.page.evaluate(BARRIERS))


def one_step(
    request: pytest.FixtureRequest, story: Any, desks: Callable[[], list[Desk | None]]
) -> Iterator[None]:
    """Run one test of a story: those after a failed one are skipped, and a failure has pictures."""
    if story.failed_at:
        pytest.skip(f"an earlier step failed: {story.failed_at}")
    before = request.session.testsfailed
    yield
    if request.session.testsfailed > before:
        story.failed_at = request.node.name
        for desk in filter(None, desks()):
            desk.shot(f"{desk.name}-FAILED")
