import { describe, expect, test } from "vitest";
import { hangingSteps } from "../../src/viewer/hanging";
import { makeByteCache } from "../../src/viewer/loading/byte_cache";
import {
  isAbort,
  makeFetchQueue,
  persistent,
  Refused,
  URGENCY,
} from "../../src/viewer/loading/fetch_queue";
import {
  firstFrame,
  neighbourFrames,
  nextExamUrls,
  stackFrames,
} from "../../src/viewer/loading/prefetch";
import type { FilmView } from "../../src/viewer/ui/film_view";
import { MOST_VIEWS, makeViewPool } from "../../src/viewer/ui/view_pool";
import { makeExam, makeImage } from "./make_exam";

describe("the cache", () => {
  test("never keeps more than its bytes over 100 exams, and drops the least recent first", () => {
    const cache = makeByteCache<number>(160);
    for (let exam = 0; exam < 100; exam++) {
      for (let film = 0; film < 4; film++) cache.set(`${exam} ${film}`, film, 9 + (film % 3));
      cache.get("0 0");
      expect(cache.bytes).toBeLessThanOrEqual(160);
    }
    expect(cache.has("0 0")).toBe(true);
    expect(cache.has("0 1")).toBe(false);
    expect(cache.has("99 3")).toBe(true);
  });

  test("does not keep what is larger than itself, and counts a replaced value once", () => {
    const cache = makeByteCache<number>(10);
    cache.set("a", 1, 11);
    expect(cache.has("a")).toBe(false);
    cache.set("b", 1, 6);
    cache.set("b", 2, 8);
    expect([cache.get("b"), cache.bytes]).toEqual([2, 8]);
  });
});

describe("the queue", () => {
  function line() {
    const asked: { url: string; answer(): void; fail(): void; signal: AbortSignal }[] = [];
    const queue = makeFetchQueue(1000, (url, _accept, signal) => {
      const done = Promise.withResolvers<{ body: ArrayBuffer; contentType: string }>();
      signal.addEventListener("abort", () => done.reject(new DOMException("", "AbortError")));
      asked.push({
        url,
        signal,
        answer: () => done.resolve({ body: new ArrayBuffer(10), contentType: "x" }),
        fail: () => done.reject(new Error("503")),
      });
      return done.promise;
    });
    return { asked, queue, tick: () => new Promise((done) => setTimeout(done)) };
  }

  test("lets urgent requests pass those that wait", async () => {
    const { asked, queue, tick } = line();
    for (let i = 0; i < 6; i++) queue.request(`next ${i}`, "", URGENCY.nextExam);
    await tick();
    queue.request("shown", "", URGENCY.shown);
    expect(asked).toHaveLength(4);
    asked[0].answer();
    await tick();
    expect(asked.at(-1)?.url).toBe("shown");
  });

  test("what is asked for together starts in the order of its urgency", async () => {
    const { asked, queue, tick } = line();
    for (const view of ["RCC", "LCC", "RMLO", "LMLO"]) {
      queue.request(`frame ${view}`, "", URGENCY.shown);
      queue.request(`preview ${view}`, "", URGENCY.preview);
    }
    await tick();
    expect(asked.map(({ url }) => url.split(" ")[0])).toEqual(new Array(4).fill("preview"));
  });

  test("asks once for what is wanted twice, and answers later from the cache", async () => {
    const { asked, queue, tick } = line();
    const both = [queue.request("a", "", 3), queue.request("a", "", 1)];
    await tick();
    asked[0].answer();
    const [first, second] = await Promise.all(both);
    expect(first).toBe(second);
    expect(await queue.request("a", "", 1)).toBe(first);
    expect(asked).toHaveLength(1);
    expect(queue.cachedBytes).toBe(10);
  });

  test("stops what is no longer needed and keeps what is more urgent", async () => {
    const { asked, queue, tick } = line();
    const shown = queue.request("shown", "", URGENCY.shown);
    const later = queue.request("later", "", URGENCY.nextExam);
    await tick();
    queue.stop(URGENCY.neighbour);
    await expect(later).rejects.toSatisfy(isAbort);
    expect(asked.map(({ signal }) => signal.aborted)).toEqual([false, true]);
    asked[0].answer();
    await expect(shown).resolves.toBeDefined();
  });

  test("a refusal is passed on, and the next request asks again", async () => {
    const { asked, queue, tick } = line();
    const first = queue.request("a", "", 1);
    await tick();
    asked[0].fail();
    await expect(first).rejects.toThrow("503");
    await tick();
    queue.request("a", "", 1);
    await tick();
    expect(asked).toHaveLength(2);
  });
});

