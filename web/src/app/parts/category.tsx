/** The category of an exam: a word, a shape and a colour. Each of the three suffices alone. */

import type { AiSummary, Category, ExamRow, ExamStatus } from "../api/types";
import { AUC_CHANGE } from "../logic/photographs";
import { examinesAlone } from "../logic/rights";
import type { AppKey } from "../messages/text";
import { useDesk, useFrame } from "./app_context";

const SHAPES: Readonly<Record<Category | "hidden" | "pending", string>> = {
  /** A filled triangle. */
  high: "M8 1.5 15 14.5H1Z",
  /** A filled octagon with a cross cut out. */
  failed:
    "M5 1h6l4 4v6l-4 4H5L1 11V5ZM5.2 4 4 5.2 6.8 8 4 10.8 5.2 12 8 9.2 10.8 12 12 10.8 9.2 8 12 5.2 10.8 4 8 6.8Z",
  /** A square with a bar. */
  withheld: "M2 2h12v12H2ZM4.5 7v2h7V7Z",
  /** A diamond. */
  intermediate: "M8 1 15 8 8 15 1 8Z",
  /** A ring. */
  low: "M8 1.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13Zm0 2.2a4.3 4.3 0 1 0 0 8.6 4.3 4.3 0 0 0 0-8.6Z",
  /** A shut eye. */
  hidden: "M1 7c2 3 4.2 4.2 7 4.2S13 10 15 7l-1.4-.9C12 8.6 10.2 9.6 8 9.6S4 8.6 2.4 6.1Z",
  /** Three points. */
  pending: "M2 6.8h2.6v2.6H2ZM6.7 6.8h2.6v2.6H6.7ZM11.4 6.8H14v2.6h-2.6Z",
};

export function CategoryShape({ of }: { of: keyof typeof SHAPES }) {
  return (
    <svg className={`shape shape-${of}`} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={SHAPES[of]} fillRule="evenodd" />
    </svg>
  );
}

/** Where there is no first answer to give any more. */
const HIDDEN: Partial<Record<ExamStatus, AppKey>> = {
  arbitration: "ai.hidden-arbitration",
  signed: "ai.hidden-signed",
};

/** What the AI says of an exam, in one cell. */
export function AiCell({ row }: { row: Pick<ExamRow, "ai" | "ai_hidden" | "status"> }) {
  const { words, person } = useDesk();
  if (examinesAlone(person)) {
    const key = row.status === "signed" ? "field.has-reading" : "field.waiting-reader";
    return <span className="category quiet">{words.say(key)}</span>;
  }
  // In the mode triage only the category is told, and nothing else.
  if (row.ai === null && row.ai_hidden) {
    return (
      <span className="category">
        <CategoryShape of="hidden" />
        <span>{words.say(HIDDEN[row.status] ?? "ai.hidden")}</span>
      </span>
    );
  }
  if (row.ai === null) {
    const isPending = row.status === "waiting" || row.status === "analysing";
    return (
      <span className="category quiet">
        <CategoryShape of="pending" />
        <span>{words.say(isPending ? "ai.pending" : "ai.none")}</span>
      </span>
    );
  }
  return (
    <span className={`category category-${row.ai.category}`}>
      <CategoryShape of={row.ai.category} />
      <span>
        <strong>{words.say(`category.${row.ai.category}`)}</strong>
        <AiScore ai={row.ai} />
      </span>
    </span>
  );
}

/** The score with the prevalence it is stated for; a failure has a reason and no score. */
function AiScore({ ai }: { ai: AiSummary }) {
  const { words } = useFrame();
  if (ai.failure !== null) return <small>{words.reason(ai.failure)}</small>;
  if (ai.score === null) return null;
  const share = words.percent(ai.score);
  if (ai.prevalence === null) return <small>{share}</small>;
  const prevalence = words.percent(ai.prevalence);
  return <small>{words.say("ai.score", { share, prevalence })}</small>;
}

/** That an exam comes from photographs of films, and what that costs. */
export function PhotographNote({ row }: { row: Pick<ExamRow, "ai"> }) {
  const { words } = useFrame();
  if (!row.ai?.from_photograph) return null;
  const [change, low, high] = [AUC_CHANGE.value, AUC_CHANGE.low, AUC_CHANGE.high].map((value) =>
    words.number(value, 3),
  );
  const figures = { n: AUC_CHANGE.images, change, low, high };
  return <p className="note note-warning">{words.say("photograph.never-low", figures)}</p>;
}

export function StatusWord({ status }: { status: ExamStatus }) {
  const { words } = useFrame();
  return (
    <span className={`exam-status exam-status-${status}`}>{words.say(`status.${status}`)}</span>
  );
}
