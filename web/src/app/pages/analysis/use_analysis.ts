/** One analysis after the other on this device: model, progress, result, and memory given back. */

import { useCallback, useEffect, useRef, useState } from "react";
import type { Analysis } from "../../../analysis/analyze";
import { AnalysisFailed, type DeviceAnalyst } from "../../../analysis/client";
import { asProblem, type Problem } from "../../api/problem";
import type { NamedFile } from "../../logic/files";
import { loadAnalyst } from "../../parts/analyst";
import { useDesk } from "../../parts/app_context";

export type Phase =
  | { readonly kind: "choosing" }
  | { readonly kind: "loading" }
  | { readonly kind: "working"; readonly done: number; readonly all: number }
  | { readonly kind: "done"; readonly analysis: Analysis; readonly analyst: DeviceAnalyst }
  /** `refusal`: this device cannot do it; its words are those of mammolens. */
  | { readonly kind: "failed"; readonly problem: Problem | null; readonly refusal: string | null };

export interface DeviceAnalysis {
  readonly phase: Phase;
  start(files: readonly NamedFile[]): void;
  /** Stops what runs, and forgets what was found. */
  clear(): void;
}

export function useAnalysis(): DeviceAnalysis {
  const { apis, events } = useDesk();
  const [phase, setPhase] = useState<Phase>({ kind: "choosing" });
  const running = useRef<{ analyst: DeviceAnalyst | null; stopped: boolean } | null>(null);

  const stop = useCallback(() => {
    const run = running.current;
    running.current = null;
    if (run === null) return;
    run.stopped = true;
    run.analyst?.close();
  }, []);
  useEffect(() => stop, [stop]);

  const start = useCallback(
    (files: readonly NamedFile[]) => {
      stop();
      const run: { analyst: DeviceAnalyst | null; stopped: boolean } = {
        analyst: null,
        stopped: false,
      };
      running.current = run;
      const show = (to: Phase) => {
        if (!run.stopped) setPhase(to);
      };
      const work = async () => {
        show({ kind: "loading" });
        const { analyst, facts } = await loadAnalyst(apis.model);
        run.analyst = analyst;
        if (run.stopped) {
          analyst.close();
          return;
        }
        // From here on nothing is asked of the server, not even for news.
        const release = events.hold();
        try {
          show({ kind: "working", done: 0, all: 0 });
          const analysis = await analyst.analyze(files, {
            prevalence: facts.prevalence,
            onProgress: ({ done, all }) => show({ kind: "working", done, all }),
          });
          show({ kind: "done", analysis, analyst });
        } finally {
          release();
        }
      };
      work().catch((error: unknown) => {
        run.analyst?.close();
        const refusal = error instanceof AnalysisFailed ? error.message : null;
        show({ kind: "failed", problem: refusal === null ? asProblem(error) : null, refusal });
      });
    },
    [apis, events, stop],
  );
  const clear = useCallback(() => {
    stop();
    setPhase({ kind: "choosing" });
  }, [stop]);
  return { phase, start, clear };
}
