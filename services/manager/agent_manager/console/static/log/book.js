/** The lines that a page holds, and those of them that are shown. */

import { gapOf, lineOf, LEVELS } from "./line.js";

export const MOST = 10_000;

export class Book {
  lines = [];
  shown = [];
  dropped = 0;
  waiting = [];
  paused = false;
  #number = 0;
  #filter = { words: "", level: 0, instance: "" };

  add(instanceId, raw) {
    this.#take(lineOf((this.#number += 1), instanceId, raw));
  }

  mark(text) {
    this.#take(gapOf((this.#number += 1), text));
  }

  /** Hold new lines back, or let those come that were held. */
  pause(on) {
    this.paused = on;
    if (on) return;
    const waiting = this.waiting;
    this.waiting = [];
    for (const line of waiting) this.#put(line);
  }

  filter(changes) {
    this.#filter = { ...this.#filter, ...changes };
    this.shown = this.lines.filter((line) => this.#passes(line));
  }

  /** Give the raw text of what is shown. */
  text() {
    return this.shown.map((line) => (line.gap ? `--- ${line.gap}` : line.raw)).join("\n");
  }

  #take(line) {
    if (!this.paused) this.#put(line);
    else {
      this.waiting.push(line);
      if (this.waiting.length > MOST) this.waiting.shift();
    }
  }

  #put(line) {
    this.lines.push(line);
    if (this.#passes(line)) this.shown.push(line);
    if (this.lines.length <= MOST) return;
    const gone = this.lines.shift();
    this.dropped += 1;
    if (this.shown[0] === gone) this.shown.shift();
  }

  #passes(line) {
    const { words, level, instance } = this.#filter;
    if (line.gap) return true;
    if (LEVELS.indexOf(line.level) < level) return false;
    if (instance && line.instanceId !== instance) return false;
    return words === "" || line.text.includes(words) || (line.taskId ?? "").includes(words);
  }
}
