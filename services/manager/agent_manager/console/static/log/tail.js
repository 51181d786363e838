/** Follows the logs of an agent's instances. A tab that nobody sees lets go: six connections are for all of them. */

import { agentPath, request } from "../core/api.js";
import { redraw } from "../core/app.js";
import { duration, shortId } from "../core/format.js";
import { eventsOf } from "../core/sse.js";

const FIRST_LINES = 300;
const AGAIN_LINES = 1000;
const SEEK_MS = 1000;
const PAUSE_MS = 1500;

export class Tail {
  state = "connecting";
  error = null;
  #last = new Map(); // by instance: its last line, to go on after it
  #seeking = new Map(); // by instance: the lines since a new beginning, until the last one is found among them
  #abort = null;
  #timer = 0;
  #lostAt = 0;
  #seen = false;
  #over = false;

  constructor(agentId, book) {
    this.agentId = agentId;
    this.book = book;
    this.watch = () => (document.hidden ? this.#letGo("nobody looked") : this.#begin());
    document.addEventListener("visibilitychange", this.watch);
    this.#begin();
  }

  end() {
    this.#over = true;
    document.removeEventListener("visibilitychange", this.watch);
    clearTimeout(this.#timer);
    this.#abort?.abort();
  }

  async #begin() {
    if (this.#abort || this.#over || document.hidden) return;
    const abort = (this.#abort = new AbortController());
    const lines = this.#seen ? AGAIN_LINES : FIRST_LINES;
    for (const id of this.#last.keys()) this.#seeking.set(id, []);
    try {
      const path = agentPath(this.agentId, `/logs?lines=${lines}&follow=true`);
      const response = await request("GET", path, { signal: abort.signal, headers: { Accept: "text/event-stream" } });
      this.#say("live", null);
      setTimeout(() => this.#giveUpSeeking(abort), SEEK_MS);
      for await (const { name, data } of eventsOf(response)) if (name === "line") this.#take(data);
    } catch (error) {
      if (!abort.signal.aborted) this.error = error.message;
    }
    if (this.#abort === abort) this.#letGo("the connection was lost");
  }

  #letGo(why) {
    if (this.#abort === null) return;
    this.#abort.abort();
    this.#abort = null;
    this.#giveUpSeeking(null);
    this.why = why;
    this.#lostAt = Date.now();
    this.#say(document.hidden ? "resting" : "lost", this.error);
    clearTimeout(this.#timer);
    if (!this.#over) this.#timer = setTimeout(() => this.#begin(), PAUSE_MS);
  }

  #take({ instanceId, line, error }) {
    if (error) return this.book.mark(`${shortId(instanceId)} gives no lines: ${error.detail ?? error.code}`);
    const sought = this.#seeking.get(instanceId);
    if (sought) return this.#seek(instanceId, line, sought);
    if (!this.#last.has(instanceId) && this.#seen) this.book.mark(`here begins ${shortId(instanceId)}`);
    this.#put(instanceId, line);
    redraw();
  }

  /** Look among what comes for the line that was the last: what is after it is new. */
  #seek(instanceId, line, sought) {
    if (line === this.#last.get(instanceId)) this.#seeking.delete(instanceId);
    else sought.push(line);
  }

  /** What was the last line is not there any more, so some are missing: say where. */
  #giveUpSeeking(abort) {
    if (abort !== null && abort !== this.#abort) return;
    this.#seen = true;
    for (const [instanceId, lines] of this.#seeking) {
      if (lines.length > 0) {
        this.book.mark(
          `${shortId(instanceId)}: ${this.why} for ${duration((Date.now() - this.#lostAt) / 1000)}, lines may be missing here`,
        );
      }
      for (const line of lines) this.#put(instanceId, line);
    }
    this.#seeking.clear();
    redraw();
  }

  #put(instanceId, line) {
    this.#last.set(instanceId, line);
    this.book.add(instanceId, line);
  }

  #say(state, error) {
    this.state = state;
    this.error = error;
    redraw();
  }
}
