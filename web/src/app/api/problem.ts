/** A refusal or a fault of the server, as RFC 9457 gives it. */

export class Problem extends Error {
  constructor(
    /** HTTP status; 0 if the server could not be reached. */
    readonly status: number,
    /** A word that programs go by. */
    readonly code: string,
    detail: string,
    readonly fields: readonly { readonly field: string; readonly detail: string }[] = [],
    readonly retryAfterSeconds: number | null = null,
  ) {
    super(detail);
    this.name = "Problem";
  }

  /** The line or the server is away: the same request may succeed later. */
  get isPassing(): boolean {
    return this.status === 0 || this.status >= 500 || this.status === 429 || this.status === 408;
  }
}

export async function problemOf(response: Response): Promise<Problem> {
  const said = await response.json().catch(() => null);
  const after = Number(response.headers.get("Retry-After"));
  const code = said?.code ?? codeOfType(said?.type) ?? `status_${response.status}`;
  return new Problem(
    response.status,
    String(code),
    String(said?.detail ?? response.statusText),
    Array.isArray(said?.errors) ? said.errors : [],
    Number.isFinite(after) && after > 0 ? after : null,
  );
}

/** The last part of a problem type such as `/problems/ai-locked`. */
function codeOfType(type: unknown): string | null {
  if (typeof type !== "string" || type === "about:blank") return null;
  return type.split(/[/#]/).at(-1)?.replaceAll("-", "_") ?? null;
}

export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  const words = error instanceof Error ? error.message : String(error);
  return new Problem(0, "unreachable", words);
}
