"""Write a model package from a card and a graph."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path

from mammolens.core import InputKind
from mammolens.errors import ConfigError, StorageError
from mammolens.files import storage, whole_file
from mammolens.model.card import Estimate, ModelCard, OperatingPoint, ValidationFigure
from mammolens.model.package import ModelPackage
from mammolens.model.package_files import CARD_FILE
from mammolens.model.training_patients import PATIENTS_FILE, KnownPatients
from mammolens.wording import estimate

__all__ = ["card_markdown", "refuse_target", "save_package"]


def save_package(
    folder: Path, card: ModelCard, graph: bytes, patients: KnownPatients | None = None
) -> ModelPackage:
    """Check that a package loads, and write its graph, ``card.json``, ``CARD.md`` and patients.

    All files are first written under temporary names. The card is renamed last, and a graph without
    its card does not load. So a full disk or a killed process leaves the old package or none.

    Parameters
    ----------
    folder
        A new or empty folder, or one with a package, which is replaced.
    patients
        The patients that the model was trained on, if they are known.

    Raises
    ------
    BadModelPackage, ContractMismatch
        If the package would not load; nothing is written.
    ConfigError
        If the folder has other files.
    StorageError
        If the folder cannot be written.
    """
    refuse_target(folder)
    ModelPackage.assemble(card, graph, str(folder))
    text = json.dumps(card.model_dump(mode="json"), indent=2, ensure_ascii=False)
    files = {
        card.graph_file: graph,
        "CARD.md": card_markdown(card).encode(),
        **({PATIENTS_FILE: patients.to_json(card.graph_sha256).encode()} if patients else {}),
        CARD_FILE: f"{text}\n".encode(),
    }
    try:
        with storage(folder, "the package", keyword="--out"), ExitStack() as stack:
            for name in reversed(files):  # the file that is opened last is renamed first
                stream = stack.enter_context(whole_file(folder / name))
                stream.write(files[name])
                stream.flush()
            if patients is None:
                (folder / PATIENTS_FILE).unlink(missing_ok=True)
    except StorageError:
        with suppress(OSError):
            folder.rmdir()
        raise
    return ModelPackage.load(folder)


def refuse_target(folder: Path) -> None:
    """Refuse a folder that a package cannot be written to; call it before long computations.

    Raises
    ------
    ConfigError
        If it is a file, or a folder with other files than those of a package.
    StorageError
        If this process may not write to it.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(
            "a file has this name, but a package is a folder",
            source=str(folder),
            keyword="--out",
            remedy="Give another name, or move the file",
        )
    if folder.is_dir():
        others = [path.name for path in folder.iterdir() if not _is_package_file(path.name)]
        if others:
            raise ConfigError(
                f"the folder has other files, such as {min(others)}",
                source=str(folder),
                keyword="--out",
                remedy="Give a new folder, or one with a package and no other files",
            )
    parent = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not (parent.is_dir() and os.access(parent, os.W_OK)):
        raise StorageError(
            "the package cannot be written: you may not write to this folder",
            source=str(parent),
            keyword="--out",
            remedy="Give a folder that you may write to",
        )


def _is_package_file(name: str) -> bool:
    plain = name.removeprefix(".").removesuffix(".partial")
    return plain in (CARD_FILE, "CARD.md", PATIENTS_FILE) or plain.endswith(".onnx")


def card_markdown(card: ModelCard) -> str:
    """Write a card as Markdown, the text of ``CARD.md``."""
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
                    "probabilities are calibrated to",
                    f"{prior.normal:.2%} normal, {prior.benign:.2%} benign, "
                    f"{prior.malignant:.2%} malignant",
                ),
                *_age_row(card),
                ("P(tumour)", _TUMOUR[card.tumour_vouched]),
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
    added = estimate(age.log_odds_per_decade, age.low, age.high, 2)
    return [
        (
            "age",
            f"added to the log-odds of malignancy: {added} for ten "
            f"years above {age.centre_years:.0f}, from {age.youngest_years:.0f} to "
            f"{age.oldest_years:.0f}; nothing if the age is unknown; fitted on {age.fitted_on}, "
            f"n = {age.n}",
        )
    ]


_TUMOUR = {
    True: "validated; shown beside P(malignant)",
    False: "not validated: it is in results.json only",
}


def _gate_row(card: ModelCard) -> list[tuple[str, str]]:
    if card.input_kind is not InputKind.BREAST:
        return []
    point = card.gate
    if point is None:
        return [("input gate", "the built-in gate of mammolens at its own operating point")]
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
