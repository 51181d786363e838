/** The logs of all instances of an agent, as they come. */

import { html, nothing, ref } from "../core/html.js";
import { app, redraw } from "../core/app.js";
import { count, shortId } from "../core/format.js";
import { screenKeys } from "../core/keyboard.js";
import { icon } from "../ui/icons.js";
import { searchField } from "../ui/search-field.js";
import { openDialog } from "../ui/dialog.js";
import { json } from "../agent/tasks.js";
import { Windowed } from "../ui/windowing.js";
import { Book, MOST } from "./book.js";
import { harmless, LEVELS } from "./line.js";
import { Tail } from "./tail.js";

const HEIGHT = 24; // as small as may be touched (WCAG 2.5.8)
const AT_END = 2;
let open = null; // {id, book, tail, list, words, level, instance, scroller, atEnd}

export const logsTab = {
  view(agent) {
    if (open?.id !== agent.id) begin(agent.id);
    const { book } = open;
    return html`<section class="card logs" aria-label="Logs">
      <header>${tools(agent)}</header>
      <div
        class="log-lines"
        tabindex="0"
        role="log"
        aria-label="Log lines"
        aria-live="off"
        ${ref(keep)}
        @scroll=${scrolled}
      >
        ${book.dropped > 0 ? html`<p class="gap">${count(book.dropped)} older lines are not kept here</p>` : nothing}
        ${book.shown.length === 0 ? html`<p class="none">${silence()}</p>` : nothing}
        ${open.list.view(book.shown, HEIGHT, (line) => line.number, row, { role: "presentation" })}
      </div>
      ${foot(book)}
    </section>`;
  },
  leave() {
    open?.tail.end();
    open = null;
  },
};

function begin(id) {
  logsTab.leave();
  const book = new Book();
  open = {
    id,
    book,
    tail: new Tail(id, book),
    list: new Windowed({ inPage: false }),
    words: "",
    level: 0,
    instance: "",
    scroller: null,
    scrollTop: 0,
    atEnd: true,
  };
}

function tools(agent) {
  const { book } = open;
  return html`${searchField("Search the lines", "Search", open.words, (words) => filter({ words }))}
    <label class="select"
      ><span class="hidden">Level</span
      ><select @change=${(event) => filter({ level: Number(event.target.value) })}>
        ${LEVELS.map((level, index) => html`<option value=${index} ?selected=${open.level === index}>${index === 0 ? "every level" : `${level}${index === 3 ? "" : " and above"}`}</option>`)}
      </select></label
    >
    ${agent.instances.length > 1 ? instanceChoice(agent) : nothing}
    <span class="muted" role="status">${count(book.shown.length)} of ${count(book.lines.length)} lines</span>
    <span class="grow"></span>
    <button class="button small ${book.paused ? "on" : ""}" type="button" aria-pressed=${book.paused} @click=${pause}>
      ${icon(book.paused ? "resume" : "pause")}${book.paused ? "Go on" : "Pause"}
    </button>
    <button class="button small" type="button" @click=${download}>${icon("download")}Download</button>`;
}

function instanceChoice(agent) {
  return html`<label class="select"
    ><span class="hidden">Instance</span
    ><select @change=${(event) => filter({ instance: event.target.value })}>
      <option value="">all instances</option>
      ${agent.instances.map((one) => html`<option value=${one.instanceId} ?selected=${open.instance === one.instanceId}>${shortId(one.instanceId)}</option>`)}
    </select></label
  >`;
}

function row(line) {
  if (line.gap) return html`<p class="gap" role="note">${line.gap}</p>`;
  return html`<button type="button" class="log-line lv-${line.level}" @click=${() => show(line)}>
    <time>${line.time}</time><span class="level">${line.level}</span>
    <span class="from" .style=${`--hue: ${hueOf(line.instanceId)}`}>${shortId(line.instanceId)}</span>
    <span class="message"
      >${marked(line.message.replaceAll("\n", " ⏎ "))}<span class="rest">${marked(line.rest)}</span></span
    >
  </button>`;
}

