/** The analysis as it runs in Node: files from disk, decoders and runtime from node_modules. */

import { readdirSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import type { DeviceFile } from "../../src/analysis/exams/files";
import type { CodecName } from "../../src/analysis/pixels/codecs";
import { loadModel, type Model, type Runtime } from "../../src/analysis/score/session";

const require = createRequire(import.meta.url);
const PACKAGES: Readonly<
  Record<Exclude<CodecName, "lossless">, readonly [code: string, wasm: string]>
> = {
  charls: ["codec-charls/wasmjs", "codec-charls/wasm"],
  openjpeg: ["codec-openjpeg/decodewasmjs", "codec-openjpeg/decodewasm"],
  openjph: ["codec-openjph", "codec-openjph/wasm"],
  turbo: ["codec-libjpeg-turbo-8bit/decodewasmjs", "codec-libjpeg-turbo-8bit/decodewasm"],
};

export const PACKAGE = join(import.meta.dirname, "../../../src/mammolens/models/mammolens-2");

export async function loadCodec(name: CodecName): Promise<unknown> {
  if (name === "lossless") return await import("jpeg-lossless-decoder-js");
  const [code, wasm] = PACKAGES[name].map((part) => `@cornerstonejs/${part}`);
  const wasmBinary = readFileSync(require.resolve(wasm));
  return await require(code)({ wasmBinary, print: () => {}, printErr: () => {} });
}

export function readCardText(): string {
  return readFileSync(join(PACKAGE, "card.json"), "utf-8");
}

export async function loadDeviceModel(): Promise<Model> {
  const ort = await import("onnxruntime-web/wasm");
  const folder = join(require.resolve("onnxruntime-web/wasm"), "..");
  const url = (name: string) => pathToFileURL(join(folder, name)).href;
  ort.env.wasm.wasmPaths = { mjs: url("ort-wasm-simd-threaded.mjs") };
  ort.env.wasm.wasmBinary = readFileSync(join(folder, "ort-wasm-simd-threaded.wasm"));
  ort.env.wasm.numThreads = 1;
  const graph = new Uint8Array(readFileSync(join(PACKAGE, "model.onnx")));
  return await loadModel(readCardText(), graph, ort as unknown as Runtime);
}

/** The files of a folder, sorted, named by their paths within it. */
export function filesOf(folder: string): DeviceFile[] {
  const found = readdirSync(folder, { recursive: true })
    .map((name) => join(folder, String(name)))
    .filter((path) => statSync(path).isFile())
    .sort();
  return found.map((path) => ({
    name: relative(folder, path),
    bytes: async () => new Uint8Array(readFileSync(path)),
  }));
}
