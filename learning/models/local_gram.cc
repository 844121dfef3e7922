#include "learning/models/local_gram.h"

#include "learning/models/fit_checks.h"
#include "learning/models/user_weights.h"

namespace starling::learning {
namespace {

using Source = ItemToItemModel::Source;

// By descending similarity to the item whose row it is, then by item.
auto ByCosine(std::span<const float> diagonal) {
  return [diagonal](const Source& a, const Source& b) {
    const float x = a.weight * a.weight / diagonal[a.item];
    const float y = b.weight * b.weight / diagonal[b.item];
    return x != y ? x > y : a.item < b.item;
  };
}

// The `most` most similar, the `neighbours` most similar of them first.
void Keep(std::vector<Source>& found, size_t most, size_t neighbours,
          std::span<const float> diagonal) {
  for (const size_t first : {most, neighbours}) {
    if (found.size() <= first) continue;
    std::nth_element(found.begin(), found.begin() + static_cast<ptrdiff_t>(first), found.end(),
                     ByCosine(diagonal));
    if (first == most) found.resize(most);
  }
}

}  // namespace

LocalPlan PlanLocal(const Interactions& data, const LocalOptions& options, uint64_t scratch,
                    const std::function<double(const NeighbourCounts&)>& weighed) {
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
  const uint64_t multiplying =
      WeighedMemory(data) + 4 * data.users() + gram + threads * (4 * items + 12 * counts.Widest());
  const auto memory = [&](double share) {
    const auto weights =
        static_cast<uint64_t>(share * static_cast<double>(counts.Expected(neighbours)));
    const uint64_t sources = ItemToItemModel::SourcesMemory(items, weights);
    const uint64_t solving = gram + sources + threads * (scratch + 4 * items);
    const uint64_t model = sources + ItemToItemModel::MemoryOf(items, weights);
    return std::max({multiplying, solving, model});
  };
  plan.memory = memory(weighed ? 0 : 1);
  if (weighed && plan.memory <= options.memory_limit) plan.memory = memory(weighed(counts));
  return plan;
}

WeighedRows WeighedRowsOf(const Interactions& data, const LocalOptions& options) {
  const int64_t as_of = options.as_of != 0 ? options.as_of : data.latest_time();
  WeighedRows weighed{.rows = data.Weighed(options.weighting, as_of)};
  weighed.user_weights = UserWeights(weighed.rows, options.user_exponent);
  weighed.diagonal.assign(data.items(), 0.0F);
  for (size_t user = 0; user < data.users(); ++user) {
    const Interactions::Row row = weighed.rows.row(user);
    for (size_t i = 0; i < row.size(); ++i)
      weighed.diagonal[row.items[i]] +=
          row.weights[i] * row.weights[i] * weighed.user_weights[user];
  }
  return weighed;
}

StatusOr<LocalGram> LocalGramOf(const Interactions& data, const LocalOptions& options,
                                const LocalPlan& plan, const Progress& progress) {
  WeighedRows weighed = WeighedRowsOf(data, options);
  const Interactions& rows = weighed.rows;
  const std::vector<float>& user_weights = weighed.user_weights;
  const Interactions columns = rows.Transposed();
  LocalGram gram{.diagonal = std::move(weighed.diagonal),
                 .items = BumpRows<uint32_t>(rows.items(), plan.gram_values),
                 .values = BumpRows<float>(rows.items(), plan.gram_values)};
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

void Neighbourhood::Begin(uint32_t item) {
  item_ = item;
  std::sort(neighbours_.begin(), neighbours_.end(),
            [](const Source& a, const Source& b) { return a.item < b.item; });
  const size_t size = neighbours_.size();
  matrix_.assign(size * size, 0.0F);
  for (size_t i = 0; i < size; ++i) {
    const uint32_t neighbour = neighbours_[i].item;
    asked_[neighbour / 64] |= uint64_t{1} << (neighbour % 64);
    position_[neighbour] = static_cast<uint32_t>(i);
    matrix_[i * size + i] = diagonal_[neighbour];
  }
}

void Neighbourhood::End() {
  for (const Source& neighbour : neighbours_) asked_[neighbour.item / 64] = 0;
}

void Neighbourhood::MoveTo(uint32_t item, const LocalGram& gram) {
  const std::span<const uint32_t> of_item = gram.items[item];
  const std::span<const float> shared = gram.values[item];
  neighbours_.clear();
  for (size_t i = 0; i < std::min(of_item.size(), most_); ++i)
    neighbours_.push_back({of_item[i], shared[i]});
  Begin(item);
  const size_t size = neighbours_.size();
  for (size_t i = 0; i < size; ++i) {
    const uint32_t neighbour = neighbours_[i].item;
    const std::span<const uint32_t> others = gram.items[neighbour];
    const std::span<const float> values = gram.values[neighbour];
    for (size_t k = 0; k < others.size(); ++k) {
      const uint32_t other = others[k];
      if ((asked_[other / 64] >> (other % 64) & 1) == 0) continue;
      const size_t j = position_[other];
      matrix_[std::max(i, j) * size + std::min(i, j)] = values[k];
    }
  }
  End();
}

void Neighbourhood::MoveTo(uint32_t item, const WeighedRows& data) {
  std::vector<float> sums(diagonal_.size(), 0.0F);
  for (size_t user = 0; user < data.rows.users(); ++user) {
    const Interactions::Row row = data.rows.row(user);
    const auto found = std::lower_bound(row.items.begin(), row.items.end(), item);
    if (found == row.items.end() || *found != item) continue;
    const float weight = data.user_weights[user] * row.weights[found - row.items.begin()];
    for (size_t i = 0; i < row.size(); ++i) sums[row.items[i]] += weight * row.weights[i];
  }
  neighbours_.clear();
  for (uint32_t other = 0; other < sums.size(); ++other) {
    if (other != item && sums[other] > 0) neighbours_.push_back({other, sums[other]});
  }
  Keep(neighbours_, most_, most_, diagonal_);
  Begin(item);
  const size_t size = neighbours_.size();
  std::vector<Source> of_user;  // by position
  for (size_t user = 0; user < data.rows.users(); ++user) {
    const Interactions::Row row = data.rows.row(user);
    of_user.clear();
    for (size_t i = 0; i < row.size(); ++i) {
      const uint32_t other = row.items[i];
      if ((asked_[other / 64] >> (other % 64) & 1) != 0)
        of_user.push_back({position_[other], row.weights[i]});
    }
    for (size_t i = 1; i < of_user.size(); ++i) {
      float* of_row = matrix_.data() + of_user[i].item * size;
      const float weight = of_user[i].weight * data.user_weights[user];
      for (size_t k = 0; k < i; ++k) of_row[of_user[k].item] += weight * of_user[k].weight;
    }
  }
  End();
}

}  // namespace starling::learning
