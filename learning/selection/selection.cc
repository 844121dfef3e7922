#include "learning/selection/selection.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <memory>
#include <set>

#include "learning/random.h"
#include "learning/retrieval/top_k.h"
#include "learning/selection/candidates.h"
#include "learning/selection/families.h"
#include "learning/selection/family_fits.h"
#include "learning/selection/stacking.h"

namespace starling::learning {
namespace {

using SteadyClock = std::chrono::steady_clock;

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

// The models blended by the weights; one model needs none.
RankingEvaluation Measure(const Models& models, std::span<const double> weights,
                          const Interactions& known, const Interactions& relevant,
                          std::span<const uint32_t> users, const SelectionOptions& options) {
  const size_t items = known.items();
  std::vector<std::vector<uint32_t>> ranked(users.size());
  ParallelFor(users.size(), options.threads, 32, [&](size_t begin, size_t end) {
    std::vector<std::vector<float>> scores;
    for (size_t u = begin; u < end; ++u) {
      const Interactions::Row row = known.row(users[u]);
      StandardScores(models, row, known.latest_time(), scores);
      std::vector<float>& blended = scores[0];
      for (size_t m = 0; models.size() > 1 && m < models.size(); ++m) {
        const auto weight = static_cast<float>(weights[m]);
        for (size_t i = 0; i < items; ++i)
          blended[i] = m == 0 ? weight * blended[i] : blended[i] + weight * scores[m][i];
      }
      for (const ScoredItem& best : TopK(blended, {.k = options.k, .excluded = row.items}))
        ranked[u].push_back(best.item);
    }
  });
  RankingEvaluation evaluation(options.k, items, RankingEvaluation::Lists::kKept);
  for (size_t u = 0; u < users.size(); ++u) evaluation.Add(ranked[u], relevant.row(users[u]).items);
  return evaluation;
}

class Selector {
 public:
  Selector(const SelectionData& data, const Interactions& valid, const SelectionOptions& options,
           const SelectionProgress& progress)
      : data_(data),
        valid_(valid),
        options_(options),
        progress_(progress),
        limits_{options.threads, options.memory_limit},
        start_(Now()),
        users_(UsersOf(data.train, valid, options.max_users)) {}

  StatusOr<Selection> Run(const Interactions& everything, const Interactions& test) {
    if (users_.empty()) {
      return InvalidField("valid", "no user has something new there and something in train");
    }
    std::vector<const Family*> searched;
    for (const Family& family : Families()) {
      const bool tried = family.only_if_named
                             ? Named(family.name)
                             : Wanted(family.name) || (Mixes() && !family.axes.empty());
      if (tried) searched.push_back(&family);
    }
    const auto count = static_cast<double>(searched.size());
    for (size_t i = 0; i < searched.size(); ++i) {
      // What one family leaves of its share, the next ones have.
      const double spent = Seconds();
      until_ = spent + (options_.time_limit - spent) / (count - static_cast<double>(i));
      STARLING_RETURN_IF_ERROR(Search(*searched[i], kSearched * static_cast<double>(i) / count,
                                      kSearched * static_cast<double>(i + 1) / count));
    }
    if (Mixes()) STARLING_RETURN_IF_ERROR(BlendFound());
    return Finish(everything, test);
  }

 private:
  static constexpr double kSearched = 0.7;
  static constexpr size_t kCandidates = 100;  // of each model, to be blended
  struct Best {
    const Family* family = nullptr;
    Choice choice;
    double ndcg = -1;
    std::shared_ptr<const Model> model;
    std::string error;
  };

  bool Named(std::string_view name) const {
    return std::find(options_.models.begin(), options_.models.end(), name) != options_.models.end();
  }
  bool Wanted(std::string_view name) const { return options_.models.empty() || Named(name); }
  double Now() const {
    if (options_.now) return options_.now();
    return std::chrono::duration<double>(SteadyClock::now().time_since_epoch()).count();
  }
  double Seconds() const { return Now() - start_; }
  bool TimeLeft() const { return Seconds() < until_; }
  // Whether models are put together, which needs them all.
  bool Mixes() const { return Wanted("blend") || Wanted("two_stage"); }
  Status Tell(double done, const std::string& what) const {
    return progress_ && !progress_(done, what) ? Cancelled("the selection was stopped")
                                               : OkStatus();
  }

