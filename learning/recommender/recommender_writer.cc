#include "learning/recommender/recommender_writer.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "learning/ranking/item_facts.h"
#include "learning/recommender/packed_rows.h"
#include "learning/recommender/settings_row.h"

namespace starling::learning {
namespace {

constexpr size_t kMaxPopular = 5'000;
constexpr size_t kPopularOfGroup = 20;
constexpr size_t kContentNeighbours = 60;

// Both directions of the same weights.
struct Rows {
  std::vector<uint64_t> offsets;
  std::vector<uint32_t> entries;
  std::vector<uint64_t> source_offsets;
  std::vector<uint32_t> sources;
};

struct Source {
  uint32_t item;
  float weight;
};

std::string Bytes(const Model& model) {
  ArtifactWriter writer(model.kind());
  model.AddTo(writer);
  return std::move(writer).Finish();
}

// `sources`: of each item, what speaks for it.
void PackSources(std::vector<std::vector<Source>>& sources, Rows& rows) {
  rows.source_offsets.push_back(0);
  for (std::vector<Source>& into : sources) {
    std::sort(into.begin(), into.end(), [](const Source& a, const Source& b) {
      return a.weight != b.weight ? a.weight > b.weight : a.item < b.item;
    });
    for (const Source& source : into) {
      rows.sources.push_back(PackSource(source.item, source.weight, into.front().weight));
    }
    rows.source_offsets.push_back(rows.sources.size());
  }
}

// The largest weights of each row, packed; `items` rows.
StatusOr<Rows> LargestWeights(const ItemToItemModel& model, size_t items, size_t neighbours) {
  const std::string bytes = Bytes(model);
  STARLING_ASSIGN_OR_RETURN(
      const Artifact artifact,
      Artifact::Open(std::as_bytes(std::span(bytes)), nullptr, Checksums::kTrustBytes));
  STARLING_ASSIGN_OR_RETURN(const Matrix<uint64_t> offsets, artifact.Get<uint64_t>("offsets"));
  STARLING_ASSIGN_OR_RETURN(const Matrix<uint32_t> targets, artifact.Get<uint32_t>("targets"));
  STARLING_ASSIGN_OR_RETURN(const Matrix<float> weights, artifact.Get<float>("weights"));
  Rows rows;
  rows.offsets.push_back(0);
  std::vector<std::vector<Source>> sources(items);
  std::vector<uint64_t> order;
  for (size_t item = 0; item + 1 < offsets.values.size(); ++item) {
    order.resize(offsets.values[item + 1] - offsets.values[item]);
    std::iota(order.begin(), order.end(), offsets.values[item]);
    if (order.size() > neighbours) {
      std::nth_element(order.begin(), order.begin() + static_cast<ptrdiff_t>(neighbours),
                       order.end(), [&](uint64_t a, uint64_t b) {
                         const float x = std::abs(weights.values[a]);
                         const float y = std::abs(weights.values[b]);
                         return x != y ? x > y : a < b;
                       });
      order.resize(neighbours);
      std::sort(order.begin(), order.end());
    }
    uint32_t last = 0;
    for (const uint64_t i : order) {
      PackEntry(last, targets.values[i], weights.values[i], rows.entries);
      last = targets.values[i];
      if (weights.values[i] > 0) {
        sources[last].push_back({static_cast<uint32_t>(item), weights.values[i]});
      }
    }
    rows.offsets.push_back(rows.entries.size());
  }
  rows.offsets.resize(items + 1, rows.entries.size());  // of those that the model does not know
  PackSources(sources, rows);
  return rows;
}

// Each user's entries by descending x, so that those that may speak come first.
UserHistory Sorted(const UserHistory& history) {
  UserHistory sorted;
  sorted.offsets = history.offsets;
  std::vector<uint64_t> order(history.items.size());
  std::iota(order.begin(), order.end(), 0);
  for (size_t user = 0; user + 1 < history.offsets.size(); ++user) {
    std::sort(order.begin() + static_cast<ptrdiff_t>(history.offsets[user]),
              order.begin() + static_cast<ptrdiff_t>(history.offsets[user + 1]),
              [&](uint64_t a, uint64_t b) {
                return history.x[a] != history.x[b] ? history.x[a] > history.x[b]
                                                    : history.items[a] < history.items[b];
              });
  }
  for (const uint64_t i : order) {
    sorted.items.push_back(history.items[i]);
    sorted.weights.push_back(history.weights[i]);
    sorted.x.push_back(history.x[i]);
    sorted.goals.push_back(history.goals[i]);
    if (!history.facts.empty()) sorted.facts.push_back(history.facts[i]);
    if (!history.frequency.empty()) sorted.frequency.push_back(history.frequency[i]);
  }
  return sorted;
}

std::vector<uint32_t> ByPopularity(std::span<const float> popularity) {
  std::vector<uint32_t> items;
  for (uint32_t item = 0; item < popularity.size(); ++item) {
    if (popularity[item] > 0) items.push_back(item);
  }
  const size_t kept = std::min(items.size(), kMaxPopular);
  std::partial_sort(items.begin(), items.begin() + static_cast<ptrdiff_t>(kept), items.end(),
                    [&](uint32_t a, uint32_t b) {
                      return popularity[a] != popularity[b] ? popularity[a] > popularity[b] : a < b;
                    });
  items.resize(kept);
  return items;
}

Status CheckSizes(const RecommenderParts& parts) {
  const size_t items = parts.items.size();
  const auto check = [&](std::string_view field, const Model* model) {
    if (model == nullptr || model->items() <= items) return OkStatus();
    return InvalidField(field, "has {} items and there are {} names", model->items(), items);
  };
  STARLING_RETURN_IF_ERROR(check("popularity", &parts.popularity));
  STARLING_RETURN_IF_ERROR(check("similar", parts.similar));
  STARLING_RETURN_IF_ERROR(check("factors", parts.factors));
  STARLING_RETURN_IF_ERROR(check("repeat", parts.repeat));
  STARLING_RETURN_IF_ERROR(check("next_basket", parts.next_basket));
  if (parts.content != nullptr && parts.content->items() != items) {
    return InvalidField("content", "has {} items and there are {} names", parts.content->items(),
                        items);
  }
  const size_t dimension = parts.vector_dimension;
  if (!parts.vectors.empty() && (dimension == 0 || parts.vectors.size() % dimension != 0 ||
                                 parts.vectors.size() / dimension > items)) {
    return InvalidField("vectors", "has {} values of {} an item and there are {} names",
                        parts.vectors.size(), dimension, items);
  }
  if (parts.next_basket != nullptr &&
      (parts.history.frequency.size() != parts.history.items.size() ||
       parts.history.baskets.size() != parts.users.size())) {
    return InvalidField("history.frequency", "has {} values for {} entries, and baskets {} for {}",
                        parts.history.frequency.size(), parts.history.items.size(),
                        parts.history.baskets.size(), parts.users.size());
  }
  if (parts.history.offsets.size() != parts.users.size() + 1) {
    return InvalidField("history.offsets", "has {} values for {} users",
                        parts.history.offsets.size(), parts.users.size());
  }
  if (items > kMostItems) {
    return InvalidField("items", "has {} names; a recommender takes {}", items, kMostItems);
  }
  const bool facts = !parts.item_facts.empty();
  if (facts && parts.item_facts.size() != items * kItemFactStride) {
    return InvalidField("item_facts", "has {} values for {} items", parts.item_facts.size(), items);
  }
  if (facts && parts.history.facts.size() != parts.history.items.size()) {
    return InvalidField("history.facts", "has {} values for {} entries", parts.history.facts.size(),
                        parts.history.items.size());
  }
  if (parts.attributes != nullptr && parts.attributes->items() != items) {
    return InvalidField("attributes", "has {} items and there are {} names",
                        parts.attributes->items(), items);
  }
  if (parts.trees != nullptr && !facts) {
    return InvalidField("trees", "are given without item_facts, which they ask about");
  }
  if (parts.similar != nullptr && parts.factors != nullptr) {
    return InvalidField("factors", "is given beside similar; give one of them");
  }
  if (parts.graph != nullptr &&
      (parts.factors == nullptr || parts.graph->rows() != parts.factors->items())) {
    return InvalidField("graph", "has {} rows and is not of the factors", parts.graph->rows());
  }
  return OkStatus();
}

}  // namespace

StatusOr<std::string> WriteRecommender(const RecommenderParts& parts) {
  STARLING_RETURN_IF_ERROR(CheckSizes(parts));
  ArtifactWriter writer(kRecommenderKind);
  parts.items.AddTo(writer);
  const std::vector<double> settings = RowOfSettings(parts.settings);
  writer.Add<double>("settings", settings);
  const std::vector<uint8_t> algorithm(parts.algorithm.begin(), parts.algorithm.end());
  writer.Add<uint8_t>("algorithm", algorithm);

  const std::span<const float> scores = parts.popularity.scores();
  std::vector<float> popularity(scores.begin(), scores.end());
  popularity.resize(parts.items.size(), 0);
  const float most =
      popularity.empty() ? 0 : *std::max_element(popularity.begin(), popularity.end());
  for (float& score : popularity) score = most > 0 ? score / most : 0;
  writer.Add<float>("popularity", popularity);
  const std::vector<uint32_t> popular = ByPopularity(popularity);
  writer.Add<uint32_t>("popular", popular);

  Rows rows;
  if (parts.similar != nullptr) {
    STARLING_ASSIGN_OR_RETURN(rows,
                              LargestWeights(*parts.similar, parts.items.size(), parts.neighbours));
    writer.Add<uint64_t>("rows.offsets", rows.offsets);
    writer.Add<uint32_t>("rows.entries", rows.entries);
    writer.Add<uint64_t>("sources.offsets", rows.source_offsets);
    writer.Add<uint32_t>("sources.entries", rows.sources);
  }
  std::string factors;
  if (parts.factors != nullptr) {
    factors = Bytes(*parts.factors);
    writer.Add<uint8_t>("factors",
                        {reinterpret_cast<const uint8_t*>(factors.data()), factors.size()});
  }
  std::string graph;
  if (parts.graph != nullptr) {
    ArtifactWriter nested("hnsw");
    parts.graph->AddTo(nested);
    graph = std::move(nested).Finish();
    writer.Add<uint8_t>("graph", {reinterpret_cast<const uint8_t*>(graph.data()), graph.size()});
  }
  std::vector<float> propensity;
  if (parts.repeat != nullptr) {
    propensity.assign(parts.repeat->propensity().begin(), parts.repeat->propensity().end());
    propensity.resize(parts.items.size(), 0);
    writer.Add<float>("propensity", propensity);
  }
  std::string next_basket;
  if (parts.next_basket != nullptr) {
    next_basket = Bytes(*parts.next_basket);
    writer.Add<uint8_t>("next_basket",
                        {reinterpret_cast<const uint8_t*>(next_basket.data()), next_basket.size()});
  }
  Rows content;
  if (parts.content != nullptr) {
    STARLING_ASSIGN_OR_RETURN(
        content, LargestWeights(*parts.content, parts.items.size(), kContentNeighbours));
    writer.Add<uint64_t>("content.offsets", content.offsets);
    writer.Add<uint32_t>("content.entries", content.entries);
  }

  std::vector<float> vectors(parts.vectors.begin(), parts.vectors.end());
  if (!vectors.empty()) {
    vectors.resize(parts.items.size() * parts.vector_dimension, 0);
    writer.Add<float>("vectors", vectors, parts.items.size(), parts.vector_dimension);
  }

  ArtifactWriter names("users");
  parts.users.AddTo(names);
  const std::string users = std::move(names).Finish();
  writer.Add<uint8_t>("users", {reinterpret_cast<const uint8_t*>(users.data()), users.size()});
  const UserHistory history = Sorted(parts.history);
  writer.Add<uint64_t>("history.offsets", history.offsets);
  writer.Add<uint32_t>("history.items", history.items);
  writer.Add<float>("history.weights", history.weights);
  writer.Add<float>("history.x", history.x);
  writer.Add<float>("history.goals", history.goals);
  if (parts.next_basket != nullptr) {
    writer.Add<float>("history.frequency", history.frequency);
    writer.Add<uint32_t>("history.baskets", parts.history.baskets);
  }
  std::vector<float> facts;
  if (!parts.item_facts.empty()) {
    for (const PairFacts& pair : history.facts)
      facts.insert(facts.end(), {pair.times, pair.first_days, pair.last_days, pair.lately});
    writer.Add<float>("items.facts", parts.item_facts, parts.items.size(), kItemFactStride);
    writer.Add<float>("history.facts", facts, history.items.size(), kPairFacts);
  }
  PopularByGroup by_group;
  if (!parts.item_facts.empty() && parts.attributes != nullptr) {
    by_group = PopularOfGroups(*parts.attributes, parts.item_facts, kPopularOfGroup);
    writer.Add<uint32_t>("items.groups", parts.attributes->groups(), parts.items.size(),
                         ItemAttributes::kKinds);
    writer.Add<uint32_t>("groups.offsets", by_group.offsets);
    writer.Add<uint32_t>("groups.popular", by_group.items);
  }
  if (parts.trees != nullptr) parts.trees->AddTo(writer);
  return std::move(writer).Finish();
}

}  // namespace starling::learning
