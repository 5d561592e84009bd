/** Decoders in WebAssembly as the browser loads them: static files of the application. */

import type { CodecName } from "./pixels/codecs";

type Create = (options: object) => Promise<unknown>;
type Part = Promise<readonly [{ default: Create }, { default: string }]>;

const PARTS: Readonly<Record<CodecName, () => Part>> = {
  charls: () =>
    Promise.all([
      import("@cornerstonejs/codec-charls/decodewasmjs"),
      import("@cornerstonejs/codec-charls/decodewasm?url"),
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
  const [{ default: create }, { default: wasm }] = await PARTS[name]();
  return await create({ locateFile: () => wasm });
}
