/**
 * A loaded model: its card, and the graph run by onnxruntime-web (WebAssembly, one thread).
 *
 * The runtime is given by the caller, since a browser and Node load it differently.
 */

import type { InferenceSession, Tensor } from "onnxruntime-web/wasm";
import { Refusal } from "../types";
import { type Card, readCard } from "./card";
import { softmax } from "./softmax";

export interface Runtime {
  readonly InferenceSession: {
    create(bytes: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: new (type: "uint8", data: Uint8Array, shape: readonly number[]) => Tensor;
}

export interface ModelMap {
  readonly data: Float32Array;
  readonly rows: number;
  readonly cols: number;
}

/** One picture's result: the mean of the picture and its upside-down mirror image. */
export interface RawOutput {
  readonly probabilities: readonly [number, number, number];
  readonly malignancyMap: ModelMap;
}

export interface Model {
  readonly card: Card;
  score(pixels: Uint8Array): Promise<RawOutput>;
}

const OUTPUTS = ["probabilities", "logits", "malignancy_map", "tumour_map"] as const;
type Output = (typeof OUTPUTS)[number];
const STRIDE = 32;

/** @throws Refusal if card and graph do not fit each other, or this device */
export async function loadModel(
  cardText: string,
  graph: Uint8Array,
  runtime: Runtime,
): Promise<Model> {
  const card = readCard(cardText);
  const found = await digestOf(graph);
  if (found !== card.graphSha256) {
    const text = `its SHA-256 is ${found.slice(0, 12)}…, but the card says ${card.graphSha256.slice(0, 12)}…`;
    throw new Refusal("BadModelPackage", text, {
      source: card.graphFile,
      keyword: "graph_sha256",
      remedy: "The file was changed or is incomplete: get the model package again",
    });
  }
  const session = await runtime.InferenceSession.create(graph, {
    executionProviders: ["wasm"],
    graphOptimizationLevel: "all",
  });
  const names = [...session.outputNames].sort().join(" ");
  if (session.inputNames.join(" ") !== "image" || names !== [...OUTPUTS].sort().join(" ")) {
    throw new Refusal("ContractMismatch", `the graph gives ${names}`, { source: card.graphFile });
  }
  return { card, score: (pixels) => score(card, session, runtime, pixels) };
}

export async function digestOf(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
  return Array.from(new Uint8Array(digest), (b) => b.toString(16).padStart(2, "0")).join("");
}

async function score(
  card: Card,
  session: InferenceSession,
  runtime: Runtime,
  pixels: Uint8Array,
): Promise<RawOutput> {
  const { height, width } = card.preprocess;
  const mirrored = new Uint8Array(pixels.length);
  for (let y = 0; y < height; y++) {
    mirrored.set(pixels.subarray(y * width, (y + 1) * width), (height - 1 - y) * width);
  }
  const one = await run(card, session, runtime, pixels);
  const other = await run(card, session, runtime, mirrored);
  const logits = Array.from(one.logits, (v, n) => Math.fround((v + other.logits[n]) / 2));
  const [rows, cols] = [height / STRIDE, width / STRIDE];
  const data = new Float32Array(rows * cols);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < cols; x++) {
      const back = (rows - 1 - y) * cols + x;
      data[y * cols + x] = (one.malignancy_map[y * cols + x] + other.malignancy_map[back]) / 2;
    }
  }
  const [normal, benign, malignant] = softmax(logits).map(Math.fround);
  return { probabilities: [normal, benign, malignant], malignancyMap: { data, rows, cols } };
}

async function run(
  card: Card,
  session: InferenceSession,
  runtime: Runtime,
  pixels: Uint8Array,
): Promise<Record<Output, Float32Array>> {
  const { height, width } = card.preprocess;
  let outputs: InferenceSession.OnnxValueMapType;
  try {
    const image = new runtime.Tensor("uint8", pixels, [1, 1, height, width]);
    outputs = await session.run({ image });
  } catch (error) {
    throw failed(`the graph failed: ${error instanceof Error ? error.message : String(error)}`);
  }
  const cells = (height / STRIDE) * (width / STRIDE);
  const found = {} as Record<Output, Float32Array>;
  for (const name of OUTPUTS) {
    const { data } = outputs[name];
    const size = name.endsWith("map") ? cells : 3;
    if (!(data instanceof Float32Array) || data.length !== size) {
      throw unusable(`${name} has another shape`);
    }
    if (!data.every(Number.isFinite)) throw unusable(`${name} is not finite`);
    if (name.endsWith("map") && data.some((v) => v < 0))
      throw unusable(`${name} is negative somewhere`);
    found[name] = data.slice();
  }
  const expected = softmax(Array.from(found.logits));
  if (expected.some((v, n) => Math.abs(v - found.probabilities[n]) > 1e-4 + 1e-5 * v)) {
    throw unusable("probabilities are not the softmax of the logits");
  }
  return found;
}

function unusable(why: string): Refusal {
  return failed(`the result of the graph cannot be used: ${why}`);
}

function failed(why: string): Refusal {
  return new Refusal("ModelError", why, {
    remedy: "Treat the exam as failed, and report the picture to the model's authors",
  });
}
