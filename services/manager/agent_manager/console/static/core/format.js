/** Numbers, durations and times, short and always of the same width where they stand below one another. */

const whole = new Intl.NumberFormat("en");

/** A count: 12, 1,234. */
export function count(number) {
  return whole.format(number);
}

/** A duration: 0.4s, 12s, 4m 05s, 2h 10m, 3d 4h. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "–";
  const s = Math.max(0, seconds);
  if (s < 9.95) return `${s < 0.05 ? 0 : s.toFixed(1)}s`.replace(".0s", "s");
  if (s < 59.5) return `${Math.round(s)}s`;
  const minutes = Math.floor(Math.round(s) / 60);
  if (minutes < 60) return `${minutes}m ${pad(Math.round(s) % 60)}s`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)}h ${pad(minutes % 60)}m`;
  return `${Math.floor(minutes / 1440)}d ${Math.floor((minutes % 1440) / 60)}h`;
}

/** A duration in whole units, for what only tells how old something is: 4s, 12m, 3h, 2d. */
export function age(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m`;
  if (s < 172_800) return `${Math.floor(s / 3600)}h`;
  return `${Math.floor(s / 86_400)}d`;
}

/** A duration in words for a sentence: 4 min, 1 h 10 min, 12 s. */
export function spoken(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 90) return `${s} s`;
  const minutes = Math.round(s / 60);
  if (minutes < 60) return `${minutes} min`;
  const rest = minutes % 60;
  return rest === 0 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 60)} h ${rest} min`;
}

/** Milliseconds as a latency: –, 8 ms, 250 ms, 2.5 s, 1m 20s. */
export function latency(ms) {
  if (!ms) return "–";
  if (ms < 1000) return `${ms} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
  return duration(ms / 1000);
}

/** Calls a second: 0, 0.2, 12, 340. */
export function rate(number) {
  if (number === 0) return "0";
  if (number < 0.095) return number.toFixed(2);
  return number < 10 ? number.toFixed(1) : count(Math.round(number));
}

/** A share as a percentage: 0 %, 0.4 %, 12 %. */
export function percent(share) {
  const value = share * 100;
  if (value === 0) return "0 %";
  if (value < 0.1) return "<0.1 %";
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} %`;
}

/** Bytes: 10 MiB. */
export function bytes(number) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  let value = number;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${Number(value.toFixed(1))} ${units[unit]}`;
}

/** A time of day: 14:06, or 14:06:31; with the day where it is not today's. */
export function clock(time, { seconds = false } = {}) {
  const date = new Date(time);
  const text = `${pad(date.getHours())}:${pad(date.getMinutes())}${seconds ? `:${pad(date.getSeconds())}` : ""}`;
  const today = date.toDateString() === new Date().toDateString();
  return today ? text : `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${text}`;
}

/** The end of an id, which is what differs among ids that were made at one time. */
export function shortId(id) {
  return id.length > 12 ? `…\u2060${id.slice(-8)}` : id;
}

/** "1 task", "3 tasks". */
export function many(number, word, plural = `${word}s`) {
  return `${count(number)} ${number === 1 ? word : plural}`;
}

function pad(number) {
  return String(number).padStart(2, "0");
}
