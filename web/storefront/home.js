// What is picked for the shopper, and where the shopper left off.
import { get, path, query, session } from "./api.js";
import { categoryLinks, noProducts } from "./browse.js";
import { card, grid } from "./cards.js";
import { el, later, problem, skeleton } from "./dom.js";
import { offered, recommended } from "./recommendations.js";

const DONE = { purchase: "You bought this", cart: "You put this in the cart", rate: "You rated this",
  click: "You looked at this", view: "You looked at this" };
const WEIGHT = { purchase: 3, cart: 2, rate: 2, click: 1, view: 1 };

function ago(time) {
  const seconds = Math.round((new Date(time) - Date.now()) / 1000);
  const format = new Intl.RelativeTimeFormat(navigator.language, { numeric: "auto" });
  for (const [unit, size] of [["year", 31557600], ["month", 2629800], ["day", 86400], ["hour", 3600], ["minute", 60]]) {
    if (Math.abs(seconds) >= size) return format.format(Math.trunc(seconds / size), unit);
  }
  return "just now";
}

// The products of the newest interactions, each with the most that was done with it.
async function leftOff() {
  const history = (await get(`${path`/v1/users/${session().user_id}/history`}?limit=200`)).interactions ?? [];
  const latest = new Map();
  for (const one of history.filter((each) => each.product_id && WEIGHT[each.type])) {
    const known = latest.get(one.product_id);
    if (!known) {
      if (latest.size < 10) latest.set(one.product_id, one);
    } else if (WEIGHT[one.type] > WEIGHT[known.type]) {
      latest.set(one.product_id, { ...one, occurred_at: known.occurred_at });
    }
  }
  if (latest.size === 0) return null;
  const products = (await get(`/v1/products:batchGet${query({ product_ids: [...latest.keys()] })}`)).products ?? [];
  if (products.length === 0) return null;
  return el("section", { "aria-labelledby": "left-off" },
    el("h2", { id: "left-off" }, "Where you left off"),
    grid(products.map((product) => {
      const done = latest.get(product.product_id);
      return card(product, { note: `${DONE[done.type]} ${ago(done.occurred_at)}` });
    }), "rail"));
}

// Without recommendations the catalogue itself is shown, so that there is something to look at.
async function catalogue() {
  const page = await get(`/v1/products${query({ page_size: 10 })}`);
  if (!page.products?.length) return noProducts();
  if (await offered()) return categoryLinks();
  return [
    await categoryLinks(),
    el("section", { "aria-labelledby": "catalogue" },
      el("h2", { id: "catalogue" }, "From the catalogue"),
      grid(page.products.map((product) => card(product))),
      el("p", {}, el("a", { class: "more", href: "#/browse" }, `See all ${page.total_size ?? ""} products`)))];
}

function greeting() {
  const hour = new Date().getHours();
  if (hour < 5) return "Good night";
  if (hour < 12) return "Good morning";
  return hour < 18 ? "Good afternoon" : "Good evening";
}

export function page() {
  const nothing = el("p", { class: "quiet-text" },
    "Nothing to recommend yet. Look at a few products, and come back: the next answer knows of them.");
  return {
    title: "For you",
    content: [
      el("div", { class: "hero" },
        el("h1", { tabindex: "-1" }, `${greeting()}, ${session().name}`),
        el("p", {}, "The shop follows what you do: look around, and come back.")),
      recommended({ heading: "For you", url: "/v1/recommendations", parameters: { limit: 10, context: "home" }, count: 10, nothing }),
      later(leftOff, { waiting: null, failed: problem }),
      later(catalogue, { waiting: skeleton(4), failed: problem }),
    ],
  };
}
