/** One exam that was analysed on this device: its result in words, and its pictures. */

import { lazy, Suspense, useEffect, useMemo, useState } from "react";
import type { DeviceAnalyst } from "../../../analysis/client";
import type { Look } from "../../../analysis/look";
import type { Prediction } from "../../../analysis/score/exam";
import type { Exam } from "../../../viewer/exam";
import { loadWords, type Words } from "../../../viewer/messages/text";
import { Viewer } from "../../../viewer/Viewer";
import type { Category } from "../../api/types";
import { askedFor, doubtsOf, examOf, notesOf } from "../../logic/device_exam";
import { inWords } from "../../logic/exam_words";
import { useDesk } from "../../parts/app_context";
import { CategoryShape } from "../../parts/category";
import { Busy } from "../../parts/form";
import { useIsNarrow } from "../../parts/use_narrow";

const Pocket = lazy(() => import("../exam/pocket"));
/** The notice of the built-in cards, which the page says in the reader's language. */
const USUAL_NOTICE = "Research use only, not a medical device";
const RAW = "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1";

export interface ResultProps {
  readonly prediction: Prediction;
  readonly analyst: DeviceAnalyst;
  readonly number: number;
}

export function Result({ prediction, analyst, number }: ResultProps) {
  const { words } = useDesk();
  const [looks, setLooks] = useState<ReadonlyMap<string, Look> | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  useEffect(() => {
    let gone = false;
    const look = async () => {
      const found = new Map<string, Look>();
      for (const { ref } of prediction.images) {
        if (gone) return;
        found.set(ref.path, await analyst.look(ref.path));
      }
      if (!gone) setLooks(found);
    };
    look().catch((error: unknown) => {
      if (!gone) setFailure(error instanceof Error ? error.message : `${error}`);
    });
    return () => {
      gone = true;
    };
  }, [prediction, analyst]);
  return (
    <>
      <Summary prediction={prediction} />
      {failure !== null && (
        <p className="note note-bad" role="alert">
          {words.say("exam.viewer-failed", { reason: failure })}
        </p>
      )}
      {looks === null && failure === null && <Busy text={words.say("analysis.pictures")} />}
      {looks !== null && (
        <Pictures prediction={prediction} looks={looks} analyst={analyst} number={number} />
      )}
    </>
  );
}

function Summary({ prediction }: { prediction: Prediction }) {
  const { words } = useDesk();
  const { scores, prevalence, model, notice, unreadable, cautions } = prediction;
  const isWithheld = cautions.some(({ name }) => name === "low_withheld");
  const category: Category = isWithheld ? "withheld" : prediction.category;
  const doubts = doubtsOf(prediction);
  const notes = notesOf(prediction);
  return (
    <section className="summary" aria-label={words.say("analysis.result")}>
      <h2>{prediction.patientId ?? words.say("patient.unknown")}</h2>
      <p className={`category category-${category}`}>
        <CategoryShape of={category} />
        <span>
          <strong>{words.say(`category.${category}`)}</strong>{" "}
          {scores !== null && (
            <small>
              {words.say("ai.score", {
                share: words.percent(scores.malignant),
                prevalence: words.percent(prevalence),
              })}
            </small>
          )}
        </span>
      </p>
      <p>{words.say(`analysis.means-${category}`)}</p>
      <Lines title={words.say("analysis.doubts")} lines={doubts} isOpen />
      <Lines
        title={words.say("analysis.not-analysed", { n: unreadable.length })}
        lines={unreadable.map(({ message }) => message)}
        isOpen
      />
      <Lines title={words.say("analysis.notes", { n: notes.length })} lines={notes} />
      <p className="quiet">
        {model.name} {model.version}
      </p>
      <p className="research">{words.say("app.research")}</p>
      {!notice.startsWith(USUAL_NOTICE) && <p lang="en">{notice}</p>}
    </section>
  );
}

function Lines({
  title,
  lines,
  isOpen,
}: {
  title: string;
  lines: readonly string[];
  isOpen?: true;
}) {
  const { words } = useDesk();
  if (lines.length === 0) return null;
  return (
    <details open={isOpen ?? false}>
      <summary>{title}</summary>
      <ul className="doubts">
        {lines.map((line) => (
          <li key={line}>{words.reason(line)}</li>
        ))}
      </ul>
    </details>
  );
}

type PicturesProps = ResultProps & { readonly looks: ReadonlyMap<string, Look> };

function Pictures({ prediction, looks, analyst, number }: PicturesProps) {
  const { words } = useDesk();
  const isNarrow = useIsNarrow();
  const [viewerWords, setViewerWords] = useState<Words | null>(null);
  useEffect(() => {
    void loadWords(words.language).then(setViewerWords);
  }, [words.language]);
  const exam = useMemo<Exam>(
    () => inWords(examOf(prediction, looks, `device-${number}`), words.reason),
    [prediction, looks, number, words],
  );
  /** The viewer asks as it asks a server, and gets pictures of this device. */
  const fetchHere = useMemo(
    () => async (url: string) => {
      const asked = askedFor(url);
      if (asked === null) throw new Error(`${url} is not a picture of this device`);
      if (asked.kind === "pixels") {
        const { data } = await analyst.pixels(asked.path);
        return new Response(data, { headers: { "Content-Type": RAW } });
      }
      const preview = looks.get(asked.path)?.preview;
      return new Response(preview ?? null, { headers: { "Content-Type": "image/jpeg" } });
    },
    [analyst, looks],
  );
  if (viewerWords === null || exam.images.length === 0) return null;
  if (!isNarrow) {
    return (
      <div className="viewer-place analysis-viewer">
        <Viewer
          words={viewerWords}
          url={`/device/exam/${number}`}
          readExam={async () => exam}
          fetch={fetchHere}
        />
      </div>
    );
  }
  return (
    <Suspense fallback={<Busy text={words.say("app.loading")} />}>
      <Pocket exam={exam} words={viewerWords} fetch={fetchHere} />
      <p className="quiet pocket-how">{words.say("pocket.how")}</p>
    </Suspense>
  );
}
