/** Keys → commands. One literal table; the help page shows it as it is. */

import type { CommandId } from "../commands";

export interface Binding {
  /** `KeyboardEvent.key`, letters in lower case. */
  readonly key: string;
  readonly shift?: boolean;
  readonly control?: boolean;
  readonly command: CommandId;
}

export const BINDINGS: readonly Binding[] = [
  { key: " ", command: "next" },
  { key: " ", shift: true, command: "previous" },
  { key: "PageDown", command: "next" },
  { key: "PageUp", command: "previous" },
  { key: "PageDown", control: true, command: "next-exam" },
  { key: "PageUp", control: true, command: "previous-exam" },
  { key: "1", command: "four-up" },
  { key: "2", command: "right-pair" },
  { key: "3", command: "left-pair" },
  { key: "4", command: "cc-pair" },
  { key: "5", command: "mlo-pair" },
  { key: "6", command: "field-step" },
  { key: "c", command: "prior" },
  { key: "s", command: "next-pane" },
  { key: "u", command: "next-picture" },
  { key: "j", command: "previous-picture" },
  { key: ",", command: "frame-up" },
  { key: ".", command: "frame-down" },
  { key: "+", command: "zoom-in" },
  { key: "-", command: "zoom-out" },
  { key: "0", command: "whole" },
  { key: "o", command: "one-to-one" },
  { key: "t", command: "true-size" },
  { key: "b", command: "fit-breast" },
  { key: "ArrowLeft", command: "pan-left" },
  { key: "ArrowRight", command: "pan-right" },
  { key: "ArrowUp", command: "pan-up" },
  { key: "ArrowDown", command: "pan-down" },
  { key: "k", command: "link" },
  { key: "ArrowRight", control: true, command: "window-wider" },
  { key: "ArrowLeft", control: true, command: "window-narrower" },
  { key: "ArrowUp", control: true, command: "brighter" },
  { key: "ArrowDown", control: true, command: "darker" },
  { key: "v", command: "preset" },
  { key: "i", command: "invert" },
  { key: "r", command: "reset" },
  { key: "a", command: "outlines" },
  { key: "n", command: "contours" },
  { key: "h", command: "tint" },
  { key: "x", command: "marks" },
  { key: "a", shift: true, command: "threshold-up" },
  { key: "n", shift: true, command: "threshold-down" },
  { key: "w", command: "tool-window" },
  { key: "p", command: "tool-pan" },
  { key: "z", command: "tool-zoom" },
  { key: "m", command: "tool-magnifier" },
  { key: "l", command: "tool-length" },
  { key: "d", command: "tool-point" },
  { key: "e", command: "tool-ellipse" },
  { key: "f", command: "tool-arrow" },
  { key: "q", command: "tool-text" },
  { key: "z", control: true, command: "undo" },
  { key: "z", control: true, shift: true, command: "redo" },
  { key: "Delete", command: "delete" },
  { key: "Escape", command: "cancel" },
];

export interface Stroke {
  readonly key: string;
  readonly shiftKey: boolean;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
}

/** The command of a stroke; null if it has none. Signs may need Shift on some keyboards. */
export function commandOf(
  stroke: Stroke,
  bindings: readonly Binding[] = BINDINGS,
): CommandId | null {
  if (stroke.altKey) return null;
  const key = stroke.key.length === 1 ? stroke.key.toLowerCase() : stroke.key;
  const control = stroke.ctrlKey || stroke.metaKey;
  const sign = /^[^a-z ]$/.test(key);
  const found = bindings.find(
    (one) =>
      one.key === key &&
      (one.control ?? false) === control &&
      (sign || (one.shift ?? false) === stroke.shiftKey),
  );
  return found?.command ?? null;
}

/** The first binding of a command, as a person reads it: "Ctrl+Shift+Z". */
export function keyWords(command: CommandId, names: (key: string) => string): string {
  const binding = BINDINGS.find((one) => one.command === command);
  if (binding === undefined) return "";
  const parts = [binding.control && "Ctrl", binding.shift && "Shift"].filter(Boolean);
  return [...parts, names(binding.key)].join("+");
}
