// How sure a mean over users is, and whether two models differ over the same users.
//
//   std::vector<Interval> intervals = *BootstrapMeans(values, /*columns=*/1, {});
//   PairedComparison compared = *ComparePaired(ndcg_of_ease, ndcg_of_als, {});
//   // compared.difference: of the means, ease - als; compared.p: how often chance does as much
//   std::vector<double> adjusted = HolmAdjusted(p_of_each_comparison);
//
// Both draw users, never events: what one user does hangs together. The same seed gives the same
// figures. INVALID_ARGUMENT names an option that is wrong, FAILED_PRECONDITION says that there is
// no user. Pure; thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "platform/base/status.h"

namespace starling::learning {

struct Interval {
  double low = 0;
  double mean = 0;
  double high = 0;
};

struct BootstrapOptions {
  double level = 0.95;  // in (0, 1)
  int samples = 1000;   // 1 to 100000
  uint64_t seed = 1;
};

// The percentile bootstrap over users (Efron 1979): users are drawn with replacement, the mean of
// each column is taken, and the middle `level` of the means is its interval. values: users x
// columns, row-major; columns >= 1. samples x users draws for all columns together.
StatusOr<std::vector<Interval>> BootstrapMeans(std::span<const float> values, size_t columns,
                                               const BootstrapOptions& options);

struct PairedOptions {
  BootstrapOptions bootstrap;
  int flips = 10'000;  // 1 to 1000000; the smallest p is 1 / (flips + 1)
};

struct PairedComparison {
  Interval difference;  // of a - b, a bootstrap over the users
  double p = 1;         // two-sided
};

// a[u] and b[u] are of one user; of one length. The p-value is of Fisher's randomisation test
// (Smucker, Allan, Carterette 2007): were the models alike, each user's difference d_u could as
// well be -d_u; so
//   p = (1 + how many of the sign flips have |sum s_u d_u| >= |sum d_u|) / (1 + flips)
// Users with d_u = 0 change nothing and cost nothing: flips x the others, about 1 ns each.
StatusOr<PairedComparison> ComparePaired(std::span<const float> a, std::span<const float> b,
                                         const PairedOptions& options);

// P-values of m comparisons made together, so that the chance of any false one stays what a single
// one's would be (Holm 1979): the i-th smallest becomes the largest of min(1, (m - j + 1) p_j),
// j <= i. In the order of `p`.
std::vector<double> HolmAdjusted(std::span<const double> p);

}  // namespace starling::learning
