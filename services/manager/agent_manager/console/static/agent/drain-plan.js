/** What a drain comes to: who holds it, until when, and what will probably be cut. Plain numbers and sentences. */

import { now } from "../core/app.js";
import { clock, many, spoken } from "../core/format.js";
import { estimate } from "./estimate.js";

const SLACK = 1.25; // the estimate is a median: half of the tasks take longer

/** Give a drain's plan at this moment; times are milliseconds of the manager's clock. */
export function planOf(drain) {
  const time = now();
  const deadline = Date.parse(drain.deadline);
  const since = Date.parse(drain.since);
  const blockers = drain.blockers.map((blocker) => bar(blocker, time, deadline)).sort((a, b) => b.end - a.end);
  const late = blockers.filter((one) => one.late);
  const unknown = blockers.filter((one) => one.eta === null);
  const lastEnd = Math.max(time, ...blockers.filter((one) => one.eta !== null).map((one) => one.end));
  const longest = Math.max(deadline, lastEnd);
  return {
    now: time,
    since,
    deadline,
    remaining: Math.max(0, (deadline - time) / 1000),
    blockers,
    late,
    unknown,
    lastEnd,
    from: Math.min(since, time - 1000),
    to: Math.max(Math.min(longest, deadline + (deadline - since)), time + 1000) + (longest - since) * 0.04,
  };
}

function bar(blocker, time, deadline) {
  const { seconds: eta, byProgress } = estimate(blocker);
  const begin = time - blocker.ageSeconds * 1000;
  const end = eta === null ? deadline : time + eta * 1000;
  return { ...blocker, eta, begin, end, late: eta !== null && end > deadline, byProgress };
}

/** Give how a drain stands, in a sentence or two. */
export function verdictOf(plan, drain) {
  if (drain.safeToDelete || plan.blockers.length === 0)
    return { kind: "good", text: "Nothing holds it: it leaves within a moment." };
  const all = plan.blockers.length;
  const tasks = `${many(all, "task")} ${all === 1 ? "holds" : "hold"} it.`;
  if (plan.remaining === 0)
    return { kind: "bad", text: `${tasks} The deadline has passed: what is left is being cut off.` };
  if (plan.late.length > 0) {
    const who =
      plan.late.length === all ? (all === 1 ? "It" : "All of them") : many(plan.late.length, "of them", "of them");
    const be = plan.late.length === 1 ? "is" : "are";
    return {
      kind: "bad",
      text: `${tasks} ${who} will probably not be done by ${at(plan.deadline)} and ${be} cut off then.`,
    };
  }
  const spare = spoken((plan.deadline - plan.lastEnd) / 1000);
  if (plan.unknown.length === all) {
    return {
      kind: "warn",
      text: `${tasks} Nothing is known of how long such tasks take; what still runs at ${at(plan.deadline)} is cut off.`,
    };
  }
  if (plan.unknown.length > 0) {
    return {
      kind: "warn",
      text: `${tasks} Of ${plan.unknown.length} nothing is known; the others should be done by ${at(plan.lastEnd)}, ${spare} before the deadline.`,
    };
  }
  return {
    kind: "good",
    text: `${tasks} All should be done by about ${at(plan.lastEnd)}, ${spare} before the deadline: nothing is lost.`,
  };
}

/** Give how many seconds from now the deadline should lie so that all that is known of can finish; null: it lies well. */
export function enoughSeconds(plan) {
  if (plan.late.length === 0) return null;
  const seconds = ((plan.lastEnd - plan.now) / 1000) * SLACK + 5;
  return seconds < 60 ? Math.ceil(seconds / 5) * 5 : Math.ceil(seconds / 30) * 30;
}

export function at(time) {
  return clock(time, { seconds: Math.abs(time - now()) < 10 * 60_000 });
}
