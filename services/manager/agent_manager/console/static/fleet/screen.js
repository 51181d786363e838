/** The fleet: every agent in a line, those that need somebody first. */

import { html, nothing } from "../core/html.js";
import { app, redraw } from "../core/app.js";
import { count, many, rate } from "../core/format.js";
import { screenKeys } from "../core/keyboard.js";
import { agentHref, go } from "../core/router.js";
import { factList } from "../ui/fact-list.js";
import { searchField } from "../ui/search-field.js";
import { icon, stateWord } from "../ui/icons.js";
import { Windowed } from "../ui/windowing.js";
import { currentRows, filtered, lines, ordered, STATES, tally } from "./order.js";
import { heading, row } from "./row.js";

const COLUMNS = [
  ["state", "State"],
  ["agent", "Agent"],
  ["instances", "Instances", "right"],
  ["running", "In hand"],
  ["queued", "Queue"],
  ["rate", "Calls/s"],
  ["errors", "Errors"],
  ["p95", "p95"],
  ["source", "Source"],
  ["seen", "Heard", "right"],
];
const GROUPS = [
  ["", "not grouped"],
  ["state", "by state"],
  ["source", "by source"],
  ["node", "by node"],
  ["name", "by name's first word"],
];

const view = { words: "", only: "", sort: "state", group: "", current: null };
const narrow = matchMedia("(max-width: 820px)");
narrow.addEventListener("change", redraw);
let list = null;
let shown = [];

export const fleetScreen = {
  title: () => "Agents",
  view() {
    list ??= new Windowed();
    const rows = currentRows();
    const counts = tally(rows);
    const found = ordered(filtered(rows, view.words, view.only), view.sort);
    shown = lines(found, view.group);
    return html`<h1 class="hidden">The fleet</h1>
      ${summary(counts)} ${tools(counts, found.length)} ${table(counts)}`;
  },
};

function summary(counts) {
  const facts = [
    [count(counts.all), counts.all === 1 ? "agent" : "agents"],
    [count(counts.instances), counts.instances === 1 ? "instance" : "instances"],
    [count(counts.tasks), "in hand"],
    [count(counts.waiting), "waiting"],
    [rate(counts.rate), "calls/s"],
  ];
  const bad = counts.problem > 0;
  return html`<section class="summary" aria-label="Summary">
    <button
      type="button"
      class="verdict ${bad ? "bad" : "good"}"
      aria-pressed=${view.only === "problem"}
      ?disabled=${!bad}
      @click=${() => choose("problem")}
    >
      ${icon(bad ? "problem" : "check")}
      <span>${verdict(counts)}</span>
    </button>
    ${factList(
      facts.map(([number, word]) => [word, number]),
      "",
    )}
  </section>`;
}

function verdict(counts) {
  if (counts.all === 0) return app.connection.state === "live" ? "No agent is known yet" : "Connecting";
  if (counts.problem === 0) return "All is well";
  const down = counts.critical > 0 ? `${count(counts.critical)} down` : "";
  const other = counts.problem - counts.critical;
  return [down, other > 0 ? many(other, "problem") : ""].filter(Boolean).join(", ");
}

function tools(counts, found) {
  return html`<div class="tools">
    ${searchField("Filter the agents", "Filter", view.words, (words) => set({ words }))}
    <div class="chips" role="group" aria-label="Only those of a state">
      ${STATES.map((state) => chip(state, counts[state] ?? 0))}
    </div>
    <span class="grow"></span>
    ${found === counts.all ? nothing : html`<span class="muted" role="status">${count(found)} of ${count(counts.all)}</span>`}
    <label class="select"
      ><span class="hidden">Group</span>
      <select @change=${(event) => set({ group: event.target.value })}>
        ${GROUPS.map(([value, text]) => html`<option value=${value} ?selected=${view.group === value}>${text}</option>`)}
      </select></label
    >
    <label class="select narrow-only"
      ><span class="hidden">Sort</span>
      <select @change=${(event) => set({ sort: event.target.value })}>
        ${COLUMNS.map(([value, text]) => html`<option value=${value} ?selected=${view.sort === value}>by ${text}</option>`)}
      </select></label
    >
  </div>`;
}

function chip(state, number) {
  const on = view.only === state;
  return html`<button
    type="button"
    class="chip s-${state}"
    aria-pressed=${on}
    ?disabled=${number === 0 && !on}
    @click=${() => choose(state)}
  >
    ${icon(state)}<span>${state === "problem" ? "problems" : stateWord(state)}</span><b>${count(number)}</b>
  </button>`;
}

function table(counts) {
  const height = narrow.matches ? 68 : 46;
  if (shown.length === 0) return nobody(counts);
  return html`<div class="fleet" role="table" aria-label="Agents" aria-rowcount=${shown.length + 1}>
    <div role="rowgroup" class="head"><div role="row" class="line">${COLUMNS.map(columnHead)}</div></div>
    ${list.view(
      shown,
      height,
      (line) => line.key,
      (line, index) => (line.row ? row(line.row, index, view.current === line.key) : heading(line, index)),
    )}
  </div>`;
}

function columnHead([name, text, side = ""]) {
  const by = view.sort.replace("-", "") === name;
  const down = by && view.sort.startsWith("-");
  const sorted = by ? (down ? "descending" : "ascending") : nothing;
  return html`<div role="columnheader" class="c-${name} ${side}" aria-sort=${sorted}>
    <button type="button" class="bare" @click=${() => set({ sort: by && !down ? `-${name}` : name })}>
      ${text}${by ? icon(down ? "up" : "down") : nothing}
    </button>
  </div>`;
}

function nobody(counts) {
  if (counts.all > 0)
    return html`<p class="empty">
      No agent is like that.
      <button class="button small" type="button" @click=${() => set({ words: "", only: "" })}>Show all</button>
    </p>`;
  if (app.connection.state !== "live") return html`<p class="empty">The manager has not told yet who is there.</p>`;
  return html`<div class="empty">
    <p>No agent has registered, and the configuration names none.</p>
    <p>
      Start one: <code>agentctl up</code>, or run <code>agent-adapter</code> with
      <code>MANAGER_URL=${location.origin}</code>.
    </p>
  </div>`;
}

function choose(state) {
  set({ only: view.only === state ? "" : state });
}

function set(changes) {
  Object.assign(view, changes);
  redraw();
}

function move(step) {
  const rows = shown.filter((line) => line.row);
  if (rows.length === 0) return;
  const at = rows.findIndex((line) => line.key === view.current);
  const next = rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + step))];
  view.current = next.key;
  document.activeElement?.closest(".fleet a")?.blur(); // else Enter would still open the line before
  list.reveal(shown.indexOf(next));
  redraw(() => document.querySelector(".line.current a")?.focus({ preventScroll: true }));
}

screenKeys("fleet", {
  j: () => move(1),
  k: () => move(-1),
  ArrowDown: () => move(1),
  ArrowUp: () => move(-1),
  Enter: () => view.current && go(agentHref(view.current)),
});
