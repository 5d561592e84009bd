/** What the page and the worker of the analysis say to each other. */

import type { Analysis, Progress } from "./analyze";
import type { Look, RawPicture } from "./look";
import type { ViewCheck } from "./view_check";

export interface ChosenFile {
  readonly name: string;
  readonly file: Blob;
}

/** A model package: the text of its card, and its graph (ONNX). */
export interface PackageBytes {
  readonly card: string;
  readonly graph: ArrayBuffer;
}

export type ToWorker =
  | { readonly kind: "load"; readonly id: number; readonly given: PackageBytes }
  | {
      readonly kind: "analyze";
      readonly id: number;
      readonly files: readonly ChosenFile[];
      readonly prevalence: number | null;
    }
  /** How an image of the last analysis is shown: its grey scale and a preview, or its pixels. */
  | { readonly kind: "look" | "pixels"; readonly id: number; readonly path: string }
  | { readonly kind: "check"; readonly id: number; readonly file: ChosenFile };

/** The answer to each kind of message. */
export interface Answers {
  readonly load: null;
  readonly analyze: Analysis;
  readonly look: Look;
  readonly pixels: RawPicture;
  readonly check: ViewCheck;
}

export type FromWorker =
  | { readonly kind: "progress"; readonly id: number; readonly progress: Progress }
  | { readonly kind: "done"; readonly id: number; readonly answer: Answers[keyof Answers] }
  | {
      readonly kind: "failed";
      readonly id: number;
      readonly name: string;
      readonly message: string;
    };
