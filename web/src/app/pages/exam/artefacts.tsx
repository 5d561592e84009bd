/** Files that the node made of the AI's result, for those who may see it now. */

import { useState } from "react";
import type { ExamDetail } from "../../api/types";
import { sizeWords } from "../../logic/files";
import { useDesk } from "../../parts/app_context";
import { ProblemNote } from "../../parts/form";
import { useLoad } from "../../parts/hooks";

export function Artefacts({ detail }: { detail: ExamDetail }) {
  const { words } = useDesk();
  const [isOpen, setOpen] = useState(false);
  if (detail.ai_hidden || detail.revision === null) return null;
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{words.say("artefact.title")}</summary>
      {isOpen && <List exam={detail.id} revision={detail.revision} />}
    </details>
  );
}

function List({ exam, revision }: { exam: number; revision: number }) {
  const { words, apis } = useDesk();
  const { data, problem } = useLoad(() => apis.exams.artefacts(exam), `${exam} ${revision}`);
  return (
    <>
      <ProblemNote problem={problem} />
      {data?.length === 0 && <p className="quiet">{words.say("artefact.none")}</p>}
      <ul className="artefacts">
        {data?.map((file) => (
          <li key={file.url}>
            <a href={file.url} download>
              {file.sink}: {file.name}
            </a>{" "}
            <small className="quiet">{sizeWords(file.size, words.locale)}</small>
          </li>
        ))}
      </ul>
    </>
  );
}
