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
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from mammolens import __version__
from mammolens._outlines import LEVELS_MEAN
from mammolens._pages import page_start
from mammolens.core import Prediction, TriageCategory, Unreadable
from mammolens.sinks import RunInfo, TriageThreshold
from mammolens.sinks._folder import FilePerExam
from mammolens.sinks._html_exam import (
    Shown,
    category,
    exam_cautions,
    exam_facts,
    exam_head,
    unreadable,
    worklist_row,
)
from mammolens.sinks._html_views import exam_pictures, full_pictures, text
from mammolens.sinks._partial import PartialFile
from mammolens.sinks._worklist import reading_key
from mammolens.wording import CATEGORY_WORDS, percent

__all__ = ["PICTURED", "PICTURES", "open_sink"]

PICTURED: Final = 100
PICTURES: Final = "report-pictures"
_OPEN: Final = 3
"""A run of at most so many exams shows them open."""
_EDGES: Final = {"low": "low below", "high": "high from"}
_Key = tuple[int, float, int]


@dataclass(frozen=True)
class _Entry:
    """One exam: its place in the order, its row, and where its parts lie in the spool."""

    key: _Key
    anchor: str
    category: TriageCategory
    row: tuple[str, str]
    head: tuple[int, int]
    cautions: tuple[int, int]
    pictures: tuple[int, int] | None
    facts: tuple[int, int]


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
        self._refused: list[tuple[int, int]] = []
        self._n_refused = 0

    def write(self, prediction: Prediction) -> None:
        """Put one exam aside as HTML."""
        key = reading_key(prediction, len(self._entries))
        anchor = f"exam-{len(self._entries) + 1}"
        entry = _Entry(
            key,
            anchor,
            prediction.category,
            worklist_row(prediction, anchor, self._shown),
            self._put(exam_head(prediction, anchor)),
            self._put(exam_cautions(prediction)),
            self._pictures(prediction, key),
            self._put(exam_facts(prediction, self._shown)),
        )
        self._entries.append(entry)
        if prediction.unreadable:
            self._refused.append(self._put(unreadable(prediction.unreadable)))
            self._n_refused += len(prediction.unreadable)

    def unreadable(self, item: Unreadable) -> None:
        """Put one refused input aside."""
        self._refused.append(self._put(unreadable([item])))
        self._n_refused += 1

    def close(self) -> list[Path]:
        """Put the page together in reading order."""
        entries = sorted(self._entries, key=lambda entry: entry.key)
        counts = Counter(entry.category for entry in entries)
        script = _resource("report.js")
        self._file.write(_page_head(self._run, counts, self._n_refused, script))
        self._file.write(_worklist(entries, self._shown))
        self._file.write(_thresholds(self._run.thresholds) + _how_to_read(self._run, self._shown))
        self._file.write(f"<main><h2>Exams</h2>{_too_many(len(entries))}")
        for entry in entries:
            self._write_exam(entry, opened=len(entries) <= _OPEN)
        self._file.write("</main>\n")
        if self._refused:
            self._file.write('<section><h2 id="refused">Files not analysed</h2><ul>')
            for span in self._refused:
                self._file.write(self._get(span))
            self._file.write("</ul></section>")
        self._file.write(_page_foot(self._run, script))
        path = self._file.finish()
        folder = self._full.close()
        self._kept.close()
        return [path, *folder]

    def discard(self) -> None:
        """Remove what is unfinished."""
        self._full.discard()
        self._kept.close()

    def _pictures(self, prediction: Prediction, key: _Key) -> tuple[int, int] | None:
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
        return self._put(exam_pictures(prediction, addresses))

    def _write_exam(self, entry: _Entry, opened: bool) -> None:
        pictures, anchor = entry.pictures if entry.key in self._files else None, entry.anchor
        self._file.write(
            f'<article data-exam="{anchor}" aria-labelledby="{anchor}-name">'
            f"<details{' open' if opened else ''}><summary>{self._get(entry.head)}</summary>"
            f'<div id="{anchor}" class="body">{self._get(entry.cautions)}'
            f'<div class="exam{"" if pictures else " plain"}">'
        )
        if pictures:
            self._file.write(f'<div class="views">{_TOGGLE}{self._get(pictures)}</div>')
        self._file.write(self._get(entry.facts) + "</div></div></details></article>\n")

    def _put(self, fragment: str) -> tuple[int, int]:
        start = self._spool.seek(0, 2)
        return start, self._spool.write(fragment.encode("utf-8"))

    def _get(self, span: tuple[int, int]) -> str:
        self._spool.seek(span[0])
        return self._spool.read(span[1]).decode("utf-8")


_TOGGLE: Final = '<label class="toggle"><input type="checkbox" checked> Lines and boxes</label>'


def _resource(name: str) -> str:
    return resources.files("mammolens.sinks").joinpath(name).read_text("utf-8")


