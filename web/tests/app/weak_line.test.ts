/** Uploads over a simulated line: its rate, its latency, its cuts. Time is simulated too. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { makeClient } from "../../src/app/api/client";
import { FIRST_BYTES, LEAST_BYTES, MOST_BYTES, makePace } from "../../src/app/api/pace";
import { uploadsApi } from "../../src/app/api/uploads";

const PAUSES = [500, 1500, 4000, 10000, 20000];

interface Weather {
  /** Bytes in a millisecond at a time; 0: nothing goes through, and nothing is said. */
  rate(ms: number): number;
  readonly latencyMs?: number;
  /** Whether the line breaks in the middle of a piece, by the number of the piece. */
  breaks?(piece: number): boolean;
}

/** A tus server behind a line; like ours, it keeps the part of a piece that came before a cut. */
function makeLine({ rate, latencyMs = 0, breaks = () => false }: Weather, size: number) {
  const bytes = new Uint8Array(size);
  const pieces: number[] = [];
  let received = 0;
  const wait = (ms: number, signal?: AbortSignal | null) =>
    new Promise<void>((done, fail) => {
      const stop = () => {
        clearTimeout(timer);
        fail(signal?.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", stop);
        done();
      }, ms);
      signal?.addEventListener("abort", stop, { once: true });
    });
  const read = async (_url: unknown, init?: RequestInit): Promise<Response> => {
    const { method, signal, body } = init ?? {};
    await wait(latencyMs, signal);
    while (rate(performance.now()) === 0) await wait(1000, signal);
    if (method === "POST") {
      return new Response(null, { status: 201, headers: { Location: "/api/v1/uploads/u1" } });
    }
    const offset = () => new Response(null, { headers: { "Upload-Offset": `${received}` } });
    if (method === "HEAD") return offset();
    const begins = Number(new Headers(init?.headers).get("Upload-Offset"));
    if (begins !== received) return new Response("{}", { status: 409 });
    const piece = new Uint8Array(await (body as Blob).arrayBuffer());
    pieces.push(piece.length);
    const isCut = breaks(pieces.length);
    const end = begins + (isCut ? (piece.length + 1) >> 1 : piece.length);
    while (received < end) {
      const now = rate(performance.now());
      await wait(100, signal);
      const some = Math.min(Math.round(100 * now), end - received);
      bytes.set(piece.subarray(received - begins, received - begins + some), received);
      received += some;
    }
    if (isCut) throw new TypeError("network");
    return offset();
  };
  return { read, bytes, pieces };
}

async function sendOver(weather: Weather, size: number) {
  const content = new Uint8Array(size).map((_, i) => (i * 31 + (i >> 8)) % 251);
  const line = makeLine(weather, size);
  const guard = { csrf: "secret", recover: async () => undefined };
  const api = uploadsApi(makeClient(guard, line.read), PAUSES);
  const began = performance.now();
  const sent = api.send(
    new File([content], "a.dcm"),
    "a.dcm",
    null,
    () => undefined,
    new AbortController().signal,
  );
  const outcome = sent.then(
    () => "sent",
    (error: Error) => error,
  );
  let isOver = false;
  void outcome.then(() => {
    isOver = true;
  });
  while (!isOver) await vi.advanceTimersByTimeAsync(1000);
  const isWhole = Buffer.compare(line.bytes, content) === 0;
  return { ...line, outcome: await outcome, isWhole, ms: performance.now() - began };
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("location", { origin: "http://here" });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("the size of a piece", () => {
  test("grows on a good line up to its limit", async () => {
    const { pieces, isWhole } = await sendOver({ rate: () => 5000, latencyMs: 30 }, 60 << 20);
    expect(isWhole).toBe(true);
    expect(pieces[0]).toBe(FIRST_BYTES);
    expect(Math.max(...pieces)).toBe(MOST_BYTES);
    expect(pieces.length).toBeLessThan(16);
  });

  test("on 256 kbit/s with 400 ms is some seconds, and the round trips cost little", async () => {
    const size = 3 << 20;
    const { pieces, isWhole, ms } = await sendOver({ rate: () => 32, latencyMs: 400 }, size);
    expect(isWhole).toBe(true);
    for (const piece of pieces.slice(1, -1)) {
      expect(piece).toBeGreaterThan(5 * 32_000);
      expect(piece).toBeLessThan(10 * 32_000);
    }
    expect(ms).toBeLessThan((1.1 * size) / 32);
  });

  test("shrinks where the line becomes weak, to its limit and no further", async () => {
    const rate = (now: number) => (now - began < 4000 ? 2000 : 2);
    const began = performance.now();
    const { pieces, isWhole } = await sendOver({ rate, latencyMs: 50 }, 8 << 20);
    expect(isWhole).toBe(true);
    expect(Math.max(...pieces)).toBeGreaterThan(2 << 20);
    expect(Math.min(...pieces.slice(0, -1))).toBe(LEAST_BYTES);
  });

  test("follows the line by what was measured, not by one bad moment alone", () => {
    const pace = makePace();
    for (let n = 0; n < 10; n += 1) pace.sent(pace.bytes, pace.bytes / 1000);
    const before = pace.bytes;
    pace.sent(pace.bytes, pace.bytes / 500);
    expect(pace.bytes).toBeGreaterThan(before / 2);
    pace.cut();
    pace.cut();
    expect(pace.bytes).toBeLessThanOrEqual(before / 4);
    for (let n = 0; n < 40; n += 1) pace.cut();
    expect(pace.bytes).toBe(LEAST_BYTES);
  });
});

describe("a cut", () => {
  test.each([2, 3, 5])("in every %i. piece leaves the file whole", async (every) => {
    const breaks = (piece: number) => piece % every === 0;
    const { outcome, isWhole } = await sendOver(
      { rate: () => 40, latencyMs: 300, breaks },
      4 << 20,
    );
    expect(outcome).toBe("sent");
    expect(isWhole).toBe(true);
  });

  test("in every piece leaves it whole, as each attempt brings something", async () => {
    const { outcome, isWhole } = await sendOver({ rate: () => 40, breaks: () => true }, 1 << 20);
    expect(outcome).toBe("sent");
    expect(isWhole).toBe(true);
  });

  test("that nobody is told of is noticed: the line is silent for five minutes", async () => {
    const began = performance.now();
    const rate = (now: number) => (now - began > 20_000 && now - began < 320_000 ? 0 : 40);
    const { outcome, isWhole } = await sendOver({ rate }, 2 << 20);
    expect(outcome).toBe("sent");
    expect(isWhole).toBe(true);
  });

  test("for good is given up, and said", async () => {
    const began = performance.now();
    const rate = (now: number) => (now - began > 20_000 ? 0 : 40);
    const { outcome } = await sendOver({ rate }, 2 << 20);
    expect(outcome).toMatchObject({ status: 0 });
  });
});
