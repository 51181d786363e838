/** Which agents are shown, in which order, under which headings. */

import { app, secondsSince } from "../core/app.js";
import { health, inHand, losses, traffic, CRITICAL, WARNING } from "./health.js";

/** The columns that can be sorted by, each with what is compared; big numbers come first. */
const KEYS = {
  state: (row) => [-row.health.level, row.agent.id],
  agent: (row) => [row.agent.id],
  instances: (row) => [-row.agent.instances.length, row.agent.id],
  running: (row) => [-row.hand.running, row.agent.id],
  queued: (row) => [-row.hand.queued, row.agent.id],
  rate: (row) => [-row.traffic.rate, row.agent.id],
  errors: (row) => [-(row.traffic.errors ?? -1), row.agent.id],
  p95: (row) => [-row.traffic.p95, row.agent.id],
  source: (row) => [row.agent.sources.join(), row.agent.id],
  seen: (row) => [-(row.age ?? 1e9), row.agent.id],
};

const GROUPS = {
  state: (row) => (row.health.level >= WARNING ? "problem" : row.agent.state),
  source: (row) => row.agent.sources.find((source) => source !== "configuration") ?? "configuration",
  node: (row) => row.agent.instances.find((one) => one.pod?.node)?.pod.node ?? "no node",
  name: (row) => row.agent.id.split("-")[0],
};

export const STATES = ["problem", "running", "stopping", "paused", "starting", "stopped"];

let cached = { agents: null, stamp: "", rows: [] };

/** Give a row for each agent: the agent with what its facts come to. Made anew only when something changed. */
function rowsOf(state, stamp) {
  if (cached.stamp === stamp && cached.state === state) return cached.rows;
  const lost = losses(state.journal);
  const stepSeconds = state.hello?.stepSeconds ?? 5;
  const before = new Map(cached.rows.map((row) => [row.agent.id, row]));
  const rows = [...state.agents.values()].map((agent) => {
    const samples = state.samples.get(agent.id);
    const known = before.get(agent.id);
    const found = health(agent, lost.get(agent.id));
    const same = known && known.agent === agent && known.samples === samples && known.health.level === found.level;
    return same ? known : rowOf(agent, samples, found, stepSeconds);
  });
  cached = { state, stamp, rows };
  return rows;
}

function rowOf(agent, samples, found, stepSeconds) {
  const text = `${agent.id} ${agent.name ?? ""} ${agent.description ?? ""} ${agent.state} ${found.code}`.toLowerCase();
  const age = samples?.age ?? null; // none before the first step: then by what the listing said
  return {
    agent,
    samples,
    health: found,
    hand: inHand(agent),
    traffic: traffic(samples, stepSeconds),
    age: age === null ? ageOf(agent) : age < 0 ? null : age,
    text,
  };
}

function ageOf(agent) {
  const seen = agent.instances.map((one) => one.lastSeen).filter(Boolean);
  return seen.length === 0 ? null : Math.max(0, ...seen.map(secondsSince));
}

/** Give the rows that a filter lets through: words that must all be there, and one state or all. */
export function filtered(rows, words, only) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter((row) => {
    if (only === "problem" && row.health.level < WARNING) return false;
    if (only && only !== "problem" && row.agent.state !== only) return false;
    return wanted.every((word) => row.text.includes(word));
  });
}

/** Give the rows in order; `sort` is a column's name, with `-` before it the other way round. */
export function ordered(rows, sort) {
  const down = sort.startsWith("-");
  const key = KEYS[down ? sort.slice(1) : sort] ?? KEYS.state;
  const keyed = rows.map((row) => [key(row), row]);
  keyed.sort(([a], [b]) => compare(a, b) * (down ? -1 : 1));
  return keyed.map(([, row]) => row);
}

/** Give the lines of the list: rows, and before each group its heading. */
export function lines(rows, group) {
  const groupOf = GROUPS[group];
  if (!groupOf) return rows.map((row) => ({ key: row.agent.id, row }));
  const groups = new Map();
  for (const row of rows) {
    const name = groupOf(row);
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(row);
  }
  const names = [...groups.keys()].sort((a, b) => compare([rank(a), a], [rank(b), b]));
  return names.flatMap((name) => [
    { key: `group ${name}`, heading: name, count: groups.get(name).length },
    ...groups.get(name).map((row) => ({ key: row.agent.id, row })),
  ]);
}

/** Give how many agents there are of each state, of problems, and in all. */
export function tally(rows) {
  const found = { all: rows.length, problem: 0, critical: 0, instances: 0, tasks: 0, waiting: 0, rate: 0 };
  for (const row of rows) {
    found[row.agent.state] = (found[row.agent.state] ?? 0) + 1;
    found.problem += row.health.level >= WARNING ? 1 : 0;
    found.critical += row.health.level === CRITICAL ? 1 : 0;
    found.instances += row.agent.instances.length;
    found.tasks += row.hand.running;
    found.waiting += row.hand.queued;
    found.rate += row.traffic.rate;
  }
  return found;
}

/** The rows of this moment. */
export function currentRows() {
  const state = app.state;
  return rowsOf(state, `${version} ${Math.floor(Date.now() / 5000)}`);
}

let version = 0;

/** Note that something changed. */
export function changed() {
  version += 1;
}

function rank(name) {
  const place = STATES.indexOf(name);
  return place < 0 ? STATES.length : place;
}

function compare(a, b) {
  for (let index = 0; index < a.length; index += 1) {
    if (a[index] < b[index]) return -1;
    if (a[index] > b[index]) return 1;
  }
  return 0;
}
