"""Output of the command line: tables on standard output, progress on standard error.

Text that comes from files (paths, identifiers) passes `printable` and is never read as markup.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from mammolens import DISCLAIMER
from mammolens.core import TriageCategory
from mammolens.doctor import Check, Health
from mammolens.sinks import RunInfo, RunSummary
from mammolens.wording import CATEGORY_WORDS, estimate, percent, printable

if TYPE_CHECKING:
    from mammolens.analysis import RegionReport
    from mammolens.bench.comparison import Comparison
    from mammolens.bench.evaluate import EvaluationSummary
    from mammolens.data.check import CheckReport
    from mammolens.data.manifest import Manifest
    from mammolens.data.sources import SourceInfo
    from mammolens.scale import ArchiveSummary

__all__ = [
    "progress_bar",
    "show_alarms",
    "show_archive",
    "show_check",
    "show_checks",
    "show_comparison",
    "show_evaluation",
    "show_manifest",
    "show_regions",
    "show_run",
    "show_sources",
    "show_written",
]

_CATEGORY_STYLES = {
    TriageCategory.FAILED: "bold magenta",
    TriageCategory.HIGH: "bold red",
    TriageCategory.INTERMEDIATE: "yellow",
    TriageCategory.LOW: "green",
}
_REGION_STYLES = {TriageCategory.HIGH: "bold red", TriageCategory.INTERMEDIATE: "yellow"}
_SHOWN = 5
_HEALTH_STYLES = {Health.OK: "green", Health.OPTIONAL: "yellow", Health.LACKING: "bold red"}


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show a progress bar on standard error; the function that it yields takes (done, total).

    It shows the time that has passed and the time left. Without a terminal, nothing is drawn.
    """
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    with bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def show_run(summary: RunSummary, run: RunInfo) -> None:
    """Print the worklist (failed exams first, then by falling malignancy) and the written files."""
    console = _console()
    tumour = ("tumour",) if run.tumour_vouched else ()
    table = Table(
        *("patient", "category", "malignancy", *tumour, "images", "not analysed", "seconds")
    )
    for row in sorted(
        summary.rows, key=lambda row: -2.0 if row.malignancy is None else -row.malignancy
    ):
        table.add_row(
            Text(printable(row.patient_id or "unknown")),
            Text(CATEGORY_WORDS[row.category], style=_CATEGORY_STYLES[row.category]),
            "" if row.malignancy is None else percent(row.malignancy),
            *("" if row.tumour is None else percent(row.tumour) for _ in tumour),
            str(row.n_images),
            str(row.n_unreadable or ""),
            f"{row.elapsed_s:.1f}",
        )
    if summary.rows:
        console.print(table)
    _show_unreadable(console, summary)
    for refusal in summary.refusals:
        console.print(Text(f"not written, {printable(refusal)}", style="yellow"))
    show_written(summary.files)
    console.print(
        f"{run.model.name} {run.model.version}; probabilities stand for a prevalence of "
        f"{percent(run.prevalence)}. {DISCLAIMER}"
    )


def show_alarms(found: Mapping[str, Any]) -> None:
    """Print the subgroups with an alarm, and how many comparisons there were."""
    console = _console()
    for row in found["figures"]:
        if row["alarm"]:
            console.print(Text(printable(row["words"]), style="bold red"))
    console.print(
        f"{found['alarms']} alarms in {found['n_tests']} comparisons of {found['n_exams']} exams"
        f" ({found['rule']}); the chance of any false alarm is at most {found['alpha']:g}, at all"
        " looks together. No alarm does not prove that there is no difference."
    )


def show_archive(summary: ArchiveSummary) -> None:
    """Print how many exams an archive has, how many failed, and where the results are."""
    console = _console()
    counts = summary.counts
    console.print(
        f"{counts.exams} exams, {counts.failed} failed; {counts.unread} of their files and"
        f" {counts.inputs} other files not analysed; {summary.analysed} of {summary.shards} shards"
        " analysed by this run"
    )
    if counts.failed or counts.unread or counts.inputs:
        console.print("each is listed with its reason in the column failures")
    show_written([summary.folder])
    console.print(DISCLAIMER)


