/** The keys of every screen. In a field they write, and only Escape means something. */

import { agentHref, go } from "./router.js";
import { app } from "./app.js";
import { dialogIsOpen } from "../ui/dialog.js";
import { openHelp } from "../ui/help.js";

const screens = new Map();

/** Let a screen have keys of its own: `{key: function}`. */
export function screenKeys(name, keys) {
  screens.set(name, keys);
}

export function followKeys() {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || dialogIsOpen()) return;
    const act = inField(event) ? fieldKey(event) : isOwn(event) ? null : keyOf(event.key);
    if (act) {
      event.preventDefault();
      act(event);
    }
  });
}

function keyOf(key) {
  const own = screens.get(app.route.name)?.[key];
  if (own) return own;
  const id = app.route.params.id;
  const everywhere = { "?": openHelp, "/": focusFilter, u: () => go("#/") };
  const ofAgent = id && {
    o: () => go(agentHref(id)),
    e: () => go(agentHref(id, "execute")),
    l: () => go(agentHref(id, "logs")),
  };
  return everywhere[key] ?? ofAgent?.[key];
}

/** Escape empties a filter, and leaves the field when it is empty. */
function fieldKey(event) {
  if (event.key !== "Escape" || !event.target.matches("[data-filter]")) return null;
  return () => {
    if (event.target.value === "") event.target.blur();
    event.target.value = "";
    event.target.dispatchEvent(new Event("input", { bubbles: true }));
  };
}

function focusFilter() {
  const field = document.querySelector("[data-filter]");
  field?.focus();
  field?.select();
}

/** What has the focus and is pressed by these keys is pressed by them. */
function isOwn(event) {
  return [" ", "Enter"].includes(event.key) && event.target.closest("a, button, summary") !== null;
}

function inField(event) {
  return event.target.matches("input, textarea, select, [contenteditable]");
}
