/** What stands in the corners of a pane. Pure: state in, lines out. */

import { spacingOf } from "../geometry/spacing";
import type { Place } from "../hanging";
import type { MessageKey, Words } from "../messages/text";
import type { PaneScene, Scene, Shown } from "../scene";
import { cameraOf, lookOf, type ViewerState } from "../state";
import { windowOf } from "../window";

export interface CornerLine {
  readonly text: string;
  readonly tone: "title" | "plain" | "quiet" | "warning";
}

/** How far the picture in a pane has come. */
export type Progress =
  | { readonly kind: "waiting" | "preview" }
  /** `frame` is the one on the screen: while a stack is scrolled another may be on its way. */
  | { readonly kind: "pixels"; readonly frame: number }
  | { readonly kind: "failed"; readonly reason: string };

/** "R CC", or what is unknown about it in words. */
export function viewWords(place: Pick<Place, "laterality" | "viewPosition">, words: Words): string {
  const side = place.laterality ?? words.say("place.unknown-side");
  return `${side} ${place.viewPosition ?? words.say("place.unknown-view")}`;
}

/** View, side, date, kind, and everything about the picture that a reader must know. */
export function upperLines(
  state: ViewerState,
  pane: PaneScene,
  shown: Shown,
  progress: Progress,
  words: Words,
): readonly CornerLine[] {
  const { image, hung } = shown;
  const lines: CornerLine[] = [];
  const add = (text: string, tone: CornerLine["tone"]) => lines.push({ text, tone });
  const view = viewWords(image, words);
  add([view, ...image.viewModifiers].join(" · "), "title");
  if (pane.place.exam === "prior") add(words.say("corner.prior"), "warning");
  const date = image.date ?? words.say("viewer.unknown-date");
  add(image.time === null ? date : `${date}  ${image.time.slice(0, 5)}`, "plain");
  if (image.kind === "synthetic-2d") add(words.say("corner.synthetic"), "warning");
  if (image.kind === "tomosynthesis") {
    const wanted = lookOf(state, image).frame;
    const n = progress.kind === "pixels" ? progress.frame : wanted;
    add(words.say("corner.tomo", { n, of: image.frames }), "warning");
    if (n !== wanted) add(words.say("corner.next-slice", { n: wanted }), "warning");
  }
  if (isNotAnalysed(state, pane, shown)) add(words.say("ai.not-analysed"), "warning");
  if (pane.place.images.length > 1) {
    const n = pane.place.images.indexOf(image) + 1;
    add(words.say("corner.picture", { n, of: pane.place.images.length }), "plain");
  }
  for (const label of image.labels) add(label, "plain");
  const { turn, doubt } = hung.hanging;
  if (turn.quarterTurns > 0) {
    add(words.say("corner.turned", { degrees: 90 * turn.quarterTurns }), "quiet");
  }
  if (turn.mirrored) add(words.say("corner.mirrored"), "quiet");
  if (doubt !== null) add(words.say(`doubt.${doubt}`), "warning");
  for (const { reason } of pane.place.refused) {
    add(words.say("place.another-refused", { reason }), "warning");
  }
  if (state.invert) add(words.say("corner.inverted"), "warning");
  if (progress.kind === "preview") add(words.say("corner.loading"), "warning");
  if (progress.kind === "waiting") add(words.say("corner.waiting"), "warning");
  if (progress.kind === "failed") {
    add(words.say("corner.failed", { reason: progress.reason }), "warning");
  }
  return lines;
}

/** A stack is never analysed. Other pictures are named where the exam has a result without them. */
function isNotAnalysed({ exam }: ViewerState, pane: PaneScene, { image }: Shown): boolean {
  if (image.kind === "tomosynthesis") return true;
  if (pane.place.exam === "prior" || exam.ai.state !== "available") return false;
  return exam.ai.images.every((one) => one.sopInstanceUid !== image.sopInstanceUid);
}

/** Size, window and spacing as they are now. */
export function lowerLines(
  state: ViewerState,
  scene: Scene,
  pane: PaneScene,
  shown: Shown,
  words: Words,
): readonly CornerLine[] {
  const { image, placement } = shown;
  const lines: CornerLine[] = [];
  const add = (text: string, tone: CornerLine["tone"] = "quiet") => lines.push({ text, tone });
  if (pane.index in state.ownCameras) add(words.say("corner.unlinked"), "warning");
  const isTrue =
    state.screen !== null &&
    scene.unit === "mm" &&
    Math.abs((scene.fit * cameraOf(state, pane.index).zoom) / state.screen - 1) < 0.005;
  const size = words.say("corner.zoom", { percent: words.number(100 * placement.scaleX, 0) });
  add(isTrue ? `${size}  ${words.say("corner.true-size")}` : size);
  const { voi } = lookOf(state, image);
  const { center, width } = windowOf(voi);
  const window = words.say("corner.window", {
    width: words.number(width, 0),
    center: words.number(center, 0),
  });
  const curve = voi.kind === "window" && voi.function !== "LINEAR" ? voi.function : null;
  const name = voi.kind === "tone" ? words.say("corner.tone") : (voi.name ?? curve);
  add(name === null ? window : `${window}  ${name}`);
  add(spacingWords(shown, pane.rect.width < NARROW_PX, words));
  return lines;
}

/** Below this width of a pane, in device pixels, the source of the spacing is one word. */
const NARROW_PX = 520;

export function spacingWords({ image }: Shown, short: boolean, words: Words): string {
  const spacing = spacingOf(image);
  const source = spacing?.source ?? "unknown";
  const key: MessageKey = short ? `spacing.short.${source}` : `spacing.${source}`;
  const mm = spacing === null ? "" : words.number(spacing.columnMm, 3);
  return words.say(key, { mm, by: spacing?.by ?? "" });
}
