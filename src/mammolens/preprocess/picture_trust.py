"""The header's word against the picture: which grey scale, which padding, and which way is up.

`images.pixel_trust` has settled what the stored numbers are. Here the picture that they make is
looked at, on a thumbnail: what the header says is followed unless the breast proves it wrong, and
what could change the answer is a doubt, with which no exam is ever ``low``.

=================================  ======================  ========================================
the header says                    the picture             what happens
=================================  ======================  ========================================
a grey scale                       flat, mostly saturated  the next one is tried, then the range of
                                                           the values: doubt `window_ignored`
a grey scale, or none              partly saturated        doubt `saturated`
padding                            tissue lies under it    not applied, doubt `padding_ignored`
any depth                          has hardly any greys    doubt `few_greys`
lies on its side, or upside down   is not against it       turned, caution `turned_upright`
lies on its side                   stands                  left, doubt `orientation_contradicted`
stands, or nothing                 lies on its side        left, doubt `lies_on_its_side`
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
from mammolens.preprocess._steps import opposite, to_grey
from mammolens.preprocess.breast import BreastRegion, find_breast, looks_inverted
from mammolens.preprocess.grey import apply_voi
from mammolens.preprocess.orientation import decide_turn, turned

__all__ = ["Settled", "settle", "usable_voi"]

_THUMBNAIL_PX: Final = 512

FLAT: Final = 0.02
"""Standard deviation of the greys (0–1) below which a grey scale leaves too little to see: breast
and air then lie within some 16 of 256 greys. A sound window gives 0.1 to 0.3."""

WHITE_SHARE: Final = 0.05
"""Share of the breast that is purely white from which on the picture is doubted. Measured on 16
exams of INbreast with cancer: clipping 5 % of the breast moves P(malignant) of the exam by -0.09 at
most, 10 % by -0.26, 20 % by -0.64. Pictures above it: rsna 9 of 2,726 (implants, ports and
pacemakers), cesm 3 of 226 (strongly processed), none of ddsm 1,701, inbreast 211, mias 210,
ddsm_tissue 66 and the 8 samples."""

BLACK_SHARE: Final = 0.2
"""Share of the breast that is purely black from which on the picture is doubted; fat bears it
better: 20 % moves P(malignant) by -0.15 at most, 30 % by -0.40. None of the sets has a picture
above it."""

PLATEAU_SHARE: Final = 0.25
"""Share of the breast that one grey may take: a table that ends too early makes a plateau that need
not be white. Above it: rsna 1 of 2,726 (an implant), none elsewhere (0.17 at most)."""

USELESS_SHARE: Final = 0.5
"""Share of the breast, black or white, from which on a grey scale is not used at all."""

FEWEST_GREYS: Final = 24
"""Distinct greys that a breast must show. The sets' pictures of 8 bits show at least 54. Rounding
16 exams of INbreast with cancer to 10–22 greys in the breast moved P(malignant) by -0.08 at most,
to 4–8 by -0.26, to 3–6 by -0.49."""

_PADDED_TISSUE: Final = 0.005
"""Share of the breast, or of the picture, that padding may cover where it is not dark anyway."""
_NOT_DARK: Final = 0.1
_WIDENED: Final = 0.5
"""Padding that more than doubles the range of the values is left out of it; padding that is the
air itself belongs to it."""
_TISSUE_VALUES: Final = 16
"""Distinct values that tissue has and a padded border has not."""

_SAMPLE: Final = 4096
_WHITE, _BLACK, _DIM = 0.996, 0.004, 0.02
_GONE_SHARE: Final = 0.1
"""Pixels under a grey scale that are black though they have a value, by the breast that is left:
more than this, and the breast is looked for without the grey scale."""


class Settled(NamedTuple):
    """How a mammogram is to be read.

    `mammogram` stands upright: its pixels are turned clockwise by `quarter_turns` against the
    stored ones, and its VOI, padding and photometric interpretation are those to use. `thumbnail`
    (h, w, 0–1) is a reduced view of it, one of whose pixels stands for `stride` along either side;
    `region` is the breast found there, if any. `cautions` say what was decided against the header.
    """

    mammogram: Mammogram
    thumbnail: npt.NDArray[np.float32]
    stride: int
    region: BreastRegion | None
    quarter_turns: int
    cautions: tuple[Caution, ...]


class _Look(NamedTuple):
    """A mammogram under one grey scale: its thumbnail, the breast there, and how much of the breast
    is white, black or one grey."""

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
        over = self.plateau > PLATEAU_SHARE
        return self.white > WHITE_SHARE or self.black > BLACK_SHARE or over

    @property
    def useless(self) -> bool:
        return self.white + self.black > USELESS_SHARE


def settle(mammogram: Mammogram) -> Settled:
    """Decide on a thumbnail how a mammogram is to be read.

    Raises
    ------
    NotAMammogram
        If the picture is flat.
    """
    _refuse_flat(mammogram)
    stride = max(1, math.ceil(max(mammogram.pixels.shape) / _THUMBNAIL_PX))
    raw = mammogram.pixels[::stride, ::stride]
    mammogram, notes = _trusted_padding(mammogram, raw)
    look, more = _best_look(mammogram, raw)
    notes += more + _picture_doubts(look)
    mammogram, thumbnail, region = look.mammogram, look.thumbnail, look.region
    quarters = 0
    if region is not None:
        quarters, more = decide_turn(mammogram.orientation, region)
        notes += more
    if quarters:
        mammogram = turned(mammogram, quarters)
        thumbnail = to_grey(mammogram.pixels[::stride, ::stride], mammogram)
        region = find_breast(thumbnail)
    return Settled(mammogram, thumbnail, stride, region, quarters, notes)


def usable_voi(mammogram: Mammogram) -> tuple[Mammogram, tuple[Caution, ...]]:
    """Take the first of the header's grey scales that does not leave the picture flat.

    Raises
    ------
    NotAMammogram
        If the picture is flat itself.
    """
    _refuse_flat(mammogram)
    sample = _sample(mammogram.pixels)
    choices = tuple(_choices(mammogram))
    number = next(n for n, voi in enumerate(choices) if not _flat(sample, voi))
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
    """The header's grey scales in its order, then none: the values' own range."""
    if mammogram.voi is not None:
        yield mammogram.voi
    yield from mammogram.other_voi
    yield None


def _voi_note(taken: int, choices: tuple[Window | VoiLut | None, ...]) -> tuple[Caution, ...]:
    if taken == 0:
        return ()
    fault = "does not show the breast"
    if choices[taken] is not None:
        text = f"the first grey scale of the header {fault} well; number {taken + 1} was used"
        return (Caution("window_ignored", text),)
    text = f"the header's grey scale {fault}; the range of the values was used"
    return (Caution("window_ignored", text, doubt=True),)


def _best_look(mammogram: Mammogram, raw: npt.NDArray[Any]) -> tuple[_Look, tuple[Caution, ...]]:
    """The picture under the first grey scale of the header that shows the breast well, else under
    the first that shows it at all, else under none."""
    choices, sample = tuple(_choices(mammogram)), _sample(mammogram.pixels)
    best: tuple[int, _Look] | None = None
    for number, voi in enumerate(choices[:-1]):
        if voi is None or _flat(sample, voi):
            continue
        look = _look(replace(mammogram, voi=voi, other_voi=()), raw)
        if not look.saturated:
            best = number, look
            break
        if best is None and not look.useless:
            best = number, look
    if best is None:
        best = len(choices) - 1, _look(replace(mammogram, voi=None, other_voi=()), raw)
    number, look = best
    notes = _voi_note(number, choices)
    if look.inverted:
        text = "the picture is dark on bright against its PhotometricInterpretation; inverted"
        notes += (Caution("inverted_picture", text),)
    return look, notes


def _flat(sample: npt.NDArray[Any], voi: Window | VoiLut | None) -> bool:
    return voi is not None and float(np.std(apply_voi(sample, voi))) <= FLAT


def _look(mammogram: Mammogram, raw: npt.NDArray[Any]) -> _Look:
    thumbnail = to_grey(raw, mammogram)
    inverted = looks_inverted(thumbnail)
    if inverted:
        mammogram = replace(mammogram, photometric=opposite(mammogram.photometric))
        thumbnail = to_grey(raw, mammogram)
    region = find_breast(thumbnail)
    if region is None:
        return _Look(mammogram, thumbnail, None, inverted, 0.0, 0.0, 0.0, _SAMPLE)
    mask = _whole_breast(mammogram, thumbnail, raw, region)
    greys = thumbnail[::2, ::2][mask[::2, ::2]]
    white, black = float(np.mean(greys >= _WHITE)), float(np.mean(greys <= _BLACK))
    _, counts = np.unique(greys[:: max(1, len(greys) // _SAMPLE)], return_counts=True)
    plateau = float(counts.max(initial=0) / max(counts.sum(), 1))
    return _Look(mammogram, thumbnail, region, inverted, white, black, plateau, len(counts))


def _whole_breast(
    mammogram: Mammogram,
    thumbnail: npt.NDArray[np.float32],
    raw: npt.NDArray[Any],
    region: BreastRegion,
) -> npt.NDArray[np.bool_]:
    """The breast's mask; where a grey scale has blackened much, the mask of what was there."""
    if mammogram.voi is None:
        return region.mask
    plain = _plain(mammogram, raw)
    gone = np.count_nonzero((thumbnail <= _BLACK) & (plain > _DIM))
    if gone <= _GONE_SHARE * np.count_nonzero(region.mask):
        return region.mask
    whole = find_breast(plain)
    return region.mask if whole is None else whole.mask


