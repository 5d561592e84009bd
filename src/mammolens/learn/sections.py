"""The sections of a run's TOML file, each setting with its range and what it does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

__all__ = [
    "AugmentConfig",
    "CardConfig",
    "DataConfig",
    "NetworkConfig",
    "Section",
    "SourceNote",
    "TrainConfig",
]


_WEIGHTS = (".safetensors", ".pth", ".pt", ".bin", ".xz")


class Section(BaseModel):
    """Settings that cannot be changed, and no unknown ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DataConfig(Section):
    """The tables of a run, and its split."""

    manifests: tuple[Path, ...] = Field((), description="tables, relative to the working directory")
    table: tuple[Path, ...] = Field((), description="one table or a list, instead of manifests")
    persons: Path | None = Field(
        None,
        description="table of patients with several identifiers (dataset, patient_id, person_id)",
    )
    cache: Path = Field(Path(".cache/prepared"), description="folder of prepared pictures")
    localisation: tuple[Path, ...] = Field(
        (),
        description="tables with marked lesions: training patients teach the maps (never the "
        "classes) if train.map_weight is not 0, findings are checked on the others",
    )
    maps_gb: float = Field(20.0, gt=0, description="room for maps of a fixed trunk, in the cache")
    exclude_machines: tuple[str, ...] = Field((), description="machines that give labels away")
    validation: float = Field(0.2, gt=0, lt=1, description="share of patients held out")
    split_seed: int = Field(1, description="seed of the split by patient")
    official: bool = Field(
        False,
        description="keep the sides in the tables' column split; validation is cut out of "
        "the training side where a source states none",
    )
    folds: int = Field(0, ge=0, description="cut the patients into so many folds; 0 cuts a share")
    fold: int = Field(0, ge=0, description="the fold that is held out, counted from 0")
    inner_folds: int = Field(
        0,
        ge=0,
        description="cut the training side again into so many folds, of which inner_fold is held "
        "out; patients that the other settings hold out are not used",
    )
    inner_fold: int = Field(0, ge=0, description="that fold, counted from 0")
    leave_out: str = Field("", description="data set that is held out whole, as validation")
    training_share: dict[str, Annotated[float, Field(gt=0, le=1)]] = Field(
        {}, description="share of a data set's training patients to learn from, if not all"
    )

    @field_validator("table", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str | Path) else value

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if bool(self.manifests) == bool(self.table):
            raise ValueError("give either manifests or table")
        if self.leave_out and (self.folds or self.official):
            raise ValueError("leave_out goes with neither folds nor official")
        for fold, folds in ((self.fold, self.folds), (self.inner_fold, self.inner_folds)):
            if fold >= max(1, folds):
                raise ValueError(f"fold {fold} of {folds} does not exist: folds count from 0")
        return self

    @property
    def tables(self) -> tuple[Path, ...]:
        """The tables to read, whichever key names them."""
        return self.manifests or self.table


class NetworkConfig(Section):
    """Trunk and head."""

    backbone: str = Field("tf_efficientnet_lite0", description="timm model name")
    weights: Path | None = Field(
        None, description="ImageNet weights, or an earlier run's: .safetensors or .pth, also .xz"
    )
    start: Path | None = Field(
        None,
        description="first weights of the trunk: best.safetensors of a run, or a model "
        "package (folder, zip, or the name of a built-in one)",
    )
    start_head: bool = Field(
        False, description="use that run's head as well; only with best.safetensors"
    )
    hidden: int = Field(256, ge=8, description="width of the fully connected layer")
    dropout: float = Field(0.4, ge=0, lt=1, description="dropout in the head")
    pooling: Literal["avg", "gem", "attention", "fine_attention"] = Field(
        "avg", description="pooling of the feature maps"
    )
    frozen_stages: int = Field(4, ge=0, description="first parts of the trunk that stay fixed")

    @property
    def starts_from_package(self) -> bool:
        """Whether `start` names a package, and no file of weights."""
        return self.start is not None and self.start.suffix.lower() not in _WEIGHTS

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.start_head and (self.start is None or self.starts_from_package):
            raise ValueError("start_head needs the best.safetensors of a run in start")
        return self


class AugmentConfig(Section):
    """Ranges of the random changes."""

    rotation_deg: float = Field(15.0, ge=0, le=180, description="rotation, ± degrees")
    flip: float = Field(0.5, ge=0, le=1, description="probability of each flip")
    zoom: float = Field(0.15, ge=0, lt=1, description="zoom, ± share")
    stretch: float = Field(0.12, ge=0, lt=1, description="change of aspect, ± share")
    shift: float = Field(0.05, ge=0, lt=1, description="shift, ± share of the side")
    contrast: float = Field(0.25, ge=0, lt=1, description="contrast, ± share")
    brightness: float = Field(0.1, ge=0, lt=1, description="brightness, ± share of white")
    gamma: float = Field(0.25, ge=0, lt=1, description="gamma, ± share")
    noise: float = Field(0.03, ge=0, lt=1, description="noise, largest share of white")
    elastic: float = Field(
        0.0, ge=0, le=0.25, description="bending, largest shift of a node as a share of a cell"
    )
    elastic_cells: int = Field(6, ge=2, le=64, description="cells of the bending along a side")
    blur_px: float = Field(0.0, ge=0, le=10, description="blur, largest standard deviation")
    cutout: int = Field(0, ge=0, le=64, description="boxes erased at most")
    cutout_side: float = Field(0.25, gt=0, le=1, description="longest side of one, share of side")


