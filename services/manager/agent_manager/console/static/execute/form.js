/** A form from a JSON Schema: a field for each plain property, JSON for whatever is not plain. */

import { html, nothing } from "../core/html.js";

/** Give the fields of a schema, or null where it describes no object with properties: then JSON is typed. */
export function fieldsOf(schema) {
  const whole = schema && resolved(schema, schema);
  if (whole?.type !== "object" || !whole.properties) return null;
  const required = new Set(whole.required ?? []);
  return Object.entries(whole.properties).map(([name, property]) =>
    fieldOf(name, resolved(property, schema), required.has(name)),
  );
}

function fieldOf(name, schema, required) {
  const { type, nullable } = typeOf(schema);
  return { name, type, required, nullable, schema, about: schema.description ?? "", choices: schema.enum ?? null };
}

/** Follow `$ref` within the schema; a reference that leads nowhere is anything. */
function resolved(schema, root) {
  let found = schema;
  for (let hops = 0; found?.$ref && hops < 8; hops += 1) {
    found =
      found.$ref
        .split("/")
        .slice(1)
        .reduce((at, key) => at?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], root) ?? {};
  }
  return found ?? {};
}

function typeOf(schema) {
  const types = [schema.type ?? schema.anyOf?.map((one) => one.type)].flat().filter(Boolean);
  const plain = types.filter((type) => type !== "null");
  const nullable = types.includes("null");
  if (schema.enum) return { type: "choice", nullable };
  const known = plain.length === 1 && ["string", "number", "integer", "boolean"].includes(plain[0]);
  return { type: known ? plain[0] : "json", nullable };
}

/** Give the texts that the fields begin with. */
export function initialTexts(fields) {
  return Object.fromEntries(
    fields.map(({ name, type, schema }) => {
      const value = schema.default ?? schema.const;
      if (value === undefined) return [name, type === "boolean" ? "false" : ""];
      return [name, type === "json" ? JSON.stringify(value) : String(value)];
    }),
  );
}

/**
 * Give `{parameters, errors}` of what was typed; a field that was left empty and need not be there is left out.
 * The agent holds them against the whole schema itself: here only what cannot be sent is found.
 */
export function readFields(fields, texts) {
  const parameters = {};
  const errors = {};
  for (const field of fields) {
    const text = texts[field.name] ?? "";
    if (text === "" && field.type !== "string" && !field.required) continue;
    if (text === "" && field.type === "string" && !field.required && field.schema.default === undefined) continue;
    try {
      parameters[field.name] = valueOf(field, text);
    } catch (error) {
      errors[field.name] = error.message;
    }
  }
  return { parameters, errors };
}

function valueOf(field, text) {
  if (field.type === "string") return text;
  if (field.type === "boolean") return text === "true";
  if (field.type === "choice") return field.choices.find((choice) => String(choice) === text) ?? missing();
  if (text === "") return missing();
  if (field.type === "json") return parsed(text);
  const number = Number(text);
  if (!Number.isFinite(number)) throw new Error("this is no number");
  if (field.type === "integer" && !Number.isInteger(number)) throw new Error("this must be a whole number");
  return number;
}

function missing() {
  throw new Error("this must be filled in");
}

export function parsed(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`this is no JSON: ${error.message}`, { cause: error });
  }
}

/** The fields, with what is wrong about them. */
export function formView(fields, texts, errors, change) {
  return fields.map((field) => {
    const id = `field-${field.name}`;
    const error = errors[field.name] ?? (field.name in errors ? errors[field.name] : null);
    return html`<div class="field">
      <label for=${id}
        >${field.name}${field.required ? html`<span class="needed"> needed</span>` : nothing}
        <span class="muted">${field.type === "choice" ? "" : field.type === "json" ? "JSON" : field.type}</span></label
      >
      ${input(field, id, texts[field.name] ?? "", error, (text) => change(field.name, text))}
      ${field.about ? html`<p class="muted">${field.about}</p>` : nothing}
      ${error ? html`<p class="bad" id="${id}-error">${error}</p>` : nothing}
    </div>`;
  });
}

function input(field, id, text, error, change) {
  const wrong = error ? "true" : nothing;
  const described = error ? `${id}-error` : nothing;
  const typed = (event) => change(event.target.value);
  if (field.type === "boolean") {
    const turned = (event) => change(String(event.target.checked));
    return html`<input id=${id} type="checkbox" .checked=${text === "true"} @change=${turned} />`;
  }
  if (field.type === "choice") {
    return html`<select id=${id} @change=${typed} aria-invalid=${wrong} aria-describedby=${described}>
      ${text !== "" && (field.required || "default" in field.schema) ? nothing : html`<option value="">–</option>`}
      ${field.choices.map(String).map((choice) => html`<option value=${choice} ?selected=${choice === text}>${choice}</option>`)}
    </select>`;
  }
  if (field.type === "json" || field.type === "string") {
    const json = field.type === "json";
    return html`<textarea
      id=${id}
      rows=${json ? 3 : 1}
      class=${json ? "mono" : ""}
      spellcheck="false"
      .value=${text}
      @input=${typed}
      aria-invalid=${wrong}
      aria-describedby=${described}
    ></textarea>`;
  }
  return html`<input
    id=${id}
    type="text"
    inputmode="decimal"
    .value=${text}
    @input=${typed}
    aria-invalid=${wrong}
    aria-describedby=${described}
  />`;
}
