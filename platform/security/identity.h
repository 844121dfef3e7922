// Who calls: what authentication found out, and what access rules are decided by.
//
//   std::shared_ptr<const Identity> caller = Anonymous();
//   if (caller->kind == Identity::kUser && caller->user() == product.owner()) ...
//   if (caller->scopes.Holds("catalog.write")) ...
//
// An identity is immutable and shared: it travels with a call through every service, in process as
// a pointer, between processes as SerializeIdentity's bytes over a connection that services trust.
// It never holds the token itself.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "platform/base/clock.h"
#include "platform/base/status.h"
#include "platform/security/scope.h"

namespace starling::security {

struct Identity {
  enum Kind {
    kAnonymous = 0,  // nobody: subject is "", or for an idempotency key the client's address
    kUser = 1,       // a person who signed in, or whose JWT was verified: subject is the user id
    kKey = 2,        // a program with an API key: subject is the key's id
    kService = 3,    // one of ours, acting for itself: subject is its name
  };
  Kind kind = kAnonymous;
  std::string subject;
  ScopeSet scopes;
  // The user for whom a key was made; "" for a key of the operator.
  std::string on_behalf_of;
  // SHA-256 of the session token that proved a user, 32 bytes; "" for other credentials. Signing
  // out ends that session.
  std::string session;
  // When the credential ends; none when it does not.
  std::optional<TimePoint> expires_at;

  // The user whose own data this caller may see: the subject of a user, or the user of a key. ""
  // when there is none.
  const std::string& user() const { return kind == kUser ? subject : on_behalf_of; }
  bool operator==(const Identity&) const = default;
};

// The one identity of nobody.
std::shared_ptr<const Identity> Anonymous();
// Nobody, as known by an address.
std::shared_ptr<const Identity> AnonymousAt(std::string address);

std::shared_ptr<const Identity> UserIdentity(std::string user_id, ScopeSet scopes = {});
std::shared_ptr<const Identity> ServiceIdentity(std::string service);

// "anonymous", "user:u42", "key:0192f0...", "service:features": for logs and idempotency scopes.
std::string IdentityName(const Identity& identity);

// Bytes for the call's metadata between our own processes, and back. They are not signed: they
// prove nothing to a receiver that does not trust the connection. Parse gives INVALID_ARGUMENT for
// what Serialize did not write.
std::string SerializeIdentity(const Identity& identity);
StatusOr<std::shared_ptr<const Identity>> ParseIdentity(std::string_view bytes);

}  // namespace starling::security
