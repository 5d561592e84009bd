"""The sections of an evaluation that exist once, over all data sets together.

`bench.sections` has those that are also computed for each data set. Here, localisation, the audit
and example cases are always included. Altered pictures, remedies and the source probe take more
time and are included on request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mammolens.bench.auditing.audit import audit_section
from mammolens.bench.cases import Seen, write_cases
from mammolens.bench.evidence import Evidence
from mammolens.bench.localisation import localisation_section
from mammolens.bench.settings import Settings
from mammolens.errors import ConfigError
from mammolens.model import ModelPackage

__all__ = ["check_requests", "further_sections"]


def further_sections(
    evidence: Evidence,
    package: ModelPackage | None,
    out: Path,
    on_progress: Callable[[int, int], None] = lambda *_: None,
    seen: Mapping[tuple[str, str], Seen] | None = None,
) -> dict[str, Any]:
    """Compute the further sections; each is under its name in ``metrics.json``.

    Parameters
    ----------
    evidence
        The scored images; its settings say which sections are requested.
    package
        The model that scored the images; ``None`` if the scores were read from a file.
    out
        Folder of the evaluation, for ``cases/``.
    seen
        As for `write_cases`.

    Raises
    ------
    ConfigError
        If a requested section needs a model and there is none.
    StorageError
        If `out` cannot be written.
    ContractMismatch
        If a requested section cannot be computed for a model of marked lesions.
    """
    asked, results = evidence.settings, evidence.results
    how = {"draws": asked.draws, "seed": asked.seed}
    found: dict[str, Any] = {"audit": audit_section(results, evidence.card, **how)}
    if (places := localisation_section(results, **how)) is not None:
        found["localisation"] = places
    if asked.remedy is not None:
        from mammolens.bench.auditing.mitigation import mitigation_section

        card = _needed(package, "--mitigate").card
        found["mitigation"] = mitigation_section(results, card, asked.remedy, asked.by, **how)
    records = [one.record for one in results]
    if asked.altered:  # 0: not requested
        from mammolens.bench.auditing.robustness import robustness_section

        found["robustness"] = robustness_section(
            _needed(package, "--robustness"),
            records,
            limit=asked.altered,
            draws=asked.draws,
            seed=asked.seed,
            on_progress=on_progress,
        )
    if asked.source_probe:
        from mammolens.bench.auditing.source_probe import source_section

        found["source_probe"] = source_section(
            _needed(package, "--source-probe"), records, on_progress=on_progress, **how
        )
    if package is not None and asked.cases:
        found["cases"] = write_cases(package, results, out, each=asked.cases, seen=seen)
    return found


def check_requests(settings: Settings, package: ModelPackage | None) -> None:
    """Refuse requests that `further_sections` cannot meet, before the images are scored.

    Raises
    ------
    ConfigError, ContractMismatch
        As `further_sections`.
    """
    if settings.remedy is not None:
        from mammolens.bench.auditing.mitigation import refuse_unknown_axis

        _needed(package, "--mitigate")
        refuse_unknown_axis(settings.by)
    for option, asked in (
        ("--robustness", settings.altered),
        ("--source-probe", settings.source_probe),
    ):
        if asked:
            _needed(package, option).card.for_breasts()


def _needed(package: ModelPackage | None, option: str) -> ModelPackage:
    if package is None:
        raise ConfigError(
            "this needs a model, but only scores were given",
            keyword=option,
            remedy="Name the model as well, or leave the option out",
        )
    return package
