// What the shopper does, told to the shop: gathered for a moment, sent together, sent again when that failed. An event
// keeps its id, so that one sent twice counts once. The shop's clock says when it was: a browser's may be wrong.
import { post, session } from "./api.js";

const MOST = 500; // waiting; above, the oldest are dropped
const GATHER_MS = 250;
const PATIENCE_MS = [1000, 3000, 10000];

let waiting = [];
let failures = 0;
let timer;
let sending = Promise.resolve();

export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// tell("view", "p-1", {recommendation_id, quantity, price})
export function tell(type, productId, more = {}) {
  const user = session();
  if (!user) return;
  waiting.push({
    token: user.access_token,
    event: {
      event_id: newId(), user_id: user.user_id, product_id: productId, type,
      ...Object.fromEntries(Object.entries(more).filter(([, value]) => value)),
    },
  });
  waiting = waiting.slice(-MOST);
  clearTimeout(timer);
  timer = setTimeout(flush, GATHER_MS);
}

async function send(keepalive) {
  while (waiting.length > 0) {
    const token = waiting[0].token;
    const batch = waiting.filter((one) => one.token === token).slice(0, 100);
    waiting = waiting.filter((one) => !batch.includes(one));
    try {
      await post("/v1/events", { events: batch.map((one) => one.event) }, { token, keepalive });
      failures = 0;
    } catch (error) {
      if (!error.retryable || failures >= PATIENCE_MS.length) continue; // nobody waits for these
      waiting = [...batch, ...waiting].slice(-MOST);
      clearTimeout(timer);
      timer = setTimeout(flush, PATIENCE_MS[failures]);
      failures += 1;
      return;
    }
  }
}

// Sends what waits; resolves when it is durable, or when the sending failed and will be tried later.
export function flush({ keepalive = false } = {}) {
  clearTimeout(timer);
  sending = sending.then(() => send(keepalive));
  return sending;
}

// As tell, for what must be known before the page goes on: throws when the shop did not take it. Each event brings its
// event_id, so that it may be told again.
export async function tellNow(events) {
  await flush();
  await post("/v1/events", { events: events.map((event) => ({ user_id: session().user_id, ...event })) });
}

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden") flush({ keepalive: true });
});
