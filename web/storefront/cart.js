// The cart: lines {product, quantity, recommendation_id, purchase_id}, kept in this browser, one cart a shopper. The
// purchase_id names the line's purchase: bought again after an answer that was lost, it counts once.
import { session } from "./api.js";
import { newId } from "./events.js";

const MOST_LINES = 100;
const MOST_OF_ONE = 99;

const key = () => `starling.cart.${session()?.user_id ?? ""}`;

export function lines() {
  try {
    const found = JSON.parse(localStorage.getItem(key()));
    return Array.isArray(found) ? found : [];
  } catch {
    return [];
  }
}

function keep(next) {
  localStorage.setItem(key(), JSON.stringify(next));
  window.dispatchEvent(new Event("cart-changed"));
}

export const size = () => lines().reduce((sum, line) => sum + line.quantity, 0);

export function setQuantity(productId, quantity) {
  keep(lines().map((line) => (line.product.product_id === productId
    ? { ...line, purchase_id: newId(), quantity: Math.min(MOST_OF_ONE, Math.max(0, Math.floor(quantity) || 0)) } : line))
    .filter((line) => line.quantity > 0));
}

// False when the cart is full.
export function add(product, quantity, recommendationId) {
  const now = lines();
  const old = now.find((line) => line.product.product_id === product.product_id);
  if (old) {
    setQuantity(product.product_id, old.quantity + quantity);
    return true;
  }
  if (now.length >= MOST_LINES) return false;
  keep([...now, { product, quantity: Math.min(MOST_OF_ONE, quantity), recommendation_id: recommendationId, purchase_id: newId() }]);
  return true;
}

// The products as the catalogue has them now; those that are gone are taken out.
export function refresh(products) {
  const byId = new Map(products.map((product) => [product.product_id, product]));
  keep(lines().filter((line) => byId.has(line.product.product_id))
    .map((line) => ({ ...line, product: byId.get(line.product.product_id) })));
}

export const empty = () => keep([]);
