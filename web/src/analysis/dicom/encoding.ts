/** How a data set is encoded, by its first bytes. */

export const IMPLICIT = "1.2.840.10008.1.2";
export const EXPLICIT = "1.2.840.10008.1.2.1";
export const BIG_ENDIAN = "1.2.840.10008.1.2.2";
export const DEFLATED = "1.2.840.10008.1.2.1.99";

/** Whether the first element of a data set or item has an explicit VR. */
export function isExplicit(bytes: Uint8Array, at: number, end: number): boolean {
  if (end - at < 6) return true;
  const [a, b] = [bytes[at + 4], bytes[at + 5]];
  return a > 0x40 && a < 0x5b && b > 0x40 && b < 0x5b;
}

/** The real transfer syntax: the first bytes of the data set decide if they can. */
export function realSyntax(head: Uint8Array, declared: string | null): string {
  const encoding = encodingOf(head);
  if (declared === null) {
    return encoding ?? (head.length >= 6 && isExplicit(head, 0, head.length) ? EXPLICIT : IMPLICIT);
  }
  if (encoding === null) return declared;
  if (encoding === BIG_ENDIAN || declared === BIG_ENDIAN || declared === DEFLATED) return encoding;
  return declared === IMPLICIT || declared === EXPLICIT ? encoding : declared;
}

function encodingOf(head: Uint8Array): string | null {
  if (head.length < 8) return null;
  const explicit = isExplicit(head, 0, head.length);
  if (head[0] === 0 && head[1] > 0 && head[1] < 0x30 && explicit) return BIG_ENDIAN;
  if (head[0] > 0 && head[0] < 0x30 && head[1] === 0) return explicit ? EXPLICIT : IMPLICIT;
  return null;
}
