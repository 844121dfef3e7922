// Recommended products: the cards, and a line that says who recommended them. What comes into view is told to the shop
// as an impression of that recommendation, once a product.
import { get, offers, query } from "./api.js";
import { card, grid } from "./cards.js";
import { el, later, notice, problem, skeleton } from "./dom.js";
import { tell } from "./events.js";

const DEGRADED = {
  profile: "your profile",
  inference: "the model",
  vectors: "what is alike",
  catalog: "the catalogue",
};

function provenance(answer) {
  const degraded = answer.degraded ?? [];
  const model = answer.model
    ? ["Ranked by ", el("strong", {}, `${answer.model.name} ${answer.model.version ?? ""}`.trim())]
    : ["No model answered: what is popular stands in"];
  return el("p", { class: "provenance" }, model,
    answer.recommendation_id ? [" · recommendation ", el("code", {}, answer.recommendation_id)] : null,
    degraded.length > 0
      ? el("span", { class: "degraded" },
        `answered from a fallback: ${degraded.map((part) => DEGRADED[part] ?? part).join(", ")}`)
      : null);
}

function watchImpressions(list, recommendationId) {
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      seen.unobserve(entry.target);
      tell("impression", entry.target.dataset.product, { recommendation_id: recommendationId });
    }
  }, { threshold: 0.5 });
  for (const item of list.children) seen.observe(item);
}

function shown(answer, kind, nothing) {
  const items = (answer.items ?? []).filter((item) => item.product);
  if (items.length === 0) return nothing;
  const list = grid(items.map((item) =>
    card(item.product, { note: item.reason, recommendationId: answer.recommendation_id })), kind);
  watchImpressions(list, answer.recommendation_id);
  return [list, provenance(answer)];
}

// True when this process has a recommendation service.
export const offered = async () => (await offers()).recommendations === true;

const absent = () => notice("No recommendations here yet",
  el("p", {}, "This Starling runs without its recommendation service, so nobody picks products for you. All else works: "
    + "browse, look, buy. What you do is kept, and counts from the day the service runs."));

// A section that fills itself. `url`: "/v1/recommendations" and its parameters; `nothing`: shown when none came;
// `without`: shown where there is no such service (null: nothing at all).
export function recommended({ heading, url, parameters, kind = "grid", count = 5, nothing, without = absent() }) {
  const id = `recommended-${Math.random().toString(36).slice(2)}`;
  const section = el("section", { class: "recommended", "aria-labelledby": id }, el("h2", { id }, heading));
  const load = async () => {
    if (!await offered()) {
      section.querySelector("h2").hidden = true;
      if (without === null) section.hidden = true;
      return without;
    }
    return shown(await get(url + query(parameters)), kind, nothing);
  };
  section.append(later(load, { waiting: skeleton(count, kind), failed: problem }));
  return section;
}