class TrainConfig(Section):
    """The training loop."""

    epochs: int = Field(6, ge=1, description="passes at most")
    epoch_images: int = Field(3840, ge=1, description="images drawn in a pass")
    batch: int = Field(16, ge=2, description="images in a step")
    head_rate: float = Field(1e-3, gt=0, description="learning rate of the head")
    trunk_rate: float = Field(3e-4, gt=0, description="learning rate of the trunk")
    weight_decay: float = Field(0.02, ge=0, description="AdamW's decay")
    warmup: float = Field(0.1, ge=0, lt=1, description="share of the steps that warm up")
    smoothing: float = Field(0.05, ge=0, lt=1, description="label smoothing")
    average: float = Field(0.995, ge=0, lt=1, description="decay of the moving average of weights")
    balance: float = Field(
        0.5, ge=0, le=1, description="0 draws as found, 1 sources and classes alike"
    )
    patient_balance: float = Field(
        0.0, ge=0, le=1, description="0 draws images alike, 1 the patients of a source and class"
    )
    head_first: float = Field(0.0, ge=0, lt=1, description="share of steps of the head alone")
    unfreeze: tuple[float, ...] = Field(
        (),
        description="instead of head_first: shares of the steps after which parts of the trunk "
        "join, from the top; the last one holds for all parts below",
    )
    stage_decay: float = Field(
        1.0, gt=0, le=1, description="rate of a part of the trunk, as a share of the next above"
    )
    small_share: float = Field(0.0, ge=0, le=1, description="share of steps on small pictures")
    small_scale: float = Field(
        0.75, gt=0, le=1, description="their size; sides stay multiples of 32"
    )
    map_weight: float = Field(0.0, ge=0, description="weight of the loss on marked lesions")
    marked_share: float = Field(0.125, ge=0, lt=1, description="of a batch, from localisation")
    teachers: tuple[Path, ...] = Field(
        (), description="folders of finished runs whose P(malignant) is learned beside the labels"
    )
    teacher_weight: float = Field(1.0, gt=0, description="weight of the loss on their answers")
    cross_fit: bool = Field(
        False,
        description="teachers score only patients that they have not learned from; for teachers "
        "that were trained with data.inner_folds",
    )
    cached_variants: int = Field(
        0,
        ge=0,
        description="variants of each picture whose maps, made by the frozen_stages, are kept on "
        "disk and learned from: the picture, then augmented draws; 0 runs the whole trunk in "
        "every step",
    )
    patience: int = Field(3, ge=1, description="passes without gain before it stops")
    checkpoint_steps: int = Field(60, ge=1, description="steps between checkpoints")
    threads: int = Field(2, ge=1, description="CPU threads; on a GPU they make the batches ahead")
    precision: Literal["single", "mixed"] = Field(
        "single", description="mixed runs the trunk in half precision on a GPU"
    )
    tensorboard: bool = Field(False, description="write TensorBoard logs as well")
    seed: int = Field(1, description="of weights, draws and augmentation")

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.unfreeze and self.head_first:
            raise ValueError("give either unfreeze or head_first")
        if list(self.unfreeze) != sorted(self.unfreeze) or min(self.unfreeze, default=0.0) < 0:
            raise ValueError("the shares of unfreeze rise from 0")
        if self.cross_fit and not self.teachers:
            raise ValueError("cross_fit needs teachers")
        if max((self.head_first, *self.unfreeze)) + self.warmup >= 1:
            raise ValueError("the last part joins so late that no step is left after its warm-up")
        return self


class CardConfig(Section):
    """Text of the model's card, in addition to the facts from the run's data and figures."""

    intended_use: str = Field(
        "Research on computer-aided reading of mammograms; no clinical decision may rest on it.",
        min_length=1,
        description="what the model is for",
    )
    weaknesses: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (), description="weaknesses that the run's data and figures do not show by themselves"
    )
    tumour_vouched: bool = Field(
        False, description="P(tumour) was validated, and may be shown beside P(malignant)"
    )
    licence: str = Field("", description="licence of the weights; empty lists those of the data")
    attribution: str = Field("", description="authors of the data; empty lists them")


class SourceNote(Section):
    """Notes on one data set for the card, if the run has used it."""

    note: str = Field("", description="what was left out, peculiarities")
    licence: str = Field(
        "", description="its licence, if it is not one of the known public data sets"
    )
    attribution: str = Field("", description="its authors, likewise")
    weaknesses: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (), description="weaknesses of a model that learned from it"
    )
