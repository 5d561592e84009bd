"""`mammolens compare`: models side by side on the same rows → compare.json, compare.md,
predictions.csv and figures.

Packages are scored as their cards say, after it was proven that nobody judged taught them;
classical classifiers are trained on the training side of the same split, with all that is tuned,
calibrated or fixed coming from there.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mammolens import DISCLAIMER, __version__
from mammolens.bench.caveats import same_women
from mammolens.bench.comparison.claims import Claim, correct, draw_claims
from mammolens.bench.comparison.classical import classical_entrants
from mammolens.bench.comparison.entrants import (
    PICTURES_ALONE,
    Entrant,
    Say,
    is_package,
    package_entrants,
)
from mammolens.bench.comparison.figures import draw_figures
from mammolens.bench.comparison.rows import predictions_text
from mammolens.bench.comparison.standings import common_rows, compare_models
from mammolens.bench.comparison.trial import Trial, read_trial
from mammolens.bench.report.comparison_document import COMPARE_FILE, COMPARE_SCHEMA, build_compared
from mammolens.bench.report.markdown import render_markdown
from mammolens.core import InputKind
from mammolens.data.splits import split_digest
from mammolens.data.synthetic import synthetic_warnings
from mammolens.errors import ConfigError, InvalidManifest, StorageError
from mammolens.model import KnownPatients, ModelPackage, read_patients

__all__ = ["SCHEMA", "Comparison", "ComparisonSettings", "compare"]

SCHEMA = COMPARE_SCHEMA


@dataclass(frozen=True)
class ComparisonSettings:
    """What is compared, and how.

    `proofs` and `trusted` name packages as `models` or their cards do; a `reference` is any model's
    name in the results; ``None`` takes the first package, or the first model. `cache` takes the
    place of the run's folder of prepared pictures.
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
    """What a comparison found, and the files that say so."""

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
    settings
        See `ComparisonSettings`.
    out
        Folder for ``compare.json``, ``compare.md``, ``predictions.csv`` and figures.
    on_progress
        Called with a line of text now and then.

    Raises
    ------
    ConfigError
        If a model, a set of features or a side is unknown, or a name is given twice.
    InvalidManifest
        If there is no such side, nothing to train on, or nothing to rank.
    PatientLeak
        If a judged patient taught a package, or nothing proves that none did.
    BadModelPackage, ContractMismatch
        If a package cannot be used, or reads something else than the others.
    StorageError
        If a folder cannot be written.
    """
    _refuse_twice(settings.models)
    packages = {spec: ModelPackage.load(spec) for spec in settings.models if is_package(spec)}
    known = {spec: read_patients(spec) for spec in packages}
    trial = read_trial(
        settings.table,
        settings.split,
        of_lesions=any(_reads_lesions(package) for package in list(packages.values())[:1]),
        taught=frozenset().union(*(one.taught for one in known.values() if one)),
        cache=settings.cache,
    )
    entrants = [
        *_packages(packages, known, trial, settings, on_progress),
        *classical_entrants(
            [spec for spec in settings.models if spec not in packages],
            settings.features,
            trial,
            folds=settings.folds,
            seed=settings.seed,
            say=on_progress,
        ),
    ]
    reference = _reference(entrants, settings.reference)
    on_progress(f"comparing {len(entrants)} models")
    kept, unscored = common_rows(entrants)
    standings = compare_models(
        kept, reference, trial.units, draws=settings.draws, seed=settings.seed
    )
    _refuse_one_class(standings, trial)
    family = correct(standings, trial.unit, _aside(kept, reference))
    claims = tuple(draw_claims(standings, reference, trial.unit))
    n_common = len(next(iter(kept[0].results.values())))
    document = {
        "schema": SCHEMA,
        "disclaimer": DISCLAIMER,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "software": f"mammolens {__version__}",
        "table": trial.source,
        "split": trial.split,
        "manifest_digest": trial.judged.digest,
        "split_digest": split_digest(trial.sides.manifest),
        "preprocess": trial.preprocess.model_dump(mode="json"),
        "folds": settings.folds,
        "seed": settings.seed,
        "bootstrap": {"draws": settings.draws, "level": 0.95, "resampled": "patients, paired"},
        "unit": trial.unit,
        "reference": reference,
        "n_rows": len(trial.judged.records),
        "n_common": n_common,
        "family": family,
        "notes": _notes(kept, trial, n_common, family),
        "models": [_described(one, unscored[one.name]) for one in kept],
        "datasets": standings,
        "claims": [claim.to_json() for claim in claims],
    }
    return Comparison(document, claims, trial.unit, _write(out, document, entrants, kept))


def _reads_lesions(package: ModelPackage) -> bool:
    return package.card.input_kind is InputKind.LESION


def _packages(
    packages: Mapping[str, ModelPackage],
    known: Mapping[str, KnownPatients | None],
    trial: Trial,
    settings: ComparisonSettings,
    say: Say,
) -> list[Entrant]:
    names = _names(packages)
    proofs = settings.proofs or {}
    _refuse_unused([*proofs, *settings.trusted], packages, names)
    found = []
    for spec, package in packages.items():
        called = {spec, package.card.name, names[spec]}
        found += package_entrants(
            spec,
            package,
            names[spec],
            trial,
            known=known[spec],
            proof=next((path for name, path in proofs.items() if name in called), None),
            trusted=bool(called & set(settings.trusted)),
            jobs=settings.jobs,
            say=say,
        )
    return found


def _names(packages: Mapping[str, ModelPackage]) -> dict[str, str]:
    """A name for each package: its card's, with the place it came from where several share it."""
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
            f"{double[0]} is there twice" if double else "there is nothing to compare",
            keyword="--models",
            remedy="Name each model once",
        )


