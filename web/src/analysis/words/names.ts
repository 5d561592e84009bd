/** Patient, side and view in file names; the same rules as `mammolens.images.names`. */

import tables from "../tables.json";
import type { Side, View } from "../types";
import { among, readDescription } from "./descriptions";

export interface NameFacts {
  readonly convention: string;
  readonly patientId: string | null;
  readonly case: string | null;
  readonly side: Side | null;
  readonly view: View | null;
  readonly topics: readonly string[];
}

const CBIS =
  /(?:Mass|Calc)-(?:Training|Test)_(?<patient>P_\d{5})_(?<side>LEFT|RIGHT)_(?<view>CC|MLO)/g;
const DDSM = /^(?<patient>[A-D][_-]\d{4})[_-]\d[._](?<side>LEFT|RIGHT)[_.](?<view>CC|MLO)/i;
const INBREAST = /^\d{8}_(?<patient>[0-9a-f]{16})_MG_(?<side>[LR])_(?<view>CC|MLO|ML)_ANON/;
const RSNA = /^(?<patient>\d{1,6})_\d{4,12}$/;
const MIAS = /^mdb(?<number>\d{3})(?:\D.*)?$/;
const PLAIN_VIEWS = ["CC", "MLO", "ML", "LM", "LMO", "XCCL", "XCCM"];
const JOINED = /^([LR])(XCCL|XCCM|MLO|LMO|CC|ML|LM)$/;
const IMAGE_SUFFIX = /\.(?:dcm|dicom|ima|png|jpe?g|jp2|tiff?|pgm|ljpeg)$/i;

/** Whether a name has the suffix of an image. */
export function hasImageSuffix(name: string): boolean {
  return IMAGE_SUFFIX.test(name);
}

export function readName(name: string): NameFacts {
  const path = name.replaceAll("\\", "/").slice(name.lastIndexOf("!") + 1);
  const cbis = [...path.matchAll(CBIS)].at(-1)?.groups;
  if (cbis) return sided("cbis", cbis, cbis.patient);
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  const last = parts.at(-1) ?? "";
  const stem = last.replace(IMAGE_SUFFIX, "");
  const inbreast = INBREAST.exec(stem)?.groups;
  if (inbreast) {
    // INbreast writes ML for its mediolateral oblique views.
    const view = inbreast.view === "ML" ? "MLO" : inbreast.view;
    return sided("inbreast", { ...inbreast, view }, inbreast.patient);
  }
  const ddsm = DDSM.exec(stem)?.groups;
  if (ddsm) return sided("ddsm", ddsm, ddsm.patient.toUpperCase().replaceAll("-", "_"));
  const mias = MIAS.exec(stem)?.groups;
  if (mias) {
    const pair = `mias${String((Number(mias.number) + 1) >> 1).padStart(3, "0")}`;
    return facts({ convention: "mias", patientId: pair, case: pair, view: "MLO" });
  }
  if (parts.length > 2 && /^(?:train|test)_images/.test(parts[parts.length - 3])) {
    const patient = parts[parts.length - 2];
    return facts({ convention: "rsna", patientId: patient, case: patient });
  }
  const rsna = RSNA.exec(stem)?.groups;
  if (rsna) return facts({ convention: "rsna", patientId: rsna.patient, case: rsna.patient });
  return plain(stem);
}

function facts(given: Partial<NameFacts>): NameFacts {
  return {
    convention: "plain",
    patientId: null,
    case: null,
    side: null,
    view: null,
    topics: [],
    ...given,
  };
}

function sided(convention: string, match: Record<string, string>, patient: string): NameFacts {
  return facts({
    convention,
    patientId: patient,
    case: patient,
    side: match.side.toUpperCase()[0] as Side,
    view: match.view.toUpperCase() as View,
  });
}

/** Sides and views that are separate tokens; two different sides give no side. */
function plain(stem: string): NameFacts {
  const sides = new Set<Side>();
  const views = new Set<View>();
  const rest: string[] = [];
  let loneLetter = false;
  for (const token of stem.split(/[^A-Za-z0-9]+/)) {
    const upper = token.toUpperCase();
    const joined = JOINED.exec(upper);
    if (/^(?:L|R|LEFT|RIGHT)$/.test(upper)) {
      sides.add(upper[0] as Side);
      loneLetter ||= upper.length === 1;
    } else if (PLAIN_VIEWS.includes(upper)) {
      views.add(upper as View);
    } else if (joined) {
      sides.add(joined[1] as Side);
      views.add(joined[2] as View);
    } else {
      rest.push(token);
    }
  }
  const view = views.size === 1 ? [...views][0] : null;
  const one = sides.size === 1 ? [...sides][0] : null;
  const side = loneLetter && view === null ? null : one;
  return facts({
    case: side !== null && view !== null ? rest.join("_") : null,
    side,
    view,
    topics: among(readDescription(stem).topics, tables.viewTopics),
  });
}
