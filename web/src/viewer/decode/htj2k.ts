/**
 * High-Throughput JPEG 2000 by OpenJPH as WebAssembly (@cornerstonejs/codec-openjph, MIT).
 * The decoder is 0.1 MB gzip and is loaded with the first frame that needs it.
 */

import type { PixelForm } from "./raw";

/** The part of the decoder's interface that is used here. */
interface Decoder {
  getEncodedBuffer(length: number): Uint8Array;
  decode(): void;
  getDecodedBuffer(): Uint8Array;
  getFrameInfo(): {
    width: number;
    height: number;
    bitsPerSample: number;
    componentCount: number;
    isSigned: boolean;
  };
  delete(): void;
}

interface Module {
  HTJ2KDecoder: new () => Decoder;
}

/** Gives the decoder's module; tests in Node replace the loader that suits a browser. */
export type ModuleLoader = () => Promise<Module>;

let loading: Promise<Module> | undefined;

/**
 * Decodes one frame to raw little-endian bytes of the same form.
 *
 * @throws if the code stream does not hold the picture that the header promises
 */
export async function decodeHtj2k(
  bytes: Uint8Array,
  form: PixelForm,
  load: ModuleLoader = loadInBrowser,
): Promise<Uint8Array<ArrayBuffer>> {
  loading ??= load();
  const module = await loading.catch((error: unknown) => {
    loading = undefined;
    throw error;
  });
  const decoder = new module.HTJ2KDecoder();
  try {
    decoder.getEncodedBuffer(bytes.length).set(bytes);
    decoder.decode();
    const info = decoder.getFrameInfo();
    if (
      info.width !== form.columns ||
      info.height !== form.rows ||
      info.componentCount !== 1 ||
      info.isSigned !== form.signed ||
      info.bitsPerSample > form.bitsAllocated
    ) {
      const found = `${info.width}×${info.height}, ${info.bitsPerSample} bit`;
      throw new Error(`HTJ2K: the frame holds ${found}, not what its header says`);
    }
    const decoded = decoder.getDecodedBuffer();
    return form.bitsAllocated === 16 && info.bitsPerSample <= 8 ? spread(decoded) : decoded.slice();
  } finally {
    decoder.delete();
  }
}

/** One byte per pixel → two. */
function spread(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(bytes.length * 2);
  for (let i = 0; i < bytes.length; i++) out[2 * i] = bytes[i];
  return out;
}

async function loadInBrowser(): Promise<Module> {
  const [{ default: create }, { default: wasmUrl }] = await Promise.all([
    import("@cornerstonejs/codec-openjph"),
    import("@cornerstonejs/codec-openjph/wasm?url"),
  ]);
  return (await create({ locateFile: () => wasmUrl })) as Module;
}
