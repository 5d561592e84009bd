/** The pictures of an exam on a small screen. */

import { useEffect, useRef } from "react";
import type { Exam } from "../../../viewer/exam";
import type { Fetch } from "../../../viewer/loading/fetch_queue";
import type { Words } from "../../../viewer/messages/text";
import { mountPocket, type PocketHandle } from "../../../viewer/ui/pocket";
import "../../../viewer/viewer.css";
import "../../../viewer/viewer_pocket.css";
import { useDesk } from "../../parts/app_context";

export interface PocketProps {
  readonly exam: Exam;
  readonly words: Words;
  /** Where the pictures come from, if not from the server. */
  readonly fetch?: Fetch;
}

export default function Pocket({ exam, words, fetch }: PocketProps) {
  const { apis } = useDesk();
  const root = useRef<HTMLDivElement>(null);
  const pocket = useRef<PocketHandle | null>(null);
  useEffect(() => {
    const place = root.current;
    if (place === null) return;
    const mounted = mountPocket(place, {
      words,
      fetch: fetch ?? apis.client.fetch,
      isLineGood: fetch !== undefined || isLineGood(),
    });
    pocket.current = mounted;
    return () => mounted.dispose();
  }, [apis, words, fetch]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another viewer opens the exam too
  useEffect(() => pocket.current?.open(exam), [exam, words, fetch]);
  return <div ref={root} />;
}

/** Whether megabytes may be fetched without asking; only some browsers tell. */
function isLineGood(): boolean {
  const { connection } = navigator as Navigator & {
    readonly connection?: { readonly saveData?: boolean; readonly effectiveType?: string };
  };
  if (!navigator.onLine || connection === undefined) return false;
  return connection.saveData !== true && connection.effectiveType === "4g";
}
