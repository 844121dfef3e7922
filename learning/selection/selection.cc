#include "learning/selection/selection.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <memory>
#include <set>

#include "learning/models/als.h"
#include "learning/models/ease.h"
#include "learning/models/item_knn.h"
#include "learning/models/popularity.h"
#include "learning/random.h"
#include "learning/retrieval/top_k.h"

namespace starling::learning {
namespace {

using SteadyClock = std::chrono::steady_clock;

// One setting of a family, and the values it may have, in order.
struct Axis {
  const char* name;
  std::vector<double> values;
  size_t start;  // index of the default
};

struct Family {
  std::string name;
  std::vector<Axis> axes;
};

const std::vector<Family>& Families() {
  static const std::vector<Family> kFamilies = {
      {"popularity", {}},
      {"item_knn",
       {{"neighbours", {25, 50, 100, 200, 400}, 2}, {"shrinkage", {0, 10, 50, 200}, 1}}},
      {"ease",
       {{"regularisation", {25, 50, 100, 200, 400, 800, 1'600, 3'200}, 3},
        {"user_exponent", {0, 0.25, 0.5, 0.75, 1}, 2},
        {"dropout", {0, 0.1, 0.2, 0.33, 0.5, 0.67}, 2}}},
      {"als",
       {{"regularisation", {0.0003, 0.001, 0.003, 0.006, 0.012, 0.03}, 2},
        {"unobserved_weight", {0.02, 0.05, 0.1, 0.2, 0.5, 1}, 3},
        {"factors", {32, 64, 128, 256}, 1}}}};
  return kFamilies;
}

using Choice = std::vector<size_t>;  // an index into each axis' values

std::string SettingsOf(const Family& family, const Choice& choice) {
  std::string text;
  for (size_t axis = 0; axis < choice.size(); ++axis) {
    if (axis > 0) text += ", ";
    text += fmt::format("{} {:g}", family.axes[axis].name, family.axes[axis].values[choice[axis]]);
  }
  return text;
}

template <typename T>
StatusOr<std::shared_ptr<const Model>> Shared(StatusOr<T> model) {
  if (!model.ok()) return model.status();
  return std::shared_ptr<const Model>(std::make_shared<T>(*std::move(model)));
}

StatusOr<std::shared_ptr<const Model>> Fit(const Family& family, const Choice& choice,
                                           const Interactions& data,
                                           const SelectionOptions& options,
                                           const Progress& progress) {
  const auto value = [&](size_t axis) { return family.axes[axis].values[choice[axis]]; };
  if (family.name == "popularity") return Shared(FitPopularity(data, {}));
  if (family.name == "item_knn") {
    return Shared(FitItemKnn(data,
                             {.neighbours = static_cast<int>(value(0)),
                              .shrinkage = value(1),
                              .threads = options.threads,
                              .memory_limit = options.memory_limit},
                             progress));
  }
  if (family.name == "ease") {
    // All weights where the catalogue is small; a sparse rest costs little where it is not.
    constexpr size_t kSmall = 6'000;
    return Shared(FitEase(data,
                          {.regularisation = value(0),
                           .user_exponent = value(1),
                           .dropout = value(2),
                           .neighbours = data.items() <= kSmall ? 0 : 500,
                           .threads = options.threads,
                           .memory_limit = options.memory_limit},
                          progress));
  }
  return Shared(FitAls(data,
                       {.factors = static_cast<int>(value(2)),
                        .unobserved_weight = value(1),
                        .regularisation = value(0),
                        .threads = options.threads,
                        .memory_limit = options.memory_limit},
                       progress));
}

// The users with something to find, at most `most`, evenly drawn.
std::vector<uint32_t> UsersOf(const Interactions& known, const Interactions& relevant,
                              size_t most) {
  std::vector<uint32_t> users;
  for (uint32_t user = 0; user < relevant.users(); ++user) {
    if (relevant.row(user).size() > 0 && known.row(user).size() > 0) users.push_back(user);
  }
  if (users.size() <= most) return users;
  std::vector<uint32_t> drawn;
  for (size_t i = 0; i < most; ++i) drawn.push_back(users[i * users.size() / most]);
  return drawn;
}

// Several models at once, and of them several blends: evaluations[b] of weights[b].
using Weights = std::vector<double>;
std::vector<RankingEvaluation> Measure(const std::vector<std::shared_ptr<const Model>>& models,
                                       const std::vector<Weights>& blends,
                                       const Interactions& known, const Interactions& relevant,
                                       std::span<const uint32_t> users,
                                       const SelectionOptions& options) {
  const size_t items = known.items();
  std::vector<std::vector<uint32_t>> ranked(users.size() * blends.size());
  ParallelFor(users.size(), options.threads, 32, [&](size_t begin, size_t end) {
    std::vector<std::vector<float>> scores(models.size(), std::vector<float>(items));
    std::vector<float> blended(items);
    std::vector<HistoryItem> history;
    for (size_t u = begin; u < end; ++u) {
      const Interactions::Row row = known.row(users[u]);
      history.clear();
      for (size_t i = 0; i < row.size(); ++i)
        history.push_back({row.items[i], row.weights[i], row.times[i]});
      for (size_t m = 0; m < models.size(); ++m) {
        models[m]->Score(history, known.latest_time(), scores[m]);
        if (models.size() == 1) continue;
        double sum = 0;
        double squares = 0;
        for (const float score : scores[m]) {
          sum += score;
          squares += static_cast<double>(score) * score;
        }
        const double mean = sum / static_cast<double>(items);
        const double variance = squares / static_cast<double>(items) - mean * mean;
        const double scale = variance > 0 ? 1 / std::sqrt(variance) : 0;
        for (float& score : scores[m]) score = static_cast<float>((score - mean) * scale);
      }
      for (size_t b = 0; b < blends.size(); ++b) {
        std::span<const float> final = scores[0];
        if (models.size() > 1) {
          std::fill(blended.begin(), blended.end(), 0.0F);
          for (size_t m = 0; m < models.size(); ++m) {
            const auto weight = static_cast<float>(blends[b][m]);
            if (weight == 0) continue;
            for (size_t i = 0; i < items; ++i) blended[i] += weight * scores[m][i];
          }
          final = blended;
        }
        for (const ScoredItem& best : TopK(final, {.k = options.k, .excluded = row.items}))
          ranked[u * blends.size() + b].push_back(best.item);
      }
    }
  });
  std::vector<RankingEvaluation> evaluations(blends.size(), RankingEvaluation(options.k, items));
  for (size_t u = 0; u < users.size(); ++u) {
    for (size_t b = 0; b < blends.size(); ++b)
      evaluations[b].Add(ranked[u * blends.size() + b], relevant.row(users[u]).items);
  }
  return evaluations;
}

// Each way of giving the second and later models one of these weights, the first having 1.
std::vector<Weights> BlendsOf(size_t models) {
  constexpr double kWeights[] = {0, 0.15, 0.3, 0.5, 0.8, 1.2, 2};
  std::vector<Weights> blends = {{1}};
  for (size_t m = 1; m < models; ++m) {
    std::vector<Weights> longer;
    for (const Weights& blend : blends) {
      for (const double weight : kWeights) {
        longer.push_back(blend);
        longer.back().push_back(weight);
      }
    }
    blends = std::move(longer);
  }
  return blends;
}

class Selector {
 public:
  Selector(const SelectionData& data, const Interactions& valid, const SelectionOptions& options,
           const SelectionProgress& progress)
      : data_(data),
        valid_(valid),
        options_(options),
        progress_(progress),
        start_(SteadyClock::now()),
        users_(UsersOf(data.train, valid, options.max_users)) {}