def _refuse_unused(
    given: Sequence[str], packages: Mapping[str, ModelPackage], names: Mapping[str, str]
) -> None:
    known = {*packages, *names.values(), *(package.card.name for package in packages.values())}
    for name in given:
        if name not in known:
            raise ConfigError(
                f"no package that is compared is called {name!r}",
                keyword="--proof, --trust",
                remedy=f"Known: {', '.join(sorted(known)) or 'none'}",
            )


def _reference(entrants: Sequence[Entrant], wanted: str | None) -> str:
    names = [one.name for one in entrants]
    if wanted is None:
        first = next((one for one in entrants if one.kind == "package"), entrants[0])
        return first.name
    specs = {str(one.facts.get("package")): one.name for one in reversed(entrants)}
    if wanted in names or wanted in specs:
        return wanted if wanted in names else specs[wanted]
    raise ConfigError(
        f"no model that is compared is called {wanted!r}",
        keyword="--reference",
        remedy=f"Known: {', '.join(names)}",
    )


def _aside(entrants: Sequence[Entrant], reference: str) -> set[str]:
    """Packages that are there twice, in the form that knows more, or less, than the reference."""
    aged = next(one.facts["uses_age"] for one in entrants if one.name == reference)
    twins = Counter(one.facts.get("package") for one in entrants)
    return {
        one.name
        for one in entrants
        if one.kind == "package"
        and twins[one.facts["package"]] > 1
        and one.facts["uses_age"] != aged
    }


def _refuse_one_class(standings: Mapping[str, Any], trial: Trial) -> None:
    sides = [tasks["malignancy"][trial.unit] for tasks in standings.values()]
    if not any(one["models"] for one in sides):
        raise InvalidManifest(
            "no data set has both malignant and other rows on the judged side: "
            + "; ".join(
                f"{name}: {one['note']}" for name, one in zip(standings, sides, strict=True)
            ),
            source=trial.source,
            keyword="malignant",
            remedy="Judge on a side with both kinds, or give more patients",
        )


def _notes(entrants: Sequence[Entrant], trial: Trial, n: int, family: int) -> list[str]:
    lost = len(trial.judged.records) - n
    bare = {one.name for one in entrants if one.name.endswith(f"({PICTURES_ALONE})")}
    aged = [one.name for one in entrants if f"{one.name} ({PICTURES_ALONE})" in bare]
    classical = any(one.kind == "classical" for one in entrants)
    return [
        *synthetic_warnings(record.dataset for record in trial.judged.records),
        *([f"{lost} images that some model could not score are left out for all"] if lost else []),
        *(trial.notes if classical else trial.notes[:-1]),
        *(
            f"{one.name}: {caution}"
            for one in entrants
            if one.name not in bare
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
        f"claims are of {trial.unit}s, corrected for {family} comparisons (Holm); their p-values "
        "take a difference for normal, with the spread of its bootstrap over patients",
        "DeLong's test and McNemar's take images and breasts of one woman for independent: they "
        "are too sure of themselves where she has several",
        *same_women([*trial.judged.records, *(trial.training.records if trial.training else ())]),
        *(str(caution) for caution in trial.judged.cautions),
    ]


def _described(entrant: Entrant, unscored: int) -> dict[str, Any]:
    return {
        "name": entrant.name,
        "kind": entrant.kind,
        "group": entrant.group,
        **entrant.facts,
        "thresholds": {**entrant.thresholds, "fixed_on": entrant.fixed_on},
        "n_unscored": unscored,
        "cautions": list(entrant.cautions),
    }


def _write(
    out: Path, document: Mapping[str, Any], entrants: Sequence[Entrant], kept: Sequence[Entrant]
) -> tuple[Path, ...]:
    texts: dict[str, Callable[[], str]] = {
        COMPARE_FILE: lambda: json.dumps(document, indent=2, allow_nan=False) + "\n",
        "predictions.csv": lambda: predictions_text(entrants),
    }
    paths = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, make in texts.items():
            (out / name).write_text(make(), "utf-8", "backslashreplace", newline="")
            paths.append(out / name)
        pictures = draw_figures(document, kept, out)
        shown = [path.name for path in pictures if path.suffix == ".svg"]
        words = render_markdown(build_compared(document), shown)
        (out / "compare.md").write_text(words, "utf-8", "backslashreplace")
    except OSError as error:
        raise StorageError(
            f"the comparison cannot be written: {error.strerror or error}",
            source=str(out),
            keyword="--out",
            remedy="Make room, or give a folder that you may write to",
        ) from error
    return (*paths, out / "compare.md", *pictures)
