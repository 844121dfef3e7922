#include "learning/models/item_vectors.h"

#include <algorithm>
#include <cmath>

#include "learning/math/kernels.h"
#include "learning/models/fit_checks.h"
#include "learning/random.h"

namespace starling::learning {
namespace {

// Directions that are less than this share of the average one are rounding, and are left short.
constexpr double kRidge = 1e-9;
// A vector shorter than this before it is scaled says nothing: an item alone has length 1.
constexpr float kSilent = 1e-3F;

// What divides an item's weights: 1 / |w_.i|, 0 for an item that nobody had.
std::vector<float> Scales(const Interactions& data) {
  std::vector<double> squares(data.items(), 0);
  for (size_t user = 0; user < data.users(); ++user) {
    const Interactions::Row row = data.row(user);
    for (size_t i = 0; i < row.size(); ++i)
      squares[row.items[i]] += static_cast<double>(row.weights[i]) * row.weights[i];
  }
  std::vector<float> scales(data.items(), 0);
  for (size_t item = 0; item < scales.size(); ++item) {
    if (squares[item] > 0) scales[item] = static_cast<float>(1 / std::sqrt(squares[item]));
  }
  return scales;
}

// Gives C X = A'(A X), a user at a time: of A X one row is kept.
std::vector<float> TimesCosines(const Interactions& data, std::span<const float> scales,
                                std::span<const float> x, size_t dimension) {
  const Kernels& kernels = BestKernels();
  std::vector<float> product(x.size(), 0);
  std::vector<float> of_user(dimension);
  for (size_t user = 0; user < data.users(); ++user) {
    const Interactions::Row row = data.row(user);
    std::fill(of_user.begin(), of_user.end(), 0.0F);
    for (size_t i = 0; i < row.size(); ++i) {
      const size_t item = row.items[i];
      kernels.axpy(row.weights[i] * scales[item], x.data() + item * dimension, of_user.data(),
                   dimension);
    }
    for (size_t i = 0; i < row.size(); ++i) {
      const size_t item = row.items[i];
      kernels.axpy(row.weights[i] * scales[item], of_user.data(), product.data() + item * dimension,
                   dimension);
    }
  }
  return product;
}

// X'Y in double precision, lower triangle; both are rows x dimension.
std::vector<double> Gram(std::span<const float> x, std::span<const float> y, size_t dimension) {
  std::vector<double> gram(dimension * dimension, 0);
  for (size_t row = 0; row < x.size(); row += dimension) {
    for (size_t a = 0; a < dimension; ++a) {
      const double left = x[row + a];
      if (left == 0) continue;
      for (size_t b = 0; b <= a; ++b) gram[a * dimension + b] += left * y[row + b];
    }
  }
  return gram;
}

// The lower triangle of a symmetric matrix becomes L with L L' = it, made positive by a ridge.
void Cholesky(std::vector<double>& matrix, size_t size) {
  double trace = 0;
  for (size_t i = 0; i < size; ++i) trace += matrix[i * size + i];
  const double ridge = kRidge * trace / static_cast<double>(size) + 1e-300;
  for (size_t i = 0; i < size; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      double sum = matrix[i * size + j];
      for (size_t k = 0; k < j; ++k) sum -= matrix[i * size + k] * matrix[j * size + k];
      if (i == j) {
        matrix[i * size + i] = std::sqrt(std::max(sum, ridge));
      } else {
        matrix[i * size + j] = sum / matrix[j * size + j];
      }
    }
  }
}

// Rows x become x L'^-1, so that X'X is the identity when L L' was X'X.
void DivideRows(std::span<float> x, std::span<const double> l, size_t dimension) {
  std::vector<double> row(dimension);
  for (size_t begin = 0; begin < x.size(); begin += dimension) {
    for (size_t i = 0; i < dimension; ++i) {
      double sum = x[begin + i];
      for (size_t k = 0; k < i; ++k) sum -= l[i * dimension + k] * row[k];
      row[i] = sum / l[i * dimension + i];
    }
    for (size_t i = 0; i < dimension; ++i) x[begin + i] = static_cast<float>(row[i]);
  }
}

// Once loses half of the digits where columns are nearly alike; twice does not.
void Orthonormalise(std::span<float> x, size_t dimension) {
  for (int times = 0; times < 2; ++times) {
    std::vector<double> gram = Gram(x, x, dimension);
    Cholesky(gram, dimension);
    DivideRows(x, gram, dimension);
  }
}

// Rows x become x L, scaled to these lengths, or zeros where they say nothing.
void TimesLowerScaled(std::span<float> x, std::span<const double> l, std::span<const float> lengths,
                      size_t dimension) {
  for (size_t begin = 0; begin < x.size(); begin += dimension) {
    double square = 0;
    for (size_t j = 0; j < dimension; ++j) {
      double sum = 0;  // of what is not yet written
      for (size_t i = j; i < dimension; ++i) sum += x[begin + i] * l[i * dimension + j];
      x[begin + j] = static_cast<float>(sum);
      square += sum * sum;
    }
    const auto length = static_cast<float>(std::sqrt(square));
    const float scale = length > kSilent ? lengths[begin / dimension] / length : 0;
    for (size_t j = 0; j < dimension; ++j) x[begin + j] *= scale;
  }
}

std::vector<float> Lengths(const Interactions& data) {
  const std::vector<uint32_t> counts = data.ItemCounts();
  const uint32_t most = counts.empty() ? 0 : *std::max_element(counts.begin(), counts.end());
  std::vector<float> lengths(counts.size(), 0);
  for (size_t item = 0; item < counts.size() && most > 0; ++item)
    lengths[item] = static_cast<float>(std::sqrt(static_cast<double>(counts[item]) / most));
  return lengths;
}

}  // namespace

