/** A QR code as the path of an SVG, drawn here: the secret in it goes to no other program. */

import { encode } from "uqr";

export interface QrPath {
  readonly size: number;
  readonly path: string;
}

/** @returns dark modules as squares of side 1, with the quiet zone of four that the code needs */
export function qrPath(text: string): QrPath {
  const { data, size } = encode(text, { ecc: "M", border: 4 });
  const squares: string[] = [];
  data.forEach((row, y) => {
    row.forEach((isDark, x) => {
      if (isDark) squares.push(`M${x} ${y}h1v1h-1z`);
    });
  });
  return { size, path: squares.join("") };
}

/** `ABCDEFGH` → `ABCD EFGH`, easier to type. */
export function grouped(secret: string): string {
  return secret.replace(/(.{4})(?=.)/g, "$1 ");
}
