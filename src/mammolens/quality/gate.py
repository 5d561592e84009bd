"""The input gate: it checks that a picture is a mammogram of one whole breast, before scoring.

The whole picture and the breast's mask give a few dozen measurements (`features`). A softmax turns
them into shares of the kinds of pictures, and the verdict is passed, doubted or refused. The
coefficients are in ``gate.json`` beside this file. `benchmarks/fit_gate.py` fitted them, and
docs/evidence/input-gate.md describes which pictures they miss.
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
from mammolens.metrics.probability import softmax
from mammolens.quality.features import NAMES, SIDE_PX, measure

__all__ = [
    "GatePoint",
    "Look",
    "Outcome",
    "Verdict",
    "admit",
    "built_in_point",
    "judge",
    "softmax_terms",
]


class Look(str, Enum):
    """Kind of picture, by its look. The order of the coefficients is that of ``gate.json``."""

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
    """Decision of the gate about a picture."""

    PASSED = "passed"
    DOUBTED = "doubted"
    REFUSED = "refused"


class GatePoint(BaseModel):
    """Operating point of the gate: the suspicions at which it doubts and refuses a picture.

    It is valid for one version of the coefficients. A limit of 1 is never reached.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: int = Field(ge=1, description="version of the coefficients that it is valid for")
    doubt_at: float = Field(gt=0, le=1, description="suspicion from which on a picture is doubted")
    refuse_at: float = Field(gt=0, le=1, description="suspicion from which on it is refused")
    fixed_on: str = Field(min_length=1, description="pictures on which both limits were chosen")

    @model_validator(mode="after")
    def _ordered(self) -> GatePoint:
        if self.doubt_at > self.refuse_at:
            raise ValueError(f"doubt_at {self.doubt_at} is greater than refuse_at {self.refuse_at}")
        return self


@dataclass(frozen=True)
class Verdict:
    """Verdict of the gate on one picture.

    `suspicion` is P(not one whole mammogram), 0 to 0.9999, if the kinds of pictures are as frequent
    as in the gate's training. It is not a probability for pictures of a clinic. `look` is
    `Look.MAMMOGRAM` if the picture passed, else the likeliest other kind.
    """

    outcome: Outcome
    look: Look
    suspicion: float


def judge(overview: Overview, point: GatePoint | None = None) -> Verdict:
    """Judge by its look whether a whole picture is a mammogram of one whole breast.

    Parameters
    ----------
    overview
        The reduced picture and breast mask in the result of `mammolens.preprocess.prepare`.
    point
        The operating point of the model's card. The built-in point is used instead if it is
        ``None`` or belongs to another version of the coefficients.
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
"""A bright part beside the breast with at least this share of the breast's area is always a doubt.

None of 5,140 sound mammograms has more than 0.33 (measured on the table of benchmarks/fit_gate.py).
Of generated pairs and sheets of breasts, 61 % and 78 % have more than 0.5. With a limit below 0.33,
sound mammograms would be doubted.
"""


def admit(view: PreparedView, point: GatePoint | None = None) -> tuple[Caution, ...]:
    """Decide whether a prepared view may go to the model.

    Call it after `prepare`, for whole breasts only. Do not call it in training or evaluation, which
    must see every labelled image. A marked region has no overview and always passes.

    Returns
    -------
    Empty if the picture passed. Otherwise the caution ``not_validated``, which is a doubt: the exam
    cannot be ``low``.

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
    description, remedy = _DESCRIPTIONS[verdict.look]
    text = (
        f"the picture looks like {description}, not like one whole breast "
        f"(suspicion {verdict.suspicion:.2f})"
    )
    if verdict.outcome is Outcome.DOUBTED:
        return (Caution("not_validated", f"{text}; the score may mean nothing", doubt=True),)
    error = NotAWholeView if verdict.look in _PARTS else NotAMammogram
    raise error(text, source=view.ref.path, remedy=remedy)


_PARTS = (Look.PART, Look.SEVERAL, Look.TURNED)

_OTHER = "Send only mammograms; if this is one, have it read without mammolens and report it"
_DESCRIPTIONS = {
    Look.BODY: ("a radiograph of another part of the body", _OTHER),
    Look.EMPTY: ("an empty exposure or a test pattern", "Look at the image, and expose it again"),
    Look.PART: ("a part of a breast", "Send the whole view; mark a lesion with --region"),
    Look.PHANTOM: ("a phantom, a mask or a drawing", _OTHER),
    Look.PHOTO: ("a photograph", _OTHER),
    Look.RECOMBINED: (
        "a recombined image of a contrast exam",
        "Send the low-energy image of this view",
    ),
    Look.SEVERAL: ("several breasts in one picture", "Send every view as a separate image"),
    Look.SLICE: ("a slice or an ultrasound image", _OTHER),
    Look.SPECIMEN: ("a tissue specimen", "Leave specimen radiographs out of the exam"),
    Look.TEXT: (
        "a document or a screenshot with text",
        "Send the image from the modality or archive, not a screenshot",
    ),
    Look.TURNED: ("a mammogram on its side", "Send the image upright, chest wall left or right"),
}


def built_in_point() -> GatePoint:
    """Give the operating point of the gate in this version of mammolens.

    It is used for model packages whose card has none. At this point, a gate that was fitted on
    other patients doubts or refuses 0.2 % of the sound mammograms (``point`` in ``gate.json``).
    With a higher `doubt_at`, fewer mammograms are doubted and more other pictures pass.
    """
    return _gate().point


@dataclass(frozen=True)
class _Gate:
    """Content of ``gate.json`` for n measurements.

    `centre`, `scale` and `high` (n,) standardise, see `softmax_terms`. `weights` (kinds, 3 n) and
    `biases` (kinds,) belong to the softmax over `kinds`.
    """

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
            "the coefficients of the input gate belong to other measurements",
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
    """Share of each kind of picture, by the softmax; the shares add up to 1."""
    gate = _gate()
    measured = np.array([values[name] for name in NAMES])
    terms = softmax_terms(measured, gate.centre, gate.scale, gate.high)
    shares = softmax(gate.weights @ terms + gate.biases)
    return dict(zip(gate.kinds, shares.tolist(), strict=True))


def softmax_terms(
    values: npt.NDArray[np.float64],
    centre: npt.NDArray[np.float64],
    scale: npt.NDArray[np.float64],
    high: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Turn measurements (…, n) into the terms (…, 3 n) that the weights multiply.

    Each measurement gives three terms: its standard score on mammograms, the square of that score
    (so that too small and too large are both unusual), and its excess over `high`, the value that
    almost no mammogram exceeds. All terms are clipped, so that no single term decides.
    """
    standard = np.clip((values - centre) / scale, -8.0, 8.0)
    excess = np.clip((values - high) / scale, 0.0, 4.0)
    return np.concatenate([standard, standard**2 / 8.0, excess], axis=-1)
