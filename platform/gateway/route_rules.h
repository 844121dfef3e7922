// What the texts of a configured route mean. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "platform/gateway/route_config.h"
#include "platform/http/message.h"
#include "platform/http/path_template.h"
#include "platform/security/identity.h"

namespace starling::gateway {

// A path with variables in it, as pieces: text, and the segments of the request's path to put
// behind it. These are taken as they are, never decoded: "..%2Fb" stays one segment.
struct Rewrite {
  struct Piece {
    std::string text;
    std::optional<http::PathTemplate::Variable> variable;
  };
  std::vector<Piece> pieces;
  std::string custom_verb;  // of the route's path: ":train", which is no part of the last variable
};

struct Access {
  enum Kind { kAnyone, kCaller, kUser, kScope } kind = kAnyone;
  std::string scope;
};

// What a route's texts mean.
struct ParsedRoute {
  Access access;
  Rewrite rewrite;
  std::vector<http::Verb> verbs;
};

// Whether the caller may ask: UNAUTHENTICATED or PERMISSION_DENIED say what it lacks.
Status CheckAccess(const Access& access, const security::Identity& caller);

// Appends the target that the upstream gets: the rewritten path, else the request's own in its
// normal form, and the query.
void AppendTarget(const Rewrite& rewrite, const http::Request& request, std::string& target);

// POST and PATCH: what acts again when it is sent again.
bool IsOfIdempotencyKeys(http::Verb verb);

// INVALID_ARGUMENT says which text means nothing, and what to write. `upstreams`: the names there
// are.
StatusOr<ParsedRoute> ParseRoute(const RouteConfig& config,
                                 const std::vector<std::string>& upstreams);

}  // namespace starling::gateway
