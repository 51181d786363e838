/** What only the instances themselves know, asked while somebody looks: tasks, what holds a drain, how far orders are. */

import { agentPath, get } from "../core/api.js";
import { app, redraw, watchEvents } from "../core/app.js";

const IDLE_MS = 5000;
const BUSY_MS = 2000;
const DRAINING_MS = 1000;
const SOON_MS = 120;
const MOST_TASKS = 60;

export const live = {
  id: null,
  drains: new Map(),
  tasks: null,
  actions: [],
  infos: null,
  configuration: null,
  events: null,
  at: 0,
};

let timer = 0;
let asking = false;
let stopWatching = () => {};

/** Begin to ask about an agent. */
export function startLive(id) {
  if (live.id === id) return;
  stopLive();
  Object.assign(live, {
    id,
    drains: new Map(),
    tasks: null,
    actions: [],
    infos: null,
    configuration: null,
    events: null,
  });
  stopWatching = watchEvents((events) => {
    const news = events.filter(
      ({ name, data }) => (data?.agent?.id ?? data?.agent) === id || data?.removed === id || name === "listing",
    );
    if (news.length > 0) askSoon();
    if (news.some(({ name, data }) => name === "journal-agent" && data.code === "appeared")) askFacts(id);
  });
  document.addEventListener("visibilitychange", askSoon);
  askFacts(id);
  ask();
}

export function stopLive() {
  live.id = null;
  clearTimeout(timer);
  stopWatching();
  document.removeEventListener("visibilitychange", askSoon);
}

/** Ask at once: something was ordered, or something changed. */
export function askSoon() {
  clearTimeout(timer);
  if (live.id !== null && !document.hidden) timer = setTimeout(ask, SOON_MS);
}

async function ask() {
  const id = live.id;
  clearTimeout(timer);
  if (id === null || document.hidden) return;
  if (asking) {
    timer = setTimeout(ask, SOON_MS);
    return;
  }
  asking = true;
  const answers = await Promise.allSettled([
    get(agentPath(id, "/drain")),
    get(agentPath(id, `/tasks?limit=${MOST_TASKS}`)),
    get(agentPath(id, "/actions")),
  ]);
  asking = false;
  if (live.id !== id) return;
  take(...answers.map((answer) => (answer.status === "fulfilled" ? answer.value : null)));
  clearTimeout(timer);
  timer = setTimeout(ask, pause());
}

function take(drains, tasks, actions) {
  if (drains) live.drains = new Map(drains.instances.map((one) => [one.instanceId, one]));
  if (tasks) live.tasks = tasks.tasks;
  if (actions) live.actions = actions.actions;
  live.at = Date.now();
  redraw();
}

function pause() {
  const agent = app.state.agents.get(live.id);
  if (agent?.instances.some((one) => one.state === "stopping")) return DRAINING_MS;
  if (live.actions.some((action) => action.state === "running")) return DRAINING_MS;
  return live.tasks?.some((task) => !task.endedAt) ? BUSY_MS : IDLE_MS;
}

/** What changes only with the process. */
async function askFacts(id) {
  const [infos, configuration, events] = await Promise.allSettled([
    get(agentPath(id, "/info")),
    get(agentPath(id, "/configuration")),
    get(`/api/events/recent?agent=${encodeURIComponent(id)}&limit=100`),
  ]);
  if (live.id !== id) return;
  live.infos = infos.value?.instances ?? live.infos;
  live.configuration = configuration.value ?? live.configuration;
  live.events = events.value?.events ?? live.events;
  redraw();
}
