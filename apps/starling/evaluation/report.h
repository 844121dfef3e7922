// What an evaluation found, for people and programs: the figures of every model on every task, how
// they differ from the chosen one's, and what was measured on.
//
//   Report report{.k = 20, .tasks = {{"", "items new to the user"}}};
//   ReportedModel& model = report.models.emplace_back();
//   STARLING_RETURN_IF_ERROR(AddFigures("", evaluation, beyond, kPlainRecall, 20, model));
//   STARLING_RETURN_IF_ERROR(AddDifferences("", {&of_ease, &of_als}, report));
//   fmt::print("{}", TableOf(report));
//
// A figure's name is its task's prefix, the metric and the places ranked: "all.ndcg@10".
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "learning/metrics.h"
#include "learning/metrics/beyond_accuracy.h"

namespace starling {

struct Fact {
  std::string name;              // "train_entries"
  std::optional<double> number;  // a count, or a share
  std::string text;              // where there is no number
  std::string Text() const;      // "1,000,209", "0.0447" or the text
};

struct Figure {
  std::string name;
  double value = 0;
  std::optional<learning::Interval> interval;  // 95 % bootstrap over users
};

struct ReportedModel {
  std::string name;
  std::string settings;
  std::vector<Figure> figures;
  std::optional<double> valid_ndcg;
  double fit_seconds = 0;
  uint64_t peak_bytes = 0;
  std::string error;  // why there is nothing of the above

  const Figure* Find(std::string_view figure) const;
};

// One model less the chosen one, over the same users.
struct Difference {
  std::string name;
  std::string metric;  // "ndcg@20"
  learning::PairedComparison compared;
  double p_holm = 1;  // corrected for all models compared by this metric
};

struct ReportedTask {
  std::string prefix;
  std::string what;
  size_t users = 0;
};

struct Report {
  std::string title;
  std::string command;  // as it was called
  std::string cost;     // what seconds and memory are of
  size_t k = 10;
  std::vector<Fact> facts;
  std::vector<ReportedTask> tasks;
  std::vector<ReportedModel> models;
  std::string chosen;  // a model's name, or empty
  std::string chosen_by;
  std::vector<Difference> paired;
};

// The two metrics that models are compared by, of a task: "ndcg@10" and "recall@10".
std::string NdcgName(std::string_view prefix, size_t k);
std::string RecallName(std::string_view prefix, size_t k);
// "0.12", "0.004", "below 0.001"
std::string PText(double p);

// What "recall" is: hits over what there was to find, or over as much of it as k places hold.
enum class RecallIs { kPlain, kCapped };

// Everything one task says of one model, with intervals; "recall_capped" too when recall is plain.
Status AddFigures(std::string_view prefix, const learning::RankingEvaluation& ranking,
                  const learning::BeyondAccuracyFigures& beyond, RecallIs recall,
                  ReportedModel& model);

// By NDCG and recall, each model with figures against the chosen one. rankings: of each of
// report.models, nullptr where it has none; all of the same users in one order.
Status AddDifferences(std::string_view prefix,
                      std::span<const learning::RankingEvaluation* const> rankings, RecallIs recall,
                      Report& report);

std::string TableOf(const Report& report);
// {"models": [{"name", "metrics": {"ndcg@20": 0.4, ...}, "intervals": {"ndcg@20": [low, high]},
// "settings", "fit_seconds", "peak_bytes"}], "chosen", "chosen_by", "paired": [{"name", "against",
// "metric", "difference", "interval", "p", "p_holm"}], "data": {"users": 6040, ...}}
std::string JsonOf(const Report& report);

}  // namespace starling
