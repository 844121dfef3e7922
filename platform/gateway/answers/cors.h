// Which pages of other origins may call, and read what comes back (Fetch standard, 3.2 and 4.8).
//
//   STARLING_ASSIGN_OR_RETURN(const Cors cors, Cors::Parse(config));
//   if (Cors::IsPreflight(request)) cors.AnswerPreflight(request, allowed, response);
//   ...
//   cors.AddTo(request, response);              // each other answer
//
// This is no access control: who is not a browser says what origin it likes. It tells browsers
// which pages may see answers. Origins are compared byte by byte, "https://*.shop.example" takes
// any name below shop.example and not shop.example itself. Thread-safe as a constant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "platform/base/status.h"
#include "platform/gateway/answers/answers_config.h"
#include "platform/http/message.h"

namespace starling::gateway {

class Cors {
 public:
  // INVALID_ARGUMENT for what is no origin ("null", a path behind it, a '*' elsewhere than in
  // front), for what is no token, and for '*' with credentials, which would let any page act for
  // whoever visits it. Without origins (or with "none"): a Cors that does nothing.
  static StatusOr<Cors> Parse(const CorsConfig& config);

  bool enabled() const { return any_ || !origins_.empty(); }
  bool Allows(std::string_view origin) const;

  // OPTIONS with Origin and Access-Control-Request-Method (4.8).
  static bool IsPreflight(const http::Request& request);
  // 204 with what is allowed, or 403 with what is not. `path_has`: the verbs of the path, as bits
  // 1 << Verb. Needs no credentials: a browser sends none with it.
  void AnswerPreflight(const http::Request& request, uint32_t path_has,
                       http::Response& response) const;

  // Adds what the browser asks for to the answer, in place of what is there of it, and `Vary:
  // Origin` where another origin would get another answer.
  void AddTo(const http::Request& request, http::Response& response) const;

 private:
  struct Pattern {
    std::string scheme;  // of "https://*.shop.example": "https://"
    std::string end;     // ".shop.example", with its port
    bool operator==(const Pattern&) const = default;
  };
  bool AllowsMethod(std::string_view method, uint32_t path_has) const;
  bool AllowsHeaders(std::string_view list, std::string& missing) const;
  void AddOrigin(std::string_view origin, http::Headers& headers) const;

  bool any_ = false;
  std::vector<std::string> origins_;
  std::vector<Pattern> patterns_;
  std::vector<std::string> methods_, headers_;
  std::string headers_text_, expose_text_, max_age_;
  bool credentials_ = false;
  bool any_header_ = false;
};

// Adds a member to Vary unless it is there; "*" has all.
void AddVary(std::string_view field, http::Headers& headers);

}  // namespace starling::gateway
