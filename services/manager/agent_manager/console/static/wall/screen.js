/** For a screen on the wall: seen from across the room, with nothing to click, what needs somebody first. */

import { html, nothing, repeat } from "../core/html.js";
import { app } from "../core/app.js";
import { clock, count, duration, latency, many, percent, rate } from "../core/format.js";
import { agentHref } from "../core/router.js";
import { CRITICAL, healthText, isOverdue, WARNING } from "../fleet/health.js";
import { currentRows, ordered, tally } from "../fleet/order.js";
import { connection } from "../ui/shell.js";
import { factList } from "../ui/fact-list.js";
import { icon, stateWord } from "../ui/icons.js";
import { spark } from "../ui/spark.js";
import { planOf } from "../agent/drain-plan.js";

const HIVE_SHARE = 0.62; // of the screen's height, beside the head and a row of tiles
const MOST_COLUMNS = 6; // more, and names that are read from afar do not fit
const TILE_ROWS = 3; // of those in trouble, above the small squares
const TILE_RATIO = 1.9; // as wide as it is high, about
const MOST_TILES = 60; // more are small squares: nobody reads 1,000 names on a wall

export const wallScreen = {
  title: () => "Wall · Agents",
  enter() {
    document.documentElement.classList.add("on-wall");
  },
  leave() {
    document.documentElement.classList.remove("on-wall");
  },
  view() {
    const rows = ordered(currentRows(), "state");
    const counts = tally(rows);
    const many = rows.length > MOST_TILES;
    const troubled = many ? rows.filter((row) => row.health.level >= WARNING) : rows;
    const inFull = many ? troubled.slice(0, TILE_ROWS * columnsFor(MOST_TILES, true)) : rows;
    const small = many ? rows.filter((row) => !inFull.includes(row)) : [];
    return html`<main class="wall w-${verdictKind(counts)}" id="content">
      ${head(counts)}
      <ul class="tiles" .style=${`--columns: ${columnsFor(inFull.length, small.length > 0)}`}>
        ${repeat(inFull, (row) => row.agent.id, tile)}
      </ul>
      ${small.length > 0 ? hive(small) : nothing}
    </main>`;
  },
};

/** Give in how many columns so many tiles fill the screen best. */
function columnsFor(many, besideHive) {
  const widest = Math.max(1, Math.floor(innerWidth / 260));
  if (besideHive) return Math.min(widest, MOST_COLUMNS);
  const even = Math.ceil(Math.sqrt((many * innerWidth) / Math.max(1, innerHeight) / TILE_RATIO));
  return Math.max(1, Math.min(widest, even));
}

function verdictKind(counts) {
  if (app.connection.state !== "live") return "lost";
  return counts.critical > 0 ? "bad" : counts.problem > 0 ? "warn" : "good";
}

function head(counts) {
  const kind = verdictKind(counts);
  const text =
    { lost: "Connection lost", good: "All is well" }[kind] ??
    [
      counts.critical ? `${count(counts.critical)} down` : "",
      counts.problem - counts.critical > 0 ? many(counts.problem - counts.critical, "problem") : "",
    ]
      .filter(Boolean)
      .join(", ");
  const facts = [
    [count(counts.all), "agents"],
    [count(counts.instances), "instances"],
    [count(counts.tasks), "in hand"],
    [count(counts.waiting), "waiting"],
    [rate(counts.rate), "calls/s"],
  ];
  return html`<header>
    <h1>${icon(kind === "good" ? "check" : kind === "warn" ? "warning" : "problem")}${text}</h1>
    ${factList(
      facts.map(([number, word]) => [word, number]),
      "",
    )}
    <div class="wall-clock">
      <time>${clock(Date.now(), { seconds: true })}</time>${connection()}<a href="#/">Leave</a>
    </div>
  </header>`;
}

function tile(row) {
  const { agent, health, hand, traffic, samples } = row;
  const shape = health.level === CRITICAL ? "problem" : health.level === WARNING ? "warning" : agent.state;
  return html`<li class="tile h-${health.level} s-${agent.state}">
    <a href=${agentHref(agent.id)}>
      <span class="tile-name">${icon(shape)}<b>${agent.id}</b></span>
      <span class="tile-state">${health.level === CRITICAL ? "down" : stateWord(agent.state)}</span>
      ${
        health.level > 0 && health.text
          ? html`<span class="tile-text">${healthText(health)}</span>`
          : html`<span class="tile-numbers"
              ><span><b>${count(hand.running)}</b> in hand</span><span><b>${rate(traffic.rate)}</b>/s</span
              ><span><b>${latency(traffic.p95)}</b></span
              >${traffic.errors ? html`<span class="bad"><b>${percent(traffic.errors)}</b></span>` : nothing}</span
            >`
      }
      ${drainLeft(agent)} ${spark(samples?.series[2], "rate", { least: 5 })}
    </a>
  </li>`;
}

function drainLeft(agent) {
  const instance = agent.instances.find((one) => one.state === "stopping" && one.drain?.deadline);
  if (!instance) return nothing;
  return html`<span class="tile-drain"
    ><b>${isOverdue(instance) ? "overdue" : duration(planOf(instance.drain).remaining)}</b> left</span
  >`;
}

function hive(rows) {
  const columns = Math.ceil(Math.sqrt((rows.length * innerWidth) / (innerHeight * HIVE_SHARE)));
  return html`<ul class="hive" aria-label="The other agents" .style=${`--cells: ${columns}`}>
    ${repeat(
      rows,
      (row) => row.agent.id,
      (row) =>
        html`<li
          class="cell h-${row.health.level} s-${row.agent.state}"
          title="${row.agent.id}: ${stateWord(row.agent.state)}"
        >
          <span class="hidden">${row.agent.id}: ${stateWord(row.agent.state)}</span>
        </li>`,
    )}
  </ul>`;
}
