/** The page's side of the analysis on the device. */

import type { Analysis, Progress } from "./analyze";
import type { Look, RawPicture } from "./look";
import type { Answers, ChosenFile, FromWorker, PackageBytes, ToWorker } from "./messages";
import type { ViewCheck } from "./view_check";

export interface DeviceAnalyst {
  /** Loads a model; afterwards no connection is needed. The graph's bytes go to the worker. */
  load(given: PackageBytes): Promise<void>;
  analyze(
    files: readonly ChosenFile[],
    options?: { prevalence?: number | null; onProgress?: (progress: Progress) => void },
  ): Promise<Analysis>;
  /** How an image of the last analysis is shown. */
  look(path: string): Promise<Look>;
  /** All pixels of an image of the last analysis. */
  pixels(path: string): Promise<RawPicture>;
  /** Looks at one file by itself, also before a model is loaded. */
  check(file: ChosenFile): Promise<ViewCheck>;
  /** Stops the worker, also in the middle of an analysis, and frees its memory. */
  close(): void;
}

/** The analysis did not come to an end; `refusal` is the name of a refusal, such as `ContractMismatch`. */
export class AnalysisFailed extends Error {
  constructor(
    readonly refusal: string,
    message: string,
  ) {
    super(message);
  }
}

interface Waiting {
  readonly resolve: (answer: Answers[keyof Answers]) => void;
  readonly reject: (error: Error) => void;
  readonly onProgress: ((progress: Progress) => void) | undefined;
}

type Unnumbered<T> = T extends { readonly id: number } ? Omit<T, "id"> : never;

/** Starts the worker. */
export function startAnalyst(): DeviceAnalyst {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  const waiting = new Map<number, Waiting>();
  let last = 0;
  const failAll = (error: Error) => {
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
    const one = waiting.get(data.id);
    if (one === undefined) return;
    if (data.kind === "progress") {
      one.onProgress?.(data.progress);
      return;
    }
    waiting.delete(data.id);
    if (data.kind === "failed") one.reject(new AnalysisFailed(data.name, data.message));
    else one.resolve(data.answer);
  };
  worker.onerror = (event) => failAll(new Error(event.message || "the analysis stopped"));
  function ask<K extends ToWorker["kind"]>(
    message: Unnumbered<ToWorker> & { readonly kind: K },
    onProgress?: (progress: Progress) => void,
    transfer: Transferable[] = [],
  ): Promise<Answers[K]> {
    return new Promise((resolve, reject) => {
      const id = ++last;
      waiting.set(id, { resolve: resolve as Waiting["resolve"], reject, onProgress });
      worker.postMessage({ ...message, id }, transfer);
    });
  }
  return {
    load: async (given) => {
      await ask({ kind: "load", given }, undefined, [given.graph]);
    },
    analyze: (files, { prevalence = null, onProgress } = {}) =>
      ask({ kind: "analyze", files, prevalence }, onProgress),
    look: (path) => ask({ kind: "look", path }),
    pixels: (path) => ask({ kind: "pixels", path }),
    check: (file) => ask({ kind: "check", file }),
    close: () => {
      worker.terminate();
      failAll(new Error("the analysis was stopped"));
    },
  };
}
