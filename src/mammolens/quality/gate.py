"""The input gate: is it a mammogram, of one breast, and whole? Asked before anything is scored.

Whole picture and breast mask → a few dozen measurements (`features`) → one softmax over kinds of
pictures → passed, doubted, or refused by name. The coefficients are those of ``gate.json`` beside
this file; `benchmarks/fit_gate.py` made them, and docs/evidence/input-gate.md says what they miss.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from mammolens.core import Caution, Overview, PreparedView
from mammolens.errors import ConfigError, NotAMammogram, NotAWholeView
from mammolens.quality.features import NAMES, SIDE_PX, measure

__all__ = [
    "GatePoint",
    "Look",
    "Outcome",
    "Verdict",
    "admit",
    "built_in_point",
    "expand",
    "judge",
]


class Look(str, Enum):
    """What a picture looks like; the order of the gate's coefficients is that of ``gate.json``."""

    MAMMOGRAM = "mammogram"
    BODY = "body"
    EMPTY = "empty"
    PART = "part"
    PHANTOM = "phantom"
    PHOTO = "photo"
    RECOMBINED = "recombined"
    SEVERAL = "several"
    SLICE = "slice"
    SPECIMEN = "specimen"
    TEXT = "text"
    TURNED = "turned"


class Outcome(str, Enum):
    """What the gate does with a picture."""

    PASSED = "passed"
    DOUBTED = "doubted"
    REFUSED = "refused"


class GatePoint(BaseModel):
    """The operating point of the gate: from which suspicion on it doubts and refuses.

    It holds for one version of the coefficients; 1 means never.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: int = Field(ge=1, description="version of the coefficients that it was fixed for")
    doubt_at: float = Field(gt=0, le=1, description="a picture at or above it is doubted")
    refuse_at: float = Field(gt=0, le=1, description="a picture at or above it is refused")
    fixed_on: str = Field(min_length=1, description="the pictures that both were fixed on")

    @model_validator(mode="after")
    def _ordered(self) -> GatePoint:
        if self.doubt_at > self.refuse_at:
            raise ValueError(f"doubt_at {self.doubt_at} lies above refuse_at {self.refuse_at}")
        return self


@dataclass(frozen=True)
class Verdict:
    """What the gate says of one picture.

    `suspicion` is P(not one whole mammogram), 0 to 0.9999, among pictures that are as frequent as
    in the gate's own training; it is no probability for a clinic. `look` is the likeliest other
    kind, and a mammogram where the picture passed.
    """

    outcome: Outcome
    look: Look
    suspicion: float


def judge(overview: Overview, point: GatePoint | None = None) -> Verdict:
    """Judge a whole picture by its look.

    Parameters
    ----------
    overview
        What `mammolens.preprocess.prepare` found its breast in.
    point
        The operating point of the model's card. The built-in one stands in for ``None``, and for
        one that was fixed for other coefficients.
    """
    if point is None or point.version != built_in_point().version:
        point = built_in_point()
    values = measure(overview.grey, overview.mask, overview.chest_wall_right)
    shares = _shares(values)
    suspicion = min(1.0 - shares[Look.MAMMOGRAM], 0.9999)
    look = max((kind for kind in shares if kind is not Look.MAMMOGRAM), key=shares.__getitem__)
    if values["second"] >= _SECOND_BREAST:
        look, suspicion = Look.SEVERAL, max(suspicion, built_in_point().doubt_at)
    if suspicion < point.doubt_at:
        return Verdict(Outcome.PASSED, Look.MAMMOGRAM, suspicion)
    outcome = Outcome.REFUSED if suspicion >= point.refuse_at else Outcome.DOUBTED
    return Verdict(outcome, look, suspicion)


_SECOND_BREAST = 0.5
"""A bright part beside the breast that has this share of its area is a doubt whatever else is seen.

