#include "platform/messaging/topic_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <system_error>

#include "platform/messaging/record.h"

namespace starling::messaging {
namespace {

constexpr size_t kReadBytes = 1 << 20;

Status FileError(int error, const std::filesystem::path& path, std::string_view doing) {
  const std::string reason = std::generic_category().message(error);
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) return DiskFull(path.string());
  if (error == EACCES || error == EROFS || error == EPERM) {
    return StorageFailed(FailedPrecondition("{} cannot be {}: {}; make the folder writable",
                                            path.string(), doing, reason));
  }
  return StorageFailed(
      Unavailable("{} cannot be {}: {}; nothing was acknowledged", path.string(), doing, reason));
}

Status SyncFolder(const std::filesystem::path& folder) {
  const int file = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return FileError(errno, folder, "opened");
  const int failed = fsync(file) != 0 ? errno : 0;
  close(file);
  return failed == 0 ? OkStatus() : FileError(failed, folder, "synced");
}

StatusOr<std::string> ReadAt(int file, uint64_t position, size_t size,
                             const std::filesystem::path& path) {
  std::string bytes(size, '\0');
  size_t have = 0;
  while (have < size) {
    const ssize_t n =
        pread(file, bytes.data() + have, size - have, static_cast<off_t>(position + have));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FileError(errno, path, "read");
    if (n == 0) break;
    have += static_cast<size_t>(n);
  }
  bytes.resize(have);
  return bytes;
}

// Whether a whole record with a sequence above `sequence` stands anywhere in `bytes`.
bool HasLaterRecord(std::string_view bytes, uint64_t sequence) {
  for (size_t at = 1; at + kRecordHeader < bytes.size(); ++at) {
    const RecordView record = ReadRecord(bytes.substr(at));
    if (record.state == RecordView::kWhole && record.sequence > sequence) return true;
  }
  return false;
}

}  // namespace

TopicFiles::Segment::~Segment() { close(file); }

TopicFiles::~TopicFiles() = default;

StatusOr<std::unique_ptr<TopicFiles>> TopicFiles::Open(const std::filesystem::path& folder,
                                                       Options options) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return FailedPrecondition("{} cannot be made: {}", folder.string(), error.message());
  auto topic = std::unique_ptr<TopicFiles>(new TopicFiles(folder, options));
  STARLING_RETURN_IF_ERROR(topic->Recover());
  return topic;
}

Status TopicFiles::Recover() {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    const std::string name = entry.path().filename().string();
    uint64_t first = 0;
    const auto [end, bad] = std::from_chars(name.data(), name.data() + name.size(), first);
    if (entry.path().extension() != ".log" || bad != std::errc() || std::string_view(end) != ".log")
      continue;
    const int file = open(entry.path().c_str(), O_RDWR | O_CLOEXEC);
    if (file < 0) return FileError(errno, entry.path(), "opened");
    struct stat status {};
    fstat(file, &status);
    segments_.push_back(std::make_shared<Segment>(
        first, file, static_cast<uint64_t>(status.st_size), entry.path()));
  }
  if (error)
    return FailedPrecondition("{} cannot be listed: {}", folder_.string(), error.message());
  std::sort(segments_.begin(), segments_.end(),
            [](const auto& a, const auto& b) { return a->first < b->first; });
  if (segments_.empty()) return StartSegment(1);

  Segment& last = *segments_.back();
  uint64_t position = 0, next = last.first;
  std::string bytes;
  while (position < last.size) {
    STARLING_ASSIGN_OR_RETURN(bytes,
                              ReadAt(last.file, position, kReadBytes + kMaxPayload, last.path));
    std::string_view rest = bytes;
    RecordView record;
    while (!rest.empty()) {
      record = ReadRecord(rest);
      if (record.state != RecordView::kWhole || record.sequence != next) break;
      rest.remove_prefix(record.size);
      position += record.size;
      ++next;
    }
    if (rest.empty()) continue;
    if (record.state == RecordView::kCut && position + rest.size() < last.size &&
        rest.size() < bytes.size())
      continue;
    // A record that a crash cut off stands at the very end; anything whole after the damage was
    // acknowledged.
    if (record.state == RecordView::kWhole || HasLaterRecord(rest, next)) {
      return DataLoss(
          "{} is damaged at byte {}: event {} of the topic is missing and later ones are there; "
          "restore the "
          "file from a backup, or move it away to lose its events",
          last.path.string(), position, next);
    }
    if (ftruncate(last.file, static_cast<off_t>(position)) != 0)
      return FileError(errno, last.path, "cut");
    if (fdatasync(last.file) != 0) return FileError(errno, last.path, "synced");
    last.size = position;
  }
  written_bytes_ = last.size;
  written_end_ = next;
  end_.store(next, std::memory_order_release);
  return OkStatus();
}

Status TopicFiles::StartSegment(uint64_t first) {
  const std::filesystem::path path = folder_ / fmt::format("{:020}.log", first);
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) return FileError(errno, path, "made");
  auto segment = std::make_shared<Segment>(first, file, 0, path);
  STARLING_RETURN_IF_ERROR(SyncFolder(folder_));
  const std::lock_guard lock(mutex_);
  segments_.push_back(std::move(segment));
  written_bytes_ = 0;
  written_end_ = first;
  return OkStatus();
}

