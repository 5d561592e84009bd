"""``results.json``: every exam with every number, one document per run.

Its shape is published as ``results.schema.json`` beside this module. Probabilities lie in 0–1;
``null`` means unknown. Exams are in the order of the run; unreadable inputs are listed at the end.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from importlib import resources
from typing import Any, Final

from mammolens import __version__
from mammolens.core import (
    ClinicalItem,
    Finding,
    FusionResult,
    ImagePrediction,
    Prediction,
    RiskStatement,
    Scores,
    Unreadable,
    quality_record,
)
from mammolens.monitor import machine_record
from mammolens.sinks import Artefact, RunInfo
from mammolens.sinks._density import densities_record, density_record

__all__ = [
    "SCHEMA_ID",
    "densities_record",
    "exam_record",
    "fusion_record",
    "item_record",
    "result_row",
    "results",
    "results_schema",
]

SCHEMA_ID: Final = "mammolens/results/1"


def results_schema() -> dict[str, Any]:
    """Give the JSON Schema (draft 2020-12) of `results.json`.

    Examples
    --------
    >>> results_schema()["properties"]["schema"]["const"]
    'mammolens/results/1'
    """
    text = resources.files("mammolens.sinks").joinpath("results.schema.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


_Row = tuple[str, list[str]]
"""The exam as JSON (empty if the input belongs to no exam), and its unreadable inputs as JSON."""


def result_row(item: Prediction | Unreadable, run: RunInfo, place: int) -> _Row:  # noqa: ARG001
    """Write one exam, or one unreadable input, as JSON."""
    if isinstance(item, Unreadable):
        return "", [_dump(_unreadable_record(item))]
    return _dump(exam_record(item)), [_dump(_unreadable_record(u)) for u in item.unreadable]


def results(rows: Sequence[_Row], run: RunInfo) -> Iterator[Artefact]:
    """Join the exams and the unreadable inputs into ``results.json``."""
    yield Artefact("results.json", "application/json", lambda: _document(rows, run))


def _document(rows: Sequence[_Row], run: RunInfo) -> Iterator[bytes]:
    exams = (exam for exam, _ in rows if exam)
    unreadable = (item for _, items in rows for item in items)
    yield (_dump(_run_record(run)).removesuffix("}") + ', "exams": [').encode()
    yield from _items(exams)
    yield b'\n], "unreadable": ['
    yield from _items(unreadable)
    yield b"\n]}\n"


def _items(records: Iterable[str]) -> Iterator[bytes]:
    for number, record in enumerate(records):
        yield (("," if number else "") + "\n" + record).encode()


def exam_record(prediction: Prediction) -> dict[str, Any]:
    """Turn a prediction into its entry under ``exams``: plain values, ids but no names."""
    return {
        "patient_id": prediction.patient_id,
        "study_instance_uid": prediction.study_instance_uid,
        "category": prediction.category.value,
        **_score_record(prediction.scores),
        "prevalence": float(prediction.prevalence),
        "age_odds_factor": None
        if prediction.age_odds_factor is None
        else round(float(prediction.age_odds_factor), 4),
        "clinical": [item_record(item) for item in prediction.clinical],
        "fusion": fusion_record(prediction.fusion),
        "risk": _risk_record(prediction.risk),
        "elapsed_s": round(float(prediction.elapsed_s), 3),
        "breasts": [
            {
                "laterality": breast.laterality.value if breast.laterality else None,
                **_score_record(breast.scores),
                "density": density_record(breast.density),
            }
            for breast in prediction.breasts
        ],
        "images": [_image_record(image) for image in prediction.images],
        "unreadable": [_unreadable_record(item) for item in prediction.unreadable],
        "warnings": [str(caution) for caution in prediction.cautions],
        **machine_record(prediction),
        "quality": quality_record(prediction.quality),
        "density": density_record(prediction.density),
    }


def item_record(item: ClinicalItem) -> dict[str, Any]:
    """Turn a clinical item into its entry under ``clinical``."""
    return {
        "name": item.name,
        "value": item.value,
        "laterality": item.laterality.value if item.laterality else None,
        "source": item.source,
        "date": item.date.isoformat() if item.date else None,
        "is_used": item.is_used,
    }


def fusion_record(fusion: FusionResult | None) -> dict[str, Any] | None:
    """Turn what a fusion did into plain values; ``None`` if there is no fusion."""
    if fusion is None:
        return None
    return {
        "digest": fusion.digest,
        "images_malignancy": fusion.images_malignant,
        "contributions": [
            {
                "name": one.name,
                "laterality": one.laterality.value if one.laterality else None,
                "log_odds": round(one.log_odds, 4),
            }
            for one in fusion.contributions
        ],
        "missing": list(fusion.missing),
    }


def _risk_record(risk: RiskStatement | None) -> dict[str, Any] | None:
    return None if risk is None else {**asdict(risk), "assumed": list(risk.assumed)}


def _run_record(run: RunInfo) -> dict[str, Any]:
    return {
        "schema": SCHEMA_ID,
        "disclaimer": run.disclaimer,
        "created": run.created.isoformat(timespec="seconds"),
        "software": {"name": "mammolens", "version": __version__},
        "model": asdict(run.model),
        "prevalence": run.prevalence,
        "prevalence_stated": run.prevalence_stated,
        "thresholds": [asdict(point) for point in run.thresholds],
    }


def _score_record(scores: Scores | None) -> dict[str, float | None]:
    if scores is None:
        return dict.fromkeys(("malignancy", "tumour", "normal", "benign"))
    return {
        "malignancy": float(scores.malignant),
        "tumour": float(scores.tumour),
        "normal": float(scores.normal),
        "benign": float(scores.benign),
    }


def _image_record(image: ImagePrediction) -> dict[str, Any]:
    ref = image.ref
    return {
        "path": ref.path,
        "digest": ref.digest,
        "sop_instance_uid": ref.sop_instance_uid,
        "laterality": ref.laterality.value if ref.laterality else None,
        "view_position": ref.view_position.value if ref.view_position else None,
        "origin": ref.origin.value,
        "source_shape": list(image.geometry.source_shape),
        **_score_record(image.scores),
        "findings": [_finding_record(finding) for finding in image.findings],
        "warnings": [str(caution) for caution in image.cautions],
        "quality": quality_record(image.quality.criteria if image.quality else ()),
    }


def _finding_record(finding: Finding) -> dict[str, Any]:
    return {
        "box_source_px": [round(float(edge), 1) for edge in finding.box_source_px],
        "score": round(float(finding.score), 4),
        "kind": finding.kind,
        "origin": finding.origin,
    }


def _unreadable_record(item: Unreadable) -> dict[str, str]:
    record = {"path": item.path, "error": item.error, "message": item.message}
    return {**record, "kind": item.kind.value}


def _dump(record: dict[str, Any]) -> str:
    return json.dumps(_whole(record), ensure_ascii=False, allow_nan=False)


def _whole(value: Any) -> Any:
    """Replace the halves of surrogate pairs (undecodable file names), which JSON forbids."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value
