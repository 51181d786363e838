/** What stands around every screen: where one is, whether what one sees is of now, who one is. */

import { html, nothing } from "../core/html.js";
import { app } from "../core/app.js";
import { duration } from "../core/format.js";
import { signOut } from "../core/session.js";
import { icon } from "./icons.js";
import { logo } from "./logo.js";
import { openHelp } from "./help.js";
import { nextTheme, theme } from "./theme.js";
import { redraw } from "../core/app.js";
import { toasts } from "./toast.js";

const SCREENS = [
  ["fleet", "#/", "Fleet"],
  ["events", "#/events", "Events"],
  ["wall", "#/wall", "Wall"],
];

export function shell(content) {
  return html`<a class="skip" href="#content" @click=${skip}>Skip to the content</a>
    <header class="bar">
      <a class="brand" href="#/" aria-label="Agents: the fleet">${logo()}<span>Agents</span></a>
      <nav aria-label="Screens">${SCREENS.map(link)}</nav>
      <span class="grow"></span>
      ${connection()} ${account()}
      <button class="bare" type="button" title="Colours: ${theme()}" aria-label="Colours: ${theme()}" @click=${turn}>
        ${icon("theme")}
      </button>
      <button class="bare wide-only" type="button" title="Keys (?)" aria-label="Keys" @click=${openHelp}>
        ${icon("help")}
      </button>
    </header>
    ${lostBanner()} ${updateBanner()}
    <main id="content" tabindex="-1">${content}</main>
    ${toasts()}`;
}

function link([name, href, text]) {
  const here = app.route.name === name || (name === "fleet" && app.route.name === "agent");
  return html`<a href=${href} aria-current=${here ? "page" : nothing}>${text}</a>`;
}

/** Whether the page is live, in a word. */
export function connection() {
  const { state, since } = app.connection;
  const text = { live: "live", connecting: "connecting", denied: "signed out" }[state] ?? "lost";
  return html`<span class="pulse p-${state}" role="status" title=${state === "live" ? "What you see is of now" : text}>
    <span class="dot" aria-hidden="true"></span><span>${text}</span>${state === "lost" ? ticking(since) : nothing}
  </span>`;
}

function lostBanner() {
  const { state, since } = app.connection;
  if (state !== "lost") return nothing;
  return html`<div class="banner bad" role="alert">
    ${icon("problem")}
    <span>
      The connection to the manager was lost${ticking(since)}. What you see is of then; it is tried again by itself.
    </span>
  </div>`;
}

/** How long ago; changes each second, which nobody wants to hear each second. */
function ticking(since) {
  return html`<span aria-hidden="true"> ${duration((Date.now() - since) / 1000)} ago</span>`;
}

function updateBanner() {
  const version = app.state.hello?.console;
  if (!version || import.meta.url.includes(`/console/${version}/`)) return nothing;
  return html`<div class="banner">
    <span>The manager was updated, and this page is of before.</span>
    <button class="button small" type="button" @click=${() => location.reload()}>Load it again</button>
  </div>`;
}

function account() {
  if (!app.session?.name) return nothing;
  const { name, role } = app.session;
  return html`<span class="account"
    ><span class="who">${name}</span><span class="role">${role}</span>
    <button class="button small" type="button" @click=${signOut}>Sign out</button></span
  >`;
}

function skip(event) {
  event.preventDefault();
  document.getElementById("content").focus();
}

function turn() {
  nextTheme();
  redraw();
}
