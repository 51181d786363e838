/**
 * The same call on a command line, quoted for a POSIX shell.
 *
 * It is one line in which nothing acts on the terminal that it is pasted into: a control character in what an agent
 * proposes (the end of a paste, an interrupt, a line's end) would act before the shell saw a quote.
 */

import { agentPath } from "../core/api.js";
import { notify } from "../ui/toast.js";

const PLAIN = /^[A-Za-z0-9_./:=@%+,-]+$/;
const NAME = /^[A-Za-z_][\w.-]*$/; // what `-p NAME=` can name
const ACTING = // as in agent_contract.readable, but for what JSON escapes itself
  /[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

/** Give JSON that says the same and holds no character that acts or has no looks. */
function asJson(value) {
  const unit = (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(value).replace(ACTING, (sign) => sign.split("").map(unit).join(""));
}

/** Give a parameter for `-p`: text as it is, and as JSON where something in it would act. */
function pairOf(name, value) {
  const acts = typeof value !== "string" || asJson(value) !== JSON.stringify(value) || /[\0-\x1f]/.test(value);
  return acts ? `${name}:=${asJson(value)}` : `${name}=${value}`;
}

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
  parts.push("-d", quoted(asJson({ parameters })));
  return parts.join(" ");
}

export function asAgentctl(agentId, parameters, { mode }) {
  const parts = ["agentctl", "execute", quoted(agentId)];
  const piped = !Object.keys(parameters).every((name) => NAME.test(name));
  if (piped) parts.unshift("printf", "%s", quoted(asJson(parameters)), "|");
  if (piped) parts.push("-f", "-");
  else for (const [name, value] of Object.entries(parameters)) parts.push("-p", quoted(pairOf(name, value)));
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
