/** The console: where everything begins. */

import { app, drawWith, redraw, takeFeed, watchEvents } from "./core/app.js";
import { whenUnauthenticated } from "./core/api.js";
import { followFeed } from "./core/feed.js";
import { html, render } from "./core/html.js";
import { followKeys } from "./core/keyboard.js";
import { followAddress } from "./core/router.js";
import { findSession, keepSession } from "./core/session.js";
import { watchForTrouble } from "./ui/alarms.js";
import { login } from "./ui/login.js";
import { shell } from "./ui/shell.js";
import { applyTheme } from "./ui/theme.js";
import { changed, currentRows, tally } from "./fleet/order.js";
import { fleetScreen } from "./fleet/screen.js";
import { agentScreen } from "./agent/screen.js";
import { eventsScreen } from "./events/screen.js";
import { wallScreen } from "./wall/screen.js";

const SCREENS = { fleet: fleetScreen, agent: agentScreen, events: eventsScreen, wall: wallScreen };
const root = document.getElementById("app");
const ASK_AGAIN_MS = 1500;
let feed = null;

function draw() {
  const screen = SCREENS[app.route.name];
  if (app.signedOut) render(login(begin), root);
  else if (!app.session) render(html`<main class="login"><p class="muted">Asking the manager.</p></main>`, root);
  else render(app.route.name === "wall" ? screen.view() : shell(screen.view(app.route.params)), root);
  document.title = title(screen);
}

/** The page's title: what needs somebody comes first, also in a tab that nobody looks at. */
function title(screen) {
  if (app.signedOut || !app.session) return "Agents";
  const problems = tally(currentRows()).problem;
  const name = screen.title?.(app.route.params) ?? "Agents";
  return `${problems > 0 ? `(${problems}) ` : ""}${name}`;
}

function begin() {
  if (feed) feed.again();
  else feed = followFeed(takeFeed);
}

async function denied() {
  if (!app.signedOut && (await findSession())) feed.again(); // the session is there: only the stream was told to end
}

async function start() {
  document.documentElement.dataset.boot = "begun";
  applyTheme();
  drawWith(draw);
  watchEvents((events) => {
    if (events.length > 0) changed();
    if (app.connection.state === "denied") denied();
  });
  whenUnauthenticated(() => {
    app.signedOut = true;
    redraw();
  });
  followAddress((route, before) => {
    if (route.name !== before.name || route.params.id !== before.params.id) {
      SCREENS[before.name]?.leave?.(before.params);
      scrollTo(0, 0);
    }
    SCREENS[route.name].enter?.(route.params);
  });
  followKeys();
  watchForTrouble();
  keepSession();
  if (await whoIsThere()) begin();
}

/** Ask until the manager says who this is, or that somebody has to sign in. */
async function whoIsThere() {
  while (!(await findSession()) && !app.signedOut) await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
  return app.session;
}

start();