  StatusOr<Selection> Run(const Interactions& everything, const Interactions& test) {
    if (users_.empty()) {
      return InvalidField("valid", "no user has something new there and something in train");
    }
    for (size_t i = 0; i < Families().size(); ++i) {
      const Family& family = Families()[i];
      if (!Wanted(family.name) && !(Wanted("blend") && !family.axes.empty())) continue;
      STARLING_RETURN_IF_ERROR(Search(family, kSearched * static_cast<double>(i) / 4,
                                      kSearched * static_cast<double>(i + 1) / 4));
    }
    if (Wanted("blend")) STARLING_RETURN_IF_ERROR(Blend());
    return Finish(everything, test);
  }

 private:
  static constexpr double kSearched = 0.7;
  struct Best {
    const Family* family = nullptr;
    Choice choice;
    double ndcg = -1;
    std::shared_ptr<const Model> model;
    std::string error;
  };

  bool Wanted(std::string_view name) const {
    return options_.models.empty() ||
           std::find(options_.models.begin(), options_.models.end(), name) != options_.models.end();
  }
  bool TimeLeft() const {
    return std::chrono::duration<double>(SteadyClock::now() - start_).count() < options_.time_limit;
  }
  Status Tell(double done, const std::string& what) const {
    return progress_ && !progress_(done, what) ? Cancelled("the selection was stopped")
                                               : OkStatus();
  }

