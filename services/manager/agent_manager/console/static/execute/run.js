/** One call: begun, followed to its end, cancelled. */

import { agentPath, get, request, send, ApiError } from "../core/api.js";
import { redraw } from "../core/app.js";
import { eventsOf } from "../core/sse.js";
import { mostChunks } from "./output.js";

const FIRST_LOOK_MS = 400;
const LAST_LOOK_MS = 3000;

/** Begin a call; `mode` is `follow` or `async`. Gives the run, which changes until `run.endedAt` is set. */
export function begin(agentId, parameters, { mode, key }) {
  const run = {
    agentId,
    mode,
    state: "running",
    begunAt: Date.now(),
    endedAt: null,
    taskId: null,
    instance: null,
    chunks: [],
    dropped: 0,
    result: undefined,
    problem: null,
    progress: null,
    abort: new AbortController(),
  };
  const headers = mode === "async" ? { Prefer: "respond-async" } : { Accept: "text/event-stream" };
  if (key) headers["Idempotency-Key"] = key;
  follow(run, parameters, headers).catch((error) => fail(run, error));
  return run;
}

async function follow(run, parameters, headers) {
  const response = await request("POST", agentPath(run.agentId, "/execute"), {
    body: { parameters },
    headers,
    signal: run.abort.signal,
  });
  run.taskId = response.headers.get("X-Task-Id");
  run.instance = response.headers.get("X-Agent-Instance");
  redraw();
  if (response.status === 202) return await wait(run);
  if (!response.headers.get("Content-Type")?.startsWith("text/event-stream"))
    return end(run, "succeeded", (await response.json()).result);
  for await (const { name, data } of eventsOf(response)) {
    if (name === "chunk") addChunk(run, data);
    else if (name === "result") end(run, "succeeded", data.result);
    else if (name === "error") fail(run, new ApiError(data.status, data));
    redraw();
  }
  if (run.endedAt === null)
    fail(run, new ApiError(0, { code: "outcome-unknown", detail: "the stream ended before its result" }));
}

/** Ask for the task until it is over. */
async function wait(run) {
  let pause = FIRST_LOOK_MS;
  while (run.endedAt === null) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(LAST_LOOK_MS, pause * 1.4);
    const task = await get(agentPath(run.agentId, `/tasks/${encodeURIComponent(run.taskId)}`), {
      signal: run.abort.signal,
    });
    run.progress = task.progress;
    if (task.state === "succeeded") end(run, "succeeded", task.result);
    else if (task.endedAt) fail(run, new ApiError(task.problem?.status ?? 0, task.problem ?? {}));
    redraw();
  }
}

function addChunk(run, chunk) {
  run.chunks.push(chunk);
  if (run.chunks.length > mostChunks) {
    run.chunks.shift();
    run.dropped += 1;
  }
}

function end(run, state, result) {
  Object.assign(run, { state, result, endedAt: Date.now() });
  redraw();
}

function fail(run, error) {
  if (run.endedAt !== null) return;
  const problem =
    error instanceof ApiError ? error : new ApiError(0, { code: "cancelled", detail: "it was cancelled here" });
  Object.assign(run, {
    state: problem.code === "agent-cancelled" || problem.code === "cancelled" ? "cancelled" : "failed",
    problem,
    endedAt: Date.now(),
  });
  redraw();
}

/** Cancel: the task by its id where that is known, the request where it is not yet. */
export async function cancel(run) {
  if (run.taskId === null) {
    run.abort.abort();
    return;
  }
  await send("DELETE", agentPath(run.agentId, `/tasks/${encodeURIComponent(run.taskId)}`)).catch((error) => {
    if (error.code !== "already-ended") throw error;
  });
}
