"""A trained network → one ONNX graph that scores and explains in the same forward pass."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mammolens.errors import ConfigError, ContractMismatch
from mammolens.learn.grad_cam import ScoreAndExplain
from mammolens.learn.network import MammoNet
from mammolens.learn.trunk_folding import fold_trunk, round_weights
from mammolens.model import CLASSES, INPUT_NAME, OUTPUT_NAMES, STRIDE

if TYPE_CHECKING:
    import onnx

__all__ = ["Change", "ExportReport", "trace_graph"]

OPSET = 18
TOLERANCE = 1e-4
HALF_TOLERANCE = 0.01
HALF_MAP_TOLERANCE = 0.1
"""Largest `Change` of probability and map: by export, and by half precision. Chosen by hand."""
_SMALL = 1024
"""Tensors with fewer values stay in single precision, because they save no space."""

Outputs = list[npt.NDArray[np.float32]]
"""Probabilities, logits, malignancy map and tumour map."""


@dataclass(frozen=True)
class Change:
    """The difference between two ways to compute the same outputs.

    `probability` is the largest absolute difference. `map` is the median over pictures of the
    largest difference in a picture's map, divided by the largest value of that map. Grad-CAM
    through a ReLU jumps where a hidden unit is at zero, so a single picture can be far off without
    an error; an error shows in the median.
    """

    probability: float
    map: float


@dataclass(frozen=True)
class ExportReport:
    """The digest and size of a graph, and its difference from the network.

    `rounding` is the change by half precision in torch; `graph` compares ONNX Runtime with torch
    for the exported weights.
    """

    sha256: str
    size_bytes: int
    rounding: Change
    graph: Change


def trace_graph(
    net: MammoNet,
    source: str,
    *,
    temperature: float | Sequence[float] = 1.0,
    bias: Sequence[float] = (0.0, 0.0, 0.0),
    half_weights: bool = True,
    pictures: npt.NDArray[np.uint8] | None = None,
) -> tuple[bytes, ExportReport]:
    """Make one ONNX graph of a network, and check that both give the same outputs.

    Input ``image`` uint8 (batch, 1, height, width), sides multiples of 32. Outputs, all float32:
    ``probabilities`` (batch, 3); ``logits`` (batch, 3), calibrated: the network's logits divided by
    `temperature` plus `bias`, so that ``probabilities = softmax(logits)``; ``malignancy_map`` and
    ``tumour_map`` (batch, h, w), Grad-CAM ≥ 0 of the calibrated log-odds (a map level that was
    validated at one temperature holds for that temperature only).

    Parameters
    ----------
    net
        The trained network, with any trunk whose feature maps are at 1/32 of the picture.
    source
        The place the graph will be written to, for messages.
    temperature, bias
        See `ScoreAndExplain`.
    half_weights
        Store the weights of dense convolutions and of the hidden layer in half precision; all
        arithmetic stays in single precision. Depthwise convolutions, the stem, biases and the last
        layer keep single precision.
    pictures
        uint8 (n, 1, H, W), prepared pictures to compare on; ``None`` takes random ones.

    Raises
    ------
    ConfigError
        If the calibration is not finite and positive, or the pictures have the wrong form.
    ContractMismatch
        If the graph differs from the network by more than 1e-4, or half precision changes a
        probability by more than 0.01 or the median map by more than 0.1.
    """
    batch = _random_pictures() if pictures is None else _checked(pictures)
    module = ScoreAndExplain(net, temperature, bias)
    original = _in_torch(module, batch)
    fold_trunk(module.net, batch[:1])
    folded = _in_torch(module, batch)
    _refuse(source, "folding the trunk", _change(folded, original), TOLERANCE, TOLERANCE)
    if half_weights:
        round_weights(module.net)
    rounded = _in_torch(module, batch)
    rounding = _change(rounded, folded)
    _refuse(source, "half precision", rounding, HALF_TOLERANCE, HALF_MAP_TOLERANCE)
    payload = _to_onnx(module)
    graph = _change(_in_onnxruntime(payload, batch), rounded)
    _refuse(source, "ONNX Runtime", graph, TOLERANCE, TOLERANCE)
    digest = hashlib.sha256(payload).hexdigest()
    return payload, ExportReport(digest, len(payload), rounding, graph)


def _random_pictures() -> Tensor:
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.uniform(0, 255, (3, 1, 12, 9)))
    smooth = nn.functional.interpolate(coarse, scale_factor=STRIDE // 2, mode="bilinear")
    return nn.functional.pad(smooth, (0, 16)).to(torch.uint8)


def _checked(pictures: npt.NDArray[np.uint8]) -> Tensor:
    proper = pictures.dtype == np.uint8 and pictures.ndim == 4 and pictures.size > 0
    if not proper or pictures.shape[1] != 1 or any(n % STRIDE for n in pictures.shape[2:]):
        raise ConfigError(
            f"pictures are uint8 (n, 1, H, W) with sides multiples of {STRIDE}, "
            f"not {pictures.dtype} {pictures.shape}",
            keyword="pictures",
        )
    return torch.from_numpy(np.array(pictures))


def _to_onnx(module: ScoreAndExplain) -> bytes:
    """Trace, optimise and shrink a network; the same network gives the same bytes."""
    import onnx

    batch, height, width = (torch.export.Dim(name) for name in ("batch", "height", "width"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            (_random_pictures()[:2],),
            dynamo=True,
            opset_version=OPSET,
            external_data=False,
            input_names=[INPUT_NAME],
            output_names=list(OUTPUT_NAMES),
            dynamic_shapes={"image": {0: batch, 2: height, 3: width}},
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _store_halves(model.graph)
    _strip(model)
    onnx.helper.set_model_props(model, {"classes": ",".join(CLASSES)})
    onnx.checker.check_model(model, full_check=True)
    payload: bytes = model.SerializeToString(deterministic=True)
    return payload


def _store_halves(graph: onnx.GraphProto) -> None:
    """Store tensors that half precision holds exactly as such, with a Cast back; lossless."""
    import onnx

    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        values = onnx.numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if values.size < _SMALL or not np.array_equal(half.astype(np.float32), values):
            continue
        name, stored = tensor.name, f"{tensor.name}.half"
        tensor.CopyFrom(onnx.numpy_helper.from_array(half, stored))
        casts.append(onnx.helper.make_node("Cast", [stored], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _strip(model: onnx.ModelProto) -> None:
    """Remove the exporter's notes about the machine and the source code."""
    del model.metadata_props[:], model.graph.metadata_props[:]
    model.graph.ClearField("value_info")
    model.graph.doc_string = ""
    model.doc_string = "mammolens model; research use only, not a medical device"
    for part in (*model.graph.node, *model.graph.initializer, *model.graph.input):
        part.doc_string = ""
        del part.metadata_props[:]
    for value in model.graph.output:
        del value.metadata_props[:]


