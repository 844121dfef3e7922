// The inner loops and dense algebra against Eigen in double precision, at every instruction set
// this machine runs.
#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <algorithm>
#include <random>
#include <vector>

#include "learning/math/dense.h"
#include "learning/math/kernels.h"
#include "learning/math/parallel.h"
#include "learning/random.h"

namespace starling::learning {
namespace {

using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

std::vector<float> RandomValues(size_t count, Random& random) {
  std::vector<float> values(count);
  for (float& value : values) {
    value = static_cast<float>(random.Normal());
  }
  return values;
}

RowMajor AsMatrix(std::span<const float> values, size_t rows, size_t columns) {
  return Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>(
             values.data(), static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(columns))
      .cast<double>();
}

// A row problem that owns its arrays.
struct Example {
  Example(size_t count, size_t dimension, Random& random)
      : factors(RandomValues(50 * dimension, random)), diagonal(dimension) {
    for (size_t i = 0; i < count; ++i) {
      items.push_back(static_cast<uint32_t>(random.Below(50)));
      confidence.push_back(static_cast<float>(0.5 + random.Unit()));
    }
    for (float& value : diagonal) {
      value = static_cast<float>(1 + random.Unit());
    }
    problem = {factors.data(), items.data(), confidence.data(), diagonal.data(), count, dimension};
  }

  RowMajor System() const {
    RowMajor a = RowMajor::Zero(Dimension(), Dimension());
    for (Eigen::Index f = 0; f < Dimension(); ++f) {
      a(f, f) = diagonal[static_cast<size_t>(f)];
    }
    for (size_t i = 0; i < items.size(); ++i) {
      a += confidence[i] * Row(i) * Row(i).transpose();
    }
    return a;
  }
  Eigen::VectorXd RightSide() const {
    Eigen::VectorXd b = Eigen::VectorXd::Zero(Dimension());
    for (size_t i = 0; i < items.size(); ++i) {
      b += confidence[i] * Row(i);
    }
    return b;
  }
  Eigen::VectorXd Row(size_t i) const {
    return Eigen::Map<const Eigen::VectorXf>(factors.data() + items[i] * problem.dimension,
                                             Dimension())
        .cast<double>();
  }
  Eigen::Index Dimension() const { return static_cast<Eigen::Index>(problem.dimension); }

