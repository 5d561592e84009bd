/**
 * The page of a referring doctor: a link and a code open one signed report. The random part of the
 * link is behind `#`, so it is in no log; it goes to the server in the body of a request.
 */

import { type AppKey, type AppWords, loadAppWords, preferredLanguage } from "../app/messages/text";
import { element, reportElement, type SharedReport } from "./report";
import "./share.css";

const TOKEN = /^#([A-Za-z0-9_-]{43})$/;
const REFUSALS: Readonly<Record<string, AppKey>> = {
  unknown: "share.unknown",
  code: "share.wrong-code",
  share_locked: "share.locked",
  too_many: "problem.too_many",
};

async function start(): Promise<void> {
  const words = await loadAppWords(preferredLanguage());
  document.documentElement.lang = words.language;
  document.documentElement.dir = words.direction;
  const root = document.getElementById("share");
  if (root === null) throw new Error("the page has no element for the report");
  const token = TOKEN.exec(location.hash)?.[1];
  if (token === undefined) root.append(...headOf(words), note(words.say("share.no-link")));
  else askCode(root, token, words);
}

function headOf(words: AppWords): readonly Node[] {
  return [
    element("p", "research", words.say("app.research")),
    element("h1", "", words.say("share.title")),
  ];
}

function askCode(root: HTMLElement, token: string, words: AppWords): void {
  const form = document.createElement("form");
  const input = document.createElement("input");
  Object.assign(input, {
    id: "code",
    inputMode: "numeric",
    autocomplete: "off",
    maxLength: 16,
    required: true,
  });
  const label = document.createElement("label");
  label.htmlFor = "code";
  label.textContent = words.say("share.code");
  const button = document.createElement("button");
  button.textContent = words.say("share.open");
  const said = element("div", "said");
  said.setAttribute("role", "alert");
  form.append(label, input, button, said);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    said.replaceChildren();
    try {
      const report = await open(token, input.value);
      root.replaceChildren(reportElement(report), printButton(words));
      // The link alone would not open it again, but need not stay in sight either.
      history.replaceState(null, "", "/share");
      document.title = `${report.title} · mammolens`;
    } catch (error) {
      said.replaceChildren(note(refusalWords(error, words)));
      input.select();
    }
    button.disabled = false;
  });
  root.append(...headOf(words), element("p", "", words.say("share.how")), form);
  input.focus();
}

class Refused extends Error {}

async function open(token: string, code: string): Promise<SharedReport> {
  const response = await fetch("/api/v1/shares/opening", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token, code: code.trim() }),
    credentials: "omit",
    cache: "no-store",
  });
  if (response.ok) return response.json();
  const problem = await response.json().catch(() => ({}));
  throw new Refused(String(problem.code ?? response.status));
}

function refusalWords(error: unknown, words: AppWords): string {
  if (!(error instanceof Refused)) return words.say("problem.unreachable");
  const key = REFUSALS[error.message];
  return key === undefined ? words.say("problem.other", { detail: error.message }) : words.say(key);
}

function note(text: string): HTMLElement {
  return element("p", "note", text);
}

function printButton(words: AppWords): HTMLElement {
  const button = document.createElement("button");
  button.className = "print";
  button.textContent = words.say("share.print");
  button.addEventListener("click", () => print());
  return button;
}

void start();