def _show_unreadable(console: Console, summary: RunSummary) -> None:
    """Name the first refused files with their reasons, and count the others."""
    if not summary.n_unreadable:
        return
    console.print(f"{summary.n_unreadable} not analysed:")
    for item in summary.unreadable:
        reason = item.message.removeprefix(f"{item.path}: ")
        line = printable(f"  {item.path}: {item.error}: {reason}")
        console.print(Text(line, style="yellow"))
    more = summary.n_unreadable - len(summary.unreadable)
    if more:
        lists = [p.name for p in summary.files if p.name in ("results.json", "report.html")]
        where = f"listed in {' and '.join(lists)}" if lists else "the sink json lists them"
        console.print(f"  and {more} more; {where}")


def show_regions(report: RegionReport, files: Iterable[Path]) -> None:
    """Print the probabilities and warnings of each marked region, and the written files."""
    console = _console()
    table = Table("region", "rows", "columns", "malignant", "benign", "warnings")
    for number, region in enumerate(report.regions, start=1):
        r0, c0, r1, c1 = region.box_source_px
        table.add_row(
            str(number),
            f"{r0:g}–{r1:g}",
            f"{c0:g}–{c1:g}",
            Text(percent(region.malignant), style=_REGION_STYLES.get(region.category, "")),
            percent(region.benign),
            " ".join(caution.name for caution in region.cautions),
        )
    console.print(table)
    show_written(files)
    console.print(
        f"{report.model.name} {report.model.version}; P(malignant) of a mark, given that it is a "
        f"lesion, where {percent(report.prevalence)} of lesions are malignant. {DISCLAIMER}"
    )


def show_evaluation(summary: EvaluationSummary) -> None:
    """Print the figures of each task with their intervals, and the written files."""
    from mammolens.bench.units import TASKS, UNITS

    console = _console()
    table = Table("task", "unit", "n", "positive", "AUC (95 % interval)")
    for task in TASKS:
        for unit in UNITS:
            figure = summary.metrics[task][unit]
            table.add_row(
                task, unit, str(figure["n"]), str(figure["n_positive"]), _auc_words(figure)
            )
    console.print(table)
    decided = summary.metrics.get("operating_points", {})
    if decided:
        console.print(_points_table(decided))
    for note in summary.metrics["notes"]:
        _print_note(console, note)
    if summary.n_unreadable:
        console.print(f"{summary.n_unreadable} of {summary.n_rows} images could not be scored")
    show_written((summary.metrics_path, summary.predictions_path, *summary.report_paths))
    console.print(DISCLAIMER)


def _print_note(console: Console, note: str) -> None:
    style = "bold red" if note.startswith("WARNING") else "yellow"
    console.print(Text(printable(f"note: {note}"), style=style))


def _points_table(decided: Mapping[str, Any]) -> Table:
    points = Table("malignancy decided at", "unit", "n", "sensitivity", "specificity")
    for name, point in decided.items():
        of_unit = point["malignancy"][point["unit"]]
        figures = (_interval_words(point[kind]) for kind in ("sensitivity", "specificity"))
        points.add_row(name, point["unit"], str(of_unit["n"]), *figures)
    return points


def show_comparison(comparison: Comparison) -> None:
    """Print the AUC of each model on each data set, the claims, and the written files."""
    console = _console()
    found = comparison.document["datasets"]
    standings = {name: tasks["malignancy"][comparison.unit] for name, tasks in found.items()}
    table = Table(f"AUC of malignancy, by {comparison.unit}")
    for name, standing in standings.items():
        table.add_column(Text(printable(f"{name} ({standing['n']})")))
    for model in (described["name"] for described in comparison.document["models"]):
        figures = [one["models"].get(model, {"auc": None}) for one in standings.values()]
        table.add_row(Text(printable(model)), *(_auc_words(figure) for figure in figures))
    console.print(table)
    for claim in comparison.claims:
        console.print(Text(printable(claim.words)))
    for note in comparison.document["notes"]:
        _print_note(console, note)
    show_written(comparison.files)
    console.print(DISCLAIMER)


