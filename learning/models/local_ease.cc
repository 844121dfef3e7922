#include "learning/models/local_ease.h"

#include <algorithm>
#include <cmath>

#include "learning/math/kernels.h"
#include "learning/models/fit_checks.h"
#include "learning/models/neighbour_counts.h"
#include "learning/models/user_weights.h"

namespace starling::learning {
namespace {

using Source = ItemToItemModel::Source;

// G without its diagonal. Of each row first the neighbours, then the other items that are kept,
// each in any order. Items lie by themselves, since they are read for each that is looked for.
struct Gram {
  std::vector<float> diagonal;
  BumpRows<uint32_t> items;
  BumpRows<float> values;
};

// What a fit keeps and takes, known before it begins.
struct Plan {
  size_t most = 0;           // kept of each row of G
  uint64_t gram_values = 0;  // room for those of all rows
  uint64_t weights = 0;      // room for those of the model
  uint64_t memory = 0;       // bytes at the peak
};

Status Check(const LocalEaseOptions& options) {
  STARLING_RETURN_IF_ERROR(CheckRegression(options));
  if (options.neighbours < 1 || options.neighbours > 2'000)
    return InvalidField("neighbours", "{} is outside 1 to 2000", options.neighbours);
  return OkStatus();
}

// By descending similarity to the item whose row it is, then by item.
auto ByCosine(const std::vector<float>& diagonal) {
  return [&diagonal](const Source& a, const Source& b) {
    const float x = a.weight * a.weight / diagonal[a.item];
    const float y = b.weight * b.weight / diagonal[b.item];
    return x != y ? x > y : a.item < b.item;
  };
}

Plan PlanOf(const Interactions& data, const LocalEaseOptions& options) {
  const uint64_t items = data.items();
  const auto neighbours = static_cast<uint64_t>(options.neighbours);
  const auto threads = static_cast<uint64_t>(options.threads);
  // Half the limit holds that many of each row.
  const uint64_t most = options.memory_limit / 2 / std::max<uint64_t>(items, 1) / sizeof(Source);
  Plan plan{.most = std::clamp(most, neighbours, std::max(neighbours, items))};
  const NeighbourCounts counts(data, plan.most);
  plan.gram_values = counts.AtMost(plan.most);
  plan.weights = counts.AtMost(neighbours);
  const uint64_t gram = 4 * items + 32 * items + 8 * counts.Expected(plan.most);
  const uint64_t weights = counts.Expected(neighbours);
  const uint64_t sources = ItemToItemModel::SourcesMemory(items, weights);
  const uint64_t multiplying =
      WeighedMemory(data) + 4 * data.users() + gram + threads * (4 * items + 12 * counts.Widest());
  const uint64_t square = std::min(neighbours, items) * std::min(neighbours, items);
  const uint64_t solving = gram + sources + threads * (8 * square + 4 * items);
  const uint64_t model = sources + ItemToItemModel::MemoryOf(items, weights);
  plan.memory = std::max({multiplying, solving, model}) + 4 * items;
  return plan;
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

// Calls body(begin, end) for all items on all threads, part by part, telling how far it is.
template <typename Body>
Status ForItems(size_t items, int threads, double from, double to, const Progress& progress,
                const Body& body) {
  constexpr size_t kParts = 50;
  const size_t part = std::max<size_t>(1, (items + kParts - 1) / kParts);
  for (size_t first = 0; first < items; first += part) {
    STARLING_RETURN_IF_ERROR(ReportProgress(
        progress, from + (to - from) * static_cast<double>(first) / static_cast<double>(items)));
    ParallelFor(std::min(part, items - first), threads, 32,
                [&](size_t begin, size_t end) { body(first + begin, first + end); });
  }
  return OkStatus();
}

StatusOr<Gram> GramOf(const Interactions& rows, const LocalEaseOptions& options, const Plan& plan,
                      const Progress& progress) {
  const Interactions columns = rows.Transposed();
  const std::vector<float> user_weights = UserWeights(rows, options.user_exponent);
  Gram gram{.diagonal = std::vector<float>(rows.items(), 0.0F),
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
          Keep(found, plan.most, static_cast<size_t>(options.neighbours), gram.diagonal);
          std::ranges::transform(found, gram.items.Take(item, found.size()).begin(), &Source::item);
          std::ranges::transform(found, gram.values.Take(item, found.size()).begin(),
                                 &Source::weight);
        }
      }));
  return gram;
}

// One regression at a time; its memory is used again for the next.
class LocalRegression {
 public:
  LocalRegression(const Gram& gram, const LocalEaseOptions& options)
      : gram_(gram),
        options_(options),
        asked_((gram.diagonal.size() + 63) / 64, 0),
        position_(gram.diagonal.size(), 0) {}

