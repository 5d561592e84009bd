/** The worker of one pane: decodes its picture and draws it into the pane's canvas. */

import { decodeFrame } from "../decode/frame";
import { unwrapPart } from "../decode/multipart";
import type { Turn } from "../geometry/orientation";
import { BLACK, drawFilm, type Film, freeFilm, makeFilm } from "./film";
import type { DrawOrder, FromWorker, ToWorker } from "./protocol";

let canvas: OffscreenCanvas | undefined;
let context: OffscreenCanvasRenderingContext2D | null = null;
let image: ImageData | undefined;
let words = new Uint32Array(0);
let picture = 0;
let lastOrder: DrawOrder | null = null;
let film: Film | null = null;
let preview: { bitmap: ImageBitmap; turn: Turn; width: number; height: number } | null = null;

const post = (message: FromWorker) => self.postMessage(message);

self.onmessage = async ({ data: message }: MessageEvent<ToWorker>) => {
  if (message.kind === "canvas") {
    canvas = message.canvas;
    context = canvas.getContext("2d", { alpha: false });
    return;
  }
  if (message.kind === "clear") {
    picture = message.picture;
    lastOrder = null;
    forget();
    context?.clearRect(0, 0, canvas?.width ?? 0, canvas?.height ?? 0);
    return;
  }
  if (message.picture !== picture) return;
  try {
    if (message.kind === "preview") await readPreview(message);
    else if (message.kind === "frame") await readFrame(message);
    else draw(message.order);
    // What has come is shown at once, without asking the page where.
    if (message.kind !== "draw" && lastOrder !== null) draw(lastOrder);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    if (message.picture === picture) post({ kind: "failed", picture, reason });
  }
};

function forget(): void {
  if (film !== null) freeFilm(film);
  film = null;
  preview?.bitmap.close();
  preview = null;
}

async function readPreview(message: ToWorker & { kind: "preview" }): Promise<void> {
  const bitmap = await createImageBitmap(new Blob([message.bytes], { type: message.contentType }));
  if (message.picture !== picture || film !== null) {
    bitmap.close();
    return;
  }
  preview?.bitmap.close();
  preview = { bitmap, turn: message.turn, width: message.width, height: message.height };
  post({ kind: "preview-ready", picture });
}

async function readFrame(message: ToWorker & { kind: "frame" }): Promise<void> {
  const began = performance.now();
  const part = unwrapPart(new Uint8Array(message.body), message.contentType);
  const plane = await decodeFrame(part, message.order.form);
  const made = makeFilm(plane, message.order);
  if (message.picture !== picture) {
    freeFilm(made);
    return;
  }
  forget();
  film = made;
  post({ kind: "loaded", picture, milliseconds: performance.now() - began });
}

function draw(order: DrawOrder): void {
  if (canvas === undefined || context === null) return;
  lastOrder = order;
  const began = performance.now();
  const { width, height } = order.placement;
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
    image = undefined;
  }
  if (film !== null) {
    image ??= new ImageData(width, height);
    if (words.buffer !== image.data.buffer) words = new Uint32Array(image.data.buffer);
    drawFilm(film, order, words);
    context.putImageData(image, 0, 0);
  } else if (preview !== null) {
    drawPreview(order);
  } else {
    context.fillStyle = `#${(BLACK & 0xffffff).toString(16).padStart(6, "0")}`;
    context.fillRect(0, 0, width, height);
  }
  const shows = film !== null ? "pixels" : preview !== null ? "preview" : "nothing";
  post({ kind: "drawn", picture, shows, milliseconds: performance.now() - began });
}

/** The preview at the place of the picture, turned and mirrored as it will hang. */
function drawPreview({ placement }: DrawOrder): void {
  if (context === null || preview === null) return;
  const { bitmap, turn, width, height } = preview;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = "#000";
  context.fillRect(0, 0, placement.width, placement.height);
  context.translate(placement.offsetX, placement.offsetY);
  context.scale(placement.scaleX * width, placement.scaleY * height);
  if (turn.mirrored) context.transform(-1, 0, 0, 1, 1, 0);
  context.transform(...UNIT_TURNS[turn.quarterTurns]);
  context.drawImage(bitmap, 0, 0, 1, 1);
  context.setTransform(1, 0, 0, 1, 0, 0);
}

/** 0 to 3 clockwise quarter turns of the unit square, as canvas transforms. */
const UNIT_TURNS: readonly (readonly [number, number, number, number, number, number])[] = [
  [1, 0, 0, 1, 0, 0],
  [0, 1, -1, 0, 1, 0],
  [-1, 0, 0, -1, 1, 1],
  [0, -1, 1, 0, 0, 1],
];
