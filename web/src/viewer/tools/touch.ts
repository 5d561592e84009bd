/**
 * Fingers on a picture → what they ask for. One finger swipes to the next view, or moves an enlarged
 * picture. Two fingers pull the picture larger, or change its window when they move together; which
 * of the two it is stays for the whole gesture. Pure; lengths in CSS pixels.
 */

export interface Finger {
  readonly id: number;
  readonly x: number;
  readonly y: number;
}

export type TouchMode = "idle" | "waiting" | "swipe" | "pan" | "two" | "pinch" | "window";

export interface TouchState {
  readonly fingers: readonly Finger[];
  readonly mode: TouchMode;
  /** Where the first finger, or both, began. */
  readonly from: readonly Finger[];
  /** When and where the last tap ended, for a double tap. */
  readonly tap: { readonly x: number; readonly y: number; readonly at: number } | null;
}

export type TouchAct =
  | { readonly kind: "pan"; readonly dx: number; readonly dy: number }
  | { readonly kind: "zoom"; readonly factor: number; readonly x: number; readonly y: number }
  /** Shares of the window's width, as `window.adjusted` takes them. */
  | { readonly kind: "window"; readonly across: number; readonly down: number }
  | { readonly kind: "step"; readonly by: 1 | -1 }
  /** A double tap: enlarge here, or show the whole again. */
  | { readonly kind: "toggle"; readonly x: number; readonly y: number };

export interface TouchSurface {
  readonly width: number;
  readonly height: number;
  readonly isZoomed: boolean;
}

export const NO_TOUCH: TouchState = { fingers: [], mode: "idle", from: [], tap: null };

/** A finger that trembles less than this has not moved. */
const STILL = 10;
/** Share of the width that a swipe has to go. */
const FAR = 0.2;
const TAP_MS = 300;
const TAP_NEAR = 40;
/** The window changes by its whole width over this share of the picture. */
const WINDOW_REACH = 0.8;

export function touchDown(state: TouchState, finger: Finger): TouchState {
  const fingers = [...state.fingers.filter(({ id }) => id !== finger.id), finger].slice(0, 2);
  const mode = fingers.length === 2 ? "two" : "waiting";
  return { ...state, fingers, from: fingers, mode };
}

export function touchMove(
  state: TouchState,
  finger: Finger,
  surface: TouchSurface,
): readonly [TouchState, readonly TouchAct[]] {
  const before = state.fingers.find(({ id }) => id === finger.id);
  if (before === undefined) return [state, []];
  const fingers = state.fingers.map((one) => (one.id === finger.id ? finger : one));
  const moved = { ...state, fingers };
  if (fingers.length === 2) return moveTwo(state, moved, surface);
  return moveOne(moved, before, finger, surface);
}

function moveOne(
  state: TouchState,
  before: Finger,
  now: Finger,
  { isZoomed }: TouchSurface,
): readonly [TouchState, readonly TouchAct[]] {
  const [from] = state.from;
  let { mode } = state;
  if (mode === "waiting") {
    if (Math.hypot(now.x - from.x, now.y - from.y) < STILL) return [state, []];
    mode = isZoomed ? "pan" : "swipe";
  }
  if (mode !== "pan") return [{ ...state, mode }, []];
  return [{ ...state, mode }, [{ kind: "pan", dx: now.x - before.x, dy: now.y - before.y }]];
}

function moveTwo(
  before: TouchState,
  now: TouchState,
  surface: TouchSurface,
): readonly [TouchState, readonly TouchAct[]] {
  const [was, is, began] = [pairOf(before.fingers), pairOf(now.fingers), pairOf(now.from)];
  let { mode } = now;
  if (mode === "two") {
    const apart = Math.abs(is.apart - began.apart);
    const along = Math.hypot(is.x - began.x, is.y - began.y);
    if (Math.max(apart, along) < STILL) return [now, []];
    mode = apart >= along ? "pinch" : "window";
  }
  const next = { ...now, mode };
  if (mode === "pinch" && was.apart > 0) {
    const acts: TouchAct[] = [
      { kind: "zoom", factor: is.apart / was.apart, x: is.x, y: is.y },
      { kind: "pan", dx: is.x - was.x, dy: is.y - was.y },
    ];
    return [next, acts];
  }
  if (mode !== "window") return [next, []];
  const across = (is.x - was.x) / (surface.width * WINDOW_REACH);
  const down = (is.y - was.y) / (surface.height * WINDOW_REACH);
  return [next, [{ kind: "window", across, down }]];
}

export function touchUp(
  state: TouchState,
  finger: Finger,
  surface: TouchSurface,
  at: number,
): readonly [TouchState, readonly TouchAct[]] {
  const rest = state.fingers.filter(({ id }) => id !== finger.id);
  // The finger that stays after two of them must not swipe or move what they have set.
  if (rest.length > 0) return [{ ...state, fingers: rest, from: rest, mode: "two" }, []];
  const [from] = state.from;
  const ended: TouchState = { ...NO_TOUCH };
  if (state.mode === "swipe" && from !== undefined) {
    const across = finger.x - from.x;
    const isFar = Math.abs(across) > surface.width * FAR;
    const isFlat = Math.abs(across) > Math.abs(finger.y - from.y);
    return [ended, isFar && isFlat ? [{ kind: "step", by: across < 0 ? 1 : -1 }] : []];
  }
  if (state.mode !== "waiting") return [ended, []];
  const { tap } = state;
  const isSecond =
    tap !== null &&
    at - tap.at < TAP_MS &&
    Math.hypot(finger.x - tap.x, finger.y - tap.y) < TAP_NEAR;
  if (isSecond) return [ended, [{ kind: "toggle", x: finger.x, y: finger.y }]];
  return [{ ...ended, tap: { x: finger.x, y: finger.y, at } }, []];
}

function pairOf([a, b]: readonly Finger[]): { x: number; y: number; apart: number } {
  if (a === undefined || b === undefined) return { x: 0, y: 0, apart: 0 };
  return {
    x: (a.x + b.x) / 2,
    y: (a.y + b.y) / 2,
    apart: Math.hypot(a.x - b.x, a.y - b.y),
  };
}
