/** The page of keys, and the calibration of the screen. */

import type { Words } from "../messages/text";
import { BINDINGS, keyWords } from "../tools/keys";
import { element } from "./dom";
import { keyName } from "./key_name";

export function openHelp(root: HTMLElement, words: Words): void {
  const commands = [...new Set(BINDINGS.map((binding) => binding.command))];
  const rows = commands.flatMap((command) => [
    element(
      "dt",
      {},
      element(
        "kbd",
        {},
        keyWords(command, (key) => keyName(key, words)),
      ),
    ),
    element("dd", {}, words.say(`command.${command}`)),
  ]);
  show(
    root,
    words,
    words.say("viewer.help-title"),
    element("p", {}, words.say("viewer.help-mouse")),
    element("p", {}, words.say("viewer.help-cursor")),
    element("dl", { class: "keys" }, ...rows),
  );
}

/** Width of a bank card, ISO/IEC 7810 ID-1. */
const CARD_MM = 85.6;

/** Asks for the length of a bank card on the screen; `save` gets device pixels per millimetre. */
export function openCalibration(
  root: HTMLElement,
  words: Words,
  screen: number | null,
  save: (devicePixelsPerMm: number) => void,
): void {
  const ratio = window.devicePixelRatio;
  const start = Math.round(((screen ?? 4) * CARD_MM) / ratio);
  const bar = element("div", { class: "calibration-bar", "aria-hidden": "true" });
  const input = element("input", { type: "range", min: 150, max: 1200, step: 1, value: start });
  const output = element("output");
  const draw = () => {
    bar.style.width = `${input.value}px`;
    output.textContent = `${input.value} px`;
  };
  input.addEventListener("input", draw);
  const ok = element("button", { type: "button" }, words.say("calibration.save"));
  const label = element(
    "label",
    {},
    element("span", {}, words.say("calibration.length")),
    input,
    output,
  );
  const dialog = show(
    root,
    words,
    words.say("calibration.title"),
    element("p", {}, words.say("calibration.how")),
    bar,
    label,
    ok,
  );
  ok.addEventListener("click", () => {
    save((Number(input.value) * ratio) / CARD_MM);
    dialog.close();
  });
  draw();
  input.focus();
}

function show(
  root: HTMLElement,
  words: Words,
  title: string,
  ...content: Node[]
): HTMLDialogElement {
  const close = element("button", { type: "button" }, words.say("viewer.close"));
  const dialog = element(
    "dialog",
    { "aria-label": title },
    element("h2", {}, title),
    ...content,
    close,
  );
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    dialog.remove();
    root.focus();
  });
  root.append(dialog);
  dialog.showModal();
  return dialog;
}
