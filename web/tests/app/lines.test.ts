/** Requests, sessions that end, uploads over bad lines. */

import { describe, expect, test, vi } from "vitest";
import { type Guard, makeClient, queryOf } from "../../src/app/api/client";
import { parseEvent } from "../../src/app/api/events";
import { Problem } from "../../src/app/api/problem";
import type { Session } from "../../src/app/api/types";
import { metadataOf, uploadsApi } from "../../src/app/api/uploads";
import { makeKeeper, SessionGone } from "../../src/app/session/keeper";
import { makePerson } from "./make_app";

const json = (status: number, body: unknown, headers = {}) =>
  new Response(JSON.stringify(body), { status, headers });
const ENDED = () => json(401, { code: "no_token", detail: "no_token" });
const guardOf = (recover: Guard["recover"] = async () => undefined): Guard => ({
  csrf: "secret",
  recover,
});

describe("a request", () => {
  test("has the token of the session where it changes something", async () => {
    const read = vi.fn(async (_url: unknown, _init?: RequestInit) => json(200, { a: 1 }));
    const client = makeClient(guardOf(), read);
    await client.call("GET", "/exams");
    await client.call("PUT", "/readings/1", { body: {}, ifMatch: '"3"' });
    const [get, put] = read.mock.calls.map(([, init]) => new Headers(init?.headers));
    expect(get.get("X-CSRF-Token")).toBeNull();
    expect(put.get("X-CSRF-Token")).toBe("secret");
    expect(put.get("If-Match")).toBe('"3"');
  });

  test("waits where the session has ended, and is sent again with the new token", async () => {
    let csrf = "old";
    const sent: (string | null)[] = [];
    const read = async (_url: unknown, init?: RequestInit) => {
      sent.push(new Headers(init?.headers).get("X-CSRF-Token"));
      return csrf === "old" ? ENDED() : json(200, { saved: true });
    };
    const guard = {
      get csrf() {
        return csrf;
      },
      recover: async () => {
        csrf = "new";
      },
    };
    expect(await makeClient(guard, read).call("PUT", "/readings/1", { body: {} })).toEqual({
      saved: true,
    });
    expect(sent).toEqual(["old", "new"]);
  });

  test("a wrong password is not the end of a session", async () => {
    const recover = vi.fn(async () => undefined);
    const read = async () => json(401, { code: "sign_in", detail: "sign_in" });
    const client = makeClient(guardOf(recover), read);
    await expect(client.call("POST", "/session/password")).rejects.toMatchObject({
      code: "sign_in",
    });
    expect(recover).not.toHaveBeenCalled();
  });

  test("says what went wrong, field by field", async () => {
    const errors = [{ field: "recall", detail: "missing" }];
    const read = async () =>
      json(422, { code: "incomplete", detail: "x", errors }, { "Retry-After": "3" });
    const client = makeClient(guardOf(), read);
    const error = (await client.call("GET", "/x").catch((one) => one)) as Problem;
    expect(error).toMatchObject({ code: "incomplete", fields: errors, retryAfterSeconds: 3 });
    expect(error.isPassing).toBe(false);
  });

  test("a broken line may pass", async () => {
    const client = makeClient(guardOf(), async () => {
      throw new TypeError("Failed to fetch");
    });
    const error = (await client.call("GET", "/x").catch((one) => one)) as Problem;
    expect(error).toMatchObject({ status: 0, code: "unreachable", isPassing: true });
  });
});

test("a query leaves out what is not asked", () => {
  expect(queryOf({ q: "a b", status: "", site: null, limit: 50 })).toBe("?q=a+b&limit=50");
  expect(queryOf({})).toBe("");
});

test("an event that cannot be read still says that something happened", () => {
  expect(parseEvent("exam.changed", '{"exam_id": 4}')).toMatchObject({ exam: 4 });
  for (const text of ["", "null", "[", '"a"', '{"exam_id": "4"}']) {
    expect(parseEvent("exam.changed", text)).toMatchObject({ name: "exam.changed", exam: null });
  }
});

function session(changes: Partial<Session> = {}): Session {
  return {
    id: 1,
    stage: "open",
    csrf_token: "token",
    expires_at: "2026-10-01T20:00:00Z",
    person: makePerson(),
    ...changes,
  };
}

