import { describe, expect, test } from "vitest";
import { makePace } from "../../src/app/api/pace";
import { Problem } from "../../src/app/api/problem";
import type { ReadingsApi } from "../../src/app/api/readings";
import type { ExamDetail, Reading } from "../../src/app/api/types";
import type { Upload, UploadsApi } from "../../src/app/api/uploads";
import { orFull } from "../../src/app/device/full";
import { makeOutbox, type Outbox } from "../../src/app/device/outbox";
import { draftId, type QueueItem, type ReadingItem } from "../../src/app/device/queue_items";
import { type ReadingSender, sendReading } from "../../src/app/device/send_reading";
import { fileItem, keepFile, PIECE_BYTES, sendUpload } from "../../src/app/device/send_upload";
import { memoryStore } from "../../src/app/device/store";
import { makeVault, type OpenVault } from "../../src/app/device/vault";
import { ANSWERED, makeReading } from "./make_app";

const away = () => new Problem(0, "unreachable", "no line");

const makeVaultNow = () => makeVault(memoryStore(), async () => "device");

function makeItem(changes: Partial<ReadingItem> = {}): ReadingItem {
  return {
    kind: "reading",
    id: "item",
    createdAt: 0,
    state: "waiting",
    code: null,
    exam: 1,
    title: "A1",
    version: 1,
    revision: null,
    reading: null,
    steps: [
      { key: "key-of-save-0001", act: "save", answers: ANSWERED },
      { key: "key-of-sign-0001", act: "sign" },
    ],
    taken: 0,
    ...changes,
  };
}

/** A server that does what ours promises: editions, keys that count once; its line can break. */
function makeServer(begun: Partial<Reading> = {}) {
  let reading: Reading | null = null;
  let edition = 1;
  const given = new Map<string, Reading>();
  const log: string[] = [];
  /** Answers that get lost on the way back, and requests on the way there. */
  const lost = { back: 0, there: 0 };

  async function change(what: string, etag: string, once: string | undefined, to: object) {
    if (lost.there > 0) {
      lost.there -= 1;
      throw away();
    }
    const before = once === undefined ? undefined : given.get(once);
    let answer = before;
    if (answer === undefined) {
      if (reading === null || etag !== reading.etag) throw new Problem(412, "stale", "stale");
      edition += 1;
      log.push(what);
      reading = { ...reading, ...to, etag: `"${edition}"` };
      answer = reading;
      if (once !== undefined) given.set(once, answer);
    }
    if (lost.back > 0) {
      lost.back -= 1;
      throw away();
    }
    return answer;
  }

  const readings = {
    open: async () => {
      if (lost.there > 0) {
        lost.there -= 1;
        throw away();
      }
      if (reading === null) {
        reading = makeReading(begun);
        log.push("open");
      }
      return reading;
    },
    save: (r: Reading, answers: object, once?: string) => change("save", r.etag, once, answers),
    lock: (r: Reading, once?: string) => change("lock", r.etag, once, { state: "locked" }),
    sign: (r: Reading, once?: string) => change("sign", r.etag, once, { state: "signed" }),
  } as unknown as ReadingsApi;
  const exam = { version: 1, revision: null };
  return { readings, log, lost, exam, showExam: async () => exam as unknown as ExamDetail };
}

type Server = ReturnType<typeof makeServer>;

function makeQueue(vault: OpenVault, server: Server): Outbox {
  return makeOutbox({
    vault: () => vault,
    deliver: (item, keep) => sendReading(item as ReadingItem, { ...server, keep } as ReadingSender),
    forget: async () => undefined,
    isElsewhere: () => false,
    alone: (act) => act(),
    after: (act) => act(),
  });
}

