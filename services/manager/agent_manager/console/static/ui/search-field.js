/** The field that `/` leads to. */

import { html } from "../core/html.js";
import { icon } from "./icons.js";

export function searchField(label, placeholder, value, change) {
  return html`<label class="search">
    ${icon("search")}<span class="hidden">${label}</span>
    <input
      type="search"
      data-filter
      placeholder=${placeholder}
      .value=${value}
      aria-keyshortcuts="/"
      @input=${(event) => change(event.target.value)}
    />
    <kbd aria-hidden="true">/</kbd>
  </label>`;
}
