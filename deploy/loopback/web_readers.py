"""People who read exams by HTTP, and go on where a killed server left off."""

from __future__ import annotations

import collections
import contextlib
import random
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
from served import Member

__all__ = ["Reader", "Said"]


@dataclass
class Said:
    """What people were told is signed: reading → its comment. Safe for threads."""

    signed: dict[int, str] = field(default_factory=dict)
    again: collections.Counter[str] = field(default_factory=collections.Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, reading: int, comment: str) -> None:
        with self._lock:
            if reading in self.signed:
                raise RuntimeError(f"reading {reading} was signed twice")
            self.signed[reading] = comment

    def note_again(self, what: str) -> None:
        with self._lock:
            self.again[what] += 1


@dataclass
class Reader:
    """A person who reads, and goes on where a killed server left off."""

    member: Member
    said: Said
    rng: random.Random
    patience_s: float = 300.0

    def read(self, exam: int, open_path: str) -> None:
        """Read an exam to the end: open, draft, lock, look at the AI, sign."""
        reading = self.until_done("POST", open_path)
        comment = f"{self.member.name} of exam {exam}: {self.rng.random()}"
        while reading["state"] != "signed":
            place = f"/readings/{reading['id']}"
            if reading["state"] == "draft" and reading["comment"] != comment:
                reading = self.change(place, "PUT", "", answer(comment, self.rng), reading)
            elif reading["state"] == "draft":
                reading = self.change(place, "POST", "/lock", {}, reading)
            elif reading["after_ai"] is None and reading["role"] == "reader":
                reading = self.change(place, "POST", "/revise", {"agree": True}, reading)
            else:
                reading = self.change(place, "POST", "/sign", {}, reading)
        self.said.note(reading["id"], reading["comment"])

    def change(
        self, place: str, method: str, act: str, body: Any, reading: dict[str, Any]
    ) -> dict[str, Any]:
        """Change a reading; where no answer came, look what became of it."""
        headers = {"if-match": reading["etag"]}
        try:
            done = self.member.ask(method, place + act, headers, body)
        except httpx.HTTPError:
            self.said.note_again(f"no answer to {act.strip('/') or 'draft'}")
        else:
            if done.status_code < 300:
                return dict(done.json())
            if done.status_code not in (409, 412, 503):
                raise RuntimeError(f"{method} {place}{act}: {done.status_code} {done.text}")
            self.said.note_again(f"{done.json()['code']} to {act.strip('/') or 'draft'}")
            if done.json()["code"] in ("exam_changed", "ai_changed"):
                return self.look(place)
        return self.until_done("GET", place)

    def look(self, place: str) -> dict[str, Any]:
        """Look at the exam again, which images or a result of the AI have changed."""
        reading = self.until_done("GET", place)
        exam = self.until_done("GET", f"/exams/{reading['exam_id']}")
        with contextlib.suppress(httpx.HTTPError):
            headers = {"if-match": reading["etag"]}
            self.member.ask("POST", f"{place}/look", headers, {"exam_version": exam["version"]})
        return self.until_done("GET", place)

    def until_done(self, method: str, path: str) -> dict[str, Any]:
        """Ask until the server is there and answers."""
        until = time.monotonic() + self.patience_s
        while time.monotonic() < until:
            try:
                done = self.member.ask(method, path)
            except httpx.HTTPError:
                time.sleep(0.3)
                continue
            if done.status_code < 300:
                return dict(done.json())
            if done.status_code != 503:
                raise RuntimeError(f"{method} {path}: {done.status_code} {done.text}")
            time.sleep(0.3)
        raise RuntimeError(f"{method} {path}: the server did not come back")


def answer(comment: str, rng: random.Random) -> dict[str, Any]:
    """Make an answer; one in eight wants a recall, so that readers disagree at times."""
    recall = rng.random() < 0.125
    birads = {"birads": "4" if recall else "1"}
    return {
        "density": {"right": "b", "left": "b"},
        "assessments": {"right": birads, "left": {"birads": "1"}},
        "recall": recall,
        "findings": [],
        "comment": comment,
    }
