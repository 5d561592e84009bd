/** The worker that makes one file smaller. It ends with it, so that its memory is given back. */

import { loadCodec } from "../analysis/browser_codecs";
import { recompress } from "./recompress";

self.onmessage = async ({ data }: MessageEvent<Blob>) => {
  try {
    const made = await recompress(new Uint8Array(await data.arrayBuffer()), loadCodec);
    postMessage(made, { transfer: made.kind === "smaller" ? [made.bytes.buffer] : [] });
  } catch {
    postMessage({ kind: "left", why: "failed" });
  }
};
