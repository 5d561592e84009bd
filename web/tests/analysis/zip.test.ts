import { deflateRawSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { unpacked } from "../../src/analysis/exams/zip";
import { reducedPicture, storedAs, tissueWindow } from "../../src/analysis/look";
import { Refusal } from "../../src/analysis/types";

interface Member {
  readonly name: string;
  readonly content: Uint8Array;
  readonly flags?: number;
  readonly method?: number;
  /** What the directory states instead of the truth. */
  readonly size?: number;
}

/** A zip as APPNOTE 4.3 describes it, with whatever lies a test wants. */
function zipOf(members: readonly Member[]): Blob {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  for (const { name, content, flags = 0, method = 8, size = content.length } of members) {
    const text = new TextEncoder().encode(name);
    const packed = method === 8 ? new Uint8Array(deflateRawSync(content)) : content;
    const head = new DataView(new ArrayBuffer(30));
    head.setUint32(0, 0x04034b50, true);
    head.setUint16(26, text.length, true);
    const entry = new DataView(new ArrayBuffer(46));
    entry.setUint32(0, 0x02014b50, true);
    entry.setUint16(8, flags | (1 << 11), true);
    entry.setUint16(10, method, true);
    entry.setUint32(20, packed.length, true);
    entry.setUint32(24, size, true);
    entry.setUint16(28, text.length, true);
    entry.setUint32(42, at, true);
    parts.push(new Uint8Array(head.buffer), text, packed);
    directory.push(new Uint8Array(entry.buffer), text);
    at += 30 + text.length + packed.length;
  }
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(10, members.length, true);
  end.setUint32(
    12,
    directory.reduce((sum, part) => sum + part.length, 0),
    true,
  );
  end.setUint32(16, at, true);
  return new Blob([...parts, ...directory, new Uint8Array(end.buffer)] as BlobPart[]);
}

const film = Uint8Array.from({ length: 5000 }, (_, i) => (i * 7) % 251);

async function refusalOf(zip: Blob): Promise<string> {
  const [file] = await unpacked("exam.zip", zip);
  const error = await file.bytes().catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(Refusal);
  return (error as Refusal).message;
}

describe("a zip", () => {
  test("gives its members, packed or stored, without what file systems leave", async () => {
    const files = await unpacked(
      "exam.zip",
      zipOf([
        { name: "DISK/", content: new Uint8Array() },
        { name: "DISK/a.dcm", content: film },
        { name: "DISK\\ü.dcm", content: film, method: 0 },
        { name: "__MACOSX/a.dcm", content: film },
        { name: "DISK/DICOMDIR", content: film },
      ]),
    );
    expect(files.map(({ name }) => name)).toEqual(["exam.zip/DISK/a.dcm", "exam.zip/DISK/ü.dcm"]);
    for (const file of files) expect(await file.bytes()).toEqual(film);
  });

  test("has 400 files", async () => {
    const many = Array.from({ length: 400 }, (_, n) => ({ name: `${n}.dcm`, content: film }));
    expect(await unpacked("exam.zip", zipOf(many))).toHaveLength(400);
  });

  test("is no zip: the file itself", async () => {
    const [file] = await unpacked("a.dcm", new Blob([film]));
    expect([file.name, await file.bytes()]).toEqual(["a.dcm", film]);
  });

  test.each([
    ["encrypted", { flags: 1 }, "encrypted"],
    ["packed by another method", { method: 12 }, "method 12"],
    ["larger than stated", { size: 4000 }, "larger than its archive states"],
    ["smaller than stated", { size: 6000 }, "smaller than its archive states"],
    ["a bomb", { size: 200 << 20 }, "far more than a picture"],
    ["huge", { size: 600 << 20 }, "512 MiB"],
  ])("refuses a member that is %s", async (_, lie, words) => {
    expect(await refusalOf(zipOf([{ name: "a.dcm", content: film, ...lie }]))).toContain(words);
  });

  test("refuses an archive with more files than it states", async () => {
    const zip = zipOf([
      { name: "a.dcm", content: film },
      { name: "b.dcm", content: film },
    ]);
    const bytes = new Uint8Array(await zip.arrayBuffer());
    new DataView(bytes.buffer).setUint16(bytes.length - 12, 1, true);
    expect(await refusalOf(new Blob([bytes]))).toContain("more files than it states");
  });

  test("refuses an archive that is cut off or has too many files", async () => {
    const whole = zipOf([{ name: "a.dcm", content: film }]);
    expect(await refusalOf(whole.slice(0, whole.size - 30))).toContain("directory is missing");
    const many = Array.from({ length: 5001 }, (_, n) => ({
      name: `${n}`,
      content: film.slice(0, 1),
    }));
    expect(await refusalOf(zipOf(many))).toContain("more than 5000");
  });
});

describe("a picture for the screen", () => {
  test("keeps integers, and spreads others over 16 bits", () => {
    const plane = (data: Float32Array | Int16Array) => ({ data, rows: 1, cols: data.length });
    expect(storedAs(plane(Int16Array.of(-5, 4000)), [-5, 4000])).toEqual({
      slope: 1,
      intercept: -5,
    });
    const spread = storedAs(plane(Float32Array.of(0.5, 1.5)), [0.5, 1.5]);
    expect(spread.intercept).toBe(0.5);
    expect((1.5 - spread.intercept) / spread.slope).toBeCloseTo(65535);
  });

  test("has a window for tissue and none for the background", () => {
    const data = new Uint16Array(20_000);
    for (let i = 10_000; i < data.length; i++) data[i] = 1000 + ((i * 37) % 1000);
    const [low, high] = tissueWindow({ data, rows: 100, cols: 200 }, false);
    expect(low).toBeGreaterThan(1000);
    expect(low).toBeLessThan(1100);
    expect(high).toBeGreaterThan(1950);
    const inverse = tissueWindow(
      { data: data.map((value) => 4095 - value), rows: 100, cols: 200 },
      true,
    );
    expect(inverse).toEqual([4095 - high, 4095 - low]);
  });

  test("is reduced by means", () => {
    const data = Uint16Array.of(0, 2, 10, 12, 4, 6, 14, 16);
    expect([...reducedPicture({ data, rows: 2, cols: 4 }, 2).data]).toEqual([3, 13]);
  });
});
