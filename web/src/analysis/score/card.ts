/** The card of a model: only what the device uses, and only if every step of it is ported. */

import type { GatePoint } from "../gate/gate";
import type { PreprocessConfig } from "../picture/prepare";
import { Refusal } from "../types";

export interface AgePrior {
  readonly log_odds_per_decade: number;
  readonly centre_years: number;
  readonly youngest_years: number;
  readonly oldest_years: number;
}

export interface Card {
  readonly name: string;
  readonly version: string;
  readonly notice: string;
  readonly graphFile: string;
  readonly graphSha256: string;
  readonly preprocess: PreprocessConfig;
  /** Shares of normal, benign, malignant. */
  readonly prior: readonly [number, number, number];
  readonly age: AgePrior | null;
  readonly low: number;
  readonly high: number;
  readonly findingLevel: number;
  readonly gate: GatePoint | null;
  readonly datasets: readonly string[];
  readonly weaknesses: readonly string[];
}

const KEYS =
  "schema_version notice name version input_kind classes preprocess graph_file graph_sha256 " +
  "architecture calibration operating_points finding_level gate training validation " +
  "tumour_vouched intended_use weaknesses licence attribution";
const PREPROCESS_KEYS =
  "height width denoise denoise_size_px low_percentile high_percentile clahe_clip clahe_tiles pectoral version";
const CALIBRATION_KEYS = "temperature bias fitted_on n prior age";

/** @throws Refusal if the card is damaged, or asks for a step that this device does not have */
export function readCard(text: string): Card {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch {
    throw bad("it is not JSON");
  }
  const card = part(raw, "card", KEYS);
  if (card.schema_version !== "1") throw unported("schema_version", card.schema_version);
  if (card.input_kind !== "breast") throw unported("input_kind", card.input_kind);
  if (String(card.classes) !== "normal,benign,malignant") throw unported("classes", card.classes);
  const preprocess = part(card.preprocess, "preprocess", PREPROCESS_KEYS);
  const calibration = part(card.calibration, "calibration", CALIBRATION_KEYS);
  const points = part(card.operating_points, "operating_points", "low high fixed_on");
  const prior = part(calibration.prior, "calibration.prior", "normal benign malignant");
  const training = part(card.training, "training");
  const level = part(card.finding_level, "finding_level");
  const shares = ["normal", "benign", "malignant"].map((name) => number(prior, name)) as [
    number,
    number,
    number,
  ];
  const sum = shares.reduce((a, b) => a + b, 0);
  if (shares.some((share) => !(share > 0 && share < 1)) || Math.abs(sum - 1) > 1e-6) {
    throw bad("the prior is not a distribution");
  }
  const low = threshold(points.low, "low");
  const high = threshold(points.high, "high");
  if (low > high) throw bad("the lower threshold lies above the higher one");
  const found: Card = {
    name: textOf(card, "name"),
    version: textOf(card, "version"),
    notice: textOf(card, "notice"),
    graphFile: textOf(card, "graph_file"),
    graphSha256: textOf(card, "graph_sha256"),
    preprocess: preprocessOf(preprocess),
    prior: shares,
    age: calibration.age === null || calibration.age === undefined ? null : ageOf(calibration.age),
    low,
    high,
    findingLevel: number(level, "level"),
    gate: card.gate === null || card.gate === undefined ? null : gateOf(card.gate),
    datasets: list(training.datasets).map((one) => textOf(part(one, "dataset"), "name")),
    weaknesses: list(card.weaknesses).map(String),
  };
  if (!/^[0-9a-f]{64}$/.test(found.graphSha256)) throw bad("graph_sha256 is not a digest");
  if (!/^[A-Za-z0-9_-][A-Za-z0-9._-]*\.onnx$/.test(found.graphFile)) throw bad("graph_file");
  if (!(found.findingLevel > 0)) throw bad("finding_level.level must be above 0");
  return found;
}

