/** Orders of several steps under way, and orders that failed lately: which instance is at what. */

import { html, nothing, repeat } from "../core/html.js";
import { secondsSince } from "../core/app.js";
import { clock, duration, shortId } from "../core/format.js";
import { icon } from "../ui/icons.js";
import { live } from "./live.js";

const SHOWN_SECONDS = 120;
const SHAPES = { waiting: "clock", draining: "stopping", done: "check", failed: "problem" };

export function progressOfActions() {
  const shown = live.actions.filter(isShown);
  if (shown.length === 0) return nothing;
  return html`<div class="actions">${repeat(shown, (action) => action.actionId, one)}</div>`;
}

function isShown(action) {
  if (action.state === "running") return action.instances.length > 1;
  if (action.state !== "failed" || secondsSince(action.endedAt) > SHOWN_SECONDS) return false;
  return !action.instances.every((step) => step.state === "done" || step.error?.code === "not-draining"); // it was called off
}

function one(action) {
  const done = action.instances.filter((step) => step.state === "done").length;
  const many = action.instances.length;
  return html`<section
    class="card action a-${action.state}"
    aria-label="${action.action} of ${clock(action.startedAt, { seconds: true })}, ${shortId(action.actionId)}"
  >
    <header>
      ${icon(action.action)}
      <h2>
        ${action.action[0].toUpperCase()}${action.action.slice(1)} ${action.state === "failed" ? "failed" : "under way"}
      </h2>
      <span class="muted"
        >${done} of ${many} done, since
        ${duration(secondsSince(action.startedAt))}${action.by ? `, ordered by ${action.by}` : ""} at
        ${clock(action.startedAt)}</span
      >
    </header>
    <ol class="steps">
      ${action.instances.map(
        (step) =>
          html`<li class="st-${step.state}">
            ${icon(SHAPES[step.state])}<span class="mono">${shortId(step.instanceId)}</span><span>${step.state}</span>
            ${step.successor ? html`<span class="muted">now <span class="mono">${shortId(step.successor)}</span></span>` : nothing}
            ${step.error ? html`<span class="bad">${step.error.detail}</span>` : nothing}
          </li>`,
      )}
    </ol>
  </section>`;
}