  // Tries one choice, unless it was tried before; whether it became the best.
  StatusOr<bool> Try(const Family& family, const Choice& choice, double done, Best& best) {
    if (!tried_.insert({family.name, choice}).second) return false;
    const std::string what = fmt::format("{} {}", family.name, SettingsOf(family, choice));
    STARLING_RETURN_IF_ERROR(Tell(done, what));
    auto model = Fit(family, choice, data_.train, options_,
                     [&](double) { return !progress_ || progress_(done, what); });
    if (!model.ok()) return model.status();
    const double ndcg = Measure({*model}, {{1}}, data_.train, valid_, users_, options_)
                            .front()
                            .Mean(RankingMetric::kNdcg);
    if (ndcg <= best.ndcg) return false;
    best.choice = choice;
    best.ndcg = ndcg;
    best.model = *std::move(model);
    return true;
  }

  // From the defaults, one setting after the other.
  Status Search(const Family& family, double from, double to) {
    Best best{.family = &family};
    Choice start;
    for (const Axis& axis : family.axes) start.push_back(axis.start);
    const StatusOr<bool> first = Try(family, start, from, best);
    if (first.status().code() == StatusCode::kCancelled) return first.status();
    if (!first.ok()) {
      best.error = std::string(first.status().message());
      found_.push_back(std::move(best));
      return OkStatus();
    }
    // The settings hang together, so each is looked at once more after the others.
    for (size_t turn = 0; turn < 2 * family.axes.size(); ++turn) {
      const size_t axis = turn % family.axes.size();
      const double done = from + (to - from) * static_cast<double>(turn + 1) /
                                     static_cast<double>(2 * family.axes.size() + 1);
      for (const int step : {1, -1}) {
        const size_t before = best.choice[axis];
        while (TimeLeft()) {
          Choice next = best.choice;
          if (step < 0 && next[axis] == 0) break;
          next[axis] += static_cast<size_t>(step);
          if (next[axis] >= family.axes[axis].values.size()) break;
          const StatusOr<bool> better = Try(family, next, done, best);
          if (better.status().code() == StatusCode::kCancelled) return better.status();
          if (!better.ok() || !*better) break;
        }
        if (best.choice[axis] != before) break;  // the other way is worse than where it began
      }
    }
    found_.push_back(std::move(best));
    return OkStatus();
  }

  Status Blend() {
    STARLING_RETURN_IF_ERROR(Tell(kSearched, "blending"));
    for (size_t f = 0; f < found_.size(); ++f) {
      if (found_[f].model != nullptr && !found_[f].family->axes.empty()) blended_.push_back(f);
    }
    if (blended_.size() < 2) {
      blended_.clear();
      return OkStatus();
    }
    std::sort(blended_.begin(), blended_.end(),
              [&](size_t a, size_t b) { return found_[a].ndcg > found_[b].ndcg; });
    std::vector<std::shared_ptr<const Model>> models;
    models.reserve(blended_.size());
    for (const size_t f : blended_) models.push_back(found_[f].model);
    const std::vector<Weights> blends = BlendsOf(models.size());
    const std::vector<RankingEvaluation> measured =
        Measure(models, blends, data_.train, valid_, users_, options_);
    for (size_t b = 0; b < blends.size(); ++b) {
      const double ndcg = measured[b].Mean(RankingMetric::kNdcg);
      if (ndcg <= blend_ndcg_) continue;
      blend_ndcg_ = ndcg;
      weights_ = blends[b];
    }
    return OkStatus();
  }

  StatusOr<Selection> Finish(const Interactions& everything, const Interactions& test) {
    Selection selection;
    const std::vector<uint32_t> users = UsersOf(everything, test, test.users());
    std::map<size_t, std::shared_ptr<const Model>> last;
    SelectedModel blend{.name = "blend", .valid_ndcg = blend_ndcg_};
    for (size_t f = 0; f < found_.size(); ++f) {
      Best& best = found_[f];
      SelectedModel model{.name = best.family->name, .valid_ndcg = best.ndcg, .error = best.error};
      best.model.reset();
      if (best.error.empty()) {
        model.settings = SettingsOf(*best.family, best.choice);
        const double done =
            kSearched + 0.05 + 0.25 * static_cast<double>(f) / static_cast<double>(found_.size());
        const std::string what = "fitting " + model.name + " for the test";
        STARLING_RETURN_IF_ERROR(Tell(done, what));
        if (options_.before_fit) options_.before_fit();
        const auto start = SteadyClock::now();
        auto fitted = Fit(*best.family, best.choice, everything, options_,
                          [&](double) { return !progress_ || progress_(done, what); });
        if (!fitted.ok()) return Annotate(fitted.status(), model.name);
        model.fit_seconds = std::chrono::duration<double>(SteadyClock::now() - start).count();
        if (options_.after_fit) model.peak_bytes = options_.after_fit();
        model.test = Measure({*fitted}, {{1}}, everything, test, users, options_).front();
        last[f] = *std::move(fitted);
        blend.fit_seconds += model.fit_seconds;
        blend.peak_bytes = std::max(blend.peak_bytes, model.peak_bytes);
      }
      if (Wanted(model.name)) selection.models.push_back(std::move(model));
    }
    if (!blended_.empty()) {
      std::vector<std::shared_ptr<const Model>> models;
      models.reserve(blended_.size());
      for (size_t m = 0; m < blended_.size(); ++m) {
        models.push_back(last[blended_[m]]);
        blend.settings += fmt::format("{}{} {:g}", m > 0 ? " + " : "",
                                      found_[blended_[m]].family->name, weights_[m]);
      }
      blend.test = Measure(models, {weights_}, everything, test, users, options_).front();
      selection.models.push_back(std::move(blend));
    }
    double best = -1;
    for (const SelectedModel& model : selection.models) {
      if (!model.error.empty() || model.valid_ndcg <= best) continue;
      best = model.valid_ndcg;
      selection.chosen = model.name;
    }
    return selection;
  }

