// The headings of a markdown text: an agent without an SDK. Tasks come in on stdin and answers leave on stdout, one JSON
// object a line; what it has to say to people goes to stderr. Run by `command` in config/any-language.config.json.
import { createInterface } from "node:readline";

const LINES_AT_ONCE = 1000; // then others get their turn: the next task, a cancel

const cancelled = new Set();
const inHand = new Set();

const say = (message) => process.stdout.write(JSON.stringify(message) + "\n");
const turn = () => new Promise((resolve) => setImmediate(resolve));

class BadParameters extends Error {}

/** Give the headings, words and lines of `text`; a `#` inside a fenced block is no heading. */
async function outline(text, atEachTurn) {
  const lines = text === "" ? [] : text.replace(/\n$/, "").split(/\r?\n/);
  const headings = [];
  let words = 0;
  let fence = null;
  for (const [index, line] of lines.entries()) {
    if (index > 0 && index % LINES_AT_ONCE === 0) await atEachTurn(index / lines.length, `${index} of ${lines.length} lines`);
    words += line.match(/\S+/g)?.length ?? 0;
    const mark = line.match(/^\s*(```|~~~)/)?.[1];
    if (mark && (fence === null || fence === mark)) fence = fence === null ? mark : null;
    const heading = fence === null && line.match(/^(#{1,6})\s+(.+?)(?:\s+#+)?\s*$/);
    if (heading) headings.push({ level: heading[1].length, title: heading[2], line: index + 1 });
  }
  return { headings, words, lines: lines.length };
}

async function run(taskId, parameters) {
  if (typeof parameters?.text !== "string") throw new BadParameters("parameters.text: a text is needed");
  return outline(parameters.text, async (fraction, message) => {
    say({ taskId, progress: { fraction, message } });
    await turn();
    if (cancelled.has(taskId)) throw new Error("cancelled");
  });
}

async function answer({ taskId, parameters }) {
  inHand.add(taskId);
  try {
    say({ taskId, result: await run(taskId, parameters) });
  } catch (error) {
    say({ taskId, error: { type: error.constructor.name, message: error.message } });
  } finally {
    inHand.delete(taskId);
    cancelled.delete(taskId);
  }
}

function receive(line) {
  let message;
  try {
    message = JSON.parse(line);
  } catch (error) {
    return console.error(`cannot read a line: ${error.message}`);
  }
  if (typeof message?.taskId !== "string") return console.error("cannot read a line: no taskId");
  if (!message.cancel) return answer(message);
  if (inHand.has(message.taskId)) cancelled.add(message.taskId); // else it has ended, and nobody would forget the id
}

process.stdout.on("error", () => process.exit(0)); // nobody listens any more
createInterface({ input: process.stdin }).on("line", receive); // at the end of stdin the tasks in hand end, then node does
