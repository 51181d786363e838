/** What happened in the whole fleet, the last first. */

import { html, nothing } from "../core/html.js";
import { app, redraw } from "../core/app.js";
import { count } from "../core/format.js";
import { eventList, isBad } from "../agent/journal.js";
import { searchField } from "../ui/search-field.js";
import { icon } from "../ui/icons.js";

const MOST = 300;
const KINDS = [
  ["", "everything"],
  ["action", "orders"],
  ["drain", "drains"],
  ["verdict", "verdicts"],
  ["agent", "comings and goings"],
];
const view = { words: "", kind: "", bad: false };

export const eventsScreen = {
  title: () => "Events · Agents",
  view() {
    const words = view.words.toLowerCase();
    const found = app.state.journal.filter(
      (event) =>
        (view.kind === "" || event.kind === view.kind) &&
        (!view.bad || isBad(event)) &&
        `${event.agent} ${event.code} ${event.message} ${event.by ?? ""}`.toLowerCase().includes(words),
    );
    return html`<div class="events-head">
        <h1>Events</h1>
        <p class="muted">${count(found.length)} of the last ${count(app.state.journal.length)}</p>
      </div>
      <div class="tools">
        ${searchField("Filter the events", "Filter", view.words, (words) => set({ words }))}
        <label class="select"
          ><span class="hidden">Kind</span
          ><select @change=${(event) => set({ kind: event.target.value })}>
            ${KINDS.map(([value, text]) => html`<option value=${value} ?selected=${view.kind === value}>${text}</option>`)}
          </select></label
        >
        <button type="button" class="chip s-problem" aria-pressed=${view.bad} @click=${() => set({ bad: !view.bad })}>
          ${icon("problem")}trouble only
        </button>
      </div>
      <div class="agent-tab">
        <section class="card tall-events" aria-label="Events">
          ${found.length === 0 ? html`<p class="none">Nothing like that happened lately.</p>` : eventList(found.slice(-MOST).reverse(), { named: true })}
          ${found.length > MOST ? html`<p class="none">Older ones: <code>GET /api/events/recent</code></p>` : nothing}
        </section>
      </div>`;
  },
};

function set(changes) {
  Object.assign(view, changes);
  redraw();
}
