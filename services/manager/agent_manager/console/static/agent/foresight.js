/** What an order will come to, in words, before it is given. */

import { now } from "../core/app.js";
import { clock, many, spoken } from "../core/format.js";
import { estimate } from "./estimate.js";

/** Give what a drain would have to wait for: `answers` are those of `/drain`, of the instances that are meant. */
export function holdUp(answers) {
  const blockers = answers.flatMap((answer) => answer.blockers ?? []);
  const etas = blockers.map((blocker) => estimate(blocker).seconds);
  const known = etas.filter((eta) => eta !== null);
  return {
    tasks: blockers.length,
    oldest: Math.max(0, ...blockers.map((blocker) => blocker.ageSeconds)),
    eta: known.length > 0 ? Math.max(...known) : null,
    unknown: etas.length - known.length,
  };
}

/** Give the sentences about an order; `limit` is how long its drain may take, in seconds. */
export function foretell(verb, { agent, targets, hold, queued, limit }) {
  return TELLERS[verb]({ agent, targets, hold, queued, limit }).filter(Boolean);
}

const TELLERS = {
  pause({ hold, queued }) {
    return [
      hold.tasks > 0 ? `${tasksRun(hold)}, and go on to their end.` : "Nothing runs at this moment.",
      queued > 0 ? `${many(queued, "task")} that ${queued === 1 ? "waits stays" : "wait stay"} in the queue.` : "",
      "New calls are refused with 409 until it is resumed. An instance that comes up meanwhile comes up paused.",
    ];
  },
  resume({ queued }) {
    return [
      "It takes calls again.",
      queued > 0 ? `${many(queued, "task")} that ${queued === 1 ? "waits begins" : "wait begin"} in order.` : "",
    ];
  },
  stop({ agent, targets, hold, limit }) {
    const others = agent.instances.length - targets.length;
    return [
      ...work(hold, limit),
      others > 0
        ? `The other ${many(others, "instance")} ${others === 1 ? "goes" : "go"} on.`
        : "No instance is left afterwards: calls get 503 until it is started again.",
    ];
  },
  restart({ agent, targets, hold, limit }) {
    const others = agent.readyInstances - targets.length;
    const turn =
      targets.length > 1
        ? `Its ${targets.length} instances restart one after the other: the next when the last is back.`
        : "";
    const meanwhile =
      targets.length > 1 || others > 0
        ? "The others take the calls that come meanwhile."
        : "Calls that come meanwhile are held until it is back, for some seconds.";
    return [turn, ...work(hold, limit), meanwhile];
  },
  start({ agent }) {
    return [
      agent.desiredInstances === 0 ? "Its pods are asked for again, as many as there were." : "It is started again.",
    ];
  },
};

/** The sentences about the work in hand: "3 tasks run, the longest since 4 min. They will end by about 14:06." */
function work(hold, limit) {
  if (hold.tasks === 0) return ["Nothing runs: it leaves within a moment, and nothing is lost."];
  return [
    `${tasksRun(hold)}. ${whenDone(hold, limit)}`,
    `What still runs at ${at(limit)}, in ${spoken(limit)}, is cut off.`,
  ];
}

function tasksRun(hold) {
  const since =
    hold.oldest >= 1
      ? hold.tasks === 1
        ? `, since ${spoken(hold.oldest)}`
        : `, the longest since ${spoken(hold.oldest)}`
      : "";
  return `${many(hold.tasks, "task")} ${hold.tasks === 1 ? "runs" : "run"}${since}`;
}

function whenDone(hold, limit) {
  const they = hold.tasks === 1 ? "It" : "They";
  if (hold.eta === null)
    return `Nobody knows when ${they.toLowerCase()} will end: no task of this agent has taken as long yet.`;
  const late = hold.eta > limit ? ", which is after the time limit: expect losses" : "";
  const most =
    hold.unknown > 0 ? `${many(hold.tasks - hold.unknown, "of them", "of them")} will end` : `${they} will end`;
  const rest = hold.unknown > 0 ? `; of ${many(hold.unknown, "other")} nothing is known` : "";
  return `${most} by about ${at(hold.eta)}${late}${rest}.`;
}

function at(seconds) {
  return clock(now() + seconds * 1000, { seconds: seconds < 120 });
}
