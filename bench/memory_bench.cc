// Fits a model to made data and prints a line of JSON: how long it took, how much memory was
// estimated before, and how much it took at its peak beside the data.
//
//   bench_memory slim THREADS L1 [FILE...]     the same of SLIM with another l1, and of files of
//   lines
//                                              "user item item ..."
//   bench_memory FIT THREADS       FIT: als, autoencoder, ease, local_ease, slim, item_knn,
//                                  low_pass, sampled_mf, transitions, next_basket, content,
//                                  boosted_trees, or million: ALS of 1,000,000 items, 10 M
//                                  interactions
#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "apps/starling/evaluation/adjacency.h"
#include "apps/starling/evaluation/made_shop.h"
#include "apps/starling/evaluation/peak_memory.h"
#include "learning/models/als.h"
#include "learning/models/autoencoder.h"
#include "learning/models/content.h"
#include "learning/models/ease.h"
#include "learning/models/item_knn.h"
#include "learning/models/local_ease.h"
#include "learning/models/low_pass.h"
#include "learning/models/next_basket.h"
#include "learning/models/sampled_mf.h"
#include "learning/models/slim.h"
#include "learning/models/transitions.h"
#include "learning/ranking/boosted_trees.h"

namespace starling {
namespace {

// fit() gives a StatusOr of what is fitted.
template <typename Fit>
Status Measure(uint64_t estimate, const Fit& fit) {
  PeakMemory peak;
  peak.Begin();
  const auto start = std::chrono::steady_clock::now();
  const auto model = fit();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  const uint64_t bytes = peak.End();
  STARLING_RETURN_IF_ERROR(model.status());
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  fmt::print(R"({{"seconds": {:.2f}, "estimate": {}, "peak": {}, "process": {}}})"
             "\n",
             seconds.count(), estimate, bytes, usage.ru_maxrss * 1'024);
  return OkStatus();
}

Status Als(const MadeShop& shop, int threads) {
  STARLING_ASSIGN_OR_RETURN(const learning::Interactions data, MadeInteractions(shop));
  const learning::AlsOptions options{.factors = 64, .iterations = 15, .threads = threads};
  return Measure(learning::AlsMemory(data, options),
                 [&] { return learning::FitAls(data, options); });
}

Status Autoencoder(int threads) {
  STARLING_ASSIGN_OR_RETURN(
      const learning::Interactions data,
      MadeInteractions({.users = 50'000, .items = 50'000, .entries = 1'000'000}));
  const learning::AutoencoderOptions options{.steps = 20, .threads = threads};
  return Measure(learning::AutoencoderMemory(data, options),
                 [&] { return learning::FitAutoencoder(data, options); });
}

Status Ease(int threads) {
  STARLING_ASSIGN_OR_RETURN(
      const learning::Interactions data,
      MadeInteractions({.users = 20'000, .items = 6'000, .entries = 1'000'000}));
  const learning::EaseOptions options{.threads = threads};
  return Measure(learning::EaseMemory(data, options),
                 [&] { return learning::FitEase(data, options); });
}

Status LocalEase(int threads) {
  STARLING_ASSIGN_OR_RETURN(
      const learning::Interactions data,
      MadeInteractions({.users = 50'000, .items = 40'000, .entries = 700'000}));
  const learning::LocalEaseOptions options{.neighbours = 100, .threads = threads};
  return Measure(learning::LocalEaseMemory(data, options),
                 [&] { return learning::FitLocalEase(data, options); });
}

StatusOr<learning::Interactions> InteractionsOf(const std::vector<std::string>& files) {
  if (files.empty())
    return MadeInteractions({.users = 50'000, .items = 40'000, .entries = 700'000});
  Names users, items;
  std::vector<learning::Interaction> events;
  for (const std::string& file : files)
    STARLING_RETURN_IF_ERROR(ReadAdjacency(file, users, items, events));
  return learning::MakeInteractions(events, users.size(), items.size());
}

Status SlimOf(int threads, double l1, const std::vector<std::string>& files) {
  STARLING_ASSIGN_OR_RETURN(const learning::Interactions data, InteractionsOf(files));
  const learning::SlimOptions options{.l1 = l1, .neighbours = 100, .threads = threads};
  const auto start = std::chrono::steady_clock::now();
  const uint64_t estimate = learning::SlimMemory(data, options);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  fmt::print(stderr, "estimated in {:.2f} s\n", seconds.count());
  return Measure(estimate, [&] { return learning::FitSlim(data, options); });
}

Status Slim(int threads) { return SlimOf(threads, 2, {}); }

Status ItemKnn(int threads) {
  STARLING_ASSIGN_OR_RETURN(
      const learning::Interactions data,
      MadeInteractions({.users = 100'000, .items = 100'000, .entries = 2'000'000}));
  const learning::ItemKnnOptions options{.threads = threads};
  return Measure(learning::ItemKnnMemory(data, options),
                 [&] { return learning::FitItemKnn(data, options); });
}

Status LowPass(int threads) {
  STARLING_ASSIGN_OR_RETURN(
      const learning::Interactions data,
      MadeInteractions({.users = 100'000, .items = 50'000, .entries = 2'000'000}));
  const learning::LowPassOptions options{.factors = 256, .threads = threads};
  return Measure(learning::LowPassMemory(data, options),
                 [&] { return learning::FitLowPass(data, options); });
}

Status SampledMf(int threads) {
  STARLING_ASSIGN_OR_RETURN(
      const learning::Interactions data,
      MadeInteractions({.users = 100'000, .items = 100'000, .entries = 2'000'000}));
  const learning::SampledMfOptions options{.steps = 100, .threads = threads};
  return Measure(learning::SampledMfMemory(data, options),
                 [&] { return learning::FitSampledMf(data, options); });
}

Status Transitions(int threads) {
  STARLING_ASSIGN_OR_RETURN(const learning::Baskets baskets,
                            MadeBaskets({.users = 200'000, .items = 50'000, .entries = 2'000'000}));
  const learning::TransitionsOptions options{.threads = threads};
  return Measure(learning::TransitionsMemory(baskets, options),
                 [&] { return learning::FitTransitions(baskets, options); });
}

Status NextBasket(int /*threads*/) {
  STARLING_ASSIGN_OR_RETURN(const learning::Baskets baskets,
                            MadeBaskets({.users = 200'000, .items = 50'000, .entries = 4'000'000}));
  return Measure(learning::NextBasketMemory(baskets, {}),
                 [&] { return learning::FitNextBasket(baskets, {}); });
}

Status Content(int threads) {
  const learning::ItemTerms terms = MadeTerms(100'000, 10'000);
  const std::vector<uint32_t> buyers(terms.items(), 1);
  const learning::ContentOptions options{.threads = threads};
  return Measure(learning::ContentMemory(terms, options),
                 [&] { return learning::FitContent(terms, buyers, options); });
}

Status BoostedTrees(int threads) {
  const MadeExamples made(2'000'000, 40);
  const learning::BoostedTreesOptions options{.trees = 20, .threads = threads};
  return Measure(learning::BoostedTreesMemory(made.examples(), options),
                 [&] { return learning::FitBoostedTrees(made.examples(), options); });
}

const std::map<std::string, std::function<Status(int threads)>> kFits = {
    {"als",
     [](int threads) {
       return Als({.users = 200'000, .items = 100'000, .entries = 2'000'000}, threads);
     }},
    {"million",
     [](int threads) {
       return Als({.users = 500'000, .items = 1'000'000, .entries = 10'000'000}, threads);
     }},
    {"autoencoder", Autoencoder},
    {"ease", Ease},
    {"local_ease", LocalEase},
    {"slim", Slim},
    {"item_knn", ItemKnn},
    {"low_pass", LowPass},
    {"sampled_mf", SampledMf},
    {"transitions", Transitions},
    {"next_basket", NextBasket},
    {"content", Content},
    {"boosted_trees", BoostedTrees}};

}  // namespace
}  // namespace starling

int main(int argc, char** argv) {
  const auto fit = argc >= 3 ? starling::kFits.find(argv[1]) : starling::kFits.end();
  const bool other_slim = argc > 3 && std::string_view(argv[1]) == "slim";
  if (fit == starling::kFits.end() || (argc > 3 && !other_slim)) {
    fmt::print(stderr,
               "usage: bench_memory "
               "als|autoencoder|ease|local_ease|slim|item_knn|low_pass|sampled_mf|transitions|"
               "next_basket|content|boosted_trees|million "
               "THREADS\n"
               "       bench_memory slim THREADS L1 [FILE...]\n");
    return 2;
  }
  const int threads = std::atoi(argv[2]);
  const starling::Status status =
      other_slim ? starling::SlimOf(threads, std::atof(argv[3]), {argv + 4, argv + argc})
                 : fit->second(threads);
  if (status.ok()) return 0;
  fmt::print(stderr, "bench_memory: {}\n", starling::ToString(status));
  return 1;
}