def _in_torch(module: ScoreAndExplain, batch: Tensor) -> Outputs:
    with torch.no_grad():
        parts = [module(picture[None]) for picture in batch]
    return [torch.cat(outputs).numpy() for outputs in zip(*parts, strict=True)]


def _in_onnxruntime(payload: bytes, batch: Tensor) -> Outputs:
    import onnxruntime

    session = onnxruntime.InferenceSession(payload, providers=["CPUExecutionProvider"])
    outputs = session.run(list(OUTPUT_NAMES), {INPUT_NAME: batch.numpy()})
    return [np.asarray(output) for output in outputs]


def _change(a: Outputs, b: Outputs) -> Change:
    """Compare two lists of outputs; a value that is not a number counts as infinitely far."""
    if not all(np.isfinite(array).all() for array in (*a, *b)):
        return Change(np.inf, np.inf)
    maps = [
        np.abs(x - y).max((1, 2)) / max(float(y.max()), 1e-12)
        for x, y in zip(a[2:], b[2:], strict=True)
    ]
    return Change(
        probability=float(np.abs(a[0] - b[0]).max()),
        map=float(np.median(maps, axis=1).max()),
    )


def _refuse(source: str, step: str, change: Change, probability: float, share: float) -> None:
    """Refuse a step of the export that changes a probability or the median map by too much."""
    if change.probability <= probability and change.map <= share:
        return
    raise ContractMismatch(
        f"graph and network disagree: {step} changes a probability by {change.probability:.2g} "
        f"(allowed {probability}) and a map by {change.map:.2g} (allowed {share})",
        source=source,
        remedy="Export without half weights, or look for weights that are not finite and for a "
        "layer that depends on the picture's size",
    )
