/** Pause, resume, restart, stop, start: offered where they mean something, and told in full before they are given. */

import { html, nothing } from "../core/html.js";
import { agentPath, get, send } from "../core/api.js";
import { app } from "../core/app.js";
import { duration, shortId } from "../core/format.js";
import { closeDialog, openDialog, redrawDialog } from "../ui/dialog.js";
import { notify } from "../ui/toast.js";
import { icon } from "../ui/icons.js";
import { foretell, holdUp } from "./foresight.js";
import { askSoon } from "./live.js";

export const ORDERS = ["pause", "resume", "restart", "stop", "start"];
const LIMITS = [10, 60, 300, 900, 3600];
const DEFAULT_LIMIT = 30;

/** Give why an order makes no sense now, null where it does. */
export function whyNot(agent, verb, instance = null) {
  const some = instance ? [instance] : agent.instances;
  const states = new Set(some.map((one) => one.state));
  if (verb === "start") return agent.instances.length > 0 ? "it is there" : null;
  if (some.length === 0) return "no instance is there";
  if (states.size === 1 && states.has("stopping")) return "it is leaving: steer the drain below";
  if (verb === "pause" && !states.has("running")) return "it is paused already";
  if (verb === "resume" && !states.has("paused")) return "it is not paused";
  return null;
}

/** Show what an order will come to, and give it when it is confirmed. */
export async function openOrder(id, verb, instanceId = null) {
  const order = { id, verb, instanceId, limit: null, own: DEFAULT_LIMIT, answers: null, error: null, busy: false };
  openDialog(() => content(order));
  const query = instanceId ? `?instanceId=${encodeURIComponent(instanceId)}` : "";
  const [drains, configuration] = await Promise.allSettled([
    get(agentPath(id, `/drain${query}`)),
    get(agentPath(id, "/configuration")),
  ]);
  order.answers = drains.value?.instances ?? [];
  order.own = configuration.value?.drainTimeoutSeconds ?? DEFAULT_LIMIT;
  redrawDialog();
}

function content(order) {
  const agent = app.state.agents.get(order.id);
  const what = order.instanceId
    ? html`<span class="mono">${shortId(order.instanceId)}</span> of ${order.id}`
    : order.id;
  const word = order.verb[0].toUpperCase() + order.verb.slice(1);
  return {
    title: html`${word} ${what}?`,
    body: agent ? body(order, agent) : html`<p>It has left meanwhile.</p>`,
    actions: html`<button class="button" type="button" autofocus @click=${closeDialog}>Leave it as it is</button>
      <button
        class="button ${order.verb === "stop" ? "danger" : "primary"}"
        type="button"
        ?disabled=${order.answers === null || order.busy || !agent}
        @click=${() => give(order)}
      >
        ${icon(order.verb)}${word}
      </button>`,
  };
}

function body(order, agent) {
  if (order.answers === null) return html`<p class="muted">Asking what it has in hand.</p>`;
  const targets = agent.instances.filter((one) => order.instanceId === null || one.instanceId === order.instanceId);
  const hold = holdUp(order.answers);
  const queued = targets.reduce((sum, one) => sum + one.queued, 0);
  const limit = order.limit ?? order.own;
  const drains = order.verb === "stop" || order.verb === "restart";
  return html`<div class="foresight">
      ${foretell(order.verb, { agent, targets, hold, queued, limit }).map((sentence) => html`<p>${sentence}</p>`)}
    </div>
    ${drains ? limits(order, hold) : nothing}
    ${order.error ? html`<p class="bad" role="alert">${order.error}</p>` : nothing}`;
}

/** How long the drain may take: the agent's own, or another time for this once. */
function limits(order, hold) {
  const choices = [...new Set([order.own, ...LIMITS])].sort((a, b) => a - b);
  const late = hold.eta !== null && hold.eta > (order.limit ?? order.own);
  return html`<fieldset class="limits">
    <legend>Time for the work in hand</legend>
    ${choices.map(
      (seconds) =>
        html`<label class=${late && seconds < hold.eta ? "late" : ""}
          ><input
            type="radio"
            name="limit"
            .checked=${seconds === (order.limit ?? order.own)}
            @change=${() => ((order.limit = seconds), redrawDialog())}
          />${duration(seconds)}${seconds === order.own ? html` <span class="muted">its own</span>` : nothing}</label
        >`,
    )}
  </fieldset>`;
}

async function give(order) {
  order.busy = true;
  order.error = null;
  redrawDialog();
  const body = { action: order.verb };
  if (order.instanceId) body.instanceId = order.instanceId;
  if (order.limit !== null && (order.verb === "stop" || order.verb === "restart")) body.timeoutSeconds = order.limit;
  try {
    await send("POST", agentPath(order.id, "/action"), body);
    closeDialog();
    notify(`${order.verb} of ${order.id} is ordered`, { kind: "good" });
    askSoon();
  } catch (error) {
    order.error = `${error.message}.`;
    order.busy = false;
    redrawDialog();
  }
}