uint64_t ItemVectorMemory(const Interactions& data, const ItemVectorOptions& options) {
  return 2 * 4 * data.items() * options.dimension + 16 * data.items() +
         8 * options.dimension * options.dimension;
}

StatusOr<std::vector<float>> FitItemVectors(const Interactions& data,
                                            const ItemVectorOptions& options,
                                            const Progress& progress) {
  if (options.dimension < 1 || options.dimension > 1024) {
    return InvalidField("dimension", "{} is outside 1 to 1024; 64 is a good start",
                        options.dimension);
  }
  STARLING_RETURN_IF_ERROR(CheckAtLeast("rounds", options.rounds, 1));
  STARLING_RETURN_IF_ERROR(
      CheckMemory(ItemVectorMemory(data, options), options.memory_limit, "lower dimension"));
  const size_t dimension = options.dimension;
  const std::vector<float> scales = Scales(data);
  Random random(options.seed);
  std::vector<float> q(data.items() * dimension);
  for (size_t item = 0; item < data.items(); ++item) {
    for (size_t d = 0; d < dimension; ++d) {
      // Drawn for every item, so that one does not change the others' numbers.
      const double drawn = random.Normal();
      q[item * dimension + d] = scales[item] > 0 ? static_cast<float>(drawn) : 0;
    }
  }
  for (int round = 0; round < options.rounds; ++round) {
    STARLING_RETURN_IF_ERROR(
        ReportProgress(progress, static_cast<double>(round) / (options.rounds + 1)));
    q = TimesCosines(data, scales, q, dimension);
    Orthonormalise(q, dimension);
  }
  const std::vector<float> cq = TimesCosines(data, scales, q, dimension);
  std::vector<double> small = Gram(q, cq, dimension);
  Cholesky(small, dimension);
  TimesLowerScaled(q, small, Lengths(data), dimension);
  STARLING_RETURN_IF_ERROR(ReportProgress(progress, 1));
  return q;
}

}  // namespace starling::learning
