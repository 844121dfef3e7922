// The part of a ByteSource that a parser looks at: unread bytes in one piece, moved on and filled
// again.
//
//   ByteWindow window(std::move(bytes), limit);
//   while (no whole row in window.unread()) {
//     STARLING_ASSIGN_OR_RETURN(const bool more, window.More());    // false: the end, or full
//   }
//   window.Advance(size_of_row);
//
// Starts with 256 KiB and doubles up to `limit` while a row does not fit. 64 zero bytes stand
// behind the unread bytes, for parsers that look at blocks. The bytes may be changed by their
// reader.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "platform/base/status.h"
#include "platform/tabular/byte_source.h"

namespace starling::tabular {

class ByteWindow {
 public:
  static constexpr size_t kPadding = 64;
  static constexpr size_t kFirstBytes = 256 << 10;

  ByteWindow(std::unique_ptr<ByteSource> bytes, size_t limit)
      : bytes_(std::move(bytes)), limit_(limit), buffer_(std::min(limit, kFirstBytes) + kPadding) {}

  char* begin() { return buffer_.data() + begin_; }
  char* end() { return buffer_.data() + end_; }
  size_t size() const { return end_ - begin_; }
  // All bytes of the source are here or were.
  bool at_end() const { return at_end_; }
  bool full() const { return size() >= limit_; }

  // Bytes of the source before begin().
  uint64_t offset() const { return offset_; }
  void Advance(size_t count) {
    begin_ += count;
    offset_ += count;
  }

  // Brings as much as fits behind the unread bytes, which may move. False when nothing came.
  StatusOr<bool> More() {
    if (at_end_ || full()) return false;
    if (begin_ > 0) {
      std::memmove(buffer_.data(), begin(), size());
      end_ -= begin_;
      begin_ = 0;
    }
    if (end_ + kPadding == buffer_.size()) {
      buffer_.resize(std::min(limit_, 2 * end_) + kPadding);
    }
    const size_t before = end_;
    while (end_ + kPadding < buffer_.size() && !at_end_) {
      const std::span<char> into(end(), buffer_.size() - kPadding - end_);
      STARLING_ASSIGN_OR_RETURN(const size_t read, bytes_->Read(into));
      end_ += read;
      at_end_ = read == 0;
    }
    std::memset(end(), 0, kPadding);
    return end_ > before;
  }

  // To the place `offset` of the source; false when it ends before.
  StatusOr<bool> MoveTo(uint64_t offset) {
    STARLING_RETURN_IF_ERROR(bytes_->Rewind());
    begin_ = end_ = 0;
    at_end_ = false;
    std::memset(buffer_.data(), 0, kPadding);
    STARLING_ASSIGN_OR_RETURN(offset_, bytes_->Skip(offset));
    return offset_ == offset;
  }

  const ByteSource& source() const { return *bytes_; }

 private:
  std::unique_ptr<ByteSource> bytes_;
  const size_t limit_;
  std::vector<char> buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
  uint64_t offset_ = 0;
  bool at_end_ = false;
};

}  // namespace starling::tabular
