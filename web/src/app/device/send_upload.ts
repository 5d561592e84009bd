/** Files that wait on the device: cut into encrypted pieces, sent from where the server has them. */

import { Problem } from "../api/problem";
import { sendRest, type UploadFacts, type UploadsApi } from "../api/uploads";
import { newId, type UploadItem } from "./queue_items";
import type { OpenVault } from "./vault";

/** One record on the device. How much goes over the line at once is another matter (`api/pace`). */
export const PIECE_BYTES = 1 << 18;

const pieceName = (id: string, n: number) => `${id} ${n}`;

/**
 * The item of a file, for the queue. It is kept before anything is done with the file, so that one
 * that was kept in part, by a tab that was closed, is named to the person.
 */
export function fileItem(
  file: Blob,
  name: string,
  site: number | null,
  facts: UploadFacts = {},
): UploadItem {
  return {
    kind: "upload",
    id: newId(),
    createdAt: Date.now(),
    state: "keeping",
    code: null,
    name,
    site,
    bytes: file.size,
    pieces: Math.ceil(file.size / PIECE_BYTES),
    key: newId(),
    url: null,
    sent: 0,
    facts,
  };
}

/**
 * Keeps the bytes of a file, or of a smaller form of it; it waits to be sent after its last piece.
 * Where the device has no room, what was kept of it is deleted again.
 */
export async function keepFile(
  vault: OpenVault,
  item: UploadItem,
  file: Blob,
  keep: (item: UploadItem) => Promise<void>,
): Promise<UploadItem> {
  const pieces = Math.ceil(file.size / PIECE_BYTES);
  const whole: UploadItem = { ...item, bytes: file.size, pieces, state: "waiting" };
  try {
    for (let n = 0; n < pieces; n += 1) {
      const part = file.slice(n * PIECE_BYTES, (n + 1) * PIECE_BYTES);
      const bytes = new Uint8Array(await part.arrayBuffer());
      await vault.putBytes("pieces", pieceName(item.id, n), bytes);
    }
    await keep(whole);
  } catch (error) {
    await forgetFile(vault, whole).catch(() => undefined);
    throw error;
  }
  return whole;
}

export async function forgetFile(
  vault: OpenVault,
  { id, pieces }: Pick<UploadItem, "id" | "pieces">,
): Promise<void> {
  for (let n = 0; n < pieces; n += 1) await vault.remove("pieces", pieceName(id, n));
}

export interface UploadSender {
  readonly uploads: UploadsApi;
  readonly vault: OpenVault;
  keep(item: UploadItem): Promise<void>;
}

/** Sends what the server does not have yet. @throws Problem, with the place it has come to kept */
export async function sendUpload(item: UploadItem, sender: UploadSender): Promise<void> {
  const { uploads, vault } = sender;
  let now = item;
  if (now.url === null) {
    const { url } = await uploads.begin(now, now.name, now.site, now.key, now.facts);
    now = { ...now, url };
    await sender.keep(now);
  }
  const upload = { url: now.url as string };
  const source = {
    bytes: now.bytes,
    part: (from: number, to: number) => readPart(vault, now.id, from, to),
  };
  await sendRest(uploads, upload, source, await uploads.offsetOf(upload), async (sent) => {
    now = { ...now, sent };
    await sender.keep(now);
  });
}

/** Bytes of a kept file. @throws Problem if the browser has deleted some of them */
async function readPart(vault: OpenVault, id: string, from: number, to: number): Promise<Blob> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for (let n = Math.floor(from / PIECE_BYTES); n * PIECE_BYTES < to; n += 1) {
    const piece = await vault.getBytes("pieces", pieceName(id, n));
    if (piece === undefined) throw new Problem(410, "piece_missing", "a part of the file is gone");
    const begins = n * PIECE_BYTES;
    parts.push(piece.subarray(Math.max(from - begins, 0), to - begins));
  }
  return new Blob(parts);
}
