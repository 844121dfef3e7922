#include "platform/storage/vector/embedded_store.h"

#include <gmock/gmock.h>
#include <sqlite3.h>

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "platform/base/id.h"
#include "platform/storage/vector/conformance/vector_conformance.h"
#include "platform/storage/vector/scan.h"

namespace starling::vector {
namespace {

using testing::HasSubstr;

// Looks at every row, backwards, as far as it was told to.
class Backwards final : public Index {
 public:
  Backwards(std::span<const float> rows, size_t dimension) : rows_(rows), dimension_(dimension) {}
  std::vector<uint32_t> Nearest(std::span<const float> query, size_t k,
                                std::span<const uint32_t> excluded) const override {
    std::vector<uint32_t> rows(rows_.size() / dimension_);
    std::iota(rows.rbegin(), rows.rend(), 0);
    std::erase_if(rows, [&](uint32_t row) {
      return std::find(excluded.begin(), excluded.end(), row) != excluded.end();
    });
    std::stable_sort(rows.begin(), rows.end(),
                     [&](uint32_t a, uint32_t b) { return Dot(query, Of(a)) > Dot(query, Of(b)); });
    rows.resize(std::min(k, rows.size()));
    return rows;
  }

 private:
  std::span<const float> Of(uint32_t row) const {
    return rows_.subspan(row * dimension_, dimension_);
  }
  std::span<const float> rows_;
  size_t dimension_;
};

class NewFolder final : public Location {
 public:
  explicit NewFolder(MakeIndex make_index) : make_index_(std::move(make_index)) {
    std::filesystem::create_directories(folder_);
  }
  ~NewFolder() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path file() const { return folder_ / "vectors.sqlite"; }
  StatusOr<std::unique_ptr<Store>> Open(Runtime& runtime) override {
    return OpenEmbedded({.path = file(), .make_index = make_index_}, runtime.blocking());
  }

 private:
  const MakeIndex make_index_;
  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("starling-" + NewId());
};

const MakeIndex kBackwards = [](std::span<const float> rows,
                                size_t dimension) -> StatusOr<std::unique_ptr<Index>> {
  return std::make_unique<Backwards>(rows, dimension);
};

INSTANTIATE_TEST_SUITE_P(
    Embedded, VectorConformance,
    testing::Values(Adapter{"exact", [] { return std::make_unique<NewFolder>(MakeIndex()); }},
                    Adapter{"indexed", [] { return std::make_unique<NewFolder>(kBackwards); }}),
    [](const testing::TestParamInfo<Adapter>& info) { return info.param.name; });

TEST(EmbeddedVectors, AnIndexThatCannotBeMadeRefusesTheReplace) {
  NewFolder location([](std::span<const float>, size_t) -> StatusOr<std::unique_ptr<Index>> {
    return ResourceExhausted("no memory for it");
  });
  Runtime runtime({.io_threads = 1});
  const auto store = *location.Open(runtime);
  Batch few(1), many(1);
  few.Add("a", std::vector<float>{1});
  for (size_t i = 0; i < kIndexFrom; ++i) many.Add(std::to_string(i), std::vector<float>{1});
  EXPECT_TRUE(runtime.Block(store->Replace("c", {.dimension = 1}, few)).ok());
  EXPECT_EQ(runtime.Block(store->Replace("c", {.dimension = 1}, many)).code(),
            StatusCode::kResourceExhausted);
  EXPECT_EQ(runtime.Block(store->Describe("c"))->items, 1u);
}

TEST(EmbeddedVectors, AFileThatSomebodyChangedIsRefused) {
  NewFolder location{MakeIndex()};
  Runtime runtime({.io_threads = 1});
  Batch items(2);
  items.Add("a", std::vector<float>{1, 2});
  ASSERT_TRUE(runtime.Block((*location.Open(runtime))->Replace("c", {.dimension = 2}, items)).ok());
  sqlite3* file = nullptr;
  ASSERT_EQ(sqlite3_open(location.file().c_str(), &file), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(file, "UPDATE item SET floats = x'00000000'", nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(file);
  const Status damaged = location.Open(runtime).status();
  EXPECT_EQ(damaged.code(), StatusCode::kDataLoss) << damaged;
  EXPECT_THAT(std::string(damaged.message()), HasSubstr("'a' in collection 'c' has 4 bytes"));
}

}  // namespace
}  // namespace starling::vector
