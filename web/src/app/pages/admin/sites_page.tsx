/** Sites and how exams are read there. */

import { type FormEvent, useState } from "react";
import type { Order, ReadingMode, Site } from "../../api/types";
import { LANGUAGES } from "../../messages/text";
import { useDesk } from "../../parts/app_context";
import { Dialog } from "../../parts/dialog";
import { ProblemNote, SelectField, TextField } from "../../parts/form";
import { useAction, useLoad } from "../../parts/hooks";
import { ListPage, Table } from "../../parts/list_page";
import { managedSites } from "./people_page";

const MODES: readonly ReadingMode[] = ["second_reader", "concurrent", "triage_only"];
const ORDERS: readonly Order[] = ["reception", "triage"];

export default function SitesPage() {
  const { words, apis, person, reloadSites } = useDesk();
  const list = useLoad(async () => managedSites(person, await apis.sites.list()), "sites");
  const [dialog, setDialog] = useState<"new" | Site | null>(null);
  const done = () => {
    setDialog(null);
    list.reload();
    reloadSites();
  };
  return (
    <ListPage
      title={words.say("page.sites")}
      empty={words.say("sites.none")}
      list={list}
      actions={
        person.is_administrator && (
          <button type="button" className="primary" onClick={() => setDialog("new")}>
            {words.say("sites.make")}
          </button>
        )
      }
    >
      {(sites) => (
        <>
          <Table
            items={sites}
            id={(one) => one.id}
            columns={[
              {
                title: words.say("sites.name"),
                cell: (one) => (
                  <>
                    <button type="button" className="link" onClick={() => setDialog(one)}>
                      {one.name}
                    </button>
                    <small>{one.key}</small>
                  </>
                ),
              },
              {
                title: words.say("sites.mode"),
                cell: (one) => words.say(`mode.${one.reading_mode}`),
              },
              {
                title: words.say("sites.order"),
                cell: (one) => words.say(`order.${one.order}`),
              },
              {
                title: words.say("sites.double"),
                cell: (one) => words.say(one.double_reading ? "app.yes" : "app.no"),
              },
              {
                title: words.say("sites.readings"),
                cell: (one) => (
                  <a href={apis.sites.readingsUrl(one.id)} download>
                    {words.say("sites.readings-csv")}
                  </a>
                ),
              },
            ]}
          />
          {dialog === "new" && <NewSite close={() => setDialog(null)} done={done} />}
          {dialog !== null && dialog !== "new" && (
            <SiteDialog site={dialog} close={() => setDialog(null)} done={done} />
          )}
        </>
      )}
    </ListPage>
  );
}

function NewSite({ close, done }: { close(): void; done(): void }) {
  const { words, apis } = useDesk();
  const [key, setKey] = useState("");
  const [name, setName] = useState("");
  const { isBusy, problem, run } = useAction();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void run(async () => {
      await apis.sites.make(key.trim(), name.trim());
      done();
    });
  };
  return (
    <Dialog title={words.say("sites.make")} close={close}>
      <form className="stack" onSubmit={submit}>
        <TextField
          label={words.say("sites.name")}
          value={name}
          change={setName}
          isRequired
          autoFocus
          maxLength={128}
        />
        <TextField
          label={words.say("sites.key")}
          hint={words.say("sites.key-how")}
          value={key}
          change={setKey}
          isRequired
          maxLength={64}
        />
        <ProblemNote problem={problem} />
        <div className="actions">
          <button type="submit" className="primary" disabled={isBusy}>
            {words.say("sites.make")}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function SiteDialog({ site, close, done }: { site: Site; close(): void; done(): void }) {
  const { words, apis, announce } = useDesk();
  const [name, setName] = useState(site.name);
  const [mode, setMode] = useState(site.reading_mode);
  const [order, setOrder] = useState(site.order);
  const [isDouble, setDouble] = useState(site.double_reading);
  const [isMailed, setMailed] = useState(site.notice_mail);
  const [language, setLanguage] = useState(site.language);
  const { isBusy, problem, run } = useAction();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void run(async () => {
      const changes = {
        ...(name.trim() !== site.name && { name: name.trim() }),
        reading_mode: mode,
        order,
        double_reading: isDouble,
        notice_mail: isMailed,
        language,
      };
      await apis.sites.change(site.id, changes);
      announce(words.say("app.saved"));
      done();
    });
  };
  return (
    <Dialog title={site.name} close={close}>
      <form className="stack" onSubmit={submit}>
        <TextField
          label={words.say("sites.name")}
          value={name}
          change={setName}
          isRequired
          maxLength={128}
        />
        <SelectField
          label={words.say("sites.mode")}
          hint={words.say(`mode.${mode}-how`)}
          value={mode}
          change={(to) => setMode(to as ReadingMode)}
          options={MODES.map((one) => [one, words.say(`mode.${one}`)])}
        />
        <SelectField
          label={words.say("sites.order")}
          hint={words.say(`order.${order}-how`)}
          value={order}
          change={(to) => setOrder(to as Order)}
          options={ORDERS.map((one) => [one, words.say(`order.${one}`)])}
        />
        <label className="check">
          <input
            type="checkbox"
            checked={isDouble}
            onChange={(event) => setDouble(event.target.checked)}
          />
          {words.say("sites.double-how")}
        </label>
        <label className="check">
          <input
            type="checkbox"
            checked={isMailed}
            onChange={(event) => setMailed(event.target.checked)}
          />
          {words.say("sites.mail-how")}
        </label>
        <SelectField
          label={words.say("sites.language")}
          value={language}
          change={setLanguage}
          options={LANGUAGES}
        />
        <ProblemNote problem={problem} />
        <div className="actions">
          <button type="submit" className="primary" disabled={isBusy}>
            {words.say("app.save")}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
