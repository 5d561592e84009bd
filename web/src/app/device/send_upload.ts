/** Files that wait on the device: cut into encrypted pieces, sent from where the server has them. */

import type { UploadsApi } from "../api/uploads";
import { newId, type UploadItem } from "./queue_items";
import type { OpenVault } from "./vault";

/** Small enough that a weak line gets a piece through between two cuts. */
export const PIECE_BYTES = 1 << 18;

const pieceName = (id: string, n: number) => `${id} ${n}`;

/** Keeps a file; the item is made after its last piece, so a file that is kept is whole. */
export async function keepFile(
  vault: OpenVault,
  file: Blob,
  name: string,
  site: number | null,
): Promise<UploadItem> {
  const id = newId();
  const pieces = Math.ceil(file.size / PIECE_BYTES);
  try {
    for (let n = 0; n < pieces; n += 1) {
      const part = file.slice(n * PIECE_BYTES, (n + 1) * PIECE_BYTES);
      await vault.putBytes("pieces", pieceName(id, n), new Uint8Array(await part.arrayBuffer()));
    }
  } catch (error) {
    await forgetFile(vault, { id, pieces });
    throw error;
  }
  return {
    kind: "upload",
    id,
    createdAt: Date.now(),
    state: "waiting",
    code: null,
    name,
    site,
    bytes: file.size,
    pieces,
    key: newId(),
    url: null,
    sent: 0,
  };
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
    const { url } = await uploads.begin(now, now.name, now.site, now.key);
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
