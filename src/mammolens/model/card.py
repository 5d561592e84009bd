"""The model card: the input of a model, the meaning of its numbers, and its measured results."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mammolens.core import InputKind
from mammolens.errors import BadModelPackage, ContractMismatch
from mammolens.model.age_prior import AgePrior
from mammolens.model.people import PeopleGroup
from mammolens.preprocess import InputConfig, PreprocessConfig, RegionConfig
from mammolens.quality import GatePoint
from mammolens.spelling import did_you_mean
from mammolens.wording import estimate

__all__ = [
    "CLASSES",
    "Calibration",
    "ClassPrior",
    "Dataset",
    "Estimate",
    "FindingLevel",
    "ModelCard",
    "OperatingPoint",
    "OperatingPoints",
    "Training",
    "ValidationFigure",
    "read_card",
]

CLASSES: tuple[Literal["normal"], Literal["benign"], Literal["malignant"]] = (
    "normal",
    "benign",
    "malignant",
)
"""Order of the classes in every array of logits or probabilities."""

NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"
VERSION_PATTERN = r"^\d+\.\d+(\.\d+)?$"

Share = Annotated[float, Field(ge=0, le=1)]
Text = Annotated[str, Field(min_length=1)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Estimate(_Part):
    """A figure with its 95 % interval."""

    value: Share = Field(description="point estimate, 0–1")
    low: Share = Field(description="lower end of the 95 % interval")
    high: Share = Field(description="upper end of the 95 % interval")

    @model_validator(mode="after")
    def _ordered(self) -> Estimate:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"low ≤ value ≤ high is needed: {self.low}, {self.value}, {self.high}")
        return self

    def __str__(self) -> str:
        return estimate(self.value, self.low, self.high)


class ClassPrior(_Part):
    """The share of each class in the population to which the probabilities are calibrated."""

    normal: float = Field(gt=0, lt=1, description="share of images that are normal")
    benign: float = Field(gt=0, lt=1, description="share with a benign tumour and no malignant one")
    malignant: float = Field(gt=0, lt=1, description="share with a malignant tumour")

    @model_validator(mode="after")
    def _sums_to_one(self) -> ClassPrior:
        if abs(sum(self.as_tuple) - 1.0) > 1e-6:
            raise ValueError(f"the shares sum to {sum(self.as_tuple):.6g}, not to 1")
        return self

    @property
    def as_tuple(self) -> tuple[float, float, float]:
        """The shares in the order of `CLASSES`."""
        return self.normal, self.benign, self.malignant


class Calibration(_Part):
    """How logits become probabilities. The graph includes all of this except `age`."""

    temperature: float | tuple[float, float, float] = Field(
        description="divisor of the network's logits: one number, or one for each class"
    )
    bias: tuple[float, float, float] = Field(
        (0.0, 0.0, 0.0), description="added to the divided logits, one number for each class"
    )
    fitted_on: Text = Field(description="the data that it was fitted on, with split")
    n: Count = Field(description="images that it was fitted on")
    prior: ClassPrior = Field(description="class frequencies to which it is calibrated")
    age: AgePrior | None = Field(None, description="effect of age; null: age is not used")

    @model_validator(mode="after")
    def _positive(self) -> Calibration:
        parts = self.temperature if isinstance(self.temperature, tuple) else (self.temperature,)
        if min(parts) <= 0:
            raise ValueError(f"a temperature must be above 0, not {self.temperature}")
        return self


class OperatingPoint(_Part):
    """A threshold on P(malignant) of an exam or a lesion at the card's prior, and its results."""

    threshold: Share = Field(description="a unit with P(malignant) at or above it is positive")
    sensitivity: Estimate = Field(description="share of the malignant units that are positive")
    specificity: Estimate = Field(description="share of the other units that are negative")
    n: Count = Field(description="units that it was fixed on")
    n_positive: Count = Field(description="malignant units among them")
    unit: Literal["exam", "lesion"] = Field("exam", description="the counted unit")

    @model_validator(mode="after")
    def _counts(self) -> OperatingPoint:
        if not 0 < self.n_positive < self.n:
            raise ValueError(f"both kinds are needed: {self.n_positive} of {self.n}")
        return self


