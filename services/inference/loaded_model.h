// A version in memory: its file mapped, checked, and ready to rank.
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "contracts/inference/v1/inference.pb.h"
#include "contracts/training/v1/training.pb.h"
#include "learning/recommender/recommender.h"
#include "platform/base/bounded_cache.h"
#include "platform/base/clock.h"
#include "platform/storage/file/mapped_file.h"

namespace starling::inference {

// Immutable but for what it remembers, shared by the calls that use it; the mapping ends with the
// last of them.
struct LoadedModel {
  training::v1::ModelVersion version;
  std::shared_ptr<const MappedFile> file;
  learning::Recommender recommender;
  TimePoint loaded_at;
  // Users who did nothing since the model was made: their best stay the same. With repeats, and
  // without. About 1.5 kB a user.
  static constexpr size_t kResting = 64;
  using Best = std::vector<learning::RankedItem>;
  mutable std::array<BoundedCache<Best>, 2> resting{BoundedCache<Best>(10'000),
                                                    BoundedCache<Best>(10'000)};

  LoadedModel(training::v1::ModelVersion version, std::shared_ptr<const MappedFile> file,
              learning::Recommender recommender, TimePoint loaded_at)
      : version(std::move(version)),
        file(std::move(file)),
        recommender(std::move(recommender)),
        loaded_at(loaded_at) {}

  // Maps the file, checks every bit of it, and makes an index where it ranks by factors of a large
  // catalogue, of at most `index_memory` bytes. DATA_LOSS says what is wrong. Blocks.
  static StatusOr<std::shared_ptr<const LoadedModel>> Open(const std::filesystem::path& path,
                                                           training::v1::ModelVersion version,
                                                           TimePoint now, size_t index_memory) {
    STARLING_ASSIGN_OR_RETURN(std::shared_ptr<const MappedFile> file, MappedFile::Open(path));
    STARLING_ASSIGN_OR_RETURN(learning::Recommender recommender,
                              learning::Recommender::Open(file->bytes(), file));
    const auto seconds = [] {
      const auto time = std::chrono::steady_clock::now().time_since_epoch();
      return std::chrono::duration<double>(time).count();
    };
    STARLING_RETURN_IF_ERROR(recommender.MakeIndex(seconds, {.memory_limit = index_memory}));
    return std::make_shared<const LoadedModel>(std::move(version), std::move(file),
                                               std::move(recommender), now);
  }
};

}  // namespace starling::inference
