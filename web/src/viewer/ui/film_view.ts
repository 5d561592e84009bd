/**
 * One picture on the screen: its canvas, and the worker that draws it.
 *
 * A view keeps its picture when a step no longer shows it, so that steps change at once. Orders to
 * draw never queue up: while the worker draws, only the latest order waits.
 */

import { ACCEPT_FRAMES } from "../decode/frame";
import type { ExamImage } from "../exam";
import type { HungImage } from "../geometry/camera";
import { type FetchQueue, isAbort, URGENCY } from "../loading/fetch_queue";
import { frameUrl } from "../loading/prefetch";
import type { DrawOrder, FromWorker, ToWorker } from "../render/protocol";
import type { Progress } from "./corner";

export interface FilmView {
  readonly canvas: HTMLCanvasElement;
  /** SOP Instance UID of the picture; null if none was loaded yet. */
  readonly holds: string | null;
  readonly progress: Progress;
  /** Loads a picture, or another frame of the same one. Does nothing if it is there already. */
  load(hung: HungImage, frame: number): void;
  draw(order: DrawOrder): void;
  dispose(): void;
}

export interface FilmViewEvents {
  /** A picture came, or failed to: what is shown has to be drawn again. */
  changed(): void;
  drawn(shows: "nothing" | "preview" | "pixels"): void;
}

export function makeFilmView(queue: FetchQueue, events: FilmViewEvents): FilmView {
  const canvas = document.createElement("canvas");
  const worker = new Worker(new URL("../render/view.worker.ts", import.meta.url), {
    type: "module",
  });
  const send = (message: ToWorker, transfer: Transferable[] = []) =>
    worker.postMessage(message, transfer);
  const offscreen = canvas.transferControlToOffscreen();
  send({ kind: "canvas", canvas: offscreen }, [offscreen]);

  let picture = 0;
  let holds: string | null = null;
  let frame = 0;
  let decoding = false;
  let progress: Progress = { kind: "waiting" };
  let drawing = false;
  let waiting: DrawOrder | null = null;
  let wanted: { hung: HungImage; frame: number } | null = null;

  worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
    if (data.kind === "drawn") {
      drawing = false;
      if (data.picture === picture) {
        reveal();
        events.drawn(data.shows);
      }
      if (waiting !== null) flush(waiting);
      return;
    }
    // A draw that failed is not answered by "drawn".
    if (data.kind === "failed") drawing = false;
    if (data.picture !== picture) return;
    if (data.kind === "preview-ready") {
      if (progress.kind === "waiting") progress = { kind: "preview" };
    } else {
      decoding = false;
      if (data.kind === "loaded") progress = { kind: "pixels", frame };
      else fail(data.reason);
      // Frames that were passed while scrolling are not decoded: only the last one counts.
      if (wanted !== null && wanted.frame !== frame) readFrame(wanted.hung, wanted.frame);
    }
    events.changed();
  };
  worker.onerror = (event) => {
    fail(event.message);
    events.changed();
  };

  /** A slice that was shown before must not stay on the screen as the one that failed. */
  function fail(reason: string): void {
    if (progress.kind === "pixels") {
      picture += 1;
      conceal();
      send({ kind: "clear", picture });
    }
    progress = { kind: "failed", reason };
  }

  /** The canvas still holds another picture until the worker has drawn: it must not be seen. */
  function conceal(): void {
    canvas.style.visibility = "hidden";
  }

  function reveal(): void {
    if (canvas.style.visibility !== "hidden") return;
    const mine = picture;
    requestAnimationFrame(() => {
      if (mine === picture) canvas.style.visibility = "visible";
    });
  }

  function flush(order: DrawOrder): void {
    drawing = true;
    waiting = null;
    send({ kind: "draw", picture, order });
  }

  async function readPreview(image: ExamImage, hung: HungImage): Promise<void> {
    const mine = picture;
    const { url } = image.preview;
    const answer = await queue.request(url, "image/jpeg, image/png", URGENCY.preview);
    if (mine !== picture) return;
    send({
      kind: "preview",
      picture,
      bytes: answer.body,
      contentType: answer.contentType,
      turn: hung.hanging.turn,
      width: hung.width,
      height: hung.height,
    });
  }

  async function readFrame(hung: HungImage, n: number): Promise<void> {
    const { image } = hung;
    const mine = picture;
    decoding = true;
    frame = n;
    try {
      const answer = await queue.request(frameUrl(image, n), ACCEPT_FRAMES, URGENCY.shown);
      if (mine !== picture) return;
      const { rows, columns, bitsAllocated, bitsStored, highBit, signed, modality } = image;
      const form = { rows, columns, bitsAllocated, bitsStored, highBit, signed };
      send({
        kind: "frame",
        picture,
        body: answer.body,
        contentType: answer.contentType,
        order: { form, modality, turn: hung.hanging.turn },
      });
    } catch (error) {
      if (mine !== picture) return;
      decoding = false;
      if (isAbort(error)) frame = 0;
      else fail(error instanceof Error ? error.message : String(error));
      events.changed();
    }
  }

  return {
    canvas,
    get holds() {
      return holds;
    },
    get progress() {
      return progress;
    },
    load(hung, n) {
      const { image } = hung;
      wanted = { hung, frame: n };
      if (holds !== image.sopInstanceUid) {
        picture += 1;
        holds = image.sopInstanceUid;
        frame = 0;
        decoding = false;
        progress = { kind: "waiting" };
        conceal();
        send({ kind: "clear", picture });
        readPreview(image, hung).catch(() => undefined);
      }
      if (frame !== n && !decoding) readFrame(hung, n);
    },
    draw(order) {
      if (drawing) waiting = order;
      else flush(order);
    },
    dispose() {
      picture += 1;
      worker.terminate();
      canvas.remove();
    },
  };
}
