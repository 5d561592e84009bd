import { describe, expect, test } from "vitest";
import { COMMANDS } from "../../src/viewer/commands";
import type { AiMap } from "../../src/viewer/exam";
import { contours, sampleMap, strengthAt, tint } from "../../src/viewer/overlay/map";
import { findingShapes, markShapes } from "../../src/viewer/overlay/shapes";
import { sceneOf, toPane } from "../../src/viewer/scene";
import { openExam, type Tool, type ViewerState } from "../../src/viewer/state";
import {
  DESCRIPTORS,
  FINDING_TYPES,
  withAnswer,
  withType,
} from "../../src/viewer/tools/descriptors";
import { begin, end, hover, move, moveCursor, pressKey } from "../../src/viewer/tools/gestures";
import {
  emptyHistory,
  type Mark,
  markAt,
  moved,
  redone,
  undone,
  withMark,
  withoutMark,
} from "../../src/viewer/tools/marks";
import { freeBelow } from "../../src/viewer/ui/overlay_svg";
import { largestDifference, type Packed, readGolden, unpack } from "./golden";
import { makeExam } from "./make_exam";

const SIZE = { width: 1000, height: 800 };
const state = (tool: Tool = "window"): ViewerState => ({ ...openExam(makeExam(), null), tool });
const mark = (changes: Partial<Mark> = {}): Mark => ({
  id: "a",
  sopInstanceUid: "1.2.R.CC",
  frame: 1,
  kind: "length",
  points: [
    [10, 10],
    [40, 50],
  ],
  text: "",
  descriptors: null,
  ...changes,
});

describe("marks", () => {
  test("can be undone and done again, and a new one ends what was undone", () => {
    const one = withMark(emptyHistory(), mark());
    const two = withMark(one, mark({ id: "b" }));
    expect(undone(two).marks).toHaveLength(1);
    expect(redone(undone(two)).marks).toHaveLength(2);
    expect(redone(withMark(undone(two), mark({ id: "c" }))).marks.map((m) => m.id)).toEqual([
      "a",
      "c",
    ]);
    expect(undone(emptyHistory()).marks).toEqual([]);
  });

  test("deleting one that is not there is no step", () => {
    const history = withMark(emptyHistory(), mark());
    expect(withoutMark(history, "x")).toBe(history);
    expect(undone(withoutMark(history, "a")).marks).toHaveLength(1);
  });

  test.each([
    [[10, 11], { id: "a", handle: 0 }],
    [[25, 30], { id: "a", handle: null }],
    [[25, 40], null],
  ] as const)("are found near %j", (at, hit) => {
    expect(markAt([mark()], at, 3)).toEqual(hit);
  });

  test("an ellipse is found at its line, not inside", () => {
    const ellipse = mark({
      kind: "ellipse",
      points: [
        [0, 0],
        [100, 60],
      ],
    });
    expect(markAt([ellipse], [50, 1], 3)).toEqual({ id: "a", handle: null });
    expect(markAt([ellipse], [50, 30], 3)).toBeNull();
  });

  test("move whole or by one end", () => {
    expect(moved(mark(), [5, 5]).points).toEqual([
      [15, 15],
      [45, 55],
    ]);
    expect(moved(mark(), [5, 5], 1).points).toEqual([
      [10, 10],
      [45, 55],
    ]);
  });
});

describe("BI-RADS descriptors", () => {
  test.each(FINDING_TYPES)("of a %s take each answer and take it back", (type) => {
    for (const group of DESCRIPTORS[type]) {
      for (const value of group.values) {
        const said = withAnswer(withType(type), group.id, value);
        expect(said.answers).toEqual({ [group.id]: value });
        expect(withAnswer(said, group.id, null).answers).toEqual({});
      }
    }
  });

  test("of another type are refused", () => {
    expect(() => withAnswer(withType("mass"), "morphology", "amorphous")).toThrow(
      /not a morphology/,
    );
  });
});

