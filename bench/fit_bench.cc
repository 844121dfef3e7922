// Fits ALS or EASE with plain settings, the work that implicit and NumPy do in learning_peers.py,
// and prints a line of JSON: [fit seconds, recall@k, NDCG@k]. `starling evaluate` chooses settings
// that rank better; here both sides do the same.
//
//   bench_fit als REGULARISATION,UNOBSERVED_WEIGHT[,FREQUENCY_EXPONENT[,SEED]] THREADS K TEST
//   TRAIN... bench_fit ease REGULARISATION THREADS K TEST TRAIN...
//
// TEST and TRAIN are files of lines "user item item ...".
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

#include "apps/starling/evaluation/adjacency.h"
#include "learning/metrics.h"
#include "learning/models/als.h"
#include "learning/models/ease.h"
#include "learning/retrieval/top_k.h"

namespace starling {
namespace {

using learning::Interactions;

struct Data {
  Interactions train, test;
};

StatusOr<Data> Read(const std::string& test, const std::vector<std::string>& train) {
  Names users, items;
  std::vector<learning::Interaction> known, wanted;
  for (const std::string& path : train)
    STARLING_RETURN_IF_ERROR(ReadAdjacency(path, users, items, known));
  STARLING_RETURN_IF_ERROR(ReadAdjacency(test, users, items, wanted));
  Data data;
  STARLING_ASSIGN_OR_RETURN(data.train,
                            learning::MakeInteractions(known, users.size(), items.size()));
  STARLING_ASSIGN_OR_RETURN(data.test,
                            learning::MakeInteractions(wanted, users.size(), items.size()));
  STARLING_ASSIGN_OR_RETURN(data.test, learning::WithoutKnown(data.test, data.train));
  return data;
}

template <typename Fit>
StatusOr<std::string> Measured(const Data& data, size_t k, const Fit& fit) {
  const auto start = std::chrono::steady_clock::now();
  STARLING_ASSIGN_OR_RETURN(const auto model, fit());
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  learning::RankingEvaluation evaluation(k, data.train.items());
  std::vector<float> scores(model.items());
  for (size_t user = 0; user < data.test.users(); ++user) {
    const Interactions::Row had = data.train.row(user);
    if (data.test.row(user).size() == 0 || had.size() == 0) continue;
    std::vector<learning::HistoryItem> history;
    for (size_t i = 0; i < had.size(); ++i)
      history.push_back({had.items[i], had.weights[i], had.times[i]});
    model.Score(history, data.train.latest_time(), scores);
    std::vector<uint32_t> ranked;
    for (const auto& best : learning::TopK(scores, {.k = k, .excluded = had.items}))
      ranked.push_back(best.item);
    evaluation.Add(ranked, data.test.row(user).items);
  }
  return fmt::format("[{:.4f}, {:.6f}, {:.6f}]", seconds.count(),
                     evaluation.Mean(learning::RankingMetric::kRecall),
                     evaluation.Mean(learning::RankingMetric::kNdcg));
}

Status Run(const std::string& name, const char* settings, int threads, size_t k,
           const std::string& test, const std::vector<std::string>& train) {
  char* end = nullptr;
  const double regularisation = std::strtod(settings, &end);
  const double unobserved_weight = *end == ',' ? std::strtod(end + 1, &end) : 0;
  const double frequency_exponent = *end == ',' ? std::strtod(end + 1, &end) : 1;
  const uint64_t seed = *end == ',' ? std::strtoull(end + 1, &end, 10) : 1;
  STARLING_ASSIGN_OR_RETURN(const Data data, Read(test, train));
  const auto als = [&] {
    return learning::FitAls(data.train, {.factors = 64,
                                         .iterations = 15,
                                         .unobserved_weight = unobserved_weight,
                                         .regularisation = regularisation,
                                         .frequency_exponent = frequency_exponent,
                                         .seed = seed,
                                         .threads = threads});
  };
  const auto ease = [&] {
    return learning::FitEase(
        data.train, {.regularisation = regularisation, .neighbours = 0, .threads = threads});
  };
  STARLING_ASSIGN_OR_RETURN(const std::string line,
                            name == "als" ? Measured(data, k, als) : Measured(data, k, ease));
  fmt::print("{}\n", line);
  return OkStatus();
}

}  // namespace
}  // namespace starling

int main(int argc, char** argv) {
  const std::string name = argc > 1 ? argv[1] : "";
  if (argc < 7 || (name != "als" && name != "ease")) {
    fmt::print(stderr,
               "usage: bench_fit als REGULARISATION,UNOBSERVED_WEIGHT[,FREQUENCY_EXPONENT[,SEED]] "
               "THREADS K "
               "TEST TRAIN...\n"
               "       bench_fit ease REGULARISATION THREADS K TEST TRAIN...\n");
    return 2;
  }
  const starling::Status status =
      starling::Run(name, argv[2], std::atoi(argv[3]), static_cast<size_t>(std::atoi(argv[4])),
                    argv[5], {argv + 6, argv + argc});
  if (status.ok()) return 0;
  fmt::print(stderr, "bench_fit: {}\n", starling::ToString(status));
  return 1;
}
