// Who is shopping: one of the demonstration's shoppers, or a user with a password.
import { get, offers, post, startSession } from "./api.js";
import { el, later, notice, problem } from "./dom.js";
import { face } from "./picture.js";

const SHOWN = 24;

function arrived(user, answer) {
  startSession(user, answer);
  location.hash = "#/";
}

const noShoppers = () => notice("No shoppers yet",
  el("p", {}, "A shopper is a user. With the admin key that Starling printed at its first start, add one:"),
  el("pre", {}, `curl -X PATCH ${location.origin}/v1/users/ada -H "Authorization: Bearer $KEY" \\\n`
    + "     -H 'Content-Type: application/json' -d '{\"display_name\": \"Ada\"}'"),
  el("p", {}, "Then load this page again."));

async function choose(user, place) {
  try {
    arrived(user, await post("/demo/sessions", { user_id: user.user_id }, { token: null }));
  } catch (error) {
    place.replaceChildren(problem(error));
  }
}

async function shoppers() {
  const users = (await get(`/demo/users?limit=${SHOWN}`, { token: null })).users ?? [];
  if (users.length === 0) return noShoppers();
  const said = el("div");
  const id = el("input", { id: "demo-user", name: "user", autocomplete: "off", required: true, maxlength: 128 });
  return [
    el("ul", { class: "shoppers", role: "list" }, users.map((user) => {
      const name = user.display_name || user.user_id;
      return el("li", {}, el("button", { type: "button", "data-user": user.user_id,
        onclick: () => choose({ user_id: user.user_id, name }, said) },
      face(name), el("span", {}, el("strong", {}, name), el("small", {}, user.user_id))));
    })),
    users.length < SHOWN ? null : el("form", { class: "inline", onsubmit: (event) => {
      event.preventDefault();
      choose({ user_id: id.value, name: id.value }, said);
    } }, el("label", { for: "demo-user" }, "Somebody else, by user id"), id, el("button", {}, "Shop")),
    said,
  ];
}

function passwordForm() {
  const user = el("input", { id: "user", name: "username", autocomplete: "username", required: true, maxlength: 128 });
  const password = el("input", { id: "password", name: "password", type: "password", autocomplete: "current-password", required: true });
  const said = el("div");
  return el("form", { class: "stacked", onsubmit: async (event) => {
    event.preventDefault();
    const user_id = user.value;
    try {
      arrived({ user_id, name: user_id }, await post("/v1/sessions", { user_id, password: password.value }, { token: null }));
    } catch (error) {
      said.replaceChildren(problem(error));
    }
  } },
  el("label", { for: "user" }, "User id"), user,
  el("label", { for: "password" }, "Password"), password,
  el("button", { class: "primary" }, "Sign in"), said);
}

export function page() {
  return {
    title: "Sign in",
    content: [
      el("div", { class: "hero" },
        el("h1", { tabindex: "-1" }, "Who is shopping?"),
        el("p", {}, "Each shopper sees another shop: what it shows follows from what they did.")),
      later(async () => ((await offers()).demo_sign_in
        ? [el("h2", {}, "Shoppers of this demonstration"),
          later(shoppers, { waiting: el("p", { class: "quiet-text" }, "Looking for shoppers…"), failed: problem }),
          el("details", {}, el("summary", {}, "Sign in with a password"), passwordForm())]
        : [el("h2", {}, "Sign in"), passwordForm(),
          el("p", { class: "quiet-text" }, "To try the shop as anybody, without passwords, on your own machine: ",
            el("code", {}, "starling up --set storefront.demo_sign_in=true"))]),
      { waiting: el("p", { class: "quiet-text" }, "One moment…"), failed: problem }),
    ],
  };
}
