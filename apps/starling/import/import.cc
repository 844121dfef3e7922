// starling import: foreign files into the services of a data folder.
#include <fmt/format.h>

#include <cstdio>
#include <limits>
#include <thread>

#include "apps/starling/commands.h"
#include "apps/starling/import/complete_journey.h"
#include "apps/starling/import/ledger.h"
#include "apps/starling/import/online_retail.h"
#include "apps/starling/import/plain_files.h"
#include "apps/starling/import/progress_bar.h"
#include "apps/starling/import/writer.h"
#include "apps/starling/load_config.h"
#include "apps/starling/services.h"
#include "apps/starling/version.h"
#include "platform/host/signals.h"

namespace starling {
namespace {

using import::Batch;
using import::Ledger;
using import::Reader;
using import::Writer;

constexpr Duration kSaveEvery = std::chrono::milliseconds(250);
constexpr Duration kSettlesWithin = std::chrono::minutes(1);  // without any progress

StatusOr<std::unique_ptr<Reader>> Open(const ImportOptions& options, tabular::RejectFile& rejects) {
  if (options.kind == "online-retail") return import::ReadOnlineRetail(options.file, rejects);
  if (options.kind == "completejourney") return import::ReadCompleteJourney(options.file, rejects);
  return import::ReadPlainFiles(options.kind, options.file, options.mapping, rejects);
}

// Reads, writes and remembers how far it came, from where `before` was left.
class Course {
 public:
  Course(Reader& reader, Writer& writer, Ledger& ledger, tabular::RejectFile& rejects,
         std::string key, const Ledger::Entry& before, ProgressBar& bar)
      : reader_(reader),
        writer_(writer),
        ledger_(ledger),
        rejects_(rejects),
        key_(std::move(key)),
        before_(before),
        bar_(bar) {}

  Status Run() {
    // "reading" gathers in memory what the other stages need, so it is never passed over.
    const std::vector<std::string> stages = reader_.Stages();
    bool reached = before_.stage.empty();
    for (size_t i = 0; i < stages.size(); ++i) {
      const bool goes_on = !reached && stages[i] == before_.stage;
      reached = reached || goes_on;
      if (!reached && stages[i] != "reading") continue;
      STARLING_RETURN_IF_ERROR(
          reader_.Begin(stages[i], goes_on ? before_.position : "",
                        reached ? import::Telling::kTell : import::Telling::kToldBefore));
      STARLING_RETURN_IF_ERROR(RunStage(stages[i]));
      if (reached && i + 1 < stages.size())
        STARLING_RETURN_IF_ERROR(Save(stages[i + 1], {.told = told(), .written = written()}));
    }
    return OkStatus();
  }

  // Of the whole import, also what was before it was cut.
  import::Told told() const {
    import::Told told{rejects_.mark(), before_.told.findings};
    for (const auto& [what, count] : reader_.findings()) told.findings[what] += count;
    return told;
  }
  import::Written written() { return Whole(writer_.durable().written); }

 private:
  Status RunStage(const std::string& stage) {
    Instant saved = std::chrono::steady_clock::now();
    for (bool last = false; !last;) {
      STARLING_ASSIGN_OR_RETURN(Batch batch, reader_.Next());
      last = batch.last;
      if (!batch.after.empty()) batch.told = told();
      if (batch.size() > 0) STARLING_RETURN_IF_ERROR(writer_.Write(std::move(batch)));
      const import::StageProgress progress = reader_.progress();
      bar_.Show(progress.stage, progress.fraction, progress.rows);
      const Instant now = std::chrono::steady_clock::now();
      if (now - saved < kSaveEvery) continue;
      saved = now;
      import::Durable durable = writer_.durable();
      if (durable.after.empty()) continue;
      durable.written = Whole(durable.written);
      STARLING_RETURN_IF_ERROR(Save(stage, std::move(durable)));
    }
    return writer_.Flush();
  }

  import::Written Whole(import::Written written) const {
    written.Add(before_.written);
    return written;
  }

  Status Save(const std::string& stage, import::Durable durable) {
    // What the ledger counts on must be in the file when it says so.
    STARLING_RETURN_IF_ERROR(rejects_.Flush());
    return ledger_.Put(key_, {.stage = stage,
                              .position = std::move(durable.after),
                              .told = std::move(durable.told),
                              .written = durable.written});
  }

