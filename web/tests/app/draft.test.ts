import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Problem } from "../../src/app/api/problem";
import type { Answers, Reading } from "../../src/app/api/types";
import { NO_ANSWERS, withBirads } from "../../src/app/logic/answers";
import { type DraftApi, makeDraftDesk, makeDraftDesks } from "../../src/app/logic/draft_desk";
import { makeSaver, type SaveState } from "../../src/app/logic/saver";
import { ANSWERED, makeReading } from "./make_app";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const explain = (error: unknown) => {
  const problem = error as Problem;
  return {
    message: problem.message,
    isPassing: problem.isPassing,
    isConflict: problem.code === "stale",
  };
};
const AWAY = new Problem(503, "away", "the database is away");
const STALE = new Problem(412, "stale", "stale");

describe("the saver", () => {
  function setUp(save: (content: string) => Promise<void>) {
    const states: SaveState["kind"][] = [];
    const saver = makeSaver({ save, explain, changed: (state) => states.push(state.kind) });
    return { saver, states };
  }

  test("sends the last of several changes, a moment later", async () => {
    const save = vi.fn(async () => undefined);
    const { saver, states } = setUp(save);
    saver.set("a");
    saver.set("b");
    await vi.advanceTimersByTimeAsync(1000);
    expect(save.mock.calls).toEqual([["b"]]);
    expect(states.at(-1)).toBe("saved");
    expect(saver.isClean).toBe(true);
  });

  test("never has two requests on the line, and sends what came meanwhile", async () => {
    let running = 0;
    const sent: string[] = [];
    const { saver } = setUp(async (content) => {
      running += 1;
      expect(running).toBe(1);
      sent.push(content);
      await new Promise((done) => setTimeout(done, 500));
      running -= 1;
    });
    saver.set("a");
    await vi.advanceTimersByTimeAsync(900);
    saver.set("b");
    saver.set("c");
    await vi.advanceTimersByTimeAsync(3000);
    expect(sent).toEqual(["a", "c"]);
    expect(saver.isClean).toBe(true);
  });

  test("tries again while the server is away, and names it as unsaved", async () => {
    let isAway = true;
    const { saver, states } = setUp(async () => {
      if (isAway) throw AWAY;
    });
    saver.set("a");
    await vi.advanceTimersByTimeAsync(10_000);
    expect(states).toContain("failed");
    expect(saver.isClean).toBe(false);
    isAway = false;
    await vi.advanceTimersByTimeAsync(5000);
    expect(states.at(-1)).toBe("saved");
  });

  test("overwrites nothing after a conflict", async () => {
    const save = vi.fn(async () => {
      throw STALE;
    });
    const { saver } = setUp(save);
    saver.set("a");
    await vi.advanceTimersByTimeAsync(1000);
    expect(saver.state).toMatchObject({ kind: "refused", isConflict: true });
    saver.set("b");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(save).toHaveBeenCalledTimes(1);
    expect(saver.isClean).toBe(false);
  });

  test("flush waits for all, and fails if it cannot be saved", async () => {
    const { saver } = setUp(async () => undefined);
    saver.set("a");
    await saver.flush();
    expect(saver.isClean).toBe(true);
    const failing = setUp(async () => {
      throw AWAY;
    });
    failing.saver.set("a");
    await expect(failing.saver.flush()).rejects.toBe(AWAY);
    failing.saver.stop();
  });
});

/** A server that keeps one reading and its edition. */
function makeServer() {
  let reading: Reading | null = null;
  let edition = 0;
  const calls: string[] = [];
  const next = (changes: Partial<Reading>): Reading => {
    edition += 1;
    reading = { ...(reading ?? makeReading()), ...changes, etag: `"${edition}"` };
    return reading;
  };
  const api: DraftApi = {
    open: async () => {
      calls.push("open");
      return reading ?? next({});
    },
    show: async () => reading ?? next({}),
    save: async (given, answers) => {
      calls.push("save");
      if (given.etag !== reading?.etag) throw STALE;
      return next(answers);
    },
    explain,
  };
  return { api, calls, next, now: () => reading };
}

const FIRST = withBirads(NO_ANSWERS, "right", "4");

