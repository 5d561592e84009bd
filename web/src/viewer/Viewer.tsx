/** The viewer as a React component; it only mounts and opens. */

import { useEffect, useRef } from "react";
import { mountViewer, type OpenOptions, type ViewerHandle, type ViewerOptions } from "./viewer";
import "./viewer.css";

export interface ViewerProps extends ViewerOptions, OpenOptions {
  /** Where the `Exam` is read. */
  readonly url: string;
  /** The exam cannot be opened; the reason in words. */
  failed?(reason: string): void;
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
      leave: (direction) => latest.current.leave?.(direction),
      marksChanged: (marks) => latest.current.marksChanged?.(marks),
      drawn: (shows) => latest.current.drawn?.(shows),
    });
    handle.current = mounted;
    return () => mounted.dispose();
  }, [props.words]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new viewer opens its exam too
  useEffect(() => {
    const { marks, next } = latest.current;
    const open: OpenOptions = { ...(marks && { marks }), next: next ?? null };
    handle.current?.open(props.url, open).then(
      () => root.current?.focus(),
      (error: unknown) =>
        latest.current.failed?.(error instanceof Error ? error.message : `${error}`),
    );
  }, [props.url, props.words]);

  return <div ref={root} />;
}
