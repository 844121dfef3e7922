#include "learning/selection/stacking.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "learning/random.h"

namespace starling::learning {
namespace {

// Of the candidates that came to nothing this share is learned from.
constexpr double kKeptOfNoes = 0.3;
constexpr size_t kFewestUsers = 200;

// Of each model: z, z less the user's tenth best, its place; then the mean of z, the item's count
// and the user's.
size_t FeaturesOf(size_t models) { return 3 * models + 3; }

// Column by column for the candidates of one user.
void Describe(const CandidateScores& candidates, size_t user, std::vector<float>& columns) {
  const size_t first = candidates.offsets[user];
  const size_t count = candidates.offsets[user + 1] - first;
  const size_t models = candidates.models;
  columns.resize(FeaturesOf(models) * count);
  const auto column = [&](size_t feature) { return columns.data() + feature * count; };
  std::vector<float> ordered(count);
  std::fill_n(column(3 * models), count, 0.0F);
  for (size_t m = 0; m < models; ++m) {
    for (size_t c = 0; c < count; ++c) ordered[c] = candidates.z[(first + c) * models + m];
    std::copy(ordered.begin(), ordered.end(), column(3 * m));
    std::sort(ordered.begin(), ordered.end(), std::greater<>());
    const float tenth = count == 0 ? 0 : ordered[std::min<size_t>(9, count - 1)];
    for (size_t c = 0; c < count; ++c) {
      const float z = column(3 * m)[c];
      column(3 * m + 1)[c] = z - tenth;
      column(3 * m + 2)[c] = static_cast<float>(
          std::lower_bound(ordered.begin(), ordered.end(), z, std::greater<>()) - ordered.begin());
      column(3 * models)[c] += z / static_cast<float>(models);
    }
  }
  for (size_t c = 0; c < count; ++c) {
    column(3 * models + 1)[c] =
        std::log1p(static_cast<float>(candidates.item_counts[candidates.items[first + c]]));
    column(3 * models + 2)[c] = std::log1p(static_cast<float>(candidates.known[user]));
  }
}

// Trees from the users that `learned` says.
StatusOr<BoostedTrees> FitTo(const CandidateScores& candidates,
                             const std::function<bool(size_t)>& learned,
                             const StackingOptions& options, const Progress& progress) {
  const size_t features = FeaturesOf(candidates.models);
  std::vector<float> rows;
  std::vector<uint8_t> targets;
  std::vector<float> columns;
  Random random(1);
  for (size_t user = 0; user < candidates.users(); ++user) {
    if (!learned(user)) continue;
    Describe(candidates, user, columns);
    const size_t first = candidates.offsets[user];
    const size_t count = candidates.offsets[user + 1] - first;
    for (size_t c = 0; c < count; ++c) {
      if (candidates.relevant[first + c] == 0 && random.Unit() > kKeptOfNoes) continue;
      targets.push_back(candidates.relevant[first + c]);
      for (size_t f = 0; f < features; ++f) rows.push_back(columns[f * count + c]);
    }
  }
  std::vector<float> by_feature(rows.size());
  for (size_t r = 0; r < targets.size(); ++r) {
    for (size_t f = 0; f < features; ++f)
      by_feature[f * targets.size() + r] = rows[r * features + f];
  }
  rows = {};
  return FitBoostedTrees({by_feature, targets.size(), targets},
                         {.trees = 150,
                          .depth = 5,
                          .learning_rate = 0.08,
                          .lambda = 20,
                          .threads = options.threads,
                          .memory_limit = options.memory_limit},
                         progress);
}

}  // namespace

std::vector<float> ScoreStacked(const BoostedTrees& trees, const CandidateScores& candidates,
                                int threads) {
  std::vector<float> scores(candidates.items.size());
  ParallelFor(candidates.users(), threads, 64, [&](size_t begin, size_t end) {
    std::vector<float> columns;
    std::vector<uint32_t> scratch;
    for (size_t user = begin; user < end; ++user) {
      Describe(candidates, user, columns);
      const size_t first = candidates.offsets[user];
      trees.Score(columns.data(), candidates.offsets[user + 1] - first, scratch,
                  scores.data() + first);
    }
  });
  return scores;
}

StatusOr<Stacked> FitStacked(const CandidateScores& candidates, const StackingOptions& options,
                             const Progress& progress) {
  size_t hit = 0;
  for (size_t user = 0; user < candidates.users(); ++user) {
    const auto begin = candidates.relevant.begin();
    hit += std::any_of(begin + static_cast<ptrdiff_t>(candidates.offsets[user]),
                       begin + static_cast<ptrdiff_t>(candidates.offsets[user + 1]),
                       [](uint8_t relevant) { return relevant != 0; });
  }
  if (hit < kFewestUsers) {
    return FailedPrecondition(
        "{} users have something among their candidates; {} are too few to "
        "learn from",
        hit, kFewestUsers);
  }
  std::vector<float> unseen(candidates.items.size());
  for (const size_t half : {0, 1}) {
    STARLING_ASSIGN_OR_RETURN(
        const BoostedTrees trees,
        FitTo(
            candidates, [&](size_t user) { return user % 2 != half; }, options, progress));
    const std::vector<float> scores = ScoreStacked(trees, candidates, options.threads);
    for (size_t user = half; user < candidates.users(); user += 2) {
      for (size_t c = candidates.offsets[user]; c < candidates.offsets[user + 1]; ++c)
        unseen[c] = scores[c];
    }
  }
  Stacked stacked{.ndcg = NdcgOf(candidates, unseen, options.k, options.threads)};
  STARLING_ASSIGN_OR_RETURN(stacked.trees,
                            FitTo(
                                candidates, [](size_t) { return true; }, options, progress));
  return stacked;
}

}  // namespace starling::learning
