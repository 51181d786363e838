/** One connection for all tabs: this shared worker follows the feed and passes it on to every page. */

import { apply, emptyState, replay } from "../core/state.js";
import { FeedSource } from "./source.js";

const ports = new Set();
const state = emptyState();

function tellAll(message) {
  for (const port of ports) port.postMessage(message);
}

const source = new FeedSource(
  (events) => {
    for (const event of events) apply(state, event);
    tellAll({ events });
  },
  (connection) => tellAll({ connection }),
);

self.addEventListener("connect", ({ ports: [port] }) => {
  ports.add(port);
  port.addEventListener("message", ({ data }) => {
    if (data === "bye") ports.delete(port);
    if (data === "again") source.again();
    if (data === "hello") {
      ports.add(port);
      port.postMessage({ connection: source.connection, events: replay(state) });
    }
  });
  port.start();
});

source.run();