class OperatingPoints(_Part):
    """The two triage thresholds: below `low` is category low, at or above `high` category high."""

    low: OperatingPoint = Field(description="chosen for sensitivity")
    high: OperatingPoint = Field(description="chosen for specificity")
    fixed_on: Text = Field(description="the validation data that both were fixed on")

    @model_validator(mode="after")
    def _ordered(self) -> OperatingPoints:
        if self.low.threshold > self.high.threshold:
            raise ValueError(
                f"low.threshold {self.low.threshold} lies above high.threshold "
                f"{self.high.threshold}"
            )
        return self


class FindingLevel(_Part):
    """The value from which a maximum of the malignancy map becomes a finding."""

    level: float = Field(gt=0, description="raw value of the malignancy map")
    method: Text = Field(description="how the level was chosen and checked, and on which data")
    hit_rate: Estimate | None = Field(
        None, description="share of malignant images with a finding on the lesion; null: not known"
    )
    false_findings_per_image: float | None = Field(
        None, ge=0, description="findings outside lesions per image; null: not known"
    )


class Dataset(_Part):
    """A data set that was used for training."""

    name: Text
    images: Count = Field(description="images used for training")
    patients: Count | None = Field(description="patients among them; null: not known")
    note: str = Field("", description="images left out, licence, peculiarities")


class Training(_Part):
    """How and on which data the weights were trained."""

    datasets: tuple[Dataset, ...] = Field(min_length=1)
    split_digest: Text = Field(description="digest of the manifest with its split")
    seed: int
    recipe: Text = Field(description="loss, augmentation, schedule and stopping in a few sentences")
    people: tuple[PeopleGroup, ...] = Field((), description="who was in the data; empty: not said")


class ValidationFigure(_Part):
    """One measured result on patients who were not used for training."""

    dataset: Text
    split: Text = Field("validation", description="validation, test, or external")
    task: Literal["malignancy", "tumour"]
    unit: Literal["image", "breast", "exam", "patient", "lesion"]
    auc: Estimate | None = Field(description="null where only one kind of label exists")
    n: Count = Field(description="units with a known label")
    n_positive: Count

    @model_validator(mode="after")
    def _counts(self) -> ValidationFigure:
        if self.n_positive > self.n:
            raise ValueError(f"{self.n_positive} positives among {self.n}")
        if self.auc is not None and self.n_positive in (0, self.n):
            raise ValueError("an AUC needs both kinds of label")
        return self


