#include "platform/storage/blob/conformance/blob_conformance.h"

#include <gmock/gmock.h>

#include <fstream>
#include <thread>

#include "platform/base/id.h"
#include "platform/storage/blob/sha256.h"

namespace starling::blob {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Bytes that no part repeats.
std::string Made(size_t size) {
  std::string bytes;
  bytes.reserve(size + 32);
  for (uint64_t i = 0; bytes.size() < size; ++i) bytes += Sha256().Add(std::to_string(i)).Digest();
  bytes.resize(size);
  return bytes;
}

std::string Sha256Hex(std::string_view bytes) { return ToHex(Sha256().Add(bytes).Digest()); }

TEST_P(BlobConformance, KeepsWhatIsPutAndForgetsWhatIsDeleted) {
  EXPECT_EQ(store_->GetAll("7.model").status().code(), StatusCode::kNotFound);
  const auto put = Put("7.model", "first");
  ASSERT_TRUE(put.ok()) << put.status();
  EXPECT_EQ(put->size, 5u);
  EXPECT_EQ(put->sha256, Sha256Hex("first"));
  EXPECT_EQ(store_->GetAll("7.model").value(), "first");
  Reopen();
  EXPECT_EQ(store_->GetAll("7.model").value(), "first");
  ASSERT_TRUE(Put("7.model", "second, longer").ok());
  EXPECT_EQ(store_->GetAll("7.model").value(), "second, longer");
  ASSERT_TRUE(store_->Delete("7.model").ok());
  EXPECT_EQ(store_->GetAll("7.model").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(store_->Head("7.model").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(store_->Read("7.model", {.size = 1}).status().code(), StatusCode::kNotFound);
  EXPECT_TRUE(store_->Delete("7.model").ok()) << "deleting what is not there is no error";
}

TEST_P(BlobConformance, HeadTellsSizeAndChecksumWithoutTheBytes) {
  const auto put = Put("a/b/c", "bytes");
  ASSERT_TRUE(put.ok()) << put.status();
  const auto head = store_->Head("a/b/c");
  ASSERT_TRUE(head.ok()) << head.status();
  EXPECT_EQ(head->size, 5u);
  EXPECT_EQ(head->sha256, Sha256Hex("bytes"));
  EXPECT_EQ(head->etag, put->etag);
  ASSERT_TRUE(Put("a/b/c", "other").ok());
  EXPECT_NE(store_->Head("a/b/c")->etag, put->etag);
}

TEST_P(BlobConformance, AnyBytesAreABlobAndNoneToo) {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  for (const std::string& bytes : {std::string(), all, std::string("\0\r\n\r\n", 5)}) {
    ASSERT_TRUE(Put("key", bytes).ok());
    EXPECT_EQ(store_->GetAll("key").value(), bytes);
    EXPECT_EQ(store_->Head("key")->size, bytes.size());
  }
}

TEST_P(BlobConformance, AFileOfManyPartsComesBackWholeAndByRanges) {
  const std::string bytes = Made((17 << 20) + 12345);
  const auto path = std::filesystem::path(testing::TempDir()) / NewId();
  std::ofstream(path, std::ios::binary) << bytes;
  auto source = FileSource::Open(path);
  ASSERT_TRUE(source.ok()) << source.status();
  const auto put = store_->Put("large", *source);
  std::filesystem::remove(path);
  ASSERT_TRUE(put.ok()) << put.status();
  EXPECT_EQ(put->sha256, Sha256Hex(bytes));
  EXPECT_EQ(store_->Head("large")->size, bytes.size());
  EXPECT_EQ(store_->Head("large")->etag, put->etag);
  size_t largest = 0;
  std::string came;
  const auto got = store_->Get("large", [&](std::string_view piece) {
    largest = std::max(largest, piece.size());
    came += piece;
    return OkStatus();
  });
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_TRUE(came == bytes) << "other bytes than were put";
  EXPECT_LE(largest, size_t{8} << 20);
  for (const auto& [offset, size] :
       {std::pair<uint64_t, size_t>{0, 1}, {8388600, 20}, {1000, 9 << 20}, {bytes.size() - 3, 3}}) {
    const auto part = store_->Read("large", {.offset = offset, .size = size});
    ASSERT_TRUE(part.ok()) << part.status();
    EXPECT_TRUE(*part == bytes.substr(offset, size)) << offset << " " << size;
  }
}

TEST_P(BlobConformance, ARangeIsShortAtTheEndAndEmptyBehindIt) {
  ASSERT_TRUE(Put("key", "0123456789").ok());
  EXPECT_EQ(store_->Read("key", {.offset = 8, .size = 100}).value(), "89");
  EXPECT_EQ(store_->Read("key", {.offset = 10, .size = 1}).value(), "");
  EXPECT_EQ(store_->Read("key", {.offset = 1000, .size = 1}).value(), "");
  EXPECT_EQ(store_->Read("key", {.offset = 3, .size = 0}).value(), "");
}

TEST_P(BlobConformance, WhatWasReplacedIsNotReadOn) {
  const auto first = Put("key", "aaaa");
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(store_->Read("key", {.size = 2, .etag = first->etag}).value(), "aa");
  ASSERT_TRUE(Put("key", "bbbb").ok());
  EXPECT_EQ(store_->Read("key", {.size = 2, .etag = first->etag}).status().code(),
            StatusCode::kAborted);
  ASSERT_TRUE(Put("large", Made(9 << 20)).ok());
  const auto torn = store_->Get(
      "large", [&](std::string_view) { return Put("large", std::string(9 << 20, 'x')).status(); });
  EXPECT_EQ(torn.status().code(), StatusCode::kAborted);
}

TEST_P(BlobConformance, AReadersErrorEndsTheReading) {
  ASSERT_TRUE(Put("key", "bytes").ok());
  EXPECT_EQ(
      store_->Get("key", [](std::string_view) { return Cancelled("enough"); }).status().code(),
      StatusCode::kCancelled);
  EXPECT_EQ(store_->GetAll("key", 4).status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(store_->GetAll("key", 5).value(), "bytes");
}

TEST_P(BlobConformance, OnlyIfAbsentRefusesWhatIsThere) {
  for (const size_t size : {size_t{5}, size_t{9} << 20}) {
    const std::string key = "key" + std::to_string(size);
    const std::string bytes = Made(size);
    ASSERT_TRUE(Put(key, bytes, {.only_if_absent = true}).ok());
    const auto again = Put(key, std::string(size, 'x'), {.only_if_absent = true});
    EXPECT_EQ(again.status().code(), StatusCode::kAlreadyExists) << again.status();
    EXPECT_EQ(store_->Head(key)->sha256, Sha256Hex(bytes));
    ASSERT_TRUE(store_->Delete(key).ok());
    EXPECT_TRUE(Put(key, "again", {.only_if_absent = true}).ok());
  }
}

TEST_P(BlobConformance, OfWritersAtOnceOneWinsOnlyIfAbsent) {
  std::atomic<int> won = 0;
  std::atomic<int> refused = 0;
  std::vector<std::thread> writers;
  for (int i = 0; i < 8; ++i) {
    writers.emplace_back([&, i] {
      const auto put = Put("turn", std::to_string(i), {.only_if_absent = true});
      if (put.ok()) ++won;
      if (put.status().code() == StatusCode::kAlreadyExists) ++refused;
    });
  }
  for (auto& writer : writers) writer.join();
  EXPECT_EQ(won, 1);
  EXPECT_EQ(refused, 7);
}

TEST_P(BlobConformance, ReadersSeeOneOfTheWholeBlobs) {
  const std::string a(300'000, 'a');
  const std::string b(200'000, 'b');
  ASSERT_TRUE(Put("key", a).ok());
  std::thread writer([&] {
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(Put("key", i % 2 == 0 ? b : a).ok());
  });
  for (int i = 0; i < 20; ++i) {
    const auto bytes = store_->GetAll("key");
    if (bytes.status().code() == StatusCode::kAborted) continue;
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    EXPECT_TRUE(*bytes == a || *bytes == b);
  }
  writer.join();
}

TEST_P(BlobConformance, ListsAPrefixInByteOrderPageByPage) {
  for (const std::string_view key :
       {"m/1", "m/10", "m/2", "m-1", "m.1", "m/3/x", "m/3/x-1", "m0", "n/1", "M/1"}) {
    ASSERT_TRUE(Put(key, key).ok()) << key;
  }
  const std::vector<std::string> expected = {"m/1", "m/10", "m/2", "m/3/x", "m/3/x-1"};
  for (const size_t limit : {1, 2, 3, 4, 5, 6, 1000})
    EXPECT_EQ(Keys("m/", limit), expected) << limit;
  EXPECT_THAT(Keys("m", 3),
              ElementsAre("m-1", "m.1", "m/1", "m/10", "m/2", "m/3/x", "m/3/x-1", "m0"));
  EXPECT_EQ(Keys("", 4).size(), 10u);
  EXPECT_THAT(Keys("absent"), IsEmpty());
  EXPECT_THAT(store_->List({.prefix = "m/1"})->entries,
              ElementsAre(Entry{"m/1", 3}, Entry{"m/10", 4}));
  EXPECT_THAT(store_->List({.prefix = "m/", .after = "m/15", .limit = 1})->entries,
              ElementsAre(Entry{"m/2", 3}));
}

TEST_P(BlobConformance, WhatIsBeyondTheBoundsIsRefusedNamingThem) {
  const std::string long_key(kMaxKeyBytes + 1, 'k');
  struct Case {
    std::string key;
    std::string_view message;
  };
  const Case cases[] = {{"", "1 to 240"},
                        {long_key, "241"},
                        {"a b", "letters"},
                        {"a%b", "letters"},
                        {"../etc", "dot"},
                        {"a/../b", "dot"},
                        {"/a", "empty"},
                        {"a/", "empty"},
                        {"a//b", "empty"},
                        {".hidden", "dot"},
                        {"a/.b", "dot"},
                        {"a\\b", "letters"},
                        {std::string("a\0b", 3), "letters"}};
  for (const Case& wrong : cases) {
    for (const Status& status : {Put(wrong.key, "x").status(), store_->Head(wrong.key).status(),
                                 store_->Read(wrong.key, {.size = 1}).status(),
                                 store_->Delete(wrong.key), store_->GetAll(wrong.key).status()}) {
      EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << wrong.key << " " << status;
      EXPECT_THAT(std::string(status.message()), HasSubstr(std::string(wrong.message)));
    }
  }
  const std::string longest(kMaxKeyBytes, 'k');
  EXPECT_TRUE(Put(longest, "x").ok());
  EXPECT_EQ(store_->List({.limit = 0}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(store_->List({.limit = 1001}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(store_->List({.prefix = "../"}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(store_->List({.after = "a b"}).status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace starling::blob
