/** The one part of a WADO-RS answer: multipart/related (PS3.18 8.6.1.2) → bytes and syntax. */

export interface FramePart {
  readonly bytes: Uint8Array;
  /** UID of the transfer syntax; null if the answer does not say. */
  readonly transferSyntax: string | null;
}

const CR = 13;
const LF = 10;

/**
 * Unwraps the first part of an answer. An answer that is not multipart is that part itself.
 *
 * @param contentType the answer's own Content-Type
 * @throws if the envelope is broken
 */
export function unwrapPart(body: Uint8Array, contentType: string): FramePart {
  if (!/^multipart\//i.test(contentType.trim())) {
    return { bytes: body, transferSyntax: syntaxOf(contentType) };
  }
  const boundary = parameter(contentType, "boundary");
  if (boundary === null) {
    throw new Error("The frame's Content-Type is multipart but names no boundary");
  }
  const delimiter = new TextEncoder().encode(`--${boundary}`);
  const opening = find(body, delimiter, 0);
  const head = opening < 0 ? -1 : headEnd(body, opening + delimiter.length);
  if (head < 0) throw new Error("The frame's multipart answer has no part");
  const header = new TextDecoder().decode(body.subarray(opening + delimiter.length, head));
  const type = /^content-type:(.*)$/im.exec(header)?.[1] ?? "";
  const length = Number(/^content-length:\s*(\d+)/im.exec(header)?.[1] ?? Number.NaN);
  const start = head + 4;
  const end = Number.isNaN(length) ? lastDelimiter(body, delimiter, start) : start + length;
  if (end < start || end > body.length) throw new Error("The frame's multipart answer is cut off");
  return { bytes: body.subarray(start, end), transferSyntax: syntaxOf(type) };
}

function syntaxOf(contentType: string): string | null {
  return parameter(contentType, "transfer-syntax");
}

function parameter(contentType: string, name: string): string | null {
  const match = new RegExp(`;\\s*${name}=(?:"([^"]*)"|([^;\\s]*))`, "i").exec(contentType);
  return match ? (match[1] ?? match[2] ?? null) : null;
}

/** Where the blank line that ends the part's header begins. */
function headEnd(body: Uint8Array, from: number): number {
  for (let i = from; i + 3 < body.length; i++) {
    if (body[i] === CR && body[i + 1] === LF && body[i + 2] === CR && body[i + 3] === LF) return i;
  }
  return -1;
}

/** The end of the part: the line break before the closing delimiter, looked for from the end. */
function lastDelimiter(body: Uint8Array, delimiter: Uint8Array, start: number): number {
  for (let i = body.length - delimiter.length; i > start; i--) {
    if (body[i] === delimiter[0] && matches(body, delimiter, i)) {
      return body[i - 2] === CR && body[i - 1] === LF ? i - 2 : i;
    }
  }
  return -1;
}

function find(body: Uint8Array, pattern: Uint8Array, from: number): number {
  for (let i = from; i <= body.length - pattern.length; i++) {
    if (body[i] === pattern[0] && matches(body, pattern, i)) return i;
  }
  return -1;
}

function matches(body: Uint8Array, pattern: Uint8Array, at: number): boolean {
  return pattern.every((byte, i) => body[at + i] === byte);
}
