import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "../../src/analysis/dicom/data_set";
import { decodeText } from "../../src/analysis/dicom/text";
import { identify, mayBeImage, readImage } from "../../src/analysis/exams/files";
import { planExams } from "../../src/analysis/exams/plan";
import { decodeStream } from "../../src/analysis/pixels/codecs";
import { readCard } from "../../src/analysis/score/card";
import { triage } from "../../src/analysis/score/pooling";
import { loadModel, type Runtime } from "../../src/analysis/score/session";
import { Refusal } from "../../src/analysis/types";
import { loadCodec, readCardText } from "./device";

const SOURCE = join(import.meta.dirname, "../../src/analysis");

type Loose = Record<string, Record<string, unknown>>;

function changed(change: (card: Loose) => void): string {
  const card = JSON.parse(readCardText());
  change(card);
  return JSON.stringify(card);
}

function refusalOf(run: () => unknown): Refusal {
  try {
    run();
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

async function laterRefusal(run: Promise<unknown>): Promise<Refusal> {
  const error = await run.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (error instanceof Refusal) return error;
  throw new Error(`not a refusal: ${String(error)}`);
}

/** A DICOM file with a preamble, a transfer syntax and nothing else. */
function emptyDicom(syntax: string, body: readonly number[] = []): Uint8Array {
  const uid = syntax.length % 2 ? `${syntax}\0` : syntax;
  const meta = [0x02, 0, 0x10, 0, 0x55, 0x49, uid.length, 0, ...new TextEncoder().encode(uid)];
  return Uint8Array.from([...new Array(128).fill(0), 68, 73, 67, 77, ...meta, ...body]);
}

describe("a card whose steps are not on the device", () => {
  test.each([
    ["denoise", (c: Loose) => Object.assign(c.preprocess, { denoise: "median" })],
    ["clahe_clip", (c: Loose) => Object.assign(c.preprocess, { clahe_clip: 2 })],
    ["pectoral", (c: Loose) => Object.assign(c.preprocess, { pectoral: "suppress" })],
    ["sharpen", (c: Loose) => Object.assign(c.preprocess, { sharpen: 1 })],
    ["input_kind", (c: Loose) => Object.assign(c, { input_kind: "lesion" })],
    ["second_look", (c: Loose) => Object.assign(c, { second_look: true })],
    ["dose", (c: Loose) => Object.assign(c.calibration, { dose: 1 })],
  ])("is refused by name: %s", (name, change) => {
    const refusal = refusalOf(() => readCard(changed(change)));
    expect(refusal.name).toBe("ContractMismatch");
    expect(refusal.keyword).toContain(name);
  });

  test("the shipped card is read", () => {
    expect(readCard(readCardText()).name).toBe("mammolens-2");
  });
});

test("a graph with another digest is refused", async () => {
  const runtime = {} as Runtime;
  const refusal = await laterRefusal(loadModel(readCardText(), Uint8Array.of(1, 2), runtime));
  expect(refusal.name).toBe("BadModelPackage");
});

describe("what the device does not read", () => {
  test.each(["1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"])("transfer syntax %s", (syntax) => {
    const body = syntax.endsWith("99") ? [1, 2, 3, 4] : [0, 8, 0, 5, 67, 83, 0, 2, 65, 65];
    const refusal = refusalOf(() => parse(emptyDicom(syntax, body), "a.dcm"));
    expect(refusal.message).toContain("is not read on this device");
  });

  describe("of JPEG", () => {
    const frame = (marker: number, bits: number) =>
      [0xff, 0xd8, 0xff, marker, 0, 11, bits, 0, 9, 0, 9, 1, 1, 0x11, 0] as const;
    const read = (...data: number[]) =>
      laterRefusal(decodeStream("JPEG", Uint8Array.from(data), "a.dcm", loadCodec));
    const scan = (predictor: number, transform: number) =>
      [0xff, 0xda, 0, 8, 1, 1, 0, predictor, 0, transform, 0xff, 0xd9] as const;
    const restarts = [0xff, 0xdd, 0, 4, 0, 9] as const;

    test("12 bits", async () => {
      const refusal = await read(...frame(0xc1, 12), 0xff, 0xd9);
      expect(refusal.message).toContain("JPEG of 12 bits is not read on this device");
    });

    test.each([
      ["a point transform", [...frame(0xc3, 12), ...scan(1, 2)]],
      ["restarts with another predictor", [...frame(0xc3, 12), ...restarts, ...scan(4, 0)]],
      ["predictor 7 of 16 bits", [...frame(0xc3, 16), ...scan(7, 0)]],
    ])("lossless with %s, which the decoder reads wrongly", async (_, data) => {
      expect((await read(...data)).message).toContain("this form of lossless JPEG is not read");
    });

    test("lossless without a scan, or without data, is damaged", async () => {
      expect((await read(...frame(0xc3, 12), 0xff, 0xd9)).name).toBe("NotAnImage");
      expect((await read(...frame(0xc3, 12), ...scan(1, 0))).name).toBe("NotAnImage");
    });
  });

  test("TIFF and PGM, and they keep an exam from being low", async () => {
    for (const head of ["II*\0", "P5 100 100 255\n"]) {
      const bytes = new TextEncoder().encode(head + "x".repeat(200));
      expect(identify(bytes, "p1_L_CC.img").kind).toBe("mammogram");
      const refusal = await laterRefusal(readImage(bytes, "p1_L_CC.img", loadCodec));
      expect(refusal.message).toMatch(/(?:TIFF|PGM) is not read on this device/);
    }
  });

  test("a file that may be an image is a doubt for the exam beside it", async () => {
    const file = (name: string, bytes: Uint8Array) => ({ name, bytes: async () => bytes });
    const picture = new TextEncoder().encode("P5 100 100 255\n");
    const files = [file("p1_L_CC.img", picture), file("what.dcm", Uint8Array.of(1, 2, 3))];
    const [plans, unplaced] = await planExams(files);
    expect(plans[0].cautions.map((c) => [c.name, c.doubt])).toContainEqual(["unplaced_file", true]);
    expect(unplaced[0].kind).toBe("unknown");
    expect(mayBeImage(new TextEncoder().encode("only text"), "notes")).toBe(false);
  });

  test("a text in a set that is not ported", () => {
    const kanji = Uint8Array.of(0x1b, 0x24, 0x42, 0x3b, 0x33);
    expect(decodeText(kanji, null, "words").unported).toBe(true);
    const utf8 = new TextEncoder().encode("Prüfung");
    expect(decodeText(utf8, "utf-8", "words").text).toBe("Prüfung");
  });
});

test("damaged bytes are refused, not astray", async () => {
  const rows = [0x28, 0, 0x10, 0, 0x55, 0x53, 2, 0, 100, 0];
  const modality = [0x08, 0, 0x60, 0, 0x43, 0x53, 2, 0, 0x4d, 0x47];
  const whole = emptyDicom("1.2.840.10008.1.2.1", [...modality, ...rows, ...rows, ...rows]);
  let seed = 1;
  const random = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31;
    return seed % below;
  };
  for (let n = 0; n < 2000; n++) {
    const bytes = whole.slice(0, 132 + random(whole.length - 131));
    for (let k = 0; k < 3; k++) bytes[132 + random(Math.max(bytes.length - 132, 1))] = random(256);
    const refusal = await laterRefusal(readImage(bytes, "a.dcm", loadCodec));
    expect(refusal.message).toContain("a.dcm");
  }
});

test("a score that is not a number is never low", () => {
  expect(triage(Number.NaN, readCard(readCardText()))).toBe("failed");
});

describe("the library", () => {
  const files = readdirSync(SOURCE, { recursive: true })
    .map(String)
    .filter((name) => /\.ts$/.test(name));

  test("asks for nothing: the page gives it the model", () => {
    const asking = files.filter((name) =>
      /\bfetch\(|XMLHttpRequest|WebSocket|sendBeacon|EventSource/.test(
        readFileSync(join(SOURCE, name), "utf-8"),
      ),
    );
    expect(asking).toEqual([]);
  });

  test("has no file of more than 350 lines", () => {
    const long = files.filter(
      (name) => readFileSync(join(SOURCE, name), "utf-8").split("\n").length > 351,
    );
    expect(long).toEqual([]);
  });
});
