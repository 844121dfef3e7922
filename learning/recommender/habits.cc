// What a recommender says by next_basket: of a user's own frequencies and of those alike.
#include <algorithm>

#include "learning/recommender/recommender.h"
#include "learning/recommender/second_stage.h"

namespace starling::learning {
namespace {

// What of a history looks for those alike: the rest is rare, and each costs its item's users.
constexpr size_t kOwnSpoken = 300;

bool MoreOften(const FrequencyEntry& a, const FrequencyEntry& b) {
  return a.weight != b.weight ? a.weight > b.weight : a.item < b.item;
}

}  // namespace

// Sets scratch.own, and of the history what newer purchases make of each frequency.
void Recommender::FoldInBaskets(const RankQuery& query, RankScratch& scratch) const {
  auto& own = scratch.own;
  own.clear();
  const size_t known = next_basket_->items();
  for (const RankScratch::Known& entry : scratch.history) {
    if (entry.frequency > 0 && entry.item < known) own.push_back({entry.item, entry.frequency});
  }
  if (!scratch.newer.empty()) {
    const std::optional<uint32_t> user = users_.Find(query.user);
    FoldIn(BasketsOf(scratch.newer, known), user.has_value() ? history_baskets_[*user] : 0,
           next_basket_->frequency(), own);
    for (const FrequencyEntry& entry : own)
      scratch.history[scratch.position[entry.item] - 1].frequency = entry.weight;
  }
  if (own.size() > kOwnSpoken) {
    std::nth_element(own.begin(), own.begin() + kOwnSpoken, own.end(), MoreOften);
    own.resize(kOwnSpoken);
  }
}

void Recommender::ScoreNextBasket(RankScratch& scratch) const {
  const float own_share = next_basket_->own_share();
  const std::span<float> scores(scratch.scores.data(), next_basket_->items());
  next_basket_->AddNeighbours(scratch.own, 1 - own_share, scratch.neighbours, scores);
  for (const RankScratch::Known& entry : scratch.history) {
    if (entry.item < scores.size()) scores[entry.item] += own_share * entry.frequency;
  }
  scratch.dense = true;
}

void Recommender::DescribeNextBasket(RankScratch& scratch) const {
  const auto& pool = scratch.pool;
  const size_t count = pool.size();
  float* columns = scratch.columns.data();
  if (!next_basket_.has_value() ||
      (trees_.has_value() && trees_->features() <= kFirstOfNextBasket)) {
    std::fill(columns + kFirstOfNextBasket * count, columns + kFirstOfContent * count, 0.0F);
    return;
  }
  const std::span<float> alike(scratch.side.data(), next_basket_->items());
  next_basket_->AddNeighbours(scratch.own, 1, scratch.neighbours, alike);
  auto& ordered = scratch.ordered;
  ordered.clear();
  for (size_t c = 0; c < count; ++c) {
    const uint32_t at = scratch.position[pool[c].item];
    const float of_alike = scratch.side[pool[c].item];
    columns[kFrequency * count + c] = at == 0 ? 0 : scratch.history[at - 1].frequency;
    columns[kAlike * count + c] = of_alike;
    if (at == 0 || !(scratch.history[at - 1].goals > 0)) ordered.push_back(of_alike);
  }
  std::sort(ordered.begin(), ordered.end(), std::greater<>());
  for (size_t c = 0; c < count; ++c) {
    const auto place = std::lower_bound(ordered.begin(), ordered.end(), columns[kAlike * count + c],
                                        std::greater<>());
    columns[kAlikePlace * count + c] = static_cast<float>(place - ordered.begin());
  }
  std::fill(alike.begin(), alike.end(), 0.0F);
}

}  // namespace starling::learning
