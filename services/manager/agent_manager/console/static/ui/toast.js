/** Short notices in a corner; those of trouble stay until they are put away. */

import { html, repeat } from "../core/html.js";
import { redraw } from "../core/app.js";
import { icon } from "./icons.js";

const MOST = 5;
const SECONDS = 6;
let notices = [];
let last = 0;

/** Show a notice. `kind` is `info`, `good` or `bad`; `href` leads to what it is about. */
export function notify(text, { kind = "info", href = null, stays = kind === "bad" } = {}) {
  last += 1;
  const notice = { id: last, text, kind, href };
  notices = [...notices.filter((one) => one.text !== text), notice].slice(-MOST);
  if (!stays) setTimeout(() => dismiss(notice.id), SECONDS * 1000);
  redraw();
}

/** Say what went wrong with what somebody asked for. */
export function notifyError(error, what) {
  notify(`${what}: ${error.message}`, { kind: "bad" });
}

export function toasts() {
  return html`<section class="toasts" aria-label="Notices" aria-live="polite">
    ${repeat(
      notices,
      (notice) => notice.id,
      (notice) =>
        html`<div class="toast t-${notice.kind}">
          ${icon(notice.kind === "bad" ? "problem" : notice.kind === "good" ? "check" : "clock")}
          ${notice.href ? html`<a href=${notice.href}>${notice.text}</a>` : html`<span>${notice.text}</span>`}
          <button class="bare" type="button" aria-label="Put away" @click=${() => dismiss(notice.id)}>
            ${icon("close")}
          </button>
        </div>`,
    )}
  </section>`;
}

function dismiss(id) {
  notices = notices.filter((notice) => notice.id !== id);
  redraw();
}
