/** A log line: what it says, made harmless. */

import { shortId } from "../core/format.js";

const ESCAPES = /\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-Z\\-_]/g;
const CONTROLS = /[\0-\x08\x0b-\x1f\x7f]/g;
const TURNS = /[\u202a-\u202e\u2066-\u2069\u200e\u200f]/g; // text that runs backwards hides what it says
const GAP = "log lines may be missing here"; // what manager and adapters write in the place of lines that are lost
const OWN = new Set(["timestamp", "level", "message", "agent", "instance_id"]);
export const LEVELS = ["debug", "info", "warning", "error"];

/** Give a text without what a terminal would obey: colours and titles are dropped, other controls become visible. */
export function harmless(text) {
  return text
    .replace(ESCAPES, "")
    .replace(CONTROLS, (sign) => String.fromCharCode(0x2400 + (sign === "\x7f" ? 0x21 : sign.charCodeAt(0))))
    .replace(TURNS, "\ufffd");
}

/** Give a line in its parts; one that is no JSON object is all message. */
export function lineOf(number, instanceId, raw) {
  const members = membersOf(raw);
  if (members?.message === GAP && members.logger === "agent_contract.tail")
    return gapOf(number, `${shortId(instanceId)}: ${GAP}`);
  const message = harmless(members ? String(members.message ?? "") : raw);
  const extra = members ? Object.entries(members).filter(([name]) => !OWN.has(name)) : [];
  const rest = extra
    .map(([name, value]) => harmless(`${name}=${typeof value === "string" ? value : JSON.stringify(value)}`))
    .join("  ");
  return {
    number,
    instanceId,
    raw,
    time: typeof members?.timestamp === "string" ? timeOf(members.timestamp) : "",
    level: LEVELS.includes(members?.level) ? members.level : members?.level === "critical" ? "error" : "info",
    message,
    rest: oneLine(rest),
    taskId: typeof members?.task_id === "string" ? members.task_id : null,
    members,
    text: `${message} ${rest}`.toLowerCase(),
  };
}

export function gapOf(number, text) {
  return { number, gap: text };
}

function membersOf(raw) {
  if (!raw.startsWith("{")) return null;
  try {
    return JSON.parse(raw);
  } catch {
    return null;
  }
}

function timeOf(timestamp) {
  const date = new Date(timestamp);
  if (Number.isNaN(date.getTime())) return harmless(timestamp.slice(0, 23));
  const pad = (number, width = 2) => String(number).padStart(width, "0");
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}.${pad(date.getMilliseconds(), 3)}`;
}

function oneLine(text) {
  return text.replaceAll("\n", " ⏎ ");
}
