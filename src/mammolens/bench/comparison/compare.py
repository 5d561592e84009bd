"""`mammolens compare`: models on the same rows → figures, tables, conclusions.

Packages are scored as their cards say, after a check that they learned from no judged patient.
Classical classifiers are trained on the training side of the same split; everything that is tuned,
calibrated or fixed for them comes from there.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mammolens.bench.caveats import same_patients
from mammolens.bench.comparison.candidates import (
    PICTURES_ALONE,
    Candidate,
    Say,
    is_package,
    package_candidates,
    predictions_text,
)
from mammolens.bench.comparison.classical import classical_candidates
from mammolens.bench.comparison.figures import Claim, correct, draw_claims, draw_figures
from mammolens.bench.comparison.judged_data import JudgedData, read_judged_data
from mammolens.bench.comparison.leaderboard import common_rows, compare_models
from mammolens.bench.evaluation_files import document_head
from mammolens.bench.report.comparison_document import COMPARE_FILE, COMPARE_SCHEMA, build_compared
from mammolens.bench.report.markdown import render_markdown
from mammolens.core import InputKind
from mammolens.data.splits import split_digest
from mammolens.data.summary import synthetic_warnings
from mammolens.errors import ConfigError, InvalidManifest
from mammolens.files import storage, write_whole
from mammolens.metrics.bootstrap import LEVEL
from mammolens.model import KnownPatients, ModelPackage, read_patients
from mammolens.spelling import check_known

__all__ = ["Comparison", "ComparisonSettings", "compare"]


@dataclass(frozen=True)
class ComparisonSettings:
    """The settings of a comparison.

    `proofs` and `trusted` name packages as `models` or their cards do. The `reference` is the name
    of a model in the results; ``None`` takes the first package, or the first model if there is no
    package. `cache` replaces the run's folder of prepared pictures.
    """

    table: Path
    models: tuple[str, ...]
    features: tuple[str, ...] = ("handcrafted", "cnn")
    split: str = "validation"
    folds: int = 5
    reference: str | None = None
    proofs: Mapping[str, Path] | None = None
    trusted: tuple[str, ...] = ()
    cache: Path | None = None
    jobs: int = 1
    draws: int = 2000
    seed: int = 0


@dataclass(frozen=True)
class Comparison:
    """The results of a comparison, and the files they were written to."""

    document: dict[str, Any]
    claims: tuple[Claim, ...]
    unit: str
    files: tuple[Path, ...]


def compare(
    settings: ComparisonSettings, out: Path, on_progress: Say = lambda _: None
) -> Comparison:
    """Score every model on the same rows, compare, and write the results.

    Parameters
    ----------
    out
        Folder for ``compare.json``, ``compare.md``, ``predictions.csv`` and figures.

    Raises
    ------
    ConfigError
        If a model, a set of features or a side is unknown, or a name is given twice.
    InvalidManifest
        If the side does not exist, or there is nothing to train on or nothing to rank.
    PatientLeak
        If a judged patient taught a package, or nothing proves that none did.
    BadModelPackage, ContractMismatch
        If a package cannot be used, or has another kind of input than the others.
    StorageError
        If a folder cannot be written.
    """
    _refuse_twice(settings.models)
    packages = {spec: ModelPackage.load(spec) for spec in settings.models if is_package(spec)}
    known = {spec: read_patients(spec) for spec in packages}
    data = read_judged_data(
        settings.table,
        settings.split,
        of_lesions=any(  # the first package decides; one of another kind is refused later
            package.card.input_kind is InputKind.LESION for package in list(packages.values())[:1]
        ),
        taught=frozenset().union(*(one.taught for one in known.values() if one)),
        cache=settings.cache,
    )
    candidates = [
        *_packages(packages, known, data, settings, on_progress),
        *classical_candidates(
            [spec for spec in settings.models if spec not in packages],
            settings.features,
            data,
            folds=settings.folds,
            seed=settings.seed,
            say=on_progress,
        ),
    ]
    reference = _reference(candidates, settings.reference)
    on_progress(f"comparing {len(candidates)} models")
    kept, unscored = common_rows(candidates)
    leaderboard = compare_models(
        kept, reference, data.units, draws=settings.draws, seed=settings.seed
    )
    _refuse_one_class(leaderboard, data)
    family = correct(leaderboard, data.unit, _aside(kept, reference))
    claims = tuple(draw_claims(leaderboard, reference, data.unit))
    n_common = len(next(iter(kept[0].results.values())))
    document = {
        **document_head(COMPARE_SCHEMA),
        "table": data.source,
        "split": data.split,
        "manifest_digest": data.judged.digest,
        "split_digest": split_digest(data.sides.manifest),
        "preprocess": data.preprocess.model_dump(mode="json"),
        "folds": settings.folds,
        "seed": settings.seed,
        "bootstrap": {"draws": settings.draws, "level": LEVEL, "resampled": "patients, paired"},
        "unit": data.unit,
        "reference": reference,
        "n_rows": len(data.judged.records),
        "n_common": n_common,
        "family": family,
        "notes": _notes(kept, data, n_common, family),
        "models": [_described(one, unscored[one.name]) for one in kept],
        "datasets": leaderboard,
        "claims": [asdict(claim) for claim in claims],
    }
    return Comparison(document, claims, data.unit, _write(out, document, candidates, kept))


def _packages(
    packages: Mapping[str, ModelPackage],
    known: Mapping[str, KnownPatients | None],
    data: JudgedData,
    settings: ComparisonSettings,
    say: Say,
) -> list[Candidate]:
    names = _names(packages)
    proofs = settings.proofs or {}
    _refuse_unused([*proofs, *settings.trusted], packages, names)
    found = []
    for spec, package in packages.items():
        called = {spec, package.card.name, names[spec]}
        found += package_candidates(
            spec,
            package,
            names[spec],
            data,
            known=known[spec],
            proof=next((path for name, path in proofs.items() if name in called), None),
            trusted=bool(called & set(settings.trusted)),
            jobs=settings.jobs,
            say=say,
        )
    return found


def _names(packages: Mapping[str, ModelPackage]) -> dict[str, str]:
    """Give each package the name of its card; equal names get the path as well."""
    counts = Counter(package.card.name for package in packages.values())
    return {
        spec: package.card.name
        if counts[package.card.name] == 1
        else f"{package.card.name} [{spec}]"
        for spec, package in packages.items()
    }


def _refuse_twice(models: Sequence[str]) -> None:
    double = [name for name, count in Counter(models).items() if count > 1]
    if not models or double:
        raise ConfigError(
            f"{double[0]} is named twice" if double else "no models were given",
            keyword="--models",
            remedy="Name each model once",
        )


def _refuse_unused(
    given: Sequence[str], packages: Mapping[str, ModelPackage], names: Mapping[str, str]
) -> None:
    known = {*packages, *names.values(), *(package.card.name for package in packages.values())}
    for name in given:
        check_known(name, known, "compared package", "--proof, --trust")


def _reference(candidates: Sequence[Candidate], wanted: str | None) -> str:
    names = [one.name for one in candidates]
    if wanted is None:
        first = next((one for one in candidates if one.kind == "package"), candidates[0])
        return first.name
    specs = {str(one.facts.get("package")): one.name for one in reversed(candidates)}
    check_known(wanted, (*names, *specs), "compared model", "--reference")
    return wanted if wanted in names else specs[wanted]


def _aside(candidates: Sequence[Candidate], reference: str) -> set[str]:
    """Give the scores with age if the reference has none, or the reverse, of packages with both."""
    aged = next(one.facts["uses_age"] for one in candidates if one.name == reference)
    twins = Counter(one.facts.get("package") for one in candidates)
    return {
        one.name
        for one in candidates
        if one.kind == "package"
        and twins[one.facts["package"]] > 1
        and one.facts["uses_age"] != aged
    }


def _refuse_one_class(leaderboard: Mapping[str, Any], data: JudgedData) -> None:
    sides = [tasks["malignancy"][data.unit] for tasks in leaderboard.values()]
    if not any(one["models"] for one in sides):
        raise InvalidManifest(
            "no data set has both malignant and other rows on the judged side: "
            + "; ".join(
                f"{name}: {one['note']}" for name, one in zip(leaderboard, sides, strict=True)
            ),
            source=data.source,
            keyword="malignant",
            remedy="Judge on a side with both kinds, or give more patients",
        )


def _notes(candidates: Sequence[Candidate], data: JudgedData, n: int, family: int) -> list[str]:
    lost = len(data.judged.records) - n
    picture_only = {one.name for one in candidates if one.name.endswith(f"({PICTURES_ALONE})")}
    aged = [one.name for one in candidates if f"{one.name} ({PICTURES_ALONE})" in picture_only]
    classical = any(one.kind == "classical" for one in candidates)
    return [
        *synthetic_warnings(record.dataset for record in data.judged.records),
        *([f"{lost} images that some model could not score are left out for all"] if lost else []),
        # The last note of `data` is on the pictures of classical models.
        *(data.notes if classical else data.notes[:-1]),
        *(
            f"{one.name}: {caution}"
            for one in candidates
            if one.name not in picture_only
            for caution in one.cautions
        ),
        *(
            [
                f"{' and '.join(aged)}: compare with the classical models by '{PICTURES_ALONE}', "
                "which knows no more than they do"
            ]
            if aged and classical
            else []
        ),
        f"claims are of {data.unit}s, corrected for {family} comparisons (Holm); their p-values "
        "take a difference for normal, with the spread of its bootstrap over patients",
        "DeLong's test and McNemar's take images and breasts of one patient for independent: they "
        "are too sure of themselves where a patient has several",
        *same_patients([*data.judged.records, *(data.training.records if data.training else ())]),
        *(str(caution) for caution in data.judged.cautions),
    ]


def _described(candidate: Candidate, unscored: int) -> dict[str, Any]:
    return {
        "name": candidate.name,
        "kind": candidate.kind,
        "group": candidate.group,
        **candidate.facts,
        "thresholds": {**candidate.thresholds, "fixed_on": candidate.fixed_on},
        "n_unscored": unscored,
        "cautions": list(candidate.cautions),
    }


def _write(
    out: Path,
    document: Mapping[str, Any],
    candidates: Sequence[Candidate],
    kept: Sequence[Candidate],
) -> tuple[Path, ...]:
    predictions = predictions_text(candidates).encode("utf-8", "backslashreplace")
    with storage(out, "the comparison", keyword="--out"):
        paths = [
            write_whole(out / COMPARE_FILE, json.dumps(document, indent=2, allow_nan=False) + "\n"),
            write_whole(out / "predictions.csv", predictions),
        ]
        pictures = draw_figures(document, kept, out)
        shown = [path.name for path in pictures if path.suffix == ".svg"]
        words = render_markdown(build_compared(document), shown)
        paths.append(write_whole(out / "compare.md", words.encode("utf-8", "backslashreplace")))
    return (*paths, *pictures)
