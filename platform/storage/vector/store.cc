#include "platform/storage/vector/store.h"

#include <absl/container/flat_hash_set.h>

#include <algorithm>
#include <cmath>

#include "platform/json/utf8.h"
#include "platform/storage/vector/scan.h"

namespace starling::vector {
namespace {

constexpr std::pair<Metric, std::string_view> kNames[] = {
    {Metric::kInnerProduct, "inner_product"}, {Metric::kCosine, "cosine"}, {Metric::kL2, "l2"}};

bool IsPlain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

bool IsText(std::string_view id) {
  while (!id.empty()) {
    if (id.front() == '\0') return false;
    const auto lead = static_cast<unsigned char>(id.front());
    const size_t length = lead < 0x80 ? 1 : json::Utf8SequenceLength(id);
    if (length == 0) return false;
    id.remove_prefix(length);
  }
  return true;
}

Status CheckId(std::string_view field, std::string_view id) {
  if (id.empty() || id.size() > kMaxIdBytes) {
    return InvalidField(field, "the id '{}' has {} bytes; give it 1 to {}", id.substr(0, 64),
                        id.size(), kMaxIdBytes);
  }
  if (!IsText(id)) return InvalidField(field, "an id of {} bytes is no UTF-8 text", id.size());
  return OkStatus();
}

// `whose`: words for the message.
Status CheckValues(std::string_view field, std::string_view whose, Metric metric,
                   std::span<const float> values) {
  for (const float value : values) {
    if (!(std::abs(value) <= kLargestValue)) {
      return InvalidField(field, "{} has the value {:g}; they are finite, {:g} at most", whose,
                          value, kLargestValue);
    }
  }
  if (metric == Metric::kCosine && Norm(values) < kShortestCosine) {
    return InvalidField(field, "{} is shorter than {:g}, and has no direction for a cosine", whose,
                        kShortestCosine);
  }
  return OkStatus();
}

}  // namespace

std::string_view Name(Metric metric) {
  for (const auto& [known, name] : kNames) {
    if (known == metric) return name;
  }
  return "";
}

StatusOr<Metric> ParseMetric(std::string_view name) {
  for (const auto& [metric, known] : kNames) {
    if (known == name) return metric;
  }
  return DataLoss("'{}' is no metric of vectors", name);
}

Status CheckCollection(std::string_view collection) {
  if (!collection.empty() && collection.size() <= kMaxNameBytes &&
      std::all_of(collection.begin(), collection.end(), IsPlain)) {
    return OkStatus();
  }
  return InvalidField("collection", "'{}' is no name of 1 to {} of a-z A-Z 0-9 . _ -",
                      collection.substr(0, kMaxNameBytes), kMaxNameBytes);
}

Status CheckShape(const Shape& shape) {
  if (shape.dimension >= 1 && shape.dimension <= kMaxDimension) return OkStatus();
  return InvalidField("shape.dimension", "{} is outside 1 to {}", shape.dimension, kMaxDimension);
}

Status CheckIds(std::string_view field, std::span<const std::string> ids, size_t limit) {
  if (ids.size() > limit) {
    return InvalidField(field, "has {} ids; at most {} are taken", ids.size(), limit);
  }
  for (const std::string& id : ids) STARLING_RETURN_IF_ERROR(CheckId(field, id));
  return OkStatus();
}

Status CheckBatch(const Shape& shape, const Batch& items, size_t limit) {
  if (items.dimension() != shape.dimension ||
      items.values().size() != items.size() * items.dimension()) {
    return InvalidField("items", "has {} vectors of {} values in all; the collection's have {}",
                        items.size(), items.values().size(), shape.dimension);
  }
  if (items.values().size() > kMaxFloats) {
    return InvalidField("items", "has {} values; at most {} are taken", items.values().size(),
                        kMaxFloats);
  }
  STARLING_RETURN_IF_ERROR(CheckIds("items", items.ids(), limit));
  absl::flat_hash_set<std::string_view> seen;
  seen.reserve(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    const std::string& id = items.ids()[i];
    if (!seen.insert(id).second) return InvalidField("items", "has '{}' twice", id);
    STARLING_RETURN_IF_ERROR(
        CheckValues("items", fmt::format("the vector of '{}'", id), shape.metric, items.row(i)));
  }
  return OkStatus();
}

Status CheckQuery(const Query& query) {
  if (query.k < 1 || query.k > kMaxNearest) {
    return InvalidField("k", "{} is outside 1 to {}", query.k, kMaxNearest);
  }
  return CheckIds("excluded", query.excluded, kMaxExcluded);
}

Status CheckQuery(const Shape& shape, const Query& query) {
  if (query.values.size() != shape.dimension) {
    return InvalidField("values", "has {} values; the collection's vectors have {}",
                        query.values.size(), shape.dimension);
  }
  return CheckValues("values", "the query", shape.metric, query.values);
}

Status NoCollection(std::string_view collection) {
  return NotFound("there is no collection '{}' of vectors", collection);
}

Status TooManyCollections() {
  return ResourceExhausted("there are {} collections of vectors; drop one first", kMaxCollections);
}

Status TooManyItems(std::string_view collection, size_t items) {
  return ResourceExhausted("collection '{}' would have {} vectors; it has {} at most", collection,
                           items, kMaxItems);
}

}  // namespace starling::vector
