#include "platform/storage/blob/s3/xml.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace starling::blob::s3 {
namespace {

constexpr std::array<std::pair<std::string_view, char>, 6> kEntities = {{{"&amp;", '&'},
                                                                         {"&lt;", '<'},
                                                                         {"&gt;", '>'},
                                                                         {"&quot;", '"'},
                                                                         {"&apos;", '\''},
                                                                         {"&#34;", '"'}}};

}  // namespace

std::optional<std::string_view> NextElement(std::string_view& rest, std::string_view name) {
  const std::string open = fmt::format("<{}>", name);
  const std::string close = fmt::format("</{}>", name);
  const size_t begin = rest.find(open);
  if (begin == std::string_view::npos) return std::nullopt;
  const size_t end = rest.find(close, begin + open.size());
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view text = rest.substr(begin + open.size(), end - begin - open.size());
  rest.remove_prefix(end + close.size());
  return text;
}

std::string TextOf(std::string_view xml, std::string_view name) {
  const std::string_view raw = NextElement(xml, name).value_or("");
  std::string text;
  for (size_t at = 0; at < raw.size();) {
    bool found = false;
    for (const auto& [entity, character] : kEntities) {
      if (!raw.substr(at).starts_with(entity)) continue;
      text += character;
      at += entity.size();
      found = true;
      break;
    }
    if (!found) text += raw[at++];
  }
  return text;
}

}  // namespace starling::blob::s3
