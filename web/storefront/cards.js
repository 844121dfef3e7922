// A product in a list, its price, and how it gets into the cart.
import * as cart from "./cart.js";
import { el, title, toast } from "./dom.js";
import { tell } from "./events.js";
import { picture } from "./picture.js";

// A number of the shop's currency; null: not for sale.
export function amount(product) {
  return product.price ? Number(product.price.units ?? 0) + (product.price.nanos ?? 0) / 1e9 : null;
}

export function money(value, currency) {
  try {
    return new Intl.NumberFormat(navigator.language, { style: "currency", currency }).format(value);
  } catch {
    return `${value.toFixed(2)} ${currency ?? ""}`.trim();
  }
}

export function priceText(product) {
  const value = amount(product);
  return value === null ? "Not for sale" : money(value, product.price.currency_code);
}

// Why it cannot be bought; "" when it can.
export function unavailable(product) {
  if (product.availability === "AVAILABILITY_OUT_OF_STOCK") return "Out of stock";
  if (product.availability === "AVAILABILITY_DISCONTINUED") return "Discontinued";
  return amount(product) === null ? "Not for sale" : "";
}

export function productLink(product, recommendationId) {
  const from = recommendationId ? `?from=${encodeURIComponent(recommendationId)}` : "";
  return `#/product/${encodeURIComponent(product.product_id)}${from}`;
}

export function addToCart(product, quantity, recommendationId) {
  if (!cart.add(product, quantity, recommendationId)) {
    toast("The cart is full: 100 different products. Buy some of them, or take some out.");
    return;
  }
  tell("cart", product.product_id, { quantity, price: amount(product), recommendation_id: recommendationId });
  toast(`${product.title} is in the cart`);
}

// `note`: a line under the title, such as a recommendation's reason.
export function card(product, { note, recommendationId } = {}) {
  const clicked = () => tell("click", product.product_id, { recommendation_id: recommendationId });
  const why = unavailable(product);
  return el("li", { class: "card", "data-product": product.product_id },
    el("a", { class: "cover", href: productLink(product, recommendationId), onclick: clicked,
      onauxclick: (event) => event.button === 1 && clicked() },
      picture(product),
      product.brand ? el("span", { class: "brand-name" }, product.brand) : null,
      el("span", { class: "title" }, title(product.title))),
    note ? el("p", { class: recommendationId ? "reason" : "reason done" }, note) : null,
    el("div", { class: "buy-line" },
      el("span", { class: why ? "price none" : "price" }, why || priceText(product)),
      why ? null : el("button", { type: "button", class: "add", "aria-label": `Add ${product.title} to the cart`,
        onclick: () => addToCart(product, 1, recommendationId) }, "Add")));
}

export const grid = (cards, kind = "grid") => el("ul", { class: kind, role: "list" }, cards);
