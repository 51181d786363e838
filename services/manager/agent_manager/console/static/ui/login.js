/** Signing in with an API key. */

import { html, nothing } from "../core/html.js";
import { redraw } from "../core/app.js";
import { signIn } from "../core/session.js";
import { logo } from "./logo.js";

let error = "";
let busy = false;

/** The screen; `again` is called once somebody is signed in. */
export function login(again) {
  return html`<main class="login">
    <form @submit=${(event) => submit(event, again)}>
      ${logo()}
      <h1>Agents</h1>
      <label for="key">API key</label>
      <input
        id="key"
        name="key"
        type="password"
        autocomplete="current-password"
        required
        autofocus
        aria-describedby="key-help"
        aria-invalid=${error ? "true" : nothing}
      />
      <p class="error" role="alert">${error}</p>
      <button class="button primary" type="submit" ?disabled=${busy}>Sign in</button>
      <p class="muted" id="key-help">
        An operator of this manager gives it to you. It is kept nowhere in this browser: a session stands for it, for 12
        hours.
      </p>
    </form>
  </main>`;
}

async function submit(event, again) {
  event.preventDefault();
  const field = event.target.elements.namedItem("key");
  busy = true;
  error = "";
  redraw();
  try {
    await signIn(field.value);
    field.value = "";
    again();
  } catch (problem) {
    error = problem.code === "unauthenticated" ? "This key is not known." : `${problem.message}.`;
  }
  busy = false;
  redraw();
}
