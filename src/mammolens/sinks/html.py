"""``report.html``: one self-contained page per run, worklist first, exams beneath.

The page needs no network, reads on a phone and prints. Exams go through a nameless temporary file
while the run lasts, and are put in the order of the worklist at its end; beyond `PICTURED` exams,
only the first of the worklist keep their pictures, or no browser could open the page.
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

import numpy as np

from mammolens import __version__
from mammolens.core import Prediction, TriageCategory, Unreadable
from mammolens.render import FAINTEST, STRONGEST, heat
from mammolens.sinks import RunInfo, TriageThreshold
from mammolens.sinks._html_exam import (
    category,
    exam_facts,
    exam_head,
    exam_pictures,
    text,
    unreadable,
    worklist_row,
)
from mammolens.sinks._partial import PartialFile
from mammolens.sinks._worklist import reading_key
from mammolens.wording import CATEGORY_WORDS, percent

__all__ = ["PICTURED", "open_sink"]

PICTURED: Final = 100
_COLUMNS: Final = (
    ("#", "n place"),
    ("Exam", ""),
    ("Triage", ""),
    ("P(malignant)", "n"),
    ("P(tumour)", "n"),
    ("Right", "n"),
    ("Left", "n"),
    ("Views", ""),
    ("Notes", ""),
)
_EDGES: Final = {"low": "low below", "high": "high from"}
_Key = tuple[int, float, int]


@dataclass(frozen=True)
class _Entry:
    """One exam: its place in the order, its row, and where its parts lie in the spool."""

    key: _Key
    category: TriageCategory
    row: str
    head: tuple[int, int]
    pictures: tuple[int, int] | None
    facts: tuple[int, int]


def open_sink(out: Path, run: RunInfo) -> HtmlReport:
    """Open ``report.html`` in a folder."""
    return HtmlReport(out, run)


class HtmlReport:
    """The page, half written."""

    def __init__(self, out: Path, run: RunInfo) -> None:
        self._run = run
        with contextlib.ExitStack() as stack:
            self._file = PartialFile(out / "report.html")
            stack.callback(self._file.discard)
            self._spool = stack.enter_context(tempfile.TemporaryFile(dir=out))
            self._kept = stack.pop_all()
        self._entries: list[_Entry] = []
        self._first: list[_Key] = []
        self._refused: list[tuple[int, int]] = []
        self._n_refused = 0

    def write(self, prediction: Prediction) -> None:
        """Put one exam aside as HTML."""
        key = reading_key(prediction, len(self._entries))
        anchor = f"exam-{len(self._entries) + 1}"
        bisect.insort(self._first, key)
        del self._first[PICTURED:]
        entry = _Entry(
            key,
            prediction.category,
            worklist_row(prediction, anchor),
            self._put(exam_head(prediction, anchor)),
            self._pictures(prediction, key),
            self._put(exam_facts(prediction)),
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
        self._file.write(_page_head(self._run, counts, self._n_refused))
        self._file.write(_worklist(entries))
        self._file.write(_how_to_read(self._run, len(entries)))
        if self._refused:
            self._file.write('<section><h2 id="refused">Files not read</h2><ul>')
            for span in self._refused:
                self._file.write(self._get(span))
            self._file.write("</ul></section>")
        self._file.write("<main><h2>Exams</h2>")
        for entry in entries:
            self._write_exam(entry)
        self._file.write(_page_foot(self._run))
        path = self._file.finish()
        self._kept.close()
        return [path]

    def discard(self) -> None:
        """Remove what is unfinished."""
        self._kept.close()

    def _pictures(self, prediction: Prediction, key: _Key) -> tuple[int, int] | None:
        if not prediction.images or key not in self._first:
            return None
        return self._put(exam_pictures(prediction))

    def _write_exam(self, entry: _Entry) -> None:
        pictured = entry.pictures is not None and entry.key in self._first
        self._file.write(self._get(entry.head))
        self._file.write(f'<div class="exam{"" if pictured else " plain"}">')
        if entry.pictures is not None and pictured:
            self._file.write(self._get(entry.pictures))
        self._file.write(self._get(entry.facts) + "</div></article>\n")

    def _put(self, fragment: str) -> tuple[int, int]:
        start = self._spool.seek(0, 2)
        return start, self._spool.write(fragment.encode("utf-8"))

    def _get(self, span: tuple[int, int]) -> str:
        self._spool.seek(span[0])
        return self._spool.read(span[1]).decode("utf-8")


def _page_head(run: RunInfo, counts: Counter[TriageCategory], n_refused: int) -> str:
    style = resources.files("mammolens.sinks").joinpath("report.css").read_text("utf-8")
    exams = sum(counts.values())
    tally = [f"{exams} exam{'' if exams == 1 else 's'}"]
    tally += [
        category(kind, f"{counts[kind]} {kind.value}") for kind in CATEGORY_WORDS if counts[kind]
    ]
    if n_refused:
        files = "file" if n_refused == 1 else "files"
        tally.append(f'<a href="#refused">{n_refused} {files} not read</a>')
    when = run.created.strftime("%Y-%m-%d %H:%M %Z").strip()
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="robots" content="noindex"><link rel="icon" href="data:,">'
        f"<title>mammolens worklist, {text(when)}</title>\n<style>\n{style}</style></head>\n<body>"
        f'<header><p class="brand">mammolens {text(__version__)} · '
        f'<time datetime="{run.created.isoformat(timespec="seconds")}">{text(when)}</time> · model '
        f"{text(run.model.name)} {text(run.model.version)}</p>"
        f'<h1>Worklist</h1><p class="tally">{" ".join(tally)}</p>{_notice(run)}</header>\n'
    )


def _notice(run: RunInfo) -> str:
    return (
        f'<p class="notice">{text(run.disclaimer)} <span>A person reads every exam; a low score '
        "does not mean that there is no cancer.</span></p>"
    )


def _worklist(entries: list[_Entry]) -> str:
    head = "".join(
        f'<th role="columnheader" scope="col" class="{kind}">{name}</th>' for name, kind in _COLUMNS
    )
    rows = "".join(
        f'<tr role="row"><td role="cell" class="n place quiet">{place}</td>{entry.row}</tr>\n'
        for place, entry in enumerate(entries, start=1)
    )
    return (
        '<section aria-label="Worklist"><table class="worklist" role="table"><thead '
        f'role="rowgroup"><tr role="row">{head}</tr></thead><tbody role="rowgroup">{rows}</tbody>'
        "</table></section>\n"
    )


def _how_to_read(run: RunInfo, n_exams: int) -> str:
    spared = f" Only the first {PICTURED} exams have pictures here." if n_exams > PICTURED else ""
    lines = {
        "Probabilities": f"They are calibrated, and stand for women of whose breasts "
        f"{percent(run.prevalence)} are malignant. P(tumour) is that of any tumour, benign or "
        "malignant. A breast's probability rests on all its views, an exam's is that of its more "
        "suspicious breast. On the worklist, right and left are P(malignant) of each breast.",
        "Triage": "Exams are in reading order. A failed exam comes first: nothing is known of it, "
        f"so read it like a high one. {_threshold_words(run.thresholds)}",
        "Map and boxes": "The tint shows where the malignancy score comes from, and a box marks "
        "each place that reaches the validated level. The number is the strength relative to that "
        f"level; it is not a probability.{_scale()}",
        "Hanging": "Right breast at the left, chest walls at the centre line. Pictures are reduced "
        f"in size and depth: read the originals.{spared}",
        "Not claimed": "Breast density, BI-RADS category, and comparison with prior exams.",
    }
    about = text(run.model_summary)
    if about:
        lines["Model"] = about
    items = "".join(f"<dt>{name}</dt><dd>{words}</dd>" for name, words in lines.items())
    return f'<section><h2>How to read this page</h2><dl class="read">{items}</dl></section>\n'


def _threshold_words(thresholds: tuple[TriageThreshold, ...]) -> str:
    said = []
    for point in thresholds:
        known = {"sensitivity": point.sensitivity, "specificity": point.specificity}
        figures = [f"{name} {percent(v)}" for name, v in known.items() if v is not None]
        proof = f" ({', '.join(figures)} on validation)" if figures else ""
        said.append(f"{text(_EDGES.get(point.name, point.name))} {percent(point.threshold)}{proof}")
    return f"By P(malignant): {'; '.join(said)}." if said else ""


def _scale() -> str:
    """The colours of the map as they look over mid-grey tissue, with their strengths."""
    strengths = np.linspace(0.0, STRONGEST, 44, dtype=np.float32)
    swatches = []
    for n, (red, green, blue, alpha) in enumerate(heat(strengths[None, :])[0].tolist()):
        opacity = alpha / 255
        mixed = [round(110 * (1 - opacity) + tone * opacity) for tone in (red, green, blue)]
        swatches.append(
            f'<rect x="{5 * n}" width="5.2" height="12" fill="rgb({",".join(map(str, mixed))})"/>'
        )
    ticks = "".join(
        f'<text x="{220 * s / STRONGEST:.0f}" y="25" text-anchor="{anchor}">{label}</text>'
        for s, anchor, label in (
            (FAINTEST, "middle", f"{FAINTEST:.1f}×"),
            (1.0, "middle", "1×"),
            (STRONGEST, "end", f"≥ {STRONGEST:.0f}×"),
        )
    )
    return (
        '<svg class="scale" viewBox="0 0 220 28" role="img" aria-label="Colours from '
        f'{FAINTEST} to {STRONGEST} times the level">{"".join(swatches)}{ticks}</svg>'
    )


def _page_foot(run: RunInfo) -> str:
    return (
        f'</main>\n<footer>{_notice(run)}<p class="quiet">Model {text(run.model.name)} '
        f'{text(run.model.version)}, SHA-256 <span class="id">{text(run.model.digest)}</span>. '
        f"Written by mammolens {text(__version__)}.</p></footer></body></html>\n"
    )
