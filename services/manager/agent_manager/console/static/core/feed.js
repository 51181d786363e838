/** The feed as a page has it: through the worker that all tabs share, or its own where a browser has none. */

import { FeedSource } from "../worker/source.js";

const WORKER = new URL("../worker/worker.js", import.meta.url).href;

/** Follow; gives `again`, which connects anew. `take` is called with `{events?, connection?}`. */
export function followFeed(take) {
  return typeof SharedWorker === "undefined" ? followAlone(take) : followShared(take);
}

function followShared(take) {
  const policy = globalThis.trustedTypes?.createPolicy("console", { createScriptURL: () => WORKER });
  const worker = new SharedWorker(policy ? policy.createScriptURL("") : WORKER, { type: "module", name: "feed" });
  const say = (word) => worker.port.postMessage(word);
  worker.port.addEventListener("message", ({ data }) => take(data));
  worker.port.start();
  addEventListener("pagehide", () => say("bye"));
  addEventListener("pageshow", ({ persisted }) => persisted && say("hello"));
  addEventListener("online", () => say("again"));
  say("hello");
  return { again: () => say("again") };
}

function followAlone(take) {
  const source = new FeedSource(
    (events) => take({ events }),
    (connection) => take({ connection }),
  );
  addEventListener("online", () => source.again());
  source.run();
  return { again: () => source.again() };
}