def _auc_words(figure: Mapping[str, Any]) -> str:
    auc = figure["auc"]
    return str(figure.get("note", "none")) if auc is None else _interval_words(auc)


def _interval_words(figure: Mapping[str, Any] | None) -> str:
    return "none" if figure is None else estimate(figure["value"], figure["low"], figure["high"])


def show_checks(checks: Iterable[Check]) -> bool:
    """Print each check with its fix; return whether everything that is needed works."""
    console = _console()
    sound = True
    for check in checks:
        sound = sound and check.health is not Health.LACKING
        mark = Text(f"{check.health.value:<9}", style=_HEALTH_STYLES[check.health])
        console.print(mark + Text(f"{check.name}: {check.detail}"))
        if check.fix:
            console.print(Text(f"         fix: {check.fix}"))
    return sound


def show_sources(sources: Iterable[SourceInfo]) -> None:
    """Print each data set that can be read, with its licence and source."""
    console = _console()
    for source in sources:
        console.print(Text(f"{printable(source.name):<11}", style="bold"), end="")
        console.print(Text(printable(source.summary)))
        console.print(Text(" " * 11 + printable(f"{source.licence}; {source.home}"), style="dim"))
    console.print(
        "Get the data from there and agree to its terms; none of it comes with mammolens."
    )
    console.print(DISCLAIMER)


def show_manifest(manifest: Manifest) -> None:
    """Print how many images a table holds by label, view, side and split, and its cautions."""
    from mammolens.data.summary import count_images, synthetic_warnings

    console = _console()
    table = Table("data set", "label", "view", "side", "split", "images", "patients")
    for row in count_images(manifest):
        words = (row.dataset, row.label, row.view_position, row.laterality, row.split)
        cells = (Text(printable(word)) if word else Text("?", style="dim") for word in words)
        table.add_row(*cells, str(row.images), str(row.patients))
    console.print(table)
    patients = len({record.patient for record in manifest.records})
    marked = sum(bool(record.lesions) for record in manifest.records)
    console.print(
        f"{len(manifest.records)} images of {patients} patients, {marked} with marked lesions; "
        f"digest {manifest.digest[:16]}"
    )
    for note in synthetic_warnings(record.dataset for record in manifest.records):
        _print_note(console, note)
    for caution in manifest.cautions:
        console.print(Text(printable(f"caution: {caution}"), style="yellow"))
    console.print(DISCLAIMER)


def show_check(report: CheckReport) -> None:
    """Print the findings of a check of tables, errors first, and the figures of its probes."""
    console = _console()
    styles = {"error": "bold red", "warning": "yellow", "note": "dim"}
    for found in report.findings:
        word = found.severity.value
        console.print(Text(f"{word:<8}{found.code}: ", style=styles[word]), end="")
        console.print(Text(printable(found.message)))
        shown = found.details or found.images
        for line in shown[:_SHOWN]:
            console.print(Text("        " + printable(line)))
        if len(shown) > _SHOWN:
            console.print(f"        and {len(shown) - _SHOWN} more; --json gives them all")
        console.print(Text(f"        fix: {printable(found.remedy)}"))
    table = Table("data set", "label", "trait", "most telling", "AUC (95 % interval)")
    for probe in report.probes:
        words = (probe.dataset, probe.task, probe.trait, probe.telling, str(probe.auc))
        table.add_row(*(Text(printable(word)) for word in words))
    if report.probes:
        console.print(table)
    console.print(
        f"{report.n_read} of {report.n_images} images of {report.n_patients} patients read: "
        f"{report.summary}. {DISCLAIMER}"
    )


def show_written(paths: Iterable[Path]) -> None:
    """Print the paths of the written files, one in each line."""
    console = _console()
    for path in paths:
        console.print(Text(printable(str(path))))


def _console() -> Console:
    """Give standard output; long lines are not broken, and numbers are not coloured."""
    return Console(highlight=False, soft_wrap=True)
