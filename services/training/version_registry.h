// The versions of models: rows in the database, artefacts as blobs, and which version serves.
//
//   STARLING_ASSIGN_OR_RETURN(auto blobs, environment.OpenBlobs("training", "artifacts"));
//   STARLING_ASSIGN_OR_RETURN(auto registry,
//                             VersionRegistry::Open(database, outbox, std::move(blobs)));
//   STARLING_ASSIGN_OR_RETURN(v1::ModelVersion made, registry->Register(draft, artifact, now));
//   STARLING_RETURN_IF_ERROR(registry->Promote("recommender", made.version(), now).status());
//   STARLING_RETURN_IF_ERROR(registry->Prune("recommender", 5));
//
// Registration, each step durable before the next:
//   1. a number is taken; no other version will ever have it
//   2. the blob MODEL/NUMBER.model is put
//   3. the row is inserted: from here on the version exists
// A crash between them leaves a blob without a row; the next Prune removes it, and Open where the
// blobs are of this process alone. Open also looks at every artefact that has a row: one that is
// missing or does not have its SHA-256 is told as the version's problem, and is neither promoted
// nor given out. A promotion and its event (starling.training.version.promoted.v1, topic "models",
// key the model) are one transaction.
//
// Where the database is shared and the blobs are not, the artefact is in the database too, in the
// transaction of step 3, and an instance that has no blob of a version takes it from there.
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
#include "platform/storage/blob/store.h"
#include "platform/storage/sql/sql.h"

namespace starling::training {

class VersionRegistry {
 public:
  // The first two must outlive it. Mends what a crash left.
  static StatusOr<std::unique_ptr<VersionRegistry>> Open(sql::Database& database,
                                                         messaging::Outbox& outbox,
                                                         std::unique_ptr<blob::Store> artifacts);

  // draft: all but version, create_time, sha256 and bytes.
  StatusOr<v1::ModelVersion> Register(v1::ModelVersion draft, std::string_view artifact,
                                      TimePoint now);
  // NOT_FOUND; DATA_LOSS when the artefact is missing or was altered. A version that serves already
  // serves on, without another event.
  StatusOr<v1::ModelVersion> Promote(std::string_view model, std::string_view version,
                                     TimePoint now);
  // Removes all but the newest `keep` and the one that serves. Only who may train calls it: it
  // takes the artefact of a registration that goes on for what a crash left.
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
  VersionRegistry(sql::Database& database, messaging::Outbox& outbox,
                  std::unique_ptr<blob::Store> artifacts)
      : database_(database), outbox_(outbox), artifacts_(std::move(artifacts)) {}
  Status Mend();
  Status RemoveOrphans();
  // Whether artefacts are in the database as well.
  bool SharesByDatabase() const { return database_.IsShared() && !artifacts_->IsShared(); }
  // Of the blob, without reading it where it is far.
  Status Check(const v1::ModelVersion& version) const;
  Status Share(const v1::ModelVersion& version);
  // From the other instances, by the database.
  StatusOr<std::string> Take(const v1::ModelVersion& version) const;
  void Note(const v1::ModelVersion& version, const Status& status) const;
  void AddProblem(v1::ModelVersion& version) const;

  sql::Database& database_;
  messaging::Outbox& outbox_;
  const std::unique_ptr<blob::Store> artifacts_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::string> problems_;  // by "model/version"
};

// Artefacts that an earlier Starling kept as FOLDER/MODEL/NUMBER.model become blobs, and the files
// go. Blocks.
Status TakeOverFiles(const std::filesystem::path& folder, blob::Store& artifacts);

}  // namespace starling::training
