// Each fit takes at its peak what it says beforehand, since memory_limit is checked by that. Not
// under sanitizers, which take memory of their own for each piece.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

#include <gtest/gtest.h>

#include <vector>

#include "apps/starling/evaluation/made_shop.h"
#include "apps/starling/evaluation/peak_memory.h"
#include "learning/math/dense.h"
#include "learning/models/als.h"
#include "learning/models/autoencoder.h"
#include "learning/models/content.h"
#include "learning/models/ease.h"
#include "learning/models/item_knn.h"
#include "learning/models/item_vectors.h"
#include "learning/models/local_ease.h"
#include "learning/models/low_pass.h"
#include "learning/models/next_basket.h"
#include "learning/models/sampled_mf.h"
#include "learning/models/slim.h"
#include "learning/models/transitions.h"
#include "learning/ranking/boosted_trees.h"
#include "learning/retrieval/retrieval_index.h"

namespace starling {
namespace {

constexpr double kMB = 1e6;

// The number of threads.
class FitMemory : public testing::TestWithParam<int> {
 protected:
  // OpenBLAS keeps buffers of its own, once a process; no fit counts them.
  static void SetUpTestSuite() {
    constexpr size_t kSize = 2'500;
    std::vector<float> matrix(kSize * kSize, 0.0F);
    for (size_t i = 0; i < kSize; ++i) matrix[i * kSize + i] = 1;
    for (const int threads : {1, 2})
      ASSERT_TRUE(learning::InvertPositiveDefinite(matrix, kSize, threads).ok());
  }

