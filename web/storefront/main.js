// The frame of the shop: which page is shown, who is shopping, what is in the cart.
import { call, endSession, offers, session } from "./api.js";
import * as browse from "./browse.js";
import * as cart from "./cart.js";
import * as checkout from "./checkout.js";
import { el, notice, problem, skeleton, toast } from "./dom.js";
import { flush } from "./events.js";
import * as home from "./home.js";
import * as product from "./product.js";
import * as signIn from "./sign_in.js";

// "#/product/p-1?from=r-1" gives the page and what it is about.
function route() {
  const [location_path, search = ""] = (location.hash.slice(1) || "/").split(/\?(.*)/s);
  const [name, ...rest] = location_path.split("/").filter(Boolean);
  const query = new URLSearchParams(search);
  const found = {
    undefined: ["home", home.page], browse: ["browse", browse.page], product: ["browse", product.page],
    cart: ["cart", checkout.page], thanks: ["cart", checkout.thanks], "sign-in": ["sign-in", signIn.page],
  }[name];
  let id = rest.join("/");
  try {
    id = decodeURIComponent(id);
  } catch { /* an id as it stands */ }
  return { section: found?.[0] ?? "", page: found?.[1], query, id };
}

const content = document.getElementById("content");
let navigation = new AbortController();
let first = true;

function frame(section) {
  const user = session();
  document.getElementById("navigation").hidden = !user;
  document.getElementById("shopper").hidden = !user;
  document.getElementById("shopper-name").textContent = user?.name ?? "";
  for (const link of document.querySelectorAll("#navigation a")) {
    if (link.dataset.page === section) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const count = document.getElementById("cart-count");
  const size = cart.size();
  count.hidden = size === 0;
  count.textContent = String(size);
  count.setAttribute("aria-label", `${size} in it`);
}

const nowhere = () => ({
  title: "Not here",
  content: [el("h1", { tabindex: "-1" }, "Not here"),
    notice("There is no such page", el("p", {}, el("a", { href: "#/" }, "Back to the shop")))],
});

async function show() {
  navigation.abort();
  navigation = new AbortController();
  const { signal } = navigation;
  const { section, page = nowhere, query, id } = route();
  if (!session() && page !== signIn.page) {
    location.replace("#/sign-in");
    return;
  }
  frame(section);
  const waiting = setTimeout(() => content.replaceChildren(skeleton(4)), 150);
  let shown;
  try {
    await flush(); // what the shopper did is known before the next page is asked for
    shown = await page({ query, id, signal });
  } catch (error) {
    shown = { title: "Something went wrong", content: [problem(error, show)] };
  }
  clearTimeout(waiting);
  if (signal.aborted) return;
  document.title = `${shown.title} · Starling`;
  content.replaceChildren(...shown.content);
  scrollTo(0, 0);
  if (!first) (content.querySelector("h1") ?? content).focus({ preventScroll: true });
  first = false;
}

async function signOut() {
  await flush();
  await call("DELETE", "/v1/sessions/current").catch(() => null); // it ends by itself, too
  endSession();
  location.hash = "#/sign-in";
}

document.getElementById("sign-out").addEventListener("click", signOut);
document.getElementById("skip").addEventListener("click", () => content.focus());
window.addEventListener("hashchange", show);
window.addEventListener("cart-changed", () => frame(route().section));
window.addEventListener("session-ended", () => {
  toast("Your session has ended: please sign in again");
  location.hash = "#/sign-in";
});
window.addEventListener("storage", () => frame(route().section)); // another tab changed the cart
offers().then(({ version }) => {
  document.getElementById("version").textContent = ` ${version}`;
}, () => null);
show();
