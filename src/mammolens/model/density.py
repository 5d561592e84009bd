"""The head for breast density: a small file beside the graph, which adds one output to it.

``density.onnx`` holds a Gemm, a Softmax and their weights. They read the pooled features of the
trunk, a tensor inside the graph of the package. The graph file does not change, and neither do its
digest and its outputs. Two serialised protocol buffers one after the other are one message:
repeated fields (nodes, weights, outputs, metadata) are joined. So the bytes of the graph and the
bytes of the head are the graph with the head, and no further library is needed to run it.

Source: Protocol Buffers, "Encoding", section "Last One Wins", https://protobuf.dev.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mammolens.core import DENSITY_CATEGORIES, DensityCategory
from mammolens.errors import BadModelPackage

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = [
    "DENSITY_FILE",
    "DENSITY_OUTPUT",
    "FIT_AGAIN",
    "DensityHead",
    "make_head",
    "pooled_tensor",
    "read_head",
]

DENSITY_FILE: Final = "density.onnx"
DENSITY_OUTPUT: Final = "density"
_FORM: Final = "mammolens.density/1"
_KEY: Final = "mammolens.density"


@dataclass(frozen=True)
class DensityHead:
    """The rule of a head: when its most likely category is stated, and when it is not sure.

    `digest` is the SHA-256 of the file. A category is stated if its probability is at least
    `least_probability`, and P(c or d) is at least `least_margin` away from one half.
    """

    digest: str
    least_probability: float
    least_margin: float

    def category(self, probabilities: Sequence[float]) -> DensityCategory | None:
        """Give the category of four probabilities; ``None`` if the head is not sure.

        Examples
        --------
        >>> head = DensityHead("", least_probability=0.5, least_margin=0.1)
        >>> head.category([0.1, 0.7, 0.2, 0.0]), head.category([0.3, 0.3, 0.2, 0.2])
        ('b', None)
        >>> head.category([0.0, 0.45, 0.55, 0.0]) is None
        True
        """
        best = int(np.argmax(probabilities))
        dense = float(sum(probabilities[2:]))
        if probabilities[best] < self.least_probability:
            return None
        if abs(dense - 0.5) < self.least_margin or (dense >= 0.5) != (best >= 2):
            return None
        return DENSITY_CATEGORIES[best]


FIT_AGAIN: Final = (
    "Fit it again (benchmarks/fit_density.py), or delete this file; then the density is unknown"
)


def read_head(
    head: bytes, metadata: Mapping[str, str], graph_sha256: str, where: str
) -> DensityHead:
    """Read the rule of a head from the metadata of the joined graph.

    Raises
    ------
    BadModelPackage
        If the head is of another graph, or its rule is damaged.
    """
    try:
        rule = json.loads(metadata[_KEY])
        if rule["form"] != _FORM or rule["graph_sha256"] != graph_sha256:
            raise ValueError("it belongs to another graph or has another format")
        limits = float(rule["least_probability"]), float(rule["least_margin"])
        if not (0.0 <= limits[0] <= 1.0 and 0.0 <= limits[1] <= 0.5):
            raise ValueError(f"its limits {limits} are impossible")
    except (ValueError, KeyError, TypeError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise BadModelPackage(
            f"the density head cannot be used: {reason}",
            source=where,
            remedy=FIT_AGAIN,
        ) from error
    return DensityHead(hashlib.sha256(head).hexdigest(), *limits)


def pooled_tensor(graph: Any) -> str:
    """Name the tensor (n, d) of pooled features that the classifier of an ONNX graph reads."""
    made = {name: node for node in graph.node for name in node.output}
    name = "logits"
    while name in made and made[name].op_type in _CLASSIFIER:
        name = made[name].input[0]
    return str(name)


_CLASSIFIER: Final = ("Gemm", "MatMul", "Add", "Relu", "Div")


def make_head(
    graph: bytes,
    weights: npt.NDArray[np.float32],
    bias: npt.NDArray[np.float32],
    limits: tuple[float, float],
) -> bytes:
    """Make the bytes of ``density.onnx`` (needs the package onnx).

    Parameters
    ----------
    graph
        The graph file that it belongs to.
    weights, bias
        (d, 4) and (4,): pooled features to logits of `DENSITY_CATEGORIES`.
    limits
        `DensityHead.least_probability` and `DensityHead.least_margin`.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    pooled = pooled_tensor(onnx.load_from_string(graph).graph)
    head = onnx.ModelProto()
    head.graph.node.extend(
        [
            helper.make_node(
                "Gemm", [pooled, "density.weight", "density.bias"], ["density.logits"]
            ),
            helper.make_node("Softmax", ["density.logits"], [DENSITY_OUTPUT], axis=1),
        ]
    )
    for name, values in (("density.weight", weights), ("density.bias", bias)):
        head.graph.initializer.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
    shape: list[str | int | None] = ["batch", len(DENSITY_CATEGORIES)]
    head.graph.output.append(
        helper.make_tensor_value_info(DENSITY_OUTPUT, TensorProto.FLOAT, shape)
    )
    rule = {
        "form": _FORM,
        "graph_sha256": hashlib.sha256(graph).hexdigest(),
        "least_probability": limits[0],
        "least_margin": limits[1],
    }
    head.metadata_props.add(key=_KEY, value=json.dumps(rule))
    return bytes(head.SerializeToString())