class ModelCard(_Part):
    """The contract and the history of one model: `card.json` in its package."""

    schema_version: Literal["1"] = Field("1", description="version of this schema")
    notice: Literal["Research use only, not a medical device."] = Field(
        "Research use only, not a medical device.", description="shown with every result"
    )
    name: str = Field(pattern=NAME_PATTERN, description="name of the model")
    version: str = Field(pattern=VERSION_PATTERN, description="version of the weights")
    input_kind: InputKind = Field(description="content of one input: breast or lesion")
    classes: tuple[Literal["normal"], Literal["benign"], Literal["malignant"]] = Field(
        CLASSES, description="order of the graph's classes"
    )
    preprocess: InputConfig = Field(description="how inputs are made; height, width: their size")
    graph_file: str = Field(
        "model.onnx", pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*\.onnx$", description="file name"
    )
    graph_sha256: Digest = Field(description="SHA-256 of the graph file")
    architecture: Text = Field(description="trunk, pooling and head")
    calibration: Calibration
    operating_points: OperatingPoints
    finding_level: FindingLevel
    gate: GatePoint | None = Field(
        None, description="operating point of the input gate; null: the built-in one"
    )
    training: Training
    validation: tuple[ValidationFigure, ...] = Field(min_length=1)
    tumour_vouched: bool = Field(
        False,
        description="true only if P(tumour) was validated on data in which normal and benign cases "
        "come from the same sources; otherwise P(tumour) is in results.json only",
    )
    intended_use: Text
    weaknesses: tuple[Text, ...] = Field(min_length=1, description="known weaknesses of the model")
    licence: Text = Field(description="licence of the weights, not of the code")
    attribution: Text = Field(description="authors of the data and of the pretrained weights")

    @model_validator(mode="after")
    def _check_input_kind(self) -> ModelCard:
        of_lesions = isinstance(self.preprocess, RegionConfig)
        units = {point.unit for point in (self.operating_points.low, self.operating_points.high)}
        if of_lesions != (self.input_kind is InputKind.LESION):
            raise ValueError(f"preprocess does not make a {self.input_kind.value}")
        if of_lesions and self.gate is not None:
            raise ValueError("gate is for models of whole breasts")
        if of_lesions and self.calibration.age is not None:
            raise ValueError("calibration.age is for models of whole breasts")
        if units != {"lesion" if of_lesions else "exam"}:
            raise ValueError(f"operating points count {' and '.join(sorted(units))}")
        return self

    def for_breasts(self) -> PreprocessConfig:
        """Give the preparation of a whole mammogram.

        Raises
        ------
        ContractMismatch
            If the model's input is a marked lesion.
        """
        if isinstance(self.preprocess, PreprocessConfig):
            return self.preprocess
        raise ContractMismatch(
            f"{self.name} reads a marked lesion, not a whole breast",
            keyword="input_kind",
            remedy="Mark lesions with --region, or use a model of whole breasts",
        )

    def for_regions(self) -> RegionConfig:
        """Give the preparation of a marked region.

        Raises
        ------
        ContractMismatch
            If the model's input is a whole breast.
        """
        if isinstance(self.preprocess, RegionConfig):
            return self.preprocess
        raise ContractMismatch(
            f"{self.name} reads a whole breast, not a marked lesion",
            keyword="input_kind",
            remedy="Use a lesion model such as mammolens-lesion-1, or leave out --region",
        )

    @property
    def input_shape(self) -> tuple[int, int]:
        """Rows and columns of one input."""
        return self.preprocess.height, self.preprocess.width

    @property
    def prior_malignant(self) -> float:
        """The share of malignant cases to which the probabilities are calibrated."""
        return self.calibration.prior.malignant


def read_card(text: str | bytes, source: str) -> ModelCard:
    """Read a card from JSON.

    Parameters
    ----------
    text
        The content of a ``card.json``.
    source
        Its file name, for the error message.

    Raises
    ------
    BadModelPackage
        If a key is missing, unknown or has a forbidden value. The message names the key.

    Examples
    --------
    >>> try:
    ...     read_card('{"nam": "x"}', "card.json")
    ... except BadModelPackage as error:
    ...     print(error.keyword, "-", error.remedy)
    nam - Use 'name'
    """
    try:
        return ModelCard.model_validate_json(text, strict=True)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
    unknown = [fault for fault in faults if fault["type"] == "extra_forbidden"]
    fault = (unknown or faults)[0]
    more = f" ({len(faults) - 1} more faults)" if len(faults) > 1 else ""
    loc = fault["loc"]
    raise BadModelPackage(
        ("unknown key" if unknown else fault["msg"].removeprefix("Value error, ")) + more,
        source=source,
        keyword=".".join(str(part) for part in loc if part not in _INPUTS) or None,
        remedy=_nearest(loc) if unknown else "Correct the card, or export the model again",
    )


_INPUTS: dict[int | str, type[BaseModel]] = {"breast": PreprocessConfig, "lesion": RegionConfig}


def _nearest(loc: tuple[int | str, ...]) -> str:
    """Propose the known key that is most similar to the unknown one at the end of `loc`."""
    model: type[BaseModel] = ModelCard
    for part in loc[:-1]:
        if part in _INPUTS:
            model = _INPUTS[part]
        elif isinstance(part, str) and part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation) or model
    return did_you_mean(str(loc[-1]), model.model_fields)


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    models = (_model_in(inner) for inner in get_args(annotation))
    return next((model for model in models if model is not None), None)
