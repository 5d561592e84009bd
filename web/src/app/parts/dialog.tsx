/** A modal dialog; the browser keeps the focus inside, and gives it back. */

import { type ReactNode, useEffect, useId, useRef } from "react";
import { useFrame } from "./app_context";

export interface DialogProps {
  readonly title: string;
  /** Left out: the dialog can only be answered. */
  close?(): void;
  readonly children: ReactNode;
  readonly isWide?: boolean;
}

export function Dialog({ title, close, children, isWide }: DialogProps) {
  const { words } = useFrame();
  const root = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const dialog = root.current;
    if (dialog === null || dialog.open) return;
    dialog.showModal();
    dialog.querySelector<HTMLElement>("[data-autofocus]")?.focus();
    return () => dialog.close();
  }, []);
  return (
    <dialog
      ref={root}
      className={isWide ? "dialog dialog-wide" : "dialog"}
      aria-labelledby={heading}
      onCancel={(event) => {
        event.preventDefault();
        close?.();
      }}
      onKeyDown={(event) => event.stopPropagation()}
    >
      <header className="dialog-head">
        <h2 id={heading}>{title}</h2>
        {close && (
          <button type="button" className="quiet" onClick={close}>
            {words.say("app.close")}
          </button>
        )}
      </header>
      {children}
    </dialog>
  );
}

export interface ConfirmProps {
  readonly title: string;
  readonly text: string;
  readonly act: string;
  readonly isBusy?: boolean;
  confirm(): void;
  close(): void;
}

export function Confirm({ title, text, act, isBusy, confirm, close }: ConfirmProps) {
  const { words } = useFrame();
  return (
    <Dialog title={title} close={close}>
      <p>{text}</p>
      <div className="actions">
        <button type="button" className="primary" disabled={isBusy} onClick={confirm}>
          {act}
        </button>
        <button type="button" onClick={close}>
          {words.say("app.cancel")}
        </button>
      </div>
    </Dialog>
  );
}
