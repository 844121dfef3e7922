// The cart, buying, and thanks.
import { get, query } from "./api.js";
import * as cart from "./cart.js";
import { amount, money, priceText, productLink, unavailable } from "./cards.js";
import { el, hush, later, notice, problem, skeleton, title, toast } from "./dom.js";
import { tellNow } from "./events.js";
import { picture } from "./picture.js";
import { recommended } from "./recommendations.js";

// The sum in each currency, "12.34 €, 5.00 $".
function total(lines) {
  const sums = new Map();
  for (const line of lines) {
    const currency = line.product.price?.currency_code;
    sums.set(currency, (sums.get(currency) ?? 0) + line.quantity * (amount(line.product) ?? 0));
  }
  return [...sums].map(([currency, sum]) => money(sum, currency)).join(", ");
}

function row(line, changed) {
  const { product, quantity } = line;
  const set = (next) => {
    cart.setQuantity(product.product_id, next);
    changed(product.product_id);
  };
  const why = unavailable(product);
  return el("li", { class: "line", "data-product": product.product_id },
    picture(product),
    el("div", { class: "what" },
      el("a", { href: productLink(product, line.recommendation_id) }, title(product.title)),
      el("span", { class: "quiet-text" }, why ? `${why}: take it out to buy the rest` : priceText(product))),
    el("label", { class: "number" }, el("span", { class: "hidden-text" }, `Quantity of ${product.title}`),
      el("input", { type: "number", min: 1, max: 99, value: quantity, inputmode: "numeric",
        onchange: (event) => set(Math.max(1, event.target.valueAsNumber || 1)) })),
    el("button", { type: "button", class: "quiet", "aria-label": `Take ${product.title} out of the cart`, onclick: () => set(0) }, "Remove"));
}

const emptyCart = () => notice("Your cart is empty",
  el("p", {}, "What you add is kept in this browser until you buy it."),
  el("p", {}, el("a", { class: "more", href: "#/browse" }, "Browse the catalogue")));

async function buy(said) {
  const lines = cart.lines();
  try {
    await tellNow(lines.map(({ product, quantity, recommendation_id, purchase_id }) => ({
      event_id: purchase_id, type: "purchase", product_id: product.product_id, quantity, price: amount(product),
      ...(recommendation_id ? { recommendation_id } : {}),
    })));
  } catch (error) {
    said.replaceChildren(problem(error));
    return;
  }
  cart.empty();
  hush(); // it may still say that something is in the cart
  location.hash = `#/thanks${query({ lines: lines.length })}`;
}

function lists() {
  const place = el("div");
  // `changed`: the product whose line keeps the focus.
  const show = (changed) => {
    const lines = cart.lines();
    if (lines.length === 0) {
      place.replaceChildren(emptyCart());
      return;
    }
    const said = el("div");
    const blocked = lines.some((line) => unavailable(line.product));
    const button = el("button", { type: "button", class: "primary", disabled: blocked, onclick: async () => {
      button.disabled = true;
      await buy(said);
      button.disabled = false;
    } }, "Buy");
    place.replaceChildren(
      el("ul", { class: "lines", role: "list" }, lines.map((line) => row(line, show))),
      el("div", { class: "total" }, el("span", {}, "Total ", el("strong", {}, total(lines))), button),
      el("p", { class: "small quiet-text" }, "No money moves: the purchase is written down as events, as a shop's checkout would."),
      said);
    [...place.querySelectorAll(".line")].find((line) => line.dataset.product === changed)?.querySelector("input").focus();
  };
  show();
  return place;
}

async function cartAndMore() {
  const ids = cart.lines().map((line) => line.product.product_id);
  if (ids.length === 0) return lists();
  const found = (await get(`/v1/products:batchGet${query({ product_ids: ids })}`)).products ?? [];
  cart.refresh(found);
  if (found.length < ids.length) toast("What is not sold any more was taken out of the cart");
  return el("div", { class: "beside" }, lists(),
    recommended({ heading: "Goes with your cart", url: "/v1/recommendations",
      parameters: { limit: 6, context: "cart", product_ids: found.map((product) => product.product_id) },
      kind: "column", count: 3, without: null,
      nothing: el("p", { class: "quiet-text" }, "Nothing is known to go with this cart yet.") }));
}

export const page = () => ({
  title: "Cart",
  content: [
    el("h1", { tabindex: "-1" }, "Your cart"),
    later(cartAndMore, { waiting: skeleton(2), failed: problem }),
  ],
});

export const thanks = ({ query: parameters }) => ({
  title: "Thank you",
  content: [
    el("div", { class: "hero" },
      el("h1", { tabindex: "-1" }, "Thank you"),
      el("p", {}, `${Number(parameters.get("lines")) === 1 ? "One purchase is" : "Your purchases are"} written down, durably. `
        + "What you see next takes it into account.")),
    el("p", {}, el("a", { class: "more", href: "#/" }, "See what has changed for you")),
  ],
});
