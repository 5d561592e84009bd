"""The report of an evaluation: its results folder → its document, section by section."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from mammolens.bench.cases import KINDS
from mammolens.bench.report.audit import (
    localisation_blocks,
    localisation_details,
    subgroup_blocks,
    subgroup_details,
)
from mammolens.bench.report.benefit import decision_blocks, decision_details, workload_blocks
from mammolens.bench.report.calibration import (
    calibration_blocks,
    calibration_details,
    recalibration_blocks,
)
from mammolens.bench.report.checklist import CHECKLISTS, Known, read_checklist
from mammolens.bench.report.decisions import (
    conformal_blocks,
    confusion_blocks,
    confusion_details,
    operating_blocks,
    operating_details,
)
from mammolens.bench.report.document import (
    Alarm,
    Block,
    Document,
    Heading,
    Pictures,
    Section,
    ShownCase,
    Text,
    capitalise,
    model_name,
)
from mammolens.bench.report.overview import (
    checklist_blocks,
    data_blocks,
    data_details,
    failure_blocks,
    fold_blocks,
    method_blocks,
    note_blocks,
    run_facts,
    summary_blocks,
)
from mammolens.bench.report.performance import discrimination_blocks, discrimination_details
from mammolens.bench.report.readers import readers_blocks, readers_details
from mammolens.bench.report.robustness import remedy_blocks, robustness_blocks, source_blocks
from mammolens.bench.report.run_folder import Run

__all__ = ["build_document"]

_Blocks = Callable[[Mapping[str, Any]], Iterator[Block]]


_SECTIONS: Final[tuple[tuple[str, str, str, _Blocks, _Blocks | None], ...]] = (
    ("", "Summary", "summary", summary_blocks, None),
    ("", "Notes and warnings", "notes", note_blocks, None),
    ("", "Data", "data", data_blocks, data_details),
    ("", "Methods", "methods", method_blocks, None),
    ("", "Runs", "runs", fold_blocks, None),
    ("", "Discrimination", "discrimination", discrimination_blocks, discrimination_details),
    ("", "Comparison with radiologists", "readers", readers_blocks, readers_details),
    ("", "Operating points", "operating-points", operating_blocks, operating_details),
    ("", "Confusion matrices", "confusion", confusion_blocks, confusion_details),
    ("", "Calibration", "calibration", calibration_blocks, calibration_details),
    ("", "Recalibration", "recalibration", recalibration_blocks, None),
    ("", "Decisions that may be unsure", "conformal", conformal_blocks, None),
    ("", "Decision curves", "decision", decision_blocks, decision_details),
    ("", "Workload", "workload", workload_blocks, None),
    ("localisation", "Localisation", "localisation", localisation_blocks, localisation_details),
    ("audit", "Subgroups", "subgroups", subgroup_blocks, subgroup_details),
    ("robustness", "Robustness", "robustness", robustness_blocks, None),
    ("mitigation", "Remedies", "remedies", remedy_blocks, None),
    ("source_probe", "Recognising the source", "source", source_blocks, None),
)
"""Key in metrics.json (empty: all of it), title, anchor, blocks, details."""

_PNG: Final = b"\x89PNG\r\n\x1a\n"


def build_document(run: Run) -> Document:
    """Make the document of an evaluation; sections without results are left out."""
    metrics = run.metrics
    sections = [section for section in _sections(run) if section.blocks or section.details]
    places = {section.anchor: section.title for section in sections}
    known = Known(metrics, places)
    return Document(
        title=f"Evaluation of {model_name(metrics)}",
        facts=run_facts(metrics),
        sections=(*sections, *(_checklist(*one, known) for one in CHECKLISTS.items())),
    )


def _sections(run: Run) -> Iterator[Section]:
    metrics = run.metrics
    for key, title, anchor, blocks_of, details_of in _SECTIONS:
        if found := metrics.get(key) if key else metrics:
            details = details_of(found) if details_of else ()
            yield Section(title, anchor, tuple(blocks_of(found)), tuple(details))
    yield Section("Best and worst cases", "cases", tuple(_cases(run.folder, metrics)))
    yield Section("Failures", "failures", tuple(failure_blocks(metrics)))


def _checklist(anchor: str, file: str, known: Known) -> Section:
    checklist = read_checklist(file)
    title = f"Checklist: {checklist.name}"
    return Section(title, anchor, tuple(checklist_blocks(checklist, known)))


def _cases(folder: Path, metrics: Mapping[str, Any]) -> Iterator[Block]:
    cases: Sequence[Mapping[str, Any]] = metrics.get("cases") or ()
    if not cases:
        return
    yield Text(
        "Images as the model received them: cropped to the breast, chest wall at the left, reduced "
        "in size. The tint and the boxes come from the model. The number of a box is its strength "
        "relative to the level from which a finding counts. A dotted line is a lesion marked in "
        "the table. These images are extremes, not a sample."
    )
    for kind, words in KINDS.items():
        here = [case for case in cases if case["kind"] == kind]
        if not here:
            continue
        yield Heading(capitalise(words), f"cases-{kind}")
        shown = [_case_picture(folder, case) for case in here]
        yield Pictures(tuple(one for one in shown if one is not None))
        if lost := sum(one is None for one in shown):
            yield Alarm(f"{lost} of these pictures are no longer in {folder.name}/cases.")


def _case_picture(folder: Path, case: Mapping[str, Any]) -> ShownCase | None:
    png = _picture(folder, str(case["file"]))
    if png is None:
        return None
    truth = _label(case)
    places = len(case["findings"])
    marked = int(case["lesions_drawn"])
    alt = (
        f"{case['view']} mammogram, {truth}, P(malignant) {case['malignancy']:.2f}; "
        f"{places} boxes of the model, {marked} marked lesions"
    )
    return ShownCase(
        png,
        alt,
        (
            f"P(malignant) {case['malignancy']:.3f}",
            f"Label: {truth}",
            f"{case['dataset']}, {case['view']}",
            f"Image {case['image_id']}",
            f"Patient {case['patient_id']}",
            f"Boxes {places}; marked lesions {marked or 'none'}",
        ),
    )


def _picture(folder: Path, file: str) -> bytes | None:
    """Read the PNG of a case; refuse paths outside the folder, which metrics.json might hold."""
    path = (folder / file).resolve()
    if path.parent != (folder / "cases").resolve() or not path.is_file():
        return None
    data = path.read_bytes()
    return data if data.startswith(_PNG) else None


def _label(case: Mapping[str, Any]) -> str:
    if case["label_malignant"]:
        return "malignant"
    kinds = {True: "benign tumour", False: "no tumour", None: "not malignant"}
    return kinds[case["label_tumour"]]
