"""``report.html``: one page per run, worklist first, exams beneath, each closed until it is wanted.

The page needs no network, reads without its script, on a phone, and prints. It is whole by itself;
the folder ``report-pictures`` beside it holds every view at full resolution, for its viewer. Exams
go through a nameless temporary file while the run lasts, and are put in the order of the worklist
at its end; beyond `PICTURED` exams, only the first of the worklist keep their pictures, or no
browser could open the page.
"""

from __future__ import annotations

import bisect
import contextlib
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from mammolens import __version__
from mammolens._outlines import LEVELS_MEAN
from mammolens._pages import page_start, templates
from mammolens.core import Prediction, Unreadable
from mammolens.sinks import RunInfo, TriageThreshold
from mammolens.sinks._folder import FilePerExam
from mammolens.sinks._html_exam import (
    ExamRow,
    Shown,
    exam_context,
    refused_inputs,
    rendered,
    worklist_row,
)
from mammolens.sinks._html_views import exam_panels, full_pictures
from mammolens.sinks._partial import PartialFile
from mammolens.sinks._worklist import reading_key
from mammolens.wording import CATEGORY_WORDS, percent

__all__ = ["PICTURED", "PICTURES", "open_sink"]

PICTURED: Final = 100
PICTURES: Final = "report-pictures"
_OPEN: Final = 3
"""A run of at most so many exams shows them open."""
_EDGES: Final = {"low": "low below", "high": "high from"}
_HERE: Final = "mammolens.sinks"
_Key = tuple[int, float, int]
_Span = tuple[int, int]


@dataclass(frozen=True)
class _Entry:
    """One exam: its place in the order, its row, and where its parts lie in the spool."""

    key: _Key
    anchor: str
    row: ExamRow
    head: _Span
    cautions: _Span
    pictures: _Span | None
    facts: _Span


def open_sink(out: Path, run: RunInfo) -> HtmlReport:
    """Open ``report.html`` in a folder."""
    return HtmlReport(out, run)


class HtmlReport:
    """The page, half written."""

    def __init__(self, out: Path, run: RunInfo) -> None:
        self._run = run
        self._shown: Shown = {"Malignant": lambda scores: scores.malignant}
        if run.tumour_vouched:
            self._shown = {**self._shown, "Tumour": lambda scores: scores.tumour}
        with contextlib.ExitStack() as stack:
            self._file = PartialFile(out / "report.html")
            stack.callback(self._file.discard)
            self._full = FilePerExam(out / PICTURES, ".jpg", full_pictures)
            self._spool = stack.enter_context(tempfile.TemporaryFile(dir=out))
            self._kept = stack.pop_all()
        self._entries: list[_Entry] = []
        self._first: list[_Key] = []
        self._files: dict[_Key, dict[str, str]] = {}
        self._refused: list[_Span] = []
        self._n_refused = 0

    def write(self, prediction: Prediction) -> None:
        """Put one exam aside as HTML, made by the macros of ``exam.html.j2``."""
        key = reading_key(prediction, len(self._entries))
        anchor = f"exam-{len(self._entries) + 1}"
        exam = exam_context(prediction, anchor, self._shown)
        entry = _Entry(
            key,
            anchor,
            worklist_row(prediction, self._shown),
            self._put("head", exam),
            self._put("cautions", exam),
            self._pictures(prediction, key),
            self._put("facts", exam),
        )
        self._entries.append(entry)
        if prediction.unreadable:
            self._refuse(prediction.unreadable)

    def unreadable(self, item: Unreadable) -> None:
        """Put one refused input aside."""
        self._refuse([item])

    def close(self) -> list[Path]:
        """Put the page together in reading order."""
        entries = sorted(self._entries, key=lambda entry: entry.key)
        counts = Counter(entry.row.category for entry in entries)
        run, script = self._run, _resource("report.js")
        when = run.created.strftime("%Y-%m-%d %H:%M %Z").strip()
        start = page_start(f"mammolens worklist, {when}", _resource("report.css"), script)
        page = templates(_HERE).get_template("worklist.html.j2")
        for piece in page.generate(
            start=Markup(start),
            script=Markup(script),
            run=run,
            version=__version__,
            when=when,
            counts=[(kind, counts[kind]) for kind in CATEGORY_WORDS if counts[kind]],
            categories=list(CATEGORY_WORDS),
            columns=_columns(self._shown),
            triage=_thresholds(run.thresholds),
            how_to_read=_how_to_read(run, self._shown),
            exams=entries,
            pictured=PICTURED,
            opened=_OPEN,
            refused=self._refused,
            n_refused=self._n_refused,
            part=self._get,
            pictures_of=lambda entry: entry.pictures if entry.key in self._files else None,
        ):
            self._file.write(piece)
        path = self._file.finish()
        folder = self._full.close()
        self._kept.close()
        return [path, *folder]

    def discard(self) -> None:
        """Remove what is unfinished."""
        self._full.discard()
        self._kept.close()

    def _pictures(self, prediction: Prediction, key: _Key) -> _Span | None:
        """Draw the views, unless the exam lies beyond those that keep their pictures."""
        if not prediction.images:
            return None
        bisect.insort(self._first, key)
        for dropped in self._first[PICTURED:]:
            self._full.remove(self._files.pop(dropped, {}).values())
        del self._first[PICTURED:]
        if key not in self._first:
            return None
        self._files[key] = self._full.add(prediction)
        addresses = {view: f"{PICTURES}/{file}" for view, file in self._files[key].items()}
        return self._put("hanging", exam_panels(prediction, addresses))

    def _refuse(self, items: Sequence[Unreadable]) -> None:
        self._refused.append(self._put("unreadable", refused_inputs(items)))
        self._n_refused += len(items)

    def _put(self, macro: str, *parts: Any) -> _Span:
        start = self._spool.seek(0, 2)
        return start, self._spool.write(rendered(macro, *parts).encode("utf-8"))

    def _get(self, span: _Span) -> Markup:
        self._spool.seek(span[0])
        return Markup(self._spool.read(span[1]).decode("utf-8"))


