/** The page's side of making films smaller before they are sent. */

import { MAX_FILE_BYTES, type Recompressed, type Why } from "./outcome";

export interface Smaller {
  /** What is to be sent: the smaller film, or the file itself. */
  readonly file: Blob;
  /** Why the file is sent as it is; null: it became smaller. */
  readonly left: Why | null;
}

/** Longer than the largest film takes on a slow phone; a worker that hangs must hold up no file. */
const MOST_MS = 180_000;
const PART_10 = 132;

/** Makes a film smaller without loss, in a worker. Never fails: then the file is what it was. */
export async function makeSmaller(file: Blob): Promise<Smaller> {
  if (file.size > MAX_FILE_BYTES) return { file, left: "large" };
  const head = await file
    .slice(0, PART_10)
    .text()
    .catch(() => "");
  if (!head.endsWith("DICM")) return { file, left: "odd" };
  const made = await recompressed(file);
  if (made.kind === "left") return { file, left: made.why };
  return { file: new Blob([made.bytes], { type: file.type }), left: null };
}

function recompressed(file: Blob): Promise<Recompressed> {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  const { promise, resolve } = Promise.withResolvers<Recompressed>();
  const failed = () => resolve({ kind: "left", why: "failed" });
  const timer = setTimeout(failed, MOST_MS);
  worker.onmessage = ({ data }: MessageEvent<Recompressed>) => resolve(data);
  worker.onerror = failed;
  worker.postMessage(file);
  return promise.finally(() => {
    clearTimeout(timer);
    worker.terminate();
  });
}
