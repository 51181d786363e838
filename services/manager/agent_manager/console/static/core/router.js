/** Addresses of screens, after the `#`: they can be sent to a colleague, and the Back button works. */

import { app, redraw } from "./app.js";

const TABS = ["overview", "execute", "logs"];

/** Give the screen that an address means. */
export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const parts = path.split("/").filter(Boolean).map(decoded);
  const params = Object.fromEntries(new URLSearchParams(query));
  if (parts[0] === "agents" && parts[1]) {
    return { name: "agent", params: { ...params, id: parts[1], tab: TABS.includes(parts[2]) ? parts[2] : "overview" } };
  }
  if (parts[0] === "wall") return { name: "wall", params };
  if (parts[0] === "events") return { name: "events", params };
  return { name: "fleet", params };
}

export function agentHref(id, tab = "overview", query = {}) {
  const search = new URLSearchParams(query).toString();
  return `#/agents/${encodeURIComponent(id)}${tab === "overview" ? "" : `/${tab}`}${search ? `?${search}` : ""}`;
}

/** Go somewhere. */
export function go(href) {
  location.hash = href;
}

/** Follow the address; `changed(route, before)` is called when another screen begins. */
export function followAddress(changed) {
  const follow = () => {
    const before = app.route;
    app.route = parse(location.hash);
    changed(app.route, before);
    redraw();
  };
  addEventListener("hashchange", follow);
  follow();
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