describe("the draft of a reader", () => {
  test("begins with the first answer, not with a look", async () => {
    const server = makeServer();
    const desk = makeDraftDesk(1, server.api);
    await vi.advanceTimersByTimeAsync(5000);
    expect(server.calls).toEqual([]);
    desk.change(FIRST);
    await vi.advanceTimersByTimeAsync(1000);
    expect(server.calls).toEqual(["open", "save"]);
    expect(server.now()?.assessments.right.birads).toBe("4");
  });

  test("an older answer of the server takes the place of nothing", async () => {
    const server = makeServer();
    const desk = makeDraftDesk(1, server.api);
    desk.change(FIRST);
    await vi.advanceTimersByTimeAsync(1000);
    desk.adopt(makeReading({ etag: '"1"' }));
    expect(desk.snapshot.answers).toEqual(FIRST);
  });

  test("what is not saved yet is not overwritten by what comes", () => {
    const desk = makeDraftDesk(1, makeServer().api);
    desk.change(FIRST);
    desk.adopt(makeReading({ ...ANSWERED, etag: '"8"' }));
    expect(desk.snapshot.answers).toEqual(FIRST);
  });

  test("settle saves at once, and begins a reading without answers too", async () => {
    const server = makeServer();
    const desk = makeDraftDesk(1, server.api);
    desk.change(FIRST);
    const reading = await desk.settle();
    expect(reading.assessments.right.birads).toBe("4");
    expect(desk.isClean).toBe(true);
  });

  test("another window: a conflict is told, and either version can be kept", async () => {
    const server = makeServer();
    const desk = makeDraftDesk(1, server.api);
    desk.change(FIRST);
    await desk.settle();
    server.next({ comment: "from the other window" });
    desk.change(withBirads(FIRST, "left", "2"));
    await vi.advanceTimersByTimeAsync(1000);
    expect(desk.snapshot.save).toMatchObject({ kind: "refused", isConflict: true });
    expect(server.now()?.comment).toBe("from the other window");
    await desk.resolve(true);
    expect(server.now()).toMatchObject({ comment: "", assessments: { left: { birads: "2" } } });

    server.next({ comment: "again" });
    desk.change({ ...desk.snapshot.answers, recall: true });
    await vi.advanceTimersByTimeAsync(1000);
    await desk.resolve(false);
    expect(desk.snapshot.answers).toMatchObject({ comment: "again", recall: null });
    expect(desk.isClean).toBe(true);
  });

  test("after the lock a change is another answer, and the first one can be taken back to", () => {
    const server = makeServer();
    const desk = makeDraftDesk(1, server.api);
    desk.replace(makeReading({ ...ANSWERED, state: "locked", first_answer: ANSWERED }));
    desk.change(withBirads(ANSWERED, "right", "4"));
    expect(desk.snapshot.isRevising).toBe(true);
    expect(desk.isClean).toBe(false);
    desk.adopt(makeReading({ ...ANSWERED, state: "locked", first_answer: ANSWERED }));
    expect(desk.snapshot.answers.assessments.right.birads).toBe("4");
    desk.revise(false);
    expect(desk.snapshot.answers).toEqual(ANSWERED);
    expect(server.calls).toEqual([]);
  });

  test("a lock in another window is taken over", () => {
    const desk = makeDraftDesk(1, makeServer().api);
    desk.adopt(makeReading());
    desk.adopt(makeReading({ ...ANSWERED, state: "locked", first_answer: ANSWERED, etag: '"4"' }));
    expect(desk.snapshot.reading?.state).toBe("locked");
    desk.adopt(makeReading());
    expect(desk.snapshot.reading?.state).toBe("locked");
  });
});

test("an exam that is left keeps what is not saved, and sends it", async () => {
  const server = makeServer();
  let isAway = true;
  const save = server.api.save;
  const api: DraftApi = {
    ...server.api,
    save: async (reading: Reading, answers: Answers) => {
      if (isAway) throw AWAY;
      return save(reading, answers);
    },
  };
  const desks = makeDraftDesks(api);
  desks.of(1).change(FIRST);
  desks.leave(1);
  await vi.advanceTimersByTimeAsync(6000);
  expect(desks.unsaved()).toEqual([1]);
  expect(desks.of(1).snapshot.answers).toEqual(FIRST);
  isAway = false;
  await vi.advanceTimersByTimeAsync(6000);
  expect(desks.unsaved()).toEqual([]);
  expect(server.now()?.assessments.right.birads).toBe("4");
});
