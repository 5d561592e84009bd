/** The line above an exam: back, whose exam it is, what else can be done with it, the next one. */

import { useState } from "react";
import type { ExamDetail, Person } from "../../api/types";
import { worksOn } from "../../logic/rights";
import { hashTo } from "../../logic/route";
import { nameWords } from "../../logic/times";
import { useDesk } from "../../parts/app_context";
import { AiCell, PhotographNote, StatusWord } from "../../parts/category";
import { Dialog } from "../../parts/dialog";
import { ProblemNote, SelectField, TextField } from "../../parts/form";
import { useAction, useLoad } from "../../parts/hooks";
import { lastList } from "../worklist/memory";

export interface ExamBarProps {
  readonly detail: ExamDetail | null;
  /** What must be visible at all times. */
  readonly banner: string | null;
  readonly next: number | null;
  readonly previous: number | null;
  refresh(): Promise<unknown>;
}

export function ExamBar({ detail, banner, next, previous, refresh }: ExamBarProps) {
  const { words, person } = useDesk();
  const [dialog, setDialog] = useState<"opinion" | "site" | null>(null);
  const close = () => setDialog(null);
  return (
    <div className="exam-bar">
      <a href={lastList().hash}>‹ {words.say("exam.back")}</a>
      {detail && (
        <>
          <h1>
            {nameWords(detail.patient.name) ?? detail.patient.id ?? words.say("patient.unknown")}
          </h1>
          <span className="quiet">{detail.accession_number}</span>
          <span className="quiet">{detail.site?.name ?? words.say("exam.no-site")}</span>
          <AiCell row={detail} />
          <StatusWord status={detail.status} />
          <PhotographNote row={detail} />
          {banner && <strong className="exam-banner">{banner}</strong>}
          <span className="spring" />
          {detail.patient.key && (
            <a href={hashTo("patients", detail.patient.key)}>{words.say("exam.study-list")}</a>
          )}
          {mayAsk(person, detail) && (
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

function mayAsk(person: Person, detail: ExamDetail): boolean {
  const site = detail.site?.id ?? null;
  return worksOn(person, site, "reader") || worksOn(person, site, "arbiter");
}

function OpinionDialog({ detail, close }: { detail: ExamDetail; close(): void }) {
  const { words, apis, announce } = useDesk();
  const people = useLoad(apis.readings.colleagues, "colleagues");
  const [to, setTo] = useState("");
  const [question, setQuestion] = useState("");
  const { isBusy, problem, run } = useAction();
  return (
    <Dialog title={words.say("opinion.ask")} close={close}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void run(async () => {
            await apis.readings.askOpinion(detail.id, Number(to), question.trim());
            announce(words.say("opinion.asked"));
            close();
          });
        }}
      >
        <p>{words.say("opinion.how")}</p>
        {people.data?.items.length === 0 ? (
          <p>{words.say("opinion.nobody")}</p>
        ) : (
          <SelectField
            label={words.say("opinion.reader")}
            value={to}
            change={setTo}
            options={[
              ["", words.say("app.choose")],
              ...(people.data?.items ?? []).map((one) => [String(one.id), one.name] as const),
            ]}
          />
        )}
        <TextField
          label={words.say("opinion.question")}
          value={question}
          change={setQuestion}
          maxLength={400}
        />
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
            await apis.exams.setSite(detail.id, Number(to), detail.site?.id ?? null);
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
