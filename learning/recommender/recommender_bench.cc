// How long one ranking takes, beside the time that as many random additions take.
//
//   bench_recommender                made data of two shapes: a gift shop's, a grocery chain's
//   bench_recommender FILE.model     what a training wrote
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "learning/models/als.h"
#include "learning/models/ease.h"
#include "learning/models/item_knn.h"
#include "learning/models/sampled_mf.h"
#include "learning/random.h"
#include "learning/recommender/recommender_writer.h"

namespace starling::learning {
namespace {

using SteadyClock = std::chrono::steady_clock;

struct Shape {
  std::string name;
  uint32_t users;
  uint32_t items;
  uint32_t distinct;  // items a user has
  uint32_t groups;    // of taste; a user buys mostly in a few
};

struct Made {
  Interactions interactions;
  IdTable items;
  IdTable users;
  UserHistory history;
};

constexpr int64_t kNow = 1'700'000'000;

// Popularity within a group falls as 1 / rank, as in shops.
Made Make(const Shape& shape) {
  Random random(1);
  std::vector<Interaction> events;
  const uint32_t group_size = shape.items / shape.groups;
  for (uint32_t user = 0; user < shape.users; ++user) {
    for (uint32_t i = 0; i < shape.distinct; ++i) {
      const uint64_t group = random.Below(4) == 0 ? random.Below(shape.groups)
                                                  : (user + random.Below(3)) % shape.groups;
      const auto rank = static_cast<uint32_t>(
          std::min<double>(group_size - 1, std::pow(group_size, random.Unit()) - 1));
      events.push_back({user, static_cast<uint32_t>(group * group_size + rank), 1,
                        kNow - static_cast<int64_t>(random.Below(31'536'000))});
    }
  }
  Made made;
  made.interactions = *MakeInteractions(events, shape.users, shape.items);
  const auto names = [](char prefix, uint32_t count) {
    std::vector<std::string> ids;
    for (uint32_t i = 0; i < count; ++i) ids.push_back(fmt::format("{}-{:06}", prefix, i));
    return *IdTable::Make(ids);
  };
  made.items = names('p', shape.items);
  made.users = names('u', shape.users);
  made.history.offsets.push_back(0);
  for (uint32_t user = 0; user < shape.users; ++user) {
    const Interactions::Row row = made.interactions.row(user);
    for (size_t i = 0; i < row.size(); ++i) {
      made.history.items.push_back(row.items[i]);
      made.history.weights.push_back(1);
      made.history.x.push_back(static_cast<float>(Decay(90 * kDay, row.times[i], kNow)));
      made.history.goals.push_back(1);
    }
    made.history.offsets.push_back(made.history.items.size());
  }
  return made;
}

// The median over single calls: on a machine that does other work too, most calls run undisturbed.
template <typename Call>
double MicrosecondsOf(int calls, const Call& call) {
  std::vector<double> times;
  for (int i = 0; i < calls; ++i) {
    const auto start = SteadyClock::now();
    call(i);
    times.push_back(std::chrono::duration<double, std::micro>(SteadyClock::now() - start).count());
  }
  std::nth_element(times.begin(), times.begin() + calls / 2, times.end());
  return times[static_cast<size_t>(calls) / 2];
}

enum class By { kAll, kIndex };

// The time of a ranking, and that of as many random additions: what cannot be avoided.
void MeasureRanking(std::string_view name, std::string_view bytes, size_t additions,
                    By by = By::kAll) {
  Recommender recommender =
      *Recommender::Open(std::as_bytes(std::span(bytes)), nullptr, Checksums::kVerify);
  if (by == By::kIndex) {
    const auto now = [] {
      return std::chrono::duration<double>(SteadyClock::now().time_since_epoch()).count();
    };
    const double begin = now();
    if (!recommender.MakeIndex(now, {}, 1).ok()) return;
    fmt::print("index made in {:.2f} s; {}\n", now() - begin, recommender.index()->choice().why);
  }
  RankScratch scratch;
  const int64_t now = recommender.settings().until + 120;
  std::vector<RankSignal> signals;
  for (uint32_t i = 0; i < 5; ++i) {
    signals.push_back({recommender.ItemId(i * 31), EventKind::kView, 0, now - 60});
  }
  for (const bool repeats : {false, true}) {
    const double us = MicrosecondsOf(2'000, [&](int i) {
      const auto user =
          static_cast<uint32_t>(static_cast<size_t>(i) % 500 * 7 % recommender.users());
      (void)recommender.Rank({.user = recommender.UserId(user),
                              .signals = signals,
                              .limit = 20,
                              .allow_repeats = repeats,
                              .now = now},
                             scratch);
    });
    std::vector<float> sums(recommender.items());
    std::vector<uint32_t> targets(additions);
    Random random(2);
    for (uint32_t& target : targets) target = static_cast<uint32_t>(random.Below(sums.size()));
    const double floor = MicrosecondsOf(2'000, [&](int) {
      for (const uint32_t target : targets) sums[target] += 0.5F;
    });
    fmt::print("{:<34} {:<8} {:>9.1f} {:>13.1f} {:>7.1f} {:>7.1f}\n", name, repeats ? "all" : "new",
               us, floor, us / floor, static_cast<double>(bytes.size()) / 1e6);
  }
}