  Reader& reader_;
  Writer& writer_;
  Ledger& ledger_;
  tabular::RejectFile& rejects_;
  const std::string key_;
  const Ledger::Entry& before_;
  ProgressBar& bar_;
};

// Until every service has taken in what was written. A service that stands still for a minute is
// named; what it has yet to take in stays in the event log for it.
Status Settle(host::Process& process, ProgressBar& bar) {
  uint64_t most = 0, before = std::numeric_limits<uint64_t>::max();
  Instant moved = std::chrono::steady_clock::now();
  while (true) {
    uint64_t lag = 0;
    std::string_view behind;
    for (const char* topic : {"catalog", "user-events"}) {
      for (const host::ServiceEntry& service : Services()) {
        const auto behind_by = process.events().Lag(topic, service.name);
        if (!behind_by.ok() || *behind_by <= lag) continue;
        lag = *behind_by;
        behind = service.name;
      }
    }
    most = std::max(most, lag);
    bar.Show("settling", most == 0 ? 1 : 1 - static_cast<double>(lag) / static_cast<double>(most),
             static_cast<int64_t>(most - lag));
    if (lag == 0) return OkStatus();
    const Instant now = std::chrono::steady_clock::now();
    if (lag != before) moved = now;
    before = lag;
    if (now - moved > kSettlesWithin) {
      return DeadlineExceeded(
          "everything is durable, but the service {} takes nothing in, with {} events to go; its "
          "log says why, and `starling up` lets it go on",
          behind, lag);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

// The reject file that `before` was left with, or a new one, and then all is looked at once more.
StatusOr<std::unique_ptr<tabular::RejectFile>> OpenRejects(const std::string& path, Ledger& ledger,
                                                           const std::string& key,
                                                           Ledger::Entry& before) {
  if (!before.stage.empty()) {
    auto resumed = tabular::RejectFile::Resume(path, before.told.rejects);
    if (resumed.status().code() != StatusCode::kFailedPrecondition) return resumed;
    fmt::print(
        "'{}' is not the reject file that this import was cut with, of {} rows, so it begins "
        "anew\n",
        path, WithCommas(before.told.rejects.rows));
  }
  // First, so that a cut after the old file is gone does not go on without it.
  before = {};
  STARLING_RETURN_IF_ERROR(ledger.Put(key, before));
  return tabular::RejectFile::Create(path);
}

Status Run(host::Process& process, const ImportOptions& options, Ledger& ledger,
           const std::string& key, Ledger::Entry before) {
  const Instant began = std::chrono::steady_clock::now();
  STARLING_ASSIGN_OR_RETURN(const auto rejects, OpenRejects(options.rejects, ledger, key, before));
  STARLING_ASSIGN_OR_RETURN(const auto reader, Open(options, *rejects));
  import::Told told;
  import::Written written;
  {
    ProgressBar bar;
    Writer writer(process);
    Course course(*reader, writer, ledger, *rejects, key, before, bar);
    STARLING_RETURN_IF_ERROR(course.Run());
    STARLING_RETURN_IF_ERROR(Settle(process, bar));
    told = course.told();
    written = course.written();
  }
  STARLING_RETURN_IF_ERROR(rejects->Close());
  STARLING_RETURN_IF_ERROR(ledger.Put(key, {.done = true}));

  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  fmt::print("products  {:>10} added, {} changed, {} as they were\n",
             WithCommas(written.products_created), WithCommas(written.products_updated),
             WithCommas(written.products_unchanged));
  fmt::print("users     {:>10}\nevents    {:>10}\n", WithCommas(written.users),
             WithCommas(written.events));
  for (const auto& [what, count] : told.findings)
    fmt::print("          {:>10} {}\n", WithCommas(count), what);
  if (rejects->summary().total() > 0) {
    fmt::print("rejected  {:>10} rows, written to {}\n{}", WithCommas(rejects->summary().total()),
               rejects->path(), rejects->summary().Text());
  }
  fmt::print("done in {:.1f} s\n", seconds);
  return OkStatus();
}

}  // namespace

int Import(const CommonOptions& common, const ImportOptions& options) {
  host::BlockSignals();
  Configuration config;
  if (const Status loaded = LoadConfigForTool(common, config); !loaded.ok()) return Fail(loaded);
  if (!options.mapping.empty() &&
      (options.kind == "online-retail" || options.kind == "completejourney")) {
    return Fail(InvalidArgument(
        "--mapping {}: the columns of {} are known; leave it out, or import the file as products, "
        "users or events",
        options.mapping, options.kind));
  }
  const auto key = Ledger::KeyOf(options.kind, options.file, options.mapping);
  if (!key.ok()) return Fail(key.status());
  auto process = host::Process::Start(
      {.known = Services(),
       .serve = false,
       .data = common.data,
       .command = "starling import",
       .version = kVersion,
       .remote_events = MakeRemoteEvents,
       .on_admin_key =
           [](std::string_view token) { fmt::print("admin key (shown only now): {}\n", token); }},
      config.registry, config.process);
  if (!process.ok()) return Fail(process.status());
  const auto ledger = Ledger::Open(common.data / "import");
  if (!ledger.ok()) return Fail(ledger.status());
  auto before = (*ledger)->Find(*key);
  if (!before.ok()) return Fail(before.status());
  if (before->done && !options.again) {
    fmt::print("{} was imported before; nothing to do (--again looks at every row once more)\n",
               options.file);
    return 0;
  }
  if (options.again) *before = {};
  const Status status = Run(**process, options, **ledger, *key, *std::move(before));
  const Status stopped = (*process)->Stop();
  if (!status.ok()) return Fail(status);
  return stopped.ok() ? 0 : Fail(stopped);
}

}  // namespace starling
