/** Who is signed in: asked at the start, begun with a key, kept while the page is open, ended. */

import { ApiError, get, send } from "./api.js";
import { app, redraw } from "./app.js";

const RENEW_MS = 30 * 60 * 1000;

/** Find out who this is; null when somebody has to sign in first. */
export async function findSession() {
  try {
    app.session = await get("/api/session");
    app.signedOut = false;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401) {
      app.session = null;
      app.signedOut = true;
    }
  }
  redraw();
  return app.session;
}

/** Begin a session; raises ApiError for a wrong key. */
export async function signIn(key) {
  await send("POST", "/api/session", { key });
  return findSession();
}

export async function signOut() {
  await send("DELETE", "/api/session").catch(() => {}); // out of reach: the page is closed all the same
  app.session = null;
  app.signedOut = true;
  location.reload();
}

/** Ask now and then: the manager renews what may be renewed, and the page learns when it is over. */
export function keepSession() {
  setInterval(() => app.signedOut || findSession(), RENEW_MS);
}
