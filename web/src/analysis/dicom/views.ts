/** Side and view of an image; the same sources and order as `mammolens.images.dicom.views`. */

import tables from "../tables.json";
import { type Caution, caution, doubt, type Side, type View } from "../types";
import { readDescription, readSide, readViewPosition } from "../words/descriptions";
import { type NameFacts, readName } from "../words/names";
import type { Tags } from "./tags";

const UNKNOWN = {
  laterality: "neither header nor name says which breast this is",
  view: "neither header nor name says which view this is",
};
const PLACES: Readonly<Record<string, string>> = {
  name: "the file name",
  series: "Laterality, because ImageLaterality is missing",
  region: "the anatomic region",
  description: "the description of the series",
  position: "the label of the view",
  code: "ViewCodeSequence, because ViewPosition is missing",
  orientation: "PatientOrientation, where CBIS-DDSM writes the view",
};
const PLAINER: Readonly<Record<string, string>> = {
  XCCL: "CC",
  XCCM: "CC",
  FB: "CC",
  LMO: "MLO",
  SIO: "MLO",
  ISO: "MLO",
};
const DESCRIPTIONS = ["SeriesDescription", "ProtocolName"];
const REGIONS = [
  ["AnatomicRegionSequence", "AnatomicRegionModifierSequence"],
  ["PrimaryAnatomicStructureSequence", "PrimaryAnatomicStructureModifierSequence"],
] as const;
const MEDIAL_BELOW = new Set(["CC", "XCCL", "XCCM", "FB", "MLO", "LMO"]);
const SIDE_CODES = tables.sideCodes as Readonly<Record<string, string>>;
const VIEW_CODES = tables.viewCodes as Readonly<Record<string, string>>;

interface Claim<T> {
  readonly source: string;
  readonly value: T;
  readonly origin: string;
  readonly onlyContradicts?: boolean;
}

export function dicomSideAndView(tags: Tags): [Side | null, View | null] {
  const names = [readName(tags.source), readName(tags.text("PatientID") ?? "")];
  const facts = names.find((f) => f.side !== null || f.view !== null) ?? names[0];
  const view = chosen(tags, "view", [...viewClaims(tags, facts)]);
  const side = chosen(tags, "laterality", [...sideClaims(tags, facts, view)]);
  checkOrientation(tags, view);
  for (const note of modifiedByName(names[0])) tags.notes.list.push(note);
  return [side, view];
}

/** Cautions about side and view of a picture without a header. */
export function nameCautions(facts: NameFacts): Caution[] {
  const notes: Caution[] = [];
  for (const [word, value] of [
    ["laterality", facts.side],
    ["view", facts.view],
  ] as const) {
    if (value === null) notes.push(caution(`${word}_unknown`, UNKNOWN[word]));
    else notes.push(sourceNote(word, "name", value));
  }
  return [...notes, ...modifiedByName(facts)];
}

function modifiedByName(facts: NameFacts): Caution[] {
  return [...facts.topics]
    .sort()
    .map((topic) => doubt("view_modified", `the file name says that this is ${topic}`));
}

function sourceNote(word: string, origin: string, value: string): Caution {
  return caution(`${word}_from_${origin}`, `${word} ${value} was read from ${PLACES[origin]}`);
}

function chosen<T extends string>(
  tags: Tags,
  word: "view" | "laterality",
  claims: readonly Claim<T>[],
): T | null {
  const taken = claims.find((claim) => !claim.onlyContradicts);
  if (taken === undefined) {
    tags.caution(`${word}_unknown`, UNKNOWN[word]);
    return null;
  }
  if (taken.origin) tags.notes.list.push(sourceNote(word, taken.origin, taken.value));
  const others = claims.filter((c) => c.value !== taken.value && !isVaguer(c, taken));
  if (others.length) {
    const values = [taken, ...others].map(({ source, value }) => `${source} says ${value}`);
    tags.doubt(`${word}_disagrees`, `${values.join(", ")}: ${taken.value} was used`);
  }
  return taken.value;
}

function isVaguer(claim: Claim<string>, taken: Claim<string>): boolean {
  const plainer = PLAINER[taken.value];
  return (
    (claim.origin === "description" || claim.origin === "name") &&
    plainer !== undefined &&
    claim.value === plainer
  );
}

