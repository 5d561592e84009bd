import { describe, expect, test } from "vitest";
import { type FetchQueue, URGENCY } from "../../src/viewer/loading/fetch_queue";
import { gated } from "../../src/viewer/loading/gate";
import { pocketViews } from "../../src/viewer/pocket_views";
import {
  NO_TOUCH,
  type TouchAct,
  type TouchState,
  touchDown,
  touchMove,
  touchUp,
} from "../../src/viewer/tools/touch";
import { makeExam, makeImage } from "./make_exam";

type Event = ["down" | "move" | "up", number, number, number, number?];

function play(events: readonly Event[], isZoomed = false): TouchAct[] {
  const surface = { width: 360, height: 500, isZoomed };
  let state: TouchState = NO_TOUCH;
  const acts: TouchAct[] = [];
  for (const [kind, id, x, y, at = 0] of events) {
    const finger = { id, x, y };
    if (kind === "down") state = touchDown(state, finger);
    else {
      const [next, found] =
        kind === "move" ? touchMove(state, finger, surface) : touchUp(state, finger, surface, at);
      state = next;
      acts.push(...found);
    }
  }
  return acts;
}

describe("one finger", () => {
  test("swipes to the next view and back", () => {
    const left: Event[] = [
      ["down", 1, 300, 200],
      ["move", 1, 150, 210],
      ["up", 1, 120, 210],
    ];
    expect(play(left)).toEqual([{ kind: "step", by: 1 }]);
    const right: Event[] = [
      ["down", 1, 60, 200],
      ["move", 1, 250, 210],
      ["up", 1, 250, 210],
    ];
    expect(play(right)).toEqual([{ kind: "step", by: -1 }]);
  });

  test("that goes down, or not far, changes nothing", () => {
    expect(
      play([
        ["down", 1, 100, 100],
        ["move", 1, 190, 300],
        ["up", 1, 190, 300],
      ]),
    ).toEqual([]);
    expect(
      play([
        ["down", 1, 100, 100],
        ["move", 1, 140, 100],
        ["up", 1, 140, 100],
      ]),
    ).toEqual([]);
  });

  test("moves an enlarged picture", () => {
    const acts = play(
      [
        ["down", 1, 100, 100],
        ["move", 1, 120, 100],
        ["move", 1, 130, 95],
      ],
      true,
    );
    expect(acts).toEqual([
      { kind: "pan", dx: 20, dy: 0 },
      { kind: "pan", dx: 10, dy: -5 },
    ]);
  });

  test("taps twice to enlarge", () => {
    const twice = (pause: number): Event[] => [
      ["down", 1, 100, 100],
      ["up", 1, 101, 100, 0],
      ["down", 1, 102, 100],
      ["up", 1, 102, 101, pause],
    ];
    expect(play(twice(200))).toEqual([{ kind: "toggle", x: 102, y: 101 }]);
    expect(play(twice(900))).toEqual([]);
  });
});

describe("two fingers", () => {
  const down: Event[] = [
    ["down", 1, 100, 200],
    ["down", 2, 200, 200],
  ];

  test("that go apart enlarge, and never change the window", () => {
    const acts = play([...down, ["move", 2, 250, 200], ["move", 1, 50, 200], ["move", 1, 50, 260]]);
    expect(acts.filter(({ kind }) => kind === "window")).toEqual([]);
    const factors = acts.flatMap((act) => (act.kind === "zoom" ? [act.factor] : []));
    expect(factors.reduce((all, one) => all * one, 1)).toBeGreaterThan(1.9);
  });

  test("that go the same way change the window, and never enlarge", () => {
    const moves: Event[] = [];
    for (let y = 205; y <= 300; y += 5) moves.push(["move", 1, 100, y], ["move", 2, 200, y]);
    const acts = play([...down, ...moves]);
    expect(acts.every(({ kind }) => kind === "window")).toBe(true);
    const sum = acts.reduce((all, act) => all + (act.kind === "window" ? act.down : 0), 0);
    expect(sum).toBeGreaterThan(0.15);
  });

  test("leave no swipe behind when one is lifted first", () => {
    const acts = play([...down, ["up", 1, 100, 200], ["move", 2, 20, 200], ["up", 2, 20, 200]]);
    expect(acts).toEqual([]);
  });
});

test("views come as RCC, LCC, RMLO, LMLO, then others; a missing one has its place", () => {
  const images = [makeImage("L", "MLO"), makeImage("R", "ML"), makeImage("R", "CC")];
  const views = pocketViews(makeExam({ images }));
  expect(
    views.map(({ place, image }) => `${place.laterality}${place.viewPosition} ${image !== null}`),
  ).toEqual(["RCC true", "LCC false", "RMLO false", "LMLO true", "RML true", "LML false"]);
});

describe("full pixels", () => {
  function makeQueue() {
    const asked: string[] = [];
    const queue: FetchQueue = {
      request: async (url) => {
        asked.push(url);
        return { body: new ArrayBuffer(1), contentType: "" };
      },
      stop: () => undefined,
      cachedBytes: 0,
    };
    return { gate: gated(queue), asked };
  }

  test("wait until they are wanted; previews do not", async () => {
    const { gate, asked } = makeQueue();
    const frame = gate.queue.request("frame", "", URGENCY.shown);
    await gate.queue.request("preview", "", URGENCY.preview);
    expect(asked).toEqual(["preview"]);
    gate.open();
    await frame;
    expect(asked).toEqual(["preview", "frame"]);
  });

  test("of a view that was left are given up", async () => {
    const { gate, asked } = makeQueue();
    const first = gate.queue.request("first", "", URGENCY.shown);
    const second = gate.queue.request("second", "", URGENCY.shown);
    await expect(first).rejects.toThrow();
    gate.close();
    await expect(second).rejects.toThrow();
    expect(asked).toEqual([]);
  });
});