function preprocessOf(given: Fields): PreprocessConfig {
  if (given.denoise !== "none") throw unported("preprocess.denoise", given.denoise);
  if (given.clahe_clip !== 0) throw unported("preprocess.clahe_clip", given.clahe_clip);
  if (given.pectoral !== "keep") throw unported("preprocess.pectoral", given.pectoral);
  if (![undefined, 1, 2].includes(given.version as number | undefined)) {
    throw unported("preprocess.version", given.version);
  }
  const config = {
    version: (given.version ?? 1) as 1 | 2,
    height: number(given, "height"),
    width: number(given, "width"),
    low_percentile: number(given, "low_percentile"),
    high_percentile: number(given, "high_percentile"),
  };
  if ([config.height, config.width].some((n) => n % 32 || n < 64 || n > 4096)) {
    throw bad("preprocess.height and width must be multiples of 32");
  }
  if (!(config.low_percentile >= 0 && config.low_percentile < 50)) throw bad("low_percentile");
  if (!(config.high_percentile > 50 && config.high_percentile <= 100)) throw bad("high_percentile");
  return config;
}

function ageOf(raw: unknown): AgePrior {
  const keys = "log_odds_per_decade low high centre_years youngest_years oldest_years fitted_on n";
  const age = part(raw, "calibration.age", keys);
  return {
    log_odds_per_decade: number(age, "log_odds_per_decade"),
    centre_years: number(age, "centre_years"),
    youngest_years: number(age, "youngest_years"),
    oldest_years: number(age, "oldest_years"),
  };
}

function gateOf(raw: unknown): GatePoint {
  const gate = part(raw, "gate", "version doubt_at refuse_at fixed_on");
  const point = {
    version: number(gate, "version"),
    doubt_at: number(gate, "doubt_at"),
    refuse_at: number(gate, "refuse_at"),
  };
  if (!(point.doubt_at > 0 && point.doubt_at <= point.refuse_at && point.refuse_at <= 1)) {
    throw bad("the limits of the gate are impossible");
  }
  return point;
}

function threshold(raw: unknown, name: string): number {
  const point = part(raw, `operating_points.${name}`);
  if (point.unit !== undefined && point.unit !== "exam") throw unported(`${name}.unit`, point.unit);
  const value = number(point, "threshold");
  if (!(value >= 0 && value <= 1)) throw bad(`operating_points.${name}.threshold`);
  return value;
}

type Fields = Readonly<Record<string, unknown>>;

/** An object; with `keys`, it may have no others: an unknown key may be an unported step. */
function part(raw: unknown, where: string, keys?: string): Fields {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw))
    throw bad(`${where} is missing`);
  const known = keys?.split(" ");
  const unknown = Object.keys(raw).find((key) => known && !known.includes(key));
  if (unknown !== undefined) throw unported(`${where}.${unknown}`, "a key that is not known");
  return raw as Fields;
}

function list(raw: unknown): unknown[] {
  if (!Array.isArray(raw) || raw.length === 0) throw bad("a list is missing");
  return raw;
}

function number(fields: Fields, key: string): number {
  const value = fields[key];
  if (typeof value !== "number" || !Number.isFinite(value)) throw bad(`${key} is not a number`);
  return value;
}

function textOf(fields: Fields, key: string): string {
  const value = fields[key];
  if (typeof value !== "string" || value === "") throw bad(`${key} is not a text`);
  return value;
}

function bad(why: string): Refusal {
  return new Refusal("BadModelPackage", `the card cannot be used: ${why}`, { source: "card.json" });
}

function unported(keyword: string, value: unknown): Refusal {
  const text = `${keyword} is ${String(value)}, which this device cannot do`;
  return new Refusal("ContractMismatch", text, {
    source: "card.json",
    keyword,
    remedy:
      "Have the exam analysed by the server, or use a model whose steps are all on the device",
  });
}
