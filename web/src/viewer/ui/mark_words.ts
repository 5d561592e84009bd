/** A mark in words: its length with the source of the spacing, its descriptors, its remark. */

import type { ExamImage } from "../exam";
import { lengthOf } from "../geometry/spacing";
import type { MessageKey, Words } from "../messages/text";
import { DESCRIPTORS, type Descriptors } from "../tools/descriptors";
import type { Mark } from "../tools/marks";

export function markWords(mark: Mark, image: ExamImage, words: Words): string {
  const parts: string[] = [];
  if (mark.kind === "length") parts.push(lengthWords(mark, image, words));
  if (mark.descriptors !== null) parts.push(descriptorWords(mark.descriptors, words));
  if (mark.text !== "") parts.push(mark.text);
  return parts.join("\n");
}

export function lengthWords(mark: Mark, image: ExamImage, words: Words): string {
  const length = lengthOf(mark.points[0], mark.points[1], image);
  if (length.unit === "px") return words.say("length.px", { value: words.number(length.value, 0) });
  const value = words.say("length.mm", { value: words.number(length.value, 1) });
  return `${value} (${words.say(`length.${length.source}`)})`;
}

/** "mass: irregular, spiculated". */
export function descriptorWords(descriptors: Descriptors, words: Words): string {
  const { type, answers } = descriptors;
  const said = DESCRIPTORS[type]
    .filter((group) => group.id in answers)
    .map((group) => words.say(`birads.${type}.${group.id}.${answers[group.id]}` as MessageKey));
  const name = words.say(`birads.${type}`);
  return said.length === 0 ? name : `${name}: ${said.join(", ")}`;
}
