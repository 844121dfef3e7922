#include "platform/rpc/idempotency_key.h"

#include <algorithm>

#include "platform/rpc/idempotency.h"

namespace starling::rpc {
namespace {

constexpr std::string_view kField = "Idempotency-Key";

// The text of a String (RFC 9651, 4.2.5), which `text` begins with.
StatusOr<std::string> ParseString(std::string_view text) {
  std::string value;
  for (size_t i = 1; i < text.size(); ++i) {
    char c = text[i];
    if (c == '"') {
      const std::string_view rest = text.substr(i + 1);
      if (rest.empty() || rest.front() == ';') return value;
      return InvalidField(kField, "goes on behind its string; send one string in quotes");
    }
    if (c == '\\') {
      if (++i == text.size() || (text[i] != '"' && text[i] != '\\'))
        return InvalidField(kField, "has a '\\' before what is neither '\"' nor '\\'");
      c = text[i];
    }
    value += c;
  }
  return InvalidField(kField, "has a quote that does not end");
}

}  // namespace

StatusOr<std::string> IdempotencyKeyOf(const http::Headers& headers) {
  std::optional<std::string_view> field;
  for (const auto& [name, value] : headers) {
    if (!http::EqualsIgnoreCase(name, kField)) continue;
    if (field) return InvalidField(kField, "is there twice; send one");
    field = value;
  }
  if (!field) return std::string();
  std::string key(*field);
  if (field->starts_with('"')) {
    STARLING_ASSIGN_OR_RETURN(key, ParseString(*field));
  }
  if (key.empty())
    return InvalidField(kField, "is empty; send a new random text with each request");
  STARLING_RETURN_IF_ERROR(CheckIdempotencyKey(key));
  return key;
}

void LinkHelp(const Status& status, std::string_view url, http::Headers& headers) {
  const auto violations = FieldViolations(status);
  if (std::any_of(violations.begin(), violations.end(),
                  [](const auto& violation) { return violation.field == kField; }) ||
      Reason(status) == reason::kIdempotencyKeyInFlight) {
    headers.Add("Link", fmt::format("<{}>; rel=\"help\"", url));
  }
}

}  // namespace starling::rpc
