/** The tasks of an agent: those under way with their age and progress, those that ended with what became of them. */

import { html, nothing, repeat } from "../core/html.js";
import { agentPath, get, send } from "../core/api.js";
import { mayOrder, redraw, secondsSince } from "../core/app.js";
import { clock, duration, shortId } from "../core/format.js";
import { confirmDialog, openDialog, redrawDialog } from "../ui/dialog.js";
import { factList } from "../ui/fact-list.js";
import { icon } from "../ui/icons.js";
import { notify, notifyError } from "../ui/toast.js";
import { askSoon, live } from "./live.js";

const RECENT = 20;
const FEW = 10;
let whole = null;
const MARKS = { succeeded: ["good", "check"], failed: ["bad", "problem"], cancelled: ["", "close"] };

export function runningTasks(agent) {
  const tasks = (live.tasks ?? []).filter((task) => !task.endedAt).sort(byTurn);
  const shown = whole === agent.id ? tasks : tasks.slice(0, FEW);
  return html`<section class="card" aria-labelledby="running-title">
    <header>
      <h2 id="running-title">Tasks in hand</h2>
      <span class="muted">${live.tasks === null ? "…" : tasks.length}</span>
    </header>
    ${
      tasks.length === 0
        ? html`<p class="none">${live.tasks === null ? "Asking its instances." : "It has nothing in hand."}</p>`
        : html`<ul class="tasks">
            ${repeat(
              shown,
              (task) => task.taskId,
              (task) => inHand(agent, task),
            )}
          </ul>`
    }
    ${shown.length < tasks.length ? html`<button class="more" type="button" @click=${() => showAll(agent.id)}>${tasks.length - shown.length} more</button>` : nothing}
  </section>`;
}

function inHand(agent, task) {
  const since = task.startedAt ?? task.createdAt;
  const waits = task.state === "queued";
  const fraction = task.progress?.fraction ?? null;
  return html`<li class="task">
    <div class="task-line">
      <button class="link mono" type="button" title=${task.taskId} @click=${() => openTask(agent.id, task)}>
        ${shortId(task.taskId)}
      </button>
      <span class="task-age"
        >${waits ? html`<span class="tag">waits</span> ` : nothing}${duration(secondsSince(since))}</span
      >
      <span class="grow said">${task.progress?.message ?? ""}</span>
      <span class="muted caller">${task.caller ?? ""}</span>
      ${mayOrder() ? html`<button class="button small" type="button" @click=${() => askCancel(agent.id, task.taskId)}>Cancel</button>` : nothing}
    </div>
    ${waits ? nothing : bar(fraction)}
  </li>`;
}

/** How far something is; `null`: nobody knows. */
export function bar(fraction) {
  if (fraction === null) return html`<div class="bar-line unknown"></div>`;
  const percent = Math.round(fraction * 100);
  return html`<div
    class="bar-line"
    role="progressbar"
    aria-label="Progress"
    aria-valuenow=${percent}
    aria-valuemin="0"
    aria-valuemax="100"
  >
    <span .style=${`width: ${percent}%`}></span>
  </div>`;
}

export function recentTasks(agent) {
  const tasks = (live.tasks ?? []).filter((task) => task.endedAt).slice(0, RECENT);
  return html`<section class="card" aria-labelledby="recent-title">
    <header>
      <h2 id="recent-title">Recent tasks</h2>
      <span class="muted">kept for an hour</span>
    </header>
    ${
      tasks.length === 0
        ? html`<p class="none">
            ${live.tasks === null ? "Asking its instances." : "None ended within the last hour."}
          </p>`
        : html`<ul class="ended">
            ${repeat(
              tasks,
              (task) => task.taskId,
              (task) => ended(agent, task),
            )}
          </ul>`
    }
  </section>`;
}

function ended(agent, task) {
  const [kind, shape] = MARKS[task.state] ?? ["", "clock"];
  return html`<li>
    <span class="outcome ${kind}">${icon(shape)}${task.state}</span>
    <button class="link mono" type="button" title=${task.taskId} @click=${() => openTask(agent.id, task)}>
      ${shortId(task.taskId)}
    </button>
    <span class="muted caller grow">${task.caller ?? ""}</span>
    <span>${duration(task.durationSeconds)}</span>
    <time class="muted" datetime=${task.endedAt}>${clock(task.endedAt, { seconds: true })}</time>
  </li>`;
}

/** Show one task with its result or its problem, which are asked for now. */
export async function openTask(agentId, task) {
  let whole = null;
  let error = null;
  const show = () => ({
    title: html`Task <span class="mono">${shortId(task.taskId)}</span>`,
    body: taskBody(agentId, whole ?? task, whole, error),
  });
  openDialog(show, { wide: true });
  try {
    whole = await get(agentPath(agentId, `/tasks/${encodeURIComponent(task.taskId)}`));
  } catch (problem) {
    error = problem.message;
  }
  redrawDialog();
}

function taskBody(agentId, task, whole, error) {
  const said = [
    ["task", html`<span class="mono">${task.taskId}</span>`],
    ["state", task.state],
    ["caller", task.caller ?? "not known"],
    ["begun", task.startedAt ? clock(task.startedAt, { seconds: true }) : "not yet"],
    [
      "ended",
      task.endedAt ? `${clock(task.endedAt, { seconds: true })}, after ${duration(task.durationSeconds)}` : "not yet",
    ],
    ["cut at", task.deadline ? clock(task.deadline, { seconds: true }) : null],
  ];
  return html`${factList(said, "facts")} ${error ? html`<p class="bad">${error}</p>` : nothing}
  ${task.progress?.message ? html`<p>${task.progress.message}</p>` : nothing}
  ${
    whole?.problem
      ? html`<h3>Problem</h3>
          <p class="bad">${whole.problem.detail}</p>
          ${json(whole.problem)}`
      : nothing
  }
  ${
    whole && "result" in whole
      ? html`<h3>Result</h3>
          ${json(whole.result)}`
      : nothing
  }
  ${whole?.resultDropped ? html`<p class="muted">Its result was dropped: newer ones took its room.</p>` : nothing}`;
}

export function json(value) {
  return html`<pre class="json" tabindex="0">${JSON.stringify(value, null, 2)}</pre>`;
}

/** Ask before a task is cancelled, then cancel it. */
export function askCancel(agentId, taskId) {
  confirmDialog({
    title: "Cancel this task?",
    body: html`<p>
      Task <span class="mono">${taskId}</span> of ${agentId} is ended now. Its caller gets 409 agent-cancelled; what it
      has done so far is not undone.
    </p>`,
    verb: "Cancel the task",
    act: () => cancelTask(agentId, taskId),
  });
}

async function cancelTask(agentId, taskId) {
  try {
    await send("DELETE", agentPath(agentId, `/tasks/${encodeURIComponent(taskId)}`));
    notify(`Task ${shortId(taskId)} of ${agentId} is cancelled`, { kind: "good" });
  } catch (error) {
    notifyError(error, "Cannot cancel it");
  }
  askSoon();
}

/** Those that run before those that wait, each the oldest first. */
function byTurn(a, b) {
  const waits = (task) => (task.startedAt ? 0 : 1);
  return waits(a) - waits(b) || Date.parse(a.startedAt ?? a.createdAt) - Date.parse(b.startedAt ?? b.createdAt);
}

function showAll(id) {
  whole = id;
  redraw();
}
