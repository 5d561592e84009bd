import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { COMMANDS } from "../../src/viewer/commands";
import ar from "../../src/viewer/messages/ar.json";
import de from "../../src/viewer/messages/de.json";
import en from "../../src/viewer/messages/en.json";
import hi from "../../src/viewer/messages/hi.json";
import { wordsOf } from "../../src/viewer/messages/text";
import { type Shown, sceneOf } from "../../src/viewer/scene";
import { lookOf, openExam } from "../../src/viewer/state";
import { DESCRIPTORS, FINDING_TYPES } from "../../src/viewer/tools/descriptors";
import { BINDINGS } from "../../src/viewer/tools/keys";
import { lowerLines, upperLines } from "../../src/viewer/ui/corner";
import { lengthWords } from "../../src/viewer/ui/mark_words";
import { makeExam, makeImage } from "./make_exam";

const words = wordsOf("en", en);
const SIZE = { width: 1800, height: 1000 };

function corner(changes: Parameters<typeof makeImage>[2], exam = {}, frame?: number) {
  const image = makeImage("R", "CC", changes);
  const state = openExam(makeExam({ images: [image], ...exam }), null);
  const scene = sceneOf(state, SIZE);
  const [pane] = scene.panes;
  const shown = pane.shown as Shown;
  const progress = { kind: "pixels", frame: frame ?? lookOf(state, image).frame } as const;
  const upper = upperLines(state, pane, shown, progress, words).map(({ text }) => text);
  const lower = lowerLines(state, scene, pane, shown, words).map(({ text }) => text);
  return { upper, lower, state, pane, shown };
}

describe("the corner", () => {
  test("always names side, view and date", () => {
    expect(corner({}).upper.slice(0, 2)).toEqual(["R CC", "2026-10-01  10:15"]);
    expect(corner({ date: null, time: null }).upper[1]).toBe("date unknown");
  });

  test("says that a stack is not analysed, and which slice is shown", () => {
    const { upper } = corner({ kind: "tomosynthesis", frames: 40 });
    expect(upper).toContain("TOMOSYNTHESIS 20/40");
    expect(upper).toContain("not analysed by the AI");
  });

  test("names the slice that is on the screen, not the one that is on its way", () => {
    const { upper } = corner({ kind: "tomosynthesis", frames: 40 }, {}, 17);
    expect(upper).toContain("TOMOSYNTHESIS 17/40");
    expect(upper).toContain("slice 20 is loading");
  });

  test("labels synthetic pictures, and pictures that a result leaves out", () => {
    const ai = {
      state: "available",
      model: "m",
      category: "low",
      malignant: 0.1,
      prevalence: 0.01,
      images: [],
    } as const;
    const { upper } = corner({ kind: "synthetic-2d" }, { ai });
    expect(upper).toContain("SYNTHETIC 2D");
    expect(upper).toContain("not analysed by the AI");
  });

  test("says when what is shown is only a preview, or all there is", () => {
    const { state, pane, shown } = corner({});
    const say = (progress: Parameters<typeof upperLines>[3]) =>
      upperLines(state, pane, shown, progress, words).at(-1)?.text;
    expect(say({ kind: "preview" })).toMatch(/^Preview/);
    expect(say({ kind: "failed", reason: "cut off" })).toMatch(/cannot be shown: cut off/);
  });

  test("says that a picture was mirrored, and doubts about it", () => {
    const stored = { patientOrientation: ["A", "L"], chestWallEdge: "left" } as const;
    expect(corner({ orientation: stored }).upper).toContain("mirrored to hang");
    const unknown = { patientOrientation: null, chestWallEdge: null };
    expect(corner({ orientation: unknown }).upper.join()).toMatch(/orientation unknown/);
  });

  test("names the source of the spacing", () => {
    expect(corner({}).lower.at(-1)).toBe("0.070 mm per pixel at the detector, not corrected");
    const none = { imager: null, magnification: null, calibrated: null, documented: null };
    expect(corner({ spacing: none }).lower.at(-1)).toBe("spacing unknown, lengths in pixels");
  });
});

test("a length says what it was measured with", () => {
  const mark = {
    id: "a",
    sopInstanceUid: "",
    frame: 1,
    kind: "length",
    points: [
      [0, 0],
      [100, 0],
    ],
    text: "",
    descriptors: null,
  } as const;
  expect(lengthWords(mark, makeImage("R", "CC"), words)).toBe("7.0 mm (at the detector)");
  expect(lengthWords(mark, makeImage("R", "CC"), wordsOf("de", de))).toBe("7,0 mm (am Detektor)");
});

describe("messages", () => {
  test.each(Object.entries({ de, hi, ar }))("%s has every key and value to fill in", (_, words) => {
    expect(Object.keys(words)).toEqual(Object.keys(en));
    const holes = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();
    for (const [key, text] of Object.entries(en)) {
      expect(holes(words[key as keyof typeof de]), key).toEqual(holes(text));
    }
  });

  test("there is one for each command, descriptor and key", () => {
    const needed = [
      ...Object.keys(COMMANDS).map((id) => `command.${id}`),
      ...FINDING_TYPES.flatMap((type) => [
        `birads.${type}`,
        ...DESCRIPTORS[type].flatMap((group) => [
          `birads.${type}.${group.id}`,
          ...group.values.map((value) => `birads.${type}.${group.id}.${value}`),
        ]),
      ]),
      ...BINDINGS.filter(({ key }) => key.length > 1).map(({ key }) => `key.${key}`),
    ];
    expect(needed.filter((key) => !(key in en))).toEqual([]);
  });
});

describe("the house", () => {
  const root = resolve(import.meta.dirname, "../../src/viewer");
  const files = readdirSync(root, { recursive: true, encoding: "utf-8" })
    .filter((name) => /\.(ts|tsx|css)$/.test(name))
    .map((name) => join(root, name));
  const imports = (file: string) =>
    [...readFileSync(file, "utf-8").matchAll(/(?:from|import\() ?"(\.[^"]+)"/g)].map(([, to]) =>
      relative(root, resolve(dirname(file), to)),
    );

  test("has no file of more than 350 lines", () => {
    const long = files.filter((file) => readFileSync(file, "utf-8").split("\n").length > 351);
    expect(long).toEqual([]);
  });

  /** Floors from the ground up; a module imports its own floor and those below. */
  const FLOORS: readonly RegExp[] = [
    /^exam$/,
    /^decode\//,
    /^pyramid$/,
    /^(resample|grey|window)$/,
    /^geometry\//,
    /^(hanging|render\/(protocol|film)|messages\/|overlay\/map$|tools\/(marks|descriptors)$)/,
    /^(loading\/|overlay\/)/,
    /^pocket_views$/,
    /^state$/,
    /^scene$/,
    /^commands$/,
    /^(tools\/|render\/)/,
    /^ui\//,
    /^viewer/,
    /^Viewer/,
  ];
  const floor = (module: string) => FLOORS.findIndex((one) => one.test(module));

  test("imports point downward", () => {
    const upward = files.flatMap((file) => {
      const module = relative(root, file).replace(/\.\w+$/, "");
      expect(floor(module), module).toBeGreaterThanOrEqual(0);
      return imports(file)
        .filter((to) => !to.endsWith(".css") && floor(to) > floor(module))
        .map((to) => `${module} → ${to}`);
    });
    expect(upward).toEqual([]);
  });

  test("only the component knows React", () => {
    const found = files.filter((file) => /from "react/.test(readFileSync(file, "utf-8")));
    expect(found.map((file) => relative(root, file))).toEqual(["Viewer.tsx"]);
  });
});
