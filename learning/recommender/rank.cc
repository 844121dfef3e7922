// How a recommender ranks. All state of a call is in its scratch, of which every entry that was
// written is cleared at the end, so a call's cost does not depend on the catalogue.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "learning/math/kernels.h"
#include "learning/recommender/packed_rows.h"
#include "learning/recommender/rank_flags.h"

namespace starling::learning {
namespace {

constexpr size_t kRowsAhead = 2;
constexpr size_t kPerCacheLine = 16;

using Source = RankedItem::Source;

// Keeps the best `limit` as a heap whose front is the worst of them.
void Keep(const RankedItem& item, size_t limit, std::vector<RankedItem>& best) {
  if (best.size() == limit) {
    std::pop_heap(best.begin(), best.end(), Better);
    best.pop_back();
  }
  best.push_back(item);
  std::push_heap(best.begin(), best.end(), Better);
}

}  // namespace

void Recommender::Flag(uint32_t item, uint8_t flag, RankScratch& scratch) {
  if (scratch.flags[item] == 0) scratch.flagged.push_back(item);
  scratch.flags[item] |= flag;
}

// The time that ages are counted from.
int64_t Recommender::Newest(const RankQuery& query, bool known) const {
  int64_t newest = known ? settings_.until : std::numeric_limits<int64_t>::min();
  for (const RankSignal& signal : query.signals) {
    newest = std::max(newest, signal.time > 0 ? signal.time : query.now);
  }
  return std::min(newest, query.now);
}

// The kind of event whose strength is `weight`, when it is the only one.
EventKind Recommender::KindOf(float weight) const {
  EventKind found = EventKind::kOther;
  for (size_t kind = 0; kind < kEventKinds; ++kind) {
    if (static_cast<float>(settings_.strength[kind]) != weight) continue;
    if (found != EventKind::kOther) return EventKind::kOther;
    found = static_cast<EventKind>(kind);
  }
  return found;
}

// The user's history: what the artifact has, and newer signals.
void Recommender::Collect(const RankQuery& query, RankScratch& scratch) const {
  scratch.history.clear();
  scratch.newer.clear();
  const std::optional<uint32_t> user = users_.Find(query.user);
  const int64_t now = Newest(query, user.has_value());
  if (user.has_value()) {
    const auto aged = static_cast<float>(Decay(settings_.half_life, settings_.until, now));
    const auto goals_aged =
        static_cast<float>(Decay(settings_.repeat_half_life, settings_.until, now));
    const uint64_t end = history_offsets_[*user + 1];
    for (uint64_t i = history_offsets_[*user]; i < end; ++i) {
      const float x = history_x_[i] * aged;
      // What was bought stays bought, however long ago.
      const float goals = history_goals_[i] > 0 ? std::max(history_goals_[i] * goals_aged,
                                                           std::numeric_limits<float>::min())
                                                : 0;
      scratch.history.push_back(
          {history_items_[i], history_weights_[i], x > 0 ? x : 0, goals, EventKind::kOther, {}});
      if (!history_facts_.empty()) {
        const float* facts = history_facts_.data() + i * kPairFacts;
        scratch.history.back().facts = {facts[0], facts[1], facts[2], facts[3]};
      }
      if (next_basket_.has_value()) scratch.history.back().frequency = history_frequency_[i];
      scratch.position[history_items_[i]] = static_cast<uint32_t>(scratch.history.size());
    }
  }
  for (const RankSignal& signal : query.signals) {
    const int64_t time = signal.time > 0 ? signal.time : query.now;
    if (user.has_value() && time <= settings_.until) continue;
    const float weight =
        signal.weight > 0
            ? signal.weight
            : static_cast<float>(settings_.strength[static_cast<size_t>(signal.kind)]);
    if (!(weight > 0) || !std::isfinite(weight)) continue;
    const std::optional<uint32_t> item = ids_.Find(signal.item);
    if (!item.has_value()) continue;
    uint32_t& at = scratch.position[*item];
    if (at == 0) {
      scratch.history.push_back({*item, 0, 0, 0, EventKind::kOther, {}});
      at = static_cast<uint32_t>(scratch.history.size());
    }
    RankScratch::Known& known = scratch.history[at - 1];
    if (weight >= known.weight) {
      known.weight = weight;
      known.kind = signal.kind;
    }
    known.x =
        std::max(known.x, known.weight * static_cast<float>(Decay(settings_.half_life, time, now)));
    if (settings_.goal == Goal::kAnything || signal.kind == EventKind::kPurchase) {
      const auto days = static_cast<float>(static_cast<double>(settings_.until - time) / kDay);
      if (known.facts.times == 0) known.facts.first_days = days;
      known.facts.last_days = known.facts.times == 0 ? days : std::min(known.facts.last_days, days);
      ++known.facts.times;
      if (next_basket_.has_value()) scratch.newer.push_back({*item, 1, time});
      known.facts.lately += 1;  // it is later than what the others are aged to
      known.goals += std::max(static_cast<float>(Decay(settings_.repeat_half_life, time, now)),
                              std::numeric_limits<float>::min());
    }
  }
}

// Candidates are flagged first, so they are the first of scratch.flagged.
void Recommender::MarkAllowed(const RankQuery& query, RankScratch& scratch) const {
  for (const std::string_view id : query.candidates) {
    if (const auto item = ids_.Find(id)) Flag(*item, kCandidate, scratch);
  }
  scratch.candidates = scratch.flagged.size();
  for (const std::string_view id : query.excluded) {
    if (const auto item = ids_.Find(id)) Flag(*item, kUnwanted, scratch);
  }
  if (query.allow_repeats) return;
  for (const RankScratch::Known& known : scratch.history) {
    if (known.goals > 0) Flag(known.item, kHad, scratch);
  }
}

// Brings the entries that may speak to the front; gives their number.
size_t Recommender::Spoken(RankScratch& scratch) const {
  auto& history = scratch.history;
  if (history.size() <= settings_.history_cap) return history.size();
  const auto louder = [](const RankScratch::Known& a, const RankScratch::Known& b) {
    return a.x != b.x ? a.x > b.x : a.item < b.item;
  };
  const auto cap = history.begin() + static_cast<ptrdiff_t>(settings_.history_cap);
  if (!std::is_sorted(history.begin(), history.end(), louder)) {
    std::nth_element(history.begin(), cap, history.end(), louder);
  }
  for (size_t i = 0; i < history.size(); ++i) {
    scratch.position[history[i].item] = static_cast<uint32_t>(i + 1);
  }
  return settings_.history_cap;
}

// Adds up scratch.scores; with an index it only makes the user's vector. Where the rows have more
// entries than a part of the catalogue has items, reading all scores is cheaper than listing those
// that were written.
void Recommender::ScoreMain(size_t spoken, RankScratch& scratch) const {
  scratch.touched.clear();
  scratch.dense = false;
  scratch.by_index = false;
  scratch.unseen = 0;
  if (spoken == 0) return;
  float* scores = scratch.scores.data();
  if (factors_ != nullptr) {
    if (!FoldInFactors(spoken, scratch)) return;
    scratch.by_index = index_ != nullptr;
    if (!scratch.by_index) ScoreAllByFactors(scratch);
    return;
  }
  if (row_offsets_.empty()) {
    if (next_basket_.has_value()) ScoreNextBasket(scratch);
    return;
  }
  const uint32_t* rows = row_entries_.data();
  size_t entries = 0;
  for (size_t h = 0; h < spoken; ++h) {
    entries += row_offsets_[scratch.history[h].item + 1] - row_offsets_[scratch.history[h].item];
  }
  scratch.dense = entries > items() / 4;
  scratch.touched.resize(scratch.dense ? 0 : entries);
  uint32_t* touched = scratch.touched.data();
  size_t count = 0;
  for (size_t h = 0; h < spoken; ++h) {
    // A row is too short for the machine to foresee, and lies anywhere.
    if (h + kRowsAhead < spoken) {
      const uint32_t ahead = scratch.history[h + kRowsAhead].item;
      for (uint64_t i = row_offsets_[ahead]; i < row_offsets_[ahead + 1]; i += kPerCacheLine) {
        __builtin_prefetch(rows + i);
      }
    }
    const float x = scratch.history[h].x;
    const uint32_t* end = rows + row_offsets_[scratch.history[h].item + 1];
    uint32_t target = 0;
    for (const uint32_t* row = rows + row_offsets_[scratch.history[h].item]; row < end; ++row) {
      target += Gap(*row);
      const float before = scores[target];
      scores[target] = before + x * WeightOf(*row);
      if (scratch.dense) continue;
      touched[count] = target;  // kept when it is the first of its item
      count += before == 0 ? 1 : 0;
    }
  }
  if (!scratch.dense) scratch.touched.resize(count);
}

float Recommender::LargestMain(const RankScratch& scratch) const {
  const float* scores = scratch.scores.data();
  float largest = 0;
  if (!scratch.dense) {
    for (const uint32_t item : scratch.touched) largest = std::max(largest, scores[item]);
    return largest;
  }
  return BestKernels().largest(scores, items());
}

// Takes the best by score and leaves scratch.scores all 0. False when an item that was not seen
// (scratch.unseen) might be among them.
bool Recommender::TakeBest(const RankQuery& query, RankScratch& scratch) const {
  float* scores = scratch.scores.data();
  const auto forget = [&](uint8_t flag) {
    for (const uint32_t item : scratch.flagged) {
      if ((scratch.flags[item] & flag) != 0) scores[item] = 0;
    }
  };
  forget(kHad);
  const auto popularity_weight = static_cast<float>(settings_.popularity_weight);
  float largest_repeat = 0;
  if (query.allow_repeats && settings_.repeat_weight > 0 && !propensity_.empty()) {
    for (const RankScratch::Known& known : scratch.history) {
      largest_repeat = std::max(largest_repeat, propensity_[known.item] * known.goals);
    }
  }
  const float repeat_scale =
      largest_repeat > 0 ? static_cast<float>(settings_.repeat_weight) / largest_repeat : 0;
  float main_scale = 1;
  if (popularity_weight > 0 || repeat_scale > 0) {
    const float largest = LargestMain(scratch);
    main_scale = largest > 0 ? 1 / largest : 0;
  }
  // Only now, so that what a query excludes leaves the scores of the others as they are.
  forget(kUnwanted);
  scratch.best.clear();
  float least = 0;  // what an item must have to be among the best so far
  const uint8_t wanted = query.candidates.empty() ? 0 : kCandidate;
  const Source main_source = MainSource();
  // Whether it is among the best so far.
  const auto offer = [&](uint32_t item, float main) {
    main = std::max(0.0F, main);
    const float popular = popularity_weight > 0 ? popularity_weight * popularity_[item] : 0;
    const uint32_t at = repeat_scale > 0 ? scratch.position[item] : 0;
    const float repeat =
        at != 0 ? propensity_[item] * scratch.history[at - 1].goals * repeat_scale : 0;
    const float score = main + popular + repeat;
    if (!(score > 0) || score < least) return false;
    // Only its words speak for what nobody had.
    RankedItem ranked{
        .item = item, .score = score, .source = IsCold(item) ? Source::kSimilar : main_source};
    if (popular > main) ranked.source = Source::kPopular;
    if (repeat > std::max(main, popular)) ranked.source = Source::kRepeat;
    if (scratch.best.size() == query.limit && !Better(ranked, scratch.best.front())) return false;
    Keep(ranked, query.limit, scratch.best);
    if (scratch.best.size() == query.limit) least = scratch.best.front().score;
    return true;
  };
  // Each is offered once: what is taken here has score 0 afterwards, and a mark. What was too
  // little needs none, since it would be so again.
  const auto take = [&](uint32_t item) {
    const float main = scores[item] * main_scale;
    scores[item] = 0;
    if ((scratch.flags[item] & (kExcluded | kCandidate | kOffered)) != wanted) return;
    if (offer(item, main)) Flag(item, kOffered, scratch);
  };
  if (!query.candidates.empty()) {
    for (size_t i = 0; i < scratch.candidates; ++i) take(scratch.flagged[i]);
  } else {
    if (repeat_scale > 0) {
      for (const RankScratch::Known& known : scratch.history) take(known.item);
    }
    if (popularity_weight > 0) {
      const size_t count = std::min(popular_.size(), kPopularCandidates);
      for (size_t i = 0; i < count; ++i) take(popular_[i]);
    }
  }
  // The rest have no repeats, and are no more popular than the last that was taken by popularity:
  // most are passed over by their score alone.
  const bool rest = query.candidates.empty();
  const float most_popular = popularity_weight > 0 && popular_.size() > kPopularCandidates
                                 ? popularity_weight * popularity_[popular_[kPopularCandidates]]
                                 : 0;
  const auto bar_now = [&] {
    const float needed = main_scale > 0 ? (least - most_popular) / main_scale : 0;
    return std::max(std::numeric_limits<float>::min(), needed * 0.99999F);  // rounding aside
  };
  float bar = rest ? bar_now() : std::numeric_limits<float>::infinity();
  if (scratch.dense) {
    const Kernels& kernels = BestKernels();
    for (size_t i = 0; (i = kernels.find_at_least(scores, i, items(), bar)) < items(); ++i) {
      offer(static_cast<uint32_t>(i), scores[i] * main_scale);
      bar = bar_now();
    }
    std::fill(scores, scores + items(), 0.0F);
  } else {
    for (const uint32_t item : scratch.touched) {
      const float main = std::exchange(scores[item], 0.0F);
      if (main < bar) continue;
      offer(item, main * main_scale);
      bar = bar_now();
    }
  }
  std::sort_heap(scratch.best.begin(), scratch.best.end(), Better);
  for (const RankedItem& ranked : scratch.best) Flag(ranked.item, kTaken, scratch);
  return !rest || scratch.unseen == 0 || scratch.unseen * main_scale + most_popular <= least;
}

// Popular items, and among candidates those that nothing is known of, behind the rest.
void Recommender::Fill(const RankQuery& query, RankScratch& scratch) const {
  auto& best = scratch.best;
  const float below = (best.empty() ? 1.0F : best.back().score) * 0.999F;
  const auto add = [&](uint32_t item) {
    best.push_back(
        {item, below * popularity_[item], Source::kPopular, std::nullopt, EventKind::kOther});
  };
  if (!query.candidates.empty()) {
    // Those with a score are in `best` already, which was not full.
    const auto by_item = [](const RankedItem& a, const RankedItem& b) { return a.item < b.item; };
    std::vector<RankedItem> scored = best;
    std::sort(scored.begin(), scored.end(), by_item);
    const size_t ranked = best.size();
    for (size_t i = 0; i < scratch.candidates; ++i) {
      const uint32_t item = scratch.flagged[i];
      if ((scratch.flags[item] & kExcluded) != 0) continue;
      if (std::binary_search(scored.begin(), scored.end(), RankedItem{.item = item}, by_item))
        continue;
      add(item);
    }
    std::sort(best.begin() + static_cast<ptrdiff_t>(ranked), best.end(), Better);
    if (best.size() > query.limit) best.resize(query.limit);
    return;
  }
  for (size_t i = 0; i < popular_.size() && best.size() < query.limit; ++i) {
    if ((scratch.flags[popular_[i]] & (kExcluded | kTaken)) == 0) add(popular_[i]);
  }
}

// For each item of kSimilar, what of the history spoke loudest for it. What speaks for an item
// comes by descending weight, so the rest is passed over once even the loudest x could not win with
// it.
void Recommender::Explain(size_t spoken, RankScratch& scratch) const {
  float loudest = 0;
  for (size_t h = 0; h < spoken; ++h) loudest = std::max(loudest, scratch.history[h].x);
  for (RankedItem& ranked : scratch.best) {
    if (ranked.source != Source::kSimilar) continue;
    float largest = 0;
    const bool rows = !source_offsets_.empty();
    const uint64_t end = rows ? source_offsets_[ranked.item + 1] : 0;
    for (uint64_t i = rows ? source_offsets_[ranked.item] : 0; i < end; ++i) {
      const float share = SourceShare(source_entries_[i]);
      if (share * loudest <= largest) break;
      const uint32_t at = scratch.position[SourceItem(source_entries_[i])];
      if (at == 0 || at > spoken || share * scratch.history[at - 1].x <= largest) continue;
      const RankScratch::Known& known = scratch.history[at - 1];
      largest = share * known.x;
      SetReason(known, ranked);
    }
    if (!ranked.because.has_value() && !content_offsets_.empty())
      ExplainByContent(spoken, scratch, ranked);
  }
}

void Recommender::SetReason(const RankScratch::Known& known, RankedItem& ranked) const {
  ranked.because = known.item;
  ranked.because_kind = known.kind == EventKind::kOther ? KindOf(known.weight) : known.kind;
}

void Recommender::Clear(RankScratch& scratch) {
  for (const RankScratch::Known& known : scratch.history) scratch.position[known.item] = 0;
  for (const uint32_t item : scratch.flagged) scratch.flags[item] = 0;
  scratch.flagged.clear();
  for (const uint32_t group : scratch.groups_used) scratch.groups[group] = {};
  scratch.groups_used.clear();
}

void Recommender::MakeRoom(RankScratch& scratch) const {
  if (scratch.scores.size() >= items()) return;
  scratch.scores.resize(items(), 0);
  scratch.position.resize(items(), 0);
  scratch.flags.resize(items(), 0);
  scratch.side.resize(items(), 0);
}

std::span<const RankedItem> Recommender::Rank(const RankQuery& query, RankScratch& scratch) const {
  if (query.limit == 0) return {};
  MakeRoom(scratch);
  Collect(query, scratch);
  MarkAllowed(query, scratch);
  if (next_basket_.has_value()) FoldInBaskets(query, scratch);
  const size_t spoken = Spoken(scratch);
  ScoreMain(spoken, scratch);
  if (trees_.has_value() && !query.user.empty() && !scratch.history.empty()) {
    AddUpGroups(scratch);
    TakePool(query, spoken, scratch);
    DescribePool(query, spoken, scratch);
    TakeBestOfPool(query, scratch);
  } else if (scratch.by_index) {
    TakeBestByIndex(query, spoken, scratch);
  } else {
    if (!content_offsets_.empty()) AddContent(query, spoken, scratch);
    TakeBest(query, scratch);
  }
  if (scratch.best.size() < query.limit) Fill(query, scratch);
  Explain(spoken, scratch);
  Clear(scratch);
  return scratch.best;
}

}  // namespace starling::learning
