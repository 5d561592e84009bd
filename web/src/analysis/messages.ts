/** What the page and the worker of the analysis say to each other. */

import type { Analysis, Progress } from "./analyze";

export interface ChosenFile {
  readonly name: string;
  readonly file: Blob;
}

export type ToWorker =
  | { readonly kind: "load"; readonly id: number }
  | {
      readonly kind: "analyze";
      readonly id: number;
      readonly files: readonly ChosenFile[];
      readonly prevalence: number | null;
    };

export type FromWorker =
  | { readonly kind: "ready"; readonly id: number }
  | { readonly kind: "progress"; readonly id: number; readonly progress: Progress }
  | { readonly kind: "done"; readonly id: number; readonly analysis: Analysis }
  | {
      readonly kind: "failed";
      readonly id: number;
      readonly name: string;
      readonly message: string;
    };
