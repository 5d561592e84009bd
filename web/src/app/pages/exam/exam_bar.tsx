/** The line above an exam: back, whose exam it is, what else can be done with it, the next one. */

import { useState } from "react";
import type { ExamDetail, Person } from "../../api/types";
import { administers, hasRole, mayRead } from "../../logic/rights";
import { hashTo } from "../../logic/route";
import { nameWords } from "../../logic/times";
import { useDesk } from "../../parts/app_context";
import { AiCell, StatusWord } from "../../parts/category";
import { Dialog } from "../../parts/dialog";
import { ProblemNote, SelectField } from "../../parts/form";
import { useAction, useLoad } from "../../parts/hooks";
import { lastList } from "../worklist/memory";

export interface ExamBarProps {
  readonly detail: ExamDetail | null;
  readonly next: number | null;
  readonly previous: number | null;
  refresh(): Promise<unknown>;
}

export function ExamBar({ detail, next, previous, refresh }: ExamBarProps) {
  const { words, person } = useDesk();
  const [dialog, setDialog] = useState<"opinion" | "site" | null>(null);
  const close = () => setDialog(null);
  return (
    <div className="exam-bar">
      <a href={lastList().hash}>‹ {words.say("exam.back")}</a>
      {detail && (
        <>
          <h1>{nameWords(detail.patient.name) ?? words.say("patient.unknown")}</h1>
          <span className="quiet">{detail.accession_number}</span>
          <span className="quiet">{detail.site?.name ?? words.say("exam.no-site")}</span>
          <AiCell row={detail} />
          <StatusWord status={detail.status} />
          <span className="spring" />
          {detail.patient_key && (
            <a href={hashTo("patients", detail.patient_key)}>{words.say("exam.study-list")}</a>
          )}
          {mayRead(person, detail.site?.id ?? null) && (
            <button type="button" className="quiet" onClick={() => setDialog("opinion")}>
              {words.say("opinion.ask")}
            </button>
          )}
          {person.is_administrator && (
            <button type="button" className="quiet" onClick={() => setDialog("site")}>
              {words.say("exam.set-site")}
            </button>
          )}
        </>
      )}
      {previous !== null && <a href={hashTo("exams", previous)}>{words.say("exam.previous")}</a>}
      {next !== null && <a href={hashTo("exams", next)}>{words.say("exam.next")} ›</a>}
      {dialog === "opinion" && detail && <OpinionDialog detail={detail} close={close} />}
      {dialog === "site" && detail && (
        <SiteDialog detail={detail} close={close} done={() => void refresh()} />
      )}
    </div>
  );
}

function OpinionDialog({ detail, close }: { detail: ExamDetail; close(): void }) {
  const { words, apis, person, announce } = useDesk();
  const people = useLoad(() => apis.people.list(), "people");
  const [to, setTo] = useState("");
  const { isBusy, problem, run } = useAction();
  const isReader = (one: Person) => hasRole(one, "reader") || hasRole(one, "arbiter");
  const readers = (people.data ?? []).filter(
    (one) => one.id !== person.id && one.is_active && isReader(one),
  );
  return (
    <Dialog title={words.say("opinion.ask")} close={close}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void run(async () => {
            await apis.readings.askOpinion(detail.id, Number(to));
            announce(words.say("opinion.asked"));
            close();
          });
        }}
      >
        <p>{words.say("opinion.how")}</p>
        {administers(person) || readers.length > 0 ? (
          <SelectField
            label={words.say("opinion.reader")}
            value={to}
            change={setTo}
            options={[
              ["", words.say("app.choose")],
              ...readers.map((one) => [String(one.id), one.display_name] as const),
            ]}
          />
        ) : (
          <p>{words.say("opinion.nobody")}</p>
        )}
        <ProblemNote problem={people.problem ?? problem} />
        <div className="actions">
          <button type="submit" className="primary" disabled={isBusy || to === ""}>
            {words.say("opinion.send")}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

interface SiteDialogProps {
  readonly detail: ExamDetail;
  close(): void;
  done(): void;
}

function SiteDialog({ detail, close, done }: SiteDialogProps) {
  const { words, apis, sites, announce } = useDesk();
  const [to, setTo] = useState(String(detail.site?.id ?? ""));
  const { isBusy, problem, run } = useAction();
  return (
    <Dialog title={words.say("exam.set-site")} close={close}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void run(async () => {
            await apis.exams.setSite(detail.id, Number(to));
            announce(words.say("exam.site-set"));
            close();
            done();
          });
        }}
      >
        <SelectField
          label={words.say("column.site")}
          value={to}
          change={setTo}
          options={[
            ["", words.say("app.choose")],
            ...sites.map((site) => [String(site.id), site.name] as const),
          ]}
        />
        <ProblemNote problem={problem} />
        <div className="actions">
          <button type="submit" className="primary" disabled={isBusy || to === ""}>
            {words.say("app.save")}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
