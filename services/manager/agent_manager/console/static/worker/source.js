/** Follows the feed, for as long as it takes: connects, reads, and connects again when it breaks. */

import { EventParser, eventsOf } from "../core/sse.js";

const FLUSH_MS = 40;
const SILENT_MS = 20_000; // a step comes each 5 s and a comment in 15 s of silence: this stream is dead
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 4000; // somebody is looking at "connection lost"

export class FeedSource {
  #lastId = null;
  #waiting = [];
  #timer = 0;
  #pause = FIRST_PAUSE_MS;
  #abort = null;
  #wake = null;

  /** `onEvents` takes a list of events, `onConnection` what became of the connection. */
  constructor(onEvents, onConnection) {
    this.onEvents = onEvents;
    this.onConnection = onConnection;
    this.connection = { state: "connecting", since: Date.now() };
  }

  async run() {
    for (;;) {
      const ended = await this.#once();
      this.#flush();
      if (ended === "denied") {
        this.#tell("denied");
        await new Promise((resolve) => (this.#wake = resolve));
      } else {
        this.#tell("lost");
        await new Promise((resolve) => {
          this.#wake = resolve;
          setTimeout(resolve, this.#pause * (0.75 + Math.random() / 2));
        });
        this.#pause = Math.min(LONGEST_PAUSE_MS, this.#pause * 2);
      }
    }
  }

  /** Connect again now: somebody signed in, or the network is back. */
  again() {
    this.#pause = FIRST_PAUSE_MS;
    if (this.connection.state === "live") this.#abort?.abort();
    this.#wake?.();
  }

  async #once() {
    this.#abort = new AbortController();
    const parser = new EventParser();
    let dog = 0;
    const watch = () => {
      clearTimeout(dog);
      dog = setTimeout(() => this.#abort.abort(), SILENT_MS);
    };
    try {
      watch();
      const headers = this.#lastId === null ? {} : { "Last-Event-ID": this.#lastId };
      const response = await fetch("/api/console/feed", { headers, signal: this.#abort.signal, cache: "no-store" });
      if (response.status === 401 || response.status === 403) return "denied";
      if (!response.ok) return "lost";
      for await (const event of eventsOf(response, parser, watch)) {
        if (event.name === "bye") return "denied";
        this.#lastId = parser.lastId ?? this.#lastId;
        this.#take(event);
      }
    } catch {
      // what went wrong does not matter to anyone who looks: the connection is lost, and tried again
    } finally {
      clearTimeout(dog);
      this.#abort.abort();
    }
    return "lost";
  }

  #take(event) {
    this.#pause = FIRST_PAUSE_MS;
    this.#waiting.push(event);
    if (event.name === "listing") this.#tell("live");
    if (this.#timer === 0) this.#timer = setTimeout(() => this.#flush(), event.name === "listing" ? 0 : FLUSH_MS);
  }

  #flush() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    const events = this.#waiting;
    this.#waiting = [];
    if (events.length > 0) this.onEvents(events);
  }

  #tell(state) {
    if (this.connection.state === state) return;
    this.connection = { state, since: Date.now() };
    this.onConnection(this.connection);
  }
}
