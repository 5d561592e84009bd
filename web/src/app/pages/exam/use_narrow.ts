import { useSyncExternalStore } from "react";

/** Below this width an exam is shown as results, not as films to read. */
const NARROW = "(max-width: 56rem)";

export function useIsNarrow(): boolean {
  return useSyncExternalStore(
    (changed) => {
      const media = matchMedia(NARROW);
      media.addEventListener("change", changed);
      return () => media.removeEventListener("change", changed);
    },
    () => matchMedia(NARROW).matches,
  );
}
