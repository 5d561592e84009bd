/** The analysis on this device: files in, result and pictures out, nothing sent. */

import { useEffect, useRef, useState } from "react";
import { fromInput, isLeftOut, type NamedFile, sizeWords } from "../../logic/files";
import { useDesk } from "../../parts/app_context";
import { Busy, ProblemNote } from "../../parts/form";
import { useLoad, useTitle } from "../../parts/hooks";
import { Result } from "./result";
import { useAnalysis } from "./use_analysis";

export default function AnalysisPage() {
  const { words, apis } = useDesk();
  useTitle(words.say("page.analysis"));
  const model = useLoad(apis.model.show, "model");
  const { phase, start, clear } = useAnalysis();
  const [shown, setShown] = useState(0);
  const begin = (files: readonly NamedFile[]) => {
    const wanted = files.filter(({ name }) => !isLeftOut(name));
    setShown(0);
    if (wanted.length > 0) start(wanted);
  };
  return (
    <section className="page analysis">
      <header className="page-head">
        <h1>{words.say("page.analysis")}</h1>
      </header>
      <p className="note">{words.say("analysis.stays")}</p>
      {phase.kind === "choosing" && (
        <>
          <p className="quiet how">{words.say("analysis.how")}</p>
          <ChooseFiles choose={begin} />
          {model.data && (
            <p className="quiet">
              {words.say("analysis.model", {
                model: `${model.data.name} ${model.data.version}`,
                size: sizeWords(model.data.graph.bytes, words.locale),
              })}
            </p>
          )}
          <ProblemNote problem={model.problem} />
        </>
      )}
      {phase.kind === "loading" && <Busy text={words.say("analysis.loading")} />}
      {phase.kind === "working" && <Working done={phase.done} all={phase.all} />}
      {(phase.kind === "loading" || phase.kind === "working") && (
        <div className="actions">
          <button type="button" onClick={clear}>
            {words.say("app.cancel")}
          </button>
        </div>
      )}
      {phase.kind === "failed" && (
        <>
          <ProblemNote problem={phase.problem} />
          {phase.refusal !== null && (
            <div className="note note-bad" role="alert">
              <p>{words.say("analysis.refused")}</p>
              <p>{words.reason(phase.refusal)}</p>
            </div>
          )}
        </>
      )}
      {phase.kind === "done" && <Found {...phase} shown={shown} show={setShown} />}
      {(phase.kind === "failed" || phase.kind === "done") && (
        <div className="actions">
          <button type="button" onClick={clear}>
            {words.say("analysis.again")}
          </button>
        </div>
      )}
    </section>
  );
}

function Working({ done, all }: { done: number; all: number }) {
  const { words } = useDesk();
  return (
    <div className="stack">
      <p role="status">{words.say("analysis.working")}</p>
      <progress aria-label={words.say("analysis.working")} value={done} max={Math.max(all, 1)} />
    </div>
  );
}

type Done = Extract<ReturnType<typeof useAnalysis>["phase"], { kind: "done" }>;

/** The exams that were found: one is open, the others are named. */
function Found({
  analysis,
  analyst,
  shown,
  show,
}: Done & { shown: number; show(n: number): void }) {
  const { words } = useDesk();
  const { exams, unplaced } = analysis;
  const head = useRef<HTMLDivElement>(null);
  useEffect(() => head.current?.focus({ preventScroll: true }), []);
  return (
    <div className="stack" ref={head} tabIndex={-1}>
      {exams.length === 0 && (
        <p className="note note-bad" role="alert">
          {words.say("analysis.nothing")}
        </p>
      )}
      {exams.length > 1 && (
        <nav className="actions" aria-label={words.say("analysis.exams", { n: exams.length })}>
          {exams.map((exam, n) => (
            <button
              // biome-ignore lint/suspicious/noArrayIndexKey: the list never changes
              key={n}
              type="button"
              aria-pressed={n === shown}
              onClick={() => show(n)}
            >
              {exam.patientId ?? words.say("patient.unknown")}
            </button>
          ))}
        </nav>
      )}
      {exams[shown] && (
        <Result key={shown} prediction={exams[shown]} analyst={analyst} number={shown} />
      )}
      {unplaced.length > 0 && (
        <details open={exams.length === 0}>
          <summary>{words.say("analysis.unplaced", { n: unplaced.length })}</summary>
          <ul className="doubts">
            {unplaced.map(({ path, message }) => (
              <li key={path}>{words.reason(message)}</li>
            ))}
          </ul>
        </details>
      )}
    </div>
  );
}

/** Files, a zip or a folder of this device. */
export function ChooseFiles({ choose }: { choose(files: readonly NamedFile[]): void }) {
  const { words } = useDesk();
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const taken = (input: HTMLInputElement) => {
    choose(fromInput(input.files ?? []));
    input.value = "";
  };
  return (
    <div className="actions">
      <button type="button" className="primary" onClick={() => files.current?.click()}>
        {words.say("upload.files")}
      </button>
      <button type="button" onClick={() => folder.current?.click()}>
        {words.say("upload.folder")}
      </button>
      <input
        ref={files}
        className="hidden"
        type="file"
        multiple
        tabIndex={-1}
        aria-label={words.say("upload.files")}
        onChange={(event) => taken(event.target)}
      />
      <input
        ref={(input) => {
          folder.current = input;
          input?.setAttribute("webkitdirectory", "");
        }}
        className="hidden"
        type="file"
        tabIndex={-1}
        aria-label={words.say("upload.folder")}
        onChange={(event) => taken(event.target)}
      />
    </div>
  );
}
