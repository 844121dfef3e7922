// What a user must be to be taken, and how a change is applied.
#pragma once

#include <string_view>

#include "contracts/profile/v1/profile.pb.h"
#include "platform/base/status.h"

namespace starling::profile {

Status CheckUserId(std::string_view user_id, std::string_view field);
// The limits stand in profile.proto; names every field that breaks one.
Status CheckUser(const v1::User& user);
// Copies the fields that the mask names; "*" is every field that a caller may set.
Status ApplyMask(const v1::User& from, const google::protobuf::FieldMask& mask, v1::User& to);

}  // namespace starling::profile
