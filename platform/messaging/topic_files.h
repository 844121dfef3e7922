// The files of one topic: append, make durable, read, forget. Blocks; used by the log's writer and
// the blocking pool.
//
//   FOLDER/00000000000000000001.log    records from sequence 1 on (record.h)
//   FOLDER/00000000000000052311.log    ... from 52311 on; the last file is the one that grows
//   FOLDER/profile.group               how far the group "profile" is (group_offset.h)
//
// Sequences count the topic's events from 1 without a gap. Open reads the last file whole: a record
// that was cut at its end by a crash was never acknowledged and is removed; damage anywhere else is
// DATA_LOSS. After a failed write the file is cut back to what is durable; after a failed fsync
// nothing is known any more (the kernel may have dropped the bytes), so the topic refuses appends
// until it is opened again.
//
// Append and Sync: one thread. Read, end and the group offsets: any thread.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "platform/messaging/event_log.h"

namespace starling::messaging {

class TopicFiles {
 public:
  struct Options {
    uint64_t segment_bytes = 64 << 20;
    uint64_t retain_bytes = 8ull << 30;  // whole files that every group has read go, beyond this
    Duration retain_for = std::chrono::hours(24 * 30);  // ... or older than this
  };
  static StatusOr<std::unique_ptr<TopicFiles>> Open(const std::filesystem::path& folder,
                                                    Options options);
  ~TopicFiles();

  // Writes records whose sequences go on from `end`; not durable yet.
  Status Write(std::string_view records, uint64_t count);
  // Makes what was written durable and lets readers see it.
  Status Sync();
  // The sequence after the last durable event.
  uint64_t end() const { return end_.load(std::memory_order_acquire); }
  // The first sequence that is still there.
  uint64_t begin() const;

  // Where a reader stands, so that the next Read needs no search.
  struct Cursor {
    uint64_t sequence = 1;
    uint64_t segment = 0;   // first sequence of the file; 0: to be searched
    uint64_t position = 0;  // in the file
  };
  // Up to `limit` durable events from cursor.sequence on (or the first that is there), and about 1
  // MiB at once.
  StatusOr<std::vector<Delivered>> Read(Cursor& cursor, size_t limit) const;

  // Removes whole files that nobody needs; `keep_from` is the first sequence that some group has
  // yet to read.
  Status Retain(uint64_t keep_from, TimePoint now);

 private:
  struct Segment {
    Segment(uint64_t first, int file, uint64_t size, std::filesystem::path path)
        : first(first), file(file), size(size), path(std::move(path)) {}
    Segment(const Segment&) = delete;
    ~Segment();
    const uint64_t first;
    const int file;  // closed with the segment
    uint64_t size;   // durable bytes
    const std::filesystem::path path;
  };
  TopicFiles(std::filesystem::path folder, Options options)
      : folder_(std::move(folder)), options_(options) {}
  Status Recover();
  Status StartSegment(uint64_t first);
  std::shared_ptr<Segment> Find(uint64_t sequence) const;

  const std::filesystem::path folder_;
  const Options options_;
  mutable std::mutex mutex_;  // guards segments_ and their sizes
  std::vector<std::shared_ptr<Segment>> segments_;
  uint64_t written_bytes_ = 0;  // of the last segment
  uint64_t written_end_ = 1;
  std::atomic<uint64_t> end_{1};
  Status broken_;
};

}  // namespace starling::messaging