  template <typename Fit>
  static double PeakOf(const Fit& fit) {
    PeakMemory peak;
    peak.Begin();
    const auto model = fit();
    const auto bytes = static_cast<double>(peak.End());
    EXPECT_TRUE(model.ok()) << model.status();
    return bytes;
  }
  // Within a tenth and the few MB that allocator and threads keep.
  template <typename Fit>
  static void ExpectTrue(uint64_t estimate, const Fit& fit) {
    const auto estimated = static_cast<double>(estimate);
    EXPECT_GT(estimated, 20 * kMB) << "too little to tell";
    EXPECT_NEAR(PeakOf(fit), estimated, 0.1 * estimated + 4 * kMB);
  }
};

TEST_P(FitMemory, OfAlsIsWhatItSays) {
  const auto data = MadeInteractions({.users = 60'000, .items = 40'000, .entries = 400'000});
  const learning::AlsOptions options{.iterations = 2, .threads = GetParam()};
  ExpectTrue(learning::AlsMemory(*data, options), [&] { return FitAls(*data, options); });
}

TEST_P(FitMemory, OfAnAutoencoderIsWhatItSays) {
  const auto data = MadeInteractions({.users = 10'000, .items = 15'000, .entries = 200'000});
  const learning::AutoencoderOptions options{.factors = 64, .steps = 3, .threads = GetParam()};
  ExpectTrue(learning::AutoencoderMemory(*data, options),
             [&] { return FitAutoencoder(*data, options); });
}

TEST_P(FitMemory, OfItemVectorsIsWhatItSays) {
  const auto data = MadeInteractions({.users = 20'000, .items = 80'000, .entries = 200'000});
  const learning::ItemVectorOptions options{.dimension = 64, .rounds = 1};
  ExpectTrue(learning::ItemVectorMemory(*data, options),
             [&] { return FitItemVectors(*data, options); });
}

TEST_P(FitMemory, OfEaseIsWhatItSays) {
  const auto data = MadeInteractions({.users = 4'000, .items = 2'500, .entries = 60'000});
  const learning::EaseOptions options{.neighbours = 100, .threads = GetParam()};
  ExpectTrue(learning::EaseMemory(*data, options), [&] { return FitEase(*data, options); });
}

TEST_P(FitMemory, OfEaseWithAllWeightsIsWhatItSays) {
  const auto data = MadeInteractions({.users = 4'000, .items = 2'000, .entries = 60'000});
  const learning::EaseOptions options{.neighbours = 0, .threads = GetParam()};
  ExpectTrue(learning::EaseMemory(*data, options), [&] { return FitEase(*data, options); });
}

TEST_P(FitMemory, OfLocalEaseIsWhatItSays) {
  const auto data = MadeInteractions({.users = 10'000, .items = 20'000, .entries = 150'000});
  const learning::LocalEaseOptions options{.neighbours = 40, .threads = GetParam()};
  ExpectTrue(learning::LocalEaseMemory(*data, options),
             [&] { return FitLocalEase(*data, options); });
}

TEST_P(FitMemory, OfASampledFactorisationIsWhatItSays) {
  const auto data = MadeInteractions({.users = 10'000, .items = 20'000, .entries = 200'000});
  const learning::SampledMfOptions options{.factors = 64, .steps = 3, .threads = GetParam()};
  ExpectTrue(learning::SampledMfMemory(*data, options),
             [&] { return FitSampledMf(*data, options); });
}

TEST_P(FitMemory, OfSlimIsWhatItSays) {
  const auto data = MadeInteractions({.users = 10'000, .items = 20'000, .entries = 150'000});
  // From nearly all neighbours with a weight to nearly none.
  for (const double l1 : {0.0, 0.5, 2.0, 20.0}) {
    SCOPED_TRACE(l1);
    const learning::SlimOptions options{.l1 = l1, .neighbours = 40, .threads = GetParam()};
    ExpectTrue(learning::SlimMemory(*data, options), [&] { return FitSlim(*data, options); });
  }
}

TEST_P(FitMemory, OfItemKnnIsWhatItSays) {
  const auto data = MadeInteractions({.users = 15'000, .items = 30'000, .entries = 250'000});
  const learning::ItemKnnOptions options{.neighbours = 80, .threads = GetParam()};
  ExpectTrue(learning::ItemKnnMemory(*data, options), [&] { return FitItemKnn(*data, options); });
}

TEST_P(FitMemory, OfLowPassIsWhatItSays) {
  const auto data = MadeInteractions({.users = 50'000, .items = 30'000, .entries = 400'000});
  const learning::LowPassOptions options{.factors = 100, .iterations = 1, .threads = GetParam()};
  ExpectTrue(learning::LowPassMemory(*data, options), [&] { return FitLowPass(*data, options); });
}

TEST_P(FitMemory, OfTransitionsIsWhatItSays) {
  const auto baskets = MadeBaskets({.users = 150'000, .items = 40'000, .entries = 1'500'000});
  const learning::TransitionsOptions options{.neighbours = 30, .threads = GetParam()};
  ExpectTrue(learning::TransitionsMemory(*baskets, options),
             [&] { return FitTransitions(*baskets, options); });
}

TEST_P(FitMemory, OfNextBasketsIsWhatItSays) {
  const auto baskets = MadeBaskets({.users = 60'000, .items = 20'000, .entries = 1'500'000});
  ExpectTrue(learning::NextBasketMemory(*baskets, {}), [&] { return FitNextBasket(*baskets, {}); });
}

// How much of it there is depends on the words.
TEST_P(FitMemory, OfContentIsAtMostWhatItSays) {
  const learning::ItemTerms terms = MadeTerms(40'000, 4'000);
  const std::vector<uint32_t> buyers(terms.items(), 1);
  const learning::ContentOptions options{
      .neighbours = 10, .most_of_term = 300, .least = 0, .threads = GetParam()};
  const auto estimated = static_cast<double>(learning::ContentMemory(terms, options));
  const double bytes = PeakOf([&] { return FitContent(terms, buyers, options); });
  EXPECT_LT(bytes, 1.1 * estimated + 4 * kMB);
  EXPECT_GT(bytes, 0.5 * estimated);
}

// One thread makes it.
TEST_P(FitMemory, OfAnIndexIsWhatItSays) {
  learning::Random random(1);
  std::vector<float> factors(size_t{1'000'000} * 32);
  for (float& factor : factors) factor = static_cast<float>(random.Unit());
  const learning::ItemFactors items{factors, 32};
  ExpectTrue(learning::RetrievalMemory(items.items(), items.dimension), [&] {
    return learning::RetrievalIndex::Make(items, nullptr,
                                          {.method = learning::RetrievalMethod::kNibbles});
  });
}

TEST_P(FitMemory, OfAGraphIsWhatItSays) {
  learning::Random random(1);
  std::vector<float> factors(size_t{150'000} * 8);
  for (float& factor : factors) factor = static_cast<float>(random.Normal());
  const learning::ItemFactors items{factors, 8};
  const learning::HnswOptions graph{.neighbours = 16, .width = 4};
  ExpectTrue(learning::RetrievalMemory(items.items(), items.dimension, graph), [&] {
    return learning::RetrievalIndex::Make(
        items, nullptr, {.graph = graph, .method = learning::RetrievalMethod::kHnsw});
  });
}

TEST_P(FitMemory, OfBoostedTreesIsWhatTheySay) {
  const MadeExamples made(600'000, 30);
  const learning::BoostedTreesOptions options{.trees = 3, .threads = GetParam()};
  ExpectTrue(learning::BoostedTreesMemory(made.examples(), options),
             [&] { return FitBoostedTrees(made.examples(), options); });
}

INSTANTIATE_TEST_SUITE_P(Threads, FitMemory, testing::Values(1, 2),
                         [](const auto& info) { return std::to_string(info.param); });

}  // namespace
}  // namespace starling

#endif
