import { useSyncExternalStore } from "react";

/**
 * Below this width, in units of the text's size, an exam is shown as results and not as films to
 * read, and filters are folded. Larger text makes a screen narrower.
 */
const NARROW_REM = 56;

export function useIsNarrow(): boolean {
  return useSyncExternalStore(listen, isNarrow);
}

function isNarrow(): boolean {
  const root = document.documentElement;
  return root.clientWidth / Number.parseFloat(getComputedStyle(root).fontSize) < NARROW_REM;
}

function listen(changed: () => void): () => void {
  const observer = new ResizeObserver(changed);
  observer.observe(document.body);
  return () => observer.disconnect();
}