void Measure(const Shape& shape, const Made& made, std::string_view algorithm,
             const ItemToItemModel* similar, const FactorModel* factors, size_t neighbours,
             size_t cap) {
  const Weighting linear{.scale = Weighting::Scale::kLinear};
  const PopularityModel popularity = *FitPopularity(made.interactions, {.weighting = linear});
  RecommenderSettings settings{.until = kNow, .half_life = 90 * kDay, .history_cap = cap};
  settings.strength[static_cast<size_t>(EventKind::kPurchase)] = 1;
  settings.strength[static_cast<size_t>(EventKind::kView)] = 0.2;
  const std::string bytes = *WriteRecommender({.items = made.items,
                                               .users = made.users,
                                               .history = made.history,
                                               .settings = settings,
                                               .algorithm = std::string(algorithm),
                                               .popularity = popularity,
                                               .similar = similar,
                                               .factors = factors,
                                               .neighbours = neighbours});
  MeasureRanking(fmt::format("{}, {} {}x{}", shape.name, algorithm, cap, neighbours), bytes,
                 neighbours * std::min<size_t>(cap, shape.distinct));
  if (factors == nullptr) return;
  MeasureRanking(fmt::format("{}, {} by index", shape.name, algorithm), bytes,
                 neighbours * std::min<size_t>(cap, shape.distinct), By::kIndex);
}

void RunFactors(const Shape& shape, const Made& made) {
  const Weighting linear{.scale = Weighting::Scale::kLinear};
  const AlsModel als =
      *FitAls(made.interactions, {.weighting = linear, .factors = 64, .iterations = 2});
  Measure(shape, made, "als", nullptr, &als, 64, 100);
  const SampledMfModel sampled = *FitSampledMf(
      made.interactions, {.weighting = linear, .factors = 64, .steps = 200, .negatives = 200});
  Measure(shape, made, "sampled_mf", nullptr, &sampled, 64, 100);
}

void Run(const Shape& shape) {
  const Made made = Make(shape);
  const Weighting linear{.scale = Weighting::Scale::kLinear};
  const ItemToItemModel similar = shape.items <= 10'000
                                      ? *FitEase(made.interactions, {.weighting = linear})
                                      : *FitItemKnn(made.interactions, {.weighting = linear});
  for (const auto& [neighbours, cap] :
       std::initializer_list<std::pair<size_t, size_t>>{{50, 100}, {100, 100}, {100, 250}}) {
    Measure(shape, made, similar.kind(), &similar, nullptr, neighbours, cap);
  }
  RunFactors(shape, made);
}

}  // namespace
}  // namespace starling::learning

int main(int argc, char** argv) {
  fmt::print("{:<34} {:<8} {:>9} {:>13} {:>7} {:>7}\n", "model", "task", "us a call",
             "bare sums us", "ratio", "MB");
  if (argc > 1) {
    std::ifstream file(argv[1], std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(file), {});
    starling::learning::MeasureRanking("as given", bytes, 5'000);
    return 0;
  }
  using starling::learning::Shape;
  for (const uint32_t items : {10'000U, 65'000U}) {
    const Shape shape{fmt::format("{} items", items), 4'000, items, 100, 100};
    starling::learning::RunFactors(shape, starling::learning::Make(shape));
  }
  starling::learning::Run({"online-retail", 3'913, 3'939, 100, 40});
  starling::learning::Run({"complete-journey", 2'469, 92'331, 250, 300});
  return 0;
}