def _plain(mammogram: Mammogram, raw: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """The picture under no grey scale, breast bright."""
    plain = to_grey(raw, replace(mammogram, voi=None))
    return np.float32(1.0) - plain if looks_inverted(plain) else plain


def _picture_doubts(look: _Look) -> tuple[Caution, ...]:
    if look.saturated:
        shares = {"white": look.white, "black": look.black, "of one grey": look.plateau}
        most = [f"{share:.0%} is {what}" for what, share in shares.items() if share >= 0.01]
        text = f"parts of the breast show nothing: {', '.join(most)}"
        return (Caution("saturated", text, doubt=True),)
    if look.greys < FEWEST_GREYS:
        text = f"the breast shows {look.greys} greys: fewer than a mammogram needs"
        return (Caution("few_greys", text, doubt=True),)
    return ()


def _trusted_padding(
    mammogram: Mammogram, raw: npt.NDArray[Any]
) -> tuple[Mammogram, tuple[Caution, ...]]:
    """Drop padding that lies on tissue; keep it out of the values' own range.

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
        text = "the padding of the header lies on the breast; it was not applied"
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
    values = raw[bright]
    if len(np.unique(values[:: max(1, len(values) // _SAMPLE)])) > _TISSUE_VALUES:
        return True
    region = find_breast(np.where(padded, np.float32(0.0), plain))
    return region is not None and float(bright[region.mask].mean()) > _PADDED_TISSUE
