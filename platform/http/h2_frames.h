// Where frames of HTTP/2 begin (RFC 9113, 4.1), in bytes that come in any pieces: for what must be
// known of a frame before nghttp2 drops it.
//
//   H2FrameScanner frames(kPrefaceBytes);
//   for (size_t at = 0; at < bytes.size();) {
//     at += frames.Scan(bytes.substr(at));
//     if (frames.at_head()) Look(frames.head());    // bytes[at - 1] is the last byte of it
//   }
//
// Not thread-safe. O(frames).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

namespace starling::http {

class H2FrameScanner {
 public:
  static constexpr size_t kPrefaceBytes = 24;
  static constexpr uint8_t kData = 0, kPriority = 2;
  struct Head {
    uint32_t length = 0;
    uint8_t type = 0;
    int32_t stream = 0;
    int32_t depends_on = 0;  // of PRIORITY
  };

  explicit H2FrameScanner(size_t preface_bytes) : skip_(preface_bytes) {}

  // Takes what is up to the end of the next head, or all; gives how many bytes that were.
  size_t Scan(std::string_view bytes) {
    at_head_ = false;
    const size_t skipped = std::min(skip_, bytes.size());
    skip_ -= skipped;
    size_t at = skipped;
    while (at < bytes.size() && !at_head_) {
      head_bytes_[have_++] = static_cast<uint8_t>(bytes[at++]);
      if (have_ == kHeadBytes) ReadHead();
      if (have_ == wanted_) EndHead();
    }
    return at;
  }
  bool at_head() const { return at_head_; }
  const Head& head() const { return head_; }

 private:
  static constexpr size_t kHeadBytes = 9;
  static constexpr size_t kDependencyBytes = 4;

  uint32_t Number(size_t at, size_t size) const {
    uint32_t number = 0;
    for (size_t i = 0; i < size; ++i) number = number << 8 | head_bytes_[at + i];
    return number;
  }
  void ReadHead() {
    head_ = {.length = Number(0, 3),
             .type = head_bytes_[3],
             .stream = static_cast<int32_t>(Number(5, 4) & 0x7fffffff)};
    const bool more = head_.type == kPriority && head_.length >= kDependencyBytes;
    wanted_ = kHeadBytes + (more ? kDependencyBytes : 0);
  }
  void EndHead() {
    if (wanted_ > kHeadBytes)
      head_.depends_on = static_cast<int32_t>(Number(kHeadBytes, 4) & 0x7fffffff);
    skip_ = head_.length - (wanted_ - kHeadBytes);
    have_ = 0;
    wanted_ = kHeadBytes;
    at_head_ = true;
  }

  size_t skip_;  // bytes until the next head
  std::array<uint8_t, kHeadBytes + kDependencyBytes> head_bytes_{};
  size_t have_ = 0;
  size_t wanted_ = kHeadBytes;
  bool at_head_ = false;
  Head head_;
};

}  // namespace starling::http