function* viewClaims(tags: Tags, facts: NameFacts): Generator<Claim<View>> {
  for (const value of tags.texts("ViewPosition")) {
    const found = readViewPosition(value);
    if (found.view === "ML" && facts.convention === "inbreast") {
      tags.caution("view_from_name", "ViewPosition ML means MLO in INbreast");
      yield { source: "ViewPosition", value: "MLO", origin: "" };
    } else if (found.view !== null) {
      yield { source: "ViewPosition", value: found.view, origin: "" };
    } else if (!found.topics.size) {
      tags.doubt("view_unusable", "ViewPosition is not a known view");
    }
  }
  for (const [code, , meaning] of tags.codes("ViewCodeSequence")) {
    const views = new Set([VIEW_CODES[code.toUpperCase()], readDescription(meaning).view]);
    for (const view of views) {
      if (view) yield { source: "ViewCodeSequence", value: view as View, origin: "code" };
    }
  }
  const clinical = readViewPosition(tags.clinicalView() ?? "").view;
  if (clinical !== null) yield { source: "Clinical View", value: clinical, origin: "code" };
  const orientation = tags.code("PatientOrientation");
  if (orientation === "CC" || orientation === "MLO") {
    yield { source: "PatientOrientation", value: orientation, origin: "orientation" };
  }
  for (const keyword of DESCRIPTIONS) {
    const view = readDescription(tags.text(keyword) ?? "").view;
    if (view !== null) yield { source: keyword, value: view, origin: "description" };
  }
  if (facts.view !== null) yield { source: "the file name", value: facts.view, origin: "name" };
}

function* sideClaims(tags: Tags, facts: NameFacts, view: View | null): Generator<Claim<Side>> {
  for (const [keyword, origin] of [
    ["ImageLaterality", ""],
    ["Laterality", "series"],
  ]) {
    const value = tags.texts(keyword).join(" ");
    const side = readSide(value);
    if (side !== null) yield { source: keyword, value: side, origin };
    else if (keyword === "ImageLaterality" && namesBoth(value)) {
      tags.doubt("laterality_unusable", "ImageLaterality says that both breasts are shown");
    } else if (value) tags.caution("laterality_unusable", `${keyword} is neither L nor R`);
  }
  for (const [keyword, modifiers] of REGIONS) {
    const nested = tags.inner(keyword).flatMap((item) => item.codes(modifiers));
    for (const [code, , meaning] of [...tags.codes(keyword), ...nested]) {
      const found = new Set([SIDE_CODES[code.toUpperCase()], readDescription(meaning).side]);
      for (const side of found) {
        if (side) yield { source: keyword, value: side as Side, origin: "region" };
      }
    }
  }
  for (const value of [...tags.texts("ViewPosition"), tags.clinicalView() ?? ""]) {
    const side = readViewPosition(value).side;
    if (side !== null) yield { source: "the label of the view", value: side, origin: "position" };
  }
  for (const keyword of DESCRIPTIONS) {
    const side = readDescription(tags.text(keyword) ?? "").side;
    if (side !== null) yield { source: keyword, value: side, origin: "description" };
  }
  const stated = sideByOrientation(tags, view);
  if (stated !== null) {
    yield { source: "PatientOrientation", value: stated, origin: "", onlyContradicts: true };
  }
  if (facts.side !== null) yield { source: "the file name", value: facts.side, origin: "name" };
}

function namesBoth(laterality: string): boolean {
  const upper = laterality.toUpperCase();
  return upper.startsWith("B") || (upper.includes("L") && upper.includes("R"));
}

/** The breast that the orientation shows if the picture hangs in the usual way; only compared. */
function sideByOrientation(tags: Tags, view: View | null): Side | null {
  const directions = tags.texts("PatientOrientation");
  if (view === null || !MEDIAL_BELOW.has(view) || directions.length !== 2) return null;
  if (!"AP".includes(directions[0][0])) return null;
  const down = directions[1].toUpperCase();
  if (down.includes("L") === down.includes("R") || !/^[LRHF]*$/.test(down)) return null;
  return down.includes("L") !== down.includes("H") ? "R" : "L";
}

function checkOrientation(tags: Tags, view: View | null): void {
  const directions = tags.texts("PatientOrientation");
  if (directions.length !== 2 || !"AP".includes(directions[0][0].toUpperCase())) return;
  const down = directions[1].toUpperCase();
  const upright = /[HF]/.test(down);
  if ((view === "CC" || view === "XCCL" || view === "XCCM") && upright) {
    const text = "but PatientOrientation is for an oblique or lateral view";
    tags.doubt("view_disagrees", `the view is ${view}, ${text}`);
  } else if ((view === "MLO" || view === "ML" || view === "LM") && down && !upright) {
    const text = "but PatientOrientation names neither head nor foot";
    tags.caution("orientation_disagrees", `the view is ${view}, ${text}`);
  }
}
