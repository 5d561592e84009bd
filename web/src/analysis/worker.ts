/** The worker of the analysis on the device. It asks only for the application's own static files. */

import ortModule from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import ortWasm from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import * as ort from "onnxruntime-web/wasm";
import cardUrl from "../../../src/mammolens/models/mammolens-2/card.json?url";
import graphUrl from "../../../src/mammolens/models/mammolens-2/model.onnx?url";
import { analyze } from "./analyze";
import { loadCodec } from "./browser_codecs";
import type { FromWorker, ToWorker } from "./messages";
import { preloadCodecs } from "./pixels/codecs";
import { loadModel, type Model, type Runtime } from "./score/session";
import { Refusal } from "./types";

ort.env.wasm.wasmPaths = { mjs: ortModule, wasm: ortWasm };
ort.env.wasm.numThreads = 1;

let model: Promise<Model> | undefined;

async function modelOnce(): Promise<Model> {
  model ??= Promise.all([bytesOf(cardUrl), bytesOf(graphUrl), preloadCodecs(loadCodec)]).then(
    ([card, graph]) => loadModel(new TextDecoder().decode(card), graph, ort as unknown as Runtime),
  );
  try {
    return await model;
  } catch (error) {
    model = undefined;
    throw error;
  }
}

async function bytesOf(url: string): Promise<Uint8Array> {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}

function say(message: FromWorker): void {
  postMessage(message);
}

self.onmessage = async ({ data }: MessageEvent<ToWorker>) => {
  const { id } = data;
  try {
    const loaded = await modelOnce();
    if (data.kind === "load") {
      say({ kind: "ready", id });
      return;
    }
    const files = data.files.map(({ name, file }) => ({
      name,
      bytes: async () => new Uint8Array(await file.arrayBuffer()),
    }));
    const analysis = await analyze(files, loaded, loadCodec, {
      prevalence: data.prevalence,
      onProgress: (progress) => say({ kind: "progress", id, progress }),
    });
    say({ kind: "done", id, analysis });
  } catch (error) {
    const name = error instanceof Refusal ? error.name : "Error";
    say({
      kind: "failed",
      id,
      name,
      message: error instanceof Error ? error.message : String(error),
    });
  }
};