describe("a signature that was given without a line", () => {
  test("is delivered, and then nothing waits", async () => {
    const server = makeServer();
    const queue = makeQueue(await makeVaultNow(), server);
    const sent: QueueItem[] = [];
    queue.watchSent((item) => sent.push(item));
    await queue.add(makeItem());
    await queue.send();
    expect(server.log).toEqual(["open", "save", "sign"]);
    expect(queue.items).toEqual([]);
    expect(sent.length).toBe(1);
  });

  /** The line breaks at each request in turn, before it arrives and after it was answered. */
  for (const where of ["there", "back"] as const) {
    for (let fails = 1; fails <= 3; fails += 1) {
      test(`counts once where the line breaks ${fails} times (${where})`, async () => {
        const server = makeServer();
        const vault = await makeVaultNow();
        server.lost[where] = fails;
        await makeQueue(vault, server).add(makeItem());
        for (let start = 0; start < 5; start += 1) {
          // Each time another start of the phone: only what is on the disk is known.
          const queue = makeQueue(vault, server);
          await queue.load();
          await queue.send();
        }
        expect(server.log).toEqual(["open", "save", "sign"]);
        const queue = makeQueue(vault, server);
        await queue.load();
        expect(queue.items).toEqual([]);
      });
    }
  }

  test("waits while there is no line", async () => {
    const server = makeServer();
    server.lost.there = 99;
    const queue = makeQueue(await makeVaultNow(), server);
    await queue.add(makeItem());
    await queue.send();
    expect(queue.items.map(({ state }) => state)).toEqual(["waiting"]);
  });
});

describe("a conflict", () => {
  const cases: [string, Partial<Reading>, Partial<{ version: number; revision: number }>][] = [
    ["stale", { ...ANSWERED }, {}],
    ["stale", { state: "locked" }, {}],
    ["exam_changed", {}, { version: 2 }],
    ["ai_changed", {}, { revision: 3 }],
  ];
  for (const [code, begun, exam] of cases) {
    test(`is shown and overwrites nothing: ${code} ${JSON.stringify(exam)}`, async () => {
      const server = makeServer(begun);
      Object.assign(server.exam, exam);
      const queue = makeQueue(await makeVaultNow(), server);
      await queue.add(makeItem());
      await queue.send();
      expect(queue.items[0]).toMatchObject({ state: "conflict", code });
      expect(server.log.filter((what) => what !== "open")).toEqual([]);
      // Nor later on: the person decides.
      await queue.send();
      expect(server.log.filter((what) => what !== "open")).toEqual([]);
    });
  }

  test("with a newer edition is none of ours to solve", async () => {
    const server = makeServer();
    await server.readings.open(1);
    const queue = makeQueue(await makeVaultNow(), server);
    await queue.add(makeItem({ reading: { id: 5, etag: '"0"' } }));
    await queue.send();
    expect(queue.items[0]).toMatchObject({ state: "conflict", code: "stale" });
  });

  test("does not hold up what comes after it", async () => {
    const server = makeServer();
    const queue = makeQueue(await makeVaultNow(), server);
    await queue.add(makeItem({ id: "first", version: 9 }));
    await queue.add(makeItem({ id: "second" }));
    await queue.send();
    expect(queue.items.map(({ id }) => id)).toEqual(["first"]);
    expect(server.log).toEqual(["open", "save", "sign"]);
  });
});

test("a draft that is kept again takes its own place", async () => {
  const queue = makeQueue(await makeVaultNow(), makeServer());
  await queue.add(makeItem({ id: draftId(1) }));
  await queue.add(makeItem({ id: draftId(1), createdAt: 5 }));
  expect(queue.items.map(({ createdAt }) => createdAt)).toEqual([5]);
});

test("two tabs do not forget what the other has added", async () => {
  const vault = await makeVaultNow();
  const [one, other] = [makeQueue(vault, makeServer()), makeQueue(vault, makeServer())];
  await one.add(makeItem({ id: "a" }));
  await other.add(makeItem({ id: "b" }));
  await one.discard("a");
  const again = makeQueue(vault, makeServer());
  await again.load();
  expect(again.items.map(({ id }) => id)).toEqual(["b"]);
});

test("a device without room keeps nothing and says so", async () => {
  const vault = await makeVaultNow();
  const full = {
    ...vault,
    put: () => Promise.reject(new DOMException("no", "QuotaExceededError")),
  };
  const queue = makeQueue(full, makeServer());
  const kept = orFull(() => queue.add(makeItem()));
  await expect(kept).rejects.toMatchObject({ code: "storage_full" });
  expect(queue.items).toEqual([]);
});

