/** One agent: what it does, what holds it, what it is, and what may be ordered. */

import { html, nothing } from "../core/html.js";
import { app, mayOrder } from "../core/app.js";
import { count, latency, percent, rate } from "../core/format.js";
import { agentHref } from "../core/router.js";
import { health, healthText, inHand, losses, traffic } from "../fleet/health.js";
import { executeTab } from "../execute/tab.js";
import { logsTab } from "../log/tab.js";
import { factList } from "../ui/fact-list.js";
import { icon, stateMark } from "../ui/icons.js";
import { charts } from "./charts.js";
import { drainCards } from "./drain-card.js";
import { facts } from "./facts.js";
import { instances } from "./instances.js";
import { journal } from "./journal.js";
import { startLive, stopLive } from "./live.js";
import { openOrder, ORDERS, whyNot } from "./orders.js";
import { progressOfActions } from "./actions.js";
import { recentTasks, runningTasks } from "./tasks.js";

const TABS = [
  ["overview", "Overview"],
  ["execute", "Execute"],
  ["logs", "Logs"],
];

export const agentScreen = {
  title: ({ id }) => `${id} · Agents`,
  enter({ id, tab }) {
    startLive(id);
    if (tab !== "logs") logsTab.leave();
  },
  leave() {
    stopLive();
    logsTab.leave();
    executeTab.leave();
  },
  view({ id, tab }) {
    const agent = app.state.agents.get(id);
    if (!agent) return unknown(id);
    const content = { overview, execute: executeTab.view, logs: logsTab.view }[tab];
    return html`${head(agent)} ${tabs(agent, tab)}
      <div class="agent-tab">${content(agent)}</div>`;
  },
};

function head(agent) {
  const found = health(agent, losses(app.state.journal).get(agent.id));
  return html`<header class="agent-head">
    <a class="back" href="#/" aria-label="Back to the fleet">${icon("left")}</a>
    <div class="title">
      <h1>${agent.id}</h1>
      ${stateMark(agent.state, found.level)}
      ${agent.desiredState === agent.state || agent.desiredState === "running" ? nothing : html`<span class="tag">is to be ${agent.desiredState}</span>`}
      <p class="about">
        ${agent.name && agent.name !== agent.id ? html`<b>${agent.name}</b> ` : nothing}${agent.description ?? ""}
      </p>
      ${found.level >= 3 ? html`<p class="trouble l-${found.level}">${icon(found.level === 4 ? "problem" : "warning")}${healthText(found)}</p>` : nothing}
    </div>
    ${mayOrder() ? html`<div class="orders" role="group" aria-label="Orders">${ORDERS.map((verb) => orderButton(agent, verb))}</div>` : nothing}
  </header>`;
}

function orderButton(agent, verb) {
  const reason = whyNot(agent, verb);
  return html`<button
    class="button"
    type="button"
    ?disabled=${reason !== null}
    title=${reason ?? nothing}
    @click=${() => openOrder(agent.id, verb)}
  >
    ${icon(verb)}<span>${verb[0].toUpperCase()}${verb.slice(1)}</span>
  </button>`;
}

function tabs(agent, tab) {
  const shown = TABS.filter(([name]) => name !== "execute" || mayOrder());
  return html`<nav class="tabs" aria-label="About ${agent.id}">
    ${shown.map(([name, text]) => html`<a href=${agentHref(agent.id, name)} aria-current=${name === tab ? "page" : nothing}>${text}</a>`)}
  </nav>`;
}

function overview(agent) {
  return html`${figures(agent)} ${drainCards(agent)} ${progressOfActions(agent)}
    <div class="columns">
      <div class="column">${runningTasks(agent)} ${recentTasks(agent)}</div>
      <div class="column">${charts(agent)} ${instances(agent)}</div>
      <div class="column">${journal(agent)} ${facts(agent)}</div>
    </div>`;
}

function figures(agent) {
  const hand = inHand(agent);
  const lately = traffic(app.state.samples.get(agent.id), app.state.hello?.stepSeconds ?? 5);
  const found = [
    [
      "instances that serve",
      html`${agent.readyInstances}<small>/${agent.desiredInstances ?? agent.instances.length}</small>`,
    ],
    ["in hand", html`${count(hand.running)}${hand.room ? html`<small>/${count(hand.room)}</small>` : nothing}`],
    ["waiting", count(hand.queued)],
    ["calls/s", rate(lately.rate)],
    ["errors", lately.errors === null ? "–" : percent(lately.errors)],
    ["p95", latency(lately.p95)],
    ["restarts", count(hand.restarts)],
  ];
  return factList(found, "figures");
}

function unknown(id) {
  if (app.state.hello === null) return html`<p class="empty">The manager has not told yet who is there.</p>`;
  return html`<div class="empty">
    <h1>There is no agent ${id}</h1>
    <p>It has left, or never was. <a href="#/">The fleet</a></p>
  </div>`;
}
