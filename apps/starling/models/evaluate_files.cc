// starling evaluate --format adjacency: what each model is worth on files that are divided already.
#include <absl/container/flat_hash_map.h>

#include <charconv>
#include <cstdio>
#include <fstream>
#include <thread>

#include "apps/starling/commands.h"
#include "apps/starling/import/progress_bar.h"
#include "apps/starling/interrupted.h"
#include "apps/starling/load_config.h"
#include "learning/selection/selection.h"
#include "platform/host/process.h"
#include "platform/json/writer.h"
#include "platform/tabular/byte_source.h"

namespace starling {
namespace {

using learning::Interaction;
using learning::Interactions;
using learning::RankingMetric;
using learning::SelectedModel;
using learning::Selection;

constexpr RankingMetric kMetrics[] = {RankingMetric::kRecall,      RankingMetric::kNdcg,
                                      RankingMetric::kPrecision,   RankingMetric::kHitRate,
                                      RankingMetric::kMap,         RankingMetric::kMrr,
                                      RankingMetric::kRecallCapped};

// Names as numbers, in the order in which they come.
struct Names {
  absl::flat_hash_map<std::string, uint32_t> numbers;
  uint32_t Of(std::string_view name) {
    return numbers.try_emplace(std::string(name), static_cast<uint32_t>(numbers.size()))
        .first->second;
  }
};

constexpr size_t kLongestLine = size_t{64} << 20;

// A user a line: user item item ... A user who had nothing is one.
Status ReadAdjacency(const std::string& path, Names& users, Names& items,
                     std::vector<Interaction>& events) {
  STARLING_ASSIGN_OR_RETURN(const auto bytes, tabular::OpenBytes(path));
  std::string waiting;
  std::vector<char> piece(1 << 20);
  size_t number = 0;
  const auto take = [&](std::string_view line) -> Status {
    ++number;
    std::optional<uint32_t> user;
    while (true) {
      const size_t begin = line.find_first_not_of(" \t\r,");
      if (begin == std::string_view::npos) break;
      line.remove_prefix(begin);
      const size_t size = std::min(line.find_first_of(" \t\r,"), line.size());
      const std::string_view word = line.substr(0, size);
      line.remove_prefix(size);
      if (!user.has_value()) {
        user = users.Of(word);
      } else {
        events.push_back({*user, items.Of(word), 1, 0});
      }
    }
    return OkStatus();
  };
  while (true) {
    STARLING_ASSIGN_OR_RETURN(const size_t read, bytes->Read(piece));
    if (read == 0) break;
    waiting.append(piece.data(), read);
    size_t begin = 0;
    for (size_t end = waiting.find('\n'); end != std::string::npos;
         end = waiting.find('\n', begin)) {
      STARLING_RETURN_IF_ERROR(take(std::string_view(waiting).substr(begin, end - begin)));
      begin = end + 1;
    }
    waiting.erase(0, begin);
    if (waiting.size() > kLongestLine)
      return InvalidArgument("{}:{}: a line of more than {} MiB; is it such a file?", path,
                             number + 1, kLongestLine >> 20);
  }
  return take(waiting);
}

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
    return learning::MakeInteractions(events[part], users.numbers.size(), items.numbers.size());
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

// The kernel keeps a process' peak of resident memory, and lets it be set back.
void ForgetPeak() { std::ofstream("/proc/self/clear_refs") << "5"; }
uint64_t Peak() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("VmHWM:")) continue;
    const char* digits = line.c_str() + line.find_first_of("0123456789");
    return std::strtoull(digits, nullptr, 10) * 1'024;
  }
  return 0;
}

std::string NameOf(RankingMetric metric, size_t k) {
  return fmt::format("{}@{}", learning::Name(metric), k);
}