def _page_head(run: RunInfo, counts: Counter[TriageCategory], n_refused: int, script: str) -> str:
    exams = sum(counts.values())
    tally = [f"{exams} exam{'' if exams == 1 else 's'}"]
    tally += [
        category(kind, f"{counts[kind]} {kind.value}") for kind in CATEGORY_WORDS if counts[kind]
    ]
    if n_refused:
        files = "file" if n_refused == 1 else "files"
        tally.append(f'<a href="#refused">{n_refused} {files} not analysed</a>')
    when = run.created.strftime("%Y-%m-%d %H:%M %Z").strip()
    start = page_start(f"mammolens worklist, {when}", _resource("report.css"), script)
    return (
        f'{start}<p class="running" aria-hidden="true">{text(run.disclaimer)}</p>'
        f'<div class="sheet"><header><p class="brand">mammolens {text(__version__)} · '
        f'<time datetime="{run.created.isoformat(timespec="seconds")}">{text(when)}</time> · model '
        f"{text(run.model.name)} {text(run.model.version)}</p>"
        f'<h1>Worklist</h1><p class="tally">{" ".join(tally)}</p>{_notice(run)}</header>\n'
    )


def _notice(run: RunInfo) -> str:
    return (
        f'<p class="notice">{text(run.disclaimer)} <span>A person reads every exam; a low score '
        "does not mean that there is no cancer.</span></p>"
    )


def _worklist(entries: list[_Entry], shown: Shown) -> str:
    columns = [("#", "n place", "place"), ("Exam", "", "patient"), ("Triage", "", "category")]
    columns += [
        (f"P({name.lower()})", "n", "score" if not n else "") for n, name in enumerate(shown)
    ]
    columns += [("Right", "n", ""), ("Left", "n", ""), ("Views", "", ""), ("Notes", "", "")]
    head = "".join(
        f'<th role="columnheader" scope="col" class="{kind}"{sort and _sorted_by(sort)}>{name}</th>'
        for name, kind, sort in columns
    )
    rows = "".join(
        f'<tr role="row" {entry.row[0]} data-place="{place}">'
        f'<td role="cell" class="n place quiet">{place}</td>{entry.row[1]}</tr>\n'
        for place, entry in enumerate(entries, start=1)
    )
    return (
        f'<section aria-label="Worklist">{_FILTER if len(entries) > 1 else ""}'
        '<table class="worklist" role="table"><thead '
        f'role="rowgroup"><tr role="row">{head}</tr></thead><tbody role="rowgroup">{rows}</tbody>'
        "</table></section>\n"
    )


def _sorted_by(key: str) -> str:
    return f' data-sort="{key}"'


_FILTER: Final = (
    '<form id="filter" hidden><label>Patient <input type="search" name="patient" '
    'autocomplete="off"></label><label>Triage <select name="category"><option value="">all'
    "</option>"
    + "".join(f'<option value="{kind.value}">{kind.value}</option>' for kind in CATEGORY_WORDS)
    + '</select></label><label>P(malignant) from <input type="number" name="score" min="0" '
    'max="100" step="any"> %</label><label>Order <select name="order"><option value="place">'
    'reading order</option><option value="patient">patient</option><option value="category">'
    'triage</option><option value="score">P(malignant), highest first</option></select></label>'
    '<button type="button" name="open">Open all exams</button>'
    '<output role="status"></output></form>'
)


def _thresholds(thresholds: tuple[TriageThreshold, ...]) -> str:
    said = []
    for point in thresholds:
        known = {"sensitivity": point.sensitivity, "specificity": point.specificity}
        figures = [f"{name} {percent(v)}" for name, v in known.items() if v is not None]
        proof = f" ({', '.join(figures)} on validation)" if figures else ""
        said.append(f"{text(_EDGES.get(point.name, point.name))} {percent(point.threshold)}{proof}")
    words = f"Triage by P(malignant): {'; '.join(said)}." if said else ""
    return f'<section><p class="quiet triage">{words}</p></section>\n' if words else ""


def _how_to_read(run: RunInfo, shown: Shown) -> str:
    tumour = "P(tumour) is that of any tumour, benign or malignant. " if "Tumour" in shown else ""
    lines = {
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
    items = "".join(f"<dt>{name}</dt><dd>{words}</dd>" for name, words in lines.items())
    return (
        f'<section><details><summary>How to read this page</summary><dl class="read">{items}</dl>'
        "</details></section>\n"
    )


def _too_many(n_exams: int) -> str:
    if n_exams <= PICTURED:
        return ""
    return f'<p class="quiet">Only the first {PICTURED} exams have pictures here.</p>'


def _page_foot(run: RunInfo, script: str) -> str:
    about = text(run.model_summary)
    more = f"<details><summary>More about the model</summary><p>{about}</p></details>"
    return (
        f'<footer>{_notice(run)}<p class="quiet">Model {text(run.model.name)} '
        f'{text(run.model.version)}, SHA-256 <span class="id">{text(run.model.digest)}</span>. '
        f"Written by mammolens {text(__version__)}.</p>{more if about else ''}</footer></div>\n"
        f"{_VIEWER.format(notice=text(run.disclaimer))}<script>{script}</script></body></html>\n"
    )


_VIEWER: Final = (
    '<dialog id="viewer" aria-labelledby="viewer-name"><div class="bar"><b id="viewer-name"></b>'
    '<button type="button" value="out" aria-label="Smaller">−</button>'
    '<button type="button" value="in" aria-label="Larger">+</button>'
    '<button type="button" value="fit">Fit</button><button type="button" value="full">1:1</button>'
    '<label class="toggle"><input type="checkbox" checked> Lines and boxes</label>'
    '<button type="button" value="close">Close</button><span id="viewer-note"></span>'
    '<span class="quiet">{notice}</span></div><div class="stage" tabindex="0"></div></dialog>\n'
)
