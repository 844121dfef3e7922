// Fields that every answer gets unless it has its own: what tells browsers to be careful.
//
//   X-Content-Type-Options        nosniff                          all answers
//   Referrer-Policy               strict-origin-when-cross-origin  pages (text/html)
//   X-Frame-Options               SAMEORIGIN                       pages
//   Cross-Origin-Opener-Policy    same-origin-allow-popups         pages
//   Cross-Origin-Resource-Policy  same-origin                      pages
//   Strict-Transport-Security     max-age=31536000                 over TLS
//
// The configuration changes a value, drops a field (empty), or adds others, to all answers. What a
// handler or an upstream says stays, unless it is a route's own (`force`). `Server` keeps the name
// of the product and loses its version. Thread-safe as a constant.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/status.h"
#include "platform/http/message.h"

namespace starling::gateway {

class AnswerFields {
 public:
  // `usual`: gateway.answer_headers; `forced`: a route's. INVALID_ARGUMENT for what is no field,
  // and for one that frames an answer.
  static StatusOr<AnswerFields> Make(const std::map<std::string, std::string>& usual,
                                     const std::map<std::string, std::string>& forced);

  // `is_page`: the answer is text/html.
  void AddTo(bool is_page, bool tls, http::Headers& headers) const;

 private:
  enum Where : uint8_t { kAll, kPages, kTls };
  struct One {
    std::string name;
    std::string value;
    Where where;
  };
  std::vector<One> usual_;
  std::map<std::string, std::string> forced_;
};

}  // namespace starling::gateway
