/** Photographs in a form that the server reads: what only the browser decodes becomes a JPEG. */

import { isPlainPicture } from "../logic/photographs";

/** Little is lost beside what the camera has lost already. */
const QUALITY = 0.95;

/** @returns the file itself, a JPEG of it, or null if this browser does not decode it either */
export async function readablePicture(file: File): Promise<File | null> {
  if (isPlainPicture(file)) return file;
  try {
    const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
    bitmap.close();
    const picture = await canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
    return new File([picture], `${file.name}.jpg`, { type: "image/jpeg" });
  } catch {
    return null;
  }
}
