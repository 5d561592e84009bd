/** Accepts or refuses a DICOM object by class, modality, frames and pixel format. */

import { sizeRefusal } from "../pixels/content";
import { type Photometric, Refusal } from "../types";
import { contrastRefusal } from "./contrast";
import { uidName } from "./dictionary";
import { isBreast, isProjection, STORAGE } from "./object_kind";
import { partRefusal } from "./partial_views";
import { subjectRefusal } from "./subject";
import { READABLE_SYNTAXES } from "./syntaxes";
import type { Tags } from "./tags";

const FOR_PRESENTATION = `${STORAGE}1.2`;
const FOR_PROCESSING = `${STORAGE}1.2.1`;
const BY_MODALITY = ["1", "7", "7.2", "7.3"].map((end) => STORAGE + end);
const STACKS: Readonly<Record<string, string>> = {
  [`${STORAGE}13.1.3`]: "Breast Tomosynthesis",
  [`${STORAGE}13.1.4`]: "Breast Projection X-Ray For Presentation",
  [`${STORAGE}13.1.5`]: "Breast Projection X-Ray For Processing",
};
const SEND_2D = "Send the study's 2D or synthetic 2D views";
const COLOURS = ["RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"];

/** How the pixels are stored. */
export interface PixelFormat {
  readonly rows: number;
  readonly cols: number;
  readonly samples: number;
  readonly planar: boolean;
  readonly photometric: Photometric;
  readonly bitsAllocated: 8 | 16;
  readonly bitsStored: number;
  readonly highBit: number;
  readonly signed: boolean;
  readonly syntax: string;
  readonly overlayBits: number;
}

export function nativeBytes(form: PixelFormat): number {
  return (form.rows * form.cols * form.samples * form.bitsAllocated) / 8;
}

/** @throws Refusal for every object that is not a single 2D mammogram for presentation */
export function checkObject(tags: Tags): void {
  const error =
    classRefusal(tags) ??
    framesRefusal(tags) ??
    maskRefusal(tags) ??
    subjectRefusal(tags) ??
    contrastRefusal(tags) ??
    partRefusal(tags);
  if (error !== null) throw error;
  const part = tags.code("BodyPartExamined");
  if (part !== null && !isBreast(part)) {
    tags.caution("body_part", "BodyPartExamined is not BREAST, although the modality is MG");
  }
}

function classRefusal(tags: Tags): Refusal | null {
  const uid = tags.text("SOPClassUID");
  const modality = tags.code("Modality");
  const { source } = tags;
  if (uid !== null && STACKS[uid]) {
    return new Refusal("UnsupportedImage", `${STACKS[uid]} stacks are not read`, {
      source,
      keyword: "SOPClassUID",
      remedy: SEND_2D,
    });
  }
  if (uid === FOR_PROCESSING || tags.code("PresentationIntentType") === "FOR PROCESSING") {
    const text =
      "the image is FOR PROCESSING: it has raw detector values and is not made for reading";
    return new Refusal("NotAMammogram", text, {
      source,
      keyword: uid === FOR_PROCESSING ? "SOPClassUID" : "PresentationIntentType",
      remedy: "Send the FOR PRESENTATION image of the same view",
    });
  }
  const className = uid === null ? "an object without SOP class" : uidName(uid);
  if (uid === FOR_PRESENTATION && modality === null) {
    tags.caution("missing_modality", "Modality is missing; the SOP class is mammography");
  } else if (modality !== "MG") {
    const text = `this is ${className} of modality ${modality || "unknown"}, not MG`;
    return new Refusal("NotAMammogram", text, {
      source,
      keyword: "Modality",
      remedy: "Send digital or digitised mammograms",
    });
  }
  if (uid === null) {
    tags.caution("missing_sop_class", "SOPClassUID is missing; Modality is MG");
  } else if (uid !== FOR_PRESENTATION && !BY_MODALITY.includes(uid)) {
    const text = `${className} is not read, although its modality is MG`;
    return new Refusal("UnsupportedImage", text, {
      source,
      keyword: "SOPClassUID",
      remedy: "Send Digital Mammography X-Ray Image Storage - For Presentation",
    });
  }
  return null;
}

