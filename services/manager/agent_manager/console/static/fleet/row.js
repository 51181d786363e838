/** One agent in a line of the fleet. */

import { html, guard, nothing } from "../core/html.js";
import { age, count, latency, percent, rate } from "../core/format.js";
import { agentHref } from "../core/router.js";
import { app } from "../core/app.js";
import { stateMark, stateWord } from "../ui/icons.js";
import { spark } from "../ui/spark.js";
import { healthText, STALE_SECONDS, WARNING } from "./health.js";

/** A row; drawn again only when its agent, its samples, or what is said of their age is another. */
export function row(row, index, current) {
  const { agent, health, samples } = row;
  const heard = heardAgo(row);
  const text = health.level > 0 && health.text ? healthText(health) : (agent.description ?? "");
  return guard(
    [row, index, current, heard, text],
    () =>
      html`<div
        role="row"
        aria-rowindex=${index + 2}
        class="line ${current ? "current" : ""} h-${health.level}"
        @click=${open}
      >
        <div role="cell" class="c-state">${stateMark(agent.state, health.level)}</div>
        <div role="cell" class="c-agent">
          <a href=${agentHref(agent.id)}
            ><b>${agent.id}</b
            >${agent.name && agent.name !== agent.id ? html`<span class="name">${agent.name}</span>` : nothing}</a
          >
          <span class="about ${health.level >= WARNING ? "bad" : ""}" title=${text}>${text}</span>
        </div>
        <div role="cell" class="c-instances right">${instances(agent, health.level)}</div>
        <div role="cell" class="c-running">
          ${measure(load(row.hand), samples?.series[0], "running", row.hand.room || 1)}
        </div>
        <div role="cell" class="c-queued">
          ${measure(html`<b>${count(row.hand.queued)}</b>`, samples?.series[1], "queued", 4)}
        </div>
        <div role="cell" class="c-rate">
          ${measure(html`<b>${rate(row.traffic.rate)}</b>`, samples?.series[2], "rate", 5)}
        </div>
        <div role="cell" class="c-errors">${measure(errors(row.traffic), samples?.series[3], "errors", 5)}</div>
        <div role="cell" class="c-p95">
          ${measure(html`<b>${latency(row.traffic.p95)}</b>`, samples?.series[4], "p95", 100)}
        </div>
        <div role="cell" class="c-source">${sources(agent)}</div>
        <div role="cell" class="c-seen right ${heard.stale ? "bad" : ""}">${heard.text}</div>
      </div>`,
  );
}

/** The heading of a group. */
export function heading(line, index) {
  return html`<div role="row" class="line group" aria-rowindex=${index + 2}>
    <div role="cell">
      <h2>${line.heading === "problem" ? "problems" : stateWord(line.heading)}</h2>
      <span class="muted">${count(line.count)}</span>
    </div>
  </div>`;
}

function measure(number, series, kind, least) {
  return html`<span class="number">${number}</span>${spark(series, kind, { least })}`;
}

function instances(agent, level) {
  const wanted = agent.desiredInstances ?? agent.instances.length;
  const short = level >= WARNING && agent.readyInstances < wanted;
  return html`<span class=${short ? "short" : ""}
    ><b>${agent.readyInstances}</b><span class="muted">/${wanted}</span></span
  >`;
}

function load(hand) {
  const full = hand.room > 0 && hand.running >= hand.room;
  return html`<b class=${full ? "full" : ""}>${count(hand.running)}</b
    >${hand.room ? html`<span class="muted">/${count(hand.room)}</span>` : nothing}`;
}

function errors(traffic) {
  if (traffic.errors === null) return html`<b class="muted">–</b>`;
  return html`<b class=${traffic.errors > 0 ? "bad" : ""}>${percent(traffic.errors)}</b>`;
}

const SHORT = { registration: "registered", kubernetes: "kubernetes", static: "probed", configuration: "file" };

function sources(agent) {
  const found = agent.sources.find((source) => source !== "configuration") ?? "configuration";
  return SHORT[found] ?? found;
}

let kept = new WeakMap();

/** How long its quietest instance was not heard; one object for one text, so that `guard` sees what is the same. */
function heardAgo(row) {
  if (row.age === null) return NEVER;
  const seconds = row.age + (app.state.steppedAt ? (Date.now() - app.state.steppedAt) / 1000 : 0);
  const stale = seconds > STALE_SECONDS;
  const text = stale ? age(seconds) : "now";
  const known = kept.get(row);
  if (known?.text === text) return known;
  const made = { text, stale };
  kept.set(row, made);
  return made;
}

const NEVER = { text: "–", stale: false };

/** The whole row opens the agent; what is in it and can be clicked is left alone. */
function open(event) {
  if (!event.target.closest("a, button") && getSelection().isCollapsed) event.currentTarget.querySelector("a").click();
}
