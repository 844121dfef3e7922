// How far a consumer group has read a topic, in a file of two slots that are written in turn:
//
//   file := slot slot        slot := generation:u64 offset:u64 checksum:u32
//
// The whole slot with the higher generation counts, so that a write cut by a crash loses one step,
// not the place: the events since come again. Not synced: at worst more events come again. Not
// thread-safe.
#pragma once

#include <filesystem>
#include <memory>

#include "platform/base/status.h"

namespace starling::messaging {

class GroupOffset {
 public:
  // A group that never was begins at `start`.
  static StatusOr<std::unique_ptr<GroupOffset>> Open(const std::filesystem::path& path,
                                                     uint64_t start);
  ~GroupOffset();
  // The first sequence that the group has yet to accept.
  uint64_t offset() const { return offset_; }
  Status Commit(uint64_t offset);

 private:
  GroupOffset(std::filesystem::path path, int file) : path_(std::move(path)), file_(file) {}
  const std::filesystem::path path_;
  const int file_;
  uint64_t generation_ = 0;
  uint64_t offset_ = 1;
};

}  // namespace starling::messaging
