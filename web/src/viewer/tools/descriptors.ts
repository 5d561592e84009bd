/**
 * BI-RADS descriptors of a mark (ACR BI-RADS Atlas, 5th edition, mammography lexicon).
 * Codes only; their words are in the message files under `birads.<code>`.
 */

export type FindingType = "mass" | "calcification" | "asymmetry" | "distortion";

export interface DescriptorGroup {
  /** Name of the property, such as "shape". */
  readonly id: string;
  readonly values: readonly string[];
}

export const FINDING_TYPES: readonly FindingType[] = [
  "mass",
  "calcification",
  "asymmetry",
  "distortion",
];

/** What can be said about each type. Every answer may stay open: unknown is not a choice made. */
export const DESCRIPTORS: Readonly<Record<FindingType, readonly DescriptorGroup[]>> = {
  mass: [
    { id: "shape", values: ["oval", "round", "irregular"] },
    {
      id: "margin",
      values: ["circumscribed", "obscured", "microlobulated", "indistinct", "spiculated"],
    },
    { id: "density", values: ["high", "equal", "low", "fat-containing"] },
  ],
  calcification: [
    {
      id: "morphology",
      values: [
        "typically-benign",
        "amorphous",
        "coarse-heterogeneous",
        "fine-pleomorphic",
        "fine-linear",
      ],
    },
    { id: "distribution", values: ["diffuse", "regional", "grouped", "linear", "segmental"] },
  ],
  asymmetry: [{ id: "kind", values: ["asymmetry", "global", "focal", "developing"] }],
  distortion: [{ id: "cause", values: ["no-known-cause", "scar"] }],
};

/** A finding type with the answers given so far, by group. */
export interface Descriptors {
  readonly type: FindingType;
  readonly answers: Readonly<Record<string, string>>;
}

/** Another type keeps no answers: they belong to the old one. */
export function withType(type: FindingType): Descriptors {
  return { type, answers: {} };
}

/** The same finding with one answer changed; null takes the answer back. */
export function withAnswer(from: Descriptors, group: string, value: string | null): Descriptors {
  const allowed = DESCRIPTORS[from.type].find((one) => one.id === group)?.values ?? [];
  if (value !== null && !allowed.includes(value)) {
    throw new Error(`"${value}" is not a ${group} of a ${from.type}`);
  }
  const { [group]: _, ...others } = from.answers;
  return { type: from.type, answers: value === null ? others : { ...others, [group]: value } };
}
