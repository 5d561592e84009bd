/** Files that wait on the device: cut into encrypted pieces, sent from where the server has them. */

import type { UploadFacts, UploadsApi } from "../api/uploads";
import { newId, type UploadItem } from "./queue_items";
import type { OpenVault } from "./vault";

/** Small enough that a weak line gets a piece through between two cuts. */
export const PIECE_BYTES = 1 << 18;

const pieceName = (id: string, n: number) => `${id} ${n}`;

/**
 * Keeps a file. Its item is there before its pieces, so that a file that was kept in part, by a tab
 * that was closed, is named to the person; it waits to be sent after its last piece.
 */
export async function keepFile(
  vault: OpenVault,
  file: Blob,
  name: string,
  site: number | null,
  keep: (item: UploadItem) => Promise<void>,
  facts: UploadFacts = {},
): Promise<UploadItem> {
  const item: UploadItem = {
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
  await keep(item);
  for (let n = 0; n < item.pieces; n += 1) {
    const part = file.slice(n * PIECE_BYTES, (n + 1) * PIECE_BYTES);
    await vault.putBytes("pieces", pieceName(item.id, n), new Uint8Array(await part.arrayBuffer()));
  }
  const whole: UploadItem = { ...item, state: "waiting" };
  await keep(whole);
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
  let offset = await uploads.offsetOf(upload);
  while (offset < now.bytes) {
    const n = Math.floor(offset / PIECE_BYTES);
    const piece = await vault.getBytes("pieces", pieceName(now.id, n));
    if (piece === undefined) throw new Error("a piece of the file is missing on this device");
    const rest = new Blob([piece.subarray(offset - n * PIECE_BYTES)]);
    const reached = await uploads.sendPiece(upload, rest, offset);
    if (!(reached > offset)) throw new Error("the offset does not grow");
    offset = reached;
    now = { ...now, sent: offset };
    await sender.keep(now);
  }
}
