import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { EVENT_NAMES } from "../../src/app/api/events";
import { PAGES } from "../../src/app/logic/route";
import { dateWords } from "../../src/app/logic/times";
import en from "../../src/app/messages/en.json";
import { LANGUAGES, loadAppWords } from "../../src/app/messages/text";

const root = resolve(import.meta.dirname, "../../src/app");
const files = readdirSync(root, { recursive: true, encoding: "utf-8" })
  .filter((name) => /\.(ts|tsx|css)$/.test(name))
  .map((name) => join(root, name));
const textOf = (file: string) => readFileSync(file, "utf-8");
const modules = files.filter((file) => !file.endsWith(".css"));

describe("messages", () => {
  test.each(LANGUAGES.map(([code]) => code))("%s has every key and value to fill in", (code) => {
    const file = join(root, "messages", `${code}.json`);
    const messages: Record<string, string> = JSON.parse(textOf(file));
    expect(Object.keys(messages)).toEqual(Object.keys(en));
    const holes = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();
    for (const [key, text] of Object.entries(en)) {
      expect(holes(messages[key]), key).toEqual(holes(text));
    }
  });

  test.each(["hi", "ar"])("%s has no message that is still English", (code) => {
    const messages: Record<string, string> = JSON.parse(
      textOf(join(root, "messages", `${code}.json`)),
    );
    // Names of formats and keys are the same everywhere, and values stand alone.
    const named = /DICOM|BI-RADS|PDF|SR|GSPS|FHIR|HL7|PIN|PPV\d|AI|Ctrl\+Enter|\{\w+\}|[^\p{L}]/gu;
    const english = Object.entries(en).filter(([key, text]) => messages[key] === text);
    expect(english.filter(([, text]) => text.replace(named, "") !== "")).toEqual([]);
  });

  test("a language is loaded, and English stands in for one that is not there", async () => {
    const hindi = await loadAppWords("hi-IN");
    expect([hindi.language, hindi.direction]).toEqual(["hi", "ltr"]);
    expect(hindi.say("page.worklist")).toBe("कार्य-सूची");
    expect((await loadAppWords("sw")).language).toBe("en");
  });

  test("in Arabic, values keep their direction, and digits are those of BI-RADS", async () => {
    const arabic = await loadAppWords("ar");
    expect(arabic.direction).toBe("rtl");
    expect(arabic.say("reading.birads-n", { n: 4 })).toBe("BI-RADS \u20684\u2069");
    expect(arabic.number(0.85, 2)).toMatch(/0.85/);
    expect(dateWords("20261130", arabic.locale)).toMatch(/2026/);
  });

  test("there is one for each page", () => {
    expect(PAGES.filter((page) => !(`page.${page}` in en))).toEqual([]);
  });

  test("none is written into a component", () => {
    const loose = modules
      .filter((file) => file.endsWith(".tsx"))
      .flatMap((file) => {
        const code = textOf(file).replace(/\/\*[\s\S]*?\*\/|(?<!:)\/\/.*$/gm, "");
        const texts = [...code.matchAll(/>([^<>{}]*\p{L}{2,}[^<>{}]*)(?=<\/|\{)/gu)]
          .map(([, text]) => text.trim())
          // Code between type parameters, and names of types, are no texts.
          .filter((text) => !/[;=()?&|[\]"]|^([A-Z][a-z]+){2,}$|^string$/.test(text))
          // PDF and CSV are the same in each language.
          .filter((text) => !["PDF", "CSV"].includes(text));
        const spoken = /\b(aria-label|placeholder|alt|label|hint)="[^"]*\p{L}[^"]*"/gu;
        return [...texts, ...[...code.matchAll(spoken)].map(String)];
      });
    expect(loose).toEqual(["mammolens"]);
  });
});

describe("the house", () => {
  test("has no file of more than 350 lines", () => {
    expect(files.filter((file) => textOf(file).split("\n").length > 351)).toEqual([]);
  });

  /** Floors from the ground up; a module imports its own floor and those below. */
  const FLOORS: readonly RegExp[] = [
    /^api\//,
    /^(logic|messages)\//,
    /^device\//,
    /^session\/(keeper|qr)$/,
    /^parts\//,
    /^(shell|session)\//,
    /^pages\//,
    /^App$/,
    /^main$/,
  ];
  const floor = (module: string) => FLOORS.findIndex((one) => one.test(module));
  const imports = (file: string) =>
    [...textOf(file).matchAll(/(?:from|import\() ?"(\.[^"]+)"/g)].map(([, to]) =>
      relative(root, resolve(dirname(file), to)),
    );

  test("imports point downward", () => {
    const upward = modules.flatMap((file) => {
      const module = relative(root, file).replace(/\.\w+$/, "");
      expect(floor(module), module).toBeGreaterThanOrEqual(0);
      return imports(file)
        .filter((to) => !to.startsWith("..") && !/\.(css|json)$/.test(to))
        .filter((to) => floor(to) > floor(module))
        .map((to) => `${module} → ${to}`);
    });
    expect(upward).toEqual([]);
  });

  test("what decides needs no React", () => {
    const pure = modules.filter((file) => /\/app\/(api|logic|messages|device)\//.test(file));
    expect(pure.filter((file) => /from "react/.test(textOf(file)))).toEqual([]);
  });

  test("has its colours in one file", () => {
    const found = files.filter((file) => file.endsWith(".css") && !file.endsWith("tokens.css"));
    const colours = found.flatMap((file) =>
      [...textOf(file).matchAll(/#[0-9a-f]{3,8}\b/gi)].map(([colour]) => colour),
    );
    // White on the strong accent and under a QR code, black under films.
    expect([...new Set(colours)].sort()).toEqual(["#000", "#fff"]);
  });

  test("shares no names of classes with the viewer, whose styles would meet", () => {
    const classes = (css: string) =>
      new Set(
        [...css.replace(/@import.*/g, "").matchAll(/\.([a-z][a-z0-9-]*)/g)].map(([, name]) => name),
      );
    const sheets = ["viewer.css", "viewer_shapes.css"].map((name) => join(root, "../viewer", name));
    const viewer = classes(sheets.map(textOf).join("\n"));
    const ours = classes(
      files
        .filter((f) => f.endsWith(".css"))
        .map(textOf)
        .join("\n"),
    );
    const shared = [...viewer].filter((name) => ours.has(name));
    // The quiet colour and the notice mean the same in both.
    expect(shared.sort()).toEqual(["quiet", "research"]);
  });

  test("knows every kind of event once", () => {
    expect(new Set(EVENT_NAMES).size).toBe(EVENT_NAMES.length);
  });
});