describe("a session that ends", () => {
  async function lose() {
    let answer: Session | null = session();
    const keeper = makeKeeper({ show: async () => answer });
    await keeper.start();
    expect(keeper.state.kind).toBe("open");
    answer = null;
    const back = keeper.recover();
    await vi.waitFor(() => expect(keeper.state.kind).toBe("lost"));
    return { keeper, back };
  }

  test("the same person goes on; all that waits is sent", async () => {
    const { keeper, back } = await lose();
    const another = keeper.recover();
    keeper.adopt(session({ stage: "code", csrf_token: "begun" }));
    expect(keeper.state.kind).toBe("lost");
    keeper.adopt(session({ csrf_token: "new" }));
    await Promise.all([back, another]);
    expect(keeper.state.kind).toBe("open");
    expect(keeper.csrf).toBe("new");
  });

  test("another person does not get what waits", async () => {
    const { keeper, back } = await lose();
    const settled = vi.fn();
    back.then(settled, settled);
    keeper.adopt(session({ person: makePerson({ id: 8 }) }));
    expect(keeper.state).toMatchObject({ kind: "lost", begun: { person: { id: 8 } } });
    await Promise.resolve();
    expect(settled).not.toHaveBeenCalled();
    keeper.forget();
    await expect(back).rejects.toBeInstanceOf(SessionGone);
  });

  test("nothing is asked where another tab has signed in again", async () => {
    const keeper = makeKeeper({ show: async () => session({ csrf_token: "tab" }) });
    await keeper.start();
    await keeper.recover();
    expect(keeper.state.kind).toBe("open");
    expect(keeper.csrf).toBe("tab");
  });
});

describe("an upload", () => {
  /** A tus server that breaks the line whenever `breaks` says so. */
  function makeTus(breaks: (call: number) => boolean) {
    const bytes: number[] = [];
    let calls = 0;
    const read = async (_url: unknown, init?: RequestInit): Promise<Response> => {
      const headers = new Headers(init?.headers);
      const offset = () => new Response(null, { headers: { "Upload-Offset": `${bytes.length}` } });
      if (init?.method === "POST") {
        return new Response(null, { status: 201, headers: { Location: "/api/v1/uploads/u1" } });
      }
      if (init?.method === "HEAD") return offset();
      if (Number(headers.get("Upload-Offset")) !== bytes.length)
        return json(409, { code: "offset" });
      const piece = new Uint8Array(await new Response(init?.body ?? null).arrayBuffer());
      calls += 1;
      if (breaks(calls)) {
        bytes.push(...piece.slice(0, 3));
        throw new TypeError("network");
      }
      bytes.push(...piece);
      return offset();
    };
    return { read, bytes };
  }
  const pace = { bytes: 10, patienceMs: 1000, sent: () => undefined, cut: () => undefined };
  const content = Uint8Array.from({ length: 25 }, (_, i) => i);
  const file = new File([content], "a.dcm");

  test("goes on where the server has got to", async () => {
    vi.stubGlobal("location", { origin: "http://here" });
    const tus = makeTus((call) => call === 2 || call === 4);
    const api = uploadsApi(makeClient(guardOf(), tus.read), [0, 0], pace);
    const seen: number[] = [];
    const abort = new AbortController();
    const upload = await api.send(file, "f/a.dcm", 3, (sent) => seen.push(sent), abort.signal);
    expect(upload.url).toBe("/uploads/u1");
    expect(tus.bytes).toEqual([...content]);
    expect(seen.at(-1)).toBe(25);
  });

  test("gives up a line that stays broken, and says so", async () => {
    vi.stubGlobal("location", { origin: "http://here" });
    const read = async (_url: unknown, init?: RequestInit) => {
      if (init?.method === "POST")
        return new Response(null, { status: 201, headers: { Location: "/x" } });
      throw new TypeError("network");
    };
    const api = uploadsApi(makeClient(guardOf(), read), [0, 0], pace);
    const sent = api.send(file, "a", null, () => undefined, new AbortController().signal);
    await expect(sent).rejects.toBeInstanceOf(Problem);
  });

  test("names and sites are sent as tus wants them", () => {
    expect(metadataOf({ filename: "Ünï.dcm", site: "3", filetype: "" })).toBe(
      "filename w5xuw68uZGNt,site Mw==",
    );
  });
});
