/** The same call on a command line, quoted for a POSIX shell. */

import { agentPath } from "../core/api.js";
import { notify } from "../ui/toast.js";

const PLAIN = /^[A-Za-z0-9_./:=@%+,-]+$/;

function quoted(text) {
  return PLAIN.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

export function asCurl(agentId, parameters, { mode, key, signedIn }) {
  const parts = [
    "curl",
    mode === "async" ? "-s" : "-sN",
    quoted(`${location.origin}${agentPath(agentId, "/execute")}`),
  ];
  parts.push("-H", quoted("Content-Type: application/json"));
  if (signedIn) parts.push("-H", '"Authorization: Bearer $AGENT_MANAGER_API_KEY"');
  parts.push("-H", quoted(mode === "async" ? "Prefer: respond-async" : "Accept: text/event-stream"));
  if (key) parts.push("-H", quoted(`Idempotency-Key: ${key}`));
  parts.push("-d", quoted(JSON.stringify({ parameters })));
  return parts.join(" ");
}

export function asAgentctl(agentId, parameters, { mode }) {
  const parts = ["agentctl", "execute", agentId];
  for (const [name, value] of Object.entries(parameters)) {
    parts.push("-p", quoted(typeof value === "string" ? `${name}=${value}` : `${name}:=${JSON.stringify(value)}`));
  }
  parts.push(mode === "async" ? "--async" : "--stream", "--manager", quoted(location.origin));
  return parts.join(" ");
}

export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    notify(`Copied: ${what}`, { kind: "good" });
  } catch {
    notify(`This browser does not let it be copied: ${text}`, { stays: true });
  }
}
