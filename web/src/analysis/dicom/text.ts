/**
 * Texts in the declared character set; the part of `mammolens.images.dicom.charsets` that a browser
 * can do. A text that Python would decode by further rules is marked `unported`.
 */

import { latin1 } from "./data_set";

export type TextUse = "words" | "name" | "identifier";

export interface Decoded {
  readonly text: string;
  /** Name of the set that was used against the declared one. */
  readonly charset: string | null;
  readonly isSound: boolean;
  readonly unported: boolean;
}

const LABELS: Readonly<Record<string, string>> = {
  "ISO_IR 100": "latin1",
  "ISO_IR 101": "iso-8859-2",
  "ISO_IR 109": "iso-8859-3",
  "ISO_IR 110": "iso-8859-4",
  "ISO_IR 126": "iso-8859-7",
  "ISO_IR 127": "iso-8859-6",
  "ISO_IR 138": "iso-8859-8",
  "ISO_IR 144": "iso-8859-5",
  "ISO_IR 192": "utf-8",
  GB18030: "gb18030",
  GBK: "gbk",
};
const MULTI_BYTE = new Set(["utf-8", "gb18030", "gbk"]);
const ASCII = new Set(["", "ISO_IR 6", "ISO 2022 IR 6", "ASCII", "US-ASCII"]);

/** The set of Specific Character Set: "" is ASCII, null is one that is not ported. */
export function charsetOf(declared: readonly string[]): string | null {
  const [first = "", ...more] = declared.map((value) =>
    value.trim().toUpperCase().replaceAll("ISO-IR", "ISO_IR"),
  );
  if (ASCII.has(first)) return more.length ? null : "";
  return LABELS[first] ?? null;
}

/** Decodes one text without its padding. */
export function decodeText(raw: Uint8Array, charset: string | null, use: TextUse): Decoded {
  if (raw.every((byte) => byte < 0x80 && byte !== 0x1b)) return sound(latin1(raw));
  if (raw.includes(0x1b) || charset === null) return { ...escaped(raw), unported: true };
  const declared = charset === "" ? null : strictly(raw, charset);
  if (declared === null || !MULTI_BYTE.has(charset)) {
    const utf8 = strictly(raw, "utf-8");
    if (utf8 !== null && isLettered(utf8)) return { ...sound(utf8), charset: "UTF-8" };
  }
  if (declared !== null && !(charset === "latin1" && mayBeCyrillic(raw))) return sound(declared);
  if (use === "words") return sound(new TextDecoder("windows-1252").decode(raw));
  return { ...escaped(raw), unported: true };
}

function sound(text: string): Decoded {
  return { text, charset: null, isSound: true, unported: false };
}

function escaped(raw: Uint8Array): Decoded {
  const letters = Array.from(raw, (byte) =>
    byte >= 0x20 && byte < 0x7f
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, "0")}`,
  );
  return { text: letters.join(""), charset: null, isSound: false, unported: false };
}

function strictly(raw: Uint8Array, charset: string): string | null {
  if (charset === "latin1") return latin1(raw);
  try {
    const text = new TextDecoder(charset, { fatal: true, ignoreBOM: true }).decode(raw);
    return text.includes("\ufffd") ? null : text;
  } catch {
    return null;
  }
}

function isLettered(text: string): boolean {
  return !text.includes("\x1b") && /^(?:[\0-\x7f]|[\p{L}\p{N}\p{M}]|[´’‘·・ー])*$/u.test(text);
}

/** Every word with high bytes looks like one in Windows-1251. */
function mayBeCyrillic(raw: Uint8Array): boolean {
  const words = latin1(raw)
    .match(/[A-Za-z\x80-\xff]+/g)
    ?.filter((w) => /[\x80-\xff]/.test(w));
  if (!words?.length) return false;
  const shaped = /^[\xc0-\xdf\xa8](?:[\xe0-\xff\xb8]{2,}|[\xc0-\xdf\xa8]{2,})$/;
  const aOrYa = /[\xe0\xff]|(?<![\xe0-\xff])[\xc0\xdf](?![\xe0-\xff])/;
  return words.every((word) => shaped.test(word)) && aOrYa.test(latin1(raw));
}
