/** Moving a drain's deadline, and calling it off. */

import { html } from "../core/html.js";
import { agentPath, send } from "../core/api.js";
import { duration, many, spoken } from "../core/format.js";
import { closeDialog, confirmDialog, openDialog } from "../ui/dialog.js";
import { notify, notifyError } from "../ui/toast.js";
import { askSoon } from "./live.js";

const HURRY_SECONDS = 10;

/** Let the deadline lie so many seconds from now. */
export async function extend(target, seconds) {
  await steer("PATCH", target, { timeoutSeconds: seconds }, `It has ${spoken(seconds)} from now`);
}

/** Ask before a deadline is moved so near that work is cut. */
export function askHurry(target, plan) {
  const cut = plan.blockers.filter((one) => one.eta === null || one.eta > HURRY_SECONDS);
  confirmDialog({
    title: `Give it ${HURRY_SECONDS} s?`,
    body: html`<p>
      ${
        cut.length === 0
          ? "All that it has in hand should be done by then."
          : `${many(cut.length, "task")} will probably be cut off: ${cut.length === 1 ? "its caller gets" : "their callers get"} 503 drain-timeout with what became of it.`
      }
    </p>`,
    verb: `Give it ${HURRY_SECONDS} s`,
    act: () => extend(target, HURRY_SECONDS),
  });
}

/** Ask for how long it may take from now on. */
export function askMinutes(target, plan) {
  const submit = (event) => {
    event.preventDefault();
    const seconds = Number(event.target.elements.namedItem("minutes").value) * 60;
    closeDialog();
    extend(target, seconds);
  };
  openDialog(() => ({
    title: "How long may it take from now on?",
    body: html`<form id="minutes-form" class="inline-form" @submit=${submit}>
      <label for="minutes">Minutes from now</label>
      <input
        id="minutes"
        name="minutes"
        type="number"
        min="0"
        max="10080"
        step="any"
        required
        autofocus
        .value=${String(Math.ceil(plan.remaining / 60) || 1)}
      />
      <p class="muted">
        It has ${duration(plan.remaining)} now. At most a week; where a platform kills first, it says how long it
        grants.
      </p>
    </form>`,
    actions: html`<button class="button" type="button" @click=${closeDialog}>Leave it</button>
      <button class="button primary" type="submit" form="minutes-form">Set</button>`,
  }));
}

/** Ask before a drain is called off. */
export function askCallOff(target, plan) {
  confirmDialog({
    title: "Call the drain off?",
    body: html`<p>
      It takes calls again at once, in the state that it was in before.
      ${plan.blockers.length > 0 ? `${many(plan.blockers.length, "task")} in hand ${plan.blockers.length === 1 ? "goes" : "go"} on.` : ""}
    </p>`,
    verb: "Call it off",
    kind: "primary",
    act: () => steer("DELETE", target, undefined, "The drain is called off"),
  });
}

async function steer(method, { id, instanceId }, body, done) {
  try {
    await send(method, agentPath(id, `/drain?instanceId=${encodeURIComponent(instanceId)}`), body);
    notify(done, { kind: "good" });
  } catch (error) {
    const most = error.members?.maxTimeoutSeconds;
    notifyError(error, most ? `At most ${spoken(most)}` : "Cannot steer the drain");
  }
  askSoon();
}
