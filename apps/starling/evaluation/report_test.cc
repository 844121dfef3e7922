#include "apps/starling/evaluation/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "apps/starling/evaluation/charts.h"
#include "apps/starling/evaluation/report_html.h"
#include "learning/random.h"

namespace starling {
namespace {

using learning::RankingEvaluation;
using testing::HasSubstr;
using testing::Not;

constexpr uint32_t kUsers = 120;
constexpr uint32_t kItems = 12;

// Three models on one task: each user had one item and wants the next; "good" shows it first,
// "fair" to every second user, "broken" has an error. Names as nobody should choose them.
struct Made {
  Made() {
    std::vector<learning::Interaction> had;
    for (uint32_t user = 0; user < kUsers; ++user) {
      users.push_back(user);
      had.push_back({user, user % kItems});
      const uint32_t wanted = (user + 1) % kItems;
      const uint32_t other = (user + 2) % kItems;
      good.Add({{wanted, other}}, {{wanted}});
      user % 2 == 0 ? fair.Add({{wanted, other}}, {{wanted}})
                    : fair.Add({{other, (user + 3) % kItems}}, {{wanted}});
    }
    known = *learning::MakeInteractions(had, kUsers, kItems);
    report.title = "What <models> are worth";
    report.command = "starling evaluate --train '</pre><script>x&y'";
    report.cost = "of the fit";
    report.k = 2;
    report.facts = {{"users", 1234567.0, {}}, {"density", 0.0447, {}}, {"cut", {}, "a \"day\""}};
    report.tasks = {{"", "items new to the user", kUsers}};
    report.chosen = "good";
    report.chosen_by = "chosen by the validation";
    report.models = {{.name = "good", .settings = "a 1", .fit_seconds = 1.5, .peak_bytes = 3000000},
                     {.name = "fair<b>", .settings = "b & 2", .fit_seconds = 0.02},
                     {.name = "broken", .error = "no <memory>"}};
    const learning::BeyondAccuracy beyond(known, {}, 1);
    const std::vector<const RankingEvaluation*> rankings = {&good, &fair, nullptr};
    for (size_t m = 0; m < 2; ++m) {
      const auto figures = beyond.Measure(users, rankings[m]->lists(), {});
      EXPECT_EQ(AddFigures("", *rankings[m], *figures, RecallIs::kPlain, report.models[m]),
                OkStatus());
    }
    EXPECT_EQ(AddDifferences("", rankings, RecallIs::kPlain, report), OkStatus());
  }
  std::vector<uint32_t> users;
  learning::Interactions known;
  RankingEvaluation good{2, kItems, RankingEvaluation::Lists::kKept};
  RankingEvaluation fair{2, kItems, RankingEvaluation::Lists::kKept};
  Report report;
};

// What is wrong with `page` as XML: a tag that is not closed by its own name, a bare & or <.
std::string Malformed(const std::string& page) {
  std::vector<std::string> open;
  const std::string start = "<!DOCTYPE html>\n";
  for (size_t at = page.starts_with(start) ? start.size() : 0; at < page.size(); ++at) {
    if (page[at] == '&') {
      const size_t end = page.find(';', at);
      if (end == std::string::npos || end - at > 6) return "a bare & at " + page.substr(at, 20);
    }
    if (page[at] != '<') continue;
    const size_t end = page.find_first_of("<>", at + 1);
    if (end == std::string::npos || page[end] != '>') return "a bare < at " + page.substr(at, 20);
    const std::string tag = page.substr(at + 1, end - at - 1);
    const std::string name = tag.substr(0, tag.find_first_of(" /", 1));
    if (tag.starts_with('/')) {
      if (open.empty() || "/" + open.back() != tag) return tag + " closes what is not open";
      open.pop_back();
    } else if (!tag.ends_with('/')) {
      open.push_back(name);
    }
    at = end;
  }
  return open.empty() ? "" : open.back() + " is not closed";
}

TEST(Report, HasEveryFigureWithItsIntervalAndWhatDiffers) {
  const Made made;
  const ReportedModel& good = made.report.models[0];
  for (const char* name : {"recall@2", "ndcg@2", "precision@2", "hit_rate@2", "map@2", "mrr@2",
                           "novelty@2", "diversity@2", "popularity@2", "calibration@2"}) {
    const Figure* figure = good.Find(name);
    ASSERT_NE(figure, nullptr) << name;
    ASSERT_TRUE(figure->interval.has_value()) << name;
    EXPECT_LE(figure->interval->low, figure->value) << name;
    EXPECT_GE(figure->interval->high, figure->value) << name;
  }
  for (const char* name : {"coverage", "popularity_lift@2", "gini@2", "history_popularity"})
    EXPECT_NE(good.Find(name), nullptr) << name;
  ASSERT_EQ(made.report.paired.size(), 2u) << "the other one, by NDCG and recall";
  const Difference& ndcg = made.report.paired[0];
  EXPECT_EQ(ndcg.name, "fair<b>");
  EXPECT_EQ(ndcg.metric, "ndcg@2");
  EXPECT_NEAR(ndcg.compared.difference.mean, -0.5, 1e-6);
  EXPECT_LT(ndcg.p_holm, 0.001);
}

TEST(Report, TheTableNamesAllModelsAndMarksTheChosen) {
  const std::string table = TableOf(Made().report);
  EXPECT_THAT(table, HasSubstr("\ngood *"));
  EXPECT_THAT(table, HasSubstr("fair<b>"));
  EXPECT_THAT(table, HasSubstr("no <memory>"));
  EXPECT_THAT(table, HasSubstr("-0.5000"));
  EXPECT_THAT(table, HasSubstr("below 0.001"));
  EXPECT_THAT(table, HasSubstr("users: 1,234,567"));
  EXPECT_THAT(table, HasSubstr("novelty@2"));
}

TEST(Report, ThePageIsWholeWellFormedAndEscaped) {
  const std::string page = HtmlOf(Made().report);
  EXPECT_EQ(Malformed(page), "");
  for (const char* name : {">good<", ">fair&lt;b&gt;<", ">broken<", "no &lt;memory&gt;"})
    EXPECT_THAT(page, HasSubstr(name));
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, HasSubstr("&lt;/pre&gt;&lt;script&gt;x&amp;y"));
  EXPECT_THAT(page, HasSubstr("prefers-color-scheme: dark"));
  for (const char* outside : {"http:", "https:", "src=", "href=", "url(", "@import"})
    EXPECT_THAT(page, Not(HasSubstr(outside)));
  size_t drawings = 0;
  for (size_t at = page.find("<svg"); at != std::string::npos; at = page.find("<svg", at + 1))
    ++drawings;
  EXPECT_EQ(drawings, 6u) << "two of bars, three of dots, one of differences";
  for (const char* number : {"nan", "inf\"", "-nan"}) EXPECT_THAT(page, Not(HasSubstr(number)));
}

TEST(Report, ThePageStandsWithoutAnythingMeasured) {
  Report report{.title = "t", .tasks = {{"", "nothing", 0}}};
  EXPECT_EQ(Malformed(HtmlOf(report)), "");
  report.models = {{.name = "broken", .error = "why"}};
  EXPECT_THAT(HtmlOf(report), HasSubstr("why"));
}

TEST(Report, IsWrittenToAPageOnly) {
  EXPECT_EQ(CheckPlotName(""), OkStatus());
  EXPECT_EQ(CheckPlotName("out/report.html"), OkStatus());
  EXPECT_THAT(ToString(CheckPlotName("report.svg")), HasSubstr("ends in .html"));
  const std::string path = testing::TempDir() + "/report_test.html";
  const Report report = Made().report;
  ASSERT_EQ(WriteHtml(report, path), OkStatus());
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_EQ(text.str(), HtmlOf(report));
  std::remove(path.c_str());
}

TEST(Charts, SayWhatEachMarkIsAndKeepItInside) {
  const std::vector<Mark> marks = {{.name = "a", .value = 0.39, .low = 0.38, .high = 0.4, .x = 12},
                                   {.name = "b", .value = 0.39, .x = 0, .chosen = true}};
  for (const std::string& svg :
       {BarChart("title", marks), DifferenceChart("title", marks),
        ScatterChart("title", {.x = "seconds", .y = "ndcg", .logarithmic = true}, marks)}) {
    EXPECT_EQ(Malformed(svg), "") << svg;
    EXPECT_THAT(svg, HasSubstr("<title>a: "));
    EXPECT_THAT(svg, HasSubstr("0.3800 to "));
    EXPECT_THAT(svg, Not(HasSubstr("\"-")));
    EXPECT_THAT(svg, Not(HasSubstr("nan")));
  }
  EXPECT_THAT(BarChart("title", marks), HasSubstr("bar chosen"));
  EXPECT_EQ(Malformed(ScatterChart("none", {}, {})), "");
}

TEST(PText, IsAsExactAsItMatters) {
  EXPECT_EQ(PText(0.0001), "below 0.001");
  EXPECT_EQ(PText(0.0042), "0.004");
  EXPECT_EQ(PText(0.25), "0.25");
}

}  // namespace
}  // namespace starling
