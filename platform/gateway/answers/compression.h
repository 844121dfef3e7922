// Which answers are compressed, and what their head says then (RFC 9110, 8.4, 8.8.3, 12.5).
//
//   const Compression::Verdict verdict = compression.Judge(request, accepts, response, size);
//   compression.Mark(verdict, response.headers);         // Vary, Content-Encoding, ETag
//
// Compressed is what is worth it (a type of the list, at least min_size bytes where the size is
// known) and may be: not 1xx, 204, 206 or 304, nothing that has a Content-Encoding, a Content-Range
// or a digest, and not what says `no-transform`. A client that refuses `identity` gets whatever it
// takes of any type and size; one that takes nothing gets 406 in place of a 200. A strong ETag gets
// weak: the bytes are others. Thread-safe as a constant.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "platform/gateway/answers/answers_config.h"
#include "platform/http/coding/encoder.h"

namespace starling::gateway {

class Compression {
 public:
  // INVALID_ARGUMENT for a type that is none.
  static StatusOr<Compression> Make(const CompressionConfig& config);

  struct Verdict {
    http::Coding coding = http::Coding::kIdentity;
    bool varies = false;          // by Accept-Encoding
    bool not_acceptable = false;  // 406
  };
  // `size`: of the body; nullopt: not known yet.
  Verdict Judge(const http::Request& request, const http::AcceptEncoding& accepts,
                const http::Response& response, std::optional<uint64_t> size) const;
  static void Mark(const Verdict& verdict, http::Headers& headers);
  // Of a 304: the tag that the client has, and Vary.
  void MarkNotModified(const http::Request& request, http::Headers& headers) const;

  bool enabled() const { return enabled_; }
  // Of a body that is kept for long, the small ones.
  int LevelOf(http::Coding coding, bool for_long) const {
    return for_long ? http::CodingLevels{.gzip = 9, .br = 6, .zstd = 12}.Of(coding)
                    : levels_.Of(coding);
  }

 private:
  bool Wants(std::string_view content_type) const;

  bool enabled_ = false;
  uint64_t min_size_ = 0;
  http::CodingLevels levels_;
  std::vector<std::string> types_, prefixes_, suffixes_;  // "text/css", "text/", "+json"
};

}  // namespace starling::gateway
