#include "platform/storage/blob/store.h"

#include <algorithm>

#include "platform/base/id.h"
#include "platform/storage/blob/sha256.h"

namespace starling::blob {
namespace {

constexpr size_t kPiece = 8 << 20;

bool IsPlain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-' || c == '/';
}

}  // namespace

Status CheckKey(std::string_view key) {
  if (key.empty() || key.size() > kMaxKeyBytes) {
    return InvalidArgument("a blob's key has 1 to {} bytes, this one {}", kMaxKeyBytes, key.size());
  }
  if (!std::all_of(key.begin(), key.end(), IsPlain)) {
    return InvalidArgument("a blob's key is of letters, digits and . _ - /, and this one is not");
  }
  for (size_t at = 0; at <= key.size(); at = key.find('/', at) + 1) {
    if (at == key.size() || key[at] == '/' || key[at] == '.') {
      return InvalidArgument("the key '{}' has a part that is empty or begins with a dot", key);
    }
    if (key.find('/', at) == std::string_view::npos) break;
  }
  return OkStatus();
}

Status CheckSize(uint64_t size) {
  if (size <= kMaxBlobBytes) return OkStatus();
  return InvalidArgument("a blob has at most {} bytes, this one {}", kMaxBlobBytes, size);
}

Status CheckList(const ListOptions& options) {
  if (options.limit < 1 || options.limit > kMaxPageEntries) {
    return InvalidArgument("a page has 1 to {} entries, not {}", kMaxPageEntries, options.limit);
  }
  if (!options.prefix.empty()) {
    STARLING_RETURN_IF_ERROR(CheckKey(std::string(options.prefix) + "x"));  // some key has it
  }
  return options.after.empty() ? OkStatus() : CheckKey(options.after);
}

StatusOr<About> Store::Get(std::string_view key,
                           const std::function<Status(std::string_view)>& take) {
  STARLING_ASSIGN_OR_RETURN(About about, Head(key));
  Sha256 sum;
  for (uint64_t at = 0; at < about.size;) {
    const size_t size = static_cast<size_t>(std::min<uint64_t>(kPiece, about.size - at));
    STARLING_ASSIGN_OR_RETURN(const std::string piece,
                              Read(key, {.offset = at, .size = size, .etag = about.etag}));
    if (piece.size() != size) {
      return DataLoss("blob '{}' ends after {} of {} bytes", key, at + piece.size(), about.size);
    }
    sum.Add(piece);
    STARLING_RETURN_IF_ERROR(take(piece));
    at += size;
  }
  if (ToHex(sum.Digest()) != about.sha256) {
    return DataLoss("blob '{}' has other bytes than were put; restore it", key);
  }
  return about;
}

StatusOr<std::string> Store::GetAll(std::string_view key, uint64_t limit) {
  std::string bytes;
  const auto take = [&](std::string_view piece) -> Status {
    if (bytes.size() + piece.size() > limit) {
      return ResourceExhausted("blob '{}' has more than {} bytes", key, limit);
    }
    bytes += piece;
    return OkStatus();
  };
  STARLING_RETURN_IF_ERROR(Get(key, take).status());
  return bytes;
}

}  // namespace starling::blob
