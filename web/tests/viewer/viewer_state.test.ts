import { describe, expect, test } from "vitest";
import { COMMANDS, type CommandId, fieldsOf, inField } from "../../src/viewer/commands";
import type { Exam } from "../../src/viewer/exam";
import { sceneOf } from "../../src/viewer/scene";
import { imageAt, lookOf, openExam, type ViewerState } from "../../src/viewer/state";
import { BINDINGS, commandOf } from "../../src/viewer/tools/keys";
import { makeExam, makeImage } from "./make_exam";

const SIZE = { width: 200, height: 180 };
const run = (state: ViewerState, ...commands: CommandId[]) =>
  commands.reduce((now, command) => {
    const next = COMMANDS[command](now, sceneOf(now, SIZE));
    return next.step === now.step && next.fit === now.fit
      ? next
      : inField(next, sceneOf(next, SIZE));
  }, state);
const open = (changes: Partial<Exam> = {}, prior: Exam | null = null) =>
  openExam(makeExam(changes), prior);

describe("going through an exam", () => {
  test("by one key alone shows every step and field, then leaves for the next exam", () => {
    let state = open();
    const seen: string[] = [];
    for (let i = 0; i < 200 && state.leave === null; i++) {
      seen.push(`${state.steps[state.step].id} ${state.field}`);
      state = run(state, "next");
    }
    expect(state.leave).toBe("next");
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.slice(0, 5)).toEqual([
      "four-up 0",
      "right-pair 0",
      "left-pair 0",
      "cc-pair 0",
      "mlo-pair 0",
    ]);
    const fields = seen.filter((one) => one.startsWith("fields-R-CC"));
    const there = run(open(), "field-step");
    expect(fields).toHaveLength(fieldsOf(sceneOf(there, SIZE)).length);
    expect(fields.length).toBeGreaterThan(3);
  });

  test("fields are at one pixel per pixel", () => {
    const state = run(open(), "field-step");
    const [pane] = sceneOf(state, SIZE).panes;
    expect(pane.shown?.placement.scaleX).toBe(1);
  });

  test("a step begins with whole pictures", () => {
    expect(run(open(), "zoom-in", "pan-left", "cc-pair").camera.zoom).toBe(1);
  });

  test("before the first step lies the previous exam", () => {
    expect(run(open(), "previous").leave).toBe("previous");
  });
});

describe("a prior", () => {
  test("hangs beside the current pictures, and is taken away again", () => {
    const state = open({}, makeExam({ id: "0" }));
    const beside = run(state, "cc-pair", "prior");
    expect(sceneOf(beside, SIZE).panes).toHaveLength(4);
    expect(run(beside, "prior").steps).toEqual(state.steps);
  });

  test("that is not there changes nothing", () => {
    const state = open();
    expect(run(state, "prior")).toBe(state);
  });
});

describe("linked panes", () => {
  test("move together; alone only the active one does", () => {
    const linked = run(open(), "zoom-in");
    expect(linked.camera.zoom).toBeCloseTo(1.25);
    const alone = run(open(), "link", "zoom-in");
    expect(alone.camera.zoom).toBe(1);
    expect(alone.ownCameras[0].zoom).toBeCloseTo(1.25);
    expect(run(alone, "link").ownCameras).toEqual({});
  });

  test("true size needs a calibrated screen and known spacings", () => {
    const state = open();
    expect(run(state, "true-size")).toBe(state);
    const calibrated = run({ ...state, screen: 4 }, "true-size");
    expect(sceneOf(calibrated, SIZE).panes[0].shown?.placement.scaleX).toBeCloseTo(4 * 0.07);
  });
});

describe("pictures of one view", () => {
  const stack = makeImage("R", "CC", { sopInstanceUid: "t", kind: "tomosynthesis", frames: 9 });
  const state = open({ images: [makeImage("R", "CC"), stack] });

  test("are shown in turn", () => {
    const place = state.steps[0].places[0];
    expect(imageAt(state, place)?.sopInstanceUid).toBe("1.2.R.CC");
    expect(imageAt(run(state, "next-picture"), place)?.sopInstanceUid).toBe("t");
    expect(imageAt(run(state, "next-picture", "next-picture"), place)?.sopInstanceUid).toBe(
      "1.2.R.CC",
    );
  });

  test("a stack opens in its middle and stops at its ends", () => {
    const at = run(state, "next-picture");
    expect(lookOf(at, stack).frame).toBe(5);
    const up = run(at, ...new Array<CommandId>(20).fill("frame-up"));
    expect(lookOf(up, stack).frame).toBe(1);
  });

  test("resetting the view keeps the slice", () => {
    const at = run(state, "next-picture", "frame-down", "invert", "zoom-in", "darker", "reset");
    expect(lookOf(at, stack)).toMatchObject({ frame: 6, voi: stack.voi[0] });
    expect([at.invert, at.camera.zoom]).toEqual([false, 1]);
  });
});

describe("grey scales of the header", () => {
  test("are gone through in turn", () => {
    const second = { kind: "window", center: 9, width: 9, function: "SIGMOID", name: "2" } as const;
    const image = makeImage("R", "CC");
    const two = { ...image, voi: [...image.voi, second] as const };
    const state = open({ images: [two as never] });
    expect(lookOf(run(state, "preset"), two as never).voi).toEqual(second);
    expect(lookOf(run(state, "preset", "preset"), two as never).voi).toEqual(image.voi[0]);
  });
});

describe("keys", () => {
  const stroke = (key: string, more = {}) => ({
    key,
    shiftKey: false,
    ctrlKey: false,
    metaKey: false,
    altKey: false,
    ...more,
  });

  test("no two commands have the same key", () => {
    const keys = BINDINGS.map((b) => `${b.control ?? false} ${b.shift ?? false} ${b.key}`);
    expect(new Set(keys).size).toBe(keys.length);
  });

  test("every command has a key", () => {
    const bound = new Set(BINDINGS.map((binding) => binding.command));
    expect(Object.keys(COMMANDS).filter((id) => !bound.has(id as CommandId))).toEqual([]);
  });

  test.each([
    ["L", {}, "tool-length"],
    ["z", { ctrlKey: true }, "undo"],
    ["Z", { ctrlKey: true, shiftKey: true }, "redo"],
    ["z", { metaKey: true }, "undo"],
    ["+", { shiftKey: true }, "zoom-in"],
    [" ", { shiftKey: true }, "previous"],
    ["z", { altKey: true }, null],
    ["Q", { shiftKey: true }, null],
  ] as const)("%s with %j is %s", (key, more, command) => {
    expect(commandOf(stroke(key, more))).toBe(command);
  });
});
