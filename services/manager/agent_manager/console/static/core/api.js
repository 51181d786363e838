/** The manager's API, as everyone else uses it. */

/** A request that got no result; `members` is the problem (RFC 9457). */
export class ApiError extends Error {
  constructor(status, members) {
    super(members.detail || `the manager answered ${status}`);
    this.status = status;
    this.code = members.code || "unknown";
    this.members = members;
  }
}

const OWN = { "X-Requested-With": "agent-console" }; // no form of another page can send it
let onUnauthenticated = () => {};

/** Call this when the session is over. */
export function whenUnauthenticated(callback) {
  onUnauthenticated = callback;
}

/** Ask; gives the response of a success. Raises ApiError, also where the manager cannot be reached (status 0). */
export async function request(method, path, { body, headers = {}, signal } = {}) {
  const all = { ...OWN, ...headers };
  if (body !== undefined) all["Content-Type"] = "application/json";
  let response;
  try {
    const text = body === undefined ? undefined : JSON.stringify(body);
    response = await fetch(path, { method, headers: all, body: text, signal, cache: "no-store" });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, { code: "unreachable", detail: "the manager cannot be reached" });
  }
  if (response.ok) return response;
  if (response.status === 401 && path !== "/api/session") onUnauthenticated();
  throw new ApiError(response.status, await problemOf(response));
}

/** Give the decoded answer of a GET. */
export async function get(path, options) {
  return (await request("GET", path, options)).json();
}

/** Give the decoded answer, null where it has no body. */
export async function send(method, path, body, options = {}) {
  const response = await request(method, path, { body, ...options });
  const text = await response.text();
  return text === "" ? null : JSON.parse(text);
}

/** Give the path of an agent's route. */
export function agentPath(id, rest = "") {
  return `/api/agent-services/${encodeURIComponent(id)}${rest}`;
}

async function problemOf(response) {
  try {
    return await response.json();
  } catch {
    return {};
  }
}
