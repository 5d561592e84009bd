/**
 * The worker of the analysis on the device. It asks only for the application's own static files,
 * and the page gives it the model: no address of the server is known here.
 */

import ortModule from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import ortWasm from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import * as ort from "onnxruntime-web/wasm";
import { analyze } from "./analyze";
import { loadCodec } from "./browser_codecs";
import type { DeviceFile } from "./exams/files";
import { unpacked } from "./exams/zip";
import { lookAt, rawPicture } from "./look";
import type { Answers, ChosenFile, FromWorker, ToWorker } from "./messages";
import { preloadCodecs } from "./pixels/codecs";
import { loadModel, type Model, type Runtime } from "./score/session";
import { Refusal } from "./types";
import { checkView } from "./view_check";

ort.env.wasm.wasmPaths = { mjs: ortModule, wasm: ortWasm };
ort.env.wasm.numThreads = 1;

let model: Model | null = null;
let files: readonly DeviceFile[] = [];

function say(message: FromWorker, transfer: Transferable[] = []): void {
  postMessage(message, { transfer });
}

async function answerTo(message: ToWorker): Promise<Answers[keyof Answers]> {
  const { id } = message;
  switch (message.kind) {
    case "load": {
      const { card, graph } = message.given;
      const runtime = ort as unknown as Runtime;
      [model] = await Promise.all([
        loadModel(card, new Uint8Array(graph), runtime),
        preloadCodecs(loadCodec),
      ]);
      return null;
    }
    case "analyze":
      if (model === null) throw new Error("no model was loaded");
      files = (await Promise.all(message.files.map(opened))).flat();
      return await analyze(files, model, loadCodec, {
        prevalence: message.prevalence,
        onProgress: (progress) => say({ kind: "progress", id, progress }),
      });
    case "look":
      return await lookAt(fileOf(message.path), loadCodec);
    case "pixels":
      return await rawPicture(fileOf(message.path), loadCodec);
    case "check": {
      const [file] = await opened(message.file);
      return await checkView(file, loadCodec);
    }
  }
}

/** The file itself, or the members of a zip. */
function opened({ name, file }: ChosenFile): Promise<readonly DeviceFile[]> {
  return unpacked(name, file);
}

function fileOf(path: string): DeviceFile {
  const found = files.find(({ name }) => name === path);
  if (found === undefined) throw new Error("this image is not of the last analysis");
  return found;
}

self.onmessage = async ({ data }: MessageEvent<ToWorker>) => {
  const { id } = data;
  try {
    const answer = await answerTo(data);
    const moved = data.kind === "pixels" ? [(answer as Answers["pixels"]).data] : [];
    say({ kind: "done", id, answer }, moved);
  } catch (error) {
    const name = error instanceof Refusal ? error.name : "Error";
    const message = error instanceof Error ? error.message : String(error);
    say({ kind: "failed", id, name, message });
  }
};