  // The weights into an item, until the next is solved; sets unexplained().
  std::span<const Source> Solve(uint32_t item) {
    unexplained_ = 1;
    const std::span<const uint32_t> others = gram_.items[item];
    const std::span<const float> values = gram_.values[item];
    const size_t count = std::min(others.size(), static_cast<size_t>(options_.neighbours));
    neighbours_.clear();
    for (size_t i = 0; i < count; ++i) neighbours_.push_back({others[i], values[i]});
    std::sort(neighbours_.begin(), neighbours_.end(),
              [](const Source& a, const Source& b) { return a.item < b.item; });
    const size_t size = neighbours_.size();
    if (size == 0) return {};
    FillMatrix();
    // What was cut off G may leave it indefinite, which more on the diagonal mends.
    double more = 0;
    while (!Factor(size, more)) {
      more = more == 0 ? 0.01 : more * 4;
      if (more > 1e6) return {};  // sums that overflowed
    }
    Substitute(size);
    // 1 / P_jj by the inverse of a matrix in blocks.
    const float diagonal = gram_.diagonal[item];
    const float added = AddedToDiagonal(options_, diagonal);
    float left = diagonal + added;
    for (size_t i = 0; i < size; ++i) left -= neighbours_[i].weight * solution_[i];
    unexplained_ = added / std::max(left, added);
    const float scale = RelaxedBy(unexplained_, options_.relaxation);
    weights_.clear();
    for (size_t i = 0; i < size; ++i) {
      if (solution_[i] != 0) weights_.push_back({neighbours_[i].item, solution_[i] * scale});
    }
    return weights_;
  }
  // L_jj P_jj of the item.
  float unexplained() const { return unexplained_; }

 private:
  // The lower triangle of G_NN, and L_NN beside it.
  void FillMatrix() {
    const size_t size = neighbours_.size();
    matrix_.assign(size * size, 0.0F);
    added_.resize(size);
    for (size_t i = 0; i < size; ++i) {
      const uint32_t item = neighbours_[i].item;
      asked_[item / 64] |= uint64_t{1} << (item % 64);
      position_[item] = static_cast<uint32_t>(i);
    }
    for (size_t i = 0; i < size; ++i) {
      const uint32_t item = neighbours_[i].item;
      matrix_[i * size + i] = gram_.diagonal[item];
      added_[i] = AddedToDiagonal(options_, gram_.diagonal[item]);
      const std::span<const uint32_t> others = gram_.items[item];
      const std::span<const float> values = gram_.values[item];
      for (size_t k = 0; k < others.size(); ++k) {
        const uint32_t other = others[k];
        if ((asked_[other / 64] >> (other % 64) & 1) == 0) continue;
        const size_t j = position_[other];
        matrix_[std::max(i, j) * size + std::min(i, j)] = values[k];
      }
    }
    for (const Source& neighbour : neighbours_) asked_[neighbour.item / 64] = 0;
  }

