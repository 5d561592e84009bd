/** Whether films are made smaller without loss before they are sent: the choice of this browser. */

const STORED = "mammolens-compress";
const NEVER = "never";

export function compresses(): boolean {
  try {
    return localStorage.getItem(STORED) !== NEVER;
  } catch {
    return true;
  }
}

export function keepCompresses(isWanted: boolean): void {
  try {
    if (isWanted) localStorage.removeItem(STORED);
    else localStorage.setItem(STORED, NEVER);
  } catch {
    // Without storage films are made smaller, which changes no pixel.
  }
}
