"""The cache of feature maps of a trunk's fixed part, so that the rest of it trains faster.

prepared pictures → variants (the picture itself, and augmentations that can be repeated) → the
first parts of the trunk, which never change → maps in half precision, memory-mapped.

There is one folder for each fixed part, list of images and augmentation (its name is their digest).
Each row keeps the digest of the picture that its maps were made of, written after the maps: an
interrupted build continues where it stopped, and the maps of a changed picture are made again.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mammolens.data.cache import PreparedCache
from mammolens.data.cache_files import locked
from mammolens.data.manifest import Record
from mammolens.errors import ConfigError, StorageError
from mammolens.learn.augment import apply_augmentation, draw_augmentation
from mammolens.learn.batches import stack
from mammolens.learn.config import RunConfig
from mammolens.learn.network import MammoNet

__all__ = ["ActivationCache", "Chain", "build_activations", "fixed_maps", "trace_chain", "variant"]

_BATCH = 16


@dataclass(frozen=True)
class Chain:
    """A trunk whose parts follow one another: the layers of each of `MammoNet.stages`, in order.

    `entry` is the input of the first layer for a ramp of grey values; it shows how pictures are
    normalised.
    """

    parts: tuple[tuple[nn.Module, ...], ...]
    entry: Tensor

    def rest(self, fixed: int) -> nn.Sequential:
        """The parts after the first `fixed` ones, as one module (maps → feature maps)."""
        return nn.Sequential(*itertools.chain(*self.parts[fixed:]))


@dataclass(frozen=True)
class ActivationCache:
    """`maps[variant]` float16 (n, K, h, w), rows in the order of `records`."""

    records: tuple[Record, ...]
    maps: tuple[npt.NDArray[np.float16], ...]

    def gather(self, rows: Sequence[int], variants: Sequence[int]) -> Tensor:
        """Give maps float32 (B, K, h, w) of rows, each of its variant."""
        chosen = [self.maps[v][row] for row, v in zip(rows, variants, strict=True)]
        return torch.from_numpy(np.stack(chosen)).float()


def trace_chain(net: MammoNet) -> Chain:
    """Find the chain of layers that a picture passes; the network is left in evaluation mode.

    Raises
    ------
    ConfigError
        If the layers of the trunk are not a single chain, so that it cannot be cut in two.
    """
    calls: list[tuple[nn.Module, Tensor, Tensor]] = []

    def note(module: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
        calls.append((module, given[0], made))

    parts = list(_layers(net))
    layers = list(itertools.chain(*parts))
    handles = [layer.register_forward_hook(note) for layer in layers]
    device = next(net.parameters()).device
    ramp = (torch.arange(64 * 64, device=device) % 256).to(torch.uint8).reshape(1, 1, 64, 64)
    net.eval()
    try:
        with torch.inference_mode():
            maps = net.maps(ramp)
    finally:
        for handle in handles:
            handle.remove()
    called = [module for module, _, _ in calls]
    linked = all(made is given for (_, _, made), (_, given, _) in itertools.pairwise(calls))
    if not calls or called != layers[: len(called)] or not linked or calls[-1][2] is not maps:
        raise ConfigError(
            f"the layers of {net.backbone} with {net.pooling} pooling are not a single chain, so "
            "its maps cannot be kept",
            keyword="train.cached_variants",
            remedy="Set train.cached_variants to 0 to train on pictures",
        )
    return Chain(tuple(part for part in parts if part[0] in called), calls[0][1].cpu())


def fixed_maps(net: MammoNet, last: nn.Module, pictures: Tensor) -> Tensor:
    """Give the output of the layer `last` for pictures (B, 1, H, W), 0–255."""

    def stop(_module: nn.Module, _given: tuple[Tensor, ...], made: Tensor) -> None:
        raise _ReachedError(made)

    handle = last.register_forward_hook(stop)
    try:
        with torch.inference_mode():
            net.maps(pictures)
    except _ReachedError as reached:
        return reached.maps
    finally:
        handle.remove()
    raise AssertionError("the part is not on the picture's way")


def variant(
    picture: npt.NDArray[np.uint8], record: Record, number: int, config: RunConfig
) -> npt.NDArray[np.uint8]:
    """Give a variant of a picture: 0 is the picture itself, the others are augmentations.

    An augmentation depends only on ``config.train.seed``, the image's key and the number.

    Parameters
    ----------
    picture
        Prepared, uint8 (H, W); not changed.
    """
    if number == 0:
        return picture
    identity = hashlib.sha256(repr(record.key).encode()).digest()
    key = config.train.seed, number, int.from_bytes(identity[:8], "big")
    return apply_augmentation(
        picture, draw_augmentation(np.random.default_rng(key), config.augment)
    )


def build_activations(
    net: MammoNet,
    cache: PreparedCache,
    config: RunConfig,
    variants: int,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> ActivationCache:
    """Compute the maps that are not yet in the cache, and open all.

    Parameters
    ----------
    net
        Its first ``config.network.frozen_stages`` parts are taken as they are; it is left in
        evaluation mode.
    variants
        How many variants of each picture, 1 or more; see `variant`.

    Raises
    ------
    ConfigError
        If the trunk cannot be cut there, the maps would take more room than
        ``config.data.maps_gb``, or half precision cannot hold them.
    StorageError
        If the disk has no room for them.
    """
    chain = trace_chain(net)
    fixed = config.network.frozen_stages
    if not 0 < fixed <= len(chain.parts):
        raise ConfigError(
            f"{fixed} of the {len(chain.parts)} parts of {net.backbone} are to be fixed",
            keyword="network.frozen_stages",
            remedy=f"Fix 1 to {len(chain.parts)} of them, or set train.cached_variants to 0",
        )
    last = chain.parts[fixed - 1][-1]
    device = next(net.parameters()).device
    shape = fixed_maps(net, last, stack([cache.picture(0)]).to(device)).shape[1:]
    whole = (len(cache.records), *shape)
    folder = config.data.cache / "activations" / _key(chain, cache, config)
    files = [folder / f"variant{number}.f16" for number in range(variants)]
    with locked(folder):
        _make_room(files, whole, config.data.maps_gb)
        seen = [_opened(path.with_suffix(".seen"), np.uint64, whole[:1]) for path in files]
        maps = [_opened(path, np.float16, whole) for path in files]
        digests = np.array([_digest_of(cache.picture(i)) for i in range(whole[0])], np.uint64)
        done = sum(int((noted == digests).sum()) for noted in seen)
        for number, (noted, kept) in enumerate(zip(seen, maps, strict=True)):
            todo = np.flatnonzero(noted != digests)
            for start in range(0, len(todo), _BATCH):
                rows = todo[start : start + _BATCH]
                pictures = [
                    variant(cache.picture(row), cache.records[row], number, config) for row in rows
                ]
                kept[rows] = _halves(fixed_maps(net, last, stack(pictures).to(device)), config)
                kept.flush()
                noted[rows] = digests[rows]
                noted.flush()
                done += len(rows)
                on_progress(done, variants * whole[0])
    return ActivationCache(cache.records, tuple(maps))


def _halves(maps: Tensor, config: RunConfig) -> npt.NDArray[np.float16]:
    halves: npt.NDArray[np.float16] = maps.half().cpu().numpy()
    if not np.isfinite(halves).all():
        raise ConfigError(
            f"half precision cannot hold the maps of {config.network.backbone} after part "
            f"{config.network.frozen_stages}",
            keyword="network.frozen_stages",
            remedy="Cut elsewhere, or set train.cached_variants to 0",
        )
    return halves


def _layers(net: MammoNet) -> Iterator[tuple[nn.Module, ...]]:
    """Give the layers of each part: the part itself, or its members if it was cut from a row."""
    own = set(net.modules())
    for part in net.stages():
        yield (part,) if part in own else tuple(part.children())


class _ReachedError(Exception):
    """Raised to stop a forward pass when its result is known."""

    def __init__(self, maps: Tensor) -> None:
        super().__init__()
        self.maps = maps


def _key(chain: Chain, cache: PreparedCache, config: RunConfig) -> str:
    digest = hashlib.sha256(chain.entry.numpy().tobytes())
    for place, layer in enumerate(itertools.chain(*chain.parts[: config.network.frozen_stages])):
        digest.update(repr(layer).encode())
        for key, value in layer.state_dict().items():
            digest.update(f"{place}.{key} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.cpu().contiguous().numpy().tobytes())
    images = [record.key for record in cache.records]
    size = config.preprocess.height, config.preprocess.width
    draws = config.augment.model_dump_json(), config.train.seed
    digest.update(repr((images, size, draws)).encode())
    return digest.hexdigest()[:24]


def _digest_of(picture: npt.NDArray[np.uint8]) -> int:
    """Give 64 bits of a digest, never 0, which means that no maps are stored yet."""
    digest = hashlib.blake2b(picture.tobytes(), digest_size=8).digest()
    return int.from_bytes(digest, "big") or 1


def _make_room(files: Sequence[Path], shape: tuple[int, ...], limit_gb: float) -> None:
    """Reserve the disk space of all maps, so that a full disk is noticed before the work begins."""
    folder, size = files[0].parent, 2 * math.prod(shape)
    if len(files) * size > limit_gb * 1e9:
        raise ConfigError(
            f"the maps need {len(files) * size / 1e9:.3g} GB, but {limit_gb:g} GB are allowed",
            source=str(folder),
            keyword="data.maps_gb",
            remedy="Raise it, or lower train.cached_variants",
        )
    new = [path for path in files if not _is_whole(path, size)]
    try:
        for path in new:
            path.with_suffix(".seen").write_bytes(bytes(8 * shape[0]))
            with path.open("wb") as stream:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(stream.fileno(), 0, size)
                else:
                    stream.truncate(size)
    except OSError as error:
        for path in new:
            path.unlink(missing_ok=True)
        raise StorageError(
            f"{len(new) * size / 1e9:.3g} GB of maps cannot be kept: {error.strerror or error}",
            source=str(folder),
            keyword="data.cache",
            remedy="Lower train.cached_variants, delete maps of other runs beside this folder, or "
            "let data.cache lie on a larger disk",
        ) from error


def _is_whole(path: Path, size: int) -> bool:
    return path.with_suffix(".seen").exists() and path.exists() and path.stat().st_size == size


def _opened(path: Path, dtype: type, shape: tuple[int, ...]) -> np.memmap:
    return np.memmap(path, dtype, mode="r+", shape=shape)
