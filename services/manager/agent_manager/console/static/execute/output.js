/** What came of a call. */

import { html, nothing } from "../core/html.js";
import { duration, shortId } from "../core/format.js";
import { bar, json } from "../agent/tasks.js";
import { icon } from "../ui/icons.js";

export const mostChunks = 2000; // what a page can show at once; older ones are counted

const MARKS = { running: "starting", succeeded: "check", failed: "problem", cancelled: "close" };

export function output(run, cancel) {
  if (run === null) return html`<p class="none">What it answers stands here.</p>`;
  const seconds = ((run.endedAt ?? Date.now()) - run.begunAt) / 1000;
  return html`<div class="output">
    <p class="run-line r-${run.state}">
      ${icon(MARKS[run.state])}<b role="status">${run.state}</b><span>${duration(seconds)}</span>
      ${run.taskId ? html`<span class="muted">task <span class="mono" title=${run.taskId}>${shortId(run.taskId)}</span></span>` : nothing}
      ${run.instance ? html`<span class="muted">at <span class="mono" title=${run.instance}>${shortId(run.instance)}</span></span>` : nothing}
      <span class="grow"></span>
      ${run.endedAt === null ? html`<button class="button small" type="button" @click=${cancel}>Cancel</button>` : nothing}
    </p>
    ${
      run.progress && run.endedAt === null
        ? html`${bar(run.progress.fraction ?? null)}
            <p class="muted">${run.progress.message ?? ""}</p>`
        : nothing
    }
    ${run.dropped > 0 ? html`<p class="muted">The first ${run.dropped} chunks are not shown any more.</p>` : nothing}
    ${
      run.chunks.length > 0
        ? html`<h3>Streamed, ${run.chunks.length + run.dropped}</h3>
            <pre class="json chunks" tabindex="0">${run.chunks.map(chunkText).join("\n")}</pre>`
        : nothing
    }
    ${run.problem ? problem(run.problem) : nothing}
    ${
      run.state === "succeeded"
        ? html`<h3>Result</h3>
            ${json(run.result)}`
        : nothing
    }
  </div>`;
}

function problem(error) {
  return html`<div class="problem">
    <p class="bad">${error.code}: ${error.message}</p>
    ${error.members.field ? html`<p>Field: <code>${error.members.field}</code></p>` : nothing}
    <details>
      <summary>The whole problem</summary>
      ${json(error.members)}
    </details>
  </div>`;
}

function chunkText(chunk) {
  return typeof chunk === "string" ? chunk : JSON.stringify(chunk);
}