  // The Cholesky factor of the matrix, in its place's twin; false when it has none.
  bool Factor(size_t size, double more) {
    const Kernels& kernels = BestKernels();
    factor_.resize(size * size);
    inverse_.resize(size);
    for (size_t i = 0; i < size; ++i) {
      float* row = factor_.data() + i * size;
      const float* of_matrix = matrix_.data() + i * size;
      for (size_t j = 0; j < i; ++j)
        row[j] = (of_matrix[j] - kernels.dot(row, factor_.data() + j * size, j)) * inverse_[j];
      const float diagonal = of_matrix[i] * static_cast<float>(1 + more) + added_[i];
      const float left = diagonal - kernels.dot(row, row, i);
      if (!(left > 1e-6F * diagonal)) return false;
      inverse_[i] = 1 / std::sqrt(left);
      row[i] = left * inverse_[i];
    }
    return true;
  }

  void Substitute(size_t size) {
    const Kernels& kernels = BestKernels();
    solution_.resize(size);
    for (size_t i = 0; i < size; ++i) {
      const float* row = factor_.data() + i * size;
      solution_[i] = (neighbours_[i].weight - kernels.dot(row, solution_.data(), i)) * inverse_[i];
    }
    for (size_t i = size; i-- > 0;) {
      solution_[i] *= inverse_[i];
      kernels.axpy(-solution_[i], factor_.data() + i * size, solution_.data(), i);
    }
  }

  const Gram& gram_;
  const LocalEaseOptions& options_;
  std::vector<uint64_t> asked_;     // a bit an item: it is one of the neighbours
  std::vector<uint32_t> position_;  // of each that is, in neighbours_
  std::vector<Source> neighbours_, weights_;
  std::vector<float> matrix_, factor_, added_, inverse_, solution_;
  float unexplained_ = 1;
};

// Weights into each item; of an unrelaxed fit also what is unexplained of each.
struct Fitted {
  BumpRows<Source> sources;
  std::vector<float> unexplained;
};

StatusOr<Fitted> FitSources(const Interactions& data, const LocalEaseOptions& options,
                            const Plan& plan, const Progress& progress) {
  const int64_t as_of = options.as_of != 0 ? options.as_of : data.latest_time();
  STARLING_ASSIGN_OR_RETURN(
      const Gram gram, GramOf(data.Weighed(options.weighting, as_of), options, plan, progress));
  Fitted fitted{.sources = BumpRows<Source>(data.items(), plan.weights)};
  if (options.relaxation == 0) fitted.unexplained.resize(data.items());
  STARLING_RETURN_IF_ERROR(
      ForItems(data.items(), options.threads, 0.3, 1, progress, [&](size_t begin, size_t end) {
        LocalRegression regression(gram, options);
        for (size_t item = begin; item < end; ++item) {
          const std::span<const Source> weights = regression.Solve(static_cast<uint32_t>(item));
          std::ranges::copy(weights, fitted.sources.Take(item, weights.size()).begin());
          if (options.relaxation == 0) fitted.unexplained[item] = regression.unexplained();
        }
      }));
  return fitted;
}

}  // namespace

uint64_t LocalEaseMemory(const Interactions& data, const LocalEaseOptions& options) {
  return PlanOf(data, options).memory;
}

StatusOr<ItemToItemModel> FitLocalEase(const Interactions& data, const LocalEaseOptions& options,
                                       const Progress& progress) {
  STARLING_RETURN_IF_ERROR(Check(options));
  const Plan plan = PlanOf(data, options);
  STARLING_RETURN_IF_ERROR(CheckMemory(plan.memory, options.memory_limit,
                                       "lower neighbours, or raise it when the machine has it"));
  STARLING_ASSIGN_OR_RETURN(Fitted fitted, FitSources(data, options, plan, progress));
  STARLING_RETURN_IF_ERROR(ReportProgress(progress, 1));
  return ItemToItemModel(kEaseKind, options.weighting, fitted.sources,
                         std::move(fitted.unexplained));
}

}  // namespace starling::learning
