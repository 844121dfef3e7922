// Calls of the API on the page's own origin, and who the caller is.

const SESSION = "starling.session";

// An answer that is an error (RFC 9457), or no answer at all (status 0).
export class Problem extends Error {
  constructor(status, document = {}) {
    super(document.detail || document.title || `the server answered ${status}`);
    this.status = status;
    this.title = TITLES[status] ?? document.title;
    this.violations = document.violations ?? [];
    this.traceId = document.trace_id;
    this.retryable = status === 0 || status === 429 || status >= 500;
  }
}

const TITLES = {
  0: "Starling does not answer",
  401: "Please sign in again",
  403: "That is not allowed",
  404: "That is not here",
  429: "A little slower, please",
  503: "Starling is busy",
  504: "That took too long",
};

// {user_id, name, access_token, expires_at}, or null when nobody is signed in.
export function session() {
  try {
    const found = JSON.parse(localStorage.getItem(SESSION));
    return found && new Date(found.expires_at) > new Date() ? found : null;
  } catch {
    return null;
  }
}

export function startSession(user, answer) {
  localStorage.setItem(SESSION, JSON.stringify({ ...user, ...answer }));
}

export function endSession() {
  localStorage.removeItem(SESSION);
}

// path`/v1/products/${id}`: what is put in is one segment, whatever it holds.
export function path(texts, ...values) {
  return texts.reduce((all, text, index) => all + encodeURIComponent(values[index - 1]) + text);
}

// "?limit=3&product_ids=a&product_ids=b"; what is empty is left out.
export function query(parameters) {
  const pairs = Object.entries(parameters).flatMap(([name, value]) =>
    [value].flat().filter((one) => one !== "" && one !== undefined && one !== null).map((one) => [name, one]));
  return pairs.length === 0 ? "" : `?${new URLSearchParams(pairs)}`;
}

// The answer's JSON; throws a Problem. Whoever's session has ended is signed out and told so.
export async function call(method, url, { body, signal, keepalive, token = session()?.access_token } = {}) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(url, {
      method, headers, signal, keepalive, body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { detail: "Is it running? Start it with: starling up" });
  }
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  if (response.status === 401 && token && token === session()?.access_token) {
    endSession();
    window.dispatchEvent(new Event("session-ended"));
  }
  throw new Problem(response.status, answer);
}

export const get = (url, options) => call("GET", url, options);
export const post = (url, body, options) => call("POST", url, { body, ...options });

let offered;
// What this process offers: {version, demo_sign_in, recommendations}. Asked once.
export function offers() {
  offered ??= get("/storefront.json", { token: null }).catch((error) => {
    offered = undefined;
    throw error;
  });
  return offered;
}
