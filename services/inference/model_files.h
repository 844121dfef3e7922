// The versions that this process has fetched, as files, so that it serves again without anybody's
// help after a restart.
//
//   FOLDER/MODEL-VERSION.model     an artefact as it came, once its SHA-256 was right
//   FOLDER/MODEL-VERSION.version   its ModelVersion, serialised
//   FOLDER/MODEL.serving           the version that serves
//
// Each is written beside its name and renamed. Blocks: not on an io thread. Not thread-safe against
// itself: one fetch of a model at a time.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "platform/storage/file/durable_file.h"
#include "services/inference/loaded_model.h"

namespace starling::inference {

class ModelFiles {
 public:
  // Removes what a crash left unfinished. index_memory: of each model (LoadedModel::Open).
  static StatusOr<ModelFiles> Open(std::filesystem::path folder, size_t index_memory);

  // Where the artefact of a version is written to, before Keep.
  StatusOr<DurableFile> Create(const std::string& model, const std::string& version) const;
  // Makes a fetched artefact durable and opens it; DATA_LOSS removes it again.
  StatusOr<std::shared_ptr<const LoadedModel>> Keep(DurableFile file,
                                                    const training::v1::ModelVersion& version,
                                                    TimePoint now) const;
  // NOT_FOUND when it was never kept.
  StatusOr<std::shared_ptr<const LoadedModel>> Load(const std::string& model,
                                                    const std::string& version,
                                                    TimePoint now) const;

  Status SetServing(const std::string& model, const std::string& version) const;
  // nullopt when none ever did.
  StatusOr<std::optional<std::string>> Serving(const std::string& model) const;
  // Removes the versions of a model that are not in `keep`.
  Status RemoveOthers(const std::string& model, const std::set<std::string>& keep) const;

 private:
  ModelFiles(std::filesystem::path folder, size_t index_memory)
      : folder_(std::move(folder)), index_memory_(index_memory) {}
  std::filesystem::path PathOf(const std::string& model, const std::string& version,
                               const char* suffix) const;
  std::filesystem::path folder_;
  size_t index_memory_;
};

}  // namespace starling::inference
