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

interface Run {
  analyst: DeviceAnalyst | null;
  stopped: boolean;
  release: (() => void) | null;
}

export interface DeviceAnalysis {
  readonly phase: Phase;
  start(files: readonly NamedFile[]): void;
  /** Stops what runs, and forgets what was found. */
  clear(): void;
}

export function useAnalysis(): DeviceAnalysis {
  const { apis, events } = useDesk();
  const [phase, setPhase] = useState<Phase>({ kind: "choosing" });
  const running = useRef<Run | null>(null);

  const stop = useCallback(() => {
    const run = running.current;
    running.current = null;
    if (run === null) return;
    run.stopped = true;
    run.analyst?.close();
    run.release?.();
  }, []);
  useEffect(() => stop, [stop]);

  const start = useCallback(
    (files: readonly NamedFile[]) => {
      stop();
      const run: Run = { analyst: null, stopped: false, release: null };
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
        // From here on, and as long as the result is shown, the server is asked for nothing.
        run.release = events.hold();
        show({ kind: "working", done: 0, all: 0 });
        const analysis = await analyst.analyze(files, {
          prevalence: facts.prevalence,
          onProgress: ({ done, all }) => show({ kind: "working", done, all }),
        });
        show({ kind: "done", analysis, analyst });
      };
      work().catch((error: unknown) => {
        if (run.stopped) return;
        stop();
        const refusal = error instanceof AnalysisFailed ? error.message : null;
        setPhase({ kind: "failed", problem: refusal === null ? asProblem(error) : null, refusal });
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
