/** What the whole page knows, and when it is drawn again: at most once a frame, and each second for ages. */

import { apply, emptyState } from "./state.js";

export const app = {
  state: emptyState(),
  connection: { state: "connecting", since: Date.now() },
  session: null, // {name, role, endsAt}
  signedOut: false,
  route: { name: "fleet", params: {} },
  firstLiveAt: 0,
};

let draw = () => {};
let asked = false;
const afterwards = [];
const watchers = new Set();

/** Say what draws the page. */
export function drawWith(callback) {
  draw = callback;
  setInterval(() => document.hidden || redraw(), 1000);
  document.addEventListener("visibilitychange", redraw);
}

/** Draw again in the next frame; `then` is called once what was asked for is in the page. */
export function redraw(then) {
  if (typeof then === "function") afterwards.push(then);
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    performance.mark("draw-begin");
    draw();
    performance.measure("draw", "draw-begin");
    for (const callback of afterwards.splice(0)) callback();
  });
}

/** Call back with the events of the feed, after they were taken in; gives the function that ends it. */
export function watchEvents(callback) {
  watchers.add(callback);
  return () => watchers.delete(callback);
}

/** Take in what the feed brings. */
export function takeFeed({ events, connection }) {
  const before = { agents: app.state.agents, state: app.connection.state };
  if (connection) app.connection = connection;
  if (connection?.state === "live" && !app.firstLiveAt) app.firstLiveAt = performance.now();
  const known = events?.length ? new Map(before.agents) : before.agents;
  for (const event of events ?? []) apply(app.state, event);
  for (const watcher of watchers) watcher(events ?? [], { agents: known, state: before.state });
  redraw();
}

/** Now, by the manager's clock: all times are from there. */
export function now() {
  return Date.now() + (app.state.hello?.skew ?? 0);
}

/** Seconds since a time that the manager told. */
export function secondsSince(time) {
  return (now() - Date.parse(time)) / 1000;
}

/** Whether who is signed in may give orders: what they may not do is not offered. */
export function mayOrder() {
  return app.session !== null && app.session.role !== "viewer";
}
