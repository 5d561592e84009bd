"""``report.html``: one page for a run, with the worklist and then every exam.

The page needs no network. It can be read without its script and on a phone, and it can be printed.
Its viewer takes the views at full resolution from the folder ``report-pictures``; the page is
complete without them. During a run, the rows of exams are stored on the disk; at the end they are
sorted for the worklist. If a run has more than `PICTURED` exams, only the first of the worklist
have pictures, because browsers cannot open a larger page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from markupsafe import Markup

from mammolens import __version__
from mammolens._outlines import LEVELS_MEAN
from mammolens._pages import page_start, templates
from mammolens.core import Prediction, Scores, Unreadable
from mammolens.sinks import Artefact, RunInfo, TriageThreshold, find_sink
from mammolens.sinks._files import ExamNames, exam_ids
from mammolens.sinks._html_exam import (
    ExamRow,
    Shown,
    exam_context,
    refused_inputs,
    rendered,
    worklist_row,
)
from mammolens.sinks._html_views import (
    MissingPanel,
    Panel,
    exam_panels,
    full_pictures,
    with_addresses,
)
from mammolens.sinks._worklist import reading_key
from mammolens.wording import CATEGORY_WORDS, percent

__all__ = ["PICTURED", "exam_row", "page"]

PICTURED: Final = 100
_OPEN: Final = 3
"""If a run has at most so many exams, they are shown open."""
_EDGES: Final = {"low": "low below", "high": "high from"}


@dataclass(frozen=True)
class _Row:
    """The stored row of one item of the run: a rendered exam, or only refused inputs.

    `panels` and `pictures` are set for exams with pictures. `pictures` are JPEG files at full
    resolution, by the name of the view. Texts are HTML.
    """

    refused: str
    n_refused: int
    key: tuple[int, float] | None = None
    exam: tuple[str, str] = ("", "")
    row: ExamRow | None = None
    context: dict[str, Any] | None = None
    panels: list[Panel | MissingPanel] | None = None
    pictures: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True)
class _Entry:
    """One exam on the page: its place in the order, its number, and its line of the worklist."""

    key: tuple[int, float]
    at: int
    anchor: str
    row: ExamRow


def exam_row(item: Prediction | Unreadable, run: RunInfo, place: int) -> _Row:
    """Prepare one exam for the page; with pictures if it may be one of the worklist's first 100."""
    if isinstance(item, Unreadable):
        return _Row(rendered("unreadable", refused_inputs([item])), 1)
    drawn, shown = bool(item.images) and place < PICTURED, _shown(run)
    return _Row(
        refused=rendered("unreadable", refused_inputs(item.unreadable)),
        n_refused=len(item.unreadable),
        key=reading_key(item),
        exam=exam_ids(item),
        row=worklist_row(item, shown),
        context=exam_context(item, shown),
        panels=exam_panels(item) if drawn else None,
        pictures=tuple(full_pictures(item)) if drawn else (),
    )


def page(rows: Sequence[_Row], run: RunInfo) -> Iterator[Artefact]:
    """Write the full pictures of the first exams, and the page in reading order."""
    entries: list[_Entry] = []
    drawn: list[_Entry] = []
    for at, row in enumerate(rows):
        if row.key is None or row.row is None:
            continue
        entries.append(_Entry(row.key, at, f"exam-{len(entries) + 1}", row.row))
        if row.panels is not None:
            drawn.append(entries[-1])
    entries.sort(key=lambda entry: entry.key)
    kept = {entry.at for entry in sorted(drawn, key=lambda entry: entry.key)[:PICTURED]}
    names = ExamNames(find_sink("html").files[1])
    addresses: dict[int, dict[str, str]] = {}
    for entry in drawn:
        row = rows[entry.at]
        exam = names.exam(row.exam)
        paths = {view: names.path(exam, view) for view, _ in row.pictures}
        if entry.at in kept:
            addresses[entry.at] = paths
            for view, data in row.pictures:
                yield Artefact(paths[view], "image/jpeg", data, exam=row.exam)
    yield Artefact("report.html", "text/html", lambda: _page(rows, entries, addresses, run))


def _page(
    rows: Sequence[_Row],
    entries: Sequence[_Entry],
    addresses: Mapping[int, Mapping[str, str]],
    run: RunInfo,
) -> Iterator[bytes]:
    """Give the page piece by piece; `addresses` are those of the pictures of each exam by view."""
    counts = Counter(entry.row.category for entry in entries)
    script = _resource("report.js")
    when = run.created.strftime("%Y-%m-%d %H:%M %Z").strip()
    start = page_start(f"mammolens worklist, {when}", _resource("report.css"), script)
    refused = sum(row.n_refused for row in rows)
    template = templates("mammolens.sinks").get_template("worklist.html.j2")

    def parts(entry: _Entry) -> dict[str, Markup]:
        row, hung = rows[entry.at], addresses.get(entry.at)
        context = {"anchor": entry.anchor, **(row.context or {})}
        made = {name: Markup(rendered(name, context)) for name in ("head", "cautions", "facts")}
        panels = [] if hung is None else with_addresses(row.panels or [], hung)
        return {**made, "pictures": Markup(rendered("hanging", panels) if panels else "")}

    for piece in template.generate(
        start=Markup(start),
        script=Markup(script),
        run=run,
        version=__version__,
        when=when,
        counts=[(kind, counts[kind]) for kind in CATEGORY_WORDS if counts[kind]],
        categories=list(CATEGORY_WORDS),
        columns=_columns(_shown(run)),
        triage=_thresholds(run.thresholds),
        how_to_read=_how_to_read(run, _shown(run)),
        exams=entries,
        pictured=PICTURED,
        opened=_OPEN,
        refused=(Markup(row.refused) for row in rows),
        n_refused=refused,
        parts_of=parts,
    ):
        yield piece.encode("utf-8")


def _shown(run: RunInfo) -> Shown:
    """The probabilities that the page shows: P(tumour) only where the model card vouches for it."""
    shown: dict[str, Callable[[Scores], float]] = {"Malignant": lambda scores: scores.malignant}
    if run.tumour_vouched:
        shown["Tumour"] = lambda scores: scores.tumour
    return shown


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
        "Not claimed": "BI-RADS category, and comparison with prior exams.",
    }
