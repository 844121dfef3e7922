#include "apps/starling/evaluation/adjacency.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace starling {
namespace {

using testing::HasSubstr;

class Adjacency : public testing::Test {
 protected:
  Status Read(const std::string& text) {
    const std::string path = testing::TempDir() + "/adjacency_test.txt";
    std::ofstream(path, std::ios::binary) << text;
    Status status = ReadAdjacency(path, users, items, events);
    std::filesystem::remove(path);
    return status;
  }
  Names users, items;
  std::vector<learning::Interaction> events;
};

TEST_F(Adjacency, ReadsAUserALineWhateverDividesTheWords) {
  ASSERT_EQ(Read("ada milk bread\r\n\n  bob\tbread,7  \nada tea"), OkStatus());
  EXPECT_EQ(users.size(), 2u);
  EXPECT_EQ(items.size(), 4u);
  ASSERT_EQ(events.size(), 5u);
  EXPECT_EQ(events[1].item, events[2].item) << "bread";
  EXPECT_EQ(events[4].user, events[0].user) << "ada";
}

TEST_F(Adjacency, AUserWithoutAnItemHadNothing) {
  ASSERT_EQ(Read("ada milk\nbob \neve tea\n"), OkStatus());
  EXPECT_EQ(users.size(), 3u);
  EXPECT_EQ(events.size(), 2u);
}

TEST_F(Adjacency, SaysWhatCannotBeRead) {
  const Status status = ReadAdjacency(testing::TempDir() + "/not-there", users, items, events);
  EXPECT_THAT(ToString(status), HasSubstr("not-there"));
}

}  // namespace
}  // namespace starling
