/** The model of the server, for the analysis on this device. */

import type { Client } from "./client";
import { Problem, problemOf } from "./problem";

export interface ModelFile {
  readonly name: string;
  readonly url: string;
  readonly sha256: string;
  readonly bytes: number;
}

export interface ModelFacts {
  readonly name: string;
  readonly version: string;
  readonly notice: string;
  /** For which probabilities are stated at this site; null: that of the model. */
  readonly prevalence: number | null;
  readonly card: ModelFile;
  readonly graph: ModelFile;
}

/** Where the service worker keeps the files of models (`pwa/service_worker.js`). */
export const MODEL_CACHE = "mammolens-model";

export function modelApi(client: Client) {
  return {
    show: () => client.call<ModelFacts>("GET", "/model"),
    /** Reads a file and checks that it is the one that was named. @throws Problem */
    file: async ({ url, sha256, name }: ModelFile): Promise<ArrayBuffer> => {
      const response = await client.fetch(url);
      if (!response.ok) throw await problemOf(response);
      const bytes = await response.arrayBuffer();
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
      const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
      if (found === sha256) return bytes;
      // What the service worker keeps may be damaged: it is fetched again the next time.
      await globalThis.caches?.delete(MODEL_CACHE).catch(() => false);
      throw new Problem(502, "model_damaged", `${name}: SHA-256 is ${found.slice(0, 12)}…`);
    },
  };
}

export type ModelApi = ReturnType<typeof modelApi>;
