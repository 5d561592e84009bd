import { describe, expect, test } from "vitest";
import { type Keeping, keepFiles } from "../../src/app/device/keep_files";
import { makeOutbox, type Outbox } from "../../src/app/device/outbox";
import type { UploadItem } from "../../src/app/device/queue_items";
import { fileItem, keepFile, PIECE_BYTES } from "../../src/app/device/send_upload";
import { memoryStore, type Store } from "../../src/app/device/store";
import { makeVault, type OpenVault } from "../../src/app/device/vault";
import { isHeic } from "../../src/app/logic/files";

/** A store that holds no more than some bytes, as a browser's. */
function smallStore(most: number): Store & { used(): number } {
  const store = memoryStore();
  const sizes = new Map<string, number>();
  const used = () => [...sizes.values()].reduce((sum, size) => sum + size, 0);
  return {
    ...store,
    used,
    async put(table, name, value) {
      const size = (value as { bytes?: ArrayBuffer }).bytes?.byteLength ?? 100;
      if (used() - (sizes.get(name) ?? 0) + size > most) {
        throw new DOMException("the quota has been exceeded", "QuotaExceededError");
      }
      sizes.set(name, size);
      await store.put(table, name, value);
    },
    async remove(table, name) {
      sizes.delete(name);
      await store.remove(table, name);
    },
  };
}

async function made(store: Store = memoryStore()) {
  const vault = await makeVault(store, async () => "device");
  const delivered: UploadItem[] = [];
  const outbox: Outbox = makeOutbox({
    vault: () => vault,
    deliver: async () => {
      // Nothing is sent here: what waits is looked at.
      throw new Error("no line");
    },
    forget: async () => undefined,
    isElsewhere: () => false,
    alone: (act) => act(),
    after: (act) => act(),
  });
  return { vault, outbox, delivered };
}

const file = (size: number, name: string) => ({
  file: new File([new Uint8Array(size).fill(7)], name),
  name,
});
const asItIs = async (blob: Blob) => ({ file: blob, left: "odd" as const });

describe("files on a device without room", () => {
  test("are named, given back to be sent from the page, and leave no pieces behind", async () => {
    const store = smallStore(6 * PIECE_BYTES);
    const { vault, outbox } = await made(store);
    const seen: Keeping[] = [];
    const files = [
      file(3 * PIECE_BYTES, "a.dcm"),
      file(8 * PIECE_BYTES, "b.dcm"),
      file(9, "c.dcm"),
    ];
    const rest = await keepFiles(vault, outbox, files, 1, (now) => seen.push(now), asItIs);
    expect(rest.map(({ name }) => name)).toEqual(["b.dcm"]);
    expect(seen.at(-1)?.notKept).toEqual(["b.dcm"]);
    const waiting = outbox.items.map((item) => (item as UploadItem).name);
    expect(waiting).toEqual(["a.dcm", "c.dcm"]);
    expect(store.used()).toBeLessThan(3.5 * PIECE_BYTES);
  });

  test("none of which can even be named are all given back", async () => {
    const { vault, outbox } = await made(smallStore(1 << 30));
    const gone: OpenVault = { ...vault, put: () => Promise.reject(new Error("evicted")) };
    const broken = { ...outbox, add: () => gone.put("queue", "x", 1) };
    const rest = await keepFiles(vault, broken, [file(5, "a.dcm")], 1, () => undefined, asItIs);
    expect(rest.length).toBe(1);
    expect(outbox.items).toEqual([]);
  });
});

test("a tab that is killed while the first film is compressed loses no name", async () => {
  const store = memoryStore();
  const { vault, outbox } = await made(store);
  const never = () => new Promise<never>(() => undefined);
  void keepFiles(vault, outbox, [file(5, "a.dcm"), file(6, "b.dcm")], 1, () => undefined, never);
  await new Promise((done) => setTimeout(done, 50));
  const again = await vault.get<readonly string[]>("queue", "index of the queue");
  const items = await Promise.all((again ?? []).map((id) => vault.get<UploadItem>("queue", id)));
  expect(items.map((item) => [item?.name, item?.state])).toEqual([
    ["a.dcm", "keeping"],
    ["b.dcm", "keeping"],
  ]);
});

test("a smaller film takes the place of the file, and the gain is said", async () => {
  const { vault, outbox } = await made();
  const seen: Keeping[] = [];
  const half = async (blob: Blob) => ({ file: blob.slice(0, blob.size / 2), left: null });
  await keepFiles(vault, outbox, [file(4 * PIECE_BYTES, "a.dcm")], 1, (s) => seen.push(s), half);
  expect(outbox.items[0]).toMatchObject({ bytes: 2 * PIECE_BYTES, pieces: 2 });
  expect(seen.at(-1)).toMatchObject({ count: 1, from: 4 * PIECE_BYTES, to: 2 * PIECE_BYTES });
});

test("a film of 200 MB is read in parts, and never as a whole", async () => {
  const { vault } = await made();
  const size = 200 << 20;
  const reads: number[] = [];
  const big = {
    size,
    slice: (from: number, to: number) => {
      reads.push(to - from);
      return new Blob([new Uint8Array(Math.min(to, size) - from)]);
    },
    arrayBuffer: () => Promise.reject(new Error("read as a whole")),
  } as unknown as Blob;
  const lean: OpenVault = { ...vault, putBytes: async () => undefined };
  const kept = await keepFile(lean, fileItem(big, "big.dcm", 1), big, async () => undefined);
  expect(kept.pieces).toBe(800);
  expect(Math.max(...reads)).toBe(PIECE_BYTES);
});

test("HEIC photographs are known by their first bytes", async () => {
  const box = (brand: string) => new Blob([Uint8Array.of(0, 0, 0, 24), `ftyp${brand}`, "rest"]);
  for (const brand of ["heic", "heix", "mif1"]) expect(await isHeic(box(brand))).toBe(true);
  for (const brand of ["isom", "avif"]) expect(await isHeic(box(brand))).toBe(false);
  expect(await isHeic(new Blob(["short"]))).toBe(false);
});
