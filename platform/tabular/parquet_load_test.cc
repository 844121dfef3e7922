// When Arrow is loaded, and what is said when it cannot be. This binary does not link Arrow itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/tabular/open.h"
#include "platform/tabular/packed_files.h"
#include "platform/tabular/parquet_module.h"
#include "platform/tabular/read_all.h"

namespace starling::tabular {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string BuiltModule() {
  const auto binary = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  return (binary.parent_path() / "lib" / kParquetModuleFile).string();
}

// One test, since a process loads Arrow once.
TEST(ParquetModule, LoadsArrowOnFirstUseAndSaysWhatIsMissingBefore) {
  const TestFolder folder;
  EXPECT_EQ(ReadAll(OpenRows(folder.Write("x.csv", "a\n1\n"))).rows.size(), 1u);
  EXPECT_THAT(ReadFile("/proc/self/maps"), Not(HasSubstr("libarrow"))) << "idle costs nothing";

  const Status absent = LoadParquet(folder.path().string());
  EXPECT_EQ(absent.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(absent.message()), HasSubstr("this build has no libstarling_parquet.so"));
  EXPECT_THAT(std::string(absent.message()), HasSubstr("./dev setup"));

  // Away from the wheel, as after build/venv was removed.
  std::filesystem::copy_file(BuiltModule(), folder.path() / kParquetModuleFile);
  const Status without_arrow = LoadParquet(folder.path().string());
  EXPECT_EQ(without_arrow.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(without_arrow.message()), HasSubstr("libparquet.so"));
  EXPECT_THAT(std::string(without_arrow.message()), HasSubstr("./dev setup"));
  EXPECT_THAT(ReadFile("/proc/self/maps"), Not(HasSubstr("libarrow")));

  folder.Write(kParquetModuleFile, "no library");
  EXPECT_EQ(LoadParquet(folder.path().string()).code(), StatusCode::kFailedPrecondition);

  EXPECT_EQ(LoadParquet(), OkStatus());
  EXPECT_THAT(ReadFile("/proc/self/maps"), HasSubstr("libarrow.so"));
  EXPECT_EQ(OpenRows(folder.Write("x.parquet", "no parquet")).status().code(),
            StatusCode::kDataLoss);
}

}  // namespace
}  // namespace starling::tabular
