// One product, and what goes with it.
import { get, path } from "./api.js";
import { categoryLink } from "./browse.js";
import { addToCart, priceText, unavailable } from "./cards.js";
import { el, notice, title } from "./dom.js";
import { tell } from "./events.js";
import { picture } from "./picture.js";
import { recommended } from "./recommendations.js";

function purchase(product, recommendationId) {
  const why = unavailable(product);
  if (why) return el("p", { class: "price none" }, why);
  const quantity = el("input", { id: "quantity", type: "number", min: 1, max: 99, value: 1, inputmode: "numeric" });
  const put = () => addToCart(product, Math.min(99, Math.max(1, Math.floor(quantity.valueAsNumber) || 1)), recommendationId);
  return [
    el("p", { class: "price large" }, priceText(product)),
    el("div", { class: "order" },
      el("label", { for: "quantity" }, "Quantity"), quantity,
      el("button", { type: "button", class: "primary", onclick: put }, "Add to cart"),
      el("button", { type: "button", onclick: () => {
        put();
        location.hash = "#/cart";
      } }, "Buy now")),
  ];
}

// "manufacturer_id" is "Manufacturer id" to people.
function words(name) {
  const spaced = name.replaceAll("_", " ").trim();
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

function details(product, recommendationId) {
  const attributes = Object.entries(product.attributes ?? {});
  return el("article", { class: "product", "data-product": product.product_id },
    picture(product),
    el("div", { class: "about" },
      product.categories?.length
        ? el("nav", { "aria-label": "Categories of this product" }, el("ol", { class: "trail", role: "list" },
          product.categories.map((name) => el("li", {}, el("a", { href: categoryLink(name) }, name)))))
        : null,
      product.brand ? el("p", { class: "brand-name" }, product.brand) : null,
      el("h1", { tabindex: "-1" }, title(product.title)),
      purchase(product, recommendationId),
      product.description ? el("p", { class: "description" }, product.description) : null,
      attributes.length
        ? el("dl", { class: "attributes" }, attributes.map(([name, value]) => [el("dt", {}, words(name)), el("dd", {}, value)]))
        : null,
      recommendationId
        ? el("p", { class: "provenance" }, "You came here by recommendation ", el("code", {}, recommendationId))
        : null));
}

export async function page({ id, query, signal }) {
  const recommendationId = query.get("from") ?? "";
  let product;
  try {
    product = await get(path`/v1/products/${id}`, { signal });
  } catch (error) {
    if (error.status !== 404) throw error;
    return { title: "Not here", content: [el("h1", { tabindex: "-1" }, "Not here"), notice("This product is not sold any more",
      el("p", {}, error.message), el("p", {}, el("a", { href: "#/browse" }, "See what is")))] };
  }
  tell("view", product.product_id, { recommendation_id: recommendationId });
  return {
    title: product.title,
    content: [
      details(product, recommendationId),
      recommended({ heading: "Goes well with it", url: path`/v1/products/${id}/similar`, parameters: { limit: 8 },
        kind: "rail", nothing: el("p", { class: "quiet-text" }, "Nothing is known to go with this one yet."), without: null }),
    ],
  };
}
