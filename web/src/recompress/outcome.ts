/** What becomes of a file that may be made smaller. */

/**
 * Why a file is sent as it is. `odd`: it is not a DICOM file with one grey film in a form that is
 * known here; `compressed`: it is in a form that this would not make smaller; `changed`: the new
 * file gave other pixels (a fault of a decoder, which must never be hidden).
 */
export type Why = "large" | "odd" | "compressed" | "not_smaller" | "changed" | "failed";

export type Recompressed =
  | { readonly kind: "smaller"; readonly bytes: Uint8Array<ArrayBuffer>; readonly digest: string }
  | { readonly kind: "left"; readonly why: Why };

/** Larger files are not even read: `recompress.ts` says what a picture may take. */
export const MAX_FILE_BYTES = 80 << 20;
