/** The instances of an agent: processes, or pods. */

import { html, nothing, repeat } from "../core/html.js";
import { mayOrder, secondsSince } from "../core/app.js";
import { age, shortId } from "../core/format.js";
import { factList } from "../ui/fact-list.js";
import { icon, stateMark } from "../ui/icons.js";
import { live } from "./live.js";
import { openOrder, whyNot } from "./orders.js";

export function instances(agent) {
  return html`<section class="card" aria-labelledby="instances-title">
    <header>
      <h2 id="instances-title">Instances</h2>
      <span class="muted">${agent.readyInstances} of ${agent.instances.length} serve</span>
    </header>
    ${
      agent.instances.length === 0
        ? html`<p class="none">None is there.</p>`
        : html`<ul class="instances">
            ${repeat(
              agent.instances,
              (one) => one.instanceId,
              (one) => instance(agent, one),
            )}
          </ul>`
    }
  </section>`;
}

function instance(agent, one) {
  const level = one.problem || !one.reachable ? 3 : 0;
  const idle = live.drains.get(one.instanceId);
  const since = one.startedAt ?? one.registeredAt;
  const facts = [
    ["up", since ? age(secondsSince(since)) : "–"],
    ["heard", one.lastSeen ? `${age(secondsSince(one.lastSeen))} ago` : "–"],
    [
      "in hand",
      `${one.running}${one.maxConcurrency ? `/${one.maxConcurrency}` : ""}${one.queued ? `, ${one.queued} wait` : ""}`,
    ],
    ["restarts", one.pod?.restarts ?? one.restarts],
    ["version", one.version ?? "–"],
    ["adapter", one.adapterVersion ?? "–"],
    ["source", one.source],
  ];
  return html`<li>
    <div class="instance-head">
      ${stateMark(one.state, level)}
      <span class="mono" title=${one.instanceId}>${shortId(one.instanceId)}</span>
      <span class="mono muted grow url">${one.serviceUrl ?? ""}</span>
      ${idle?.safeToDelete && one.state !== "stopping" ? html`<span class="tag t-good" title="Nothing would be lost by ending it now">${icon("shield")}idle</span>` : nothing}
      ${mayOrder() ? orders(agent, one) : nothing}
    </div>
    ${one.problem ? html`<p class="bad">${one.problem.code}: ${one.problem.detail}</p>` : nothing}
    ${factList(facts, "inline")} ${one.pod ? pod(one.pod) : nothing}
  </li>`;
}

function pod(pod) {
  const facts = [
    ["pod", pod.name],
    ["namespace", pod.namespace],
    ["node", pod.node],
    ["ip", pod.ip],
    ["image", pod.image],
    ["phase", pod.reason ? `${pod.phase}: ${pod.reason}` : pod.phase],
    ["ready", pod.ready ? "yes" : "no"],
  ];
  return factList(facts, "inline pod");
}

function orders(agent, one) {
  return html`<span class="instance-orders"
    >${["restart", "stop"].map((verb) => {
      const reason = whyNot(agent, verb, one);
      const label = `${verb} this instance`;
      return html`<button
        class="bare"
        type="button"
        aria-label=${label}
        title=${reason ?? label}
        ?disabled=${reason !== null}
        @click=${() => openOrder(agent.id, verb, one.instanceId)}
      >
        ${icon(verb)}
      </button>`;
    })}</span
  >`;
}
