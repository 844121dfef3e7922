// What of a page is to be seen, as an SVG of a few kilobytes: boxes, lines of text, drawings. A picture that is text can be read in a
// review, and kept beside what it shows. Left out: shadows, images that are no SVG, patterns of a background.
//
//   await writeFile("home.svg", await drawPage(page));
import assert from "node:assert/strict";

// Runs in the page.
function draw() {
  const { innerWidth: width, innerHeight: height } = window;
  const out = [];
  const defs = [];
  const fonts = new Map();
  const measure = document.createElement("canvas").getContext("2d");
  const round = (value) => Math.round(value * 10) / 10;
  const escape = (text) => text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
  const isClear = (colour) => colour === "transparent" || /,\s*0\)$|\/ 0\)$/.test(colour);
  const FONT = "Inter,system-ui,Helvetica,Arial,sans-serif";

  const ascent = (style) => {
    const font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    if (!fonts.has(font)) {
      measure.font = font;
      const { fontBoundingBoxAscent: up, fontBoundingBoxDescent: down } = measure.measureText("x");
      fonts.set(font, up / (up + down));
    }
    return fonts.get(font);
  };

  function text(words, box, style, align) {
    const shown = style.textTransform === "uppercase" ? words.toUpperCase() : words;
    const y = box.top + box.height * ascent(style);
    out.push(`<text x="${round(align === "middle" ? box.left + box.width / 2 : box.left)}" y="${round(y)}" fill="${style.color}" font-size="${
      round(parseFloat(style.fontSize))}" font-weight="${style.fontWeight}"${align === "middle" ? ' text-anchor="middle"'
      : ` textLength="${round(box.width)}" lengthAdjust="spacingAndGlyphs"`}>${escape(shown)}</text>`);
  }

  const define = (kind, attributes, stops) => {
    const id = `paint${defs.length}`;
    defs.push(`<${kind} id="${id}" ${attributes}>${stops.map(([at, colour, opacity]) =>
      `<stop offset="${at}" stop-color="${colour}"${opacity === undefined ? "" : ` stop-opacity="${opacity}"`}/>`).join("")}</${kind}>`);
    return `url(#${id})`;
  };

  // The gradients of a background that fill its box, back to front: linear-gradient(110deg, rgb(1, 2, 3), rgb(4, 5, 6) 55%, ...) and
  // radial-gradient(70% 140% at 92% 0%, rgba(7, 8, 9, 0.5), rgba(0, 0, 0, 0) 62%).
  function gradients(image) {
    const paints = [];
    for (const [, angle, stops] of image.matchAll(/linear-gradient\((?:([\d.]+)deg, )?((?:rgba?\([^)]*\)(?: [\d.]+%)?(?:, )?)+)\)/g)) {
      const turn = ((Number(angle ?? 180) - 90) * Math.PI) / 180;
      const [x, y] = [Math.cos(turn) / 2, Math.sin(turn) / 2];
      const all = [...stops.matchAll(/(rgba?\([^)]*\))(?: ([\d.]+%))?/g)];
      paints.push(define("linearGradient", `x1="${round(0.5 - x)}" y1="${round(0.5 - y)}" x2="${round(0.5 + x)}" y2="${round(0.5 + y)}"`,
        all.map(([, colour, at], i) => [at ?? `${Math.round((100 * i) / (all.length - 1))}%`, colour])));
    }
    const radial = /radial-gradient\(([\d.]+)% ([\d.]+)% at ([\d.]+)% ([\d.]+)%, (rgba?\([^)]*\)), rgba?\([^)]*\) ([\d.]+%)\)/g;
    for (const [, wide, high, x, y, colour, end] of image.matchAll(radial)) {
      paints.push(define("radialGradient", `cx="0" cy="0" r="1" gradientTransform="translate(${x / 100} ${y / 100}) scale(${wide / 100} ${high / 100})"`,
        [["0", colour], [end, colour, 0]]));
    }
    return paints;
  }

  function box(at, style, clip) {
    const fills = style.backgroundImage === "none" ? [] : gradients(style.backgroundImage);
    if (fills.length === 0) fills.push(isClear(style.backgroundColor) ? "none" : style.backgroundColor);
    const line = parseFloat(style.borderTopWidth) > 0 && !isClear(style.borderTopColor) ? style.borderTopColor : "none";
    if (fills[0] !== "none" || line !== "none") {
      const inset = line === "none" ? 0 : 0.5;
      const radius = Math.min(parseFloat(style.borderTopLeftRadius) || 0, at.width / 2, at.height / 2);
      const shape = `<rect x="${round(at.left + inset)}" y="${round(at.top + inset)}" width="${round(at.width - 2 * inset)}" height="${
        round(at.height - 2 * inset)}"${radius > 0 ? ` rx="${round(radius)}"` : ""}${
        clip.round === undefined ? "" : ` clip-path="url(#${clip.round})"`}`;
      for (const fill of fills) out.push(`${shape} fill="${fill}"${line === "none" ? "" : ` stroke="${line}"`}/>`);
    } else if (parseFloat(style.borderBottomWidth) > 0 && !isClear(style.borderBottomColor)) {
      out.push(`<path d="M${round(at.left)} ${round(at.bottom - 0.5)}h${round(at.width)}" stroke="${style.borderBottomColor}"/>`);
    }
  }

  // The id of a clip to its rounded corners; undefined where they are square.
  function roundedBox(at, style) {
    const radius = parseFloat(style.borderTopLeftRadius) || 0;
    if (radius === 0) return undefined;
    const id = `corners${defs.length}`;
    defs.push(`<clipPath id="${id}"><rect x="${round(at.left)}" y="${round(at.top)}" width="${round(at.width)}" height="${
      round(at.height)}" rx="${radius}"/></clipPath>`);
    return id;
  }

  // The lines of a text node, each with the box it fills.
  function lines(node) {
    const found = [];
    const range = document.createRange();
    for (const { index, 0: word } of node.data.matchAll(/\S+/g)) {
      range.setStart(node, index);
      range.setEnd(node, index + word.length);
      const at = range.getBoundingClientRect();
      const last = found.at(-1);
      if (last !== undefined && Math.abs(last.top - at.top) < 2) {
        last.words += ` ${word}`;
        last.width = at.right - last.left;
      } else if (at.width > 0) {
        found.push({ words: word, left: at.left, top: at.top, width: at.width, height: at.height });
      }
    }
    return found;
  }

  function visit(element, clip) {
    const style = getComputedStyle(element);
    const at = element.getBoundingClientRect();
    if (style.display === "none" || style.visibility === "hidden" || Number(style.opacity) === 0) return;
    if (at.bottom <= clip.top || at.top >= clip.bottom || at.left >= clip.right || at.right <= clip.left) return;
    if (style.clipPath !== "none") return;
    if (element.tagName === "svg") {
      const copy = element.cloneNode(true);
      for (const [name, value] of Object.entries({ x: at.left, y: at.top, width: at.width, height: at.height })) copy.setAttribute(name, round(value));
      for (const one of copy.querySelectorAll("text")) {
        const size = getComputedStyle(element.querySelector("text")).fontSize;
        one.setAttribute("font-size", parseFloat(size));
        one.setAttribute("font-weight", 800);
      }
      for (const one of [copy, ...copy.querySelectorAll("*")]) ["class", "aria-hidden", "xmlns"].forEach((name) => one.removeAttribute(name));
      out.push(clip.round === undefined ? copy.outerHTML : `<g clip-path="url(#${clip.round})">${copy.outerHTML}</g>`);
      return;
    }
    if (element.dataset.svg !== undefined) {
      const place = `x="${round(at.left)}" y="${round(at.top)}" width="${round(at.width)}" height="${round(at.height)}"`;
      out.push(element.dataset.svg.trim().replace(/<svg [^>]*?(viewBox="[^"]*")[^>]*>/, `<svg ${place} $1>`));
      return;
    }
    box(at, style, clip);
    const inner = style.overflow === "visible" ? clip : {
      round: roundedBox(at, style) ?? clip.round,
      left: Math.max(clip.left, at.left), top: Math.max(clip.top, at.top),
      right: Math.min(clip.right, at.right), bottom: Math.min(clip.bottom, at.bottom) };
    const before = getComputedStyle(element, "::before").content.match(/^"(.+)"$/)?.[1].trim();
    let first = true;
    if (element.tagName === "INPUT" && (element.value || element.placeholder)) {
      const size = parseFloat(style.fontSize) * 1.2;
      const words = element.value || element.placeholder;
      measure.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
      text(words, { left: at.left + parseFloat(style.paddingLeft), top: at.top + (at.height - size) / 2, width: measure.measureText(words).width,
        height: size }, style, "start");
    }
    for (const node of element.childNodes) {
      if (node.nodeType === Node.ELEMENT_NODE) visit(node, inner);
      if (node.nodeType !== Node.TEXT_NODE) continue;
      for (const line of lines(node)) {
        if (line.top + line.height > inner.bottom + 2 || line.top < inner.top - 2 || line.left >= inner.right) continue;
        if (first && before) {
          measure.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
          const more = measure.measureText(`${before} `).width;
          text(`${before} ${line.words}`, { ...line, left: line.left - more, width: line.width + more }, style, "start");
        } else {
          text(line.words, line, style, getComputedStyle(element).textAlign === "center" ? "middle" : "start");
        }
        first = false;
      }
    }
  }

  visit(document.body, { left: 0, top: 0, right: width, bottom: height });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="${FONT}">\n<defs>${
    defs.join("\n")}</defs>\n${out.join("\n")}\n</svg>\n`;
}

// The page as its window shows it. Images that are SVG files are drawn, too.
export async function drawPage(page) {
  await page.evaluate(async () => {
    for (const image of document.querySelectorAll('img[src$=".svg"]')) image.dataset.svg = await (await fetch(image.src)).text();
  });
  const drawn = await page.evaluate(draw);
  assert.ok(drawn.includes("<text"), "a page without text is not drawn yet");
  return drawn;
}
