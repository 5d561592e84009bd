/** Signing in and out, and what belongs to the account of the person who is signed in. */

import type { Client } from "./client";
import type { ApiToken, EmailView, Id, Session, SessionNote, Ways } from "./types";

export const PROVIDER_URL = "/api/v1/sign-in/oidc";

export function sessionApi(client: Client) {
  const signIn = { signsIn: true };
  return {
    ways: () => client.call<Ways>("GET", "/sign-in", signIn),
    show: () => client.call<Session>("GET", "/session", signIn),
    signIn: (name: string, password: string) =>
      client.call<Session>("POST", "/sign-in", { ...signIn, body: { name, password } }),
    giveCode: (code: string) =>
      client.call<Session>("POST", "/session/code", { ...signIn, body: { code } }),
    replacePassword: (next: string) =>
      client.call<Session>("POST", "/session/password", { ...signIn, body: { new: next } }),
    offerSecondFactor: () =>
      client.call<{ secret: string; uri: string }>("POST", "/session/second-factor", signIn),
    signOut: () => client.call<void>("DELETE", "/session", signIn),
  };
}

export function accountApi(client: Client) {
  return {
    changePassword: (present: string, next: string) =>
      client.call<Session>("POST", "/session/password", { body: { present, new: next } }),
    sessions: () => client.call<readonly SessionNote[]>("GET", "/sessions"),
    endSession: (id: Id) => client.call<void>("DELETE", `/sessions/${id}`),
    endOtherSessions: () => client.call<{ ended: number }>("DELETE", "/sessions"),
    email: () => client.call<EmailView>("GET", "/me/email"),
    setEmail: (email: string | null) =>
      client.call<EmailView>("PUT", "/me/email", { body: { email } }),
    tokens: () => client.call<readonly ApiToken[]>("GET", "/tokens"),
    makeToken: (name: string, days: number) =>
      client.call<ApiToken & { token: string }>("POST", "/tokens", { body: { name, days } }),
    revokeToken: (id: Id) => client.call<void>("DELETE", `/tokens/${id}`),
  };
}

export type SessionApi = ReturnType<typeof sessionApi>;
