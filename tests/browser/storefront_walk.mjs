// What the storefront does at its edges: without shoppers, products or a model, with odd titles, when the shop fails.
import assert from "node:assert/strict";

import { cards, close, homeOnce, mayComplainOf, open, signIn, step } from "./browser.mjs";
import { api, EVIL, fill, history } from "./shop_api.mjs";

const { SHOP, PACKAGES } = process.env;
const counts = (events, type) => events.filter((one) => one.type === type).map((one) => one.product_id).sort();

try {
  const page = await open();

  await step("without shoppers the page says how to add one", async () => {
    await page.goto(`${SHOP}/`);
    await page.getByText("No shoppers yet").waitFor();
    await page.getByText("curl -X PATCH").waitFor();
  });

  await step("without products the shelves say how to import some", async () => {
    await api("PATCH", "/v1/users/eve", { display_name: "Eve" });
    await signIn(page, "Eve");
    await page.getByText("The shelves are empty").waitFor();
    await page.getByText("/v1/products:import").waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Who is shopping?" }).waitFor();
  });

  const products = await fill();

  await step("a shopper is chosen by the keyboard alone", async () => {
    await page.reload();
    await page.getByRole("button", { name: "Ada" }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "Ada" }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.tagName), "H1", "the new page's heading has the focus");
  });

  const { paths } = await (await fetch(`${SHOP}/openapi.json`)).json();
  const recommends = "/v1/recommendations" in paths;
  if (!recommends) {
    await step("where there is no recommendation service the page says so kindly, and shows the catalogue", async () => {
      await page.getByRole("heading", { name: "No recommendations here yet" }).waitFor();
      await page.getByRole("heading", { name: "From the catalogue" }).waitFor();
    });
  } else {
    await step("the home page shows recommendations with reasons, and who made them", async () => {
      const shown = await homeOnce(page, (found) => found.length > 0);
      assert.ok(shown.every((one) => one.reason !== ""), `each card says why it is there: ${JSON.stringify(shown)}`);
      assert.match(await page.locator(".provenance").innerText(), /(Ranked by \S+|No model answered).* recommendation \S+/s);
    });
  }

  await step("browsing goes by category, and page after page", async () => {
    await page.getByRole("link", { name: "Browse" }).click();
    await page.getByText("24 of 40 products").waitFor();
    await page.getByRole("button", { name: "Show more" }).click();
    await page.getByText("40 of 40 products").waitFor();
    assert.equal(await cards(page).count(), 40);
    assert.equal(await page.getByRole("button", { name: "Show more" }).count(), 0);
    await page.getByRole("navigation", { name: "Categories" }).getByRole("link", { name: "fruit" }).click();
    await page.getByText("10 of 10 products").waitFor();
    await page.getByRole("link", { name: "All", exact: true }).click();
    await page.getByText("24 of 40 products").waitFor();
  });

  await step("a title that looks like markup is text", async () => {
    await page.getByText(EVIL, { exact: true }).first().waitFor();
    assert.equal(await page.locator(".title b, .title img").count(), 0);
  });

  await step("the same product has the same picture, and another one another", async () => {
    const drawing = (id) => page.locator(`[data-product="${id}"] svg`).evaluate((node) => node.outerHTML.replace(/drawing-\d+/g, ""));
    const before = [await drawing("p-00"), await drawing("p-01")];
    assert.notEqual(before[0], before[1]);
    await page.reload();
    await page.getByText("24 of 40 products").waitFor();
    assert.deepEqual([await drawing("p-00"), await drawing("p-01")], before);
  });

  await step("a product page shows the product, and what is out of stock cannot be bought", async () => {
    await page.goto(`${SHOP}/#/product/p-03`);
    await page.getByRole("heading", { level: 1, name: "Espresso beans" }).waitFor();
    await page.getByText("Out of stock").waitFor();
    assert.equal(await page.locator("article").getByRole("button").count(), 0);
    mayComplainOf("404");
    await page.goto(`${SHOP}/#/product/none`);
    await page.getByText("'none' is not in the catalogue").waitFor();
  });

  await step("what is put in the cart is counted, summed and kept", async () => {
    await page.goto(`${SHOP}/#/browse`);
    await page.locator('[data-product="p-00"] a').click();
    await page.getByRole("heading", { level: 1, name: "Whole milk" }).waitFor();
    await page.getByLabel("Quantity").fill("2");
    await page.getByRole("button", { name: "Add to cart" }).click();
    await page.getByText("Whole milk is in the cart").waitFor();
    await page.goto(`${SHOP}/#/browse`);
    await page.getByRole("button", { name: "Add Rye bread to the cart", exact: true }).click();
    await page.getByRole("button", { name: "Add Red apples to the cart", exact: true }).click();
    await page.reload();
    await page.getByRole("link", { name: "Cart" }).click();
    await page.getByText("Total").waitFor();
    assert.equal(await page.locator("#cart-count").innerText(), "4");
    assert.match(await page.locator(".total").innerText(), /€8\.00/); // 2 x 1.25 + 2.25 + 3.25
    await page.getByRole("button", { name: "Take Red apples out of the cart" }).click();
    await page.getByText("€4.75").waitFor();
  });

  await step("an error of the shop is told, and nothing is lost by it", async () => {
    mayComplainOf("503");
    await page.route("**/v1/events", (route) => route.fulfill({ status: 503, contentType: "application/problem+json",
      body: JSON.stringify({ title: "Service Unavailable", status: 503, detail: "the disk is full", trace_id: "4bf9" }) }));
    await page.getByRole("button", { name: "Buy" }).click();
    await page.getByRole("alert").getByText("the disk is full").waitFor();
    await page.getByRole("alert").getByText("4bf9").waitFor();
    assert.equal(await page.locator("#cart-count").innerText(), "3");
    await page.unroute("**/v1/events");
  });

  await step("buying empties the cart and is thanked for", async () => {
    await page.getByRole("button", { name: "Buy" }).click();
    await page.getByRole("heading", { name: "Thank you" }).waitFor();
    assert.equal(await page.locator("#cart-count").isVisible(), false);
  });

  await step("what was done stands in the shopper's history", async () => {
    const events = await history("ada", (found) => counts(found, "purchase").length >= 2 && counts(found, "cart").length >= 3);
    assert.deepEqual(counts(events, "purchase"), ["p-00", "p-01"]);
    assert.deepEqual(counts(events, "cart"), ["p-00", "p-01", "p-02"]);
    assert.deepEqual(counts(events, "view"), ["p-00", "p-03"]);
    assert.deepEqual(counts(events, "click"), ["p-00"]);
    assert.equal(events.find((one) => one.type === "purchase" && one.product_id === "p-00").quantity, 2);
  });

  await step("the home page has changed by it, and another shopper's has not", async () => {
    await page.getByRole("link", { name: "See what has changed for you" }).click();
    await page.getByRole("heading", { name: "Where you left off" }).waitFor();
    await page.locator('[aria-labelledby="left-off"] [data-product="p-00"]').getByText("You bought this").waitFor();
    await page.screenshot({ path: `${PACKAGES}/storefront.png`, fullPage: true });
    const other = await open();
    await signIn(other, "Bob");
    await other.getByRole("navigation", { name: "Categories" }).waitFor();
    assert.equal(await other.getByText("Where you left off").count(), 0);
    await other.context().close();
  });

  await step("what follows from a recommendation says so: impressions, clicks, views, carts, purchases", async () => {
    // The answer is the contract's, so that this holds whichever service gives it.
    const shopper = await open({ colorScheme: "dark" });
    const told = [];
    shopper.on("request", (request) => {
      if (request.url().endsWith("/v1/events")) told.push(...request.postDataJSON().events);
    });
    await shopper.route("**/storefront.json", (route) => route.fulfill({ json: { version: "0", demo_sign_in: true, recommendations: true } }));
    const answered = (id, ids) => ({ recommendation_id: id, model: { name: "als", version: "7" }, degraded: ["profile"],
      items: ids.map((one) => ({ product: products[one], score: 1, reason: `because of <i>${one}</i>` })) });
    const asked = [];
    await shopper.route("**/v1/recommendations?*", (route) => {
      asked.push(new URL(route.request().url()).search);
      return route.fulfill({ json: answered("rec-1", [5, 6, 7]) });
    });
    await shopper.route("**/similar?*", (route) => route.fulfill({ json: answered("rec-2", [8]) }));
    await signIn(shopper, "Bob");
    await shopper.getByText("because of <i>5</i>").waitFor();
    assert.match(await shopper.locator(".provenance").innerText(), /Ranked by als 7 · recommendation rec-1.*fallback: your profile/s);
    await shopper.locator('[data-product="p-06"] a').click();
    await shopper.getByRole("heading", { name: "Goes well with it" }).waitFor();
    await shopper.getByText("because of <i>8</i>").waitFor();
    await shopper.screenshot({ path: `${PACKAGES}/storefront_dark.png` });
    await shopper.getByRole("button", { name: "Buy now" }).click();
    await shopper.getByRole("heading", { name: "Goes with your cart" }).waitFor();
    await shopper.getByRole("button", { name: "Buy", exact: true }).click();
    await shopper.getByRole("heading", { name: "Thank you" }).waitFor();
    assert.deepEqual(asked.slice(0, 2), ["?limit=10&context=home", "?limit=6&context=cart&product_ids=p-06"]);
    const by = (type, id) => told.filter((one) => one.type === type && one.recommendation_id === id).map((one) => one.product_id);
    assert.deepEqual(new Set(by("impression", "rec-1")), new Set(["p-05", "p-06", "p-07"]));
    assert.deepEqual(by("impression", "rec-2"), ["p-08"]);
    for (const type of ["click", "view", "cart", "purchase"]) assert.deepEqual(by(type, "rec-1"), ["p-06"], type);
    assert.ok(told.every((one) => one.user_id === "bob" && one.event_id.length === 32));
    await history("bob", (found) => counts(found, "purchase").includes("p-06")); // the shop took them
    await shopper.context().close();
  });

  if (recommends) {
    await step("after a purchase the recommendations are others, and events name the recommendation that was served", async () => {
      const told = [];
      page.on("request", (request) => {
        if (request.url().endsWith("/v1/events")) told.push(...request.postDataJSON().events);
      });
      const before = await homeOnce(page, (found) => found.length > 0);
      const served = await page.locator(".provenance code").innerText();
      await page.locator(".recommended .card:not(.bones) a").first().click();
      await page.getByRole("button", { name: "Buy now" }).click();
      await page.getByRole("button", { name: "Buy", exact: true }).click();
      await page.getByRole("heading", { name: "Thank you" }).waitFor();
      assert.ok(told.some((one) => one.type === "purchase" && one.recommendation_id === served));
      await homeOnce(page, (found) => found.length > 0 && JSON.stringify(found) !== JSON.stringify(before));
    });
  }

  await step("a session that has ended leads to the sign-in", async () => {
    mayComplainOf("401");
    await page.evaluate(() => {
      const session = JSON.parse(localStorage.getItem("starling.session"));
      localStorage.setItem("starling.session", JSON.stringify({ ...session, access_token: `${session.access_token}x` }));
    });
    await page.goto(`${SHOP}/#/browse`);
    await page.getByRole("heading", { name: "Who is shopping?" }).waitFor();
  });

  await step("on a phone nothing is wider than the screen", async () => {
    const phone = await open({ viewport: { width: 360, height: 740 } });
    await signIn(phone, "Ada");
    for (const place of ["#/browse", "#/product/p-00", "#/cart", "#/"]) {
      await phone.goto(`${SHOP}/${place}`);
      await phone.waitForTimeout(500);
      assert.ok(await phone.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${place} scrolls sideways`);
    }
    await phone.screenshot({ path: `${PACKAGES}/storefront_phone.png` });
    await phone.context().close();
  });
} finally {
  await close();
}