describe("a weak line", () => {
  const answer = { body: new ArrayBuffer(1), contentType: "" };
  const failing = (...errors: Error[]) => {
    let asked = 0;
    const read = persistent(async () => {
      const error = errors[asked++];
      if (error !== undefined) throw error;
      return answer;
    }, [1, 1]);
    const ask = (signal = new AbortController().signal) => read("a", "", signal);
    return { ask, asked: () => asked };
  };

  test("is tried again, and so is a server that is away for a moment", async () => {
    const { ask, asked } = failing(new TypeError("network"), new Refused(503));
    await expect(ask()).resolves.toBe(answer);
    expect(asked()).toBe(3);
  });

  test("is given up after some tries", async () => {
    const { ask, asked } = failing(...new Array(9).fill(new Refused(500)));
    await expect(ask()).rejects.toThrow("500");
    expect(asked()).toBe(3);
  });

  test("a refusal is final", async () => {
    const { ask, asked } = failing(new Refused(404));
    await expect(ask()).rejects.toThrow("404");
    expect(asked()).toBe(1);
  });

  test("is left alone when the picture is no longer needed", async () => {
    const abort = new AbortController();
    const { ask, asked } = failing(new TypeError("network"), new TypeError("network"));
    const asking = ask(abort.signal);
    abort.abort();
    await expect(asking).rejects.toThrow();
    expect(asked()).toBe(1);
  });
});

describe("fetching ahead", () => {
  test("takes what later steps show first, without what is shown now", () => {
    const steps = hangingSteps(makeExam(), null);
    expect(neighbourFrames(steps, 0)).toEqual([]);
    expect(neighbourFrames(steps, 1)).toEqual(["/frames/1.2.L.CC/1", "/frames/1.2.L.MLO/1"]);
  });

  test("begins a stack in its middle, and goes on around", () => {
    const stack = makeImage("R", "CC", { frames: 6 });
    expect(firstFrame(stack)).toBe(3);
    expect(stackFrames(stack, 6, 2)).toEqual(["/frames/1.2.R.CC/5", "/frames/1.2.R.CC/4"]);
  });

  test("leaves stacks of the next exam out, but not their previews", () => {
    const images = [makeImage("R", "CC"), makeImage("L", "CC", { frames: 60 })];
    const urls = nextExamUrls(makeExam({ images }));
    expect(urls.previews).toHaveLength(2);
    expect(urls.frames).toEqual(["/frames/1.2.R.CC/1"]);
  });
});

describe("the pool of views", () => {
  function pool() {
    let made = 0;
    const views = makeViewPool(() => {
      made++;
      return { holds: null, dispose: () => undefined } as unknown as FilmView;
    });
    const take = (...uids: string[]) => {
      const taken = views.take(uids, new Set(uids));
      for (const [i, view] of taken.entries()) Object.assign(view, { holds: uids[i] });
      return taken;
    };
    return { take, views, made: () => made };
  }

  test("keeps the view of a picture when the step changes", () => {
    const { take, views } = pool();
    const four = take("a", "b", "c", "d");
    const pair = views.take(["c", "a"], new Set("abcd"));
    expect([pair[0], pair[1]]).toEqual([four[2], four[0]]);
    expect([pair[0] === four[2], pair[1] === four[0]]).toEqual([true, true]);
  });

  test("uses the same four views over 100 exams", () => {
    const { take, made } = pool();
    for (let exam = 0; exam < 100; exam++) take(...["a", "b", "c", "d"].map((x) => `${exam}${x}`));
    expect(made()).toBe(4);
  });

  test("never holds more than its most, even if an exam has more pictures", () => {
    const { views, made } = pool();
    const all = new Set(Array.from({ length: 30 }, (_, i) => `${i}`));
    for (const uid of all) Object.assign(views.take([uid], all)[0], { holds: uid });
    expect(made()).toBe(MOST_VIEWS);
  });
});
