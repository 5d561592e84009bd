"""Reading inner tensors of a model's graph beside its scores, in the same pass.

For measurements alone: the shipped graph is changed in memory, never on disk.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from mammolens.model import DEFAULT_MODEL, ModelPackage

__all__ = ["LAST", "MIDDLE", "POOLED", "Tap", "tapped"]

MIDDLE: Final = "add_641"
"""Last tensor of the fourth stage of the shipped trunk: 112 channels, one cell for 16 × 16
pixels."""
LAST: Final = "hardtanh_32"
"""Last map of the trunk, which the pooling takes: 1,280 channels, one cell for 32 × 32 pixels."""
POOLED: Final = "pow_1"
"""The pooled features: 1,280 numbers of a picture."""


@dataclass
class Tap:
    """A session that keeps inner tensors; `kept` has one row of arrays for each run."""

    session: onnxruntime.InferenceSession
    names: tuple[str, ...]
    kept: list[dict[str, npt.NDArray[np.float32]]] = field(default_factory=list)

    def run(self, outputs: list[str], feed: dict[str, Any]) -> list[Any]:
        """Run the graph once; give what was asked for, and keep the rest."""
        found = self.session.run([*outputs, *self.names], feed)
        self.kept.append(dict(zip(self.names, found[len(outputs) :], strict=True)))
        return list(found[: len(outputs)])

    def take(self) -> list[dict[str, npt.NDArray[np.float32]]]:
        """Give what was kept since the last call: upright and mirrored pictures take turns."""
        kept, self.kept = self.kept, []
        return kept


def tapped(*names: str, threads: int = 1) -> tuple[ModelPackage, Tap]:
    """Load the shipped package, without its density head, with inner tensors as further outputs."""
    model = ModelPackage.load(DEFAULT_MODEL, threads=threads)
    folder = Path(__file__).parents[1] / "src" / "mammolens" / "models" / DEFAULT_MODEL
    graph = onnx.load(folder / model.card.graph_file)
    for name in names:
        graph.graph.output.append(onnx.ValueInfoProto(name=name))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    tap = Tap(session, names)
    return replace(model, _session=tap, density=None), tap
