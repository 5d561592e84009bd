/** Describing the selected mark: BI-RADS descriptors, a remark, deleting it. */

import type { MessageKey, Words } from "../messages/text";
import type { ViewerState } from "../state";
import {
  DESCRIPTORS,
  type Descriptors,
  FINDING_TYPES,
  type FindingType,
  withAnswer,
  withType,
} from "../tools/descriptors";
import { type Mark, withMark } from "../tools/marks";
import { element } from "./dom";
import type { SidebarHost } from "./host";

export interface MarkPanel {
  readonly element: HTMLElement;
  show(state: ViewerState): void;
}

export function makeMarkPanel(host: SidebarHost, words: Words): MarkPanel {
  const root = element("section", { class: "mark-panel", "aria-label": words.say("mark.title") });
  root.hidden = true;
  let shown: Mark | undefined;

  const replace = (mark: Mark, changes: Partial<Mark>) => {
    const marks = withMark(host.state.marks, { ...mark, ...changes });
    host.change({ ...host.state, marks });
  };

  function build(mark: Mark): Node[] {
    const remark = element("input", { type: "text", value: mark.text, maxlength: 200 });
    remark.addEventListener("change", () => replace(mark, { text: remark.value.trim() }));
    const remove = element("button", { type: "button" }, words.say("mark.delete"));
    remove.addEventListener("click", () => host.run("delete"));
    const done = element("button", { type: "button" }, words.say("mark.done"));
    done.addEventListener("click", () => host.change({ ...host.state, selected: null }));
    const describe = (descriptors: Descriptors | null) => replace(mark, { descriptors });
    const fields = mark.kind === "text" ? [] : descriptorFields(mark.descriptors, describe, words);
    return [
      element("h2", {}, words.say("mark.title")),
      ...fields,
      element("label", {}, element("span", {}, words.say("mark.text")), remark),
      element("div", { class: "buttons" }, remove, done),
    ];
  }

  return {
    element: root,
    show(state) {
      const mark = state.marks.marks.find((one) => one.id === state.selected);
      if (
        mark?.id === shown?.id &&
        mark?.text === shown?.text &&
        mark?.descriptors === shown?.descriptors
      )
        return;
      const wasOpen = shown?.id;
      shown = mark;
      root.hidden = mark === undefined;
      root.replaceChildren(...(mark === undefined ? [] : build(mark)));
      if (mark !== undefined && mark.id !== wasOpen) root.scrollIntoView({ block: "nearest" });
      if (mark?.kind === "text" && mark.id !== wasOpen) root.querySelector("input")?.focus();
    },
  };
}

function descriptorFields(
  descriptors: Descriptors | null,
  change: (descriptors: Descriptors | null) => void,
  words: Words,
): Node[] {
  const type = choice(
    words.say("mark.type"),
    words.say("mark.none"),
    FINDING_TYPES.map((one) => [one, words.say(`birads.${one}`)]),
    descriptors?.type ?? null,
    (value) => change(value === null ? null : withType(value as FindingType)),
  );
  if (descriptors === null) return [type];
  const groups = DESCRIPTORS[descriptors.type].map((group) => {
    const name = `birads.${descriptors.type}.${group.id}`;
    return choice(
      words.say(name as MessageKey),
      words.say("mark.open"),
      group.values.map((value) => [value, words.say(`${name}.${value}` as MessageKey)]),
      descriptors.answers[group.id] ?? null,
      (value) => change(withAnswer(descriptors, group.id, value)),
    );
  });
  return [type, ...groups];
}

function choice(
  label: string,
  none: string,
  options: readonly (readonly [string, string])[],
  value: string | null,
  change: (value: string | null) => void,
): HTMLElement {
  const select = element(
    "select",
    {},
    element("option", { value: "" }, none),
    ...options.map(([id, text]) => element("option", { value: id, selected: id === value }, text)),
  );
  select.addEventListener("change", () => change(select.value === "" ? null : select.value));
  return element("label", {}, element("span", {}, label), select);
}
