import { createRequire } from "node:module";
import { describe, expect, test } from "vitest";
import { decodeFrame, SYNTAX } from "../../src/viewer/decode/frame";
import { unwrapPart } from "../../src/viewer/decode/multipart";
import { type PixelForm, readRaw } from "../../src/viewer/decode/raw";
import { decodeRle } from "../../src/viewer/decode/rle";
import { readGolden } from "./golden";

const form = (changes: Partial<PixelForm> = {}): PixelForm => ({
  rows: 1,
  columns: 3,
  bitsAllocated: 16,
  bitsStored: 16,
  highBit: 15,
  signed: false,
  ...changes,
});

describe("raw pixels", () => {
  test("drop the bits that are not stored", () => {
    const bytes = Uint8Array.of(0xff, 0xf1, 0x01, 0x20, 0x00, 0x00);
    const plane = readRaw(bytes, form({ bitsStored: 12, highBit: 11 }));
    expect([...plane.data]).toEqual([0x1ff, 0x001, 0]);
  });

  test("move signed values up by the bias", () => {
    const bytes = new Uint8Array(Int16Array.of(-1000, 0, 2047).buffer);
    const plane = readRaw(bytes, form({ bitsStored: 12, highBit: 11, signed: true }));
    expect([...plane.data].map((v) => v - plane.bias)).toEqual([-1000, 0, 2047]);
  });

  test("of eight bits become sixteen", () => {
    const plane = readRaw(
      Uint8Array.of(1, 255, 7),
      form({ bitsAllocated: 8, bitsStored: 8, highBit: 7 }),
    );
    expect([...plane.data]).toEqual([1, 255, 7]);
  });

  test("may lie at an odd place of a larger buffer", () => {
    const bytes = Uint8Array.of(9, 1, 0, 2, 0, 3, 0).subarray(1);
    expect([...readRaw(bytes, form()).data]).toEqual([1, 2, 3]);
  });

  test("that are cut off are refused", () => {
    expect(() => readRaw(new Uint8Array(5), form())).toThrow(/5 bytes where its pixels need 6/);
  });
});

/** The frame with one run and one literal in each of its two segments: 0x0102 three times. */
function rleFrame(...segments: number[][]): Uint8Array {
  const header = new DataView(new ArrayBuffer(64));
  header.setUint32(0, segments.length, true);
  let offset = 64;
  segments.forEach((segment, i) => {
    header.setUint32(4 + 4 * i, offset, true);
    offset += segment.length;
  });
  return Uint8Array.of(...new Uint8Array(header.buffer), ...segments.flat());
}

describe("RLE", () => {
  test("joins byte planes, the high one first", () => {
    const bytes = decodeRle(rleFrame([254, 1], [2, 2, 3, 4]), 3, 2);
    expect([...new Uint16Array(bytes.buffer)]).toEqual([0x102, 0x103, 0x104]);
  });

  test("ignores the byte 128 and padding at the end", () => {
    const bytes = decodeRle(rleFrame([128, 254, 1, 0], [254, 2]), 3, 2);
    expect([...new Uint16Array(bytes.buffer)]).toEqual([0x102, 0x102, 0x102]);
  });

  test.each([
    ["a segment that ends early", rleFrame([255, 1], [254, 2])],
    ["one segment for two bytes", rleFrame([254, 1])],
    ["a header that is cut off", new Uint8Array(10)],
  ])("refuses %s", (_, frame) => {
    expect(() => decodeRle(frame, 3, 2)).toThrow(/^RLE/);
  });

  test("refuses a segment outside the frame", () => {
    const frame = rleFrame([254, 1], [254, 2]);
    new DataView(frame.buffer).setUint32(8, 5000, true);
    expect(() => decodeRle(frame, 3, 2)).toThrow(/outside the frame/);
  });
});

describe("an answer of WADO-RS", () => {
  const CRLF = "\r\n";
  const envelope = (head: string, body: string) =>
    new TextEncoder().encode(`--b${CRLF}${head}${CRLF}${CRLF}${body}${CRLF}--b--${CRLF}`);
  const type = 'multipart/related; type="image/dicom-rle"; boundary="b"';

  test.each([
    "Content-Type: image/dicom-rle; transfer-syntax=1.2.840.10008.1.2.5",
    `Content-Length: 4${CRLF}Content-Type: image/dicom-rle; transfer-syntax="1.2.840.10008.1.2.5"`,
  ])("gives its part and syntax: %s", (head) => {
    const part = unwrapPart(envelope(head, "\n\r\n4"), type);
    expect(new TextDecoder().decode(part.bytes)).toBe("\n\r\n4");
    expect(part.transferSyntax).toBe(SYNTAX.rle);
  });

  test("may come without an envelope", () => {
    const part = unwrapPart(
      Uint8Array.of(1, 2),
      "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1",
    );
    expect(part).toEqual({
      bytes: Uint8Array.of(1, 2),
      transferSyntax: SYNTAX.explicitLittleEndian,
    });
  });

  test.each([
    ["cut off", envelope("Content-Length: 99", "x"), type],
    ["without a part", new TextEncoder().encode("nothing"), type],
    ["without a boundary", envelope("A: b", "x"), "multipart/related"],
  ])("is refused when %s", (_, body, contentType) => {
    expect(() => unwrapPart(body, contentType)).toThrow(/frame/);
  });
});

describe("frames", () => {
  test("in an unknown syntax are refused by name", async () => {
    const part = { bytes: new Uint8Array(6), transferSyntax: "1.2.840.10008.1.2.4.90" };
    await expect(decodeFrame(part, form())).rejects.toThrow(/1\.2\.840\.10008\.1\.2\.4\.90/);
  });

  interface Htj2kCase {
    readonly name: string;
    readonly form: PixelForm;
    readonly base64: string;
    readonly values: readonly number[];
  }
  const cases = readGolden<{ cases: Htj2kCase[] }>("htj2k.json").cases;
  const load = () => createRequire(import.meta.url)("@cornerstonejs/codec-openjph")() as never;

  test.each(cases)("HTJ2K $name is lossless", async (one) => {
    const bytes = Uint8Array.from(Buffer.from(one.base64, "base64"));
    const plane = await decodeFrame(
      { bytes, transferSyntax: SYNTAX.htj2kLossless },
      one.form,
      load,
    );
    expect([...plane.data].map((v) => v - plane.bias)).toEqual(one.values);
  });

  test("HTJ2K of another size than the header's is refused", async () => {
    const bytes = Uint8Array.from(Buffer.from(cases[0].base64, "base64"));
    const part = { bytes, transferSyntax: SYNTAX.htj2kLossless };
    await expect(decodeFrame(part, { ...cases[0].form, rows: 5 }, load)).rejects.toThrow(/HTJ2K/);
  });
});
