#include "apps/starling/evaluation/report.h"

#include <algorithm>

#include "platform/json/writer.h"

namespace starling {
namespace {

using learning::Interval;
using learning::RankingEvaluation;
using learning::RankingMetric;

std::string At(std::string_view prefix, std::string_view metric, size_t k) {
  return fmt::format("{}{}@{}", prefix, metric, k);
}

const ReportedModel* ChosenOf(const Report& report) {
  for (const ReportedModel& model : report.models) {
    if (model.name == report.chosen && model.error.empty()) return &model;
  }
  return nullptr;
}

RankingMetric RecallOf(RecallIs recall) {
  return recall == RecallIs::kPlain ? RankingMetric::kRecall : RankingMetric::kRecallCapped;
}

void WriteFigures(const ReportedModel& model, json::Writer& writer) {
  writer.Name("\"metrics\":");
  writer.BeginObject();
  for (const Figure& figure : model.figures) {
    writer.Name(std::string_view(figure.name));
    writer.Double(figure.value);
  }
  writer.EndObject();
  writer.Name("\"intervals\":");
  writer.BeginObject();
  for (const Figure& figure : model.figures) {
    if (!figure.interval.has_value()) continue;
    writer.Name(std::string_view(figure.name));
    writer.BeginArray();
    writer.Double(figure.interval->low);
    writer.Double(figure.interval->high);
    writer.EndArray();
  }
  writer.EndObject();
}

void WriteModel(const ReportedModel& model, json::Writer& writer) {
  writer.BeginObject();
  writer.Name("\"name\":");
  writer.String(model.name);
  if (!model.error.empty()) {
    writer.Name("\"error\":");
    writer.String(model.error);
  } else {
    WriteFigures(model, writer);
    if (model.valid_ndcg.has_value()) {
      writer.Name("\"valid_ndcg\":");
      writer.Double(*model.valid_ndcg);
    }
    writer.Name("\"settings\":");
    writer.String(model.settings);
    writer.Name("\"fit_seconds\":");
    writer.Double(model.fit_seconds);
    writer.Name("\"peak_bytes\":");
    writer.Double(static_cast<double>(model.peak_bytes));
  }
  writer.EndObject();
}

void WriteDifference(const Difference& difference, std::string_view chosen, json::Writer& writer) {
  writer.BeginObject();
  writer.Name("\"name\":");
  writer.String(difference.name);
  writer.Name("\"against\":");
  writer.String(chosen);
  writer.Name("\"metric\":");
  writer.String(difference.metric);
  writer.Name("\"difference\":");
  writer.Double(difference.compared.difference.mean);
  writer.Name("\"interval\":");
  writer.BeginArray();
  writer.Double(difference.compared.difference.low);
  writer.Double(difference.compared.difference.high);
  writer.EndArray();
  writer.Name("\"p\":");
  writer.Double(difference.compared.p);
  writer.Name("\"p_holm\":");
  writer.Double(difference.p_holm);
  writer.EndObject();
}

}  // namespace

const Figure* ReportedModel::Find(std::string_view figure) const {
  const auto at = std::find_if(figures.begin(), figures.end(),
                               [&](const Figure& one) { return one.name == figure; });
  return at == figures.end() ? nullptr : &*at;
}

std::string NdcgName(std::string_view prefix, size_t k) { return At(prefix, "ndcg", k); }
std::string RecallName(std::string_view prefix, size_t k) { return At(prefix, "recall", k); }

std::string PText(double p) {
  if (p < 0.001) return "below 0.001";
  return p < 0.01 ? fmt::format("{:.3f}", p) : fmt::format("{:.2f}", p);
}

Status AddFigures(std::string_view prefix, const RankingEvaluation& ranking,
                  const learning::BeyondAccuracyFigures& beyond, RecallIs recall,
                  ReportedModel& model) {
  STARLING_ASSIGN_OR_RETURN(const std::vector<Interval> intervals, ranking.Bootstrap({}));
  const auto add = [&](RankingMetric metric, std::string_view name) {
    const Interval& interval = intervals[static_cast<size_t>(metric)];
    model.figures.push_back({At(prefix, name, ranking.k()), interval.mean, interval});
  };
  add(RecallOf(recall), "recall");
  for (const RankingMetric metric :
       {RankingMetric::kNdcg, RankingMetric::kPrecision, RankingMetric::kHitRate,
        RankingMetric::kMap, RankingMetric::kMrr}) {
    add(metric, learning::Name(metric));
  }
  if (recall == RecallIs::kPlain) add(RankingMetric::kRecallCapped, "recall_capped");
  model.figures.push_back({fmt::format("{}coverage", prefix), ranking.Coverage(), {}});
  if (beyond.users == 0) return OkStatus();
  const auto mean = [&](const char* name, const Interval& interval) {
    model.figures.push_back({At(prefix, name, ranking.k()), interval.mean, interval});
  };
  const auto plain = [&](const char* name, double value) {
    model.figures.push_back({At(prefix, name, ranking.k()), value, {}});
  };
  mean("novelty", beyond.novelty);
  mean("diversity", beyond.diversity);
  mean("popularity", beyond.popularity);
  plain("popularity_lift", beyond.popularity_lift);
  plain("gini", beyond.gini);
  mean("calibration", beyond.calibration);
  model.figures.push_back(
      {fmt::format("{}history_popularity", prefix), beyond.history_popularity, {}});
  return OkStatus();
}

Status AddDifferences(std::string_view prefix, std::span<const RankingEvaluation* const> rankings,
                      RecallIs recall, Report& report) {
  const ReportedModel* chosen = ChosenOf(report);
  if (chosen == nullptr) return OkStatus();
  const RankingEvaluation* against = rankings[static_cast<size_t>(chosen - report.models.data())];
  for (const RankingMetric metric : {RankingMetric::kNdcg, RecallOf(recall)}) {
    const size_t first = report.paired.size();
    const std::vector<float> of_chosen = against->OfUsers(metric);
    const std::string name = metric == RankingMetric::kNdcg ? NdcgName(prefix, against->k())
                                                            : RecallName(prefix, against->k());
    std::vector<double> p;
    for (size_t m = 0; m < rankings.size(); ++m) {
      if (rankings[m] == nullptr || rankings[m] == against) continue;
      STARLING_ASSIGN_OR_RETURN(
          const learning::PairedComparison compared,
          learning::ComparePaired(rankings[m]->OfUsers(metric), of_chosen, {}));
      report.paired.push_back({report.models[m].name, name, compared});
      p.push_back(compared.p);
    }
    const std::vector<double> adjusted = learning::HolmAdjusted(p);
    for (size_t i = 0; i < adjusted.size(); ++i) report.paired[first + i].p_holm = adjusted[i];
  }
  return OkStatus();
}

std::string JsonOf(const Report& report) {
  json::Writer writer;
  writer.BeginObject();
  writer.Name("\"models\":");
  writer.BeginArray();
  for (const ReportedModel& model : report.models) WriteModel(model, writer);
  writer.EndArray();
  writer.Name("\"chosen\":");
  writer.String(report.chosen);
  writer.Name("\"chosen_by\":");
  writer.String(report.chosen_by);
  writer.Name("\"paired\":");
  writer.BeginArray();
  for (const Difference& difference : report.paired)
    WriteDifference(difference, report.chosen, writer);
  writer.EndArray();
  writer.Name("\"data\":");
  writer.BeginObject();
  for (const Fact& fact : report.facts) {
    writer.Name(std::string_view(fact.name));
    fact.number.has_value() ? writer.Double(*fact.number) : writer.String(fact.text);
  }
  writer.EndObject();
  writer.EndObject();
  return std::string(writer.text());
}

}  // namespace starling
