"""How well the data set or machine can be recognised from a model's outputs, features or pictures.

If it can be recognised from the outputs, figures over several data sets also measure this, and
thresholds do not transfer. Each probe is the ridge logistic regression of the table check, one
class against the rest, with all rows of a patient in one fold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.analysis import score_prepared
from mammolens.bench.units import interval_json
from mammolens.core import PreparedView
from mammolens.data.cache import prepare_record
from mammolens.data.manifest import Record
from mammolens.errors import InputError, ModelError
from mammolens.metrics import Statistic, auc_statistic, patient_bootstraps, side_by_side
from mammolens.metrics.bootstrap import FEW
from mammolens.metrics.probability import log_odds, out_of_fold, patient_folds, shares
from mammolens.model import INPUT_NAME, ModelPackage
from mammolens.model.package_files import open_package

if TYPE_CHECKING:
    import onnxruntime

__all__ = [
    "PICTURE_TRAITS",
    "collect_traits",
    "held_out_odds",
    "picture_traits",
    "probe",
    "source_section",
]

PICTURE_TRAITS: Final = (
    *("mean", "SD", "5th percentile", "median", "95th percentile", "sharpness", "grain"),
    *("share of the frame", "rows by columns", "filled rows", "filled columns"),
)
_BATCH = 8
_MOST_FEATURES = 32
_Float = npt.NDArray[np.float64]


def source_section(
    model: ModelPackage,
    records: Sequence[Record],
    *,
    draws: int = 2000,
    seed: int = 0,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> dict[str, Any]:
    """Probe for the data set, and within each data set for the machine; ready for JSON.

    Parameters
    ----------
    records
        Images; refused images are left out and counted.

    Returns
    -------
    ``n_refused``, ``traits`` (name → how many numbers), ``source`` and ``machine`` (data set →)
    with a `probe` of each trait. Without two classes of ten patients there is no probe.

    Raises
    ------
    ContractMismatch
        If the model reads marked lesions.
    """
    kept, traits = collect_traits(model, records, on_progress=on_progress)
    patients = [record.patient_name for record in kept]

    def probed(rows: Sequence[int], targets: Sequence[str | None]) -> dict[str, Any]:
        own = [patients[row] for row in rows]
        found = {
            name: probe(values[list(rows)], targets, own, draws=draws, seed=seed)
            for name, values in traits.items()
        }
        return {name: one for name, one in found.items() if one is not None}

    sources = sorted({record.dataset for record in kept})
    machines = {}
    for source in sources:
        rows = [row for row, record in enumerate(kept) if record.dataset == source]
        machines[source] = probed(rows, [kept[row].machine for row in rows])
    return {
        "n_refused": len(records) - len(kept),
        "traits": {name: values.shape[1] for name, values in traits.items()},
        "source": probed(range(len(kept)), [record.dataset for record in kept]),
        "machine": {name: one for name, one in machines.items() if one},
    }


def probe(
    values: npt.ArrayLike,
    targets: Sequence[str | None],
    patients: Sequence[str],
    *,
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, Any] | None:
    """Measure how well numbers predict classes, in a cross-validation by patient.

    Rows without a class, and classes of fewer than ten patients, are left out. Every class is
    compared with the rest. A row is assigned to the class whose log-odds exceed those of its share
    the most.

    Parameters
    ----------
    values
        (n, k); more than 32 columns are reduced to their first 32 principal components.

    Returns
    -------
    ``n``, ``n_patients``, ``classes`` (counts), ``chance``, ``balanced_accuracy`` and
    ``one_vs_rest`` (class → AUC) with intervals; ``None`` if fewer than two classes are left.
    """
    pairs = {(target, patient) for target, patient in zip(targets, patients, strict=True) if target}
    counts = Counter(target for target, _ in pairs)
    classes = sorted(name for name, count in counts.items() if name and count >= FEW)
    if len(classes) < 2:
        return None
    rows = np.array([row for row, target in enumerate(targets) if target in classes])
    known = np.array([classes.index(str(targets[row])) for row in rows])
    own = [patients[row] for row in rows]
    odds = held_out_odds(np.asarray(values, np.float64)[rows], known, patient_folds(own))
    assigned = np.argmax(odds - log_odds(np.bincount(known) / known.size), axis=1)
    statistics: dict[str, Statistic] = {
        name: auc_statistic(known == place, odds[:, place]) for place, name in enumerate(classes)
    }
    intervals = patient_bootstraps(
        side_by_side({**statistics, "": _balanced(known, assigned, len(classes))}),
        np.ones(known.size),
        own,
        draws=draws,
        seed=seed,
    )
    figures = {name: interval_json(one) for name, one in intervals.items() if one is not None}
    return {
        "n": int(known.size),
        "n_patients": len(set(own)),
        "classes": {name: int((known == place).sum()) for place, name in enumerate(classes)},
        "chance": 1.0 / len(classes),
        "balanced_accuracy": figures.pop("", None),
        "one_vs_rest": figures,
    }


def collect_traits(
    model: ModelPackage,
    records: Sequence[Record],
    *,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> tuple[list[Record], dict[str, _Float]]:
    """Read every image once: give the readable records, and numbers (n, k) of each trait.

    ``malignancy`` is the log-odds of malignant against the rest, without age; ``outputs`` are the
    log-odds of both other classes against normal, and the peaks and means of the maps;
    ``picture`` is `PICTURE_TRAITS`; ``features`` is what the graph's last layer takes in (left out
    where the package onnx is not installed, or the graph has no such layer).

    Raises
    ------
    ContractMismatch
        If the model reads marked lesions.
    """
    config = model.card.for_breasts()
    inner = inner_session(model)
    kept: list[Record] = []
    outputs: list[_Float] = []
    pictures: list[_Float] = []
    features: list[_Float] = []
    waiting = iter(records)
    done = 0
    while group := list(islice(waiting, _BATCH)):
        views: list[PreparedView] = []
        for record in group:
            try:
                views.append(prepare_record(record, config))
                kept.append(record)
            except InputError:
                continue
        if views:
            pixels = np.stack([view.pixels for view in views])
            outputs.append(_outputs(model, views))
            pictures.append(np.array([picture_traits(view) for view in views]))
            if inner is not None:
                (values,) = inner.run(None, {INPUT_NAME: pixels[:, None]})
                features.append(np.asarray(values, np.float64))
        done += len(group)
        on_progress(done, len(records))
    if not kept:
        raise ModelError("none of the images could be read", source=model.source)
    values = np.vstack(outputs)
    odds = values[:, 1:2] - np.logaddexp(0.0, values[:, :1])
    found = {"malignancy": odds, "outputs": values, "picture": np.vstack(pictures)}
    return kept, found | ({"features": np.vstack(features)} if features else {})


def picture_traits(view: PreparedView) -> _Float:
    """Give the `PICTURE_TRAITS` of a prepared picture; grey values (0–1) are those of the breast.

    Sharpness is the mean size of the gradient, grain the mean difference from a 3 × 3 median.
    """
    mask = cv2.erode(view.mask.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    mask = mask if mask.any() else view.mask
    grey = view.pixels.astype(np.float32) / 255.0
    inside = grey[mask]
    across, along = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    grain = np.abs(grey - np.asarray(cv2.medianBlur(view.pixels, 3), np.float32) / 255.0)
    rows, cols = view.geometry.scaled_shape
    height, width = view.geometry.prepared_shape
    return np.array(
        [
            inside.mean(),
            inside.std(),
            *np.percentile(inside, (5, 50, 95)),
            np.hypot(across, along)[mask].mean(),
            grain[mask].mean(),
            view.mask.mean(),
            np.log(rows / cols),
            rows / height,
            cols / width,
        ],
        np.float64,
    )


def _outputs(model: ModelPackage, views: Sequence[PreparedView]) -> _Float:
    raw = score_prepared(model, views)
    logits = raw.logits.astype(np.float64)
    maps = [raw.malignancy_map, raw.tumour_map]
    return np.column_stack(
        [
            logits[:, 1:] - logits[:, :1],
            *(np.log(one.max(axis=(1, 2)) + 1e-6) for one in maps),
            *(np.log(one.mean(axis=(1, 2)) + 1e-6) for one in maps),
        ]
    )


def inner_session(model: ModelPackage) -> onnxruntime.InferenceSession | None:
    """Make a session of the graph that gives the inputs of the last layer before the logits."""
    try:
        import onnx
    except ImportError:
        return None
    import onnxruntime

    _, read = open_package(model.source)
    graph = onnx.load_from_string(read(model.card.graph_file))
    made = {name: node for node in graph.graph.node for name in node.output}
    name = "logits"
    while name in made and made[name].op_type not in ("Gemm", "MatMul"):
        name = made[name].input[0]
    if name not in made:
        return None
    del graph.graph.output[:]
    graph.graph.output.append(
        onnx.helper.make_tensor_value_info(made[name].input[0], onnx.TensorProto.FLOAT, ["n", "k"])
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def held_out_odds(
    values: _Float, known: npt.NDArray[np.intp], folds: npt.NDArray[np.intp]
) -> _Float:
    """Give log-odds (n, classes) of each row from fits and components without its fold.

    Parameters
    ----------
    values
        (n, k).
    known, folds
        (n,), class from 0 on and fold of each row.
    """
    odds = np.zeros((len(values), int(known.max()) + 1))
    for fold in np.unique(folds):
        held = folds == fold
        numbers = _reduced(values, ~held)  # the two "folds" below are this one and all others
        for place in range(odds.shape[1]):
            odds[held, place] = out_of_fold(numbers, known == place, held.astype(np.intp))[held]
    return odds


def _reduced(values: _Float, seen: npt.NDArray[np.bool_]) -> _Float:
    """Give the columns that vary in the rows `seen`, or their first principal components."""
    moving = values[:, np.ptp(values[seen], axis=0) > 1e-9]
    if not moving.shape[1]:
        return np.zeros((len(values), 1))
    if moving.shape[1] <= _MOST_FEATURES:
        return moving
    normed = (moving - moving[seen].mean(0)) / moving[seen].std(0)
    _, _, directions = np.linalg.svd(normed[seen], full_matrices=False)
    reduced: _Float = normed @ directions[:_MOST_FEATURES].T
    return reduced


def _balanced(known: npt.NDArray[np.int64], assigned: npt.NDArray[np.intp], k: int) -> Statistic:
    """Give the mean over classes of the share of rows that are assigned correctly."""
    right = (known == assigned).astype(np.float64)
    members = [(known == place).astype(np.float64) for place in range(k)]

    def statistic(weights: _Float) -> _Float:
        each = [shares(weights @ (own * right), weights @ own) for own in members]
        found: _Float = np.mean(each, axis=0)
        return found

    return statistic
