// How a recommender ranks. All state of a call is in its scratch, of which every entry that was
// written is cleared at the end, so a call's cost does not depend on the catalogue.
#include <algorithm>
#include <cmath>

#include "learning/math/kernels.h"
#include "learning/recommender/recommender.h"

namespace starling::learning {
namespace {

constexpr uint8_t kExcluded = 1;
constexpr uint8_t kCandidate = 2;
constexpr uint8_t kTaken = 4;
// Popular items that are looked at beside those that the history speaks for.
constexpr size_t kPopularCandidates = 200;

using Source = RankedItem::Source;

bool Better(const RankedItem& a, const RankedItem& b) {
  return a.score != b.score ? a.score > b.score : a.item < b.item;
}

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

// The user's history at query.now: what the artifact has, and newer signals.
void Recommender::Collect(const RankQuery& query, RankScratch& scratch) const {
  scratch.history.clear();
  const std::optional<uint32_t> user = users_.Find(query.user);
  if (user.has_value()) {
    const auto aged = static_cast<float>(Decay(settings_.half_life, settings_.until, query.now));
    const auto goals_aged =
        static_cast<float>(Decay(settings_.repeat_half_life, settings_.until, query.now));
    const uint64_t end = history_offsets_[*user + 1];
    for (uint64_t i = history_offsets_[*user]; i < end; ++i) {
      const float x = history_x_[i] * aged;
      scratch.history.push_back(
          {history_items_[i], history_weights_[i], x > 0 ? x : 0, history_goals_[i] * goals_aged});
      scratch.position[history_items_[i]] = static_cast<uint32_t>(scratch.history.size());
    }
  }
  for (const RankSignal& signal : query.signals) {
    if (user.has_value() && signal.time <= settings_.until) continue;
    const float weight =
        signal.weight > 0
            ? signal.weight
            : static_cast<float>(settings_.strength[static_cast<size_t>(signal.kind)]);
    if (!(weight > 0) || !std::isfinite(weight)) continue;
    const std::optional<uint32_t> item = ids_.Find(signal.item);
    if (!item.has_value()) continue;
    uint32_t& at = scratch.position[*item];
    if (at == 0) {
      scratch.history.push_back({*item, 0, 0, 0});
      at = static_cast<uint32_t>(scratch.history.size());
    }
    RankScratch::Known& known = scratch.history[at - 1];
    known.weight = std::max(known.weight, weight);
    known.x = std::max(
        known.x,
        known.weight * static_cast<float>(Decay(settings_.half_life, signal.time, query.now)));
    if (settings_.goal == Goal::kAnything || signal.kind == EventKind::kPurchase) {
      known.goals +=
          static_cast<float>(Decay(settings_.repeat_half_life, signal.time, query.now));
    }
  }
}

void Recommender::MarkAllowed(const RankQuery& query, RankScratch& scratch) const {
  const auto flag = [&](uint32_t item, uint8_t what) {
    if (scratch.flags[item] == 0) scratch.flagged.push_back(item);
    scratch.flags[item] |= what;
  };
  for (const std::string_view id : query.candidates) {
    if (const auto item = ids_.Find(id)) flag(*item, kCandidate);
  }
  for (const std::string_view id : query.excluded) {
    if (const auto item = ids_.Find(id)) flag(*item, kExcluded);
  }
  if (query.allow_repeats) return;
  for (const RankScratch::Known& known : scratch.history) {
    if (known.goals > 0) flag(known.item, kExcluded);
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

// Writes scratch.scores and lists in scratch.touched where; gives the largest score of an item that
// may be given.
float Recommender::ScoreMain(size_t spoken, RankScratch& scratch) const {
  scratch.touched.clear();
  float* scores = scratch.scores.data();
  if (!row_offsets_.empty()) {
    const uint32_t* targets = row_targets_.data();
    const float* weights = row_weights_.data();
    for (size_t h = 0; h < spoken; ++h) {
      const float x = scratch.history[h].x;
      const uint64_t end = row_offsets_[scratch.history[h].item + 1];
      for (uint64_t i = row_offsets_[scratch.history[h].item]; i < end; ++i) {
        float& score = scores[targets[i]];
        if (score == 0) scratch.touched.push_back(targets[i]);
        score += x * weights[i];
      }
    }
  } else if (factors_.has_value() && spoken > 0) {
    scratch.folded.clear();
    for (size_t h = 0; h < spoken; ++h) {
      if (scratch.history[h].x > 0) {
        scratch.folded.push_back({scratch.history[h].item, scratch.history[h].x, 0});
      }
    }
    scratch.user.resize(factors_->dimension());
    factors_->FoldIn(scratch.folded, 0, scratch.user);
    BestKernels().score_rows(factors_->factors().data(), items(), factors_->dimension(),
                             scratch.user.data(), scores);
    for (uint32_t item = 0; item < items(); ++item) scratch.touched.push_back(item);
  }
  float largest = 0;
  for (const uint32_t item : scratch.touched) {
    if (scores[item] > largest && (scratch.flags[item] & kExcluded) == 0) largest = scores[item];
  }
  return largest;
}

void Recommender::TakeBest(const RankQuery& query, float largest, RankScratch& scratch) const {
  const auto popularity_weight = static_cast<float>(settings_.popularity_weight);
  const bool repeats =
      query.allow_repeats && settings_.repeat_weight > 0 && !propensity_.empty();
  float largest_repeat = 0;
  if (repeats) {
    for (const RankScratch::Known& known : scratch.history) {
      largest_repeat = std::max(largest_repeat, propensity_[known.item] * known.goals);
      if (scratch.scores[known.item] == 0) scratch.touched.push_back(known.item);
    }
  }
  if (popularity_weight > 0) {
    const size_t count = std::min(popular_.size(), kPopularCandidates);
    for (size_t i = 0; i < count; ++i) {
      if (scratch.scores[popular_[i]] == 0) scratch.touched.push_back(popular_[i]);
    }
  }
  const float main_scale = largest > 0 ? 1 / largest : 0;
  const float repeat_scale =
      largest_repeat > 0 ? static_cast<float>(settings_.repeat_weight) / largest_repeat : 0;
  const uint8_t wanted = query.candidates.empty() ? 0 : kCandidate;
  const Source main_source = factors_.has_value() ? Source::kFactors : Source::kSimilar;
  scratch.best.clear();
  for (const uint32_t item : scratch.touched) {
    // An item may be listed twice; the second time its score is 0, so it is no better than before,
    // and when it was kept it is marked.
    const float main = std::max(0.0F, scratch.scores[item] * main_scale);
    scratch.scores[item] = 0;
    if ((scratch.flags[item] & (kExcluded | kCandidate | kTaken)) != wanted) continue;
    RankedItem ranked{.item = item, .score = main, .source = main_source};
    float term = main;
    if (popularity_weight > 0) {
      const float popular = popularity_weight * popularity_[item];
      ranked.score += popular;
      if (popular > term) {
        term = popular;
        ranked.source = Source::kPopular;
      }
    }
    if (repeat_scale > 0 && scratch.position[item] != 0) {
      const float repeat =
          propensity_[item] * scratch.history[scratch.position[item] - 1].goals * repeat_scale;
      ranked.score += repeat;
      if (repeat > term) ranked.source = Source::kRepeat;
    }
    if (!(ranked.score > 0)) continue;
    if (scratch.best.size() == query.limit && !Better(ranked, scratch.best.front())) continue;
    if (scratch.flags[item] == 0) scratch.flagged.push_back(item);
    scratch.flags[item] |= kTaken;
    Keep(ranked, query.limit, scratch.best);
  }
  std::sort_heap(scratch.best.begin(), scratch.best.end(), Better);
}

// Popular items, and among candidates those that nothing is known of, behind the rest.
void Recommender::Fill(const RankQuery& query, RankScratch& scratch) const {
  auto& best = scratch.best;
  const float below = (best.empty() ? 1.0F : best.back().score) * 0.999F;
  const uint8_t wanted = query.candidates.empty() ? 0 : kCandidate;
  const auto add = [&](uint32_t item) {
    if ((scratch.flags[item] & (kExcluded | kCandidate | kTaken)) != wanted) return;
    if (scratch.flags[item] == 0) scratch.flagged.push_back(item);
    scratch.flags[item] |= kTaken;
    best.push_back({item, below * popularity_[item], Source::kPopular, std::nullopt});
  };
  if (!query.candidates.empty()) {
    const size_t ranked = best.size();
    for (const std::string_view id : query.candidates) {
      if (const auto item = ids_.Find(id)) add(*item);
    }
    std::sort(best.begin() + static_cast<ptrdiff_t>(ranked), best.end(), Better);
    if (best.size() > query.limit) best.resize(query.limit);
    return;
  }
  for (size_t i = 0; i < popular_.size() && best.size() < query.limit; ++i) add(popular_[i]);
}

// For each item of kSimilar, what of the history spoke loudest for it: one more pass over the rows,
// that looks only.
void Recommender::Explain(size_t spoken, RankScratch& scratch) const {
  bool any = false;
  for (size_t r = 0; r < scratch.best.size(); ++r) {
    if (scratch.best[r].source != Source::kSimilar) continue;
    scratch.scores[scratch.best[r].item] = static_cast<float>(r + 1);
    any = true;
  }
  if (!any) return;
  scratch.share.assign(scratch.best.size(), 0);
  for (size_t h = 0; h < spoken; ++h) {
    const uint32_t from = scratch.history[h].item;
    const float x = scratch.history[h].x;
    const uint64_t end = row_offsets_[from + 1];
    for (uint64_t i = row_offsets_[from]; i < end; ++i) {
      const float rank = scratch.scores[row_targets_[i]];
      if (rank == 0) continue;
      const auto at = static_cast<size_t>(rank) - 1;
      if (x * row_weights_[i] > scratch.share[at]) {
        scratch.share[at] = x * row_weights_[i];
        scratch.best[at].because = from;
      }
    }
  }
  for (const RankedItem& ranked : scratch.best) scratch.scores[ranked.item] = 0;
}

void Recommender::Clear(RankScratch& scratch) const {
  for (const RankScratch::Known& known : scratch.history) scratch.position[known.item] = 0;
  for (const uint32_t item : scratch.flagged) scratch.flags[item] = 0;
  scratch.flagged.clear();
}

std::span<const RankedItem> Recommender::Rank(const RankQuery& query, RankScratch& scratch) const {
  if (query.limit == 0) return {};
  if (scratch.scores.size() < items()) {
    scratch.scores.resize(items(), 0);
    scratch.position.resize(items(), 0);
    scratch.flags.resize(items(), 0);
  }
  Collect(query, scratch);
  MarkAllowed(query, scratch);
  const size_t spoken = Spoken(scratch);
  TakeBest(query, ScoreMain(spoken, scratch), scratch);
  if (scratch.best.size() < query.limit) Fill(query, scratch);
  Explain(spoken, scratch);
  Clear(scratch);
  return scratch.best;
}

}  // namespace starling::learning
