"""Sentences about clinical data that all results share."""

from __future__ import annotations

from mammolens.clinical import ITEMS
from mammolens.core import FusionResult, Prediction, RiskStatement
from mammolens.wording import percent


def contribution_words(fusion: FusionResult | None) -> list[str]:
    """Describe each contribution, such as ``age +0.21`` or ``lump L +0.80``."""
    return [
        f"{one.name}{f' {one.laterality.value}' if one.laterality else ''} {one.log_odds:+.2f}"
        for one in (fusion.contributions if fusion else ())
    ]


def fusion_words(prediction: Prediction) -> list[str]:
    """Say in sentences how clinical data changed the scores; empty without a fusion."""
    fusion = prediction.fusion
    if fusion is None:
        return []
    unknown = ", ".join(ITEMS[name].title for name in fusion.missing)
    rest = [f"Unknown, so they add nothing: {unknown}."] if unknown else []
    if fusion.images_malignant is None:
        return ["Clinical data may be part of the probability; they are hidden.", *rest]
    alone = percent(fusion.images_malignant)
    if not fusion.contributions:
        return [f"The probability is that of the images alone ({alone}).", *rest]
    added = "; ".join(contribution_words(fusion))
    return [
        f"Clinical data are part of the probability: the images alone give {alone}"
        f" (added to the log-odds: {added}).",
        *rest,
    ]


def risk_words(risk: RiskStatement | None) -> list[str]:
    """State a risk as a sentence of its own."""
    if risk is None:
        return []
    assumed = ", ".join(ITEMS[name].title for name in risk.assumed)
    rule = f" Unknown, and taken as the least risk: {assumed}." if assumed else ""
    return [
        f"{risk.years}-year risk of invasive breast cancer {percent(risk.risk)} by {risk.model},"
        f" not part of the score.{rule}"
    ]
