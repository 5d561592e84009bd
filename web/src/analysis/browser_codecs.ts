/** Codecs as the browser loads them: static files of the application. */

import type { CodecName } from "./pixels/codecs";

type Create = (options: object) => Promise<unknown>;
type Part = Promise<readonly [{ default: Create }, { default: string }]>;

const PARTS: Readonly<Record<Exclude<CodecName, "lossless">, () => Part>> = {
  charls: () =>
    Promise.all([
      import("@cornerstonejs/codec-charls/wasmjs"),
      import("@cornerstonejs/codec-charls/wasm?url"),
    ]),
  openjpeg: () =>
    Promise.all([
      import("@cornerstonejs/codec-openjpeg/decodewasmjs"),
      import("@cornerstonejs/codec-openjpeg/decodewasm?url"),
    ]),
  openjph: () =>
    Promise.all([
      import("@cornerstonejs/codec-openjph"),
      import("@cornerstonejs/codec-openjph/wasm?url"),
    ]),
  turbo: () =>
    Promise.all([
      import("@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasmjs"),
      import("@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasm?url"),
    ]),
};

export async function loadCodec(name: CodecName): Promise<unknown> {
  if (name === "lossless") return await import("jpeg-lossless-decoder-js");
  const [{ default: create }, { default: wasm }] = await PARTS[name]();
  return await create({ locateFile: () => wasm });
}