def _resource(name: str) -> str:
    return resources.files("mammolens.sinks").joinpath(name).read_text("utf-8")


def _columns(shown: Shown) -> list[tuple[str, str, str]]:
    """Heading, kind and the key to sort by of each column of the worklist."""
    return [
        ("#", "n place", "place"),
        ("Exam", "", "patient"),
        ("Triage", "", "category"),
        *((f"P({name.lower()})", "n", "" if n else "score") for n, name in enumerate(shown)),
        ("Right", "n", ""),
        ("Left", "n", ""),
        ("Views", "", ""),
        ("Notes", "", ""),
    ]


def _thresholds(thresholds: tuple[TriageThreshold, ...]) -> str:
    said = []
    for point in thresholds:
        known = {"sensitivity": point.sensitivity, "specificity": point.specificity}
        figures = [f"{name} {percent(v)}" for name, v in known.items() if v is not None]
        proof = f" ({', '.join(figures)} on validation)" if figures else ""
        said.append(f"{_EDGES.get(point.name, point.name)} {percent(point.threshold)}{proof}")
    return f"Triage by P(malignant): {'; '.join(said)}." if said else ""


def _how_to_read(run: RunInfo, shown: Shown) -> dict[str, str]:
    tumour = "P(tumour) is that of any tumour, benign or malignant. " if "Tumour" in shown else ""
    return {
        "Probabilities": f"They are calibrated, and stand for patients of whose breasts "
        f"{percent(run.prevalence)} are malignant. {tumour}A breast's probability rests on all its "
        "views, an exam's is that of its more suspicious breast. On the worklist, right and left "
        "are P(malignant) of each breast.",
        "Triage": "Exams are in reading order. A failed exam comes first: nothing is known of it, "
        "so read it like a high one.",
        "Lines and boxes": f"Lines enclose where the malignancy map reaches {LEVELS_MEAN}. A box "
        "marks each place that reaches it. The number is the strength relative to that level; it "
        "is not a probability.",
        "Hanging": "Right breast at the left, chest walls at the centre line. Pictures in the page "
        "are reduced in size and depth. A click opens the view at full resolution, in 256 greys: "
        "wheel or pinch to zoom, drag to move. Read the originals.",
        "Not claimed": "Breast density, BI-RADS category, and comparison with prior exams.",
    }
