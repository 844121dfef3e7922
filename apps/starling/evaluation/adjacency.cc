#include "apps/starling/evaluation/adjacency.h"

#include <algorithm>
#include <optional>

#include "platform/tabular/byte_source.h"

namespace starling {
namespace {

constexpr size_t kLongestLine = size_t{64} << 20;

}  // namespace

Status ReadAdjacency(const std::string& path, Names& users, Names& items,
                     std::vector<learning::Interaction>& events) {
  STARLING_ASSIGN_OR_RETURN(const auto bytes, tabular::OpenBytes(path));
  std::string waiting;
  std::vector<char> piece(1 << 20);
  size_t number = 0;
  const auto take = [&](std::string_view line) {
    ++number;
    std::optional<uint32_t> user;
    while (true) {
      const size_t begin = line.find_first_not_of(" \t\r,");
      if (begin == std::string_view::npos) break;
      line.remove_prefix(begin);
      const size_t size = std::min(line.find_first_of(" \t\r,"), line.size());
      const std::string_view word = line.substr(0, size);
      line.remove_prefix(size);
      if (!user.has_value()) {
        user = users.Of(word);
      } else {
        events.push_back({*user, items.Of(word), 1, 0});
      }
    }
  };
  while (true) {
    STARLING_ASSIGN_OR_RETURN(const size_t read, bytes->Read(piece));
    if (read == 0) break;
    waiting.append(piece.data(), read);
    size_t begin = 0;
    for (size_t end = waiting.find('\n'); end != std::string::npos;
         end = waiting.find('\n', begin)) {
      take(std::string_view(waiting).substr(begin, end - begin));
      begin = end + 1;
    }
    waiting.erase(0, begin);
    if (waiting.size() > kLongestLine)
      return InvalidArgument("{}:{}: a line of more than {} MiB; is it such a file?", path,
                             number + 1, kLongestLine >> 20);
  }
  take(waiting);
  return OkStatus();
}

}  // namespace starling
