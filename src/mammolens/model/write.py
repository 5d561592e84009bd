"""A card and a graph → a model package that loads."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from mammolens.core import InputKind
from mammolens.model.card import Estimate, ModelCard, OperatingPoint, ValidationFigure
from mammolens.model.package import ModelPackage
from mammolens.model.store import CARD_FILE

__all__ = ["card_markdown", "save_package"]


def save_package(folder: Path, card: ModelCard, graph: bytes) -> ModelPackage:
    """Write ``card.json``, ``CARD.md`` and the graph into a folder, and load them as the proof.

    Raises
    ------
    BadModelPackage, ContractMismatch
        If the package would not load; the files stay for inspection.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(card.model_dump(mode="json"), indent=2, ensure_ascii=False)
    (folder / card.graph_file).write_bytes(graph)
    (folder / CARD_FILE).write_text(f"{text}\n", "utf-8")
    (folder / "CARD.md").write_text(card_markdown(card), "utf-8")
    return ModelPackage.load(folder)


def card_markdown(card: ModelCard) -> str:
    """Put a card into words (Markdown)."""
    points, prior = card.operating_points, card.calibration.prior
    height, width = card.input_shape
    parts = [
        f"# {card.name} {card.version}",
        f"**{card.notice}**",
        card.intended_use,
        "## Contract",
        _table(
            ("", ""),
            [
                ("architecture", card.architecture),
                ("input", f"one {card.input_kind.value}, uint8 {height} × {width}"),
                ("classes", ", ".join(card.classes)),
                ("graph", f"{card.graph_file}, SHA-256 `{card.graph_sha256}`"),
                ("temperature", str(card.calibration.temperature)),
                ("calibrated on", f"{card.calibration.fitted_on}, n = {card.calibration.n}"),
                (
                    "probabilities stand for",
                    f"{prior.normal:.2%} normal, {prior.benign:.2%} benign, "
                    f"{prior.malignant:.2%} malignant",
                ),
                *_age_row(card),
                *_gate_row(card),
                (
                    "findings",
                    f"map level {card.finding_level.level:g}: {card.finding_level.method}",
                ),
            ],
        ),
        "## Operating points",
        f"On P(malignant) of {_UNITS[points.low.unit]}, fixed on {points.fixed_on}.",
        _table(
            ("", "threshold", "sensitivity (95 %)", "specificity (95 %)", "n", "malignant"),
            [_point("low", points.low), _point("high", points.high)],
        ),
        "## Validation",
        _table(
            ("data", "split", "task", "unit", "AUC (95 %)", "n", "positive"),
            map(_figure, card.validation),
        ),
        "## Weaknesses",
        "\n".join(f"- {weakness}" for weakness in card.weaknesses),
        "## Training",
        card.training.recipe,
        f"Seed {card.training.seed}; split digest `{card.training.split_digest}`.",
        _table(
            ("data", "images", "patients", "note"),
            [
                (
                    d.name,
                    str(d.images),
                    "unknown" if d.patients is None else str(d.patients),
                    d.note,
                )
                for d in card.training.datasets
            ],
        ),
        "## Licence and thanks",
        f"Weights: {card.licence}",
        card.attribution,
    ]
    return "\n\n".join(parts) + "\n"


def _age_row(card: ModelCard) -> list[tuple[str, str]]:
    age = card.calibration.age
    if age is None:
        return []
    interval = "" if age.low is None or age.high is None else f" ({age.low:.2f}–{age.high:.2f})"
    return [
        (
            "age",
            f"added to the log-odds of malignancy: {age.log_odds_per_decade:.2f}{interval} for ten "
            f"years above {age.centre_years:.0f}, from {age.youngest_years:.0f} to "
            f"{age.oldest_years:.0f}; nothing where it is unknown; fitted on {age.fitted_on}, "
            f"n = {age.n}",
        )
    ]


def _gate_row(card: ModelCard) -> list[tuple[str, str]]:
    if card.input_kind is not InputKind.BREAST:
        return []
    point = card.gate
    if point is None:
        return [("input gate", "the built-in one of mammolens, at its own operating point")]
    return [
        (
            "input gate",
            f"version {point.version}: a suspicion of {point.doubt_at:g} is a doubt, of "
            f"{point.refuse_at:g} a refusal; fixed on {point.fixed_on}",
        )
    ]


_UNITS = {"exam": "an exam", "lesion": "a lesion"}


def _point(name: str, point: OperatingPoint) -> tuple[str, ...]:
    sides: tuple[Estimate, Estimate] = (point.sensitivity, point.specificity)
    return (name, f"{point.threshold:.4f}", *map(str, sides), str(point.n), str(point.n_positive))


def _figure(figure: ValidationFigure) -> tuple[str, ...]:
    auc = "none: one kind of label" if figure.auc is None else str(figure.auc)
    where = (figure.dataset, figure.split, figure.task, figure.unit)
    return (*where, auc, str(figure.n), str(figure.n_positive))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in lines)