void PrintTable(const Selection& selection, const EvaluateFilesOptions& options) {
  fmt::print("{:<12}{:>12}{:>12}{:>20}{:>12}{:>12}{:>11}{:>8}{:>9}  {}\n", "model",
             NameOf(RankingMetric::kRecall, options.k), NameOf(RankingMetric::kNdcg, options.k),
             "95 % of the latter", NameOf(RankingMetric::kMap, options.k), "coverage", "valid ndcg",
             "fit s", "peak MB", "settings");
  for (const SelectedModel& model : selection.models) {
    if (!model.error.empty()) {
      fmt::print("{:<12}  {}\n", model.name, model.error);
      continue;
    }
    const auto interval = model.test.Bootstrap(RankingMetric::kNdcg, {});
    fmt::print("{:<12}{:>12.4f}{:>12.4f}{:>20}{:>12.4f}{:>12.4f}{:>11.4f}{:>8.2f}{:>9.0f}  {}\n",
               model.name, model.test.Mean(RankingMetric::kRecall),
               model.test.Mean(RankingMetric::kNdcg),
               interval.ok() ? fmt::format("{:.4f} to {:.4f}", interval->low, interval->high) : "",
               model.test.Mean(RankingMetric::kMap), model.test.Coverage(), model.valid_ndcg,
               model.fit_seconds, static_cast<double>(model.peak_bytes) / 1e6, model.settings);
  }
  fmt::print("chosen by the validation: {}; {} users measured on {}\n", selection.chosen,
             selection.models.empty() ? 0 : selection.models.back().test.users(),
             options.test.empty() ? "it, as there is no --test" : options.test);
}

void PrintJson(const Selection& selection, const EvaluateFilesOptions& options) {
  json::Writer writer;
  writer.BeginObject();
  writer.Name("\"models\":");
  writer.BeginArray();
  for (const SelectedModel& model : selection.models) {
    writer.BeginObject();
    writer.Name("\"name\":");
    writer.String(model.name);
    if (!model.error.empty()) {
      writer.Name("\"error\":");
      writer.String(model.error);
      writer.EndObject();
      continue;
    }
    writer.Name("\"metrics\":");
    writer.BeginObject();
    for (const RankingMetric metric : kMetrics) {
      writer.Name(std::string_view(NameOf(metric, options.k)));
      writer.Double(model.test.Mean(metric));
    }
    writer.Name("\"coverage\":");
    writer.Double(model.test.Coverage());
    writer.EndObject();
    writer.Name("\"intervals\":");
    writer.BeginObject();
    for (const RankingMetric metric : {RankingMetric::kRecall, RankingMetric::kNdcg}) {
      const auto interval = model.test.Bootstrap(metric, {});
      if (!interval.ok()) continue;
      writer.Name(std::string_view(NameOf(metric, options.k)));
      writer.BeginArray();
      writer.Double(interval->low);
      writer.Double(interval->high);
      writer.EndArray();
    }
    writer.EndObject();
    writer.Name("\"valid_ndcg\":");
    writer.Double(model.valid_ndcg);
    writer.Name("\"settings\":");
    writer.String(model.settings);
    writer.Name("\"fit_seconds\":");
    writer.Double(model.fit_seconds);
    writer.Name("\"peak_bytes\":");
    writer.Double(static_cast<double>(model.peak_bytes));
    writer.EndObject();
  }
  writer.EndArray();
  writer.Name("\"chosen\":");
  writer.String(selection.chosen);
  writer.EndObject();
  fmt::print("{}\n", writer.text());
}

}  // namespace

int EvaluateFiles(const EvaluateFilesOptions& options) {
  host::Process::BlockSignals();
  const StatusOr<Files> files = Read(options);
  if (!files.ok()) return Fail(files.status());
  learning::SelectionOptions wanted{
      .k = options.k,
      .threads = options.threads > 0
                     ? options.threads
                     : static_cast<int>(std::max(1U, std::thread::hardware_concurrency())),
      .memory_limit = static_cast<size_t>(options.memory_mib) << 20,
      .time_limit = options.minutes * 60,
      .before_fit = ForgetPeak,
      .after_fit = Peak};
  for (const std::string& model : options.models) {
    if (model != "auto") wanted.models.push_back(model);
  }
  StatusOr<Selection> selection = Cancelled("not begun");
  {
    ProgressBar bar;
    selection = learning::SelectModel({.train = files->train,
                                       .valid = files->valid,
                                       .test = files->test ? &*files->test : nullptr},
                                      wanted, [&](double done, const std::string& what) {
                                        bar.Show(what, done, -1);
                                        return !Interrupted();
                                      });
  }
  if (!selection.ok()) return Fail(selection.status());
  options.json ? PrintJson(*selection, options) : PrintTable(*selection, options);
  return selection->chosen.empty() ? 1 : 0;
}

}  // namespace starling
