/**
 * The members of a zip on the device. Each is unpacked when it is needed and let go again; names are
 * shown, and never used as paths. Limits and reasons are those of `mammolens.serve.uploads.members`.
 *
 * Source: PKWARE APPNOTE.TXT 6.3.10, 4.3.
 */

import { Refusal } from "../types";
import type { DeviceFile } from "./files";

const END = 0x06054b50;
const ENTRY = 0x02014b50;
const LOCAL = 0x04034b50;
const END_BYTES = 22;
const COMMENT_BYTES = 0xffff;
const MOST_FILES = 5000;
const MOST_DIRECTORY = 32 << 20;
const MOST_BYTES = 512 << 20;
/** Beyond this size, deflate of pictures does not reach the ratio: it is a bomb. */
const FREE_BYTES = 64 << 20;
const MOST_RATIO = 200;
const ENCRYPTED = 1;
const UTF8 = 1 << 11;
const STORED = 0;
const DEFLATED = 8;
/** What file systems leave in archives. */
const LEFT_OUT = /(^|\/)(\.[^/]*|Thumbs\.db|desktop\.ini|DICOMDIR|__MACOSX\/.*)$/i;
const REMEDY = { remedy: "Unpack it, and choose its files" };

interface Entry {
  readonly name: string;
  readonly flags: number;
  readonly method: number;
  readonly packed: number;
  readonly size: number;
  readonly at: number;
}

/** One file, or the files in it if it is a zip. A damaged archive is refused when it is read. */
export async function unpacked(name: string, file: Blob): Promise<readonly DeviceFile[]> {
  try {
    return await opened(name, file);
  } catch (error) {
    return [{ name, bytes: () => Promise.reject(error) }];
  }
}

async function opened(name: string, file: Blob): Promise<readonly DeviceFile[]> {
  const head = new DataView(await bytesOf(file.slice(0, 4), name));
  const isZip = head.byteLength === 4 && [LOCAL, END].includes(head.getUint32(0, true));
  if (!isZip) return [{ name, bytes: async () => new Uint8Array(await bytesOf(file, name)) }];
  const entries = await directoryOf(file, name);
  return entries
    .filter((entry) => !entry.name.endsWith("/") && !LEFT_OUT.test(entry.name))
    .map((entry) => {
      const inside = `${name}/${entry.name}`;
      return { name: inside, bytes: () => memberBytes(file, entry, inside) };
    });
}

async function directoryOf(file: Blob, name: string): Promise<readonly Entry[]> {
  const start = Math.max(0, file.size - END_BYTES - COMMENT_BYTES);
  const tail = new DataView(await bytesOf(file.slice(start), name));
  let end = tail.byteLength - END_BYTES;
  while (end >= 0 && tail.getUint32(end, true) !== END) end -= 1;
  if (end < 0) throw damaged(name, "its directory is missing");
  const count = tail.getUint16(end + 10, true);
  const size = tail.getUint32(end + 12, true);
  const at = tail.getUint32(end + 16, true);
  if (count === 0xffff || at === 0xffffffff) throw unsupported(name, "it is a ZIP64 archive");
  if (count > MOST_FILES) throw unsupported(name, `it has more than ${MOST_FILES} files`);
  if (size > MOST_DIRECTORY || at + size > file.size)
    throw damaged(name, "its directory is cut off");
  const bytes = await bytesOf(file.slice(at, at + size), name);
  return readEntries(new DataView(bytes), count, name);
}

function readEntries(view: DataView<ArrayBuffer>, count: number, name: string): readonly Entry[] {
  const entries: Entry[] = [];
  let at = 0;
  for (let n = 0; n < count; n += 1) {
    if (at + 46 > view.byteLength || view.getUint32(at, true) !== ENTRY) {
      throw damaged(name, "its directory cannot be read");
    }
    const flags = view.getUint16(at + 8, true);
    const length = view.getUint16(at + 28, true);
    const text = new Uint8Array(view.buffer, at + 46, Math.min(length, view.byteLength - at - 46));
    // Without the flag the names are of an old code page; its letters beyond ASCII do not matter here.
    const decoder = new TextDecoder(flags & UTF8 ? "utf-8" : "latin1");
    entries.push({
      name: decoder.decode(text).replaceAll("\\", "/"),
      flags,
      method: view.getUint16(at + 10, true),
      packed: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
      at: view.getUint32(at + 42, true),
    });
    at += 46 + length + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  // A member more than is stated would be a picture that nobody misses.
  if (at + 4 <= view.byteLength && view.getUint32(at, true) === ENTRY) {
    throw damaged(name, "its directory has more files than it states");
  }
  return entries;
}

/** @throws Refusal */
async function memberBytes(file: Blob, entry: Entry, name: string): Promise<Uint8Array> {
  const { flags, method, packed, size } = entry;
  if (flags & ENCRYPTED) throw unsupported(name, "it is encrypted in its archive");
  if (method !== STORED && method !== DEFLATED) {
    throw unsupported(name, `it is packed by method ${method}, which is not read here`);
  }
  if (size > MOST_BYTES) throw unsupported(name, `it is larger than ${MOST_BYTES >> 20} MiB`);
  if (size > FREE_BYTES && size > MOST_RATIO * packed) {
    throw unsupported(name, "its archive unpacks to far more than a picture can");
  }
  const head = new DataView(await bytesOf(file.slice(entry.at, entry.at + 30), name));
  if (head.byteLength < 30 || head.getUint32(0, true) !== LOCAL) {
    throw damaged(name, "its place in the archive is wrong");
  }
  const begin = entry.at + 30 + head.getUint16(26, true) + head.getUint16(28, true);
  const content = file.slice(begin, begin + packed);
  if (content.size !== packed) throw damaged(name, "its archive is cut off");
  if (method === STORED) return new Uint8Array(await bytesOf(content, name));
  return await inflated(content, size, name);
}

/** Stops at the size that the directory states: no member may become larger. */
async function inflated(content: Blob, size: number, name: string): Promise<Uint8Array> {
  const out = new Uint8Array(size);
  let filled = 0;
  const reader = content.stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (filled + value.length > size) throw damaged(name, "it is larger than its archive states");
      out.set(value, filled);
      filled += value.length;
    }
  } catch (error) {
    await reader.cancel().catch(() => undefined);
    throw error instanceof Refusal ? error : damaged(name, "it cannot be unpacked");
  }
  if (filled !== size) throw damaged(name, "it is smaller than its archive states");
  return out;
}

/** @throws Refusal if the device does not give the file, as when it was moved meanwhile */
async function bytesOf(file: Blob, name: string): Promise<ArrayBuffer> {
  try {
    return await file.arrayBuffer();
  } catch {
    throw new Refusal("NotAnImage", "this device does not give the file", {
      source: name,
      remedy: "Choose it again; it may have been moved or deleted",
    });
  }
}

function damaged(source: string, cause: string): Refusal {
  return new Refusal("NotAnImage", `the archive is damaged: ${cause}`, {
    source,
    remedy: "Copy or export it again",
  });
}

function unsupported(source: string, cause: string): Refusal {
  return new Refusal("UnsupportedImage", cause, { source, ...REMEDY });
}
