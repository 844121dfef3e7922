// One thing that a user did with a product, as this service keeps it and computes with it.
#pragma once

#include <cstdint>
#include <string_view>

namespace starling::features {

// The numbers of the contract's InteractionType, which are also those on the disk.
enum class Kind : uint8_t {
  kView = 1,
  kClick = 2,
  kCart = 3,
  kPurchase = 4,
  kRate = 5,
  kImpression = 6,
  kCustom = 7,
};
inline constexpr int kKinds = 8;  // with the unused 0

// The kind of an event's type; what has no kind of its own is kCustom.
inline Kind KindOf(std::string_view type) {
  if (type == "view") return Kind::kView;
  if (type == "click") return Kind::kClick;
  if (type == "cart") return Kind::kCart;
  if (type == "purchase") return Kind::kPurchase;
  if (type == "rate") return Kind::kRate;
  if (type == "impression") return Kind::kImpression;
  return Kind::kCustom;
}

struct Interaction {
  int64_t time = 0;    // seconds since 1970
  uint32_t other = 0;  // the product of a user's interaction, the user of a product's
  Kind kind = Kind::kCustom;
  float quantity = 1;
  float price = 0;  // of one; 0: not known
};

}  // namespace starling::features
