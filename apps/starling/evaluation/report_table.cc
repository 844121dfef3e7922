// The report as text for a terminal.
#include <fmt/format.h>

#include <algorithm>

#include "apps/starling/evaluation/report.h"
#include "apps/starling/import/progress_bar.h"

namespace starling {
namespace {

std::string Value(const Figure* figure) {
  return figure == nullptr ? "" : fmt::format("{:.4f}", figure->value);
}

const Difference* DifferenceOf(const Report& report, const ReportedModel& model,
                               const std::string& metric) {
  for (const Difference& difference : report.paired) {
    if (difference.name == model.name && difference.metric == metric) return &difference;
  }
  return nullptr;
}

using Row = std::vector<std::string>;

// The first column and the last are set to the left, the others to the right.
void AppendRows(const std::vector<Row>& rows, std::string& out) {
  std::vector<size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()), 0);
    for (size_t column = 0; column < row.size(); ++column)
      if (row.size() > 2) widths[column] = std::max(widths[column], row[column].size());
  }
  for (const Row& row : rows) {
    for (size_t column = 0; column < row.size(); ++column) {
      if (column == 0) {
        out += fmt::format("{:<{}}", row[column], widths[column]);
      } else if (column + 1 == row.size()) {
        out += fmt::format("  {}", row[column]);
      } else {
        out += fmt::format("  {:>{}}", row[column], widths[column]);
      }
    }
    while (out.ends_with(' ')) out.pop_back();
    out += '\n';
  }
}

std::string NameOf(const Report& report, const ReportedModel& model) {
  return model.name == report.chosen ? model.name + " *" : model.name;
}

std::vector<Row> AccuracyRows(const Report& report, const std::string& prefix) {
  const std::string recall = RecallName(prefix, report.k);
  const std::string ndcg = NdcgName(prefix, report.k);
  const auto at = [&](const char* metric) {
    return fmt::format("{}{}@{}", prefix, metric, report.k);
  };
  std::vector<Row> rows = {{"model", recall, ndcg, "95 % of it", "to the chosen", "p",
                            at("precision"), at("hit_rate"), at("map"), at("mrr"), "fit s",
                            "peak MB", ""}};
  for (const ReportedModel& model : report.models) {
    if (!model.error.empty()) {
      rows.push_back({NameOf(report, model), model.error});
      continue;
    }
    const Figure* by = model.Find(ndcg);
    const Difference* difference = DifferenceOf(report, model, ndcg);
    rows.push_back(
        {NameOf(report, model), Value(model.Find(recall)), Value(by),
         by != nullptr && by->interval.has_value()
             ? fmt::format("{:.4f} to {:.4f}", by->interval->low, by->interval->high)
             : "",
         difference == nullptr ? "" : fmt::format("{:+.4f}", difference->compared.difference.mean),
         difference == nullptr ? "" : PText(difference->p_holm), Value(model.Find(at("precision"))),
         Value(model.Find(at("hit_rate"))), Value(model.Find(at("map"))),
         Value(model.Find(at("mrr"))), fmt::format("{:.2f}", model.fit_seconds),
         fmt::format("{:.0f}", static_cast<double>(model.peak_bytes) / 1e6), ""});
  }
  return rows;
}

std::vector<Row> BeyondRows(const Report& report, const std::string& prefix) {
  static constexpr const char* kMetrics[] = {"novelty",         "diversity", "popularity",
                                             "popularity_lift", "gini",      "calibration"};
  Row head = {"model", prefix + "coverage"};
  for (const char* metric : kMetrics)
    head.push_back(fmt::format("{}{}@{}", prefix, metric, report.k));
  head.push_back("settings");
  std::vector<Row> rows = {head};
  for (const ReportedModel& model : report.models) {
    if (!model.error.empty()) continue;
    Row& row = rows.emplace_back();
    row = {NameOf(report, model), Value(model.Find(prefix + "coverage"))};
    for (const char* metric : kMetrics)
      row.push_back(Value(model.Find(fmt::format("{}{}@{}", prefix, metric, report.k))));
    row.push_back(model.settings);
  }
  return rows;
}

}  // namespace

std::string Fact::Text() const {
  if (!number.has_value()) return text;
  const auto whole = static_cast<int64_t>(*number);
  return *number == static_cast<double>(whole) ? WithCommas(whole) : fmt::format("{:.4g}", *number);
}

std::string TableOf(const Report& report) {
  std::string out;
  for (const Fact& fact : report.facts)
    out += fmt::format("{}{}: {}", out.empty() ? "" : "; ", fact.name, fact.Text());
  out += '\n';
  for (const ReportedTask& task : report.tasks) {
    out += fmt::format("\n{}, {} users\n", task.what, WithCommas(static_cast<int64_t>(task.users)));
    AppendRows(AccuracyRows(report, task.prefix), out);
    out += '\n';
    AppendRows(BeyondRows(report, task.prefix), out);
  }
  out += fmt::format(
      "\n* {}: {}\np: of the difference in NDCG, by flipping users' signs, corrected for all "
      "models "
      "(Holm); fit s and peak MB: {}\n",
      report.chosen.empty() ? "nothing" : report.chosen, report.chosen_by, report.cost);
  return out;
}

}  // namespace starling
