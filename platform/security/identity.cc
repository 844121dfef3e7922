#include "platform/security/identity.h"

#include <cstring>

namespace starling::security {
namespace {

// Layout: version 1 (1 byte), kind (1), then subject, on_behalf_of, session and the scopes' text,
// each as its length (4 bytes, the machine's order: all our processes run on one kind of machine)
// and its bytes, then the end (8 bytes, nanoseconds since 1970, kNever for none).
constexpr char kVersion = 1;
constexpr int64_t kNever = INT64_MIN;
constexpr size_t kMaxText = 8192;

template <typename T>
void Append(std::string& out, T number) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &number, sizeof(T));
  out.append(bytes, sizeof(T));
}

void AppendText(std::string& out, std::string_view text) {
  Append(out, static_cast<uint32_t>(text.size()));
  out += text;
}

template <typename T>
bool Take(std::string_view& bytes, T& number) {
  if (bytes.size() < sizeof(T)) return false;
  std::memcpy(&number, bytes.data(), sizeof(T));
  bytes.remove_prefix(sizeof(T));
  return true;
}

bool TakeText(std::string_view& bytes, std::string& text) {
  uint32_t size = 0;
  if (!Take(bytes, size) || size > kMaxText || size > bytes.size()) return false;
  text = bytes.substr(0, size);
  bytes.remove_prefix(size);
  return true;
}

std::string_view KindName(Identity::Kind kind) {
  switch (kind) {
    case Identity::kAnonymous:
      return "anonymous";
    case Identity::kUser:
      return "user";
    case Identity::kKey:
      return "key";
    case Identity::kService:
      return "service";
  }
  return "";
}

}  // namespace

std::shared_ptr<const Identity> Anonymous() {
  static const auto anonymous = std::make_shared<const Identity>();
  return anonymous;
}

std::shared_ptr<const Identity> AnonymousAt(std::string address) {
  return std::make_shared<const Identity>(
      Identity{.kind = Identity::kAnonymous, .subject = std::move(address)});
}

std::shared_ptr<const Identity> UserIdentity(std::string user_id, ScopeSet scopes) {
  return std::make_shared<const Identity>(Identity{
      .kind = Identity::kUser, .subject = std::move(user_id), .scopes = std::move(scopes)});
}

std::shared_ptr<const Identity> ServiceIdentity(std::string service) {
  return std::make_shared<const Identity>(
      Identity{.kind = Identity::kService, .subject = std::move(service)});
}

std::string IdentityName(const Identity& identity) {
  std::string name(KindName(identity.kind));
  if (identity.kind != Identity::kAnonymous) name += ":" + identity.subject;
  return name;
}

std::string SerializeIdentity(const Identity& identity) {
  std::string out;
  Append(out, kVersion);
  Append(out, static_cast<char>(identity.kind));
  AppendText(out, identity.subject);
  AppendText(out, identity.on_behalf_of);
  AppendText(out, identity.session);
  AppendText(out, identity.scopes.ToText());
  Append(out, identity.expires_at ? identity.expires_at->time_since_epoch().count() : kNever);
  return out;
}

StatusOr<std::shared_ptr<const Identity>> ParseIdentity(std::string_view bytes) {
  char version = 0;
  char kind = 0;
  std::string scopes;
  int64_t expires_at = kNever;
  Identity identity;
  if (!Take(bytes, version) || version != kVersion || !Take(bytes, kind) || kind < 0 ||
      kind > Identity::kService || !TakeText(bytes, identity.subject) ||
      !TakeText(bytes, identity.on_behalf_of) || !TakeText(bytes, identity.session) ||
      !TakeText(bytes, scopes) || !Take(bytes, expires_at) || !bytes.empty()) {
    return InvalidArgument(
        "the caller's identity is damaged; expected what SerializeIdentity of this version wrote");
  }
  identity.kind = static_cast<Identity::Kind>(kind);
  STARLING_ASSIGN_OR_RETURN(identity.scopes, ScopeSet::ParseText(scopes));
  if (expires_at != kNever) identity.expires_at = TimePoint(Duration(expires_at));
  if (identity == *Anonymous()) return Anonymous();
  return std::make_shared<const Identity>(std::move(identity));
}

}  // namespace starling::security
