/**
 * Compression before sending, on films that `dev/films_to_compress.py` makes. It checks with pydicom
 * and mammolens what came of them: the same pixels, and every other element byte for byte.
 */

import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { loadCodec } from "../analysis/device";

const ROOT = join(import.meta.dirname, "../../..");
const python = process.env.MAMMOLENS_PYTHON ?? join(ROOT, ".venv/bin/python");
const script = join(ROOT, "web/dev/films_to_compress.py");
const MINUTE_MS = 60_000;

function films(): string | null {
  if (!existsSync(python)) {
    if (process.env.CI) throw new Error(`${python} is missing: the films cannot be made`);
    return null;
  }
  const out = mkdtempSync(join(tmpdir(), "mammolens-films-"));
  execFileSync(python, [script, out], { stdio: "inherit" });
  return out;
}

const folder = films();

/** Codecs are loaded once; each test has its own. */
let recompress: typeof import("../../src/recompress/recompress").recompress;
beforeEach(async () => {
  vi.resetModules();
  ({ recompress } = await import("../../src/recompress/recompress"));
});

describe.skipIf(folder === null)("a film that is compressed before it is sent", () => {
  const at = folder as string;

  test("has the same pixels and elements, and what is odd is left", {
    timeout: MINUTE_MS,
  }, async () => {
    mkdirSync(join(at, "made"));
    const left: Record<string, string> = {};
    for (const name of readdirSync(at).filter((one) => one.endsWith(".dcm"))) {
      const film = new Uint8Array(readFileSync(join(at, name)));
      const before = film.slice();
      const made = await recompress(film, loadCodec);
      expect(Buffer.compare(film, before), `${name} was changed in place`).toBe(0);
      if (made.kind === "smaller") writeFileSync(join(at, "made", name), made.bytes);
      else left[name.replace(".dcm", "")] = made.why;
    }
    // Noise does not fit into the stream that the encoder gives it: it would not be smaller.
    expect(left).toEqual({
      ...{ signed: "odd", frames: "odd", over: "odd", implicit: "odd", cut: "odd", cutrle: "odd" },
      ...{ signature: "odd", garbage: "odd", short: "odd", noise: "failed" },
    });
    const said = execFileSync(python, [script, "--check", at], { encoding: "utf-8" });
    expect(said).toContain("sample:");
  });

  test("stays as it is if the film decodes to anything else", async () => {
    const film = new Uint8Array(readFileSync(join(at, "plain.dcm")));
    const made = await recompress(film, async (name) => wrongBy(await loadCodec(name)));
    expect(made).toEqual({ kind: "left", why: "changed" });
  });

  test("stays as it is where there is no memory, or no codec", async () => {
    const film = new Uint8Array(readFileSync(join(at, "plain.dcm")));
    const broken = () => Promise.reject(new Error("no memory"));
    expect(await recompress(film, broken)).toEqual({ kind: "left", why: "failed" });
  });

  test("that was compressed already is not compressed again", async () => {
    const [first] = readdirSync(join(at, "made"));
    const film = new Uint8Array(readFileSync(join(at, "made", first)));
    expect(await recompress(film, loadCodec)).toEqual({ kind: "left", why: "compressed" });
  });
});

/** The codecs with a decoder that gets one pixel wrong. */
function wrongBy(module: unknown): unknown {
  const codecs = module as Record<string, { prototype: { getDecodedBuffer(): Uint8Array } }>;
  const { prototype } = codecs.JpegLSDecoder;
  const right = prototype.getDecodedBuffer;
  prototype.getDecodedBuffer = function (this: object) {
    const bytes = right.call(this);
    bytes[1000] ^= 1;
    return bytes;
  };
  return module;
}
