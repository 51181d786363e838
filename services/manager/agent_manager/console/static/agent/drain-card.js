/** The drain: who holds it, until when, what will be lost; and the means to change that. */

import { html, nothing, repeat } from "../core/html.js";
import { app, mayOrder, secondsSince } from "../core/app.js";
import { age, clock, duration, percent, shortId } from "../core/format.js";
import { icon } from "../ui/icons.js";
import { live } from "./live.js";
import { at, enoughSeconds, planOf, verdictOf } from "./drain-plan.js";
import { askCallOff, askHurry, askMinutes, extend } from "./drain-steering.js";
import { askCancel, openTask } from "./tasks.js";

const REASONS = { stop: "Stopping", restart: "Restarting", signal: "Leaving on a signal" };
const TOLD_SECONDS = 180;

/** A card for each instance that drains, and what became of the last drain. */
export function drainCards(agent) {
  const leaving = agent.instances.filter((one) => one.state === "stopping");
  const cards = leaving.map((one) => [one, drainOf(one)]).filter(([, drain]) => drain?.reason);
  if (cards.length === 0) return lastReport(agent);
  return html`${repeat(
    cards,
    ([one]) => one.instanceId,
    ([one, drain]) => card(agent, one, drain),
  )}`;
}

/** What the instance said itself just now, else what it said with its last beat. */
function drainOf(instance) {
  const asked = live.drains.get(instance.instanceId);
  return asked?.reason && !asked.error ? asked : instance.drain;
}

function card(agent, instance, drain) {
  const plan = planOf(drain);
  const verdict = verdictOf(plan, drain);
  return html`<section class="card drain v-${verdict.kind}" aria-label="Drain of ${shortId(instance.instanceId)}">
    <header>
      ${icon("stopping")}
      <h2>
        ${REASONS[drain.reason]}${agent.instances.length > 1 ? html` <span class="mono">${shortId(instance.instanceId)}</span>` : nothing}
      </h2>
      <span class="muted">${orderedBy(agent, drain)}</span>
      <span class="grow"></span>
      ${drain.safeToDelete ? html`<span class="tag t-good">${icon("shield")}safe to delete</span>` : html`<span class="tag t-warn">${icon("warning")}work would be lost by deleting it</span>`}
    </header>
    <div class="drain-top">
      <p class="verdict-line">
        ${icon(verdict.kind === "good" ? "check" : verdict.kind === "warn" ? "warning" : "problem")}<span
          >${verdict.text}</span
        >
      </p>
      <p class="countdown">
        <b>${duration(plan.remaining)}</b><span class="muted">left, until ${at(plan.deadline)}</span>
      </p>
    </div>
    ${plan.blockers.length > 0 ? timeline(agent, plan) : nothing}
    ${mayOrder() ? steering(agent, instance, drain, plan) : nothing}
    ${instance.pod && drain.safeToDelete ? html`<p class="hint muted">Now harmless: <code>kubectl -n ${instance.pod.namespace} delete pod ${instance.pod.name}</code></p>` : nothing}
  </section>`;
}

function orderedBy(agent, drain) {
  const order = live.actions.find(
    (action) =>
      action.action === drain.reason && Math.abs(Date.parse(action.startedAt) - Date.parse(drain.since)) < 60_000,
  );
  const who = order?.by ? ` by ${order.by}` : drain.reason === "signal" ? " by the platform" : "";
  return `since ${clock(Date.parse(drain.since), { seconds: true })}${who ? `, ordered${who}` : ""}`;
}

/** Each task on one axis of time: from when it began to when it will probably end, beside now and the deadline. */
function timeline(agent, plan) {
  const span = plan.to - plan.from;
  const place = (time) => Math.max(0, Math.min(100, ((time - plan.from) / span) * 100));
  return html`<div class="timeline">
    <div class="axis" aria-hidden="true">
      <div>
        <span class="t-now ${place(plan.now) > 62 ? "near-end" : ""}" .style=${`left: ${place(plan.now)}%`}
          ><i>now</i></span
        >
        <span
          class="t-deadline ${place(plan.deadline) > 75 ? "near-end" : ""}"
          .style=${`left: ${place(plan.deadline)}%`}
          ><i>cut off ${at(plan.deadline)}</i></span
        >
      </div>
    </div>
    <ul>
      ${repeat(
        plan.blockers,
        (one) => one.taskId,
        (one) => blocker(agent, one, plan, place),
      )}
    </ul>
  </div>`;
}

