/** Contrast mammography: low-energy images pass, recombined ones are refused. */

import { Refusal } from "../types";
import { readDescription, TOPIC } from "../words/descriptions";
import { PROCESSING_TEXT } from "./partial_views";
import { SERIES_TEXTS, STUDY_TEXTS } from "./subject";
import type { Tags } from "./tags";

const RECOMBINED = ["RECOMB", "SUBTR", "HIGH_EN", "HIGHEN", "ADDITION", "IODIN"];
const LOW = ["LOW_EN", "LOWEN"];
const HIGH_KVP = 44;
const NO_AGENT = new Set("NO NONE N NEIN NON NA 0 WITHOUT OHNE".split(" "));
const HARD_FILTERS = new Set("COPPER TITANIUM TIN CU TI SN".split(" "));
const PROCESSING = [PROCESSING_TEXT, "DerivationDescription"];
const TEXTS = [...SERIES_TEXTS, ...PROCESSING];

type Topics = ReadonlyMap<string, ReadonlySet<string>>;

/** Refuses an image of contrast agent only; doubts an unclear image; notes a low-energy image. */
export function contrastRefusal(tags: Tags): Refusal | null {
  const values = tags.texts("ImageType").map((v) => v.toUpperCase().replaceAll(" ", "_"));
  const types = new Set(values.flatMap((value) => [...readDescription(value).topics]));
  const topics = new Map(
    TEXTS.map((word) => [word, readDescription(tags.text(word) ?? "").topics] as const),
  );
  const begins = (starts: readonly string[]) =>
    values.some((value) => starts.some((start) => value.startsWith(start)));
  const isLow = types.has(TOPIC.LOW_ENERGY) || begins(LOW);
  if (types.has(TOPIC.RECOMBINED) || begins(RECOMBINED)) return refusal(tags, "ImageType");
  const code = tags.code("AcquisitionDeviceProcessingCode") ?? "";
  if (code.startsWith("GEMS_CESM") && !isLow) {
    return refusal(tags, "AcquisitionDeviceProcessingCode");
  }
  const naming = (topic: string) => TEXTS.filter((word) => topics.get(word)?.has(topic));
  const lowEnergy = naming(TOPIC.LOW_ENERGY);
  const recombined = naming(TOPIC.RECOMBINED);
  if (recombined.length && !isLow && !lowEnergy.length) return refusal(tags, recombined[0]);
  if (recombined.length) {
    const text = `${recombined[0]} mentions a recombined image, other attributes low energy`;
    tags.doubt("contrast_unclear", text);
  } else if (isLow || lowEnergy.length) {
    tags.caution("low_energy", "this is the low-energy image of a contrast mammogram");
  } else if (tags.texts("FilterMaterial").some((m) => HARD_FILTERS.has(m.toUpperCase()))) {
    return refusal(tags, "FilterMaterial");
  } else if (Math.max(0, ...tags.numbers("KVP")) >= HIGH_KVP) {
    tags.doubt("contrast_unclear", "KVP is as high as for a high-energy exposure");
  } else {
    const keyword = contrastSign(tags, new Map([["ImageType", types], ...topics]));
    if (keyword !== null) {
      const text = "mentions contrast, but the header does not say which image this is";
      tags.doubt("contrast_unclear", `${keyword} ${text}`);
    }
  }
  return null;
}

/** Keyword of the first attribute that mentions a contrast agent. */
function contrastSign(tags: Tags, topics: Topics): string | null {
  for (const keyword of ["ContrastBolusAgent", "ContrastBolusIngredient", "ContrastBolusRoute"]) {
    const agent = tags.code(keyword);
    if (agent !== null && !NO_AGENT.has(agent.split(/\s+/)[0].replace(/^[/.-]+|[/.-]+$/g, ""))) {
      return keyword;
    }
  }
  if (tags.holds("ContrastBolusAgentSequence")) return "ContrastBolusAgentSequence";
  for (const [keyword, found] of topics) {
    // In texts about processing, "contrast" can mean the contrast of any image.
    if (found.has(TOPIC.CEM)) return keyword;
    if (found.has(TOPIC.CONTRAST) && !PROCESSING.includes(keyword)) return keyword;
  }
  for (const keyword of STUDY_TEXTS) {
    const found = readDescription(tags.text(keyword) ?? "").topics;
    if (found.has(TOPIC.CEM) || found.has(TOPIC.CONTRAST)) return keyword;
  }
  return null;
}

function refusal(tags: Tags, keyword: string): Refusal {
  const text = `this is ${TOPIC.RECOMBINED}: it shows the contrast agent, not the breast tissue`;
  return new Refusal("NotAMammogram", text, {
    source: tags.source,
    keyword,
    remedy: "Send the low-energy images",
  });
}
