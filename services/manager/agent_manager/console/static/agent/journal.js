/** What happened to an agent and who ordered it, the last first. */

import { html, nothing, repeat } from "../core/html.js";
import { app } from "../core/app.js";
import { clock, shortId } from "../core/format.js";
import { agentHref } from "../core/router.js";
import { icon } from "../ui/icons.js";
import { live } from "./live.js";

const MOST = 80;
const BAD = new Set([
  "expired",
  "mass-loss",
  "withdrawn",
  "flapping",
  "lost",
  "cut",
  "unreachable",
  "registration-conflict",
]);
const SHAPES = { action: "resume", drain: "stopping", verdict: "warning", agent: "running" };

export function journal(agent) {
  const events = eventsOf(agent.id);
  return html`<section class="card" aria-labelledby="journal-title">
    <header>
      <h2 id="journal-title">Journal</h2>
      <span class="muted">what happened, and who ordered it</span>
    </header>
    ${events.length === 0 ? html`<p class="none">Nothing since the manager came up.</p>` : eventList(events.slice(0, MOST))}
  </section>`;
}

/** Events in a list; `named`: with their agent. */
export function eventList(events, { named = false } = {}) {
  return html`<ol class="events" tabindex="0" aria-label="Events, the last first">
    ${repeat(
      events,
      keyOf,
      (event) =>
        html`<li class=${isBad(event) ? "is-bad" : ""}>
          <time datetime=${event.time}>${clock(event.time, { seconds: true })}</time>
          <span class="shape k-${event.kind}"
            >${icon(isBad(event) ? "problem" : (SHAPES[event.kind] ?? "running"))}</span
          >
          <span class="what"
            >${named && event.agent ? html`<a href=${agentHref(event.agent)}><b>${event.agent}</b></a> ` : nothing}<span
              class="code"
              >${event.code}</span
            >
            <span class="message"
              >${event.message.replaceAll(event.instanceId ?? "\0", shortId(event.instanceId ?? ""))}</span
            >
            ${event.by ? html`<span class="tag">by ${event.by}</span>` : nothing}</span
          >
        </li>`,
    )}
  </ol>`;
}

/** The events of an agent, the last first: those that the feed brought, and before them those that were asked for. */
function eventsOf(id) {
  const followed = app.state.journal.filter((event) => event.agent === id);
  const first = followed[0]?.time ?? "~";
  const asked = (live.events ?? []).filter((event) => event.time < first);
  return [...asked, ...followed].reverse();
}

export function isBad(event) {
  return BAD.has(event.code) || event.code.endsWith("-failed");
}

function keyOf(event) {
  return `${event.time} ${event.kind} ${event.code} ${event.agent} ${event.instanceId ?? ""}`;
}
