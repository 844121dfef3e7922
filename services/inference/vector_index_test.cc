// The vector port's suite once more, on the indexes that inference hands in.
#include "services/inference/vector_index.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "platform/base/id.h"
#include "platform/storage/vector/conformance/vector_conformance.h"
#include "platform/storage/vector/embedded_store.h"

namespace starling::vector {
namespace {

using learning::RetrievalMethod;

class NewFolder final : public Location {
 public:
  explicit NewFolder(MakeIndex make_index) : make_index_(std::move(make_index)) {
    std::filesystem::create_directories(folder_);
  }
  ~NewFolder() override { std::filesystem::remove_all(folder_); }
  StatusOr<std::unique_ptr<Store>> Open(Runtime& runtime) override {
    return OpenEmbedded({.path = folder_ / "vectors.sqlite", .make_index = make_index_},
                        runtime.blocking());
  }

 private:
  const MakeIndex make_index_;
  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("starling-" + NewId());
};

Adapter With(const char* name, RetrievalMethod method) {
  return {name, [=] { return std::make_unique<NewFolder>(inference::MakeVectorIndex(method)); }};
}

INSTANTIATE_TEST_SUITE_P(Indexed, VectorConformance,
                         testing::Values(With("hnsw", RetrievalMethod::kHnsw),
                                         With("int4", RetrievalMethod::kNibbles)),
                         [](const testing::TestParamInfo<Adapter>& info) {
                           return info.param.name;
                         });

}  // namespace
}  // namespace starling::vector
