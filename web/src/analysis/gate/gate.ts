/** The input gate: is the picture a mammogram of one whole breast? As `mammolens.quality.gate`. */

import coefficients from "../../../../src/mammolens/quality/gate.json";
import type { PreparedView } from "../picture/prepare";
import { softmax } from "../score/softmax";
import { type Caution, doubt, Refusal } from "../types";
import { measure } from "./features";

/** The limits of suspicion, for one version of the coefficients. */
export interface GatePoint {
  readonly version: number;
  readonly doubt_at: number;
  readonly refuse_at: number;
}

const SECOND_BREAST = 0.5;
const PARTS = ["part", "several", "turned"];
const OTHER = "Send only mammograms; if this is one, have it read without mammolens and report it";
const DESCRIPTIONS: Readonly<Record<string, readonly [what: string, remedy: string]>> = {
  body: ["a radiograph of another part of the body", OTHER],
  empty: ["an empty exposure or a test pattern", "Look at the image, and expose it again"],
  part: ["a part of a breast", "Send the whole view; mark a lesion with --region"],
  phantom: ["a phantom, a mask or a drawing", OTHER],
  photo: ["a photograph", OTHER],
  recombined: ["a recombined image of a contrast exam", "Send the low-energy image of this view"],
  several: ["several breasts in one picture", "Send every view as a separate image"],
  slice: ["a slice or an ultrasound image", OTHER],
  specimen: ["a tissue specimen", "Leave specimen radiographs out of the exam"],
  text: [
    "a document or a screenshot with text",
    "Send the image from the modality or archive, not a screenshot",
  ],
  turned: ["a mammogram on its side", "Send the image upright, chest wall left or right"],
};

export interface Verdict {
  readonly outcome: "passed" | "doubted" | "refused";
  readonly look: string;
  readonly suspicion: number;
}

/** Empty if the picture passed, a doubt if it may be something else. @throws Refusal if it is */
export function admit(view: PreparedView, point: GatePoint | null, source: string): Caution[] {
  const { outcome, look, suspicion } = judge(view, point);
  if (outcome === "passed") return [];
  const [what, remedy] = DESCRIPTIONS[look];
  const text =
    `the picture looks like ${what}, not like one whole breast ` +
    `(suspicion ${suspicion.toFixed(2)})`;
  if (outcome === "doubted") return [doubt("not_validated", `${text}; the score may mean nothing`)];
  const name = PARTS.includes(look) ? "NotAWholeView" : "NotAMammogram";
  throw new Refusal(name, text, { source, remedy });
}

export function judge(view: PreparedView, given: GatePoint | null): Verdict {
  const builtIn: GatePoint = coefficients.point;
  const point = given === null || given.version !== builtIn.version ? builtIn : given;
  const values = measure(view.overview);
  const shares = sharesOf(values);
  const { kinds } = coefficients;
  const mammogram = kinds.indexOf("mammogram");
  let suspicion = Math.min(1 - shares[mammogram], 0.9999);
  let best = -1;
  for (let n = 0; n < kinds.length; n++) {
    if (n !== mammogram && (best < 0 || shares[n] > shares[best])) best = n;
  }
  let look = kinds[best];
  if (values.second >= SECOND_BREAST) {
    look = "several";
    suspicion = Math.max(suspicion, builtIn.doubt_at);
  }
  // A measurement that is not a number proves nothing: never passed.
  if (!Number.isFinite(suspicion)) return { outcome: "refused", look, suspicion: 0.9999 };
  if (suspicion < point.doubt_at) return { outcome: "passed", look: "mammogram", suspicion };
  return { outcome: suspicion >= point.refuse_at ? "refused" : "doubted", look, suspicion };
}

function sharesOf(values: Readonly<Record<string, number>>): number[] {
  const { features, centre, scale, high, weights, biases } = coefficients;
  const clip = (value: number, low: number, top: number) => Math.min(Math.max(value, low), top);
  const standard = features.map((name, n) => clip((values[name] - centre[n]) / scale[n], -8, 8));
  const excess = features.map((name, n) => clip((values[name] - high[n]) / scale[n], 0, 4));
  const terms = [...standard, ...standard.map((v) => v ** 2 / 8), ...excess];
  return softmax(
    weights.map((row, kind) =>
      row.reduce((sum, weight, n) => sum + weight * terms[n], biases[kind]),
    ),
  );
}
