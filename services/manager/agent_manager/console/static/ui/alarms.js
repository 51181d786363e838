/** What somebody should hear of although they look elsewhere: an agent that went down, a drain that is overdue. */

import { app, watchEvents } from "../core/app.js";
import { agentHref } from "../core/router.js";
import { isOverdue } from "../fleet/health.js";
import { notify } from "./toast.js";

const told = new Set();

/** Watch, from now on. What is down when the page opens is in the list, and no news. */
export function watchForTrouble() {
  watchEvents((events, before) => {
    if (before.state !== "live") return;
    const ids = new Set(events.filter(({ name }) => name === "agent").map(({ data }) => data.removed ?? data.agent.id));
    for (const id of ids) compare(before.agents.get(id), app.state.agents.get(id));
  });
  setInterval(lookForOverdue, 1000);
}

function compare(was, is) {
  if (!was || !is) return;
  const stays = is.desiredState === "running" && !["stopping", "starting"].includes(is.state);
  if (was.readyInstances > 0 && is.readyInstances === 0 && stays && is.state !== "paused") {
    notify(`${is.id} is down${is.problem ? `: ${is.problem.detail}` : ""}`, { kind: "bad", href: agentHref(is.id) });
  }
  if (was.readyInstances === 0 && is.readyInstances > 0 && (was.problem || was.state === "stopped")) {
    notify(`${is.id} is back`, { kind: "good", href: agentHref(is.id) });
  }
}

function lookForOverdue() {
  for (const agent of app.state.agents.values()) {
    for (const instance of agent.instances) {
      const key = `${instance.instanceId} ${instance.drain?.deadline}`;
      if (!isOverdue(instance) || told.has(key)) continue;
      told.add(key);
      notify(`The drain of ${agent.id} is overdue: it is still there`, { kind: "bad", href: agentHref(agent.id) });
    }
  }
}
