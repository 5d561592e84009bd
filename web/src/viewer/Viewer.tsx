/** The viewer as a React component; it only mounts and opens. */

import { useEffect, useRef } from "react";
import { mountViewer, type OpenOptions, type ViewerHandle, type ViewerOptions } from "./viewer";
import "./viewer.css";

export interface ViewerProps extends ViewerOptions, OpenOptions {
  /** Where the `Exam` is read. */
  readonly url: string;
  /** The exam is there. */
  opened?(): void;
  /** The exam cannot be opened; the reason in words. */
  failed?(reason: string): void;
  /** The viewer is there; null when it has gone. */
  mounted?(handle: ViewerHandle | null): void;
}

export function Viewer(props: ViewerProps) {
  const root = useRef<HTMLDivElement>(null);
  const handle = useRef<ViewerHandle | null>(null);
  const latest = useRef(props);
  latest.current = props;

  useEffect(() => {
    if (root.current === null) return;
    const mounted = mountViewer(root.current, {
      words: props.words,
      ...(latest.current.readExam && { readExam: latest.current.readExam }),
      ...(latest.current.fetch && { fetch: latest.current.fetch }),
      leave: (direction) => latest.current.leave?.(direction),
      marksChanged: (marks) => latest.current.marksChanged?.(marks),
      drawn: (shows) => latest.current.drawn?.(shows),
    });
    handle.current = mounted;
    latest.current.mounted?.(mounted);
    return () => {
      latest.current.mounted?.(null);
      mounted.dispose();
    };
  }, [props.words]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new viewer opens its exam too
  useEffect(() => {
    const { marks, next } = latest.current;
    const open: OpenOptions = { ...(marks && { marks }), next: next ?? null };
    handle.current?.open(props.url, open).then(
      () => {
        root.current?.focus();
        latest.current.opened?.();
      },
      (error: unknown) =>
        latest.current.failed?.(error instanceof Error ? error.message : `${error}`),
    );
  }, [props.url, props.words]);

  return <div ref={root} />;
}