function framesRefusal(tags: Tags): Refusal | null {
  const { source } = tags;
  if (isProjection(tags)) {
    const text = "a projection of a tomosynthesis stack is not read";
    return new Refusal("UnsupportedImage", text, { source, keyword: "ImageType", remedy: SEND_2D });
  }
  const frames = tags.integer("NumberOfFrames");
  if (frames === null || frames === 1) return null;
  if (frames <= 0) {
    const text = `NumberOfFrames is ${frames}; one frame was read`;
    tags.caution("frames_not_counted", text);
    return null;
  }
  return new Refusal("UnsupportedImage", `${frames} frames in one object are not read`, {
    source,
    keyword: "NumberOfFrames",
    remedy: "Send single 2D or synthetic 2D views",
  });
}

function maskRefusal(tags: Tags): Refusal | null {
  if (tags.code("SeriesDescription") !== "ROI MASK IMAGES") return null;
  return new Refusal("NotAMammogram", "this is a CBIS-DDSM lesion mask", {
    source: tags.source,
    keyword: "SeriesDescription",
    remedy: "Send the series 'full mammogram images'",
  });
}

/** Reads and checks how the pixels are stored, before they are decoded. */
export function pixelFormat(tags: Tags, syntax: string): PixelFormat {
  const { source } = tags;
  const rows = required(tags, "Rows");
  const cols = required(tags, "Columns");
  const error = sizeRefusal(rows, cols, source);
  if (error !== null) throw error;
  if (!READABLE_SYNTAXES.has(syntax)) {
    throw new Refusal("UnsupportedImage", `the transfer syntax ${uidName(syntax)} is not read`, {
      source,
      keyword: "TransferSyntaxUID",
      remedy: "Convert it to Explicit VR Little Endian, e.g. with dcmtk's dcmconv or dcmdjpeg",
    });
  }
  const samples = tags.integer("SamplesPerPixel");
  const photometric = photometricOf(tags, samples || 1);
  const allocated = required(tags, "BitsAllocated");
  const stored = tags.integer("BitsStored") || allocated;
  const high = tags.integer("HighBit") ?? stored - 1;
  if (allocated !== 8 && allocated !== 16) {
    throw new Refusal("UnsupportedImage", `pixels of ${allocated} bits are not read`, {
      source,
      keyword: "BitsAllocated",
      remedy: "Export the image with 8 or 16 bits",
    });
  }
  if (!(stored > 1 && stored <= allocated && stored - 1 <= high && high < allocated)) {
    const text = `${stored} and HighBit ${high} do not fit BitsAllocated ${allocated}`;
    throw tags.unusable("BitsStored", text);
  }
  return {
    rows,
    cols,
    samples: samples || 1,
    planar: tags.integer("PlanarConfiguration") === 1,
    photometric,
    bitsAllocated: allocated,
    bitsStored: stored,
    highBit: high,
    signed: tags.integer("PixelRepresentation") === 1,
    syntax,
    overlayBits: overlayBits(tags),
  };
}

function overlayBits(tags: Tags): number {
  let taken = 0;
  for (let group = 0x6000; group < 0x6020; group += 2) {
    const position = tags.dataSet.elements.get(group * 0x10000 + 0x0102);
    if (position === undefined || tags.dataSet.elements.has(group * 0x10000 + 0x3000)) continue;
    if (position.value.length === 2) taken |= 1 << (position.value[0] & 15);
    else tags.caution("unreadable_attribute", "an overlay cannot be read and was ignored");
  }
  return taken;
}

function photometricOf(tags: Tags, samples: number): Photometric {
  const name = tags.code("PhotometricInterpretation");
  if (name === null && samples === 1) {
    const text = "PhotometricInterpretation is missing; MONOCHROME2 was assumed";
    tags.caution("missing_photometric", text);
    return "MONOCHROME2";
  }
  if (samples === 1 && (name === "MONOCHROME1" || name === "MONOCHROME2")) return name;
  if (samples === 3 && name !== null && COLOURS.includes(name)) return "MONOCHROME2";
  const text =
    `the picture is not a grey exposure: it has ${samples} samples per pixel and another` +
    " photometric interpretation";
  throw new Refusal("NotAMammogram", text, {
    source: tags.source,
    keyword: "PhotometricInterpretation",
    remedy: "Send the original grey image",
  });
}

function required(tags: Tags, keyword: string): number {
  const number = tags.integer(keyword);
  if (number !== null) return number;
  const text = `${keyword} is missing: the object has no picture, or its header is damaged`;
  throw new Refusal("MissingAttribute", text, {
    source: tags.source,
    keyword,
    remedy: "Send image objects, or export this one again",
  });
}
