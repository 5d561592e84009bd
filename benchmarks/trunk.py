"""Reading inner tensors of a model's graph beside its scores, in the same pass.

For measurements alone: the shipped graph is changed in memory, never on disk.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from mammolens.model import DEFAULT_MODEL, ModelPackage
from mammolens.model.density import pooled_tensor
from mammolens.model.package_files import open_package

__all__ = ["LAST", "MIDDLE", "POOLED", "Tap", "tapped"]

MIDDLE: Final = "add_641"
"""Last tensor of the fourth stage of the shipped trunk: 112 channels, one cell for 16 × 16
pixels."""
LAST: Final = "hardtanh_32"
"""Last map of the trunk, which the pooling takes: 1,280 channels, one cell for 32 × 32 pixels."""
POOLED: Final = "pooled"
"""The pooled features of any package, found in its graph: in the shipped one 1,280
numbers of a picture."""


@dataclass
class Tap:
    """A session that keeps inner tensors; `kept` has one row of arrays for each run."""

    session: onnxruntime.InferenceSession
    tensors: dict[str, str]
    """What a caller asked for, and the tensor of the graph that holds it."""
    kept: list[dict[str, npt.NDArray[np.float32]]] = field(default_factory=list)

    def run(self, outputs: list[str], feed: dict[str, Any]) -> list[Any]:
        """Run the graph once; give what was asked for, and keep the rest."""
        found = self.session.run([*outputs, *self.tensors.values()], feed)
        self.kept.append(dict(zip(self.tensors, found[len(outputs) :], strict=True)))
        return list(found[: len(outputs)])

    def take(self) -> list[dict[str, npt.NDArray[np.float32]]]:
        """Give what was kept since the last call: upright and mirrored pictures take turns."""
        kept, self.kept = self.kept, []
        return kept


def tapped(*names: str, package: str = DEFAULT_MODEL, threads: int = 1) -> tuple[ModelPackage, Tap]:
    """Load a package, without its density head, with inner tensors as further outputs."""
    model = ModelPackage.load(package, threads=threads)
    _, read = open_package(package)
    graph = onnx.load_from_string(read(model.card.graph_file))
    tensors = {name: pooled_tensor(graph.graph) if name == POOLED else name for name in names}
    for name in tensors.values():
        graph.graph.output.append(onnx.ValueInfoProto(name=name))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    tap = Tap(session, tensors)
    return replace(model, _session=tap, density=None), tap
