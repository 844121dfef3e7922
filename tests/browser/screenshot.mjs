// The home page of the first shopper, as a picture for the documentation.
import { writeFile } from "node:fs/promises";

import { close, goHome, open, signIn } from "./browser.mjs";
import { drawPage } from "./draw_page.mjs";

const { SHOP, PICTURE } = process.env;

try {
  const page = await open({ viewport: { width: 1200, height: 780 }, colorScheme: "light" });
  await page.goto(`${SHOP}/`);
  const first = page.locator(".shoppers button").first();
  await first.waitFor();
  await signIn(page, await first.locator("strong").innerText());
  await goHome(page);
  await page.mouse.move(0, 0);
  await page.evaluate(() => scrollTo(0, 0));
  await page.evaluate(() => Promise.all(document.getAnimations().map((one) => one.finished))); // what the mouse lifted is back
  await writeFile(PICTURE, await drawPage(page));
  console.log(`drawn: ${PICTURE}`);
} finally {
  await close();
}
