/** The sign of the house. */

import { html } from "../core/html.js";

export function logo() {
  return html`<svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
    <circle cx="16" cy="16" r="5" />
    <path d="M16 5a11 11 0 0 1 11 11M27 16a11 11 0 0 1-11 11M5 16A11 11 0 0 1 16 5" />
  </svg>`;
}