test("what was discarded while it was sent does not come back", async () => {
  const server = makeServer();
  const vault = await makeVaultNow();
  const queue = makeQueue(vault, server);
  await queue.add(makeItem());
  Object.assign(server.readings, {
    save: async () => {
      await queue.discard("item");
      throw away();
    },
  });
  await queue.send();
  const again = makeQueue(vault, server);
  await again.load();
  expect(again.items).toEqual([]);
});

test("a file whose tab was closed is named, and not sent in part", async () => {
  const vault = await makeVaultNow();
  let isClosed = false;
  const closing: OpenVault = {
    ...vault,
    putBytes: (table, name, content) =>
      isClosed ? Promise.reject(new Error("closed")) : vault.putBytes(table, name, content),
  };
  const queue = makeQueue(vault, makeServer());
  const file = new Blob([new Uint8Array(10)]);
  const item = fileItem(file, "a.dcm", 1);
  await queue.add(item);
  isClosed = true;
  await expect(keepFile(closing, item, file, queue.add)).rejects.toThrow();
  const again = makeQueue(vault, makeServer());
  await again.load();
  await again.send();
  expect(again.items.map(({ state }) => state)).toEqual(["keeping"]);
});

describe("a file", () => {
  const bytes = new Uint8Array(2.5 * PIECE_BYTES).map((_, i) => (i * 31) % 251);

  test("is sent whole after cuts and new starts, and begun once", async () => {
    const vault = await makeVaultNow();
    const file = new Blob([bytes]);
    let item = await keepFile(vault, fileItem(file, "a.dcm", 1), file, async () => undefined);
    const arrived: number[] = [];
    const begun = new Set<string>();
    let cuts = 3;
    const uploads = {
      pace: makePace(),
      pauses: [],
      begin: async (_: unknown, __: string, ___: unknown, once: string) => {
        begun.add(once);
        if (cuts === 3) {
          cuts -= 1;
          throw away();
        }
        return { url: `/uploads/${once}` };
      },
      offsetOf: async () => arrived.length,
      sendPiece: async (_: Upload, body: Blob, offset: number) => {
        const part = new Uint8Array(await body.arrayBuffer());
        expect(offset).toBe(arrived.length);
        // A cut: half of the piece has come.
        const half = cuts > 0 ? part.subarray(0, part.length >> 1) : part;
        for (const byte of half) arrived.push(byte);
        if (cuts > 0) {
          cuts -= 1;
          throw away();
        }
        return arrived.length;
      },
    } as unknown as UploadsApi;
    const keep = async (now: QueueItem) => {
      item = now as typeof item;
    };
    for (let start = 0; start < 5 && arrived.length < bytes.length; start += 1) {
      await sendUpload(item, { uploads, vault, keep }).catch(() => undefined);
    }
    expect(arrived.length).toBe(bytes.length);
    expect(Uint8Array.from(arrived)).toEqual(bytes);
    expect(begun.size).toBe(1);
  });

  test("of which the browser has deleted a part is refused by name, and not sent in part", async () => {
    const vault = await makeVaultNow();
    const file = new Blob([bytes]);
    const item = await keepFile(vault, fileItem(file, "a.dcm", 1), file, async () => undefined);
    await vault.remove("pieces", `${item.id} 1`);
    const uploads = {
      pace: makePace(),
      pauses: [],
      begin: async () => ({ url: "/uploads/u" }),
      offsetOf: async () => 0,
      sendPiece: async (_: Upload, body: Blob, offset: number) => offset + body.size,
    } as unknown as UploadsApi;
    const queue = makeOutbox({
      vault: () => vault,
      deliver: (one, keep) => sendUpload(one as typeof item, { uploads, vault, keep }),
      forget: async () => undefined,
      isElsewhere: () => false,
      alone: (act) => act(),
      after: (act) => act(),
    });
    await queue.add(item);
    await queue.send();
    expect(queue.items[0]).toMatchObject({ state: "refused", code: "piece_missing" });
  });
});
