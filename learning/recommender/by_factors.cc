// How a recommender ranks by factors through an index: of what is ranked by name the scores are
// computed, and of the rest only the best are asked for. The scores are those of the factors.
#include <algorithm>
#include <cmath>

#include "learning/math/kernels.h"
#include "learning/recommender/rank_flags.h"

namespace starling::learning {
namespace {

// More than are wanted, since popularity may bring an item up that is not among the best by main.
constexpr size_t kMargin = 64;
// Asking for more than this part of the catalogue is dearer than reading all factors.
constexpr size_t kMostAskedPart = 16;
// What the choice of the index is measured by: rankings are of some fifty items, with trees of
// kPoolMain.
constexpr size_t kMeasuredAt = 50;
constexpr size_t kMostQueries = 200;
constexpr size_t kLeastQueries = 30;
constexpr size_t kQueriesTimesItems = 20'000'000;

}  // namespace

Status Recommender::MakeIndex(const SecondsNow& now, const RetrievalOptions& options,
                              size_t least_items) {
  if (factors_ == nullptr || factors_->items() < least_items) return OkStatus();
  RetrievalOptions made = options;
  made.k = trees_.has_value() ? kPoolMain : kMeasuredAt;
  // What a training built is used; building one takes too long here.
  if (graph_ != nullptr) made.made_graph = graph_;
  if (made.made_graph == nullptr && !made.method.has_value()) made.graph_from = SIZE_MAX;
  made.queries = std::clamp(kQueriesTimesItems / std::max<size_t>(factors_->items(), 1),
                            kLeastQueries, kMostQueries);
  const std::vector<float> sample = VectorsOfUsers(made.queries);
  made.sample = sample;
  STARLING_ASSIGN_OR_RETURN(
      RetrievalIndex index,
      RetrievalIndex::Make({factors_->factors(), factors_->dimension()}, now, made));
  index_ = std::make_shared<const RetrievalIndex>(std::move(index));
  return OkStatus();
}

// Of at most `count` users with a history, evenly drawn.
std::vector<float> Recommender::VectorsOfUsers(size_t count) const {
  std::vector<float> vectors;
  std::vector<HistoryItem> history;
  std::vector<float> user(factors_->dimension());
  const size_t drawn = std::min(count, users());
  for (size_t i = 0; i < drawn; ++i) {
    const size_t of = i * users() / drawn;
    history.clear();
    // By descending x.
    const uint64_t end =
        std::min<uint64_t>(history_offsets_[of + 1], history_offsets_[of] + settings_.history_cap);
    for (uint64_t entry = history_offsets_[of]; entry < end; ++entry) {
      if (history_x_[entry] > 0) history.push_back({history_items_[entry], history_x_[entry], 0});
    }
    factors_->FoldIn(history, 0, user);
    if (std::any_of(user.begin(), user.end(), [](float x) { return x != 0; }))
      vectors.insert(vectors.end(), user.begin(), user.end());
  }
  return vectors;
}

// The history's vector, and whether it has one.
bool Recommender::FoldInFactors(size_t spoken, RankScratch& scratch) const {
  scratch.folded.clear();
  for (size_t h = 0; h < spoken; ++h) {
    if (scratch.history[h].x > 0)
      scratch.folded.push_back({scratch.history[h].item, scratch.history[h].x, 0});
  }
  scratch.user.resize(factors_->dimension());
  factors_->FoldIn(scratch.folded, 0, scratch.user);
  return !scratch.folded.empty();
}

void Recommender::ScoreAllByFactors(RankScratch& scratch) const {
  BestKernels().score_rows(factors_->factors().data(), factors_->items(), factors_->dimension(),
                           scratch.user.data(), scratch.scores.data());
  scratch.by_index = false;
  scratch.dense = true;
}

float Recommender::MainOf(uint32_t item, const RankScratch& scratch) const {
  if (!scratch.by_index) return scratch.scores[item];
  if (item >= factors_->items()) return 0;
  float score = 0;
  BestScanKernels().score(factors_->factors().data(), factors_->dimension(), &item, 1,
                          scratch.user.data(), &score);
  return score;
}

// Those above 0 of the k best that have none of these flags, in order; scratch.unseen is what the
// others have at most.
std::vector<ScoredItem> Recommender::AskIndex(size_t k, uint8_t without,
                                              RankScratch& scratch) const {
  scratch.kept_out.clear();
  for (const uint32_t item : scratch.flagged) {
    if ((scratch.flags[item] & without) != 0) scratch.kept_out.push_back(item);
  }
  std::vector<ScoredItem> found =
      index_->Retrieve(scratch.user, {.k = k, .excluded = scratch.kept_out}, scratch.retrieval);
  scratch.unseen = found.size() < k ? 0 : std::max(0.0F, found.back().score);
  while (!found.empty() && !(found.back().score > 0)) found.pop_back();
  return found;
}

// Writes the scores of all that the query names, the history, and what popularity may bring up.
void Recommender::ScoreNamed(RankScratch& scratch) const {
  constexpr size_t kAtOnce = 64;
  auto& touched = scratch.touched;
  const auto add = [&](uint32_t item) {
    if (item < factors_->items()) touched.push_back(item);
  };
  for (const uint32_t item : scratch.flagged) add(item);
  for (const RankScratch::Known& known : scratch.history) add(known.item);
  if (settings_.popularity_weight > 0) {
    const size_t count = std::min(popular_.size(), kPopularCandidates);
    for (size_t i = 0; i < count; ++i) add(popular_[i]);
  }
  const ScanKernels& kernels = BestScanKernels();
  float scores[kAtOnce];
  for (size_t begin = 0; begin < touched.size(); begin += kAtOnce) {
    const size_t count = std::min(kAtOnce, touched.size() - begin);
    kernels.score(factors_->factors().data(), factors_->dimension(), touched.data() + begin, count,
                  scratch.user.data(), scores);
    for (size_t i = 0; i < count; ++i) scratch.scores[touched[begin + i]] = scores[i];
  }
}

// Asks for more until what is left could not be among the best; for all, where that is most.
void Recommender::TakeBestByIndex(const RankQuery& query, size_t spoken,
                                  RankScratch& scratch) const {
  const size_t most = factors_->items() / kMostAskedPart;
  size_t k = query.limit + (settings_.popularity_weight > 0 ? kMargin : 0);
  if (!query.candidates.empty()) k = 1;  // the largest, which the others are measured by
  for (; k <= std::max(most, query.limit); k *= 4) {
    scratch.touched.clear();
    ScoreNamed(scratch);
    for (const ScoredItem& found : AskIndex(k, kExcluded, scratch)) {
      scratch.touched.push_back(found.item);
      scratch.scores[found.item] = found.score;
    }
    if (!content_offsets_.empty()) AddContent(query, spoken, scratch);
    if (TakeBest(query, scratch)) return;
    for (const uint32_t item : scratch.flagged)
      scratch.flags[item] &= static_cast<uint8_t>(~(kOffered | kTaken));
  }
  ScoreAllByFactors(scratch);
  if (!content_offsets_.empty()) AddContent(query, spoken, scratch);
  TakeBest(query, scratch);
}

}  // namespace starling::learning
