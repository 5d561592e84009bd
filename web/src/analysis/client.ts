/** The page's side of the analysis on the device. */

import type { Analysis, Progress } from "./analyze";
import type { ChosenFile, FromWorker, ToWorker } from "./messages";

export interface DeviceAnalyst {
  /** Loads the model; afterwards no connection is needed. */
  load(): Promise<void>;
  analyze(
    files: readonly ChosenFile[],
    options?: { prevalence?: number | null; onProgress?: (progress: Progress) => void },
  ): Promise<Analysis>;
  /** Stops the worker, also in the middle of an analysis. */
  close(): void;
}

interface Waiting {
  readonly resolve: (analysis: Analysis | null) => void;
  readonly reject: (error: Error) => void;
  readonly onProgress: ((progress: Progress) => void) | undefined;
}

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
    if (data.kind === "failed") one.reject(new Error(data.message));
    else one.resolve(data.kind === "done" ? data.analysis : null);
  };
  worker.onerror = (event) => failAll(new Error(event.message || "the analysis stopped"));
  const ask = (
    make: (id: number) => ToWorker,
    onProgress?: (progress: Progress) => void,
  ): Promise<Analysis | null> =>
    new Promise((resolve, reject) => {
      const id = ++last;
      waiting.set(id, { resolve, reject, onProgress });
      worker.postMessage(make(id));
    });
  return {
    load: async () => {
      await ask((id) => ({ kind: "load", id }));
    },
    analyze: async (files, { prevalence = null, onProgress } = {}) => {
      const found = await ask((id) => ({ kind: "analyze", id, files, prevalence }), onProgress);
      if (found === null) throw new Error("the analysis gave no result");
      return found;
    },
    close: () => {
      worker.terminate();
      failAll(new Error("the analysis was stopped"));
    },
  };
}
