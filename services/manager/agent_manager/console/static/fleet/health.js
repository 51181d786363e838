/** What the facts of an agent come to: how much it needs somebody, and why, in words. */

import { now, secondsSince } from "../core/app.js";
import { age, many } from "../core/format.js";

export const CRITICAL = 4;
export const WARNING = 3;
const DRAINING = 2;
const CHANGING = 1;
const FINE = 0;
export const STALE_SECONDS = 15; // three beats of the default interval

const LOST = new Set(["expired", "mass-loss", "withdrawn", "replaced"]);
const GRACE_SECONDS = 3; // a process has left 2 s after its deadline

/** Give `{level, code, text, since}` of an agent; `lost` says when its last instance was lost, if it was. */
export function health(agent, lost) {
  const serving = agent.readyInstances > 0;
  const overdue = agent.instances.find(isOverdue);
  if (overdue) return verdict(WARNING, "drain-overdue", "its drain is past its deadline", overdue.drain.deadline);
  if (agent.problem) {
    const level = serving ? WARNING : CRITICAL;
    return verdict(level, agent.problem.code, agent.problem.detail, agent.problem.since);
  }
  if (lost && agent.instances.length === 0 && agent.desiredState === "running") {
    return verdict(CRITICAL, "lost", "its last instance was lost, and none came in its place", lost);
  }
  if (agent.desiredInstances > 0 && agent.instances.length === 0) {
    return verdict(CRITICAL, "down", `${many(agent.desiredInstances, "instance")} wanted, none is there`);
  }
  if (agent.state === "stopping" || agent.instances.some((one) => one.state === "stopping")) {
    return verdict(DRAINING, "draining", drainText(agent));
  }
  if (agent.state === "starting" || agent.state === "paused") return verdict(CHANGING, agent.state, "");
  return verdict(FINE, "", "");
}

/** Whether an instance is still there though its drain's deadline has passed. */
export function isOverdue(instance) {
  const deadline = instance.state === "stopping" && instance.drain?.deadline;
  return Boolean(deadline) && now() > Date.parse(deadline) + GRACE_SECONDS * 1000;
}

/** Give when each agent's last loss was, by the journal; an agent that came back, or left by itself, has none. */
export function losses(journal) {
  const found = new Map();
  for (const event of journal) {
    if (event.kind !== "agent") continue;
    if (event.code === "appeared" || event.code === "unregistered") found.delete(event.agent);
    else if (LOST.has(event.code)) found.set(event.agent, event.time);
  }
  return found;
}

/** Give the text under an agent's name where something is wrong with it. */
export function healthText(found) {
  const since = found.since ? `, ${age(secondsSince(found.since))}` : "";
  const code = found.code && found.level >= WARNING ? `${found.code}${since}: ` : "";
  return `${code}${found.text}`;
}

/** The tasks that an agent has in hand, and how many may be. */
export function inHand(agent) {
  const sum = (field) => agent.instances.reduce((total, one) => total + (one[field] ?? 0), 0);
  return { running: sum("running"), queued: sum("queued"), room: sum("maxConcurrency"), restarts: sum("restarts") };
}

/** Calls a second, share of errors and p95 over the last minute. */
export function traffic(samples, stepSeconds) {
  const series = samples?.series ?? [];
  const steps = Math.round(60 / stepSeconds);
  const last = (numbers) => (numbers ? numbers.slice(-steps) : []);
  const total = (numbers) => last(numbers).reduce((sum, number) => sum + number, 0);
  const calls = total(series[2]);
  const errors = total(series[3]);
  return {
    rate: calls / 60,
    errors: calls > 0 ? errors / calls : null,
    p95: series[4] ? series[4][series[4].length - 1] : 0,
  };
}

function drainText(agent) {
  const leaving = agent.instances.filter((one) => one.state === "stopping");
  const holding = leaving.reduce((sum, one) => sum + (one.drain?.blockers?.length ?? 0), 0);
  const who = leaving.length === agent.instances.length ? "" : `${leaving.length} of ${agent.instances.length}: `;
  return `${who}${holding === 0 ? "nothing holds it" : `${many(holding, "task")} to finish`}`;
}

function verdict(level, code, text, since = null) {
  return { level, code, text, since };
}
