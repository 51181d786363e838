/** Calling an agent by hand. */

import { html, live, nothing } from "../core/html.js";
import { app, mayOrder, redraw } from "../core/app.js";
import { notifyError } from "../ui/toast.js";
import { icon } from "../ui/icons.js";
import { asAgentctl, asCurl, copy } from "./copy.js";
import { fieldsOf, formView, initialTexts, parsed, readFields } from "./form.js";
import { output } from "./output.js";
import { begin, cancel } from "./run.js";

const forms = new Map(); // by agent: what was typed stays while one looks elsewhere

function formOf(agent) {
  const fields = fieldsOf(agent.parametersSchema);
  if (!forms.has(agent.id)) {
    forms.set(agent.id, {
      raw: fields === null,
      json: "{}",
      texts: fields ? initialTexts(fields) : {},
      errors: {},
      mode: "follow",
      key: "",
      run: null,
    });
  }
  return { fields, form: forms.get(agent.id) };
}

export const executeTab = {
  view(agent) {
    if (!mayOrder()) return html`<p class="empty">Who only looks may not call an agent.</p>`;
    const { fields, form } = formOf(agent);
    return html`<div class="execute">
      <form class="card" @submit=${(event) => submit(event, agent)} @keydown=${(event) => submitByKey(event, agent)}>
        <header>
          <h2>Parameters</h2>
          <span class="grow"></span
          >${fields ? shapes(form, fields) : html`<span class="muted">${agent.id} tells no schema</span>`}
        </header>
        <div class="fields">
          ${form.raw || !fields ? rawField(form) : formView(fields, form.texts, form.errors, (name, text) => change(form, name, text))}
        </div>
        ${options(form)}
        <footer class="steering">
          <button class="button primary" type="submit">${icon("resume")}Execute</button>
          <span class="grow"></span>
          <button class="button" type="button" @click=${() => copyAs(agent, asCurl, "the call as curl")}>
            ${icon("copy")}curl
          </button>
          <button class="button" type="button" @click=${() => copyAs(agent, asAgentctl, "the call as agentctl")}>
            ${icon("copy")}agentctl
          </button>
        </footer>
      </form>
      <section class="card" aria-labelledby="answer-title">
        <header><h2 id="answer-title">Answer</h2></header>
        ${output(form.run, () => stop(form.run))}
      </section>
    </div>`;
  },
  leave() {},
};

function shapes(form, fields) {
  const to = (raw) => {
    if (raw === form.raw) return;
    if (raw) form.json = JSON.stringify(readFields(fields, form.texts).parameters, null, 2);
    else takeJson(form, fields);
    form.raw = raw;
    redraw();
  };
  return html`<span class="button-row" role="group" aria-label="How to write them">
    <button
      class="button small ${form.raw ? "" : "on"}"
      type="button"
      aria-pressed=${!form.raw}
      @click=${() => to(false)}
    >
      Form
    </button>
    <button
      class="button small ${form.raw ? "on" : ""}"
      type="button"
      aria-pressed=${form.raw}
      @click=${() => to(true)}
    >
      JSON
    </button></span
  >`;
}

/** Take what was typed as JSON into the fields, as far as it is JSON. */
function takeJson(form, fields) {
  try {
    const values = JSON.parse(form.json);
    for (const { name, type } of fields) {
      if (name in values) form.texts[name] = type === "json" ? JSON.stringify(values[name]) : String(values[name]);
    }
  } catch {
    // the form keeps what it had
  }
}

function rawField(form) {
  const error = form.errors[""];
  return html`<div class="field">
    <label for="json">A JSON object</label>
    <textarea
      id="json"
      class="mono"
      rows="10"
      spellcheck="false"
      .value=${live(form.json)}
      aria-invalid=${error ? "true" : nothing}
      @input=${(event) => (form.json = event.target.value)}
    ></textarea>
    ${error ? html`<p class="bad" role="alert">${error}</p>` : nothing}
  </div>`;
}

function options(form) {
  const mode = (value, text, about) =>
    html`<label class="option"
      ><input
        type="radio"
        name="mode"
        value=${value}
        .checked=${form.mode === value}
        @change=${() => ((form.mode = value), redraw())}
      /><span><b>${text}</b> <span class="muted">${about}</span></span></label
    >`;
  return html`<fieldset class="options">
    <legend class="hidden">How to call</legend>
    ${mode("follow", "Follow", "chunks as they come, then the result; it ends when this page is closed")}
    ${mode("async", "In the background", "202 at once; it goes on without this page")}
    <details>
      <summary>Idempotency key</summary>
      <input
        aria-label="Idempotency key"
        .value=${form.key}
        maxlength="255"
        @input=${(event) => (form.key = event.target.value)}
      />
      <p class="muted">The same key again gives the first result; nothing runs twice.</p>
    </details>
  </fieldset>`;
}

function change(form, name, text) {
  form.texts[name] = text;
  delete form.errors[name];
  redraw();
}

/** Give the parameters as they would be sent, null where something is wrong, which is then shown. */
function parametersOf(agent) {
  const { fields, form } = formOf(agent);
  form.errors = {};
  if (fields && !form.raw) {
    const read = readFields(fields, form.texts);
    form.errors = read.errors;
    return Object.keys(read.errors).length === 0 ? read.parameters : null;
  }
  try {
    const value = parsed(form.json);
    if (value === null || typeof value !== "object" || Array.isArray(value))
      throw new Error("this must be an object: { … }");
    return value;
  } catch (error) {
    form.errors[""] = error.message;
    return null;
  }
}

function submit(event, agent) {
  event.preventDefault();
  const parameters = parametersOf(agent);
  const { form } = formOf(agent);
  if (parameters !== null) form.run = begin(agent.id, parameters, form);
  redraw();
}

function submitByKey(event, agent) {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event, agent);
}

async function stop(run) {
  await cancel(run).catch((error) => notifyError(error, "Cannot cancel it"));
}

function copyAs(agent, write, what) {
  const parameters = parametersOf(agent);
  const { form } = formOf(agent);
  if (parameters !== null) copy(write(agent.id, parameters, { ...form, signedIn: Boolean(app.session?.name) }), what);
  redraw();
}
