"""Drawn breasts for benchmarks: nothing but half an ellipse of noise, of a size as published."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

__all__ = ["draw_table"]


def draw_table(folder: Path, images: int, height: int, width: int) -> Path:
    """Write JPEG pictures (height, width) and their table; every second one is malignant."""
    rows = ["dataset,image_id,patient_id,path,laterality,view,tumour,malignant"]
    row, col = np.mgrid[:height, :width]
    inside = ((row / height - 0.5) / 0.45) ** 2 + (col / width / 0.8) ** 2 < 1
    for number in range(images):
        rng = np.random.default_rng(number)
        coarse = rng.normal(120, 40, (height // 16, width // 16)).astype(np.float32)
        tissue = cv2.resize(coarse, (width, height)) + rng.normal(0, 8, inside.shape)
        picture = np.where(inside, np.clip(tissue, 20, 250), 0).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}.jpg"), picture)
        malignant = number % 2
        rows.append(f"drawn,{number},{number},{number}.jpg,L,CC,{malignant},{malignant}")
    table = folder / "manifest.csv"
    table.write_text("\n".join(rows))
    return table
