#include "learning/models/next_basket.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "learning/models/fit_checks.h"

namespace starling::learning {
namespace {

// By ascending item; entries of one item become one.
void Merge(std::vector<FrequencyEntry>& entries) {
  std::sort(entries.begin(), entries.end(),
            [](const FrequencyEntry& a, const FrequencyEntry& b) { return a.item < b.item; });
  size_t kept = 0;
  for (size_t i = 0; i < entries.size(); ++i) {
    if (kept > 0 && entries[kept - 1].item == entries[i].item) {
      entries[kept - 1].weight += entries[i].weight;
    } else {
      entries[kept++] = entries[i];
    }
  }
  entries.resize(kept);
}

Status CheckFrequency(const FrequencyOptions& options) {
  STARLING_RETURN_IF_ERROR(CheckAtLeast("group", options.group, 1));
  STARLING_RETURN_IF_ERROR(CheckPositive("within_decay", options.within_decay));
  STARLING_RETURN_IF_ERROR(CheckShare("within_decay", options.within_decay));
  STARLING_RETURN_IF_ERROR(CheckPositive("across_decay", options.across_decay));
  STARLING_RETURN_IF_ERROR(CheckShare("across_decay", options.across_decay));
  return CheckAtLeast("half_life", options.half_life, 0);
}

Status CheckOffsets(std::string_view name, std::span<const uint64_t> offsets, size_t values) {
  if (offsets.empty() || offsets.front() != 0 || offsets.back() != values ||
      !std::is_sorted(offsets.begin(), offsets.end())) {
    return DataLoss("section '{}' does not divide {} values", name, values);
  }
  return OkStatus();
}

Status CheckIndexes(std::string_view name, std::span<const uint32_t> indexes, size_t count) {
  if (std::any_of(indexes.begin(), indexes.end(), [&](uint32_t i) { return i >= count; })) {
    return DataLoss("section '{}' has an index beyond the {} there are", name, count);
  }
  return OkStatus();
}

}  // namespace

std::vector<FrequencyEntry> Frequencies(const Baskets& baskets, size_t begin, size_t end,
                                        const FrequencyOptions& options) {
  std::vector<FrequencyEntry> entries;
  const size_t count = end - begin;
  const auto group = static_cast<size_t>(options.group);
  for (size_t back = 0; back < count; ++back) {
    const size_t basket = end - 1 - back;
    double weight = std::pow(options.within_decay, static_cast<double>(back % group)) *
                    std::pow(options.across_decay, static_cast<double>(back / group)) /
                    static_cast<double>(count);
    if (options.half_life > 0) {
      const auto age = static_cast<double>(baskets.time(end - 1) - baskets.time(basket));
      weight *= std::exp2(-age / options.half_life);
    }
    const auto x = static_cast<float>(weight);
    if (!(x > 0)) break;  // all older ones are nothing too
    for (const uint32_t item : baskets.items_of(basket)) entries.push_back({item, x});
  }
  Merge(entries);
  return entries;
}

void FoldIn(const Baskets& newer, size_t before, const FrequencyOptions& options,
            std::vector<FrequencyEntry>& entries) {
  const size_t count = newer.size();
  if (count == 0) return;
  std::vector<FrequencyEntry> added = Frequencies(newer, 0, count, options);
  const auto group = static_cast<double>(options.group);
  const auto all = static_cast<double>(before + count);
  const double moved = std::pow(options.across_decay, static_cast<double>(count) / group);
  const auto older = static_cast<float>(moved * static_cast<double>(before) / all);
  const auto newest = static_cast<float>(static_cast<double>(count) / all);
  for (FrequencyEntry& entry : entries) entry.weight *= older;
  for (const FrequencyEntry& entry : added) entries.push_back({entry.item, entry.weight * newest});
  Merge(entries);
}

uint64_t NextBasketMemory(const Baskets& baskets, const NextBasketOptions& /*options*/) {
  // A user has no more entries than its baskets; each is held twice, once more while it is turned.
  return 24 * baskets.entries() + 12 * baskets.users() + 52 * baskets.items();
}

StatusOr<NextBasketModel> FitNextBasket(const Baskets& baskets, const NextBasketOptions& options,
                                        const Progress& progress) {
  STARLING_RETURN_IF_ERROR(CheckFrequency(options.frequency));
  STARLING_RETURN_IF_ERROR(CheckAtLeast("neighbours", options.neighbours, 1));
  STARLING_RETURN_IF_ERROR(CheckShare("own_share", options.own_share));
  STARLING_RETURN_IF_ERROR(
      CheckAtLeast("history_cap", static_cast<double>(options.history_cap), 1));
  STARLING_RETURN_IF_ERROR(CheckMemory(NextBasketMemory(baskets, options), options.memory_limit,
                                       "keep fewer interactions, or raise it when the machine has "
                                       "the memory"));
  STARLING_RETURN_IF_ERROR(ReportProgress(progress, 0));
  std::vector<uint64_t> offsets = {0};
  std::vector<uint32_t> items;
  std::vector<float> weights;
  std::vector<std::vector<FrequencyEntry>> by_item(baskets.items());
  {
    std::vector<uint32_t> counts(baskets.items(), 0);
    for (size_t basket = 0; basket < baskets.size(); ++basket) {
      for (const uint32_t item : baskets.items_of(basket)) ++counts[item];
    }
    for (size_t item = 0; item < counts.size(); ++item) by_item[item].reserve(counts[item]);
  }
  offsets.reserve(baskets.users() + 1);
  items.reserve(baskets.entries());
  weights.reserve(baskets.entries());
  for (size_t user = 0; user < baskets.users(); ++user) {
    std::vector<FrequencyEntry> own =
        Frequencies(baskets, baskets.begin(user), baskets.end(user), options.frequency);
    if (own.size() > options.history_cap) {
      std::nth_element(own.begin(), own.begin() + static_cast<ptrdiff_t>(options.history_cap),
                       own.end(), [](const FrequencyEntry& a, const FrequencyEntry& b) {
                         return a.weight != b.weight ? a.weight > b.weight : a.item < b.item;
                       });
      own.resize(options.history_cap);
      Merge(own);
    }
    double squares = 0;
    for (const FrequencyEntry& entry : own)
      squares += static_cast<double>(entry.weight) * entry.weight;
    const auto scale = static_cast<float>(squares > 0 ? 1 / std::sqrt(squares) : 0);
    for (const FrequencyEntry& entry : own) {
      items.push_back(entry.item);
      weights.push_back(entry.weight);
      by_item[entry.item].push_back({static_cast<uint32_t>(user), entry.weight * scale});
    }
    offsets.push_back(items.size());
  }
  STARLING_RETURN_IF_ERROR(ReportProgress(progress, 0.7));
  std::vector<uint64_t> item_offsets = {0};
  std::vector<uint32_t> item_users;
  std::vector<float> item_weights;
  item_users.reserve(items.size());
  item_weights.reserve(items.size());
  for (std::vector<FrequencyEntry>& of_item : by_item) {
    const size_t kept = std::min(of_item.size(), NextBasketModel::kMostUsersOfItem);
    std::nth_element(of_item.begin(), of_item.begin() + static_cast<ptrdiff_t>(kept), of_item.end(),
                     [](const FrequencyEntry& a, const FrequencyEntry& b) {
                       return a.weight != b.weight ? a.weight > b.weight : a.item < b.item;
                     });
    of_item.resize(kept);
    std::sort(of_item.begin(), of_item.end(),
              [](const FrequencyEntry& a, const FrequencyEntry& b) { return a.item < b.item; });
    for (const FrequencyEntry& entry : of_item) {
      item_users.push_back(entry.item);
      item_weights.push_back(entry.weight);
    }
    of_item = {};
    item_offsets.push_back(item_users.size());
  }
  NextBasketModel model;
  model.parameters_ = Array(std::vector<double>{
      static_cast<double>(options.frequency.group), options.frequency.within_decay,
      options.frequency.across_decay, options.frequency.half_life,
      static_cast<double>(options.neighbours), options.own_share});
  model.ReadParameters();
  model.offsets_ = Array(std::move(offsets));
  model.entry_items_ = Array(std::move(items));
  model.weights_ = Array(std::move(weights));
  model.item_offsets_ = Array(std::move(item_offsets));
  model.item_users_ = Array(std::move(item_users));
  model.item_weights_ = Array(std::move(item_weights));
  STARLING_RETURN_IF_ERROR(ReportProgress(progress, 1));
  return model;
}

void NextBasketModel::ReadParameters() {
  frequency_ = {.group = static_cast<int>(parameters_[0]),
                .within_decay = parameters_[1],
                .across_decay = parameters_[2],
                .half_life = parameters_[3]};
  neighbours_ = static_cast<size_t>(parameters_[4]);
  own_share_ = static_cast<float>(parameters_[5]);
}

StatusOr<NextBasketModel> NextBasketModel::Open(const Artifact& artifact) {
  NextBasketModel model;
  STARLING_ASSIGN_OR_RETURN(model.parameters_, artifact.Get<double>("parameters", 6));
  for (const size_t whole : {0, 4}) {
    if (!(model.parameters_[whole] >= 1 && model.parameters_[whole] <= 1e9))
      return DataLoss("section 'parameters' has the count {}", model.parameters_[whole]);
  }
  model.ReadParameters();
  STARLING_RETURN_IF_ERROR(CheckFrequency(model.frequency_));
  STARLING_RETURN_IF_ERROR(CheckShare("own_share", model.own_share_));
  STARLING_ASSIGN_OR_RETURN(const Matrix<uint64_t> offsets, artifact.Get<uint64_t>("offsets"));
  STARLING_ASSIGN_OR_RETURN(const Matrix<uint32_t> items, artifact.Get<uint32_t>("items"));
  STARLING_ASSIGN_OR_RETURN(const Matrix<uint64_t> item_offsets,
                            artifact.Get<uint64_t>("item.offsets"));
  STARLING_ASSIGN_OR_RETURN(const Matrix<uint32_t> users, artifact.Get<uint32_t>("item.users"));
  model.offsets_ = offsets.values;
  model.entry_items_ = items.values;
  model.item_offsets_ = item_offsets.values;
  model.item_users_ = users.values;
  STARLING_ASSIGN_OR_RETURN(model.weights_,
                            artifact.Get<float>("weights", model.entry_items_.size()));
  STARLING_ASSIGN_OR_RETURN(model.item_weights_,
                            artifact.Get<float>("item.weights", model.item_users_.size()));
  STARLING_RETURN_IF_ERROR(CheckOffsets("offsets", model.offsets_, model.entry_items_.size()));
  STARLING_RETURN_IF_ERROR(
      CheckOffsets("item.offsets", model.item_offsets_, model.item_users_.size()));
  STARLING_RETURN_IF_ERROR(CheckIndexes("items", model.entry_items_, model.items()));
  STARLING_RETURN_IF_ERROR(CheckIndexes("item.users", model.item_users_, model.users()));
  return model;
}

void NextBasketModel::AddTo(ArtifactWriter& writer) const {
  writer.Add<double>("parameters", parameters_);
  writer.Add<uint64_t>("offsets", offsets_);
  writer.Add<uint32_t>("items", entry_items_);
  writer.Add<float>("weights", weights_);
  writer.Add<uint64_t>("item.offsets", item_offsets_);
  writer.Add<uint32_t>("item.users", item_users_);
  writer.Add<float>("item.weights", item_weights_);
}

void NextBasketModel::AddNeighbours(std::span<const FrequencyEntry> own, float scale,
                                    NeighbourScratch& scratch, std::span<float> scores) const {
  auto& [dots, alike] = scratch;
  if (dots.size() < users()) dots.resize(users(), 0.0F);
  alike.clear();
  for (const FrequencyEntry& entry : own) {
    for (uint64_t i = item_offsets_[entry.item]; i < item_offsets_[entry.item + 1]; ++i) {
      float& dot = dots[item_users_[i]];
      const float more = entry.weight * item_weights_[i];
      if (!(more > 0)) continue;
      if (dot == 0) alike.push_back(item_users_[i]);
      dot += more;
    }
  }
  const size_t found = alike.size();
  const size_t kept = std::min(found, neighbours_);
  std::nth_element(
      alike.begin(), alike.begin() + static_cast<ptrdiff_t>(kept), alike.end(),
      [&](uint32_t a, uint32_t b) { return dots[a] != dots[b] ? dots[a] > dots[b] : a < b; });
  const float of_each = scale / static_cast<float>(std::max<size_t>(kept, 1));
  for (size_t n = 0; n < kept; ++n) {
    for (uint64_t i = offsets_[alike[n]]; i < offsets_[alike[n] + 1]; ++i)
      scores[entry_items_[i]] += of_each * weights_[i];
  }
  for (const uint32_t user : alike) dots[user] = 0;
}

void NextBasketModel::Score(History history, int64_t /*now*/, std::span<float> scores) const {
  std::fill(scores.begin(), scores.end(), 0.0F);
  const Baskets baskets = BasketsOf(history, items());
  const std::vector<FrequencyEntry> own = Frequencies(baskets, 0, baskets.size(), frequency_);
  NeighbourScratch scratch;
  AddNeighbours(own, 1 - own_share_, scratch, scores);
  for (const FrequencyEntry& entry : own) scores[entry.item] += own_share_ * entry.weight;
}

std::vector<std::optional<uint32_t>> NextBasketModel::Explain(
    History history, int64_t /*now*/, std::span<const uint32_t> items) const {
  std::vector<std::optional<uint32_t>> reasons(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    const bool had = std::any_of(history.begin(), history.end(),
                                 [&](const HistoryItem& event) { return event.item == items[i]; });
    if (had && items[i] < this->items()) reasons[i] = items[i];
  }
  return reasons;
}

}  // namespace starling::learning
