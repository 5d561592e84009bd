"""Write the report of marked regions: ``regions.json``, ``.csv``, ``.png`` and ``.html``.

These are results of regions of one image, never of exams: no worklist is written, and only sinks
with a function in `Sink.regions` accept them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path, PurePath
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from mammolens import __version__
from mammolens._lettering import band, encode_rgb
from mammolens._outlines import draw_outlines, outline
from mammolens._pages import page_start, templates
from mammolens.analysis import RegionPrediction, RegionReport
from mammolens.core import TriageCategory
from mammolens.errors import ConfigError
from mammolens.files import storage, write_whole
from mammolens.render import box_to_display, frame, reduced
from mammolens.sinks import SINKS, Artefact, RunInfo, find_sink, sink_names
from mammolens.wording import percent, printable, table_text, view_name

__all__ = [
    "CSV_COLUMNS",
    "MEANING",
    "SCHEMA_ID",
    "check_region_sinks",
    "regions_csv",
    "regions_html",
    "regions_json",
    "regions_png",
    "write_regions",
]

SCHEMA_ID: Final = "mammolens/regions/1"
CSV_COLUMNS: Final = (
    *("region", "row0", "col0", "row1", "col1", "malignancy", "benign", "category"),
    *("warnings", "path", "patient_id", "prevalence", "model", "notice"),
)
MEANING: Final = (
    "P(malignant) of a mark, given that it is a lesion: normal is not a possible answer, and a low "
    "score does not make a lesion benign"
)
_WORDS: Final = {
    TriageCategory.HIGH: "at or above the higher threshold",
    TriageCategory.INTERMEDIATE: "between the thresholds",
    TriageCategory.LOW: "below the lower threshold",
}


def write_regions(
    report: RegionReport, out: Path, run: RunInfo, sinks: Sequence[str]
) -> list[Path]:
    """Write a report in the requested formats; all files are made before the first is written.

    Parameters
    ----------
    out
        Folder, made if absent.
    sinks
        Names of sinks that take regions.

    Raises
    ------
    ConfigError
        A sink does not take regions, or draws, and the report has no picture.
    StorageError
        The folder cannot be written to.
    """
    check_region_sinks(sinks)
    wanted = [find_sink(name) for name in dict.fromkeys(sinks)]
    made: list[Artefact] = [sink.load(sink.regions)(report, run) for sink in wanted]
    for artefact in made:
        if PurePath(artefact.name).name != artefact.name:
            raise ConfigError(
                f"the file {artefact.name!r} would lie outside the folder of results",
                keyword="sinks",
                remedy="Leave out the sink that makes it",
            )
    with storage(out, "the results"):
        return [write_whole(out / artefact.name, artefact.read()) for artefact in made]


def check_region_sinks(sinks: Sequence[str]) -> None:
    """Refuse sinks that take exams only, and an empty list.

    Raises
    ------
    ConfigError
    """
    known = set(sink_names())
    unfit = [name for name in sinks if name not in known or not find_sink(name).regions]
    if unfit or not sinks:
        fit = (sink.name for sink in SINKS.values() if sink.regions)
        raise ConfigError(
            f"the sink {unfit[0]!r} does not take marked regions"
            if unfit
            else "no output format is named",
            keyword="sinks",
            remedy=f"With --region use some of {', '.join(fit)}",
        )


def regions_json(report: RegionReport, run: RunInfo) -> Artefact:
    """Write every number of the report as ``regions.json``."""
    ref = report.ref
    record: dict[str, Any] = {
        "schema": SCHEMA_ID,
        "disclaimer": run.disclaimer,
        "meaning": MEANING,
        "created": run.created.isoformat(timespec="seconds"),
        "software": {"name": "mammolens", "version": __version__},
        "model": asdict(report.model),
        "prevalence": report.prevalence,
        "thresholds": [asdict(point) for point in run.thresholds],
        "image": {
            "path": printable(ref.path),
            "digest": ref.digest,
            "patient_id": ref.patient_id and printable(ref.patient_id),
            "study_instance_uid": ref.study_instance_uid,
            "sop_instance_uid": ref.sop_instance_uid,
            "laterality": ref.laterality.value if ref.laterality else None,
            "view_position": ref.view_position.value if ref.view_position else None,
            "source_shape": list(report.regions[0].geometry.source_shape),
            "warnings": [printable(str(caution)) for caution in report.cautions],
        },
        "regions": [
            {
                "box_source_px": list(region.box_source_px),
                "window_source_px": list(region.geometry.crop_source_px),
                "malignancy": region.malignant,
                "benign": region.benign,
                "category": region.category.value,
                "warnings": [printable(str(caution)) for caution in region.cautions],
            }
            for region in report.regions
        ],
        "elapsed_s": round(report.elapsed_s, 3),
    }
    text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return Artefact("regions.json", "application/json", text.encode())


def regions_csv(report: RegionReport, run: RunInfo) -> Artefact:
    """Write a row for each region as ``regions.csv``."""
    rows = [
        [
            number,
            *(f"{edge:g}" for edge in region.box_source_px),
            round(region.malignant, 5),
            round(region.benign, 5),
            region.category.value,
            " ".join(c.name for c in (*region.cautions, *report.cautions)),
            report.ref.path,
            report.ref.patient_id or "",
            report.prevalence,
            f"{report.model.name} {report.model.version}",
            run.disclaimer,
        ]
        for number, region in enumerate(report.regions, start=1)
    ]
    text = table_text([CSV_COLUMNS, *rows], end="\r\n")
    return Artefact("regions.csv", "text/csv", text.encode())


def regions_png(report: RegionReport, run: RunInfo) -> Artefact:
    """Draw the marked boxes and the outlines of the maps as ``regions.png``."""
    picture = _drawn(report)
    lines = [
        f"{view_name(report.ref)}   {_numbered(report)}",
        f"{MEANING}.",
        f"{report.model.name} {report.model.version}, for {percent(report.prevalence)} malignant "
        f"among marked lesions. {run.disclaimer}",
    ]
    sheet = np.vstack([picture, band(lines, picture.shape[1])])
    return Artefact("regions.png", "image/png", encode_rgb(sheet))


def _numbered(report: RegionReport) -> str:
    return "   ".join(
        f"{number}: P(malignant) {percent(region.malignant)}, {_WORDS[region.category]}"
        for number, region in enumerate(report.regions, start=1)
    )


def _drawn(report: RegionReport) -> npt.NDArray[np.uint8]:
    """Draw the outlines of the maps of all windows, and the marked boxes, on the image; RGB."""
    if report.display is None:
        raise ConfigError("the picture was not kept", keyword="display", remedy="Keep it to draw")
    grey = reduced(report.display.pixels)
    shape = (grey.shape[0], grey.shape[1])
    picture = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
    size = float(np.clip(shape[1] / 45, 13, 34))
    for region in report.regions:
        strength = region.malignancy_map / region.map_level
        draw_outlines(picture, outline(strength, region.geometry, shape), size)
    for number, region in enumerate(report.regions, start=1):
        at = box_to_display(region.box_source_px, region.geometry.source_shape, shape, False)
        frame(picture, at, f"{number}: {percent(region.malignant)}", size)
    return picture


def regions_html(report: RegionReport, run: RunInfo) -> Artefact:
    """Show picture and numbers on one page, ``regions.html``."""
    style = resources.files("mammolens.sinks").joinpath("report.css").read_text("utf-8")
    when = run.created.strftime("%Y-%m-%d %H:%M %Z").strip()
    page = templates("mammolens.sinks").get_template("regions.html.j2")
    text = page.render(
        start=Markup(page_start(f"mammolens regions, {when}", style)),
        run=run,
        report=report,
        version=__version__,
        when=when,
        meaning=MEANING,
        rows=[_row(region) for region in report.regions],
        prevalence=percent(report.prevalence),
        thresholds="; ".join(f"{p.name} {percent(p.threshold)}" for p in run.thresholds),
        picture=base64.b64encode(encode_rgb(_drawn(report), ".jpg")).decode("ascii"),
        view=view_name(report.ref),
        warnings=[str(caution) for caution in report.cautions],
    )
    return Artefact("regions.html", "text/html", text.encode("utf-8") + b"\n")


def _row(region: RegionPrediction) -> dict[str, Any]:
    r0, c0, r1, c1 = region.box_source_px
    return {
        "malignant": percent(region.malignant),
        "benign": percent(region.benign),
        "category": region.category,
        "level": _WORDS[region.category],
        "place": f"{r0:g}–{r1:g}, {c0:g}–{c1:g}",
        "warnings": "; ".join(str(caution) for caution in region.cautions),
    }
