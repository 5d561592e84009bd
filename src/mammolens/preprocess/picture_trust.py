"""Compare the header with the picture: grey scale, padding and orientation.

`images.pixel_trust` checks the stored numbers. This module checks the picture that the numbers
make, on a thumbnail. The header is followed unless the breast in the picture proves it wrong. A
problem that could change the score is a doubt; an exam with a doubt is never ``low``.

=================================  ======================  ========================================
the header says                    the picture             what happens
=================================  ======================  ========================================
a grey scale                       flat, mostly saturated  the next one is tried, then the range of
                                                           the values: doubt `window_ignored`
a grey scale, or none              partly saturated        doubt `saturated`
padding                            tissue lies under it    not applied, doubt `padding_ignored`
any depth                          has hardly any greys    doubt `few_greys`
lies on its side, or upside down   does not contradict it  turned, caution `turned_upright`
lies on its side                   is upright              as it is, doubt
                                                           `orientation_contradicted`
upright, or nothing                lies on its side        as it is, doubt `lies_on_its_side`
the chest wall is at this side     it is at the other      doubt `orientation_contradicted`
=================================  ======================  ========================================
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from mammolens.core import Caution, Mammogram, VoiFunction, VoiLut, Window
from mammolens.errors import NotAMammogram
from mammolens.preprocess.breast import BreastRegion, find_breast, looks_inverted
from mammolens.preprocess.grey import apply_voi, opposite, to_grey
from mammolens.preprocess.orientation import decide_turn, turned

__all__ = ["TrustedPicture", "trusted_picture", "usable_voi"]

_THUMBNAIL_PX: Final = 512

FLAT: Final = 0.02
"""A grey scale is not used if the standard deviation of its greys (0–1) is at most this: breast and
air are then within about 16 of 256 greys. A sound window gives 0.1 to 0.3."""

WHITE_SHARE: Final = 0.05
"""The picture is doubted if more than this share of the breast is pure white. Measured on 16 exams
of INbreast with cancer: clipping 5 % of the breast moves P(malignant) of the exam by -0.09 at most,
10 % by -0.26, 20 % by -0.64. Pictures above the limit: rsna 9 of 2,726 (implants, ports and
pacemakers), cesm 3 of 226 (strongly processed), none of ddsm 1,701, inbreast 211, mias 210,
ddsm_tissue 66 and the 8 samples."""

BLACK_SHARE: Final = 0.2
"""The picture is doubted if more than this share of the breast is pure black. Black matters less
than white, because it hits fat first: 20 % moves P(malignant) by -0.15 at most, 30 % by -0.40. None
of the sets has a picture above the limit."""

PLATEAU_SHARE: Final = 0.25
"""The picture is doubted if one grey covers more than this share of the breast. A table that ends
too early makes such a plateau, and it is not always white. Above the limit: rsna 1 of 2,726 (an
implant), none elsewhere (0.17 at most)."""

USELESS_SHARE: Final = 0.5
"""A grey scale is not used if more than this share of the breast is black or white. Chosen by hand;
not tuned."""

FEWEST_GREYS: Final = 24
"""The picture is doubted if the breast shows fewer distinct greys than this. The sets' pictures of
8 bits show at least 54. Rounding 16 exams of INbreast with cancer to 10–22 greys in the breast
moved P(malignant) by -0.08 at most, to 4–8 by -0.26, to 3–6 by -0.49."""

_PADDED_TISSUE: Final = 0.005
"""Padding may cover at most this share of breast or picture, where it is not dark. Not tuned."""
_NOT_DARK: Final = 0.1
"""Grey (0–1) above which padding could lie on tissue. Chosen by hand; not tuned."""
_WIDENED: Final = 0.5
"""If the other pixels cover less than this part of the range of values, padding is left out of the
range. Padding that is the air itself stays in the range."""
_TISSUE_VALUES: Final = 16
"""Tissue has more distinct values than this; a padded border has fewer."""

_SAMPLE: Final = 4096
"""Pixels that are enough to count distinct values."""
_WHITE, _BLACK = 0.996, 0.004
"""Greys (0–1) from which on a pixel is pure white, and up to which it is pure black: 1 of 255."""
_DIM: Final = 0.02
"""A pixel brighter than this without a grey scale has a value of its own: it is not empty air."""
_GONE_SHARE: Final = 0.1
"""If a grey scale makes more pixels black than this, as a share of the remaining breast, the breast
is looked for without the grey scale."""


class TrustedPicture(NamedTuple):
    """A mammogram whose grey scale, padding and orientation are decided.

    `mammogram` is upright: its pixels are the stored ones, turned clockwise by `quarter_turns`. Its
    VOI, padding and photometric interpretation are the ones to use. `thumbnail` (h, w, 0–1) has
    every `stride`-th pixel of it along both axes. `region` is the breast in the thumbnail, or
    ``None``. `cautions` list what was decided against the header.
    """

    mammogram: Mammogram
    thumbnail: npt.NDArray[np.float32]
    stride: int
    region: BreastRegion | None
    quarter_turns: int
    cautions: tuple[Caution, ...]


class _Preview(NamedTuple):
    """A mammogram seen with one grey scale.

    `thumbnail` (h, w, 0–1) and the breast in it; `inverted` whether the photometric interpretation
    was changed. `white`, `black` and `plateau` are the shares of the breast (0–1) that are white,
    black, or the most frequent grey. `greys` is the number of distinct greys in the breast.
    """

    mammogram: Mammogram
    thumbnail: npt.NDArray[np.float32]
    region: BreastRegion | None
    inverted: bool
    white: float
    black: float
    plateau: float
    greys: int

    @property
    def saturated(self) -> bool:
        plateau = self.plateau > PLATEAU_SHARE
        return plateau or self.white > WHITE_SHARE or self.black > BLACK_SHARE

    @property
    def useless(self) -> bool:
        return self.white + self.black > USELESS_SHARE


def trusted_picture(mammogram: Mammogram, version: int = 1) -> TrustedPicture:
    """Decide on a thumbnail which grey scale, padding and orientation of a mammogram to use.

    `version` is that of the masks. Raises `NotAMammogram` for a flat picture."""
    _refuse_flat(mammogram)
    stride = max(1, math.ceil(max(mammogram.pixels.shape) / _THUMBNAIL_PX))
    raw = mammogram.pixels[::stride, ::stride]
    mammogram, notes = _trusted_padding(mammogram, raw)
    preview, more = _best_preview(mammogram, raw)
    notes += more + _picture_doubts(preview)
    mammogram, thumbnail, region = preview.mammogram, preview.thumbnail, preview.region
    if version != 1 and region is not None:
        region = find_breast(thumbnail, version)
    quarters = 0
    if region is not None:
        quarters, more = decide_turn(mammogram.orientation, region)
        notes += more
    if quarters:
        mammogram = turned(mammogram, quarters)
        thumbnail = to_grey(mammogram.pixels[::stride, ::stride], mammogram)
        region = find_breast(thumbnail, version)
    return TrustedPicture(mammogram, thumbnail, stride, region, quarters, notes)


def usable_voi(mammogram: Mammogram) -> tuple[Mammogram, tuple[Caution, ...]]:
    """Choose the first grey scale of the header with which the picture is not flat.

    Returns
    -------
    The mammogram with the chosen VOI alone, and a caution if the first one was not chosen.

    Raises
    ------
    NotAMammogram
        If every pixel has the same value.
    """
    _refuse_flat(mammogram)
    sample = _sample(mammogram.pixels)
    choices = tuple(_choices(mammogram))
    number = next(n for n, voi in enumerate(choices) if not _flat(sample, voi))  # ``None`` never is
    chosen = replace(mammogram, voi=choices[number], other_voi=())
    return chosen, _voi_note(number, choices)


def _refuse_flat(mammogram: Mammogram) -> None:
    sample = _sample(mammogram.pixels)
    if not np.isfinite(np.asarray(sample, np.float64)).all() or np.ptp(sample) == 0:
        raise NotAMammogram(
            "the picture is flat: every pixel has the same value",
            source=mammogram.ref.path,
            keyword="PixelData",
            remedy="Send the image again from the modality",
        )


def _sample(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return pixels[::16, ::16] if min(pixels.shape) > 64 else pixels


def _choices(mammogram: Mammogram) -> Iterator[Window | VoiLut | None]:
    """Give the header's grey scales in its order, then ``None``: the range of the values."""
    if mammogram.voi is not None:
        yield mammogram.voi
    yield from mammogram.other_voi
    yield None


