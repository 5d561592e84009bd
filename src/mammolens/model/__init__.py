"""A model package: one ONNX graph that scores and explains, and a card that says what it means.

A folder or zip of ``model.onnx``, ``card.json`` and ``CARD.md``. In flows a batch of prepared
pictures, uint8 (n, 1, H, W); out flow calibrated class probabilities and activation maps. ONNX
Runtime is all that it needs; it is imported when a package is loaded.
"""

from mammolens.model.age import AgePrior, is_usable_age
from mammolens.model.card import (
    CLASSES,
    Calibration,
    ClassPrior,
    Dataset,
    Estimate,
    FindingLevel,
    ModelCard,
    OperatingPoint,
    OperatingPoints,
    Training,
    ValidationFigure,
    read_card,
)
from mammolens.model.package import (
    INPUT_NAME,
    OUTPUT_NAMES,
    STRIDE,
    Device,
    ModelPackage,
    RawOutput,
)
from mammolens.model.patients import (
    KnownPatients,
    patient_digest,
    patient_digests,
    read_patients,
)
from mammolens.model.prior import prior_at, restate, shift_odds
from mammolens.model.store import DEFAULT_MODEL, LESION_MODEL, list_models
from mammolens.model.write import card_markdown, refuse_target, save_package

__all__ = [
    "CLASSES",
    "DEFAULT_MODEL",
    "INPUT_NAME",
    "LESION_MODEL",
    "OUTPUT_NAMES",
    "STRIDE",
    "AgePrior",
    "Calibration",
    "ClassPrior",
    "Dataset",
    "Device",
    "Estimate",
    "FindingLevel",
    "KnownPatients",
    "ModelCard",
    "ModelPackage",
    "OperatingPoint",
    "OperatingPoints",
    "RawOutput",
    "Training",
    "ValidationFigure",
    "card_markdown",
    "is_usable_age",
    "list_models",
    "patient_digest",
    "patient_digests",
    "prior_at",
    "read_card",
    "read_patients",
    "refuse_target",
    "restate",
    "save_package",
    "shift_odds",
]
