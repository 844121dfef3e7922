#include "apps/starling/evaluation/report_html.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "apps/starling/evaluation/charts.h"
#include "apps/starling/import/progress_bar.h"
#include "platform/base/html.h"
#include "platform/storage/file/durable_file.h"

namespace starling {
namespace {

constexpr std::string_view kStyle = R"(
:root { color-scheme: light dark; --page: #f6f6f3; --card: #ffffff; --ink: #1d2126; --soft: #5d656e; --line: #dcdfe2;
  --mark: #a3b5c4; --chosen: #0f6e84; --whisker: #2c333a; }
@media (prefers-color-scheme: dark) { :root { --page: #15181b; --card: #1e2226; --ink: #e6e8ea; --soft: #9aa3ac;
  --line: #343a40; --mark: #5d6f7f; --chosen: #4fb8ce; --whisker: #dfe3e6; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1160px; margin: 0 auto; padding: 32px 20px 48px; }
h1 { font-size: 26px; margin: 0 0 4px; }
h2 { font-size: 18px; margin: 36px 0 12px; }
h3 { font-size: 14px; margin: 0 0 10px; color: var(--soft); font-weight: 600; }
p { margin: 0 0 8px; }
.soft, dt { color: var(--soft); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); gap: 16px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 16px; }
.wide { overflow-x: auto; margin-top: 16px; }
.facts { display: flex; flex-wrap: wrap; gap: 12px 32px; margin: 16px 0 0; }
.facts dd { margin: 0; font-size: 17px; font-variant-numeric: tabular-nums; }
dl.meaning { display: grid; grid-template-columns: max-content 1fr; gap: 4px 20px; margin: 0; }
dl.meaning dd { margin: 0; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px; margin: 16px 0 0;
  white-space: pre-wrap; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 10px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--soft); font-weight: 600; }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
tr.chosen td { color: var(--chosen); font-weight: 600; }
tr:last-child td { border-bottom: 0; }
svg { display: block; width: 100%; height: auto; font: 12px system-ui, sans-serif; }
svg text { fill: var(--ink); } svg text.axis { fill: var(--soft); font-size: 11px; }
.bar, .dot { fill: var(--mark); } .bar.chosen, .dot.chosen { fill: var(--chosen); }
.whisker { stroke: var(--whisker); stroke-width: 1.5; } .grid { stroke: var(--line); }
.zero { stroke: var(--soft); stroke-dasharray: 4 3; }
@media (max-width: 560px) { dl.meaning { grid-template-columns: 1fr; } dl.meaning dd { margin-bottom: 8px; } }
)";

struct Meaning {
  const char* metric;
  const char* what;
};
constexpr Meaning kMeanings[] = {
    {"recall", "of what there was to find, the share that was shown"},
    {"ndcg", "the same, but a hit counts more the higher it stands; 1 is perfect"},
    {"precision, hit_rate", "the share of places that hit; the share of users with a hit"},
    {"map, mrr", "mean average precision; one over the place of the first hit"},
    {"coverage", "the share of all items that anyone was shown"},
    {"novelty", "bits that an item tells: 1 more when half as many have it"},
    {"diversity", "how little the items of a list are had by the same people; 1: by none"},
    {"popularity", "the mean percentile of what is shown, 1 being the most popular"},
    {"popularity_lift",
     "by how much more popular than what its user had: 0.5 is half as much again"},
    {"gini", "how unevenly items are shown: 0 evenly, 1 always the same"},
    {"calibration", "how far the mix of a list is from the mix of what its user had; 0: alike"},
    {"p",
     "how often chance alone makes such a difference, by flipping users' signs, corrected for "
     "all models compared (Holm)"},
};

// "all.ndcg@10" as a heading: "ndcg@10".
std::string Head(std::string_view name, std::string_view prefix) {
  return EscapeHtml(name.substr(prefix.size()));
}

std::vector<Mark> MarksOf(const Report& report, const std::string& figure) {
  std::vector<Mark> marks;
  for (const ReportedModel& model : report.models) {
    const Figure* found = model.Find(figure);
    if (found == nullptr) continue;
    Mark& mark = marks.emplace_back();
    mark = {.name = model.name, .value = found->value, .chosen = model.name == report.chosen};
    if (found->interval.has_value()) {
      mark.low = found->interval->low;
      mark.high = found->interval->high;
    }
  }
  return marks;
}

std::string Card(const std::string& title, const std::string& body) {
  return fmt::format("<section class=\"card\">\n<h3>{}</h3>\n{}</section>\n", EscapeHtml(title),
                     body);
}

// `figure` up, and across what `x` finds of a model.
template <typename X>
std::string Scatter(const Report& report, const std::string& figure, const ScatterAxes& axes,
                    const X& x) {
  std::vector<Mark> marks = MarksOf(report, figure);
  for (Mark& mark : marks) {
    for (const ReportedModel& model : report.models)
      if (model.name == mark.name) mark.x = x(model);
  }
  const std::string title = fmt::format("{} and {}", axes.y, axes.x);
  return Card(title, ScatterChart(title, axes, marks));
}

std::string Charts(const Report& report, const ReportedTask& task) {
  const std::string ndcg = NdcgName(task.prefix, report.k);
  std::string out = "<div class=\"cards\">\n";
  for (const std::string& figure : {ndcg, RecallName(task.prefix, report.k)}) {
    const std::string title = figure.substr(task.prefix.size()) + ", with 95 % intervals";
    out += Card(title, BarChart(title, MarksOf(report, figure)));
  }
  const std::string y = ndcg.substr(task.prefix.size());
  out += Scatter(report, ndcg, {.x = "seconds of the fit", .y = y, .logarithmic = true},
                 [](const ReportedModel& model) { return model.fit_seconds; });
  for (const std::string& name :
       {fmt::format("{}novelty@{}", task.prefix, report.k), task.prefix + "coverage"}) {
    out += Scatter(report, ndcg, {.x = name.substr(task.prefix.size()), .y = y},
                   [&](const ReportedModel& model) {
                     const Figure* found = model.Find(name);
                     return found == nullptr ? 0 : found->value;
                   });
  }
  std::vector<Mark> differences;
  for (const Difference& difference : report.paired) {
    if (difference.metric != ndcg) continue;
    const learning::Interval& interval = difference.compared.difference;
    differences.push_back({.name = difference.name,
                           .value = interval.mean,
                           .low = interval.low,
                           .high = interval.high});
  }
  if (!differences.empty()) {
    const std::string title =
        fmt::format("{}, less that of {} over the same users", y, report.chosen);
    out += Card(title, DifferenceChart(title, differences));
  }
  return out + "</div>\n";
}

std::string Row(const Report& report, const ReportedModel& model) {
  return fmt::format("<tr{}><td>{}</td>", model.name == report.chosen ? " class=\"chosen\"" : "",
                     EscapeHtml(model.name));
}

std::string FiguresTable(const Report& report, std::string_view prefix,
                         std::span<const std::string> names) {
  std::string head = "<tr><th>model</th>";
  for (const std::string& name : names) head += fmt::format("<th>{}</th>", Head(name, prefix));
  std::string rows;
  for (const ReportedModel& model : report.models) {
    rows += Row(report, model);
    if (!model.error.empty()) {
      rows += fmt::format("<td class=\"text\" colspan=\"{}\">{}</td></tr>\n", names.size(),
                          EscapeHtml(model.error));
      continue;
    }
    for (const std::string& name : names) {
      const Figure* figure = model.Find(name);
      rows += figure == nullptr ? "<td></td>" : fmt::format("<td>{:.4f}</td>", figure->value);
    }
    rows += "</tr>\n";
  }
  return fmt::format("<div class=\"card wide\"><table>\n{}</tr>\n{}</table></div>\n", head, rows);
}

// How right the rankings are, and below it what else they are worth, from coverage on.
std::string FiguresTables(const Report& report, const ReportedTask& task) {
  std::vector<std::string> names;
  for (const ReportedModel& model : report.models) {
    if (!names.empty()) break;
    for (const Figure& figure : model.figures) {
      // The prefix of one task is empty: leave out the other's.
      const bool other = task.prefix.empty() && figure.name.find('.') != std::string::npos;
      if (figure.name.starts_with(task.prefix) && !other) names.push_back(figure.name);
    }
  }
  const auto divide = std::find(names.begin(), names.end(), task.prefix + "coverage");
  return FiguresTable(report, task.prefix, {names.begin(), divide}) +
         FiguresTable(report, task.prefix, {divide, names.end()});
}

std::string DifferencesTable(const Report& report, const ReportedTask& task) {
  std::string rows;
  for (const Difference& difference : report.paired) {
    if (difference.metric != NdcgName(task.prefix, report.k) &&
        difference.metric != RecallName(task.prefix, report.k))
      continue;
    const learning::Interval& interval = difference.compared.difference;
    rows += fmt::format(
        "<tr><td>{}</td><td class=\"text\">{}</td><td>{:+.4f}</td><td>{:+.4f} to "
        "{:+.4f}</td><td>{}</td><td>{}</td></tr>\n",
        EscapeHtml(difference.name), Head(difference.metric, task.prefix), interval.mean,
        interval.low, interval.high, PText(difference.compared.p), PText(difference.p_holm));
  }
  if (rows.empty()) return "";
  return fmt::format(
      "<div class=\"card wide\"><table>\n<tr><th>model</th><th class=\"text\">less {}, "
      "by</th><th>difference</th><th>95 %</th><th>p alone</th><th>p</th></tr>\n{}</table></div>\n",
      EscapeHtml(report.chosen), rows);
}

std::string CostTable(const Report& report) {
  std::string rows;
  for (const ReportedModel& model : report.models) {
    if (!model.error.empty()) continue;
    rows += Row(report, model) +
            fmt::format("<td>{:.2f}</td><td>{:.0f}</td><td class=\"text\">{}</td></tr>\n",
                        model.fit_seconds, static_cast<double>(model.peak_bytes) / 1e6,
                        EscapeHtml(model.settings));
  }
  return fmt::format(
      "<div class=\"card wide\"><table>\n<tr><th>model</th><th>seconds</th><th>peak MB</th>"
      "<th class=\"text\">settings</th></tr>\n{}</table></div>\n",
      rows);
}

}  // namespace

std::string HtmlOf(const Report& report) {
  std::string out = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n<meta "
      "name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>{}</title>\n"
      "<style>{}</style>\n</head>\n<body>\n<main>\n<h1>{}</h1>\n",
      EscapeHtml(report.title), kStyle, EscapeHtml(report.title));
  out += fmt::format("<p class=\"soft\">{}{}</p>\n<dl class=\"facts\">\n",
                     report.chosen.empty() ? "" : EscapeHtml(report.chosen) + ": ",
                     EscapeHtml(report.chosen_by));
  for (const Fact& fact : report.facts)
    out += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", EscapeHtml(fact.name),
                       EscapeHtml(fact.Text()));
  out += fmt::format("</dl>\n<pre>{}</pre>\n", EscapeHtml(report.command));
  for (const ReportedTask& task : report.tasks) {
    out += fmt::format("<h2>{}, {} users</h2>\n", EscapeHtml(task.what),
                       WithCommas(static_cast<int64_t>(task.users)));
    out += Charts(report, task) + FiguresTables(report, task) + DifferencesTable(report, task);
  }
  out += fmt::format("<h2>What it costs</h2>\n<p class=\"soft\">{}</p>\n", EscapeHtml(report.cost));
  out += CostTable(report);
  out += "<h2>What the figures mean</h2>\n<section class=\"card\"><dl class=\"meaning\">\n";
  for (const Meaning& meaning : kMeanings)
    out += fmt::format("<dt>{}</dt><dd>{}</dd>\n", EscapeHtml(meaning.metric),
                       EscapeHtml(meaning.what));
  return out + "</dl></section>\n</main>\n</body>\n</html>\n";
}

Status CheckPlotName(const std::string& path) {
  if (path.empty() || path.ends_with(".html")) return OkStatus();
  return InvalidArgument("--plot {}: it is a page; give a name that ends in .html", path);
}

Status WriteHtml(const Report& report, const std::string& path) {
  return WriteDurably(path, HtmlOf(report));
}

}  // namespace starling
