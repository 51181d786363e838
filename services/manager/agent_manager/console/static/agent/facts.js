/** What an agent is and runs with. Its environment and its secrets are in no answer of the manager. */

import { html, nothing } from "../core/html.js";
import { bytes, duration } from "../core/format.js";
import { factList } from "../ui/fact-list.js";
import { json } from "./tasks.js";
import { live } from "./live.js";

export function facts(agent) {
  const info = live.infos?.find((one) => !one.error) ?? {};
  return html`<section class="card" aria-labelledby="facts-title">
    <header><h2 id="facts-title">Configuration</h2></header>
    ${factList([...identity(agent, info), ...limits(agent, live.configuration ?? {}), ...abilities(info)], "facts")}
    ${
      info.metadata
        ? html`<h3>Metadata</h3>
            ${json(info.metadata)}`
        : nothing
    }
    ${
      agent.parametersSchema
        ? html`<details>
            <summary>Parameters (JSON Schema)</summary>
            ${json(agent.parametersSchema)}
          </details>`
        : nothing
    }
  </section>`;
}

function identity(agent, info) {
  return [
    ["name", agent.name],
    ["version", info.version],
    ["model", info.defaultModel],
    ["known from", agent.sources.join(", ")],
    ["is to be", agent.desiredState],
  ];
}

function limits(agent, set) {
  return [
    ["runs", set.runs],
    ["isolation", set.isolation],
    ["directory", set.workingDirectory],
    ["address", set.port ? `${set.host ?? "127.0.0.1"}:${set.port}` : null],
    ["tasks at once", set.maxConcurrency ?? agent.instances[0]?.maxConcurrency],
    ["may wait", set.maxQueue],
    ["a task may take", set.taskTimeoutSeconds ? duration(set.taskTimeoutSeconds) : null],
    ["a drain may take", set.inFile ? duration(set.drainTimeoutSeconds) : null],
    ["quiet after a signal", set.quietSeconds ? duration(set.quietSeconds) : null],
    ["a body may have", set.maxBodyBytes ? bytes(set.maxBodyBytes) : null],
    ["log level", set.logLevel],
  ];
}

function abilities({ capabilities }) {
  const word = (able) => (able ? "yes" : "no");
  return capabilities
    ? [
        ["streams", word(capabilities.streaming)],
        ["can cancel", word(capabilities.cancel)],
      ]
    : [];
}
