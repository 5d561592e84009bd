"""Marked lesions follow their picture into the prepared frame, and teach cells there."""

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs mammolens[train]")

from mammolens.data.lesions import Lesion  # noqa: E402
from mammolens.data.manifest import Record  # noqa: E402
from mammolens.errors import InvalidManifest  # noqa: E402
from mammolens.learn.augment import Augmentation, apply_augmentation, apply_to_mask  # noqa: E402
from mammolens.learn.loss import UNKNOWN, cell_targets, lesion_masks, map_loss  # noqa: E402
from mammolens.preprocess import PreprocessConfig, prepare  # noqa: E402

CONFIG = PreprocessConfig(height=256, width=192, denoise="none", clahe_clip=0)
BOX = (300.0, 150.0, 380.0, 230.0)


@pytest.fixture(params=["left", "right"])
def film(request, tmp_path):
    """A breast whose one bright spot is `BOX`; the second lies with its chest wall on the right."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:800, :600]
    inside = ((y - 400) / 350) ** 2 + (x / 450) ** 2 < 1
    picture = np.where(inside, rng.normal(90, 8, inside.shape), 0)
    row0, col0, row1, col1 = (int(edge) for edge in BOX)
    picture[row0:row1, col0:col1] = 250
    box = BOX
    if request.param == "right":
        picture = picture[:, ::-1]
        box = (BOX[0], 600 - BOX[3], BOX[2], 600 - BOX[1])
    path = tmp_path / "film.png"
    cv2.imwrite(str(path), np.clip(picture, 0, 255).astype(np.uint8))
    return path, box


def record(path, *lesions, tumour=True):
    return Record("drawn", path.stem, "p", path, tumour=tumour, lesions=lesions)


def bright(path):
    """The spot as the prepared picture shows it."""
    from mammolens.images import read_image

    return prepare(read_image(path), CONFIG).pixels > 240


@pytest.mark.parametrize("kind", ["box", "circle", "mask"])
def test_a_mark_lies_where_the_spot_lies(film, kind, tmp_path):
    path, box = film
    if kind == "box":
        lesion = Lesion(box_source_px=box)
    elif kind == "circle":
        lesion = Lesion(circle_source_px=((box[0] + box[2]) / 2, (box[1] + box[3]) / 2, 40.0))
    else:
        mask = np.zeros((800, 600), np.uint8)
        mask[int(box[0]) : int(box[2]), int(box[1]) : int(box[3])] = 255
        cv2.imwrite(str(tmp_path / "mask.png"), mask)
        lesion = Lesion(mask_path=tmp_path / "mask.png")
    drawn = lesion_masks([record(path, lesion)], CONFIG)[0] > 127
    spot = bright(path)
    overlap = (drawn & spot).sum() / (drawn | spot).sum()
    assert overlap > (0.65 if kind == "circle" else 0.85)


def test_unknown_is_absent_and_normal_is_empty(film):
    path, _ = film
    found = lesion_masks([record(path), record(path, tumour=False)], CONFIG)
    assert list(found) == [1]
    assert not found[1].any()


def test_a_mask_of_another_size_is_named(film, tmp_path):
    path, _ = film
    cv2.imwrite(str(tmp_path / "small.png"), np.eye(64, dtype=np.uint8) * 255)
    with pytest.raises(InvalidManifest, match=r"small\.png.*\(64, 64\).*mask_path"):
        lesion_masks([record(path, Lesion(mask_path=tmp_path / "small.png"))], CONFIG)


def test_marks_move_with_the_picture():
    picture = np.full((128, 96), 60, np.uint8)
    picture[30:60, 20:50] = 220
    change = Augmentation(rotation_deg=12, flip_vertical=True, zoom=1.1, shift=(0.03, -0.05))
    moved = apply_augmentation(picture, change) > 140
    mask = apply_to_mask((picture > 140).astype(np.uint8) * 255, change) > 0
    assert (moved & mask).sum() / (moved | mask).sum() > 0.95


def test_targets_of_cells():
    mask = np.zeros((96, 96), np.uint8)
    mask[0:32, 0:36] = 255
    assert cell_targets(mask, (3, 3)).tolist() == [[1, UNKNOWN, 0], [0, 0, 0], [0, 0, 0]]
    dot = np.zeros((96, 96), np.uint8)
    dot[40:43, 40:43] = 255
    assert cell_targets(dot, (3, 3)).tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_loss_by_hand():
    logits = torch.zeros(3, 1, 2)
    logits[0, 0] = torch.tensor([2.0, -1.0])
    targets = torch.tensor([[[1.0, 0.0]], [[0.0, 0.0]], [[UNKNOWN, UNKNOWN]]])
    half = (np.log1p(np.exp(-2.0)) + np.log1p(np.exp(-1.0))) / 2
    expected = (half + np.log(2)) / 2
    assert map_loss(logits, targets).item() == pytest.approx(expected, abs=1e-6)
    nothing = torch.full((2, 1, 2), UNKNOWN)
    loss = map_loss(logits[:2].requires_grad_(), nothing)
    loss.backward()
    assert loss.item() == 0.0


def test_learning_finds_the_place():
    torch.manual_seed(0)
    places = torch.nn.Conv2d(4, 1, 1)
    optimiser = torch.optim.Adam(places.parameters(), 0.1)
    maps = torch.randn(8, 4, 4, 4)
    targets = (maps[:, 2] > 0.8).float()
    before = map_loss(places(maps)[:, 0], targets).item()
    for _ in range(60):
        optimiser.zero_grad()
        map_loss(places(maps)[:, 0], targets).backward()
        optimiser.step()
    assert map_loss(places(maps)[:, 0], targets).item() < before / 3
