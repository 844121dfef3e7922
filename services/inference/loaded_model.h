// A version in memory: its file mapped, checked, and ready to rank.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "contracts/inference/v1/inference.pb.h"
#include "contracts/training/v1/training.pb.h"
#include "learning/recommender/recommender.h"
#include "platform/base/clock.h"
#include "platform/storage/file/mapped_file.h"

namespace starling::inference {

// Immutable, shared by the calls that use it; the mapping ends with the last of them.
struct LoadedModel {
  training::v1::ModelVersion version;
  std::shared_ptr<const MappedFile> file;
  learning::Recommender recommender;
  TimePoint loaded_at;

  // Maps the file and checks every bit of it. DATA_LOSS says what is wrong. Blocks.
  static StatusOr<std::shared_ptr<const LoadedModel>> Open(const std::filesystem::path& path,
                                                           training::v1::ModelVersion version,
                                                           TimePoint now) {
    STARLING_ASSIGN_OR_RETURN(std::shared_ptr<const MappedFile> file, MappedFile::Open(path));
    STARLING_ASSIGN_OR_RETURN(learning::Recommender recommender,
                              learning::Recommender::Open(file->bytes(), file));
    return std::make_shared<const LoadedModel>(
        LoadedModel{std::move(version), std::move(file), std::move(recommender), now});
  }
};

}  // namespace starling::inference
