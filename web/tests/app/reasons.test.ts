import { describe, expect, test } from "vitest";
import { gathered } from "../../src/app/logic/exam_words";
import { type ReasonMessages, reasonsOf } from "../../src/app/messages/reasons";
import ar from "../../src/app/messages/reasons/ar.json";
import de from "../../src/app/messages/reasons/de.json";
import en from "../../src/app/messages/reasons/en.json";
import hi from "../../src/app/messages/reasons/hi.json";
import { LANGUAGES, loadAppWords } from "../../src/app/messages/text";
import forms from "../golden/reasons.json";

const FILES: Readonly<Record<string, ReasonMessages>> = { en, de, hi, ar };
/** Values that no message has; the same word stays the same in each language. */
const filled = (form: string) => {
  const values = form.split("{}").length > 2 ? ["VOILUTSequence", "has no entries", "Xc"] : [];
  let n = 0;
  return form.replaceAll("{}", () => values[n++ % 3] ?? "has no entries");
};
const holes = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();
/** Some sentences are names and values alone, the same in each language. */
const SAME = ["other", "table_wrong", "age_unusable"];

describe.each(LANGUAGES.map(([code]) => code))("what mammolens says, in %s", (code) => {
  const reasons = reasonsOf(code, en, FILES[code]);

  test("has a message for every code, with the same values", () => {
    expect(Object.keys(FILES[code])).toEqual(Object.keys(en));
    for (const [key, text] of Object.entries(en)) {
      expect(holes(FILES[code][key]), key).toEqual(holes(text));
      if (code !== "en" && !SAME.includes(key) && !/^\{\w+\} ?\W*\{\w+\}$/.test(text)) {
        expect(FILES[code][key], key).not.toBe(text);
      }
    }
  });

  test.each(Object.entries(forms.cautions))("%s", (_, said) => {
    for (const form of said) {
      const text = filled(form);
      expect(reasons.knows(text), text).toBe(true);
      if (code !== "en" && !/^\W*\{\}\W*\{\}$/.test(form)) {
        expect(reasons.say(text), text).not.toBe(text);
        expect(reasons.say(text), text).not.toContain("mammolens");
      }
    }
  });

  test("has a sentence for every kind of refusal", () => {
    for (const name of forms.refusals) expect(reasons.say(name), name).not.toBe(name);
  });
});

describe("values", () => {
  const german = reasonsOf("de", en, de);

  test("stand in the sentence, and phrases of mammolens are translated in it", () => {
    expect(german.say("the tube was 30° from the vertical, unusual for CC")).toBe(
      "Die Röhre stand 30° aus der Senkrechten, ungewöhnlich für CC.",
    );
    expect(german.say("R CC: the file name says that this is a magnified view")).toBe(
      "R CC: Nach dem Dateinamen ist das eine Vergrößerungsaufnahme.",
    );
    expect(
      german.say(
        "VOILUTSequence announces 9 entries and has 4; has entries with swapped bytes, which was corrected",
      ),
    ).toBe(
      "VOILUTSequence kündigt 9 Einträge an und hat 4; hat Einträge mit vertauschten Bytes; das wurde berichtigt",
    );
  });

  test("every reason why an exam is not low is translated by itself", () => {
    const text =
      "not called low, because not scored: R CC, L CC; 2 objects that may show a breast were not analysed; the breast has an implant; 3 further doubts";
    expect(german.say(text)).toBe(
      "Nicht als niedrig eingestuft, weil: nicht bewertet: R CC, L CC; 2 Objekte, die eine Brust zeigen können, wurden nicht analysiert; Die Brust hat ein Implantat.; 3 weitere Zweifel",
    );
  });

  test("the same doubt about several views is said once", () => {
    const text = "the breast has an implant";
    const doubts = gathered([`R CC: ${text}`, `L CC: ${text}`, "views are missing: LMLO", text]);
    expect(doubts).toEqual([`R CC, L CC: ${text}`, "views are missing: LMLO"]);
    expect(german.say(doubts[0])).toBe("R CC, L CC: Die Brust hat ein Implantat.");
  });

  test("a refusal keeps its file and attribute, and has its remedy in the same language", () => {
    const text =
      "a/b.dcm: JPEG of 12 bits is not read on this device [TransferSyntaxUID]. Send the file to the server, or export it uncompressed, as RLE or JPEG-LS.";
    expect(german.say(text)).toBe(
      "a/b.dcm: JPEG of 12 bits wird auf diesem Gerät nicht gelesen. Senden Sie die Datei an den Server. [TransferSyntaxUID]",
    );
  });

  test("a sentence of a newer server is shown as it is, and named as English", () => {
    expect(german.say("a moth sat on the detector")).toBe(
      "In den Worten von mammolens (Englisch): a moth sat on the detector",
    );
    const half = "the breast has an implant; a moth sat on the detector";
    expect(german.say(half)).toContain("(Englisch): a moth sat on the detector");
    expect(reasonsOf("en", en, en).say("a moth sat on the detector")).toBe(
      "a moth sat on the detector",
    );
  });

  test("come with the words of the page", async () => {
    const arabic = await loadAppWords("ar");
    expect(arabic.reason("the breast has an implant")).toBe("في الثدي حشوة.");
    expect((await loadAppWords("en")).reason("NotAMammogram")).toMatch(/not a mammogram/);
  });
});
