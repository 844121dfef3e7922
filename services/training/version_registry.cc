#include "services/training/version_registry.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "platform/base/id.h"
#include "platform/security/token.h"
#include "platform/telemetry/log.h"
#include "services/training/artifact_table.h"

namespace starling::training {
namespace {

constexpr std::string_view kSuffix = ".model";

std::string KeyOf(std::string_view model, std::string_view version) {
  return fmt::format("{}/{}{}", model, version, kSuffix);
}

std::optional<int64_t> Number(std::string_view version) {
  int64_t number = 0;
  const auto [end, error] =
      std::from_chars(version.data(), version.data() + version.size(), number);
  if (error != std::errc() || end != version.data() + version.size() || number < 1) {
    return std::nullopt;
  }
  return number;
}

Status NoSuchVersion(std::string_view model, std::string_view version) {
  return NotFound("model '{}' has no version '{}'; GET /v1/models/{}/versions lists them", model,
                  version, model);
}

std::string Sha256Hex(std::string_view bytes) { return ToHex(security::Sha256(bytes).view()); }

StatusOr<v1::ModelVersion> Parse(const sql::Row& row, int data, int number, int serving) {
  v1::ModelVersion version;
  const std::string_view bytes = row.Bytes(data);
  if (!version.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return DataLoss("the row of version {} is damaged; train a new one", row.Int(number));
  }
  version.set_serving(!row.IsNull(serving) && row.Int(serving) == row.Int(number));
  return version;
}

constexpr char kVersions[] =
    "SELECT v.data, v.version, m.serving_version FROM versions v JOIN models m ON m.model = "
    "v.model WHERE v.model = ?1 ORDER BY v.version DESC";

StatusOr<std::vector<v1::ModelVersion>> VersionsOf(sql::Connection& connection,
                                                   std::string_view model) {
  return connection.QueryAll(
      kVersions, [](const sql::Row& row) { return Parse(row, 0, 1, 2); }, model);
}

}  // namespace

StatusOr<std::unique_ptr<VersionRegistry>> VersionRegistry::Open(
    sql::Database& database, messaging::Outbox& outbox, std::unique_ptr<blob::Store> artifacts) {
  std::unique_ptr<VersionRegistry> registry(
      new VersionRegistry(database, outbox, std::move(artifacts)));
  STARLING_RETURN_IF_ERROR(registry->Mend());
  return registry;
}

Status VersionRegistry::Mend() {
  STARLING_ASSIGN_OR_RETURN(const std::vector<v1::Model> models, Models());
  for (const v1::Model& model : models) {
    STARLING_ASSIGN_OR_RETURN(const auto versions, Versions(model.model()));
    for (const v1::ModelVersion& version : versions) {
      const Status found = Check(version);
      if (!found.ok()) {
        log::Error("training", "version {} of {} cannot serve", version.version(), version.model())
            .With(found);
      } else if (SharesByDatabase()) {
        STARLING_RETURN_IF_ERROR(Share(version));
      }
    }
  }
  // Where others put, a blob without a row may be of one that registers now.
  return artifacts_->IsShared() ? OkStatus() : RemoveOrphans();
}

Status VersionRegistry::RemoveOrphans() {
  std::vector<std::string> keys;
  std::string after;
  do {
    STARLING_ASSIGN_OR_RETURN(const blob::Page page, artifacts_->List({.after = after}));
    for (const blob::Entry& entry : page.entries) keys.push_back(entry.key);
    after = page.next;
  } while (!after.empty());
  // The rows after the blobs, so that what is registered meanwhile is no orphan.
  std::set<std::string> known;
  STARLING_ASSIGN_OR_RETURN(const std::vector<v1::Model> models, Models());
  for (const v1::Model& model : models) {
    STARLING_ASSIGN_OR_RETURN(const auto versions, Versions(model.model()));
    for (const auto& version : versions) known.insert(KeyOf(version.model(), version.version()));
  }
  for (const std::string& key : keys) {
    if (known.contains(key) || !key.ends_with(kSuffix)) continue;
    log::Info("training", "{} has no version and is removed", key);
    STARLING_RETURN_IF_ERROR(artifacts_->Delete(key));
  }
  return OkStatus();
}

Status VersionRegistry::Check(const v1::ModelVersion& version) const {
  if (artifacts_->IsShared()) {
    const auto about = artifacts_->Head(KeyOf(version.model(), version.version()));
    if (about.ok() && about->sha256 == version.artifact_sha256()) return OkStatus();
  }
  return ReadArtifact(version).status();
}

// Lets the other instances have an artefact from before they shared the database.
Status VersionRegistry::Share(const v1::ModelVersion& version) {
  const int64_t number = *Number(version.version());
  STARLING_ASSIGN_OR_RETURN(const bool there, database_.ReadSync([&](sql::Connection& connection) {
    return HasArtifact(connection, version.model(), number);
  }));
  if (there) return OkStatus();
  STARLING_ASSIGN_OR_RETURN(const std::string bytes, ReadArtifact(version));
  return database_.WriteSync([&](sql::Transaction& transaction) {
    return StoreArtifact(transaction, version.model(), number, bytes);
  });
}

StatusOr<v1::ModelVersion> VersionRegistry::Register(v1::ModelVersion draft,
                                                     std::string_view artifact, TimePoint now) {
  STARLING_ASSIGN_OR_RETURN(
      const int64_t number,
      database_.WriteSync([&](sql::Transaction& transaction) -> StatusOr<int64_t> {
        STARLING_RETURN_IF_ERROR(transaction.Execute(
            "INSERT INTO models (model, last_version) VALUES (?1, 1) ON CONFLICT (model) DO UPDATE "
            "SET last_version = models.last_version + 1",
            draft.model()));
        STARLING_ASSIGN_OR_RETURN(
            const auto last, transaction.QueryOne(
                                 "SELECT last_version FROM models WHERE model = ?1",
                                 [](const sql::Row& row) { return row.Int(0); }, draft.model()));
        return last.value_or(1);
      }));
  draft.set_version(std::to_string(number));
  draft.set_serving(false);
  draft.set_artifact_sha256(Sha256Hex(artifact));
  draft.set_artifact_bytes(static_cast<int64_t>(artifact.size()));
  draft.mutable_create_time()->set_seconds(now.time_since_epoch() / std::chrono::seconds(1));
  blob::Bytes bytes(artifact);
  STARLING_RETURN_IF_ERROR(artifacts_->Put(KeyOf(draft.model(), draft.version()), bytes).status());
  const Status inserted = database_.WriteSync([&](sql::Transaction& transaction) -> Status {
    if (SharesByDatabase())
      STARLING_RETURN_IF_ERROR(StoreArtifact(transaction, draft.model(), number, artifact));
    return transaction.Execute("INSERT INTO versions (model, version, data) VALUES (?1, ?2, ?3)",
                               draft.model(), number, sql::Blob{draft.SerializeAsString()});
  });
  if (!inserted.ok()) return inserted;
  return draft;
}

StatusOr<v1::ModelVersion> VersionRegistry::Promote(std::string_view model,
                                                    std::string_view version, TimePoint now) {
  STARLING_ASSIGN_OR_RETURN(v1::ModelVersion found, Find(model, version));
  if (found.serving()) return found;
  STARLING_RETURN_IF_ERROR(ReadArtifact(found).status());
  found.set_serving(true);
  v1::VersionPromoted promoted;
  *promoted.mutable_version() = found;
  messaging::Event event{.id = NewId(),
                         .source = "/training",
                         .type = "starling.training.version.promoted.v1",
                         .subject = found.version(),
                         .time = now,
                         .datacontenttype = "application/protobuf",
                         .partitionkey = found.model(),
                         .data = promoted.SerializeAsString()};
  STARLING_RETURN_IF_ERROR(database_.WriteSync([&](sql::Transaction& transaction) -> Status {
    // It may have been pruned since it was found.
    STARLING_RETURN_IF_ERROR(transaction.Execute(
        "UPDATE models SET serving_version = ?2 WHERE model = ?1 AND EXISTS (SELECT 1 FROM "
        "versions WHERE model = ?1 AND version = ?2)",
        model, *Number(found.version())));
    if (transaction.changes() == 0) return NoSuchVersion(model, found.version());
    return outbox_.Add(transaction, "models", event);
  }));
  log::Info("training", "version {} of {} serves", found.version(), found.model());
  return found;
}

Status VersionRegistry::Prune(std::string_view model, int keep) {
  const auto remove_rows = [&](sql::Transaction& transaction) -> Status {
    STARLING_ASSIGN_OR_RETURN(const auto versions, VersionsOf(transaction, model));
    for (size_t i = static_cast<size_t>(keep); i < versions.size(); ++i) {
      if (versions[i].serving()) continue;
      const int64_t number = *Number(versions[i].version());
      STARLING_RETURN_IF_ERROR(transaction.Execute(
          "DELETE FROM versions WHERE model = ?1 AND version = ?2", model, number));
      STARLING_RETURN_IF_ERROR(RemoveArtifact(transaction, model, number));
    }
    return OkStatus();
  };
  STARLING_RETURN_IF_ERROR(database_.WriteSync(remove_rows));
  return RemoveOrphans();
}

StatusOr<std::vector<v1::Model>> VersionRegistry::Models() const {
  return database_.ReadSync([&](sql::Connection& connection) {
    return connection.QueryAll(
        "SELECT m.model, m.serving_version, (SELECT COUNT(*) FROM versions v WHERE v.model = "
        "m.model) FROM models m ORDER BY m.model",
        [](const sql::Row& row) {
          v1::Model model;
          model.set_model(std::string(row.Text(0)));
          if (!row.IsNull(1)) model.set_serving_version(std::to_string(row.Int(1)));
          model.set_versions(static_cast<int>(row.Int(2)));
          return model;
        });
  });
}

StatusOr<std::vector<v1::ModelVersion>> VersionRegistry::Versions(std::string_view model) const {
  auto versions = database_.ReadSync(
      [&](sql::Connection& connection) { return VersionsOf(connection, model); });
  if (!versions.ok()) return versions;
  for (v1::ModelVersion& version : *versions) AddProblem(version);
  return versions;
}

StatusOr<v1::ModelVersion> VersionRegistry::Find(std::string_view model,
                                                 std::string_view version) const {
  STARLING_ASSIGN_OR_RETURN(const auto versions, Versions(model));
  for (const v1::ModelVersion& known : versions) {
    if (version.empty() ? known.serving() : known.version() == version) return known;
  }
  if (version.empty()) {
    return NotFound("no version of '{}' serves; train one with POST /v1/models/{}:train", model,
                    model);
  }
  return NoSuchVersion(model, version);
}

StatusOr<std::optional<v1::ModelVersion>> VersionRegistry::Serving(std::string_view model) const {
  STARLING_ASSIGN_OR_RETURN(const auto versions, Versions(model));
  for (const v1::ModelVersion& known : versions) {
    if (known.serving()) return std::optional(known);
  }
  return std::optional<v1::ModelVersion>();
}

void VersionRegistry::Note(const v1::ModelVersion& version, const Status& status) const {
  const std::lock_guard lock(mutex_);
  const std::string name = version.model() + "/" + version.version();
  if (status.ok()) {
    problems_.erase(name);
  } else {
    problems_[name] = std::string(status.message());
  }
}

void VersionRegistry::AddProblem(v1::ModelVersion& version) const {
  const std::lock_guard lock(mutex_);
  const auto at = problems_.find(version.model() + "/" + version.version());
  if (at != problems_.end()) version.set_problem(at->second);
}

StatusOr<std::string> VersionRegistry::Take(const v1::ModelVersion& version) const {
  STARLING_ASSIGN_OR_RETURN(
      std::optional<std::string> bytes, database_.ReadSync([&](sql::Connection& connection) {
        return FindArtifact(connection, version.model(), *Number(version.version()));
      }));
  if (!bytes || Sha256Hex(*bytes) != version.artifact_sha256())
    return NotFound("version {} is not in the database", version.version());
  blob::Bytes source(*bytes);
  STARLING_RETURN_IF_ERROR(
      artifacts_->Put(KeyOf(version.model(), version.version()), source).status());
  return *std::move(bytes);
}

StatusOr<std::string> VersionRegistry::ReadArtifact(const v1::ModelVersion& version) const {
  StatusOr<std::string> bytes = artifacts_->GetAll(KeyOf(version.model(), version.version()));
  if (bytes.ok() && Sha256Hex(*bytes) != version.artifact_sha256()) bytes = DataLoss("another");
  const bool absent = bytes.status().code() == StatusCode::kNotFound;
  const bool altered = bytes.status().code() == StatusCode::kDataLoss;
  if (database_.IsShared() && (absent || altered)) {
    if (StatusOr<std::string> taken = Take(version); taken.ok()) bytes = std::move(taken);
  }
  if (!bytes.ok() && (absent || altered)) {
    bytes = DataLoss("the artefact of version {} of {} {}; restore it, or train a new one",
                     version.version(), version.model(), absent ? "is missing" : "was altered");
  }
  Note(version, bytes.status());
  return bytes;
}

Status TakeOverFiles(const std::filesystem::path& folder, blob::Store& artifacts) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, error)) {
    if (entry.path().native().ends_with(kSuffix)) files.push_back(entry.path());
  }
  for (const auto& path : files) {
    const std::string key = path.lexically_relative(folder).generic_string();
    STARLING_ASSIGN_OR_RETURN(auto source, blob::FileSource::Open(path));
    const Status put = artifacts.Put(key, source, {.only_if_absent = true}).status();
    if (!put.ok() && put.code() != StatusCode::kAlreadyExists) return Annotate(put, path.string());
    log::Info("training", "{} is kept as a blob from now on", path.string());
    std::filesystem::remove(path, error);
  }
  return OkStatus();
}

}  // namespace starling::training
