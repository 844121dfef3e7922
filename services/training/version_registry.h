// The versions of models: rows in the database, artefacts as files, and which version serves.
//
//   STARLING_ASSIGN_OR_RETURN(auto registry, VersionRegistry::Open(database, outbox, folder));
//   STARLING_ASSIGN_OR_RETURN(v1::ModelVersion made, registry->Register(draft, artifact, now));
//   STARLING_RETURN_IF_ERROR(registry->Promote("recommender", made.version(), now).status());
//   STARLING_RETURN_IF_ERROR(registry->Prune("recommender", 5));
//
// Registration, each step durable before the next:
//   1. a number is taken; no other version will ever have it
//   2. FOLDER/MODEL/NUMBER.model is written beside its name and renamed
//   3. the row is inserted: from here on the version exists
// A crash between them leaves an unfinished file or one without a row; Open removes both. Open also
// reads every artefact that has a row: one that is missing or does not have its SHA-256 is told as
// the version's problem, and is neither promoted nor given out. A promotion and its event
// (starling.training.version.promoted.v1, topic "models", key the model) are one transaction.
//
// Where the database is shared the artefact is in it too, in the transaction of step 3, and an
// instance that has no file of a version takes it from there.
//
// Thread-safe. Calls block: not on an io thread.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "contracts/training/v1/training.pb.h"
#include "platform/base/clock.h"
#include "platform/messaging/outbox.h"
#include "platform/storage/sql/sql.h"

namespace starling::training {

class VersionRegistry {
 public:
  // Both must outlive it. Mends what a crash left.
  static StatusOr<std::unique_ptr<VersionRegistry>> Open(sql::Database& database,
                                                         messaging::Outbox& outbox,
                                                         std::filesystem::path folder);

  // draft: all but version, create_time, sha256 and bytes.
  StatusOr<v1::ModelVersion> Register(v1::ModelVersion draft, std::string_view artifact,
                                      TimePoint now);
  // NOT_FOUND; DATA_LOSS when the artefact is missing or was altered. A version that serves already
  // serves on, without another event.
  StatusOr<v1::ModelVersion> Promote(std::string_view model, std::string_view version,
                                     TimePoint now);
  // Removes all but the newest `keep` and the one that serves.
  Status Prune(std::string_view model, int keep);

  StatusOr<std::vector<v1::Model>> Models() const;
  // Newest first.
  StatusOr<std::vector<v1::ModelVersion>> Versions(std::string_view model) const;
  // The one that serves when `version` is empty. NOT_FOUND.
  StatusOr<v1::ModelVersion> Find(std::string_view model, std::string_view version) const;
  // nullopt before the first promotion.
  StatusOr<std::optional<v1::ModelVersion>> Serving(std::string_view model) const;

  // The artefact, whose bytes are those that were registered; DATA_LOSS otherwise.
  StatusOr<std::string> ReadArtifact(const v1::ModelVersion& version) const;

 private:
  VersionRegistry(sql::Database& database, messaging::Outbox& outbox, std::filesystem::path folder)
      : database_(database), outbox_(outbox), folder_(std::move(folder)) {}
  Status Mend();
  Status Share(const v1::ModelVersion& version);
  // From the other instances, by the database.
  StatusOr<std::string> Take(const v1::ModelVersion& version) const;
  std::filesystem::path PathOf(std::string_view model, std::string_view version) const;
  void Note(const v1::ModelVersion& version, const Status& status) const;
  void AddProblem(v1::ModelVersion& version) const;

  sql::Database& database_;
  messaging::Outbox& outbox_;
  const std::filesystem::path folder_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::string> problems_;  // by "model/version"
};

}  // namespace starling::training
