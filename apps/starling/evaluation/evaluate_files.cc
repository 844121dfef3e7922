// starling evaluate --format adjacency: what each model is worth on files that are divided already.
#include <cstdio>
#include <thread>

#include "apps/starling/commands.h"
#include "apps/starling/evaluation/adjacency.h"
#include "apps/starling/evaluation/peak_memory.h"
#include "apps/starling/evaluation/report_html.h"
#include "apps/starling/import/progress_bar.h"
#include "apps/starling/interrupted.h"
#include "apps/starling/load_config.h"
#include "learning/selection/selection.h"
#include "platform/host/signals.h"

namespace starling {
namespace {

using learning::Interaction;
using learning::Interactions;
using learning::SelectedModel;
using learning::Selection;

struct Files {
  Interactions train, valid;
  std::optional<Interactions> test;
};

StatusOr<Files> Read(const EvaluateFilesOptions& options) {
  Names users;
  Names items;
  std::vector<Interaction> events[3];
  const std::string* paths[] = {&options.train, &options.valid, &options.test};
  for (size_t part = 0; part < 3; ++part) {
    if (paths[part]->empty()) continue;
    STARLING_RETURN_IF_ERROR(ReadAdjacency(*paths[part], users, items, events[part]));
    if (events[part].empty()) return InvalidArgument("{} is empty", *paths[part]);
  }
  const auto make = [&](size_t part) {
    return learning::MakeInteractions(events[part], users.size(), items.size());
  };
  Files files;
  STARLING_ASSIGN_OR_RETURN(files.train, make(0));
  if (options.valid.empty()) {
    STARLING_ASSIGN_OR_RETURN(learning::HeldOut parts, learning::HoldOutTenth(files.train, 1));
    files.train = std::move(parts.rest);
    files.valid = std::move(parts.held_out);
  } else {
    STARLING_ASSIGN_OR_RETURN(files.valid, make(1));
  }
  if (!options.test.empty()) {
    STARLING_ASSIGN_OR_RETURN(files.test, make(2));
  }
  return files;
}

std::vector<Fact> FactsOf(const Files& files, const Interactions& known) {
  const auto count = [](const char* name, size_t number) {
    return Fact{name, static_cast<double>(number), {}};
  };
  size_t users = 0;
  for (size_t user = 0; user < known.users(); ++user) users += known.row(user).size() > 0 ? 1 : 0;
  std::vector<Fact> facts = {count("users", users), count("items", known.items()),
                             count("train_entries", files.train.entries()),
                             count("valid_entries", files.valid.entries())};
  if (files.test) facts.push_back(count("test_entries", files.test->entries()));
  facts.push_back(
      {"density",
       static_cast<double>(known.entries()) /
           (static_cast<double>(std::max<size_t>(users, 1)) * static_cast<double>(known.items())),
       {}});
  return facts;
}

StatusOr<Report> ReportOf(const Selection& selection, const Files& files, int threads,
                          const EvaluateFilesOptions& options) {
  // What the measured models were fitted to.
  Interactions together;
  if (files.test) {
    STARLING_ASSIGN_OR_RETURN(together, learning::Together(files.train, files.valid));
  }
  const Interactions& known = files.test ? together : files.train;
  const std::string measured_on = !options.test.empty()    ? options.test
                                  : !options.valid.empty() ? options.valid
                                                           : "a tenth held out of --train";
  Report report{
      .title = "What the models are worth on " + measured_on,
      .command = options.command,
      .cost =
          "of the last fit, with the settings that were chosen; memory is what it "
          "takes at its peak beyond the data; a blend has the seconds of its parts "
          "and the peak of the largest",
      .k = options.k,
      .facts = FactsOf(files, known),
      .tasks = {{"", "items new to the user, of " + measured_on, selection.test_users.size()}},
      .chosen = selection.chosen,
      .chosen_by = files.test ? "chosen by NDCG on the validation; the test had no say"
                              : "chosen by NDCG on what it is measured on, for want of a "
                                "--test: its own figures flatter it"};
  const learning::BeyondAccuracy beyond(known, {}, threads);
  std::vector<const learning::RankingEvaluation*> rankings;
  for (const SelectedModel& model : selection.models) {
    ReportedModel& reported = report.models.emplace_back();
    reported.name = model.name;
    reported.settings = model.settings;
    reported.error = model.error;
    const bool measured = model.error.empty() && model.test.users() > 0;
    rankings.push_back(measured ? &model.test : nullptr);
    if (!model.error.empty()) continue;
    reported.valid_ndcg = model.valid_ndcg;
    reported.fit_seconds = model.fit_seconds;
    reported.peak_bytes = model.peak_bytes;
    if (!measured) continue;
    STARLING_ASSIGN_OR_RETURN(const learning::BeyondAccuracyFigures figures,
                              beyond.Measure(selection.test_users, model.test.lists(), {}));
    STARLING_RETURN_IF_ERROR(AddFigures("", model.test, figures, RecallIs::kPlain, reported));
  }
  if (selection.test_users.empty()) {
    return InvalidArgument("no user has something new in {} and something to go by before it",
                           measured_on);
  }
  STARLING_RETURN_IF_ERROR(AddDifferences("", rankings, RecallIs::kPlain, report));
  return report;
}

}  // namespace

int EvaluateFiles(const EvaluateFilesOptions& options) {
  if (const Status name = CheckPlotName(options.plot); !name.ok()) return Fail(name);
  host::BlockSignals();
  const StatusOr<Files> files = Read(options);
  if (!files.ok()) return Fail(files.status());
  PeakMemory peak;
  learning::SelectionOptions wanted{
      .k = options.k,
      .threads = options.threads > 0
                     ? options.threads
                     : static_cast<int>(std::max(1U, std::thread::hardware_concurrency())),
      .memory_limit = static_cast<size_t>(options.memory_mib) << 20,
      .time_limit = options.minutes * 60,
      .before_fit = [&] { peak.Begin(); },
      .after_fit = [&] { return peak.End(); }};
  for (const std::string& model : options.models) {
    if (model != "auto") wanted.models.push_back(model);
  }
  StatusOr<Selection> selection = Cancelled("not begun");
  std::string at_work;
  {
    ProgressBar bar;
    selection = learning::SelectModel({.train = files->train,
                                       .valid = files->valid,
                                       .test = files->test ? &*files->test : nullptr},
                                      wanted, [&](double done, const std::string& what) {
                                        bar.Show(what, done, -1);
                                        at_work = fmt::format("{} ({:.0f} %)", what, done * 100);
                                        return !Interrupted();
                                      });
  }
  if (selection.status().code() == StatusCode::kCancelled) {
    return Fail(
        Cancelled("ctrl-C or SIGTERM ended it at {}; nothing was measured. --minutes "
                  "limits how long settings are tried",
                  at_work));
  }
  if (!selection.ok()) return Fail(selection.status());
  const StatusOr<Report> report = ReportOf(*selection, *files, wanted.threads, options);
  if (!report.ok()) return Fail(report.status());
  fmt::print("{}", options.json ? JsonOf(*report) + "\n" : TableOf(*report));
  if (!options.plot.empty()) {
    if (const Status written = WriteHtml(*report, options.plot); !written.ok())
      return Fail(written);
  }
  return selection->chosen.empty() ? 1 : 0;
}

}  // namespace starling
