/**
 * The viewer alone, with the exams of `serve_samples.py`. The address chooses:
 * ?exam=with-prior, ?lang=de. `window.demo` lets tests and measurements drive it.
 */

import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { loadWords, type Words } from "../src/viewer/messages/text";
import { Viewer } from "../src/viewer/Viewer";
import { mountViewer } from "../src/viewer/viewer";
import "../src/viewer/viewer.css";
import "./demo.css";

const query = new URLSearchParams(location.search);
const at = (id: string) => `/api/v1/exams/${id}`;

function Demo({ words, exams }: { words: Words; exams: readonly string[] }) {
  const [position, setPosition] = useState(Math.max(0, exams.indexOf(query.get("exam") ?? "")));
  const by = (step: number) =>
    setPosition((now) => Math.min(Math.max(now + step, 0), exams.length - 1));
  const next = exams[position + 1];
  return (
    <Viewer
      words={words}
      url={at(exams[position])}
      next={next === undefined ? null : at(next)}
      leave={(direction) => by(direction === "next" ? 1 : -1)}
    />
  );
}

async function start(): Promise<void> {
  const root = document.getElementById("root") as HTMLElement;
  const words = await loadWords(query.get("lang") ?? navigator.language);
  document.documentElement.lang = words.language;
  if (query.has("bare")) {
    const host = root.appendChild(document.createElement("div"));
    const drawn: { at: number; shows: string }[] = [];
    const viewer = mountViewer(host, {
      words,
      drawn: (shows) => drawn.push({ at: performance.now(), shows }),
    });
    Object.assign(window, { demo: { viewer, drawn, at } });
    return;
  }
  const exams: string[] = await (await fetch("/api/v1/exams")).json();
  createRoot(root).render(
    <StrictMode>
      <Demo words={words} exams={exams} />
    </StrictMode>,
  );
}

start();
