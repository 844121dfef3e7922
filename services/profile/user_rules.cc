#include "services/profile/user_rules.h"

#include <google/protobuf/field_mask.pb.h>

#include <algorithm>
#include <cmath>

namespace starling::profile {
namespace {

constexpr size_t kMaxId = 128;
constexpr size_t kMaxName = 200;
constexpr size_t kMaxValue = 2'000;
constexpr size_t kMaxAttributes = 64;
constexpr size_t kMaxPreferences = 256;

}  // namespace

Status CheckUserId(std::string_view user_id, std::string_view field) {
  if (user_id.empty()) return InvalidField(field, "is missing");
  if (user_id.size() > kMaxId)
    return InvalidField(field, "has {} bytes; at most {} are taken", user_id.size(), kMaxId);
  if (std::any_of(user_id.begin(), user_id.end(),
                  [](unsigned char c) { return c < 0x20 || c == 0x7f; })) {
    return InvalidField(field, "has a control character");
  }
  return OkStatus();
}

Status CheckUser(const v1::User& user) {
  STARLING_RETURN_IF_ERROR(CheckUserId(user.user_id(), "user_id"));
  std::vector<FieldViolation> violations;
  const auto add = [&](std::string field, std::string description) {
    violations.push_back({std::move(field), std::move(description)});
  };
  if (user.display_name().size() > kMaxName) {
    add("display_name",
        fmt::format("has {} bytes; at most {} are taken", user.display_name().size(), kMaxName));
  }
  if (user.attributes().size() > kMaxAttributes) {
    add("attributes", fmt::format("has {} entries; at most {} are taken", user.attributes().size(),
                                  kMaxAttributes));
  }
  for (const auto& [name, value] : user.attributes()) {
    if (name.empty() || name.size() > kMaxName || value.size() > kMaxValue) {
      add("attributes." + name,
          fmt::format("a name has 1 to {} bytes, a value at most {}", kMaxName, kMaxValue));
    }
  }
  if (user.preferences().size() > kMaxPreferences) {
    add("preferences", fmt::format("has {} entries; at most {} are taken",
                                   user.preferences().size(), kMaxPreferences));
  }
  for (const auto& [name, value] : user.preferences()) {
    if (!(value >= -1 && value <= 1))
      add("preferences." + name, fmt::format("{} is outside -1 to 1", value));
  }
  return violations.empty() ? OkStatus() : InvalidFields(std::move(violations));
}

Status ApplyMask(const v1::User& from, const google::protobuf::FieldMask& mask, v1::User& to) {
  if (mask.paths().empty())
    return InvalidField("update_mask", "names no field; name those to change, or '*' for all");
  for (const std::string& path : mask.paths()) {
    const bool all = path == "*";
    const bool known =
        all || path == "display_name" || path == "attributes" || path == "preferences";
    // A user that was read, changed and sent back brings what only the service sets.
    if (path == "user_id" || path == "etag" || path == "create_time" || path == "update_time")
      continue;
    if (!known) {
      return InvalidField(
          "update_mask",
          "'{}' is no field that can be changed; there are display_name, attributes, preferences",
          path);
    }
    if (all || path == "display_name") to.set_display_name(from.display_name());
    if (all || path == "attributes") *to.mutable_attributes() = from.attributes();
    if (all || path == "preferences") *to.mutable_preferences() = from.preferences();
  }
  return OkStatus();
}

}  // namespace starling::profile
