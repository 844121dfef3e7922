#include "platform/http/coding/gunzip.h"

#include <zlib.h>

#include <algorithm>

namespace starling::http {
namespace {

constexpr size_t kRoom = 16 * 1024;

class Inflater {
 public:
  Inflater() { ready_ = inflateInit2(&stream, 15 + 16) == Z_OK; }
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  bool ready() const { return ready_; }
  z_stream stream{};

 private:
  bool ready_ = false;
};

Status TooLarge(std::string_view what) {
  return WithReason(InvalidField("Content-Encoding", "{}", what), reason::kPayloadTooLarge);
}

}  // namespace

StatusOr<std::string> Gunzip(std::string_view packed, const GunzipLimits& limits) {
  Inflater inflater;
  if (!inflater.ready()) return Internal("zlib has no memory");
  z_stream& stream = inflater.stream;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  std::string out;
  for (;;) {
    const size_t at = out.size();
    // One byte more than is taken shows that there is more.
    const size_t room = std::min<uint64_t>(kRoom, limits.max_bytes + 1 - at);
    out.resize(at + room);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + at);
    stream.avail_out = static_cast<uInt>(room);
    const int ended = inflate(&stream, Z_NO_FLUSH);
    out.resize(at + room - stream.avail_out);
    if (out.size() > limits.max_bytes)
      return TooLarge(fmt::format("what is packed has more than {} bytes", limits.max_bytes));
    const uint64_t read = packed.size() - stream.avail_in;
    if (out.size() > GunzipLimits::kFreeBytes && out.size() / limits.max_ratio > read) {
      return TooLarge(
          fmt::format("what is packed is more than {} times as large", limits.max_ratio));
    }
    if (ended == Z_STREAM_END) {
      if (stream.avail_in == 0) return out;
      if (inflateReset(&stream) != Z_OK) return Internal("zlib cannot begin anew");
      continue;
    }
    if (ended == Z_BUF_ERROR || (ended == Z_OK && stream.avail_in == 0 && stream.avail_out > 0))
      return InvalidField("Content-Encoding", "the body ends before its gzip stream does");
    if (ended != Z_OK) return InvalidField("Content-Encoding", "the body is no gzip stream");
  }
}

}  // namespace starling::http
