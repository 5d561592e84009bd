/** Transfer syntaxes and the compression that they name. */

export type Codec = "uncompressed" | "RLE" | "JPEG" | "JPEG-LS" | "JPEG 2000";

const FAMILY = "1.2.840.10008.1.2";
const CODECS: Readonly<Record<string, Codec>> = {
  [FAMILY]: "uncompressed",
  [`${FAMILY}.1`]: "uncompressed",
  [`${FAMILY}.5`]: "RLE",
  ...Object.fromEntries([50, 51, 57, 70].map((n) => [`${FAMILY}.4.${n}`, "JPEG"])),
  ...Object.fromEntries([80, 81].map((n) => [`${FAMILY}.4.${n}`, "JPEG-LS"])),
  ...Object.fromEntries([90, 91, 201, 202, 203].map((n) => [`${FAMILY}.4.${n}`, "JPEG 2000"])),
};

export const READABLE_SYNTAXES: ReadonlySet<string> = new Set(Object.keys(CODECS));

export function declaredCodec(syntax: string): Codec {
  return CODECS[syntax];
}
