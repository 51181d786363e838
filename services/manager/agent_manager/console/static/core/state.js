/** What the feed tells, gathered: the same in the worker, which keeps it for pages to come, and in each page. */

const MOST_EVENTS = 1000;
const SERIES = 5;
const STEPS = 119;

export function emptyState() {
  return { hello: null, agents: new Map(), samples: new Map(), tick: -1, steppedAt: 0, journal: [] };
}

/** Take one event of the feed into the state. */
export function apply(state, { name, data }) {
  const take = TAKERS[name];
  if (take) take(state, data);
  else if (name.startsWith("journal-")) addEvent(state, { kind: name.slice("journal-".length), ...data });
}

/** Give events that lead from nothing to this state: what a page that opens later is sent. */
export function replay(state) {
  if (state.hello === null) return [];
  return [
    { name: "hello", data: state.hello },
    { name: "listing", data: { agents: [...state.agents.values()] } },
    { name: "samples", data: { samples: state.samples, tick: state.tick, steppedAt: state.steppedAt } },
    { name: "journal", data: state.journal },
  ];
}

const TAKERS = {
  hello(state, data) {
    state.hello = { ...data, skew: data.skew ?? Date.parse(data.now) - Date.now() };
  },
  listing(state, data) {
    state.agents = new Map(data.agents.map((agent) => [agent.id, agent]));
  },
  agent(state, data) {
    if (data.removed) state.agents.delete(data.removed);
    else state.agents.set(data.agent.id, data.agent);
  },
  past(state, data) {
    if (data.first) state.samples = new Map();
    state.tick = data.tick;
    for (const [id, series] of Object.entries(data.agents)) state.samples.set(id, { series, age: null });
  },
  step(state, data) {
    state.tick = data.tick;
    state.steppedAt = Date.now();
    for (const [id, numbers] of Object.entries(data.agents))
      state.samples.set(id, stepped(state.samples.get(id), numbers));
    for (const id of state.samples.keys()) if (!(id in data.agents)) state.samples.delete(id);
  },
  samples(state, data) {
    Object.assign(state, data);
  },
  journal(state, data) {
    state.journal = data;
  },
  "journal-reset"(state) {
    state.journal = [];
  },
};

function addEvent(state, event) {
  state.journal = [...state.journal.slice(1 - MOST_EVENTS), event];
}

/** Give an agent's series with one step more; a series of nothing but zeros is 0. Made anew, so that views see it. */
function stepped(known, numbers) {
  const series = [];
  for (let index = 0; index < SERIES; index += 1) {
    const past = known?.series[index] || 0;
    const next = numbers[index];
    if (past === 0 && next === 0) series.push(0);
    else series.push([...(past || new Array(STEPS - 1).fill(0)).slice(1 - STEPS), next]);
  }
  return { series, age: numbers[SERIES] };
}
