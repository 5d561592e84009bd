"""Marked regions on their way out: ``regions.json``, ``.csv``, ``.png`` and ``.html``.

One image's report flows in. These are results of regions, never of exams: no worklist is written,
and of the sinks only those of `REGION_SINKS` take them.
"""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from mammolens import __version__
from mammolens._lettering import band
from mammolens._outlines import draw_outlines, outline
from mammolens._pages import page_start
from mammolens.analysis import RegionPrediction, RegionReport
from mammolens.core import TriageCategory
from mammolens.errors import ConfigError, DeliveryError
from mammolens.render import box_to_display, frame, reduced
from mammolens.sinks import RunInfo
from mammolens.sinks._html_exam import category
from mammolens.sinks._html_views import text
from mammolens.wording import percent, printable, table_cell, view_name

__all__ = [
    "CSV_COLUMNS",
    "MEANING",
    "REGION_SINKS",
    "SCHEMA_ID",
    "check_region_sinks",
    "write_regions",
]

SCHEMA_ID: Final = "mammolens/regions/1"
CSV_COLUMNS: Final = (
    *("region", "row0", "col0", "row1", "col1", "malignancy", "benign", "category"),
    *("warnings", "path", "patient_id", "prevalence", "model", "notice"),
)
MEANING: Final = (
    "P(malignant) of a mark, given that it is a lesion: normal is no possible answer, and a low "
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
    """Write a report in the formats that are asked for; everything is made before any is written.

    Parameters
    ----------
    out
        Folder, made if absent.
    sinks
        Names out of `REGION_SINKS`.

    Raises
    ------
    ConfigError
        A sink does not take regions, or draws, and the report has no picture.
    DeliveryError
        The folder cannot be written to.
    """
    check_region_sinks(sinks)
    made = [REGION_SINKS[name] for name in dict.fromkeys(sinks)]
    contents = {file: make(report, run) for file, make in made}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for file, data in contents.items():
            partial = out / f".{file}.partial"
            partial.write_bytes(data)
            partial.replace(out / file)
    except OSError as error:
        raise DeliveryError(
            f"the results cannot be written ({error})",
            source=str(out),
            remedy="Check that the folder is writable and the disk is not full",
        ) from error
    return [out / file for file in contents]


def check_region_sinks(sinks: Sequence[str]) -> None:
    """Refuse sinks that take exams only, and a list of none.

    Raises
    ------
    ConfigError
    """
    unfit = [name for name in sinks if name not in REGION_SINKS]
    if unfit or not sinks:
        raise ConfigError(
            f"the sink {unfit[0]!r} does not take marked regions"
            if unfit
            else "no output is asked",
            keyword="sinks",
            remedy=f"With --region use some of {', '.join(REGION_SINKS)}",
        )


def _json(report: RegionReport, run: RunInfo) -> bytes:
    ref, model = report.ref, report.model
    record: dict[str, Any] = {
        "schema": SCHEMA_ID,
        "disclaimer": run.disclaimer,
        "meaning": MEANING,
        "created": run.created.isoformat(timespec="seconds"),
        "software": {"name": "mammolens", "version": __version__},
        "model": {"name": model.name, "version": model.version, "digest": model.digest},
        "prevalence": report.prevalence,
        "thresholds": [
            {
                "name": point.name,
                "threshold": point.threshold,
                "sensitivity": point.sensitivity,
                "specificity": point.specificity,
            }
            for point in run.thresholds
        ],
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
    return (json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _csv(report: RegionReport, run: RunInfo) -> bytes:
    stream = io.StringIO(newline="")
    table = csv.writer(stream)
    table.writerow(CSV_COLUMNS)
    for number, region in enumerate(report.regions, start=1):
        table.writerow(
            [
                number,
                *(f"{edge:g}" for edge in region.box_source_px),
                round(region.malignant, 5),
                round(region.benign, 5),
                region.category.value,
                " ".join(c.name for c in (*region.cautions, *report.cautions)),
                table_cell(report.ref.path),
                table_cell(report.ref.patient_id or ""),
                report.prevalence,
                f"{report.model.name} {report.model.version}",
                run.disclaimer,
            ]
        )
    return stream.getvalue().encode()


def _png(report: RegionReport, run: RunInfo) -> bytes:
    picture = _drawn(report)
    lines = [
        f"{view_name(report.ref)}   {_numbered(report)}",
        f"{MEANING}.",
        f"{report.model.name} {report.model.version}, for {percent(report.prevalence)} malignant "
        f"among marked lesions. {run.disclaimer}",
    ]
    sheet = np.vstack([picture, band(lines, picture.shape[1])])
    return _encoded(".png", sheet)


def _numbered(report: RegionReport) -> str:
    return "   ".join(
        f"{number}: P(malignant) {percent(region.malignant)}, {_WORDS[region.category]}"
        for number, region in enumerate(report.regions, start=1)
    )


def _drawn(report: RegionReport) -> npt.NDArray[np.uint8]:
    """The image with the outlines of all windows' maps, and the boxes that were marked; RGB."""
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


def _encoded(suffix: str, rgb: npt.NDArray[np.uint8]) -> bytes:
    encoded: bytes = cv2.imencode(suffix, np.ascontiguousarray(rgb[..., ::-1]))[1].tobytes()
    return encoded


def _html(report: RegionReport, run: RunInfo) -> bytes:
    style = resources.files("mammolens.sinks").joinpath("report.css").read_text("utf-8")
    picture = base64.b64encode(_encoded(".jpg", _drawn(report))).decode("ascii")
    when = run.created.strftime("%Y-%m-%d %H:%M %Z").strip()
    notice = f'<p class="notice">{text(run.disclaimer)} <span>{text(MEANING)}.</span></p>'
    rows = "".join(_row(number, region) for number, region in enumerate(report.regions, start=1))
    warnings = "".join(f"<li>{text(caution)}</li>" for caution in report.cautions)
    thresholds = "; ".join(f"{p.name} {percent(p.threshold)}" for p in run.thresholds)
    start = page_start(f"mammolens regions, {when}", style)
    page = (
        f'{start}<p class="running" aria-hidden="true">{text(run.disclaimer)}</p>'
        '<div class="sheet">'
        f'<header><p class="brand">mammolens {text(__version__)} · {text(when)} · model '
        f"{text(report.model.name)} {text(report.model.version)}</p>"
        f"<h1>Marked regions</h1>{notice}</header>\n<main>"
        '<table><thead><tr><th scope="col">#</th><th scope="col" class="n">P(malignant)</th>'
        '<th scope="col" class="n">P(benign)</th><th scope="col">Level</th>'
        '<th scope="col">Rows, columns</th><th scope="col">Warnings</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
        f'<p class="quiet">Probabilities stand for {percent(report.prevalence)} malignant among '
        f"marked lesions. Thresholds on P(malignant): {text(thresholds)}. Lines "
        "enclose where the malignancy map of a window reaches 1x and 2x the level of the model's "
        "card.</p>"
        f'<img src="data:image/jpeg;base64,{picture}" style="max-width:100%" '
        f'alt="{text(view_name(report.ref))} with {len(report.regions)} marked regions">'
        f'<h4>File</h4><p class="id">{text(report.ref.path)}</p>'
        f"{f'<h4>Warnings</h4><ul>{warnings}</ul>' if warnings else ''}"
        f'</main>\n<footer>{notice}<p class="quiet">{text(run.model_summary)} SHA-256 '
        f'<span class="id">{text(report.model.digest)}</span></p></footer></div></body></html>\n'
    )
    return page.encode("utf-8")


def _row(number: int, region: RegionPrediction) -> str:
    r0, c0, r1, c1 = region.box_source_px
    return (
        f'<tr><td>{number}</td><td class="n">{percent(region.malignant)}</td>'
        f'<td class="n">{percent(region.benign)}</td>'
        f"<td>{category(region.category, _WORDS[region.category])}</td>"
        f"<td>{r0:g}–{r1:g}, {c0:g}–{c1:g}</td>"
        f"<td>{text('; '.join(str(c) for c in region.cautions))}</td></tr>"
    )


REGION_SINKS: Final[dict[str, tuple[str, Callable[[RegionReport, RunInfo], bytes]]]] = {
    "csv": ("regions.csv", _csv),
    "html": ("regions.html", _html),
    "json": ("regions.json", _json),
    "overlay": ("regions.png", _png),
}
"""Name of the sink, its file, and what makes its bytes."""