Status TopicFiles::Write(std::string_view records, uint64_t count) {
  STARLING_RETURN_IF_ERROR(broken_);
  if (written_bytes_ >= options_.segment_bytes && written_end_ == end()) {
    STARLING_RETURN_IF_ERROR(StartSegment(written_end_));
  }
  Segment& last = *segments_.back();
  size_t written = 0;
  while (written < records.size()) {
    const ssize_t n = pwrite(last.file, records.data() + written, records.size() - written,
                             static_cast<off_t>(written_bytes_ + written));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int reason = errno;
      // Back to what is durable: later records must not stand after half a one.
      if (ftruncate(last.file, static_cast<off_t>(last.size)) != 0) {
        broken_ = Unavailable("{} cannot be cut back after a failed write; restart the process",
                              last.path.string());
      }
      written_bytes_ = last.size;
      written_end_ = end();
      return FileError(reason, last.path, "written");
    }
    written += static_cast<size_t>(n);
  }
  written_bytes_ += records.size();
  written_end_ += count;
  return OkStatus();
}

Status TopicFiles::Sync() {
  STARLING_RETURN_IF_ERROR(broken_);
  Segment& last = *segments_.back();
  if (fdatasync(last.file) != 0) {
    broken_ = FileError(errno, last.path, "synced");
    return broken_;
  }
  {
    const std::lock_guard lock(mutex_);
    last.size = written_bytes_;
  }
  end_.store(written_end_, std::memory_order_release);
  return OkStatus();
}

uint64_t TopicFiles::begin() const {
  const std::lock_guard lock(mutex_);
  return segments_.front()->first;
}

std::shared_ptr<TopicFiles::Segment> TopicFiles::Find(uint64_t sequence) const {
  const std::lock_guard lock(mutex_);
  auto after =
      std::upper_bound(segments_.begin(), segments_.end(), sequence,
                       [](uint64_t value, const auto& segment) { return value < segment->first; });
  return after == segments_.begin() ? segments_.front() : *std::prev(after);
}

StatusOr<std::vector<Delivered>> TopicFiles::Read(Cursor& cursor, size_t limit) const {
  std::vector<Delivered> events;
  const uint64_t end = this->end();
  cursor.sequence = std::max(cursor.sequence, begin());
  size_t bytes_read = 0;
  while (cursor.sequence < end && events.size() < limit && bytes_read < kReadBytes) {
    const std::shared_ptr<Segment> segment = Find(cursor.sequence);
    if (segment->first != cursor.segment) {
      cursor.segment = segment->first;
      cursor.position = 0;
    }
    uint64_t size;
    {
      const std::lock_guard lock(mutex_);
      size = segment->size;
    }
    const size_t wanted =
        static_cast<size_t>(std::min<uint64_t>(size - cursor.position, kReadBytes + kMaxPayload));
    STARLING_ASSIGN_OR_RETURN(const std::string bytes,
                              ReadAt(segment->file, cursor.position, wanted, segment->path));
    std::string_view rest = bytes;
    bool moved = false;
    while (!rest.empty() && events.size() < limit) {
      const RecordView record = ReadRecord(rest);
      if (record.state == RecordView::kCut && moved) break;
      if (record.state != RecordView::kWhole) {
        return DataLoss(
            "{} is damaged at byte {}; restore it from a backup, or move it away to lose its "
            "events",
            segment->path.string(), cursor.position);
      }
      moved = true;
      rest.remove_prefix(record.size);
      cursor.position += record.size;
      if (record.sequence < cursor.sequence) continue;  // before where the reader wants to begin
      STARLING_ASSIGN_OR_RETURN(Event event, DecodeEvent(record.event));
      events.push_back({std::move(event), {record.partition, record.sequence}, 1});
      cursor.sequence = record.sequence + 1;
      bytes_read += record.size;
    }
    if (!moved) {
      return DataLoss("{} ends at byte {} before event {}; restore it from a backup",
                      segment->path.string(), cursor.position, cursor.sequence);
    }
  }
  return events;
}

Status TopicFiles::Retain(uint64_t keep_from, TimePoint now) {
  std::vector<std::shared_ptr<Segment>> gone;
  {
    const std::lock_guard lock(mutex_);
    uint64_t total = 0;
    for (const auto& segment : segments_) total += segment->size;
    while (segments_.size() > 1 && segments_[1]->first <= keep_from) {
      struct stat status {};
      fstat(segments_.front()->file, &status);
      const TimePoint changed{std::chrono::seconds(status.st_mtim.tv_sec)};
      if (total <= options_.retain_bytes && now - changed <= options_.retain_for) break;
      total -= segments_.front()->size;
      gone.push_back(std::move(segments_.front()));
      segments_.erase(segments_.begin());
    }
  }
  std::error_code error;
  for (const auto& segment : gone) std::filesystem::remove(segment->path, error);
  return error ? Unavailable("{}: {}", folder_.string(), error.message()) : OkStatus();
}

}  // namespace starling::messaging
