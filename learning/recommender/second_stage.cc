#include "learning/recommender/second_stage.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "learning/math/kernels.h"
#include "learning/recommender/packed_rows.h"
#include "learning/recommender/rank_flags.h"

namespace starling::learning {
namespace {

// How many candidates each source brings.
constexpr size_t kPoolHad = 220;
constexpr size_t kPoolPopular = 40;
// The user's dearest narrowest categories, and of each what is most popular.
constexpr size_t kPoolGroups = 8;
constexpr size_t kPoolOfGroup = 10;
// What speaks for an item comes by descending weight; the rest says little.
constexpr size_t kSpeakersRead = 16;
constexpr float kLately = 28;  // days
// A user is not older than this when asked: the numbers of a training are all of its end.
constexpr double kLongestAbsence = 28;  // days
constexpr float kNeverDays = 9'999;

}  // namespace

// What of the history is of which group.
void Recommender::AddUpGroups(RankScratch& scratch) const {
  if (item_groups_.empty()) return;
  const size_t count = group_offsets_.size() - 1;
  if (scratch.groups.size() < count) scratch.groups.resize(count);
  for (const RankScratch::Known& known : scratch.history) {
    for (size_t kind = 0; kind < ItemAttributes::kKinds; ++kind) {
      const uint32_t group = item_groups_[known.item * ItemAttributes::kKinds + kind];
      if (group == 0) continue;
      RankScratch::OfGroup& of_group = scratch.groups[group];
      if (of_group.items == 0) scratch.groups_used.push_back(group);
      of_group.x += known.x;
      ++of_group.items;
    }
  }
}

// Each candidate once, whatever the query excludes, and leaves scratch.scores all 0.
void Recommender::TakePool(const RankQuery& query, size_t spoken, RankScratch& scratch) const {
  float* scores = scratch.scores.data();
  auto& pool = scratch.pool;
  pool.clear();
  scratch.cold = 0;
  const auto take = [&](uint32_t item) {
    if ((scratch.flags[item] & (kHad | kOffered)) != 0) return;
    Flag(item, kOffered, scratch);
    pool.push_back({item, std::max(0.0F, MainOf(item, scratch))});
  };
  if (!query.candidates.empty()) {
    for (size_t i = 0; i < scratch.candidates; ++i) take(scratch.flagged[i]);
  } else {
    if (query.allow_repeats) {
      // By descending x is nearly by descending use.
      size_t had = 0;
      for (const RankScratch::Known& known : scratch.history) {
        if (had == kPoolHad) break;
        if (!(known.goals > 0)) continue;
        take(known.item);
        ++had;
      }
    }
    const size_t popular = std::min(popular_.size(), kPoolPopular);
    for (size_t i = 0; i < popular; ++i) take(popular_[i]);
    // Only narrowest categories have popular items of their own.
    auto& groups = scratch.groups_used;
    const size_t dearest = std::min(kPoolGroups, groups.size());
    const auto has_popular = std::partition(groups.begin(), groups.end(), [&](uint32_t group) {
      return group_offsets_[group] < group_offsets_[group + 1];
    });
    const auto end_of_dearest =
        groups.begin() + std::min(static_cast<ptrdiff_t>(dearest), has_popular - groups.begin());
    std::partial_sort(groups.begin(), end_of_dearest, has_popular, [&](uint32_t a, uint32_t b) {
      const float x = scratch.groups[a].x;
      const float y = scratch.groups[b].x;
      return x != y ? x > y : a < b;
    });
    for (auto group = groups.begin(); group != end_of_dearest; ++group) {
      const uint32_t end =
          std::min<uint32_t>(group_offsets_[*group + 1], group_offsets_[*group] + kPoolOfGroup);
      for (uint32_t i = group_offsets_[*group]; i < end; ++i) take(group_popular_[i]);
    }
    // The best by main; a buffer of twice as many is halved whenever it is full.
    const size_t first = pool.size();
    const size_t wanted = std::max(kPoolMain, query.limit);
    const auto more = [](const RankScratch::Pooled& a, const RankScratch::Pooled& b) {
      return a.main != b.main ? a.main > b.main : a.item < b.item;
    };
    float bar = std::numeric_limits<float>::min();
    const auto halve = [&] {
      const auto begin = pool.begin() + static_cast<ptrdiff_t>(first);
      const auto end = begin + static_cast<ptrdiff_t>(wanted);
      std::nth_element(begin, end - 1, pool.end(), more);
      bar = std::max(bar, (end - 1)->main);
      pool.erase(end, pool.end());
    };
    const auto offer = [&](uint32_t item) {
      if (!(scores[item] >= bar) || (scratch.flags[item] & (kHad | kOffered)) != 0) return;
      pool.push_back({item, scores[item]});
      if (pool.size() - first == 2 * wanted) halve();
    };
    if (scratch.by_index) {
      for (const ScoredItem& found : AskIndex(wanted, kHad | kOffered, scratch))
        pool.push_back({found.item, found.score});
    } else if (scratch.dense) {
      const Kernels& kernels = BestKernels();
      for (size_t i = 0; (i = kernels.find_at_least(scores, i, items(), bar)) < items(); ++i) {
        offer(static_cast<uint32_t>(i));
      }
    } else {
      for (const uint32_t item : scratch.touched) {
        offer(item);
        scores[item] = 0;  // an item may be touched twice
      }
    }
    if (pool.size() - first > wanted) halve();
    if (TellsContent()) TakeCold(spoken, scratch);
  }
  if (scratch.dense) {
    std::fill(scores, scores + items(), 0.0F);
  } else {
    for (const uint32_t item : scratch.touched) scores[item] = 0;
  }
}

void Recommender::DescribePool(const RankQuery& query, size_t spoken, RankScratch& scratch) const {
  const auto& pool = scratch.pool;
  const size_t count = pool.size();
  scratch.columns.resize(kRankFeatures * count);
  const int64_t now = Newest(query, users_.Find(query.user).has_value());
  const auto since = static_cast<float>(
      std::clamp(static_cast<double>(now - settings_.until) / kDay, 0.0, kLongestAbsence));
  const auto age = [&](float days) { return std::max(0.0F, days + since); };
  const auto lately = [&](uint32_t item) {
    return item_facts_[item * kItemFactStride + kLogBuyers28];
  };

  float items = 0, items28 = 0, new28 = 0, aged = 0, times = 0, popularity = 0;
  float prices = 0, priced = 0;
  float idle = kNeverDays;
  for (const RankScratch::Known& known : scratch.history) {
    aged += known.x;
    const float price = item_facts_[known.item * kItemFactStride + kPrice];
    prices += price * known.x;
    priced += price > 0 ? known.x : 0;
    if (!(known.goals > 0)) continue;
    ++items;
    times += known.facts.times;
    popularity += lately(known.item);
    idle = std::min(idle, age(known.facts.last_days));
    items28 += age(known.facts.last_days) < kLately ? 1.0F : 0.0F;
    new28 += age(known.facts.first_days) < kLately ? 1.0F : 0.0F;
  }
  popularity /= std::max(items, 1.0F);

  // The tenth best of what is new to the user.
  auto& ordered = scratch.ordered;
  ordered.clear();
  for (const RankScratch::Pooled& each : pool) {
    const uint32_t at = scratch.position[each.item];
    if (at == 0 || !(scratch.history[at - 1].goals > 0)) ordered.push_back(each.main);
  }
  std::sort(ordered.begin(), ordered.end(), std::greater<>());
  const float tenth = ordered.empty() ? 0 : ordered[std::min<size_t>(9, ordered.size() - 1)];
  const float scale = tenth > 0 ? 1 / tenth : 0;

  float* columns = scratch.columns.data();
  for (size_t c = 0; c < count; ++c) {
    const uint32_t item = pool[c].item;
    const auto set = [&](size_t feature, float value) { columns[feature * count + c] = value; };
    set(kMain, pool[c].main);
    set(kMainToTenth, pool[c].main * scale);
    set(kMainPlace, static_cast<float>(std::lower_bound(ordered.begin(), ordered.end(),
                                                        pool[c].main, std::greater<>()) -
                                       ordered.begin()));
    float speakers = 0, share = 0, loudest = 0;
    if (!source_offsets_.empty()) {
      const uint64_t begin = source_offsets_[item];
      const uint64_t end = std::min(source_offsets_[item + 1], begin + kSpeakersRead);
      for (uint64_t i = begin; i < end; ++i) {
        const uint32_t at = scratch.position[SourceItem(source_entries_[i])];
        if (at == 0 || at > spoken) continue;
        const float of_it = SourceShare(source_entries_[i]) / kMostShare;
        ++speakers;
        share += of_it;
        loudest = std::max(loudest, of_it * scratch.history[at - 1].x);
      }
    }
    set(kSpeakers, speakers);
    set(kSpeakersShare, share);
    set(kLoudestShare, loudest);

    const uint32_t at = scratch.position[item];
    const bool had = at != 0 && scratch.history[at - 1].goals > 0;
    const PairFacts facts = had ? scratch.history[at - 1].facts : PairFacts();
    const float last = had ? age(facts.last_days) : kNeverDays;
    const float first = had ? age(facts.first_days) : kNeverDays;
    const float gap = had ? (first - last) / std::max(facts.times - 1, 1.0F) : 0;
    set(kTimes, facts.times);
    set(kLastDays, last);
    set(kFirstDays, first);
    set(kAgedTimes, had ? scratch.history[at - 1].goals : 0);
    set(kGap, gap);
    set(kLastInGaps, had ? last / std::max(gap, 1.0F) : kNeverDays);
    set(kShareOfTimes, facts.times / std::max(times, 1.0F));

    set(kTimesLately, facts.lately);

    set(kUserItems, items);
    set(kUserIdle, idle);
    set(kUserItems28, items28);
    set(kUserNew28, new28);
    set(kUserAged, aged);
    set(kUserPopularity, popularity);
    set(kPopularityToUser, lately(item) - popularity);
    const float* of_item = item_facts_.data() + item * kItemFactStride;
    for (size_t kind = 0; kind < ItemAttributes::kKinds; ++kind) {
      const uint32_t group =
          item_groups_.empty() ? 0 : item_groups_[item * ItemAttributes::kKinds + kind];
      const RankScratch::OfGroup of_group =
          group == 0 ? RankScratch::OfGroup() : scratch.groups[group];
      set(kShareOfWidest + kind, aged > 0 ? of_group.x / aged : 0);
      if (kind == ItemAttributes::kNarrowest) set(kItemsOfNarrowest, of_group.items);
    }
    set(kPriceToUser, priced > 0 && of_item[kPrice] > 0 ? of_item[kPrice] - prices / priced : 0);
    for (size_t fact = 0; fact < kItemFacts; ++fact) set(kFirstItemFact + fact, of_item[fact]);
    const bool by_words = TellsContent() && aged > 0;
    set(kContent, by_words ? ContentOf(item, spoken, scratch) / aged : 0);
  }
  DescribeNextBasket(scratch);
}

void Recommender::TakeBestOfPool(const RankQuery& query, RankScratch& scratch) const {
  const auto& pool = scratch.pool;
  auto& best = scratch.best;
  best.clear();
  scratch.ordered.resize(pool.size());
  trees_->Score(scratch.columns.data(), pool.size(), scratch.leaf, scratch.ordered.data());
  for (size_t c = 0; c < pool.size(); ++c) {
    const uint32_t item = pool[c].item;
    if ((scratch.flags[item] & kExcluded) != 0) continue;
    const uint32_t at = scratch.position[item];
    RankedItem ranked{.item = item, .score = 1 / (1 + std::exp(-scratch.ordered[c]))};
    // One purchase is no habit, nor is a look.
    if (at != 0 && scratch.history[at - 1].facts.times > 1 && settings_.goal == Goal::kPurchase) {
      ranked.source = RankedItem::Source::kRepeat;
    } else if (MainSource() == RankedItem::Source::kFactors && !IsCold(item)) {
      ranked.source = RankedItem::Source::kFactors;
    } else if (scratch.columns[kSpeakers * pool.size() + c] > 0 ||
               (IsCold(item) && scratch.columns[kContent * pool.size() + c] > 0)) {
      ranked.source = RankedItem::Source::kSimilar;
    }
    best.push_back(ranked);
  }
  const size_t kept = std::min(query.limit, best.size());
  std::partial_sort(best.begin(), best.begin() + static_cast<ptrdiff_t>(kept), best.end(), Better);
  best.resize(kept);
  for (const RankedItem& ranked : best) Flag(ranked.item, kTaken, scratch);
}

RankExamples Recommender::Describe(const RankQuery& query, RankScratch& scratch) const {
  RankExamples examples;
  if (item_facts_.empty()) return examples;
  MakeRoom(scratch);
  Collect(query, scratch);
  MarkAllowed(query, scratch);
  if (next_basket_.has_value()) FoldInBaskets(query, scratch);
  const size_t spoken = Spoken(scratch);
  ScoreMain(spoken, scratch);
  AddUpGroups(scratch);
  TakePool(query, spoken, scratch);
  DescribePool(query, spoken, scratch);
  for (const RankScratch::Pooled& each : scratch.pool) examples.items.push_back(each.item);
  examples.columns = scratch.columns;
  examples.cold = scratch.cold;
  Clear(scratch);
  return examples;
}

}  // namespace starling::learning
