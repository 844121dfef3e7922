#include "platform/gateway/answers/cors.h"

#include <absl/strings/str_join.h>

#include <algorithm>

#include "platform/http/problem.h"
#include "platform/http/syntax.h"

namespace starling::gateway {
namespace {

using http::EqualsIgnoreCase;

bool IsSafelisted(std::string_view method) {  // Fetch, 2.2.1
  return method == "GET" || method == "HEAD" || method == "POST";
}

// "shop.example", "shop.example:8080", "[::1]:80": lower case, as browsers write origins.
bool IsOriginsHost(std::string_view host) {
  if (host.empty()) return false;
  for (const char c : host) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
                      c == ':' || c == '[' || c == ']';
    if (!good) return false;
  }
  return true;
}

Status BadOrigin(std::string_view origin, std::string_view why) {
  return InvalidArgument(
      "origin '{}' {}; write it as a browser does: https://shop.example, "
      "http://localhost:3000, or https://*.shop.example for all below a name",
      origin, why);
}

Status CheckTokens(const std::vector<std::string>& list, std::string_view name, bool credentials) {
  for (const std::string& one : list) {
    if (one.empty() || !http::All(one, http::kToken))
      return InvalidArgument("{}: '{}' is no name", name, one);
    if (one == "*" && credentials)
      return InvalidArgument("{}: '*' means nothing with credentials; name them", name);
  }
  return OkStatus();
}

}  // namespace

StatusOr<Cors> Cors::Parse(const CorsConfig& config) {
  Cors cors;
  if (config.origins.size() == 1 && config.origins[0] == "none") return cors;
  for (const std::string& origin : config.origins) {
    if (origin == "*") {
      if (config.credentials) {
        return InvalidArgument(
            "origin '*' with credentials would let every page act for whoever visits it; name the "
            "origins, or take credentials out");
      }
      cors.any_ = true;
      continue;
    }
    if (origin == "null")
      return BadOrigin(origin, "is what any page can be, from a frame in a sandbox or a file");
    const bool tls = origin.starts_with("https://");
    if (!tls && !origin.starts_with("http://")) return BadOrigin(origin, "has no scheme");
    const std::string_view scheme = tls ? "https://" : "http://";
    std::string_view host = std::string_view(origin).substr(scheme.size());
    if (host.starts_with("*.")) {
      host.remove_prefix(1);
      // All below "*.example" are many people's.
      if (!IsOriginsHost(host) || host.find('.', 1) == std::string_view::npos ||
          host.ends_with('.')) {
        return BadOrigin(origin, "names no domain of somebody's own");
      }
      cors.patterns_.push_back({std::string(scheme), std::string(host)});
    } else if (!IsOriginsHost(host)) {
      return BadOrigin(origin, "has something beside scheme, host and port, or upper case");
    }
    cors.origins_.push_back(origin);
  }
  STARLING_RETURN_IF_ERROR(CheckTokens(config.methods, "methods", config.credentials));
  STARLING_RETURN_IF_ERROR(CheckTokens(config.headers, "headers", config.credentials));
  STARLING_RETURN_IF_ERROR(CheckTokens(config.expose, "expose", config.credentials));
  cors.methods_ = config.methods;
  cors.headers_ = config.headers;
  cors.any_header_ =
      std::find(config.headers.begin(), config.headers.end(), "*") != config.headers.end();
  cors.headers_text_ = absl::StrJoin(config.headers, ", ");
  cors.expose_text_ = absl::StrJoin(config.expose, ", ");
  cors.max_age_ =
      std::to_string(std::chrono::duration_cast<std::chrono::seconds>(config.max_age).count());
  cors.credentials_ = config.credentials;
  return cors;
}

bool Cors::Allows(std::string_view origin) const {
  if (any_) return true;
  if (std::find(origins_.begin(), origins_.end(), origin) != origins_.end())
    return origin.find('*') == std::string_view::npos;
  return std::any_of(patterns_.begin(), patterns_.end(), [origin](const Pattern& pattern) {
    return origin.size() > pattern.scheme.size() + pattern.end.size() &&
           origin.starts_with(pattern.scheme) && origin.ends_with(pattern.end) &&
           IsOriginsHost(origin.substr(pattern.scheme.size()));
  });
}

