// A product's picture: its own, or one drawn for it. The drawing depends on nothing but the product: the colour is about its
// widest category's, the shape its narrowest's (but fruit looks like fruit), the pattern and the letters its title's.
import { el, svg } from "./dom.js";

// FNV-1a.
export function hash(text) {
  let value = 0x811c9dc5;
  for (const unit of new TextEncoder().encode(text)) value = Math.imul(value ^ unit, 0x01000193);
  return value >>> 0;
}

// "Whole milk 3.5%" gives "WM"; what stands behind a comma is a size, and a number only speaks where there is no word.
export function initials(text) {
  const all = String(text ?? "").split(",")[0];
  const words = all.match(/\p{L}[\p{L}\p{N}]*/gu) ?? all.match(/\p{N}+/gu) ?? [];
  const letters = words.slice(0, 2).map((word) => [...word][0]);
  return (letters.join("") || "?").toUpperCase();
}

// Each gives its parts, drawn back to front on 400 x 300, and where its label is.
const PACKED = [
  (paint) => ({ // bottle
    parts: [
      svg("path", { d: "M178 66h44v34c0 16 26 24 26 54v88a16 16 0 0 1-16 16h-64a16 16 0 0 1-16-16v-88c0-30 26-38 26-54z", fill: paint.body }),
      svg("rect", { x: 172, y: 44, width: 56, height: 24, rx: 7, fill: paint.lid })],
    label: [152, 164, 96, 60] }),
  (paint) => ({ // carton
    parts: [
      svg("path", { d: "M144 116l24-42h64l24 42z", fill: paint.lid }),
      svg("rect", { x: 166, y: 56, width: 68, height: 20, rx: 4, fill: paint.body }),
      svg("path", { d: "M144 114h112v136a8 8 0 0 1-8 8h-96a8 8 0 0 1-8-8z", fill: paint.body })],
    label: [144, 146, 112, 68] }),
  (paint) => ({ // jar
    parts: [
      svg("rect", { x: 138, y: 100, width: 124, height: 158, rx: 30, fill: paint.body }),
      svg("rect", { x: 148, y: 76, width: 104, height: 30, rx: 9, fill: paint.lid })],
    label: [138, 148, 124, 66] }),
  (paint) => ({ // can
    parts: [
      svg("path", { d: "M146 86v158c0 9 24 16 54 16s54-7 54-16V86z", fill: paint.body }),
      svg("ellipse", { cx: 200, cy: 86, rx: 54, ry: 14, fill: paint.lid }),
      svg("ellipse", { cx: 200, cy: 85, rx: 40, ry: 9, fill: paint.shine, opacity: 0.5 })],
    label: [146, 134, 108, 72] }),
  (paint) => ({ // pouch
    parts: [
      svg("path", { d: "M148 72h104l16 170q-68 26-136 0z", fill: paint.body }),
      svg("rect", { x: 142, y: 58, width: 116, height: 22, rx: 5, fill: paint.lid })],
    label: [154, 140, 92, 64] }),
  (paint) => ({ // box
    parts: [
      svg("path", { d: "M250 108l34-22v150l-34 22z", fill: paint.lid }),
      svg("path", { d: "M126 108l34-22h124l-34 22z", fill: paint.shine }),
      svg("rect", { x: 126, y: 106, width: 124, height: 152, rx: 4, fill: paint.body })],
    label: [126, 150, 124, 64] }),
  (paint) => ({ // cup
    parts: [
      svg("path", { d: "M138 112h124l-14 134a14 14 0 0 1-14 12h-68a14 14 0 0 1-14-12z", fill: paint.body }),
      svg("rect", { x: 128, y: 88, width: 144, height: 28, rx: 12, fill: paint.lid })],
    label: [146, 148, 108, 60] }),
];

const FRUITY = /fruit|apple|berr|citrus|vegetable|produce/i;
const fruit = (paint) => ({
  parts: [
    svg("path", { d: "M202 106c2-18 6-30 16-42", fill: "none", stroke: paint.lid, "stroke-width": 8, "stroke-linecap": "round" }),
    svg("path", { d: "M210 92c6-28 34-42 62-34-8 28-32 42-62 34z", fill: paint.lid }),
    svg("path", { d: "M200 112c26-20 86-10 86 56 0 54-40 94-66 94-10 0-12-4-20-4s-10 4-20 4c-26 0-66-40-66-94 0-66 60-76 86-56z", fill: paint.body })],
  label: [154, 156, 92, 56],
});