describe("drawing", () => {
  const press = (at: [number, number], pane = 0) => ({ pane, at, button: 0, newId: "new" });

  test("a drag makes a length in source pixels, and selects it", () => {
    const s = state("length");
    const scene = sceneOf(s, SIZE);
    const begun = begin(s, scene, press([400, 100]));
    const gesture = begun.gesture as NonNullable<typeof begun.gesture>;
    const dragged = move(begun.state, scene, gesture, [460, 180]);
    const done = end(dragged.state, dragged.gesture);
    const [made] = done.marks.marks;
    expect(done.selected).toBe("new");
    expect(done.draft).toBeNull();
    const shown = scene.panes[0].shown as never;
    const [a, b] = made.points.map((point) => toPane(shown, point));
    expect(Math.hypot(b[0] - a[0], b[1] - a[1])).toBeCloseTo(100, 5);
  });

  test("two presses do the same, and the pointer is followed between them", () => {
    const s = state("ellipse");
    const scene = sceneOf(s, SIZE);
    const begun = begin(s, scene, press([400, 100]));
    const open = end(begun.state, begun.gesture as never);
    expect(open.draft?.kind).toBe("ellipse");
    const followed = hover(open, scene, 0, [430, 130]);
    expect(followed.draft?.points[1]).not.toEqual(open.draft?.points[1]);
    const done = begin(followed, scene, press([450, 150])).state;
    expect(done.marks.marks).toHaveLength(1);
    expect(done.draft).toBeNull();
  });

  test("a press without a second one leaves no mark", () => {
    const s = state("arrow");
    const scene = sceneOf(s, SIZE);
    const begun = begin(s, scene, press([400, 100]));
    const open = end(begun.state, begun.gesture as never);
    expect(COMMANDS.cancel(open).marks.marks).toEqual([]);
  });

  test("is possible by the keyboard alone", () => {
    let s = state("length");
    const scene = sceneOf(s, SIZE);
    s = pressKey(moveCursor(s, scene, [0, 0]), scene, "k");
    expect(s.draft).not.toBeNull();
    s = pressKey(moveCursor(s, scene, [40, 0]), scene, "ignored");
    expect(s.marks.marks.map((m) => m.id)).toEqual(["k"]);
    expect(s.marks.marks[0].points[0]).not.toEqual(s.marks.marks[0].points[1]);
  });

  test("in an empty place draws nothing", () => {
    const empty = { ...openExam(makeExam({ images: [] }), null), tool: "point" as const };
    const begun = begin(empty, sceneOf(empty, SIZE), press([10, 10]));
    expect(begun.gesture).toBeNull();
    expect(begun.state.marks.marks).toEqual([]);
  });

  test("a mark under the pointer is moved, whatever the tool", () => {
    const s = { ...state("window"), marks: withMark(emptyHistory(), mark()) };
    const scene = sceneOf(s, SIZE);
    const [x, y] = toPane(scene.panes[0].shown as never, [25, 30]);
    const begun = begin(s, scene, press([x, y]));
    expect(begun.gesture?.kind).toBe("move");
    const dragged = move(begun.state, scene, begun.gesture as never, [x + 30, y]);
    const done = end(dragged.state, dragged.gesture);
    expect(done.marks.marks[0].points).not.toEqual(mark().points);
    expect(undone(done.marks).marks[0].points).toEqual(mark().points);
  });
});

describe("other gestures", () => {
  test("the right button changes the window of all linked panes", () => {
    const s = state("length");
    const scene = sceneOf(s, SIZE);
    const begun = begin(s, scene, { pane: 0, at: [100, 100], button: 2, newId: "" });
    const dragged = move(begun.state, scene, begun.gesture as never, [150, 100]).state;
    expect(Object.keys(dragged.looks)).toHaveLength(4);
    const alone = move({ ...s, linked: false }, scene, begun.gesture as never, [150, 100]).state;
    expect(Object.keys(alone.looks)).toHaveLength(1);
  });

  test("the magnifier is there while the button is held", () => {
    const s = state("magnifier");
    const scene = sceneOf(s, SIZE);
    const begun = begin(s, scene, { pane: 1, at: [100, 100], button: 0, newId: "" });
    expect(begun.state.magnifier).toEqual({ pane: 1, at: [100, 100] });
    expect(end(begun.state, begun.gesture as never).magnifier).toBeNull();
  });
});

