/** What a person answers to an exam: draft → locked → the AI → agree or change → signed. */

import type { Opinion, Reading } from "../../api/types";
import { finishes } from "../../device/queue_items";
import { worksOn } from "../../logic/rights";
import { hashTo } from "../../logic/route";
import { useDesk } from "../../parts/app_context";
import { ProblemNote } from "../../parts/form";
import { useAction, useLoad } from "../../parts/hooks";
import { Quality } from "../../parts/quality";
import { useQueued } from "../../parts/use_device";
import { AnswerSummary } from "./answer_summary";
import { Artefacts } from "./artefacts";
import { ClinicalPanel } from "./clinical";
import { Comparison } from "./comparison";
import { Consents } from "./consents";
import { Drafting } from "./drafting";
import { ExamOutcomes } from "./exam_outcomes";
import { Locked, Revising } from "./locked";
import { NextExam } from "./next_exam";
import type { PanelProps } from "./panel_props";
import { Queued } from "./queued";
import { SaveNote } from "./save_note";
import { ReportLinks, Signed } from "./signed";

export function ReadingPanel(props: PanelProps) {
  const { words, person } = useDesk();
  const { facts, draft, isArbitration } = props;
  const { reading } = draft.snapshot;
  const { detail } = facts;
  const reads = worksOn(person, detail.site?.id ?? null, "reader");
  const opinion = useOpinion(detail.id, !reads);
  const answers = !isArbitration && (reads || opinion !== null);
  const role = reading?.slot ?? reading?.role ?? (isArbitration ? "arbiter" : null);
  return (
    <aside className="reading" aria-label={words.say("reading.title")} tabIndex={-1}>
      <header className="reading-head">
        <h2>{words.say(role ? `reading.role-${role}` : "reading.title")}</h2>
        {(reading?.state ?? "draft") === "draft" && <SaveNote draft={draft} />}
      </header>
      {answers && (reading?.state ?? "draft") === "draft" && (
        <p className="quiet mode">{words.say(`mode.${reading?.mode ?? detail.mode}-how`)}</p>
      )}
      {draft.others.length > 0 && (
        <Comparison
          readings={draft.others}
          differences={facts.dispute?.differences ?? []}
          showMark={props.showMark}
        />
      )}
      {opinion !== null && opinion.question !== "" && (
        <p className="note">
          {words.say("opinion.asks", { name: opinion.asked_by.name, text: opinion.question })}
        </p>
      )}
      <MyReading {...props} isAsked={opinion !== null} />
      <Quality key={`quality ${detail.id} ${detail.version}`} exam={detail.id} />
      <ClinicalPanel
        key={`${detail.id} ${detail.revision} ${detail.ai_hidden}`}
        detail={detail}
        seesAi={!detail.ai_hidden}
      />
      <Consents exam={detail.id} />
      <ExamOutcomes key={`outcomes ${detail.id}`} {...props} />
      <Artefacts key={detail.id} detail={detail} />
    </aside>
  );
}

type MyProps = PanelProps & { readonly isAsked: boolean };

function MyReading(props: MyProps) {
  const { reading, isRevising } = props.draft.snapshot;
  const waiting = useQueued(props.facts.detail.id).findLast(
    (item) => finishes(item) || item.state !== "waiting",
  );
  if (waiting !== undefined) return <Queued {...props} item={waiting} />;
  if (reading?.state === "signed") return <Signed {...props} reading={reading} />;
  if (reading?.role === "reader" && props.facts.detail.status === "signed") {
    return <TooLate {...props} reading={reading} />;
  }
  if (reading?.state === "locked") {
    if (isRevising) return <Revising {...props} reading={reading} />;
    return <Locked {...props} reading={reading} />;
  }
  if (reading !== null) return <Drafting {...props} />;
  return props.isArbitration ? <TakeCase {...props} /> : <NotBegun {...props} />;
}

/** Who may begin, and what everybody else sees. */
function NotBegun(props: MyProps) {
  const { words, person } = useDesk();
  const { facts, draft, isAsked } = props;
  const { detail } = facts;
  const site = detail.site?.id ?? null;
  const isReader = worksOn(person, site, "reader");
  if (detail.status === "arbitration" && !isAsked) {
    return (
      <>
        <p className="note note-warning">{words.say("reading.in-arbitration")}</p>
        {worksOn(person, site, "arbiter") && (
          <a className="button" href={hashTo("arbitration", detail.id)}>
            {words.say("reading.to-arbitration")}
          </a>
        )}
      </>
    );
  }
  const isOpen = detail.status !== "signed" || !draft.snapshot.save.kind.startsWith("saved");
  if (isAsked || (isReader && isOpen)) return <Drafting {...props} />;
  const signed = draft.others.filter((one) => one.state === "signed");
  if (signed.length > 0) {
    return signed.map((reading) => <ReportLinks key={reading.id} reading={reading} />);
  }
  const key = site === null ? "reading.no-site" : "reading.not-a-reader";
  return <p className="quiet">{words.say(isReader ? "reading.is-decided" : key)}</p>;
}

/** Somebody else's answer stands: what this person has answered is kept, and cannot be signed. */
function TooLate(props: PanelProps & { readonly reading: Reading }) {
  const { words } = useDesk();
  const { facts, draft, next } = props;
  return (
    <div className="stack">
      <p className="note note-warning">{words.say("reading.too-late")}</p>
      <AnswerSummary
        title={words.say("reading.not-signed")}
        answers={draft.snapshot.answers}
        images={facts.exam.images}
        showMark={props.showMark}
      />
      <div className="actions">
        <NextExam next={next} />
      </div>
    </div>
  );
}

/** The second opinion that this person was asked for on an exam of another site. */
function useOpinion(exam: number, isPossible: boolean): Opinion | null {
  const { apis, person } = useDesk();
  const load = async () => (isPossible ? (await apis.readings.opinions()).items : []);
  const { data } = useLoad(load, `asked ${exam} ${isPossible}`);
  const isMine = (one: Opinion) =>
    one.exam_id === exam && one.person.id === person.id && one.ended_at === null;
  return data?.find(isMine) ?? null;
}

function TakeCase({ facts, draft, refresh }: PanelProps) {
  const { words, person } = useDesk();
  const action = useAction();
  const { detail } = facts;
  if (!worksOn(person, detail.site?.id ?? null, "arbiter")) {
    return <p className="quiet">{words.say("reading.not-an-arbiter")}</p>;
  }
  const take = () =>
    action.run(async () => {
      await draft.desk.begin();
      await refresh();
    });
  return (
    <div className="stack">
      <p>{words.say("reading.take-case-how")}</p>
      <ProblemNote problem={action.problem} />
      <div className="actions">
        <button
          type="button"
          className="primary"
          disabled={action.isBusy}
          onClick={() => void take()}
        >
          {words.say("reading.take-case")}
        </button>
      </div>
    </div>
  );
}
