/** What a person answers to an exam: draft → locked → the AI → agree or change → signed. */

import type { Person } from "../../api/types";
import { worksOn } from "../../logic/rights";
import { hashTo } from "../../logic/route";
import { useDesk } from "../../parts/app_context";
import { ProblemNote } from "../../parts/form";
import { useAction, useLoad } from "../../parts/hooks";
import { Comparison } from "./comparison";
import { Drafting } from "./drafting";
import { Locked, Revising } from "./locked";
import type { PanelProps } from "./panel_props";
import { SaveNote } from "./save_note";
import { ReportLinks, Signed } from "./signed";

export function ReadingPanel(props: PanelProps) {
  const { words } = useDesk();
  const { facts, draft, isArbitration } = props;
  const { reading } = draft.snapshot;
  const role = reading?.slot ?? reading?.role ?? (isArbitration ? "arbiter" : null);
  return (
    <aside className="reading" aria-label={words.say("reading.title")} tabIndex={-1}>
      <header className="reading-head">
        <h2>{words.say(role ? `reading.role-${role}` : "reading.title")}</h2>
        {(reading?.state ?? "draft") === "draft" && <SaveNote draft={draft} />}
      </header>
      {!isArbitration && (reading?.state ?? "draft") === "draft" && (
        <p className="quiet mode">{words.say(`mode.${reading?.mode ?? facts.detail.mode}-how`)}</p>
      )}
      {draft.others.length > 0 && (
        <Comparison
          readings={draft.others}
          differences={facts.dispute?.differences ?? []}
          showMark={props.showMark}
        />
      )}
      <MyReading {...props} />
    </aside>
  );
}

function MyReading(props: PanelProps) {
  const { person } = useDesk();
  const { reading, isRevising } = props.draft.snapshot;
  if (reading?.state === "signed") return <Signed {...props} reading={reading} />;
  if (reading?.state === "locked") {
    if (isRevising) return <Revising {...props} reading={reading} />;
    return <Locked {...props} reading={reading} />;
  }
  if (reading !== null) return <Drafting {...props} />;
  return props.isArbitration ? <TakeCase {...props} /> : <NotBegun {...props} person={person} />;
}

/** Who may begin, and what everybody else sees. */
function NotBegun(props: PanelProps & { readonly person: Person }) {
  const { words } = useDesk();
  const { facts, person, draft } = props;
  const { detail } = facts;
  const site = detail.site?.id ?? null;
  const isReader = worksOn(person, site, "reader");
  const asked = useAsked(detail.id, !isReader);
  if (detail.status === "arbitration" && !asked) {
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
  if (asked || (isReader && isOpen)) return <Drafting {...props} />;
  const signed = draft.others.filter((one) => one.state === "signed");
  if (signed.length > 0) {
    return signed.map((reading) => <ReportLinks key={reading.id} reading={reading} />);
  }
  const key = site === null ? "reading.no-site" : "reading.not-a-reader";
  return <p className="quiet">{words.say(isReader ? "reading.is-decided" : key)}</p>;
}

/** Whether this person was asked for a second opinion on an exam of another site. */
function useAsked(exam: number, isPossible: boolean): boolean {
  const { apis, person } = useDesk();
  const load = async () => (isPossible ? (await apis.readings.opinions()).items : []);
  const { data } = useLoad(load, `asked ${exam} ${isPossible}`);
  return (data ?? []).some(
    (one) => one.exam_id === exam && one.person.id === person.id && one.ended_at === null,
  );
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
