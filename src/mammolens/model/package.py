"""A loaded model package: its card and an ONNX session whose inputs and outputs were checked."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mammolens.core import DENSITY_CATEGORIES, ModelId
from mammolens.errors import BadModelPackage, ConfigError, ContractMismatch, ModelError
from mammolens.metrics.probability import softmax
from mammolens.model.card import CLASSES, ModelCard, read_card
from mammolens.model.density import DENSITY_FILE, DENSITY_OUTPUT, FIT_AGAIN, DensityHead, read_head
from mammolens.model.package_files import CARD_FILE, DEFAULT_MODEL, open_package, read_optional

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["INPUT_NAME", "OUTPUT_NAMES", "STRIDE", "Device", "ModelPackage", "RawOutput"]

INPUT_NAME = "image"
OUTPUT_NAMES = ("probabilities", "logits", "malignancy_map", "tumour_map")
STRIDE = 32
"""Height and width of an input are multiples of this; one map cell covers 32 × 32 pixels."""

_MAX_THREADS = 8
"""Most threads of one prediction unless the caller asks for more. Chosen by hand."""
_RANKS = {
    INPUT_NAME: 4,
    "probabilities": 2,
    "logits": 2,
    "malignancy_map": 3,
    "tumour_map": 3,
    DENSITY_OUTPUT: 2,
}


class Device(str, Enum):
    """The device on which the graph runs."""

    CPU = "cpu"
    CUDA = "cuda"


@dataclass(frozen=True)
class RawOutput:
    """The outputs of the graph for n inputs; all arrays are float32, finite and read-only.

    `probabilities` and calibrated `logits` are (n, 3): normal, benign, malignant. `malignancy_map`
    and `tumour_map` are (n, h, w): raw Grad-CAM ≥ 0, one cell for 32 × 32 pixels of the input.
    `density` is (n, 4), the probabilities of `DENSITY_CATEGORIES`, if it was asked for.
    """

    logits: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float32]
    malignancy_map: npt.NDArray[np.float32]
    tumour_map: npt.NDArray[np.float32]
    density: npt.NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        for array in (self.logits, self.probabilities, self.malignancy_map, self.tumour_map):
            array.flags.writeable = False
        if self.density is not None:
            self.density.flags.writeable = False


@dataclass(frozen=True)
class ModelPackage:
    """A loaded model package; make one with `load`.

    `density` is the head for breast density; ``None`` if the package has none.
    """

    card: ModelCard
    source: str
    _session: onnxruntime.InferenceSession = field(repr=False, compare=False)
    density: DensityHead | None = None

    @classmethod
    def load(
        cls,
        path_or_name: str | Path = DEFAULT_MODEL,
        *,
        threads: int | None = None,
        device: Device = Device.CPU,
    ) -> ModelPackage:
        """Load a package and check that its card and graph fit the contract.

        Parameters
        ----------
        path_or_name
            A folder, a zip, or the name of a built-in package (see `list_models`).
        threads
            Threads for one prediction. ``None`` uses the processors that this process may use, at
            most eight.
        device
            The device to run on; `Device.CUDA` needs a build of ONNX Runtime with CUDA.

        Raises
        ------
        BadModelPackage
            If a file is missing or damaged, the digest is wrong, or the outputs are not finite.
        ContractMismatch
            If the graph has other inputs, outputs or classes than a package must have.
        ConfigError
            If the device is not available, or the number of threads is below 1.
        """
        source, read = open_package(path_or_name)
        card = read_card(read(CARD_FILE), f"{source}/{CARD_FILE}")
        head = read_optional(read, DENSITY_FILE)
        graph = read(card.graph_file)
        return cls.assemble(card, graph, source, head=head, threads=threads, device=device)

    @classmethod
    def assemble(
        cls,
        card: ModelCard,
        graph: bytes,
        source: str,
        *,
        head: bytes | None = None,
        threads: int | None = None,
        device: Device = Device.CPU,
    ) -> ModelPackage:
        """Make a package from a card and a graph in memory, with the checks of `load`.

        Parameters
        ----------
        source
            Name of the place that the package comes from or goes to, for messages.
        head
            The bytes of ``density.onnx``; ``None`` if the package has none.
        threads, device
            As for `load`.
        """
        where = f"{source}/{card.graph_file}"
        _check_digest(graph, card, where)
        if head is None:
            session = _start(graph, where, _thread_count(threads), device, _EXPORT_AGAIN)
            _check_interface(session, where, set())
            package = cls(card, source, session)
            package._trial_run(where, _EXPORT_AGAIN)
            return package
        beside = f"{source}/{DENSITY_FILE}"  # The digest proves the graph: what fails is the head.
        session = _start(graph + head, beside, _thread_count(threads), device, FIT_AGAIN)
        metadata = session.get_modelmeta().custom_metadata_map
        density = read_head(head, metadata, card.graph_sha256, beside)
        _check_interface(session, where, {DENSITY_OUTPUT})
        package = cls(card, source, session, density)
        package._trial_run(beside, FIT_AGAIN)
        return package

    @property
    def model_id(self) -> ModelId:
        """Name, version and digest of the graph, as in results."""
        return ModelId(self.card.name, self.card.version, self.card.graph_sha256)

    def predict(self, batch: npt.NDArray[np.uint8], *, density: bool = False) -> RawOutput:
        """Score and explain prepared inputs.

        Parameters
        ----------
        batch
            Uint8 (n, 1, H, W), n ≥ 1, with H and W those of the card.
        density
            Whether to give the densities too; they stay ``None`` if the package has no head.

        Raises
        ------
        ContractMismatch
            If the batch has another dtype or shape.
        ModelError
            If the graph fails, or its outputs are not finite or not probabilities.
        """
        required = (1, *self.card.input_shape)
        if batch.dtype != np.uint8 or batch.shape[1:] != required or len(batch) == 0:
            raise ContractMismatch(
                f"an input must be uint8 (n, {', '.join(map(str, required))}), "
                f"not {batch.dtype} {batch.shape}",
                source=self.source,
                remedy="Prepare pictures with the preprocessing of the model's card",
            )
        return self._run(batch, density and self.density is not None)

    def _run(self, batch: npt.NDArray[np.uint8], density: bool) -> RawOutput:
        names = [*OUTPUT_NAMES, DENSITY_OUTPUT] if density else list(OUTPUT_NAMES)
        try:
            outputs = self._session.run(names, {INPUT_NAME: batch})
        except Exception as error:  # ONNX Runtime's errors have no other common base class
            raise ModelError(f"the graph failed: {error}", source=self.source) from error
        named = dict(zip(names, outputs, strict=True))
        fault = _output_fault(named, len(batch))
        if fault is not None:
            raise ModelError(
                f"the result of the graph cannot be used: {fault}",
                source=self.source,
                remedy="Treat the exam as failed, and report the picture to the model's authors",
            )
        return RawOutput(**named)

    def _trial_run(self, where: str, remedy: str) -> None:
        """Run two small pictures of a fixed pattern and check the outputs and the map size."""
        rows, cols = 3 * STRIDE, 2 * STRIDE
        ramp = np.arange(2 * rows * cols, dtype=np.uint32).reshape(2, 1, rows, cols)
        try:
            output = self._run((ramp * 7 % 251).astype(np.uint8), self.density is not None)
        except ModelError as error:
            raise BadModelPackage(
                f"a trial run failed: {error.message}", source=where, remedy=remedy
            ) from error
        for cells in (output.malignancy_map.shape[1:], output.tumour_map.shape[1:]):
            if cells != (rows // STRIDE, cols // STRIDE):
                raise ContractMismatch(
                    f"a map has {cells} cells for a picture of {(rows, cols)} pixels: one cell "
                    f"must cover {STRIDE} × {STRIDE} pixels",
                    source=where,
                    remedy=remedy,
                )


_EXPORT_AGAIN = "Export the model again: mammolens export RUN -o PACKAGE"


def _thread_count(threads: int | None) -> int:
    if threads is None:
        affinity = getattr(os, "sched_getaffinity", None)
        usable = len(affinity(0)) if affinity else os.cpu_count() or 1
        return min(usable, _MAX_THREADS)
    if threads < 1:
        raise ConfigError(
            f"{threads} is not a number of threads", keyword="threads", remedy="Give 1 or more"
        )
    return threads


def _check_digest(graph: bytes, card: ModelCard, where: str) -> None:
    digest = hashlib.sha256(graph).hexdigest()
    if digest != card.graph_sha256:
        raise BadModelPackage(
            f"its SHA-256 is {digest[:12]}…, but the card says {card.graph_sha256[:12]}…",
            source=where,
            keyword="graph_sha256",
            remedy="The file was changed or is incomplete: get the model package again",
        )


def _start(
    graph: bytes, where: str, threads: int, device: Device, remedy: str
) -> onnxruntime.InferenceSession:
    import onnxruntime

    provider = {Device.CPU: "CPUExecutionProvider", Device.CUDA: "CUDAExecutionProvider"}[device]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if provider not in onnxruntime.get_available_providers():
        raise _no_device(device)
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=[provider])
    except Exception as error:  # ONNX Runtime's errors have no other common base class
        raise BadModelPackage(
            f"ONNX Runtime {onnxruntime.__version__} cannot load the graph: {error}",
            source=where,
            remedy=remedy,
        ) from error
    if session.get_providers()[0] != provider:
        raise _no_device(device)
    return session


def _no_device(device: Device) -> ConfigError:
    return ConfigError(
        f"ONNX Runtime has no working {device.value} provider on this machine",
        keyword="device",
        remedy="Use the CPU, or install an onnxruntime-gpu for this machine",
    )


def _check_interface(session: onnxruntime.InferenceSession, where: str, further: set[str]) -> None:
    classes = session.get_modelmeta().custom_metadata_map.get("classes")
    inputs = {part.name: (part.type, len(part.shape)) for part in session.get_inputs()}
    outputs = {part.name: (part.type, len(part.shape)) for part in session.get_outputs()}
    faults = _interface_faults({INPUT_NAME}, "tensor(uint8)", inputs)
    faults += _interface_faults({*OUTPUT_NAMES, *further}, "tensor(float)", outputs)
    faults += [
        f"{part.name} has {part.shape[1]} channels, not 1"
        for part in session.get_inputs()
        if len(part.shape) == _RANKS[INPUT_NAME] and part.shape[1] != 1
    ]
    if classes != ",".join(CLASSES):
        faults.append(f"metadata 'classes' is {classes!r}, not {','.join(CLASSES)!r}")
    if faults:
        raise ContractMismatch("; ".join(faults), source=where, remedy=_EXPORT_AGAIN)


def _interface_faults(
    names: set[str], dtype: str, found: Mapping[str, tuple[str, int]]
) -> list[str]:
    faults = [f"{name} is missing" for name in sorted(names - found.keys())]
    faults += [f"{name} is unknown" for name in sorted(found.keys() - names)]
    for name in sorted(names & found.keys()):
        if found[name] != (dtype, _RANKS[name]):
            kind, rank = found[name]
            faults.append(f"{name} is {kind} of rank {rank}, not {dtype} of rank {_RANKS[name]}")
    return faults


def _output_fault(output: Mapping[str, npt.NDArray[Any]], n: int) -> str | None:
    """Describe the first fault in the outputs for `n` pictures; ``None`` if there is no fault."""
    for name, array in output.items():
        if len(array) != n or array.size == 0 or array.ndim != _RANKS[name]:
            return f"{name} has shape {array.shape} for {n} pictures"
        if not np.isfinite(array).all():
            return f"{name} is not finite"
    for name in ("probabilities", "logits"):
        if output[name].shape[1] != len(CLASSES):
            return f"{name} has shape {output[name].shape}"
    for name in ("malignancy_map", "tumour_map"):
        if output[name].min() < 0:
            return f"{name} is negative somewhere"
    densities = output.get(DENSITY_OUTPUT)
    if densities is not None and (
        densities.shape[1] != len(DENSITY_CATEGORIES)
        or densities.min() < 0
        or not np.allclose(densities.sum(1), 1.0, atol=1e-4)
    ):
        return f"{DENSITY_OUTPUT} is not four probabilities"
    if not np.allclose(softmax(output["logits"]), output["probabilities"], atol=1e-4):
        return "probabilities are not the softmax of the logits"
    return None
