// Building the page from text that nobody has vetted: what is data becomes text nodes and attributes, never markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

// el("a", {href: "#/", onclick: f}, "text", node, [nodes]); null and false children are left out.
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

// A part of the page that needs an answer first: shows `waiting`, then what `load` gives, or `failed(error)`.
export function later(load, { waiting, failed }) {
  const place = el("div", { class: "later", "aria-busy": "true" }, waiting);
  const show = async () => {
    place.setAttribute("aria-busy", "true");
    try {
      place.replaceChildren(...[await load()].flat(Infinity).filter(Boolean));
    } catch (error) {
      if (error.name !== "AbortError") place.replaceChildren(failed(error, show));
    }
    place.setAttribute("aria-busy", "false");
  };
  show();
  return place;
}

// Grey cards, as many as are likely to come.
export function skeleton(count, kind = "grid") {
  return el("div", { class: kind, "aria-hidden": "true" },
    Array.from({ length: count }, () => el("div", { class: "card bones" }, el("div", { class: "picture" }), el("p"), el("p"))));
}

export function notice(title, ...children) {
  return el("section", { class: "notice" }, el("h2", {}, title), children);
}

// An error, as people want to read it: what is wrong, what to do, and the trace to name to the operator.
export function problem(error, again) {
  return el("section", { class: "notice problem", role: "alert" },
    el("h2", {}, error.title ?? "Something went wrong"),
    el("p", {}, error.message),
    error.violations?.length
      ? el("ul", {}, error.violations.map((one) => el("li", {}, el("code", {}, one.field), " ", one.description)))
      : null,
    again ? el("button", { type: "button", onclick: again }, "Try again") : null,
    error.traceId ? el("p", { class: "small" }, "Trace ", el("code", {}, error.traceId)) : null);
}

// A product's title, which may go to the next line after a slash: those of catalogues often have no space there.
export function title(text) {
  const parts = text.split(/(?<=\/)/);
  return parts.map((part, i) => (i === 0 ? part : [el("wbr"), part]));
}

let hiding;
// A short word at the bottom of the page, read aloud too; it goes by itself, or by hush().
export function toast(text) {
  const place = document.getElementById("toast");
  place.textContent = text;
  place.classList.add("shown");
  clearTimeout(hiding);
  hiding = setTimeout(hush, 3500);
}

export function hush() {
  document.getElementById("toast").classList.remove("shown");
}
