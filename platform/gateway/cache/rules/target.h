// Under which key an answer is stored, and which keys an unsafe request makes invalid
// (RFC 9111, 2 and 4.4).
//
// A key is "PREFIX HOST/path?query": the prefix is the route's own, so that two routes share
// nothing; the host is in lower case; path and query are as the client wrote them, so that no two
// that an origin might tell apart share an answer. A host and a target hold no blank, hence keys of
// different parts differ.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace starling::gateway {

// Writes into `key`, whose memory it reuses. `target` is in origin form or, as a proxy would send
// it, in absolute form.
void WriteCacheKey(std::string_view prefix, std::string_view host, std::string_view target,
                   std::string& key);
std::string CacheKey(std::string_view prefix, std::string_view host, std::string_view target);

// The target in origin form that a Location or Content-Location of `host` means, relative to the
// request's own target; nullopt when it is of another host or no reference (4.4: only of the same
// origin). O(n).
std::optional<std::string> TargetOnSameHost(std::string_view reference, std::string_view host,
                                            std::string_view target);

}  // namespace starling::gateway
