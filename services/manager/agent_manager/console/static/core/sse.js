/** Reading event streams from `fetch`: unlike EventSource it can POST, tells the status, and sends Last-Event-ID. */

/** Reads an event stream piece by piece, however its text is cut (WHATWG HTML, 9.2.6). */
export class EventParser {
  #rest = "";
  #name = "";
  #data = [];
  lastId = null;

  /** Give the events that this piece ends, as `{name, data}`. */
  feed(text) {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    return lines.map((line) => this.#line(line)).filter((event) => event !== null);
  }

  #line(line) {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") this.#data.push(value);
    if (field === "event") this.#name = value;
    if (field === "id") this.lastId = value;
    return null;
  }

  #dispatch() {
    const event = { name: this.#name || "message", data: this.#data.join("\n") };
    const empty = this.#data.length === 0;
    this.#name = "";
    this.#data = [];
    return empty ? null : event;
  }
}

/**
 * Give each event of a response as it comes, with its data decoded.
 * `onBytes` is called for whatever arrives, comments too: a stream that is silent for long is dead.
 */
export async function* eventsOf(response, parser = new EventParser(), onBytes = () => {}) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      onBytes();
      for (const event of parser.feed(value)) yield { name: event.name, data: decoded(event.data) };
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function decoded(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
