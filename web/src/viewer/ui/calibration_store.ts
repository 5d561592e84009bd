/** The calibration of this screen, kept in the browser. Another screen or zoom has its own. */

const KEY = "mammolens.screen";

function name(): string {
  return `${KEY} ${screen.width}x${screen.height} ${window.devicePixelRatio}`;
}

/** Device pixels per millimetre; null if this screen was never calibrated. */
export function readCalibration(): number | null {
  const value = Number(localStorage.getItem(name()) ?? Number.NaN);
  return value > 1 && value < 60 ? value : null;
}

export function saveCalibration(devicePixelsPerMm: number): void {
  localStorage.setItem(name(), String(devicePixelsPerMm));
}