bool Cors::IsPreflight(const http::Request& request) {
  return request.verb == http::Verb::kOptions && request.headers.Has("origin") &&
         request.headers.Has("access-control-request-method");
}

bool Cors::AllowsMethod(std::string_view method, uint32_t path_has) const {
  if (!methods_.empty()) {
    return IsSafelisted(method) ||
           std::any_of(methods_.begin(), methods_.end(),
                       [method](const std::string& one) { return one == "*" || one == method; });
  }
  const http::Verb verb = http::ParseVerb(method);
  const auto has = [path_has](http::Verb one) {
    return (path_has & (1u << static_cast<unsigned>(one))) != 0;
  };
  return verb != http::Verb::kOther &&
         (has(verb) || (verb == http::Verb::kHead && has(http::Verb::kGet)));
}

bool Cors::AllowsHeaders(std::string_view list, std::string& missing) const {
  if (any_header_) return true;
  http::ForEachInList(list, [&](std::string_view name) {
    const bool there =
        std::any_of(headers_.begin(), headers_.end(),
                    [name](const std::string& one) { return EqualsIgnoreCase(one, name); });
    if (!there && missing.empty()) missing = http::Shown(name);
  });
  return missing.empty();
}

void Cors::AddOrigin(std::string_view origin, http::Headers& headers) const {
  headers.Set("Access-Control-Allow-Origin", any_ ? "*" : origin);
  if (credentials_) headers.Set("Access-Control-Allow-Credentials", "true");
}

void Cors::AnswerPreflight(const http::Request& request, uint32_t path_has,
                           http::Response& response) const {
  const std::string_view origin = request.headers.Find("origin").value_or("");
  const std::string_view method =
      request.headers.Find("access-control-request-method").value_or("");
  std::string missing;
  std::string why;
  if (!Allows(origin)) {
    why = fmt::format("pages of '{}' may not call this", http::Shown(origin));
  } else if (!AllowsMethod(method, path_has)) {
    why = fmt::format("other origins may not use {} here", http::Shown(method));
  } else if (!AllowsHeaders(request.headers.Joined("access-control-request-headers"), missing)) {
    why = fmt::format("other origins may not send the field {}", missing);
  }
  if (why.empty()) {
    response.status = 204;
    AddOrigin(origin, response.headers);
    response.headers.Set("Access-Control-Allow-Methods", method);
    if (!headers_.empty()) response.headers.Set("Access-Control-Allow-Headers", headers_text_);
    response.headers.Set("Access-Control-Max-Age", max_age_);
  } else {
    response = http::ProblemResponse(403, why, request.path);
  }
  AddVary("Origin", response.headers);
  AddVary("Access-Control-Request-Method", response.headers);
  AddVary("Access-Control-Request-Headers", response.headers);
}

void Cors::AddTo(const http::Request& request, http::Response& response) const {
  http::Headers& headers = response.headers;
  // What a server behind us says of it is not ours, and two of a field are none.
  for (const std::string_view name :
       {"access-control-allow-origin", "access-control-allow-credentials",
        "access-control-expose-headers", "access-control-allow-methods",
        "access-control-allow-headers", "access-control-max-age"}) {
    if (headers.Has(name)) headers.Remove(name);
  }
  const auto origin = request.headers.Find("origin");
  if (origin && Allows(*origin)) {
    AddOrigin(*origin, headers);
    if (!expose_text_.empty()) headers.Set("Access-Control-Expose-Headers", expose_text_);
  }
  if (!any_) AddVary("Origin", headers);
}

void AddVary(std::string_view field, http::Headers& headers) {
  if (!headers.Has("vary")) {
    headers.Add("Vary", field);
    return;
  }
  std::string list = headers.Joined("vary");
  bool there = false;
  http::ForEachInList(list, [&](std::string_view member) {
    there |= member == "*" || EqualsIgnoreCase(member, field);
  });
  if (!there) headers.Set("Vary", list.append(", ").append(field));
}

}  // namespace starling::gateway
