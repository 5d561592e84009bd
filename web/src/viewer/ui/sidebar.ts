/** The bar beside the pictures: patient, steps, tools, display, AI, the selected mark. */

import { COMMANDS, type CommandId, fieldsOf, withLayers } from "../commands";
import type { AiResult, Exam } from "../exam";
import type { MessageKey, Words } from "../messages/text";
import type { Scene } from "../scene";
import type { ViewerState } from "../state";
import { keyWords } from "../tools/keys";
import { viewWords } from "./corner";
import { element } from "./dom";
import type { SidebarHost } from "./host";
import { keyName } from "./key_name";
import { makeMarkPanel } from "./mark_panel";

export interface Sidebar {
  readonly element: HTMLElement;
  show(state: ViewerState, scene: Scene): void;
}

const STEPS: readonly CommandId[] = [
  "four-up",
  "right-pair",
  "left-pair",
  "cc-pair",
  "mlo-pair",
  "field-step",
  "previous",
  "next",
];
const TOOLS: readonly CommandId[] = [
  "tool-window",
  "tool-pan",
  "tool-zoom",
  "tool-magnifier",
  "tool-length",
  "tool-point",
  "tool-ellipse",
  "tool-arrow",
  "tool-text",
  "undo",
];
const DISPLAY: readonly CommandId[] = [
  "whole",
  "one-to-one",
  "true-size",
  "fit-breast",
  "link",
  "invert",
  "preset",
  "prior",
  "marks",
  "reset",
];
/** Longer names of keys stand in the title only. */
const WIDEST_KEY = 5;

const AI: readonly CommandId[] = ["outlines", "contours", "tint"];

export function makeSidebar(host: SidebarHost, words: Words): Sidebar {
  const buttons = new Map<CommandId, HTMLButtonElement>();
  const button = (id: CommandId): HTMLButtonElement => {
    const key = keyWords(id, (name) => keyName(name, words));
    const made = element(
      "button",
      { type: "button", title: `${words.say(`command.${id}`)} (${key})` },
      words.say(`command.${id}`),
      element("kbd", {}, key.length <= WIDEST_KEY ? key : ""),
    );
    made.addEventListener("click", () => host.run(id));
    buttons.set(id, made);
    return made;
  };
  const group = (title: MessageKey, ids: readonly CommandId[], ...more: Node[]) =>
    element(
      "section",
      { "aria-label": words.say(title) },
      element("h2", {}, words.say(title)),
      element("div", { class: "buttons" }, ...ids.map(button)),
      ...more,
    );
  const plain = (title: MessageKey, act: () => void) => {
    const made = element("button", { type: "button" }, words.say(title));
    made.addEventListener("click", act);
    return made;
  };

  const patient = element("section", { class: "patient" });
  const status = element("p", { class: "status", role: "status" });
  const aiWords = element("p", { class: "ai-words" });
  const priorWords = element("p", { class: "ai-words" });
  const threshold = slider(words.say("ai.threshold-label"), 0.25, 4, 0.25, (value) =>
    host.change(withLayers(host.state, { threshold: value })),
  );
  const opacity = slider(words.say("ai.opacity"), 0.1, 0.9, 0.05, (value) =>
    host.change(withLayers(host.state, { opacity: value })),
  );
  const markPanel = makeMarkPanel(host, words);
  const root = element(
    "aside",
    { class: "sidebar" },
    element(
      "div",
      { class: "scrolled" },
      patient,
      aiWords,
      priorWords,
      group("viewer.steps", STEPS, status),
      group("viewer.tools", TOOLS),
      markPanel.element,
      group("viewer.display", DISPLAY),
      group("viewer.ai", AI, threshold.element, opacity.element),
    ),
    element(
      "footer",
      {},
      element(
        "div",
        { class: "buttons" },
        plain("viewer.help", host.openHelp),
        plain("viewer.calibrate", host.openCalibration),
      ),
      element("p", { class: "research" }, words.say("viewer.research")),
    ),
  );
  let exam: Exam | null = null;
  let shownKey = "";

  return {
    element: root,
    show(state, scene) {
      // Zoom, pan and window change nothing here; they are what must be quick.
      const key = keyOf(state, scene);
      if (key === shownKey) return;
      shownKey = key;
      if (exam !== state.exam) {
        exam = state.exam;
        patient.replaceChildren(...patientLines(state, words));
        aiWords.textContent = aiLine(state.exam.ai, words);
        aiWords.classList.toggle("warning", state.exam.ai.state !== "available");
      }
      priorWords.textContent = priorLine(state, words);
      priorWords.classList.toggle("warning", state.priorProblem !== null);
      status.textContent = stepWords(state, scene, words);
      for (const [id, made] of buttons) {
        const pressed = isPressed(id, state);
        if (pressed !== null) made.setAttribute("aria-pressed", String(pressed));
        made.disabled = !isPossible(id, state, scene);
      }
      threshold.show(state.layers.threshold, `${words.number(state.layers.threshold, 2)}×`);
      opacity.show(state.layers.opacity, words.percent(state.layers.opacity));
      markPanel.show(state);
    },
  };
}

