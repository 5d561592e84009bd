/** The buttons under the pocket viewer, large enough for a thumb. */

import type { Words } from "../messages/text";
import { element } from "./dom";

export interface PocketActs {
  step(by: 1 | -1): void;
  whole(): void;
  full(): void;
  outlines(): void;
}

export interface PocketBarState {
  readonly place: string;
  readonly isFirst: boolean;
  readonly isLast: boolean;
  readonly hasOutlines: boolean;
  readonly showsOutlines: boolean;
  readonly canLoad: boolean;
}

export interface PocketBar {
  readonly element: HTMLElement;
  show(state: PocketBarState): void;
}

export function pocketBar(words: Words, acts: PocketActs): PocketBar {
  const button = (text: string, act: () => void, label = text) => {
    const made = element("button", { type: "button", "aria-label": label }, text);
    made.addEventListener("click", act);
    return made;
  };
  const previous = button("‹", () => acts.step(-1), words.say("pocket.previous"));
  const next = button("›", () => acts.step(1), words.say("pocket.next"));
  const outlines = button(words.say("pocket.outlines"), acts.outlines);
  const full = button(words.say("pocket.full"), acts.full);
  const whole = button(words.say("pocket.whole"), acts.whole);
  const place = element("span", { class: "pocket-place" });
  const middle = element("div", { class: "pocket-middle" }, place, outlines, full, whole);
  return {
    element: element("div", { class: "pocket-bar" }, previous, middle, next),
    show(state) {
      place.textContent = state.place;
      previous.disabled = state.isFirst;
      next.disabled = state.isLast;
      outlines.hidden = !state.hasOutlines;
      outlines.setAttribute("aria-pressed", String(state.showsOutlines));
      full.hidden = !state.canLoad;
    },
  };
}
