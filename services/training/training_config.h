// How models are trained and kept: section "training" of the configuration.
#pragma once

#include "learning/recommender/recommender.h"
#include "platform/config/fields.h"

namespace starling::training {

// What an event of a kind says of a product, beside a purchase.
struct EventWeights {
  double purchase = 1;
  double cart = 0.6;
  double rate = 0.6;
  double click = 0.3;
  double view = 0.2;
  double impression = 0;
  static void Describe(config::Fields<EventWeights>& fields) {
    fields.Add("purchase", &EventWeights::purchase, "what a purchase says; 0: is left out")
        .Range(0, 100);
    fields.Add("cart", &EventWeights::cart, "what putting into the cart says").Range(0, 100);
    fields.Add("rate", &EventWeights::rate, "what a rating says").Range(0, 100);
    fields.Add("click", &EventWeights::click, "what a click says").Range(0, 100);
    fields.Add("view", &EventWeights::view, "what a look says").Range(0, 100);
    fields.Add("impression", &EventWeights::impression, "what being shown says").Range(0, 100);
  }
  std::array<double, learning::kEventKinds> ByKind() const {
    return {0, view, click, cart, purchase, rate, impression};  // in the order of EventKind
  }
};

struct TrainingConfig {
  static constexpr char kSection[] = "training";
  static constexpr char kDoc[] = "how models are trained, measured and kept";

  int threads = 1;
  bool low_priority = true;
  config::Bytes memory = config::Bytes::GiB(4);
  Duration time_limit = std::chrono::minutes(30);
  double holdout = 0.1;
  Duration holdout_limit = std::chrono::hours(24 * 28);
  double tolerance = 0.01;
  int keep = 5;
  int neighbours = 50;
  int history = 1'000;
  Duration every = std::chrono::hours(24);
  int64_t after_events = 0;
  EventWeights weights;

  static void Describe(config::Fields<TrainingConfig>& fields) {
    fields
        .Add("threads", &TrainingConfig::threads, "threads of a training, beside those that serve")
        .Range(1, 256);
    fields
        .Add("low_priority", &TrainingConfig::low_priority,
             "a training takes only what nobody else wants of the processor; a command that does "
             "nothing else, such as starling train, takes more")
        .NeedsRestart();
    fields
        .Add("memory", &TrainingConfig::memory,
             "memory that a training may take; what would need more is refused")
        .AtLeast(config::Bytes::MiB(64));
    fields
        .Add("time_limit", &TrainingConfig::time_limit,
             "how long a training may take; algorithms that find no time left are left out")
        .AtLeast(std::chrono::seconds(1));
    fields
        .Add("holdout", &TrainingConfig::holdout,
             "share of the newest events that measures, and is not trained on while measuring")
        .Range(0.01, 0.5);
    fields
        .Add("holdout_limit", &TrainingConfig::holdout_limit,
             "the newest events measure for at most this long a time")
        .AtLeast(std::chrono::seconds(1));
    fields
        .Add("tolerance", &TrainingConfig::tolerance,
             "how much lower, as a share, the quality of a version may be that is 'not worse'")
        .Range(0, 1);
    fields
        .Add("keep", &TrainingConfig::keep,
             "versions kept, the newest; the one that serves is kept always")
        .Range(1, 1'000);
    fields
        .Add("neighbours", &TrainingConfig::neighbours,
             "products that one product speaks for at most; fewer serve faster")
        .Range(1, 10'000);
    fields
        .Add("history", &TrainingConfig::history,
             "products of a user's history that speak at most; fewer serve faster")
        .Range(1, 10'000);
    fields.Add("every", &TrainingConfig::every,
               "trains when the newest version is this old and something happened since; 0: never");
    fields
        .Add("after_events", &TrainingConfig::after_events,
             "trains when there are this many interactions more than the newest version saw; 0: "
             "never")
        .AtLeast(0);
    fields.Add("weights", &TrainingConfig::weights, "what events say of products");
  }
};

}  // namespace starling::training
