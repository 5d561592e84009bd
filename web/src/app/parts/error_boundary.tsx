/** A fault in one page must not take the others along, nor drafts that are not saved. */

import { Component, type ReactNode } from "react";
import { FrameContext } from "./app_context";

interface State {
  readonly fault: Error | null;
}

export class ErrorBoundary extends Component<{ readonly children: ReactNode }, State> {
  static override contextType = FrameContext;
  declare context: React.ContextType<typeof FrameContext>;
  override state: State = { fault: null };

  static getDerivedStateFromError(fault: Error): State {
    return { fault };
  }

  override render(): ReactNode {
    const { fault } = this.state;
    const words = this.context?.words;
    if (fault === null || words === undefined) return this.props.children;
    return (
      <section className="page">
        <p className="note note-bad" role="alert">
          {words.say("app.fault", { reason: fault.message })}
        </p>
        <div className="actions">
          <button type="button" onClick={() => this.setState({ fault: null })}>
            {words.say("app.try-again")}
          </button>
          <button type="button" onClick={() => location.reload()}>
            {words.say("app.reload")}
          </button>
        </div>
      </section>
    );
  }
}
