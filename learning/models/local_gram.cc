#include "learning/models/local_gram.h"

#include "learning/models/fit_checks.h"
#include "learning/models/neighbour_counts.h"
#include "learning/models/user_weights.h"

namespace starling::learning {
namespace {

using Source = ItemToItemModel::Source;

// By descending similarity to the item whose row it is, then by item.
auto ByCosine(const std::vector<float>& diagonal) {
  return [&diagonal](const Source& a, const Source& b) {
    const float x = a.weight * a.weight / diagonal[a.item];
    const float y = b.weight * b.weight / diagonal[b.item];
    return x != y ? x > y : a.item < b.item;
  };
}

// The `most` most similar, the `neighbours` most similar of them first.
void Keep(std::vector<Source>& found, size_t most, size_t neighbours,
          const std::vector<float>& diagonal) {
  for (const size_t first : {most, neighbours}) {
    if (found.size() <= first) continue;
    std::nth_element(found.begin(), found.begin() + static_cast<ptrdiff_t>(first), found.end(),
                     ByCosine(diagonal));
    if (first == most) found.resize(most);
  }
}

}  // namespace

LocalPlan PlanLocal(const Interactions& data, const LocalOptions& options, uint64_t scratch) {
  const uint64_t items = data.items();
  const uint64_t neighbours = options.neighbours;
  const auto threads = static_cast<uint64_t>(options.threads);
  // Half the limit holds that many of each row.
  const uint64_t most = options.memory_limit / 2 / std::max<uint64_t>(items, 1) / sizeof(Source);
  LocalPlan plan{.most = std::clamp(most, neighbours, std::max(neighbours, items))};
  const NeighbourCounts counts(data, plan.most);
  plan.gram_values = counts.AtMost(plan.most);
  plan.weights = counts.AtMost(neighbours);
  const uint64_t gram = 4 * items + 32 * items + 8 * counts.Expected(plan.most);
  const uint64_t weights = counts.Expected(neighbours);
  const uint64_t sources = ItemToItemModel::SourcesMemory(items, weights);
  const uint64_t multiplying =
      WeighedMemory(data) + 4 * data.users() + gram + threads * (4 * items + 12 * counts.Widest());
  const uint64_t solving = gram + sources + threads * (scratch + 4 * items);
  const uint64_t model = sources + ItemToItemModel::MemoryOf(items, weights);
  plan.memory = std::max({multiplying, solving, model});
  return plan;
}

StatusOr<LocalGram> LocalGramOf(const Interactions& data, const LocalOptions& options,
                                const LocalPlan& plan, const Progress& progress) {
  const int64_t as_of = options.as_of != 0 ? options.as_of : data.latest_time();
  const Interactions rows = data.Weighed(options.weighting, as_of);
  const Interactions columns = rows.Transposed();
  const std::vector<float> user_weights = UserWeights(rows, options.user_exponent);
  LocalGram gram{.diagonal = std::vector<float>(rows.items(), 0.0F),
                 .items = BumpRows<uint32_t>(rows.items(), plan.gram_values),
                 .values = BumpRows<float>(rows.items(), plan.gram_values)};
  for (size_t item = 0; item < rows.items(); ++item) {
    const Interactions::Row users = columns.row(item);
    for (size_t u = 0; u < users.size(); ++u)
      gram.diagonal[item] += users.weights[u] * users.weights[u] * user_weights[users.items[u]];
  }
  STARLING_RETURN_IF_ERROR(
      ForItems(rows.items(), options.threads, 0, 0.3, progress, [&](size_t begin, size_t end) {
        std::vector<float> sums(rows.items(), 0.0F);
        std::vector<uint32_t> touched;
        std::vector<Source> found;
        for (size_t item = begin; item < end; ++item) {
          const Interactions::Row users = columns.row(item);
          for (size_t u = 0; u < users.size(); ++u) {
            const Interactions::Row row = rows.row(users.items[u]);
            const float weight = users.weights[u] * user_weights[users.items[u]];
            for (size_t i = 0; i < row.size(); ++i) {
              if (sums[row.items[i]] == 0) touched.push_back(row.items[i]);
              sums[row.items[i]] += weight * row.weights[i];
            }
          }
          found.clear();
          for (const uint32_t other : touched) {
            if (other != item && sums[other] > 0) found.push_back({other, sums[other]});
            sums[other] = 0;
          }
          touched.clear();
          Keep(found, plan.most, options.neighbours, gram.diagonal);
          std::ranges::transform(found, gram.items.Take(item, found.size()).begin(), &Source::item);
          std::ranges::transform(found, gram.values.Take(item, found.size()).begin(),
                                 &Source::weight);
        }
      }));
  return gram;
}

void Neighbourhood::MoveTo(uint32_t item) {
  item_ = item;
  const std::span<const uint32_t> of_item = gram_.items[item];
  const std::span<const float> shared = gram_.values[item];
  neighbours_.clear();
  for (size_t i = 0; i < std::min(of_item.size(), most_); ++i)
    neighbours_.push_back({of_item[i], shared[i]});
  std::sort(neighbours_.begin(), neighbours_.end(),
            [](const Source& a, const Source& b) { return a.item < b.item; });
  const size_t size = neighbours_.size();
  matrix_.assign(size * size, 0.0F);
  for (size_t i = 0; i < size; ++i) {
    const uint32_t neighbour = neighbours_[i].item;
    asked_[neighbour / 64] |= uint64_t{1} << (neighbour % 64);
    position_[neighbour] = static_cast<uint32_t>(i);
  }
  for (size_t i = 0; i < size; ++i) {
    const uint32_t neighbour = neighbours_[i].item;
    matrix_[i * size + i] = gram_.diagonal[neighbour];
    const std::span<const uint32_t> others = gram_.items[neighbour];
    const std::span<const float> values = gram_.values[neighbour];
    for (size_t k = 0; k < others.size(); ++k) {
      const uint32_t other = others[k];
      if ((asked_[other / 64] >> (other % 64) & 1) == 0) continue;
      const size_t j = position_[other];
      matrix_[std::max(i, j) * size + std::min(i, j)] = values[k];
    }
  }
  for (const Source& neighbour : neighbours_) asked_[neighbour.item / 64] = 0;
}

}  // namespace starling::learning
