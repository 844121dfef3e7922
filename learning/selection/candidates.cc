#include "learning/selection/candidates.h"

#include <algorithm>
#include <cmath>

#include "learning/math/parallel.h"
#include "learning/retrieval/top_k.h"

namespace starling::learning {
namespace {

constexpr double kWeights[] = {0, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1, 1.3, 1.7, 2.2, 3};
constexpr int kPasses = 3;

struct OfUser {
  std::vector<uint32_t> items;
  std::vector<float> z;
};

std::vector<float> BlendOf(const CandidateScores& candidates, std::span<const double> weights) {
  std::vector<float> blended(candidates.items.size());
  for (size_t c = 0; c < blended.size(); ++c) {
    float sum = 0;
    for (size_t m = 0; m < candidates.models; ++m)
      sum += static_cast<float>(weights[m]) * candidates.z[c * candidates.models + m];
    blended[c] = sum;
  }
  return blended;
}

}  // namespace

void StandardScores(const Models& models, const Interactions::Row& row, int64_t now,
                    std::vector<std::vector<float>>& scores) {
  std::vector<HistoryItem> history;
  history.reserve(row.size());
  for (size_t i = 0; i < row.size(); ++i)
    history.push_back({row.items[i], row.weights[i], row.times[i]});
  scores.resize(models.size());
  for (size_t m = 0; m < models.size(); ++m) {
    std::vector<float>& of_model = scores[m];
    of_model.resize(models[m]->items());
    models[m]->Score(history, now, of_model);
    double sum = 0;
    double squares = 0;
    for (const float score : of_model) {
      sum += score;
      squares += static_cast<double>(score) * score;
    }
    const auto count = static_cast<double>(of_model.size());
    const double mean = sum / count;
    const double variance = squares / count - mean * mean;
    const double scale = variance > 0 ? 1 / std::sqrt(variance) : 0;
    for (float& score : of_model) score = static_cast<float>((score - mean) * scale);
  }
}

CandidateScores CollectCandidates(const Models& models, const Interactions& known,
                                  const Interactions& relevant, std::span<const uint32_t> users,
                                  size_t each, int threads) {
  std::vector<OfUser> found(users.size());
  ParallelFor(users.size(), threads, 16, [&](size_t begin, size_t end) {
    std::vector<std::vector<float>> scores;
    for (size_t u = begin; u < end; ++u) {
      const Interactions::Row row = known.row(users[u]);
      StandardScores(models, row, known.latest_time(), scores);
      std::vector<uint32_t>& items = found[u].items;
      for (const std::vector<float>& of_model : scores) {
        for (const ScoredItem& best : TopK(of_model, {.k = each, .excluded = row.items}))
          items.push_back(best.item);
      }
      std::sort(items.begin(), items.end());
      items.erase(std::unique(items.begin(), items.end()), items.end());
      for (const uint32_t item : items) {
        for (const std::vector<float>& of_model : scores) found[u].z.push_back(of_model[item]);
      }
    }
  });
  CandidateScores candidates{.models = models.size(), .item_counts = known.ItemCounts()};
  candidates.offsets.push_back(0);
  for (size_t u = 0; u < users.size(); ++u) {
    const Interactions::Row row = relevant.row(users[u]);
    for (const uint32_t item : found[u].items) {
      candidates.relevant.push_back(
          std::binary_search(row.items.begin(), row.items.end(), item) ? 1 : 0);
    }
    candidates.relevants.push_back(static_cast<uint32_t>(row.size()));
    candidates.known.push_back(static_cast<uint32_t>(known.row(users[u]).size()));
    candidates.items.insert(candidates.items.end(), found[u].items.begin(), found[u].items.end());
    candidates.z.insert(candidates.z.end(), found[u].z.begin(), found[u].z.end());
    candidates.offsets.push_back(candidates.items.size());
    found[u] = {};
  }
  return candidates;
}

double NdcgOf(const CandidateScores& candidates, std::span<const float> score, size_t k,
              int threads) {
  std::vector<double> discounts(k);
  std::vector<double> ideal(k + 1, 0);
  for (size_t r = 0; r < k; ++r) {
    discounts[r] = 1 / std::log2(static_cast<double>(r) + 2);
    ideal[r + 1] = ideal[r] + discounts[r];
  }
  std::vector<double> of_user(candidates.users(), 0);
  ParallelFor(candidates.users(), threads, 256, [&](size_t begin, size_t end) {
    std::vector<uint32_t> order;
    for (size_t u = begin; u < end; ++u) {
      const size_t first = candidates.offsets[u];
      order.resize(candidates.offsets[u + 1] - first);
      for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<uint32_t>(i);
      const size_t shown = std::min(k, order.size());
      std::partial_sort(order.begin(), order.begin() + static_cast<ptrdiff_t>(shown), order.end(),
                        [&](uint32_t a, uint32_t b) {
                          const float x = score[first + a];
                          const float y = score[first + b];
                          return x != y ? x > y : a < b;
                        });
      double gain = 0;
      for (size_t r = 0; r < shown; ++r)
        gain += candidates.relevant[first + order[r]] * discounts[r];
      of_user[u] = gain / ideal[std::min<size_t>(k, candidates.relevants[u])];
    }
  });
  double sum = 0;
  for (const double ndcg : of_user) sum += ndcg;
  return of_user.empty() ? 0 : sum / static_cast<double>(of_user.size());
}

Blend FindBlend(const CandidateScores& candidates, size_t k, int threads) {
  const size_t models = candidates.models;
  Blend best{.weights = std::vector<double>(models, 0), .ndcg = -1};
  const auto consider = [&](const std::vector<double>& weights) {
    const double ndcg = NdcgOf(candidates, BlendOf(candidates, weights), k, threads);
    if (ndcg <= best.ndcg) return;
    best = {weights, ndcg};
  };
  for (size_t m = 0; m < models; ++m) {
    std::vector<double> alone(models, 0);
    alone[m] = 1;
    consider(alone);
  }
  for (int pass = 0; pass < kPasses; ++pass) {
    const double before = best.ndcg;
    for (size_t m = 0; m < models; ++m) {
      std::vector<double> weights = best.weights;
      for (const double weight : kWeights) {
        weights[m] = weight;
        if (std::any_of(weights.begin(), weights.end(), [](double w) { return w > 0; }))
          consider(weights);
      }
    }
    if (!(best.ndcg > before)) break;
  }
  return best;
}

}  // namespace starling::learning
