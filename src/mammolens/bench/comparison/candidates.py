"""The models of a comparison as `Candidate`; model packages become candidates here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from mammolens.bench.comparison.judged_data import JudgedData
from mammolens.bench.comparison.leak_proof import prove_apart, read_sides
from mammolens.bench.comparison.score_cache import kept_scores
from mammolens.bench.units import TASKS, ImageResult, without_age
from mammolens.core import InputKind
from mammolens.errors import ConfigError, ContractMismatch
from mammolens.model import KnownPatients, ModelPackage, list_models
from mammolens.spelling import did_you_mean

__all__ = [
    "CLASSICAL",
    "PICTURES_ALONE",
    "Candidate",
    "Say",
    "is_package",
    "package_candidates",
    "progress_reporter",
]

CLASSICAL: Final = ("svm", "tree", "knn", "forest", "logistic")
PICTURES_ALONE: Final = "pictures alone"

Say = Callable[[str], None]
_REPORTED_EVERY: Final = 250


@dataclass(frozen=True)
class Candidate:
    """A model and its scores.

    `results` has the images of each task, in the order of the judged rows. `thresholds` on
    P(malignant) have a name, and `fixed_on` describes the patients that they were fixed on. `facts`
    are written into ``compare.json``, `cautions` into every output.
    """

    name: str
    kind: str
    group: str
    results: Mapping[str, tuple[ImageResult, ...]]
    thresholds: Mapping[str, float]
    fixed_on: str
    facts: Mapping[str, Any]
    cautions: tuple[str, ...] = ()


def is_package(spec: str) -> bool:
    """Say whether a name is that of a package; otherwise it is that of a classifier.

    Raises
    ------
    ConfigError
        If it is neither; the message has the nearest known name.
    """
    if spec in CLASSICAL:
        return False
    if spec in list_models() or Path(spec).exists():
        return True
    known = [*CLASSICAL, *list_models()]
    raise ConfigError(
        f"there is no model called {spec!r}",
        keyword="--models",
        remedy=f"{did_you_mean(spec, known)}, or give the path of a model package",
    )


def package_candidates(
    spec: str,
    package: ModelPackage,
    name: str,
    data: JudgedData,
    *,
    known: KnownPatients | None = None,
    proof: Path | None = None,
    trusted: bool = False,
    jobs: int = 1,
    say: Say = lambda _: None,
) -> list[Candidate]:
    """Score a package as its card states; a package that uses age gives two candidates.

    One has scores with the patient's age, the other scores of the pictures alone.

    Raises
    ------
    PatientLeak, InvalidManifest, ConfigError
        See `mammolens.bench.comparison.leak_proof.prove_apart`.
    ContractMismatch
        If it reads lesions and breasts are judged, or the reverse.
    """
    card = package.card
    if (card.input_kind is InputKind.LESION) != data.of_lesions:
        raise ContractMismatch(
            f"{card.name} reads a {card.input_kind.value}, but {data.source} shows other inputs",
            source=spec,
            keyword="input_kind",
            remedy="Compare models of breasts with each other, and models of lesions likewise",
        )
    proven = prove_apart(
        card,
        data.judged.records,
        [data.sides],
        known=known,
        named=read_sides(proof) if proof else None,
        package=Path(spec) if Path(spec).exists() else None,
        trusted=trusted,
    )
    results = kept_scores(
        package,
        data.judged.records,
        data.cache / "scores",
        jobs=jobs,
        on_progress=progress_reporter(f"{name}: image", say),
    )
    points = card.operating_points
    whole = Candidate(
        name,
        "package",
        "networks",
        dict.fromkeys(TASKS, tuple(results)),
        {"high": points.high.threshold, "low": points.low.threshold},
        f"its card's, fixed on {points.fixed_on}",
        {
            "model": {"name": card.name, "version": card.version, "digest": card.graph_sha256},
            "package": spec,
            "architecture": card.architecture,
            "uses_age": card.calibration.age is not None,
            "proof": proven.to_json(),
        },
        proven.cautions,
    )
    bare = without_age(results, card.calibration.age)
    if bare is None:
        return [whole]
    alone = replace(
        whole,
        name=f"{name} ({PICTURES_ALONE})",
        results=dict.fromkeys(TASKS, tuple(bare)),
        facts={**whole.facts, "uses_age": False},
    )
    aged = (
        *whole.cautions,
        "a patient's known age is part of its score; no other model here knows it",
    )
    return [replace(whole, cautions=aged), alone]


def progress_reporter(
    what: str, say: Say, every: int = _REPORTED_EVERY
) -> Callable[[int, int], None]:
    """Make a function of (done, total) that reports progress after every `every` items."""
    reported = 0

    def report(done: int, total: int) -> None:
        nonlocal reported
        if done - reported >= every or done == total:
            reported = done
            say(f"{what} {done} of {total}")

    return report