/** Everything that the bar depends on. */
function keyOf(state: ViewerState, scene: Scene): string {
  const { step, field, tool, layers, linked, invert, showPrior, fit, screen, selected } = state;
  const mark = state.marks.marks.find((one) => one.id === selected) ?? null;
  const choices = { step, field, tool, layers, linked, invert, showPrior, fit, screen, mark };
  const undoable = state.marks.past.length > 0;
  const shown = scene.panes.map((pane) => pane.shown?.image.sopInstanceUid ?? null);
  const prior = [state.prior?.id, state.priorProblem];
  return JSON.stringify([
    state.exam.id,
    state.exam.ai.state,
    prior,
    choices,
    undoable,
    scene.unit,
    shown,
  ]);
}

function patientLines({ exam }: ViewerState, words: Words): Node[] {
  const { patient } = exam;
  const name = patient.name?.replaceAll("^", " ").trim() || words.say("viewer.no-patient");
  const born = patient.birthDate && words.say("viewer.born", { date: patient.birthDate });
  const age = patient.ageYears && words.say("viewer.age", { years: patient.ageYears });
  const date = exam.date ?? words.say("viewer.unknown-date");
  const lines = [
    element("p", { class: "name" }, name),
    element("p", {}, [patient.id, born, age].filter(Boolean).join(" · ")),
    element("p", {}, words.say("viewer.study-date", { date })),
  ];
  if (exam.accessionNumber !== null) {
    const number = exam.accessionNumber;
    lines.push(element("p", {}, words.say("viewer.accession", { number })));
  }
  if (exam.banner !== null) lines.push(element("p", { class: "banner" }, exam.banner));
  for (const object of exam.refused) {
    const refused = words.say("place.refused", { reason: object.reason });
    lines.push(element("p", { class: "warning" }, `${viewWords(object, words)}: ${refused}`));
  }
  for (const doubt of exam.doubts) lines.push(element("p", { class: "warning" }, doubt));
  return lines;
}

function aiLine(ai: AiResult, words: Words): string {
  switch (ai.state) {
    case "failed":
      return words.say("ai.failed", { reason: ai.reason });
    case "available":
      return words.say("ai.available", {
        category: words.say(`ai.category.${ai.category}`),
        share: words.percent(ai.malignant),
        prevalence: words.percent(ai.prevalence),
        model: ai.model,
      });
    default:
      return words.say(`ai.${ai.state}`);
  }
}

function priorLine({ exam, priorProblem }: ViewerState, words: Words): string {
  const [latest] = exam.priors;
  if (latest === undefined) return words.say("viewer.no-prior");
  const date = latest.date ?? words.say("viewer.unknown-date");
  if (priorProblem === null) return words.say("viewer.prior", { date });
  return words.say("viewer.prior-failed", { date, reason: priorProblem });
}

function stepWords(state: ViewerState, scene: Scene, words: Words): string {
  const parts = [words.say("viewer.step", { n: state.step + 1, of: state.steps.length })];
  if (state.steps[state.step].kind === "fields") {
    const of = fieldsOf(scene).length;
    parts.push(words.say("viewer.field", { n: state.field + 1, of }));
  }
  const shown = scene.panes.some((pane) => pane.shown !== null);
  if (shown && scene.unit === "px") parts.push(words.say("doubt.sizes"));
  return parts.join(" · ");
}

/** Whether a button is a switch that is on; null for one that only acts. */
function isPressed(id: CommandId, state: ViewerState): boolean | null {
  if (id.startsWith("tool-")) return state.tool === id.slice("tool-".length);
  const step = state.steps[state.step];
  switch (id) {
    case "four-up":
    case "right-pair":
    case "left-pair":
    case "cc-pair":
    case "mlo-pair":
      return step.id === id;
    case "field-step":
      return step.kind === "fields";
    case "outlines":
    case "contours":
    case "tint":
    case "marks":
      return state.layers[id];
    case "link":
      return state.linked;
    case "invert":
      return state.invert;
    case "prior":
      return state.showPrior;
    case "fit-breast":
      return state.fit === "breast";
    default:
      return null;
  }
}

/** A button that can do nothing now is disabled rather than silent. */
function isPossible(id: CommandId, state: ViewerState, scene: Scene): boolean {
  switch (id) {
    case "prior":
      return state.prior !== null;
    case "true-size":
      return state.screen !== null && scene.unit === "mm";
    case "undo":
      return state.marks.past.length > 0;
    case "outlines":
    case "contours":
    case "tint":
      return state.exam.ai.state === "available";
    case "preset":
      return scene.panes.some(({ shown }) => (shown?.image.voi.length ?? 0) > 1);
    default:
      return id in COMMANDS;
  }
}

function slider(
  label: string,
  min: number,
  max: number,
  step: number,
  change: (value: number) => void,
): { element: HTMLElement; show(value: number, words: string): void } {
  const input = element("input", { type: "range", min, max, step });
  const output = element("output");
  input.addEventListener("input", () => change(Number(input.value)));
  return {
    element: element("label", { class: "slider" }, element("span", {}, label), input, output),
    show(value, words) {
      input.value = String(value);
      output.textContent = words;
    },
  };
}