const PATTERNS = [
  (colour, next) => Array.from({ length: 22 }, () => // specks, as on a starling
    svg("circle", { cx: next(400), cy: next(300), r: 2 + next(5), fill: colour, opacity: 0.35 })),
  (colour, next) => { // rings
    const x = next(400);
    return [60, 110, 160, 210].map((radius) =>
      svg("circle", { cx: x, cy: 40, r: radius, fill: "none", stroke: colour, "stroke-width": 10, opacity: 0.16 }));
  },
  (colour, next) => { // hills
    const lift = next(40);
    return [0, 1, 2].map((row) => svg("path", {
      d: `M-20 ${150 + row * 42 - lift}q70-60 140 0t140 0t140 0t140 0V320H-20z`, fill: colour, opacity: 0.12 }));
  },
  (colour, next) => Array.from({ length: 7 }, (_, column) => // rain
    svg("rect", { x: column * 62 - 20 + next(20), y: -40 + next(60), width: 12, height: 150 + next(120), rx: 6,
      fill: colour, opacity: 0.14, transform: "rotate(18 200 150)" })),
];

let drawn = 0;

function drawing(product) {
  const categories = product.categories ?? [];
  const widest = categories[0] ?? "";
  const narrowest = categories[categories.length - 1] ?? product.title ?? "";
  let state = hash(`${product.title}|${product.product_id}`);
  const next = (below) => { // xorshift: the same product gives the same numbers
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
  const hue = (hash(widest) * 137.508) % 360 + hash(narrowest) % 121 - 60 + next(41) - 20;
  const id = `drawing-${drawn += 1}`;
  const paint = {
    body: `url(#${id}-body)`,
    lid: `hsl(${hue + 24} 46% 30%)`,
    shine: `hsl(${hue} 70% 80%)`,
  };
  const shape = categories.some((name) => FRUITY.test(name)) ? fruit : PACKED[hash(narrowest) % PACKED.length];
  const { parts, label } = shape(paint);
  const pattern = PATTERNS[next(PATTERNS.length)](`hsl(${hue + 50} 70% 55%)`, next);
  const stops = (from, to) => [svg("stop", { offset: 0, "stop-color": from }), svg("stop", { offset: 1, "stop-color": to })];
  const [x, y, width, height] = label;
  return svg("svg", { viewBox: "0 0 400 300", class: "drawing", "aria-hidden": "true", preserveAspectRatio: "xMidYMid slice" },
    svg("defs", {},
      svg("linearGradient", { id: `${id}-sky`, x1: 0, y1: 0, x2: 1, y2: 1 }, stops(`hsl(${hue} 78% 93%)`, `hsl(${hue + 42} 70% 80%)`)),
      svg("linearGradient", { id: `${id}-body`, x1: 0, y1: 0, x2: 1, y2: 1 }, stops(`hsl(${hue} 66% 66%)`, `hsl(${hue + 20} 60% 42%)`))),
    svg("rect", { width: 400, height: 300, fill: `url(#${id}-sky)` }),
    pattern,
    svg("ellipse", { cx: 204, cy: 260, rx: 96, ry: 12, fill: `hsl(${hue} 40% 25%)`, opacity: 0.22 }),
    parts,
    svg("rect", { x, y, width, height, rx: 8, fill: `hsl(${hue} 50% 97%)`, opacity: 0.95 }),
    svg("text", { x: x + width / 2, y: y + height / 2 + 12, "text-anchor": "middle", class: "letters", fill: `hsl(${hue + 10} 60% 28%)` },
      initials(product.title)));
}

// Decorative: the title stands beside it.
export function picture(product) {
  const place = el("div", { class: "picture" });
  let address;
  try {
    address = product.image_url ? new URL(product.image_url, location.href) : null;
  } catch {
    address = null;
  }
  if (address && ["http:", "https:"].includes(address.protocol)) {
    const image = el("img", { src: address.href, alt: "", loading: "lazy", referrerpolicy: "no-referrer",
      onerror: () => place.replaceChildren(drawing(product)) });
    place.append(image);
  } else {
    place.append(drawing(product));
  }
  return place;
}

// A shopper's round sign.
export function face(name) {
  const hue = (hash(name) * 137.508) % 360;
  return svg("svg", { viewBox: "0 0 64 64", class: "face", "aria-hidden": "true" },
    svg("circle", { cx: 32, cy: 32, r: 32, fill: `hsl(${hue} 55% 42%)` }),
    svg("circle", { cx: 50, cy: 14, r: 22, fill: `hsl(${hue + 60} 70% 60%)`, opacity: 0.45 }),
    svg("text", { x: 32, y: 40, "text-anchor": "middle", class: "letters", fill: "#fff" }, initials(name)));
}