  std::vector<float> factors;
  std::vector<float> diagonal;
  std::vector<uint32_t> items;
  std::vector<float> confidence;
  RowProblem problem;
};

double Distance(std::span<const float> found, const Eigen::VectorXd& expected) {
  double worst = 0;
  for (size_t f = 0; f < found.size(); ++f) {
    worst = std::max(worst, std::abs(found[f] - expected[static_cast<Eigen::Index>(f)]));
  }
  return worst;
}

TEST(Kernels, SolveRowsAsEigenDoesForAnyShape) {
  Random random(1);
  for (const Kernels* kernels : RunnableKernels()) {
    for (const size_t dimension : {1, 7, 16, 31, 64}) {
      for (const size_t count : {1, 3, 15, 16, 17, 63, 64, 200}) {
        const Example example(count, dimension, random);
        const Eigen::VectorXd expected = example.System().ldlt().solve(example.RightSide());
        std::vector<float> scratch(RowScratch(example.problem));
        std::vector<float> w(dimension, 0.0F);
        kernels->solve_exactly(example.problem, scratch.data(), w.data());
        EXPECT_LT(Distance(w, expected), 2e-4)
            << kernels->name << ' ' << count << " x " << dimension;
        std::fill(w.begin(), w.end(), 0.0F);
        kernels->solve_by_cg(example.problem, 100, scratch.data(), w.data());
        EXPECT_LT(Distance(w, expected), 2e-4)
            << kernels->name << " by gradients, " << count << " x " << dimension;
      }
    }
  }
}

TEST(Kernels, FactorOnceForSeveralRightSides) {
  Random random(2);
  for (const Kernels* kernels : RunnableKernels()) {
    const Example example(40, 33, random);
    std::vector<float> a(size_t{33} * 33);
    kernels->factor_matrix(example.problem, a.data());
    for (int side = 0; side < 3; ++side) {
      std::vector<float> x = RandomValues(33, random);
      const Eigen::VectorXd b = AsMatrix(x, 33, 1);
      kernels->solve_factored(a.data(), 33, x.data());
      EXPECT_LT(Distance(x, example.System().ldlt().solve(b)), 1e-4) << kernels->name;
    }
  }
}

TEST(Kernels, FindTheLargestAndWhatIsLargeEnough) {
  std::mt19937 random(5);
  std::uniform_real_distribution<float> uniform(0, 1);
  for (const Kernels* kernels : RunnableKernels()) {
    for (const size_t size : {0, 1, 7, 31, 64, 100, 1'000}) {
      std::vector<float> values(size);
      for (float& value : values) value = uniform(random) < 0.9F ? 0 : uniform(random);
      float largest = 0;
      for (const float value : values) largest = std::max(largest, value);
      EXPECT_EQ(kernels->largest(values.data(), size), largest) << kernels->name << " " << size;
      for (const float bar : {0.001F, 0.5F, 0.99F, 2.0F}) {
        std::vector<size_t> expected, found;
        for (size_t i = 0; i < size; ++i) {
          if (values[i] >= bar) expected.push_back(i);
        }
        for (size_t i = 0; (i = kernels->find_at_least(values.data(), i, size, bar)) < size; ++i)
          found.push_back(i);
        EXPECT_EQ(found, expected) << kernels->name << " " << size << " " << bar;
      }
    }
  }
}

TEST(Kernels, AddAndMultiplyAnyLength) {
  Random random(3);
  for (const Kernels* kernels : RunnableKernels()) {
    for (size_t size = 0; size < 70; ++size) {
      const std::vector<float> a = RandomValues(size, random);
      std::vector<float> b = RandomValues(size, random);
      const Eigen::VectorXd x = AsMatrix(a, size, 1);
      const Eigen::VectorXd y = AsMatrix(b, size, 1);
      EXPECT_NEAR(kernels->dot(a.data(), b.data(), size), x.dot(y), 1e-4) << kernels->name;
      kernels->axpy(0.5F, a.data(), b.data(), size);
      EXPECT_LT(Distance(b, y + 0.5 * x), 1e-5) << kernels->name;
    }
  }
}

TEST(Dense, InvertsAsEigenDoes) {
  Random random(4);
  for (const int threads : {1, 2}) {
    for (const size_t size : {1, 2, 65, 200}) {
      const std::vector<float> x = RandomValues(2 * size * size, random);
      std::vector<float> matrix = GramMatrix(x, 2 * size, size, threads);
      const RowMajor expected_gram =
          AsMatrix(x, 2 * size, size).transpose() * AsMatrix(x, 2 * size, size);
      EXPECT_LT((AsMatrix(matrix, size, size) - expected_gram).cwiseAbs().maxCoeff(), 1e-3);
      const RowMajor expected = AsMatrix(matrix, size, size).inverse();
      ASSERT_TRUE(InvertPositiveDefinite(matrix, size, threads).ok());
      EXPECT_LT((AsMatrix(matrix, size, size) - expected).cwiseAbs().maxCoeff(),
                1e-4 * expected.cwiseAbs().maxCoeff());
    }
  }
}

TEST(Dense, RefusesToInvertWhatIsNotPositiveDefinite) {
  std::vector<float> matrix = {1, 2, 2, 1};
  EXPECT_EQ(InvertPositiveDefinite(matrix, 2, 1).code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(InvertPositiveDefinite({}, 0, 1).ok());
}

TEST(Dense, AnEigenbasisMakesTheMatrixDiagonal) {
  Random random(5);
  const std::vector<float> x = RandomValues(size_t{100} * 16, random);
  const std::vector<float> gram = GramMatrix(x, 100, 16, 1);
  const Eigenbasis basis = SymmetricEigenbasis(gram, 16).value();
  const RowMajor q = AsMatrix(basis.vectors, 16, 16);
  RowMajor diagonal = RowMajor::Zero(16, 16);
  for (Eigen::Index f = 0; f < 16; ++f) {
    diagonal(f, f) = basis.values[static_cast<size_t>(f)];
  }
  EXPECT_LT((q.transpose() * AsMatrix(gram, 16, 16) * q - diagonal).cwiseAbs().maxCoeff(), 1e-3);
  std::vector<float> rotated = x;
  MultiplyInPlace(rotated, 100, basis.vectors, 16, 1);
  EXPECT_LT((AsMatrix(rotated, 100, 16) - AsMatrix(x, 100, 16) * q).cwiseAbs().maxCoeff(), 1e-4);
}

TEST(ParallelFor, GivesEachRowToOneThreadOnce) {
  for (const int threads : {1, 3, 64}) {
    for (const size_t count : {0, 1, 7, 1000}) {
      std::vector<int> visits(count, 0);
      ParallelFor(count, threads, 8, [&](size_t begin, size_t end) {
        for (size_t i = begin; i < end; ++i) {
          ++visits[i];
        }
      });
      EXPECT_EQ(std::count(visits.begin(), visits.end(), 1), static_cast<ptrdiff_t>(count));
    }
  }
}

// More rows than are multiplied at once.
TEST(Dense, AddsAProductOfManyRowsAsADoubleLoopDoes) {
  constexpr size_t kRows = 9'001, kInner = 3, kColumns = 2;
  Random random(4);
  std::vector<float> a(kRows * kInner), turned(kRows * kInner), b(kInner * kColumns);
  for (size_t row = 0; row < kRows; ++row) {
    for (size_t i = 0; i < kInner; ++i)
      turned[i * kRows + row] = a[row * kInner + i] = static_cast<float>(random.Normal());
  }
  for (float& value : b) value = static_cast<float>(random.Normal());
  for (const int threads : {1, 2}) {
    std::vector<float> plain(kRows * kColumns, 1.0F), transposed(kRows * kColumns, 1.0F);
    AddProduct({a, kRows, kInner}, {b, kInner, kColumns}, plain, threads);
    AddProduct({turned, kInner, kRows, Transposed::kYes}, {b, kInner, kColumns}, transposed,
               threads);
    for (size_t row = 0; row < kRows; ++row) {
      for (size_t column = 0; column < kColumns; ++column) {
        double sum = 1;
        for (size_t i = 0; i < kInner; ++i)
          sum += static_cast<double>(a[row * kInner + i]) * b[i * kColumns + column];
        ASSERT_NEAR(plain[row * kColumns + column], sum, 1e-5) << row;
        ASSERT_NEAR(transposed[row * kColumns + column], sum, 1e-5) << row;
      }
    }
  }
}

}  // namespace
}  // namespace starling::learning
