"""The result of checking a table: findings, figures of the shortcut probes, and a verdict."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

from mammolens.data.manifest import Record
from mammolens.metrics import Interval
from mammolens.status import EXIT_INCOMPLETE, EXIT_OK, EXIT_USAGE

__all__ = ["CheckFinding", "CheckReport", "Probe", "Severity", "finding"]


class Severity(str, Enum):
    """How serious a finding is.

    An error makes training on the table, or figures from it, worthless. A person must look at a
    warning. A note is for information.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class CheckFinding:
    """One kind of fault and all images and patients that show it.

    `code` names the kind. `images` and `patients` are ``dataset/identifier``. `details` has a line
    for each case. `figures` are counts, shares (0–1) or areas under the ROC curve.
    """

    severity: Severity
    code: str
    message: str
    remedy: str
    dataset: str | None = None
    images: tuple[str, ...] = ()
    patients: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    figures: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Probe:
    """How well one trait of the files predicts one label.

    `auc` is the cross-validated area under the ROC curve (0.5: not at all) with its 95 % interval
    over patients. `telling` names the feature of the trait that predicts best.
    """

    dataset: str
    trait: str
    task: str
    telling: str
    auc: Interval


@dataclass(frozen=True)
class CheckReport:
    """All findings, errors first. `n_read` of `n_images` pictures could be read.

    `digest` is that of the manifest. It shows to which state of a table the report belongs.
    """

    findings: tuple[CheckFinding, ...]
    probes: tuple[Probe, ...]
    n_images: int
    n_read: int
    n_patients: int
    digest: str

    def count(self, severity: Severity) -> int:
        """Count the findings of this severity."""
        return sum(finding.severity is severity for finding in self.findings)

    @property
    def sound(self) -> bool:
        """Whether no finding is an error. A person must judge the warnings."""
        return self.count(Severity.ERROR) == 0

    @property
    def summary(self) -> str:
        """The verdict in a few words, e.g. ``1 error, no warnings, 2 notes``."""
        counts = ((self.count(severity), severity.value) for severity in Severity)
        return ", ".join(f"{n or 'no'} {word}{'' if n == 1 else 's'}" for n, word in counts)

    @property
    def exit_code(self) -> int:
        """The exit code: 0 without errors, 3 if the only errors are files that cannot be read, else
        2, as for every refused table."""
        codes = {f.code for f in self.findings if f.severity is Severity.ERROR}
        if codes and codes <= {"missing_file", "unreadable_image"}:
            return EXIT_INCOMPLETE
        return EXIT_USAGE if codes else EXIT_OK

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "digest": self.digest,
            "images": self.n_images,
            "images_read": self.n_read,
            "patients": self.n_patients,
            "sound": self.sound,
            "findings": [
                {**vars(f), "severity": f.severity.value, "figures": dict(f.figures)}
                for f in self.findings
            ],
            "probes": [
                {
                    **vars(p),
                    "auc": {"value": p.auc.value, "low": p.auc.low, "high": p.auc.high},
                    "n": p.auc.n,
                    "n_positive": p.auc.n_positive,
                    "n_patients": p.auc.n_groups,
                }
                for p in self.probes
            ],
        }


def finding(
    code: str,
    records: Iterable[Record] = (),
    *,
    severity: Severity | None = None,
    dataset: str | None = None,
    details: Iterable[str] = (),
    words: Mapping[str, object] = MappingProxyType({}),
    **figures: float,
) -> CheckFinding:
    """Make a finding about `records` in the words of ``check_findings.toml``.

    Parameters
    ----------
    records
        The images that show the fault; each image and patient is named once.
    severity
        The severity, if it is not that of the entry.
    words, figures
        Values of the names in the entry's message; `figures` are also part of the finding.
    """
    kept, entry = tuple(records), _entries()[code]
    values = {"count": len(kept), "dataset": dataset, **figures, **words}
    return CheckFinding(
        severity or Severity(entry["severity"]),
        code,
        entry["message"].format_map(values),
        entry["remedy"],
        dataset,
        tuple(dict.fromkeys(record.image_name for record in kept)),
        tuple(dict.fromkeys(record.patient_name for record in kept)),
        tuple(details),
        MappingProxyType(figures),
    )


@cache
def _entries() -> dict[str, dict[str, str]]:
    """Severity, message and remedy of each code."""
    table = resources.files(__package__).joinpath("check_findings.toml").read_text("utf-8")
    return tomllib.loads(table)
