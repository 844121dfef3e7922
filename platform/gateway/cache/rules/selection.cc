#include "platform/gateway/cache/rules/selection.h"

#include <algorithm>

#include "platform/gateway/cache/rules/list.h"

namespace starling::gateway {
namespace {

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  return lower;
}

bool HasFreeOrder(std::string_view name) {
  return name == "accept" || name == "accept-charset" || name == "accept-encoding" ||
         name == "accept-language";
}

std::string Normal(std::string_view name, std::string_view value) {
  if (!HasFreeOrder(name)) return std::string(value);
  std::vector<std::string> elements;
  ForEachElement(value, [&](std::string_view element) {
    std::string& kept = elements.emplace_back(Lower(element));
    std::erase_if(kept, IsBlank);
  });
  std::ranges::sort(elements);
  std::string normal;
  for (const std::string& element : elements) normal.append(element).append(",");
  normal.shrink_to_fit();
  return normal;
}

// Calls `see` with each name in Vary.
template <typename See>
void ForEachVaried(const http::Headers& response, See see) {
  for (const http::Headers::Field field : response) {
    if (http::EqualsIgnoreCase(field.name, "vary")) ForEachElement(field.value, see);
  }
}

size_t HeapBytes(const std::string& text) {
  return text.capacity() > std::string().capacity() ? text.capacity() + 1 : 0;
}

}  // namespace

bool VariesByEverything(const http::Headers& response) {
  bool everything = false;
  ForEachVaried(response, [&](std::string_view name) { everything = everything || name == "*"; });
  return everything;
}

SelectingFields SelectingFields::Of(const http::Headers& response, const http::Headers& request) {
  std::vector<std::string> names;
  ForEachVaried(response, [&](std::string_view name) { names.push_back(Lower(name)); });
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  SelectingFields selecting;
  selecting.fields_.reserve(names.size());
  for (std::string& name : names) {
    Field& field = selecting.fields_.emplace_back();
    field.there = request.Has(name);
    field.sent = request.Joined(name);
    field.sent.shrink_to_fit();
    field.normal = Normal(name, field.sent);
    field.name = std::move(name);
    field.name.shrink_to_fit();
  }
  return selecting;
}

bool SelectingFields::Match(const http::Headers& request) const {
  return std::ranges::all_of(fields_, [&](const Field& field) {
    std::optional<std::string_view> only;
    size_t count = 0;
    for (const http::Headers::Field sent : request) {
      if (!http::EqualsIgnoreCase(sent.name, field.name)) continue;
      only = sent.value;
      ++count;
    }
    if (count == 0 || !field.there) return (count == 0) == !field.there;
    if (count == 1 && *only == field.sent) return true;
    if (count == 1 && !HasFreeOrder(field.name)) return false;
    return Normal(field.name, request.Joined(field.name)) == field.normal;
  });
}

size_t SelectingFields::Bytes() const {
  size_t bytes = fields_.capacity() * sizeof(Field);
  for (const Field& field : fields_)
    bytes += HeapBytes(field.name) + HeapBytes(field.sent) + HeapBytes(field.normal);
  return bytes;
}

size_t SelectingFields::Blocks() const { return fields_.empty() ? 0 : 1 + 3 * fields_.size(); }

}  // namespace starling::gateway