Of 5,140 sound mammograms none has more than 0.33 (measured in benchmarks/fit_gate.py's table); of
drawn pairs and sheets of breasts 61 % and 78 % have more. Below 0.33 mammograms are doubted.
"""


def admit(view: PreparedView, point: GatePoint | None = None) -> tuple[Caution, ...]:
    """Let a prepared view on to the model, with a doubt where there is one, or refuse it.

    For whole breasts only: call it after `prepare`, never in training or evaluation, which must
    see every labelled image. A marked region has no overview and is passed without a word.

    Returns
    -------
    Nothing, or the caution ``not_validated`` as a doubt: the exam cannot be ``low``.

    Raises
    ------
    NotAMammogram
        If the picture looks like something else.
    NotAWholeView
        If it looks like a part of a breast, several breasts, or a mammogram on its side.
    """
    if view.overview is None:
        return ()
    verdict = judge(view.overview, point)
    if verdict.outcome is Outcome.PASSED:
        return ()
    words, remedy = _WORDS[verdict.look]
    told = f"the picture looks like {words}, not like one whole breast"
    if verdict.outcome is Outcome.DOUBTED:
        text = f"{told} (suspicion {verdict.suspicion:.2f}); the score may mean nothing"
        return (Caution("not_validated", text, doubt=True),)
    error = NotAWholeView if verdict.look in _PARTS else NotAMammogram
    raise error(f"{told} (suspicion {verdict.suspicion:.2f})", source=view.ref.path, remedy=remedy)


_PARTS = (Look.PART, Look.SEVERAL, Look.TURNED)

_OTHER = "Send mammograms alone; if this is one, have it read without mammolens and report it"
_WORDS = {
    Look.BODY: ("a radiograph of another part of the body", _OTHER),
    Look.EMPTY: ("an empty exposure or a test pattern", "Look at the image, and expose it again"),
    Look.PART: ("a part of a breast", "Send the whole view; mark a lesion with --region"),
    Look.PHANTOM: ("a phantom, a mask or a drawing", _OTHER),
    Look.PHOTO: ("a photograph", _OTHER),
    Look.RECOMBINED: (
        "a recombined image of a contrast exam",
        "Send the low-energy image of this view",
    ),
    Look.SEVERAL: ("several breasts in one picture", "Send every view as an image of its own"),
    Look.SLICE: ("a slice or an ultrasound image", _OTHER),
    Look.SPECIMEN: ("a tissue specimen", "Leave specimen radiographs out of the exam"),
    Look.TEXT: (
        "a document or a screenshot with text",
        "Send the image from the modality or archive, not a screenshot",
    ),
    Look.TURNED: ("a mammogram on its side", "Send the image upright, chest wall left or right"),
}


def built_in_point() -> GatePoint:
    """The operating point of the gate that is part of this version of mammolens.

    A package whose card names none is judged at this one. It was set where 0.2 % of the sound
    mammograms are doubted or refused by a gate that has learned from other patients (`gate.json`,
    ``point``): raise `doubt_at` and fewer mammograms are doubted and more other pictures pass.
    """
    return _gate().point


@dataclass(frozen=True)
class _Gate:
    """Standardisation (n,), weights (kinds, 3 n), biases (kinds,), and the operating point."""

    centre: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    biases: npt.NDArray[np.float64]
    kinds: tuple[Look, ...]
    point: GatePoint


@cache
def _gate() -> _Gate:
    content = json.loads((Path(__file__).parent / "gate.json").read_text("utf-8"))
    if tuple(content["features"]) != NAMES or content["side_px"] != SIDE_PX:
        raise ConfigError(
            "the coefficients of the input gate are those of other measurements",
            source="gate.json",
            remedy="Fit them again with benchmarks/fit_gate.py",
        )
    centre, scale, high, weights, biases = (
        np.asarray(content[name], np.float64)
        for name in ("centre", "scale", "high", "weights", "biases")
    )
    kinds = tuple(Look(kind) for kind in content["kinds"])
    point = GatePoint(**content["point"])
    return _Gate(centre, scale, high, weights, biases, kinds, point)


def _shares(values: dict[str, float]) -> dict[Look, float]:
    """The softmax over kinds of pictures."""
    gate = _gate()
    terms = expand(np.array([values[name] for name in NAMES]), gate.centre, gate.scale, gate.high)
    logits = gate.weights @ terms + gate.biases
    powers = np.exp(logits - logits.max())
    return dict(zip(gate.kinds, (powers / powers.sum()).tolist(), strict=True))


def expand(
    values: npt.NDArray[np.float64],
    centre: npt.NDArray[np.float64],
    scale: npt.NDArray[np.float64],
    high: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Turn measurements (…, n) into the terms (…, 3 n) that the weights stand for.

    Each is standardised on mammograms; its square lets both sides be odd, and what lies beyond
    almost all mammograms counts once more. All are clipped, so that no single one decides.
    """
    standard = np.clip((values - centre) / scale, -8.0, 8.0)
    beyond = np.clip((values - high) / scale, 0.0, 4.0)
    return np.concatenate([standard, standard**2 / 8.0, beyond], axis=-1)