def _voi_note(taken: int, choices: tuple[Window | VoiLut | None, ...]) -> tuple[Caution, ...]:
    if taken == 0:
        return ()
    if choices[taken] is not None:
        text = (
            "the first grey scale of the header does not show the breast well; "
            f"number {taken + 1} was used"
        )
        return (Caution("window_ignored", text),)
    text = (
        "no grey scale of the header shows the breast; "
        "the smallest value was made black and the largest white"
    )
    return (Caution("window_ignored", text, doubt=True),)


def _best_preview(
    mammogram: Mammogram, raw: npt.NDArray[Any]
) -> tuple[_Preview, tuple[Caution, ...]]:
    """See the picture with the first grey scale of the header that shows the breast well.

    If none does, the first grey scale that is not useless is used, and otherwise none.
    """
    choices, sample = tuple(_choices(mammogram)), _sample(mammogram.pixels)
    best: tuple[int, _Preview] | None = None
    for number, voi in enumerate(choices[:-1]):
        if voi is None or _flat(sample, voi):
            continue
        preview = _preview(replace(mammogram, voi=voi, other_voi=()), raw)
        if not preview.saturated:
            best = number, preview
            break
        if best is None and not preview.useless:
            best = number, preview
    if best is None:
        best = len(choices) - 1, _preview(replace(mammogram, voi=None, other_voi=()), raw)
    number, preview = best
    notes = _voi_note(number, choices)
    if preview.inverted:
        text = (
            "the picture is dark on bright, which contradicts PhotometricInterpretation; "
            "it was inverted"
        )
        notes += (Caution("inverted_picture", text),)
    return preview, notes


