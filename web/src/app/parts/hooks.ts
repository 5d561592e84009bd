/** Reading from the server and acting there, with what can go wrong. */

import { useCallback, useEffect, useRef, useState } from "react";
import { asProblem, type Problem } from "../api/problem";
import type { Page } from "../api/types";

export interface Loaded<T> {
  readonly data: T | null;
  readonly problem: Problem | null;
  readonly isLoading: boolean;
  reload(): void;
}

/** Reads again whenever `key` changes; an answer to an older question is passed over. */
export function useLoad<T>(read: (signal: AbortSignal) => Promise<T>, key: string): Loaded<T> {
  const latest = useRef(read);
  latest.current = read;
  const [turn, setTurn] = useState(0);
  const [state, setState] = useState<{ key: string; data: T | null; problem: Problem | null }>({
    key: "",
    data: null,
    problem: null,
  });
  const [isLoading, setLoading] = useState(true);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a turn reads again
  useEffect(() => {
    const abort = new AbortController();
    setLoading(true);
    latest
      .current(abort.signal)
      .then(
        (data) => !abort.signal.aborted && setState({ key, data, problem: null }),
        (error: unknown) => {
          if (abort.signal.aborted) return;
          const problem = asProblem(error);
          setState((before) => ({ key, data: before.key === key ? before.data : null, problem }));
        },
      )
      .finally(() => !abort.signal.aborted && setLoading(false));
    return () => abort.abort();
  }, [key, turn]);

  const reload = useCallback(() => setTurn((now) => now + 1), []);
  return { data: state.key === key ? state.data : null, problem: state.problem, isLoading, reload };
}

export interface Growing<T> extends Loaded<readonly T[]> {
  /** Asks for older items; null: there are none. */
  readonly more: (() => void) | null;
}

/** A list whose older items are asked for by the number of the last one. */
export function useGrowing<T>(
  read: (before: number | null) => Promise<Page<T, number>>,
  key: string,
): Growing<T> {
  const [pages, setPages] = useState(1);
  const list = useLoad(async () => {
    const items: T[] = [];
    let before: number | null = null;
    for (let page = 0; page < pages; page += 1) {
      const found: Page<T, number> = await read(before);
      items.push(...found.items);
      before = found.next;
      if (before === null) break;
    }
    return { items, next: before };
  }, `${key} ${pages}`);
  const kept = useRef<readonly T[] | null>(null);
  if (list.data !== null) kept.current = list.data.items;
  const more = list.data?.next != null ? () => setPages((now) => now + 1) : null;
  return { ...list, data: list.data?.items ?? kept.current, more };
}

export interface Action {
  readonly isBusy: boolean;
  readonly problem: Problem | null;
  /** Runs one act at a time; gives whether it succeeded. */
  run(act: () => Promise<unknown>): Promise<boolean>;
  clear(): void;
}

export function useAction(): Action {
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const running = useRef(false);
  const run = useCallback(async (act: () => Promise<unknown>) => {
    if (running.current) return false;
    running.current = true;
    setBusy(true);
    setProblem(null);
    try {
      await act();
      return true;
    } catch (error) {
      setProblem(asProblem(error));
      return false;
    } finally {
      running.current = false;
      setBusy(false);
    }
  }, []);
  const clear = useCallback(() => setProblem(null), []);
  return { isBusy, problem, run, clear };
}

/** The present time, renewed every so often. */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

/** The title of the page, for tabs and screen readers. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · mammolens`;
  }, [title]);
}