/** A text with what is searched for marked. */
function marked(text) {
  const words = open.words.toLowerCase();
  if (words === "" || !text.toLowerCase().includes(words)) return text;
  const parts = [];
  let from = 0;
  for (let at = text.toLowerCase().indexOf(words); at >= 0; at = text.toLowerCase().indexOf(words, from)) {
    parts.push(text.slice(from, at), html`<mark>${text.slice(at, at + words.length)}</mark>`);
    from = at + words.length;
  }
  return [...parts, text.slice(from)];
}

function show(line) {
  openDialog(
    () => ({
      title: html`<span class="mono">${line.time || "A line"}</span>`,
      body: html`<p class="log-whole">${line.message}</p>
        ${line.members ? json(cleaned(line.members)) : html`<pre class="json" tabindex="0">${harmless(line.raw)}</pre>`}`,
    }),
    { wide: true },
  );
}

function cleaned(members) {
  return JSON.parse(JSON.stringify(members), (_, value) =>
    typeof value === "string" ? harmless(value.replaceAll("\n", "⏎\n")).replaceAll("⏎\n", "\n") : value,
  );
}

function foot(book) {
  const { tail } = open;
  if (book.paused)
    return note(
      html`Paused: ${count(book.waiting.length)} lines came since.
        <button class="button small" type="button" @click=${pause}>Go on</button>`,
    );
  if (tail.state === "lost")
    return note(
      html`<span class="bad">The stream was lost${tail.error ? `: ${tail.error}` : ""}. It is tried again.</span>`,
    );
  if (!open.atEnd)
    return note(
      html`New lines come below.
        <button class="button small" type="button" @click=${toEnd}>${icon("down")}To the end</button>`,
    );
  return note(
    html`<span class="muted"
      >${tail.state === "live" ? `Following. The last ${count(MOST)} lines are kept here.` : "…"}</span
    >`,
  );
}

function note(content) {
  return html`<footer class="log-foot">${content}</footer>`;
}

function silence() {
  if (open.tail.state === "connecting") return "Asking its instances.";
  return open.book.lines.length > 0
    ? "No line is like that."
    : app.state.agents.get(open.id)?.instances.length
      ? "No line yet."
      : "No instance is there.";
}

function filter(changes) {
  Object.assign(open, changes);
  open.book.filter({ words: open.words.toLowerCase(), level: open.level, instance: open.instance });
  redraw();
}

function pause() {
  open.book.pause(!open.book.paused);
  redraw();
}

function keep(element) {
  if (open) open.scroller = element ?? null;
  if (element) requestAnimationFrame(stick);
}

/** Stay at the end while lines come, unless somebody scrolled up. */
function stick() {
  if (!open?.scroller?.isConnected) return;
  if (open.atEnd) {
    open.scroller.scrollTop = open.scroller.scrollHeight;
    open.scrollTop = open.scroller.scrollTop;
  }
  requestAnimationFrame(stick);
}

/** Lines that came move the end away, which is no wish to stay: only scrolling up is. */
function scrolled({ target }) {
  if (!open) return;
  const left = target.scrollHeight - target.scrollTop - target.clientHeight;
  const up = target.scrollTop < open.scrollTop;
  const atEnd = left < AT_END || (open.atEnd && !up);
  open.scrollTop = target.scrollTop;
  if (open.atEnd === atEnd) return;
  open.atEnd = atEnd;
  redraw();
}

function toEnd() {
  open.atEnd = true;
  redraw();
}

function download() {
  const url = URL.createObjectURL(new Blob([open.book.text(), "\n"], { type: "text/plain" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `${open.id}-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.log`;
  link.click();
  URL.revokeObjectURL(url);
}

/** A colour for an instance: lines of several are told apart; its id stands beside it. */
function hueOf(instanceId) {
  let hash = 0;
  for (const sign of instanceId) hash = (hash * 31 + sign.codePointAt(0)) % 360;
  return hash;
}

screenKeys("agent", { " ": () => (open ? pause() : scrollBy(0, innerHeight * 0.8)) });