def _flat(sample: npt.NDArray[Any], voi: Window | VoiLut | None) -> bool:
    return voi is not None and float(np.std(apply_voi(sample, voi))) <= FLAT


def _preview(mammogram: Mammogram, raw: npt.NDArray[Any]) -> _Preview:
    thumbnail = to_grey(raw, mammogram)
    inverted = looks_inverted(thumbnail)
    if inverted:
        mammogram = replace(mammogram, photometric=opposite(mammogram.photometric))
        thumbnail = to_grey(raw, mammogram)
    region = find_breast(thumbnail)
    if region is None:
        return _Preview(mammogram, thumbnail, None, inverted, 0.0, 0.0, 0.0, _SAMPLE)  # no doubt
    mask = _whole_breast(mammogram, thumbnail, raw, region)
    greys = thumbnail[::2, ::2][mask[::2, ::2]]
    white, black = float(np.mean(greys >= _WHITE)), float(np.mean(greys <= _BLACK))
    _, counts = np.unique(greys[:: max(1, len(greys) // _SAMPLE)], return_counts=True)
    plateau = float(counts.max(initial=0) / max(counts.sum(), 1))
    return _Preview(mammogram, thumbnail, region, inverted, white, black, plateau, len(counts))


def _whole_breast(
    mammogram: Mammogram,
    thumbnail: npt.NDArray[np.float32],
    raw: npt.NDArray[Any],
    region: BreastRegion,
) -> npt.NDArray[np.bool_]:
    """Mask of the breast; if the grey scale made much of it black, the mask without grey scale."""
    if mammogram.voi is None:
        return region.mask
    plain = _plain(mammogram, raw)
    gone = np.count_nonzero((thumbnail <= _BLACK) & (plain > _DIM))
    if gone <= _GONE_SHARE * np.count_nonzero(region.mask):
        return region.mask
    whole = find_breast(plain)
    return region.mask if whole is None else whole.mask


def _plain(mammogram: Mammogram, raw: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """The picture (h, w, 0–1) without the header's grey scale, breast bright."""
    plain = to_grey(raw, replace(mammogram, voi=None))
    return np.float32(1.0) - plain if looks_inverted(plain) else plain


def _picture_doubts(preview: _Preview) -> tuple[Caution, ...]:
    if preview.saturated:
        shares = {"white": preview.white, "black": preview.black, "of one grey": preview.plateau}
        most = [f"{share:.0%} is {what}" for what, share in shares.items() if share >= 0.01]
        text = f"parts of the breast show no detail: {', '.join(most)}"
        return (Caution("saturated", text, doubt=True),)
    if preview.greys < FEWEST_GREYS:
        text = (
            f"the breast shows only {preview.greys} greys; a mammogram has {FEWEST_GREYS} or more"
        )
        return (Caution("few_greys", text, doubt=True),)
    return ()


def _trusted_padding(
    mammogram: Mammogram, raw: npt.NDArray[Any]
) -> tuple[Mammogram, tuple[Caution, ...]]:
    """Drop padding that lies on tissue; leave other padding out of the range of the values.

    Padding marks pixels outside the picture: one value at its border, or values as dark as air.
    """
    if mammogram.padding is None:
        return mammogram, ()
    low, high = mammogram.padding
    padded = (raw >= low) & (raw <= high)
    if not padded.any():
        return mammogram, ()
    plain = _plain(replace(mammogram, padding=None), raw)
    bright = padded & (plain > _NOT_DARK)
    if bright.mean() > _PADDED_TISSUE and _is_tissue(bright, padded, plain, raw):
        text = "the padding values of the header occur on the breast; padding was not applied"
        return replace(mammogram, padding=None), (Caution("padding_ignored", text, doubt=True),)
    rest = raw[~padded]
    if mammogram.voi is not None or not rest.size:
        return mammogram, ()
    darkest, brightest = float(rest.min()), float(rest.max())
    width = brightest - darkest
    if not 0 < width < _WIDENED * float(np.ptp(raw)):
        return mammogram, ()
    window = Window((darkest + brightest) / 2, width, VoiFunction.LINEAR_EXACT)
    return replace(mammogram, voi=window), ()


def _is_tissue(
    bright: npt.NDArray[np.bool_],
    padded: npt.NDArray[np.bool_],
    plain: npt.NDArray[np.float32],
    raw: npt.NDArray[Any],
) -> bool:
    """Return whether bright padded pixels have many values, or lie within the breast."""
    values = raw[bright]
    if len(np.unique(values[:: max(1, len(values) // _SAMPLE)])) > _TISSUE_VALUES:
        return True
    region = find_breast(np.where(padded, np.float32(0.0), plain))
    return region is not None and float(bright[region.mask].mean()) > _PADDED_TISSUE