  // Tries one choice, unless it was tried before; whether it became the best. A fit that is at work
  // at `until`, in seconds since start_, is given up: DEADLINE_EXCEEDED.
  StatusOr<bool> Try(const Choice& choice, double done, double until, FamilyFits& fits,
                     Best& best) {
    const Family& family = *best.family;
    if (!tried_.insert({family.name, choice}).second) return false;
    const std::string what = fmt::format("{} {}", family.name, SettingsOf(family, choice));
    STARLING_RETURN_IF_ERROR(Tell(done, what));
    bool late = false;
    auto model = fits.Fit(choice, [&](double) {
      if (progress_ && !progress_(done, what)) return false;
      late = Seconds() >= until;
      return !late;
    });
    if (late && !model.ok())
      return DeadlineExceeded("its fit with {} took longer than time_limit leaves it",
                              SettingsOf(family, choice));
    if (!model.ok()) return model.status();
    const double ndcg =
        Measure({*model}, {}, data_.train, valid_, users_, options_).Mean(RankingMetric::kNdcg);
    if (ndcg <= best.ndcg) return false;
    fits.Keep();
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
    FamilyFits fits(family, data_.train, limits_);
    // The first may take what is left for all, so that as many families as can be have one.
    const StatusOr<bool> first = Try(start, from, options_.time_limit, fits, best);
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
          const StatusOr<bool> better = Try(next, done, until_, fits, best);
          if (better.status().code() == StatusCode::kCancelled) return better.status();
          if (!better.ok() || !*better) break;
        }
        if (best.choice[axis] != before) break;  // the other way is worse than where it began
      }
    }
    found_.push_back(std::move(best));
    return OkStatus();
  }

  Status BlendFound() {
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
    Models models;
    for (const size_t f : blended_) models.push_back(found_[f].model);
    const CandidateScores candidates = CollectCandidates(
        models, data_.train, valid_, users_, std::max(kCandidates, options_.k), options_.threads);
    blend_ = FindBlend(candidates, options_.k, options_.threads);
    if (!Wanted("two_stage")) return OkStatus();
    STARLING_RETURN_IF_ERROR(Tell(kSearched + 0.02, "fitting trees"));
    StatusOr<Stacked> stacked = FitStacked(
        candidates,
        {.k = options_.k, .threads = options_.threads, .memory_limit = options_.memory_limit},
        [&](double) { return !progress_ || progress_(kSearched + 0.03, "fitting trees"); });
    if (stacked.status().code() == StatusCode::kCancelled) return stacked.status();
    if (stacked.ok()) {
      stacked_ = *std::move(stacked);
    } else {
      not_stacked_ = std::string(stacked.status().message());
    }
    return OkStatus();
  }

  StatusOr<Selection> Finish(const Interactions& everything, const Interactions& test) {
    Selection selection;
    const std::vector<uint32_t> users = UsersOf(everything, test, test.users());
    selection.test_users = users;
    std::map<size_t, std::shared_ptr<const Model>> last;
    SelectedModel blend{.name = "blend", .valid_ndcg = blend_.ndcg};
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
        auto fitted = FitFamily(*best.family, best.choice, everything, limits_,
                                [&](double) { return !progress_ || progress_(done, what); });
        if (fitted.status().code() == StatusCode::kCancelled)
          return Annotate(fitted.status(), model.name);
        model.fit_seconds = std::chrono::duration<double>(SteadyClock::now() - start).count();
        if (options_.after_fit) model.peak_bytes = options_.after_fit();
        if (fitted.ok()) {
          model.test = Measure({*fitted}, {}, everything, test, users, options_);
          last[f] = *std::move(fitted);
          blend.fit_seconds += model.fit_seconds;
          blend.peak_bytes = std::max(blend.peak_bytes, model.peak_bytes);
        } else {
          model.error = fmt::format("not fitted for the test, with {}: {}", model.settings,
                                    std::string(fitted.status().message()));
        }
      }
      if (Wanted(model.name)) selection.models.push_back(std::move(model));
    }
    LeaveOutWhatLacks(last);
    if (!blended_.empty()) {
      Models models;
      std::vector<double> weights;
      for (size_t m = 0; m < blended_.size(); ++m) {
        if (blend_.weights[m] == 0) continue;
        models.push_back(last[blended_[m]]);
        weights.push_back(blend_.weights[m]);
        blend.settings += fmt::format("{}{} {:g}", models.size() > 1 ? " + " : "",
                                      found_[blended_[m]].family->name, weights.back());
      }
      blend.test = Measure(models, weights, everything, test, users, options_);
      if (stacked_.has_value()) {
        selection.models.push_back(MeasureStacked(last, everything, test, users, blend));
      }
      if (Wanted("blend")) selection.models.push_back(std::move(blend));
    }
    const std::string too_few =
        lacking_.empty() ? "fewer than two models could be fitted"
                         : fmt::format("{}, of which it is, was not fitted for the test", lacking_);
    if (Wanted("two_stage") && !stacked_.has_value())
      selection.models.push_back(
          {.name = "two_stage", .error = not_stacked_.empty() ? too_few : not_stacked_});
    if (Wanted("blend") && blended_.empty())
      selection.models.push_back({.name = "blend", .error = too_few});
    double best = -1;
    for (const SelectedModel& model : selection.models) {
      if (!model.error.empty() || model.valid_ndcg <= best) continue;
      best = model.valid_ndcg;
      selection.chosen = model.name;
    }
    return selection;
  }

  // What is put together of models that were not fitted for the test is not measured.
  void LeaveOutWhatLacks(const std::map<size_t, std::shared_ptr<const Model>>& last) {
    bool in_blend = false;
    for (size_t m = 0; m < blended_.size(); ++m) {
      if (last.contains(blended_[m])) continue;
      lacking_ = found_[blended_[m]].family->name;
      in_blend = in_blend || blend_.weights[m] != 0;
      stacked_.reset();
    }
    if (in_blend) blended_.clear();
  }

  SelectedModel MeasureStacked(const std::map<size_t, std::shared_ptr<const Model>>& last,
                               const Interactions& everything, const Interactions& test,
                               std::span<const uint32_t> users, const SelectedModel& blend) const {
    SelectedModel model{
        .name = "two_stage",
        .settings = fmt::format("{} trees on all of these", stacked_->trees.trees()),
        .valid_ndcg = stacked_->ndcg,
        .test = RankingEvaluation(options_.k, everything.items(), RankingEvaluation::Lists::kKept),
        .fit_seconds = blend.fit_seconds,
        .peak_bytes = blend.peak_bytes};
    Models models;
    for (const size_t f : blended_) models.push_back(last.at(f));
    // In parts, as the candidates of all users may not fit.
    constexpr size_t kPart = 4'000;
    for (size_t first = 0; first < users.size(); first += kPart) {
      const auto part = users.subspan(first, std::min(kPart, users.size() - first));
      const CandidateScores candidates = CollectCandidates(
          models, everything, test, part, std::max(kCandidates, options_.k), options_.threads);
      const std::vector<float> scores = ScoreStacked(stacked_->trees, candidates, options_.threads);
      for (size_t u = 0; u < part.size(); ++u) {
        const size_t begin = candidates.offsets[u];
        std::vector<uint32_t> ranked;
        for (const ScoredItem& best :
             TopK(std::span(scores).subspan(begin, candidates.offsets[u + 1] - begin),
                  {.k = options_.k}))
          ranked.push_back(candidates.items[begin + best.item]);
        model.test.Add(ranked, test.row(part[u]).items);
      }
    }
    return model;
  }

  const SelectionData& data_;
  const Interactions& valid_;
  const SelectionOptions& options_;
  const SelectionProgress& progress_;
  const FitLimits limits_;
  const double start_;
  double until_ = 0;  // seconds since start_, for the family that is searched
  const std::vector<uint32_t> users_;
  std::set<std::pair<std::string, Choice>> tried_;
  std::vector<Best> found_;
  std::vector<size_t> blended_;  // of found_, best first
  std::optional<Stacked> stacked_;
  std::string not_stacked_;  // why not
  std::string lacking_;      // a model that is not there to be put together
  Blend blend_{.weights = {}, .ndcg = -1};
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
