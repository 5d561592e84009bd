"""The source coordinates of a moved picture: an affine change with a smooth random distortion.

The distortion is a uniform cubic B-spline. Such splines reproduce straight lines exactly, so the
affine change uses the same nodes. If no node moves by more than a quarter of a cell, the picture
cannot fold: the derivative of the shift is then at most a half.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["source_coordinates"]

Map = npt.NDArray[np.float32]


def source_coordinates(
    shape: tuple[int, int],
    affine: npt.NDArray[np.float64],
    *,
    strength: float,
    cells: int,
    seed: int,
) -> tuple[Map, Map]:
    """Give the column and row of the source for every pixel of the result.

    Parameters
    ----------
    shape
        Rows and columns of the picture.
    affine
        (2, 3): source (x, y) → result (x, y).
    strength
        Largest shift of a node, as a share of a cell; 0 gives no distortion.
    cells
        Cells along each side.
    seed
        Of the nodes' shifts.

    Returns
    -------
    Two float32 arrays of `shape`, as ``cv2.remap`` takes them.
    """
    shifts = np.random.default_rng(seed).uniform(-strength, strength, (2, cells + 3, cells + 3))
    down, across = (_basis(count, cells) for count in shape)
    row_step, col_step = shape[0] / cells, shape[1] / cells
    nodes = np.arange(-1, cells + 2)
    row = ((nodes[:, None] + shifts[0]) * row_step - 0.5)[None]
    col = ((nodes[None, :] + shifts[1]) * col_step - 0.5)[None]
    back = cv2.invertAffineTransform(affine)
    source = np.tensordot(back[:, :2], np.concatenate([col, row]), 1) + back[:, 2, None, None]
    x, y = (down @ coordinate.astype(np.float32) @ across.T for coordinate in source)
    return x, y


@lru_cache(maxsize=16)
def _basis(count: int, cells: int) -> Map:
    """Weights (count, cells + 3) of the nodes at the centres of `count` pixels."""
    place = (np.arange(count) + 0.5) * cells / count
    cell = np.minimum(place.astype(int), cells - 1)
    u = place - cell
    weights = np.stack(
        [(1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3], 1
    )
    basis = np.zeros((count, cells + 3), np.float32)
    np.put_along_axis(basis, cell[:, None] + np.arange(4), (weights / 6).astype(np.float32), 1)
    basis.flags.writeable = False
    return basis
