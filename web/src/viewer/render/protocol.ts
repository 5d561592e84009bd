/** Messages between a pane and the worker that draws it. */

import type { PixelForm } from "../decode/raw";
import type { ExamImage } from "../exam";
import type { Turn } from "../geometry/orientation";
import type { GreyForm } from "../grey";
import type { Placement, Quality } from "../resample";

/** Everything that is needed to turn a frame into a hung plane. */
export interface FrameOrder {
  readonly form: PixelForm;
  readonly modality: ExamImage["modality"];
  readonly turn: Turn;
}

/** Greys as the reader wants them; the worker adds the plane's bias. */
export type GreyOrder = Omit<GreyForm, "bias">;

export interface DrawOrder {
  readonly placement: Placement;
  readonly grey: GreyOrder;
  readonly quality: Quality;
  /** A round magnifier over the picture; null for none. */
  readonly magnifier: MagnifierOrder | null;
}

export interface MagnifierOrder {
  /** Centre on the screen, in device pixels. */
  readonly x: number;
  readonly y: number;
  readonly radius: number;
  /** Pixels of the screen per pixel of the picture within it. */
  readonly scaleX: number;
  readonly scaleY: number;
}

export type ToWorker =
  | { readonly kind: "canvas"; readonly canvas: OffscreenCanvas }
  /** A new picture follows: what was drawn is forgotten. */
  | { readonly kind: "clear"; readonly picture: number }
  | {
      readonly kind: "preview";
      readonly picture: number;
      readonly bytes: ArrayBuffer;
      readonly contentType: string;
      readonly turn: Turn;
      /** Size of the whole picture as hung, in its own pixels. */
      readonly width: number;
      readonly height: number;
    }
  | {
      readonly kind: "frame";
      readonly picture: number;
      readonly body: ArrayBuffer;
      readonly contentType: string;
      readonly order: FrameOrder;
    }
  | { readonly kind: "draw"; readonly picture: number; readonly order: DrawOrder };

export type FromWorker =
  /** The frame was decoded, and is drawn from the next draw on. */
  | { readonly kind: "loaded"; readonly picture: number; readonly milliseconds: number }
  | { readonly kind: "preview-ready"; readonly picture: number }
  | { readonly kind: "failed"; readonly picture: number; readonly reason: string }
  | {
      readonly kind: "drawn";
      readonly picture: number;
      readonly shows: "nothing" | "preview" | "pixels";
      readonly milliseconds: number;
    };