describe("the map", () => {
  interface MapCase extends AiMap {
    readonly name: string;
    readonly laid: Packed;
  }
  const { cases } = readGolden<{ cases: MapCase[] }>("map.json");

  test.each(cases)("of a picture stored $name lies where mammolens lays it", (map) => {
    const { rows, columns } = map.laid;
    const laid = Float32Array.from({ length: rows * columns }, (_, i) =>
      strengthAt(map, [(i % columns) + 0.5, Math.floor(i / columns) + 0.5]),
    );
    expect(largestDifference(laid, unpack(map.laid))).toBeLessThan(1e-3);
  });

  const hill = {
    rows: 5,
    columns: 5,
    box: [0, 0, 100, 100],
    seen: [0, 0, 100, 100],
    values: [0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 3, 1, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0],
  } as const;

  test("contours are closed lines at the level", () => {
    const lines = contours(sampleMap(hill), 2);
    const ends = new Map<string, number>();
    for (let i = 0; i < lines.length; i += 2) {
      const key = `${lines[i].toFixed(3)} ${lines[i + 1].toFixed(3)}`;
      ends.set(key, (ends.get(key) ?? 0) + 1);
      expect(strengthAt(hill, [lines[i], lines[i + 1]])).toBeCloseTo(2, 1);
    }
    expect(ends.size).toBeGreaterThan(8);
    expect([...ends.values()].every((count) => count === 2)).toBe(true);
  });

  test("a map that reaches the edge is closed there, and one below the level has no line", () => {
    const full = { ...hill, values: hill.values.map(() => 1.5) };
    expect(contours(sampleMap(full), 1).length).toBeGreaterThan(0);
    expect(contours(sampleMap(full), 2)).toEqual([]);
  });

  test("the tint covers what reaches the threshold and nothing else", () => {
    const grid = sampleMap(hill);
    const rgba = tint(grid, 1, 0.5);
    for (let i = 0; i < grid.values.length; i++) {
      expect(rgba[4 * i + 3] > 0).toBe(grid.values[i] >= 1);
      expect(rgba[4 * i + 3]).toBeLessThanOrEqual(128);
    }
  });
});

describe("shapes", () => {
  const sheet = (outer: "left" | "right") =>
    ({
      width: 100,
      height: 100,
      outer,
      toPane: (point: readonly [number, number]) => point,
    }) as const;

  test("a finding without outlines is shown by its box", () => {
    const finding = { box: [1, 2, 3, 4], score: 2.5, outlines: [] } as const;
    const image = { sopInstanceUid: "1", malignant: 0.1, findings: [finding], map: null };
    const [line, words] = findingShapes(image, (score) => `${score}×`, sheet("right"));
    expect(line).toMatchObject({ kind: "line", look: "ai-strong", closed: true });
    expect(line.kind === "line" && line.points).toEqual([
      [2, 1],
      [4, 1],
      [4, 3],
      [2, 3],
    ]);
    expect(words).toMatchObject({ kind: "words", text: "2.5×", before: false });
  });

  test("words of a mark stand at its outer side", () => {
    const [at] = markShapes(mark(), "mark", "5 mm", sheet("left")).filter(
      (s) => s.kind === "words",
    );
    expect(at).toMatchObject({ before: true });
    expect(at.kind === "words" && at.at[0]).toBeLessThan(10);
  });

  test("words of a mark outside the pane are not drawn at its edge", () => {
    const far = mark({
      points: [
        [10, 300],
        [40, 350],
      ],
    });
    const shapes = markShapes(far, "mark", "5 mm", sheet("left"));
    expect(shapes.some((shape) => shape.kind === "words")).toBe(false);
  });

  test("only a selected mark has handles", () => {
    const handles = (look: "mark" | "selected") =>
      markShapes(mark(), look, "", sheet("left")).filter((shape) => shape.kind === "handle").length;
    expect([handles("mark"), handles("selected")]).toEqual([0, 2]);
  });
});

test("words move below words that are there already", () => {
  const taken = [
    [0, 10, 50, 30],
    [0, 30, 50, 45],
    [200, 0, 260, 100],
  ] as const;
  expect(freeBelow(12, [10, 40], 15, taken)).toBe(45);
  expect(freeBelow(12, [60, 40], 15, taken)).toBe(12);
  expect(freeBelow(50, [10, 40], 15, taken)).toBe(50);
  expect(freeBelow(0, [10, 40], 8, taken)).toBe(0);
});