function blocker(agent, one, plan, place) {
  return html`<li class="blocker ${one.late ? "late" : ""} ${one.eta === null ? "unknown" : ""}">
    <div class="blocker-facts">
      <button
        class="link mono"
        type="button"
        title=${one.taskId}
        @click=${() => openTask(agent.id, { taskId: one.taskId, state: "running", startedAt: one.begin })}
      >
        ${shortId(one.taskId)}
      </button>
      <b>${duration(one.ageSeconds)}</b>
      <span class="muted caller">${one.caller ?? ""}</span>
      ${mayOrder() ? html`<button class="button small" type="button" @click=${() => askCancel(agent.id, one.taskId)}>Cancel</button>` : nothing}
      <span class="blocker-said">${said(one)}</span>
    </div>
    ${lane(one, plan, place)}
  </li>`;
}

function said({ progress }) {
  if (!progress) return nothing;
  const fraction = progress.fraction ?? null;
  return html`${fraction === null ? nothing : html`<b>${percent(fraction)}</b>`} ${progress.message ?? ""}`;
}

function lane(one, plan, place) {
  const from = place(one.begin);
  const here = place(plan.now);
  const label = here > 62 ? `right: ${100 - here}%` : `left: ${here}%`;
  return html`<div class="lane">
    <span class="mark-now" .style=${`left: ${here}%`}></span>
    <span class="mark-deadline" .style=${`left: ${place(plan.deadline)}%`}></span>
    <span class="past" .style=${`left: ${from}%; width: ${here - from}%`}></span>
    <span class="rest" .style=${`left: ${here}%; width: ${Math.max(0.5, place(one.end) - here)}%`}></span>
    <span class="eta" .style=${label}>${endText(one)}</span>
  </div>`;
}

function endText(one) {
  if (one.eta === null) return "its end is not known";
  const how = one.byProgress ? ", by its own progress" : "";
  return one.late ? `about ${at(one.end)}: too late${how}` : `about ${at(one.end)}, in ${duration(one.eta)}${how}`;
}

function steering(agent, instance, drain, plan) {
  const target = { id: agent.id, instanceId: instance.instanceId };
  const enough = enoughSeconds(plan);
  const more = (seconds) => extend(target, Math.round(plan.remaining + seconds));
  const signalled = drain.reason === "signal";
  return html`<footer class="steering">
    ${enough ? html`<button class="button primary" type="button" @click=${() => extend(target, enough)}>${icon("clock")}Give it ${duration(enough)}: all should finish</button>` : nothing}
    <span class="button-row" role="group" aria-label="Give it more time">
      ${[60, 300, 900].map((seconds) => html`<button class="button" type="button" @click=${() => more(seconds)}>${icon("plus")}${seconds / 60} min</button>`)}
      <button class="button" type="button" @click=${() => askMinutes(target, plan)}>Set…</button>
    </span>
    <button class="button" type="button" @click=${() => askHurry(target, plan)}>${icon("hurry")}Hurry…</button>
    <span class="grow"></span>
    <button
      class="button"
      type="button"
      ?disabled=${signalled}
      title=${signalled ? "A signal ordered it: the platform will end the process" : nothing}
      @click=${() => askCallOff(target, plan)}
    >
      ${icon("undo")}Call it off
    </button>
  </footer>`;
}

/** How the last drain went, for some minutes after it. */
function lastReport(agent) {
  const report = app.state.journal.findLast(
    (event) => event.agent === agent.id && event.kind === "drain" && ["clean", "cut", "lost"].includes(event.code),
  );
  if (!report || secondsSince(report.time) > TOLD_SECONDS) return nothing;
  const good = report.code === "clean";
  return html`<p class="report ${good ? "good" : "bad"}" role="status">
    ${icon(good ? "check" : "problem")}
    <span>${report.message}<span aria-hidden="true">, ${age(secondsSince(report.time))} ago</span></span>
  </p>`;
}