  const SelectionData& data_;
  const Interactions& valid_;
  const SelectionOptions& options_;
  const SelectionProgress& progress_;
  const SteadyClock::time_point start_;
  const std::vector<uint32_t> users_;
  std::set<std::pair<std::string, Choice>> tried_;
  std::vector<Best> found_;
  std::vector<size_t> blended_;  // of found_, best first
  Weights weights_;
  double blend_ndcg_ = -1;
};

Status CheckSelection(const SelectionData& data, const SelectionOptions& options) {
  const auto check = [&](std::string_view field, const Interactions& other) {
    if (other.users() == data.train.users() && other.items() == data.train.items())
      return OkStatus();
    return InvalidField(field, "is {} x {} and train {} x {}", other.users(), other.items(),
                        data.train.users(), data.train.items());
  };
  STARLING_RETURN_IF_ERROR(check("valid", data.valid));
  if (data.test != nullptr) STARLING_RETURN_IF_ERROR(check("test", *data.test));
  if (options.k < 1) return InvalidField("k", "is 0; at least one item is ranked");
  STARLING_RETURN_IF_ERROR(CheckThreads(options.threads));
  for (const std::string& model : options.models) {
    if (std::find(std::begin(kSelectable), std::end(kSelectable), model) == std::end(kSelectable)) {
      return InvalidField("models", "'{}' is unknown; there are {}", model,
                          fmt::join(kSelectable, ", "));
    }
  }
  return OkStatus();
}

}  // namespace

StatusOr<Selection> SelectModel(const SelectionData& data, const SelectionOptions& options,
                                const SelectionProgress& progress) {
  STARLING_RETURN_IF_ERROR(CheckSelection(data, options));
  STARLING_ASSIGN_OR_RETURN(const Interactions valid, WithoutKnown(data.valid, data.train));
  Selector selector(data, valid, options, progress);
  if (data.test == nullptr) return selector.Run(data.train, valid);
  STARLING_ASSIGN_OR_RETURN(const Interactions everything, Together(data.train, data.valid));
  STARLING_ASSIGN_OR_RETURN(const Interactions test, WithoutKnown(*data.test, everything));
  return selector.Run(everything, test);
}

StatusOr<HeldOut> HoldOutTenth(const Interactions& data, uint64_t seed) {
  std::vector<Interaction> rest;
  std::vector<Interaction> held_out;
  std::vector<size_t> order;
  Random random(seed);
  for (uint32_t user = 0; user < data.users(); ++user) {
    const Interactions::Row row = data.row(user);
    const size_t held = row.size() < 2 ? 0 : std::max<size_t>(1, row.size() / 10);
    order.resize(row.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    for (size_t i = 0; i < held; ++i)
      std::swap(order[i], order[i + random.Below(order.size() - i)]);
    for (size_t i = 0; i < order.size(); ++i) {
      const size_t at = order[i];
      (i < held ? held_out : rest).push_back({user, row.items[at], row.weights[at], row.times[at]});
    }
  }
  HeldOut parts;
  STARLING_ASSIGN_OR_RETURN(parts.rest, MakeInteractions(rest, data.users(), data.items()));
  STARLING_ASSIGN_OR_RETURN(parts.held_out, MakeInteractions(held_out, data.users(), data.items()));
  return parts;
}

StatusOr<Interactions> Together(const Interactions& a, const Interactions& b) {
  std::vector<Interaction> events;
  const auto add = [&](const Interactions& part, const Interactions* before) {
    for (uint32_t user = 0; user < part.users(); ++user) {
      const Interactions::Row row = part.row(user);
      for (size_t i = 0; i < row.size(); ++i) {
        if (before != nullptr && before->Contains(user, row.items[i])) continue;
        events.push_back({user, row.items[i], row.weights[i], row.times[i]});
      }
    }
  };
  add(a, nullptr);
  add(b, &a);
  return MakeInteractions(events, a.users(), a.items());
}

}  // namespace starling::learning
