"""Model packages: an ONNX graph that scores and explains, and a card that describes it.

A package is a folder or zip with ``model.onnx``, ``card.json`` and ``CARD.md``. Its input is a
batch of prepared pictures, uint8 (n, 1, H, W). Its outputs are calibrated class probabilities and
activation maps. It needs ONNX Runtime only, which is imported when a package is loaded.
"""

from mammolens.model.age_prior import AgePrior, is_usable_age
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
from mammolens.model.package_files import DEFAULT_MODEL, LESION_MODEL, list_models
from mammolens.model.package_writer import card_markdown, refuse_target, save_package
from mammolens.model.people import PeopleGroup
from mammolens.model.prior_shift import prior_at, restate, shift_odds
from mammolens.model.training_patients import (
    KnownPatients,
    patient_digest,
    patient_digests,
    read_patients,
)

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
    "PeopleGroup",
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
