// A walk through the shop in Chromium: steps that are sentences, and pages that may complain of nothing.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const { SHOP, CHROMIUM, PACKAGES } = process.env;
const { chromium } = createRequire(`${PACKAGES}/`)("playwright-core");

const wrong = []; // what a page complained of
let expected = []; // what it may complain of in this step

export const mayComplainOf = (...texts) => { expected = texts; };

// The first step that does not hold ends the walk.
export async function step(sentence, does) {
  try {
    await does();
    assert.deepEqual(wrong, [], "the page complained");
  } catch (error) {
    console.error(`not so: ${sentence}`);
    throw error;
  }
  expected = [];
  console.log(`ok: ${sentence}`);
}

const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
export const close = () => browser.close();

// A page of a visitor of its own, 1280 x 900 when not said.
export async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: "en-GB", ...options });
  context.setDefaultTimeout(15000);
  const page = await context.newPage();
  page.on("console", (message) => {
    if (message.type() === "error" && !expected.some((text) => message.text().includes(text))) wrong.push(message.text());
  });
  page.on("pageerror", (error) => wrong.push(error.stack));
  page.on("request", (request) => {
    if (!request.url().startsWith(SHOP) && !request.url().startsWith("data:")) wrong.push(`asked another place: ${request.url()}`);
  });
  return page;
}

export async function signIn(page, name) {
  await page.goto(`${SHOP}/`);
  await page.getByRole("button", { name }).first().click();
  await page.getByRole("heading", { level: 1, name }).waitFor();
}

// The cards that are there, not those that stand in for what is still to come.
export const cards = (page, within = "") => page.locator(`${within} .card:not(.bones)`);

// The home page, asked for anew.
export async function goHome(page) {
  await page.goto(`${SHOP}/#/cart`);
  await page.getByRole("heading", { level: 1, name: "Your cart" }).waitFor();
  await page.goto(`${SHOP}/#/`);
  await page.locator('.recommended [aria-busy="false"]').waitFor();
}

// What the recommended cards say: product, title, price, reason.
export const recommendedCards = (page) => cards(page, ".recommended").evaluateAll((all) => all.map((one) => ({
  product: one.dataset.product,
  title: one.querySelector(".title")?.textContent ?? "",
  price: one.querySelector(".price")?.textContent ?? "",
  reason: one.querySelector(".reason")?.textContent ?? "",
})));

// The recommended cards of the home page, once `wanted` takes them. What is popular, and what a shopper did, comes to the
// service by the event log, and may be some seconds old.
export async function homeOnce(page, wanted) {
  let shown = [];
  for (let i = 0; i < 40; i += 1) {
    await goHome(page);
    shown = await recommendedCards(page);
    if (await wanted(shown)) return shown;
    await page.waitForTimeout(500);
  }
  throw new Error(`the recommendations of the home page are not as wanted: ${JSON.stringify(shown, null, 1)}`);
}
